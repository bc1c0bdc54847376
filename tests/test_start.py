"""What starting up costs: each command imports what it needs, and no more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import environment, steps

from runner.emulator import Emulator

HEAVY = (
    *("httpx", "httpcore", "h11", "jsonschema", "jinja2", "rich", "asyncio"),
    *("runner.emulator", "runner.transport"),
)

PLAIN = steps(
    "{name: offer, resource: offer, operation: create, body: {name: Tea}}",
    '{resource: offer, operation: get, id: "${{ steps.offer.data.id }}"}',
    head=["name: plain", "vars: {label: x}"],
)
COMPUTED = PLAIN.replace("data.id }}", "data.id + 0 }}")
WRONG = PLAIN.replace("name: Tea", "name: [Tea]")


def imported(folder: Path, *args: str) -> set[str]:
    """Which of the heavy modules a command leaves imported."""
    code = (
        "import sys\nfrom runner.cli import main\n"
        f"sys.argv = ['keitaro-runner', *{list(args)!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('MODULES', *sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    modules = set(done.stderr.rpartition("MODULES")[2].split())
    assert "click" in modules
    return modules & set(HEAVY)


@pytest.mark.parametrize("words", ["--version", "--help", "run --help", "validate --help"])
def test_asking_is_cheap(folder: Path, words: str) -> None:
    """Version and help import nothing that talks, checks or computes."""
    assert imported(folder, *words.split()) == set()


def test_validate_is_cheap(folder: Path) -> None:
    """A valid playbook whose expressions are paths is checked without jinja2 and jsonschema."""
    (folder / "p.yaml").write_text(PLAIN)
    assert imported(folder, "validate", "p.yaml") == set()


def test_what_is_needed_is_imported(folder: Path) -> None:
    """An expression that computes brings jinja2, a wrong value jsonschema, and neither httpx."""
    (folder / "c.yaml").write_text(COMPUTED)
    (folder / "w.yaml").write_text(WRONG)
    assert imported(folder, "validate", "c.yaml") - {"asyncio"} == {"jinja2"}
    assert imported(folder, "validate", "w.yaml") - {"asyncio"} == {"jsonschema"}


def test_an_invalid_playbook_is_refused_cheaply(folder: Path) -> None:
    """A run that does not begin starts no emulator."""
    (folder / "w.yaml").write_text(WRONG)
    assert "runner.emulator" not in imported(folder, "run", "w.yaml", "--emulator")


def test_a_run_is_cheap(folder: Path, tracker: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """What speaks to proxies stays out of a run that has none, as does what is not computed."""
    monkeypatch.setenv("KEITARO_URL", tracker.url)
    monkeypatch.setenv("KEITARO_API_KEY", tracker.key)
    (folder / "p.yaml").write_text(PLAIN)
    assert imported(folder, "run", "p.yaml", "--quiet", "--transport", "httpx") == {
        "httpx",
        "runner.transport",
    }
    assert len(tracker.requests) == 2


def test_what_is_left_is_not_looked_through_at_the_end(folder: Path) -> None:
    """Python frees what it holds as it exits; the system does so faster."""
    code = (
        "import atexit, gc, sys\nfrom runner.cli import main\n"
        # What is registered first comes last: by then nothing is left to collect.
        "atexit.register(lambda: print(gc.get_freeze_count() > 10_000))\n"
        "sys.argv = ['keitaro-runner', '--version']\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment(), capture_output=True,
        text=True, timeout=30, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "True"
