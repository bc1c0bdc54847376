"""`init`: a folder to begin with, that runs on the emulator as it stands; overwrites nothing."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import click

from runner import __version__
from runner.cli.output import say
from runner.errors import RunnerError

_NAME = "keitaro-runner"
_TEMPLATES = Path(__file__).parent.parent / "templates"
PLAYBOOK = "playbooks/first-campaign.yaml"

# Where each file goes, and the template that it is made of.
_FILES = {
    PLAYBOOK: "first-campaign.yaml",
    "trackers.yaml": "trackers.yaml",
    ".gitignore": "gitignore",
}
_CI_FILES: Mapping[str, Mapping[str, str]] = {
    "github": {".github/workflows/playbooks.yml": "github.yml"},
    "gitlab": {".gitlab-ci.yml": "gitlab.yml"},
    "none": {},
}


@click.command("init")
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path), default=Path())
@click.option(
    "--ci",
    type=click.Choice(list(_CI_FILES)),
    default="github",
    show_default=True,
    help="Which CI to write a file for.",
)
def command(folder: Path, ci: str) -> None:
    """Write what a repository of playbooks begins with into DIR (the current folder by default).

    A playbook, a trackers file whose key comes from the environment, a CI file and a .gitignore.
    Nothing that is there is overwritten: if one of the files is, none is written.
    """
    files = {folder / name: _text(source) for name, source in {**_FILES, **_CI_FILES[ci]}.items()}
    _refuse_to_overwrite(files)
    for path, text in files.items():
        _write(path, text)
        say(f"wrote {path}")
    say("")
    say("Next, as it stands:")
    for line in next_steps(folder, _program()):
        click.echo(f"  {line}")
    say("")
    say("Then, for your tracker: write its address into trackers.yaml, export its key as")
    say("KEITARO_MAIN_KEY, and ask whether it can be reached and what the key may do:")
    say(f"  {_program()} doctor --trackers trackers.yaml")


def next_steps(folder: Path, program: str) -> list[str]:
    """The commands that try out what was written."""
    change = [] if folder == Path() else [f"cd {shlex.quote(str(folder))}"]
    return [
        *change,
        f"{program} validate playbooks",
        f"{program} run {PLAYBOOK} --emulator --report run.jsonl",
    ]


def _refuse_to_overwrite(files: Mapping[Path, str]) -> None:
    there = [str(path) for path in files if os.path.lexists(path)]
    if there:
        raise RunnerError(
            f"{', '.join(there)} {'is' if len(there) == 1 else 'are'} there already; nothing was "
            "written",
            "name another folder, or move it away",
        )


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise RunnerError(f"cannot write {path}: {error.strerror}", "check the path") from error


def _text(template: str) -> str:
    text = (_TEMPLATES / template).read_text(encoding="utf-8")
    return text.replace("@@REQUIREMENT@@", shlex.quote(_requirement()))


def _requirement() -> str:
    """What pip must be asked for to get this very program, in CI as here."""
    try:
        text = metadata.distribution(_NAME).read_text("direct_url.json")
    except metadata.PackageNotFoundError:  # a bare checkout
        text = None
    origin = json.loads(text) if text else {}
    version_control = origin.get("vcs_info")
    if version_control:
        commit = version_control["commit_id"]
        return f"{_NAME} @ {version_control['vcs']}+{origin['url']}@{commit}"
    return f"{_NAME}=={__version__}"


def _program() -> str:
    """How to start this program from any folder."""
    if shutil.which(_NAME):
        return _NAME
    started = Path(sys.argv[0]).absolute()
    if started.name == _NAME:
        return shlex.quote(str(started))
    return f"{shlex.quote(sys.executable)} -m runner"
