"""`validate`: every mistake in playbooks, in a form for people, programs or CI."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import click

from runner.catalogue import Catalogue
from runner.cli.annotated import annotated
from runner.cli.options import insecure_option, trackers_option
from runner.cli.output import painter, say
from runner.errors import ExitCode, RunnerError
from runner.model import Problem, Severity
from runner.playbook import Document, read
from runner.report.console import draw
from runner.validation import Rules, check

_SUFFIXES = (".yaml", ".yml")


@click.command("validate")
@click.argument("playbooks", nargs=-1, required=True, metavar="PLAYBOOK...")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="Form of the problems; github makes annotations.",
)
@click.option("--strict", is_flag=True, help="Take warnings as errors.")
@click.option(
    "--playbooks-only",
    is_flag=True,
    help="Pass over files that are no playbooks, as is done in folders anyway.",
)
@click.option(
    "--preflight",
    is_flag=True,
    help="Look the ids up that valid playbooks state; only reads from the tracker.",
)
@click.option("--tracker", metavar="NAME", help="The tracker to look ids up on.")
@trackers_option
@insecure_option
def command(
    playbooks: tuple[str, ...],
    form: str,
    strict: bool,
    playbooks_only: bool,
    preflight: bool,
    tracker: str | None,
    trackers_file: Path | None,
    insecure: bool,
) -> None:
    """Check PLAYBOOK files and folders of them (- is standard input). Nothing is changed.

    In folders, YAML that has neither `version` nor `steps` is passed over: bodies, inputs.

    Problems go to stdout with file, line and column, all of them at once; the exit code is 3
    where there is an error, and 0 where there are none or only warnings. A comment such as
    `# noqa: KT004` silences that warning on its line. Nothing is sent at all without
    --preflight, nor with it while a playbook has an error.
    """
    if (tracker or trackers_file or insecure) and not preflight:
        raise click.UsageError("--tracker, --trackers and --insecure go with --preflight")
    rules = Rules(Catalogue())
    documents = list(_documents(playbooks, playbooks_only=playbooks_only))
    problems = [problem for document in documents for problem in check(document, rules)]
    if preflight and not any(p.severity is Severity.ERROR for p in problems):
        problems += _look_up(documents, rules, trackers_file, tracker, insecure=insecure)
    _FORMS[form](problems)
    errors = sum(p.severity is Severity.ERROR for p in problems)
    warnings = len(problems) - errors
    say(_verdict(len(documents), errors, warnings, strict=strict))
    if errors or (strict and warnings):
        raise click.exceptions.Exit(ExitCode.INVALID)


def _look_up(
    documents: list[Document],
    rules: Rules,
    file: Path | None,
    tracker: str | None,
    *,
    insecure: bool,
) -> list[Problem]:
    # The HTTP library comes with it, which validating alone is spared.
    from runner import preflight  # noqa: PLC0415
    from runner.trackers import Trackers  # noqa: PLC0415

    return preflight.check(documents, rules, Trackers(file, os.environ, insecure=insecure), tracker)


def _documents(names: tuple[str, ...], *, playbooks_only: bool) -> Iterator[Document]:
    """The playbooks of those names, and those in the folders of those names. Raises RunnerError."""
    for name in names:
        if name == "-" or not Path(name).is_dir():
            document = read(name)
            if not playbooks_only or _is_playbook(document):
                yield document
            continue
        there = (path for path in Path(name).rglob("*") if path.is_file())
        files = sorted(str(path) for path in there if _is_meant(path.relative_to(name)))
        found = [document for file in files if _is_playbook(document := read(file))]
        if not found:
            raise RunnerError(f"no playbook lies in {name}", "playbooks end in .yaml or .yml")
        yield from found


def _is_playbook(document: Document) -> bool:
    """Whether a file is meant for one: it says so, or cannot be read."""
    data = document.data
    return document.broken or (isinstance(data, dict) and bool(data.keys() & {"version", "steps"}))


def _is_meant(path: Path) -> bool:
    """Whether a file in a folder is taken for a playbook: none that is hidden, nor the trackers."""
    hidden = any(part.startswith(".") for part in path.parts)
    return path.suffix in _SUFFIXES and not hidden and path.name != "trackers.yaml"


def _verdict(files: int, errors: int, warnings: int, *, strict: bool) -> str:
    many = "playbook" if files == 1 else "playbooks"
    if not errors and not warnings:
        return f"{files} {many}, no problems"
    taken = " (taken as errors: --strict)" if strict and warnings else ""
    return f"{files} {many}, {_count(errors, 'error')}, {_count(warnings, 'warning')}{taken}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _text(problems: list[Problem]) -> None:
    paint = painter()
    for problem in problems:
        click.echo(draw(problem, paint) + "\n")


def _json(problems: list[Problem]) -> None:
    click.echo(json.dumps([_plain(problem) for problem in problems], ensure_ascii=False, indent=2))


def _plain(problem: Problem) -> dict[str, str | int]:
    return {
        "code": problem.code,
        "severity": problem.severity.value,
        "file": problem.place.file,
        "line": problem.place.line,
        "column": problem.place.column,
        "length": problem.place.length,
        "path": problem.path,
        "message": problem.message,
        "hint": problem.hint,
        "source": problem.line,
    }


def _github(problems: list[Problem]) -> None:
    for line in annotated(problems):
        click.echo(line)


_FORMS = {"text": _text, "json": _json, "github": _github}
