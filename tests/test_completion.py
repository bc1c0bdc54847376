"""Completion: what shells offer, asked of this program and in the shells themselves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Command, Start, environment, steps

from runner.cli.completion import VARIABLE
from runner.errors import ExitCode

PLAYBOOK = steps(
    "{name: campaign, resource: campaign, operation: create, body: {name: A, alias: a}}",
    "{name: block, steps: [{name: inner, resource: offer, operation: getAll}]}",
    "{resource: offer, operation: getAll}",
)
TRACKERS = "trackers:\n" + "".join(
    f"  {name}: {{url: 'https://{name}.example', key: {{env: K}}}}\n" for name in ("main", "spare")
)


@pytest.fixture
def place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with playbooks and a trackers file, and the command on the path."""
    (folder / "launch.yaml").write_text(PLAYBOOK)
    (folder / "later.yml").write_text(PLAYBOOK)
    (folder / "notes.txt").write_text("")
    (folder / "broken.yaml").write_text("[")
    (folder / "trackers.yaml").write_text(TRACKERS)
    (folder / "folder").mkdir()
    program = folder / "bin" / "keitaro-runner"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m runner "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return folder


def run(place: Path, *words: str, stdin: str = "", **more: str) -> str:
    """What a program prints."""
    done = subprocess.run(
        words, cwd=place, env=environment(**more), capture_output=True, text=True, timeout=60,
        input=stdin, check=True,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.stdout


# -- zsh's and fish's words, asked of the program ---------------------------------------------


def offered(monkeypatch: pytest.MonkeyPatch, cli: Command, *words: str) -> list[str]:
    """What zsh is told of the last of these words."""
    monkeypatch.setenv(VARIABLE, "zsh_complete")
    monkeypatch.setenv("COMP_WORDS", "\n".join(["keitaro-runner", *words]))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    said = cli()
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    return lines[1::3]


CASES = {
    "commands": (["val"], ["validate"]),
    "resources": (["explain", "camp"], ["campaign"]),
    "operations": (["explain", "stats."], ["stats.getAll"]),
    "codes": (["explain", "exit"], ["exit-codes"]),
    "steps": (["run", "launch.yaml", "--yes="], ["--yes=campaign", "--yes=block",
                                                 "--yes=block.inner"]),
    "steps-of-nothing": (["run", "--yes=c"], []),
    "steps-of-a-broken-playbook": (["run", "broken.yaml", "--yes=c"], []),
    "steps-of-a-missing-playbook": (["run", "nope.yaml", "--yes=c"], []),
    "doubts": (["run", "launch.yaml", "--in-doubt", "ca"], ["campaign="]),
    "words-on-doubts": (["run", "launch.yaml", "--in-doubt=campaign="],
                        ["--in-doubt=campaign=done", "--in-doubt=campaign=retry",
                         "--in-doubt=campaign=id:"]),
    "trackers": (["run", "--trackers", "trackers.yaml", "--tracker", ""], ["main", "spare"]),
    "tracker-of-doctor": (["doctor", "--trackers=trackers.yaml", "--tracker=sp"],
                          ["--tracker=spare"]),
    "no-trackers": (["run", "--tracker", ""], []),
    "options": (["run", "--trackers", "trackers.yaml", "--pre"], ["--preflight"]),
    "no-runs": (["run", "launch.yaml", "--resume="], []),
    "shells": (["completion", "f"], ["fish"]),
    "nonsense": (["nonsense", "x"], []),
}  # fmt: skip


@pytest.mark.parametrize(("words", "wanted"), CASES.values(), ids=CASES)
def test_offers(
    place: Path, cli: Command, monkeypatch: pytest.MonkeyPatch, words: list[str], wanted: list[str]
) -> None:
    """Each word is completed by what can stand there; trouble offers nothing and says nothing."""
    assert offered(monkeypatch, cli, *words) == wanted


def test_an_optional_value_takes_no_word(
    place: Path, cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After --yes comes the playbook, since a step is only taken after an equals sign."""
    monkeypatch.setenv(VARIABLE, "zsh_complete")
    monkeypatch.setenv("COMP_WORDS", "keitaro-runner\nrun\n--yes\nla")
    monkeypatch.setenv("COMP_CWORD", "3")
    assert cli().out.splitlines() == ["playbook", "la", "_"]


def test_runs_are_offered(
    place: Path, cli: Command, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    """--resume= is completed with the runs that are kept beside the playbook."""
    monkeypatch.setenv("KEITARO_URL", start().url)
    monkeypatch.setenv("KEITARO_API_KEY", "refused" * 5)
    assert cli("run", "launch.yaml").code == ExitCode.UNREACHABLE
    (only,) = offered(monkeypatch, cli, "run", "launch.yaml", "--resume=20")
    (run,) = (place / ".keitaro").glob("**/20*")
    assert only == f"--resume={run.name}"


# -- in the shells ----------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_are_sound(place: Path, cli: Command, shell: str) -> None:
    """Each script is the same on every machine, and its shell finds no mistake in it."""
    script = cli("completion", shell).out
    assert str(place) not in script
    assert sys.prefix not in script
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    check = "--no-execute" if shell == "fish" else "-n"
    (place / "script").write_text(script)
    assert run(place, shell, check, "script") == ""


BASH = {
    "commands": ("keitaro-runner doc", "doctor"),
    "resources": ("keitaro-runner explain affil", "affiliateNetwork"),
    "playbooks": ("keitaro-runner run la", "later.yml launch.yaml"),
    "all-playbooks": ("keitaro-runner validate ", "bin broken.yaml folder later.yml launch.yaml "
                                                   "trackers.yaml"),
    "step": ("keitaro-runner run launch.yaml --yes = ca", "campaign"),
    "no-step-yet": ("keitaro-runner run launch.yaml --yes =", "block block.inner campaign"),
    "doubt": ("keitaro-runner run launch.yaml --in-doubt ca", "campaign="),
    "word": ("keitaro-runner run launch.yaml --in-doubt campaign = d", "done"),
    "word-attached": ("keitaro-runner run launch.yaml --in-doubt = campaign = re", "retry"),
    "tracker": ("keitaro-runner run --trackers trackers.yaml --tracker s", "spare"),
}  # fmt: skip


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash(place: Path) -> None:
    """Bash, which takes an equals sign for a word of its own, completes steps and files too."""
    ask = (
        'ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        "_keitaro_runner_completion keitaro-runner 2>/dev/null; "
        'printf "%s\\n" "${COMPREPLY[@]}" | sort | paste -sd " "; }'
    )
    asked = []
    for words, _ in BASH.values():
        quoted = " ".join(words.split(" ")[:-1]) + f" '{words.rpartition(' ')[2]}'"
        asked.append(f"ask {quoted}")
    script = "\n".join(['eval "$(keitaro-runner completion bash)"', ask, *asked])
    said = run(place, "bash", "--norc", "-c", script, LC_ALL="C").splitlines()
    assert dict(zip(BASH, said, strict=True)) == {name: want for name, (_, want) in BASH.items()}


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("keitaro-runner run launch.yaml --yes=cam", "--yes=campaign"),
        ("keitaro-runner explain stats.", "stats.getAll"),
        ("keitaro-runner run --trackers trackers.yaml --tracker s", "spare"),
    ],
)
def test_fish(place: Path, line: str, wanted: str) -> None:
    """Fish completes them, too."""
    script = f"keitaro-runner completion fish | source; complete -C '{line}'"
    assert run(place, "fish", "--no-config", "-c", script).split() == [wanted]
