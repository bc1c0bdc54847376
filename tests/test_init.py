"""`init`: a folder that runs as it stands, and that overwrites nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import Command, check_line, environment, validate

from runner import __version__
from runner.cli import init
from runner.errors import ExitCode, RunnerError

FILES = {"playbooks/first-campaign.yaml", "trackers.yaml", ".gitignore"}
CI = {"github": {".github/workflows/playbooks.yml"}, "gitlab": {".gitlab-ci.yml"}, "none": set()}


def below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def program(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The command as it is installed, and first on the path."""
    path = folder / "bin" / "keitaro-runner"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m runner "$@"\n')
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")
    return path


@pytest.mark.parametrize("ci", CI)
def test_what_is_written(cli: Command, folder: Path, ci: str) -> None:
    """A playbook, a trackers file, what git leaves out, and the file of the CI that was named."""
    said = cli("init", "new/place", "--ci", ci)
    assert said.code == 0
    assert below(folder / "new" / "place") == FILES | CI[ci]


def test_the_playbook_has_no_problems(cli: Command, folder: Path) -> None:
    """What it begins with is an example: not even a warning."""
    cli("init")
    assert validate(folder / "playbooks" / "first-campaign.yaml") == []


def test_the_printed_commands_run(cli: Command, folder: Path, program: Path) -> None:
    """Each line on stdout works as it stands, one after the other, in a folder with blanks."""
    said = cli("init", "my playbooks")
    lines = [line.strip() for line in said.out.splitlines()]
    assert len(lines) == 3
    script = "set -e\n" + "\n".join(lines)
    done = subprocess.run(
        ["sh", "-c", script], cwd=folder, env=environment(), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = folder / "my playbooks" / "run.jsonl"
    envelopes = [check_line(line) for line in report.read_text().splitlines()[:3]]
    assert [envelope["success"] for envelope in envelopes] == [True, True, True]


def test_the_trackers_file_works(
    cli: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trackers file is read as it stands; the key comes from the environment."""
    cli("init")
    said = cli("doctor", "--trackers", "trackers.yaml")
    assert "KEITARO_MAIN_KEY" in said.out
    text = (folder / "trackers.yaml").read_text()
    assert yaml.safe_load(text)["trackers"]["main"]["key"] == {"env": "KEITARO_MAIN_KEY"}


@pytest.mark.parametrize("name", sorted(FILES | CI["github"]))
def test_nothing_is_overwritten(cli: Command, folder: Path, name: str) -> None:
    """Where one of the files is there, none is written, and the one is named."""
    there = folder / name
    there.parent.mkdir(parents=True, exist_ok=True)
    there.symlink_to("nowhere")  # a link that leads nowhere is there, too
    said = cli("init")
    assert said.code == ExitCode.USAGE
    assert f"{name} is there already; nothing was written" in said.err
    assert below(folder) == set()


def test_an_unwritable_folder(cli: Command, folder: Path) -> None:
    """What cannot be written is told without a traceback."""
    (folder / "file").write_text("")
    said = cli("init", "file/below")
    assert said.code == ExitCode.USAGE
    assert "cannot write file/below/playbooks" in said.err


def test_how_it_is_started(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Off the path the commands name the program in full, so that they work in any folder."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "argv", ["venv/bin/keitaro-runner", "init"])
    assert init._program() == str(folder / "venv/bin/keitaro-runner")
    monkeypatch.setattr(sys, "argv", ["runner/__main__.py", "init"])
    assert init._program() == f"{sys.executable} -m runner"


@pytest.mark.parametrize(
    ("origin", "wanted"),
    [
        (None, f"keitaro-runner=={__version__}"),
        ('{"url": "file:///x", "dir_info": {}}', f"keitaro-runner=={__version__}"),
        (
            '{"url": "https://g.example/k", "vcs_info": {"vcs": "git", "commit_id": "abc"}}',
            "keitaro-runner @ git+https://g.example/k@abc",
        ),
    ],
    ids=["index", "folder", "git"],
)
def test_ci_installs_the_same_program(
    origin: str | None, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CI is told to install what is running here: this version, or this commit."""

    class Distribution:
        def read_text(self, _: str) -> str | None:
            return origin

    monkeypatch.setattr(init.metadata, "distribution", lambda _: Distribution())
    assert init._requirement() == wanted


def test_ci_installs_from_a_checkout_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the program is not installed at all the version is asked for."""

    def missing(name: str) -> None:
        raise init.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(init.metadata, "distribution", missing)
    assert init._requirement() == f"keitaro-runner=={__version__}"


def test_errors_are_for_people() -> None:
    """What refuses says what to do."""
    with pytest.raises(RunnerError) as caught:
        init._refuse_to_overwrite({Path(__file__): "", Path(__file__).parent: ""})
    assert "are there already" in caught.value.message
    assert caught.value.hint
