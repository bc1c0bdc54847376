"""`validate`: every mistake in playbooks, in a form for people, programs or CI."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click

from runner.catalogue import Catalogue
from runner.cli.output import painter, say
from runner.errors import ExitCode, RunnerError
from runner.model import Problem, Severity
from runner.playbook import read
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
def command(playbooks: tuple[str, ...], form: str, strict: bool) -> None:
    """Check PLAYBOOK files and folders of them (- is standard input). Nothing is sent.

    Problems go to stdout with file, line and column, all of them at once; the exit code is 3
    where there is an error, and 0 where there are none or only warnings.
    """
    rules = Rules(Catalogue())
    problems: list[Problem] = []
    files = list(_files(playbooks))
    for file in files:
        problems += check(read(file), rules)
    _FORMS[form](problems)
    errors = sum(p.severity is Severity.ERROR for p in problems)
    warnings = len(problems) - errors
    say(_verdict(len(files), errors, warnings))
    if errors or (strict and warnings):
        raise click.exceptions.Exit(ExitCode.INVALID)


def _files(names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        if name != "-" and Path(name).is_dir():
            found = sorted(str(p) for p in Path(name).rglob("*") if p.suffix in _SUFFIXES)
            if not found:
                raise RunnerError(f"no playbook lies in {name}", "playbooks end in .yaml or .yml")
            yield from found
        else:
            yield name


def _verdict(files: int, errors: int, warnings: int) -> str:
    many = "playbook" if files == 1 else "playbooks"
    if not errors and not warnings:
        return f"{files} {many}, no problems"
    return f"{files} {many}, {_count(errors, 'error')}, {_count(warnings, 'warning')}"


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
    """Workflow commands: GitHub draws each at its line of the pull request."""
    for problem in problems:
        place = problem.place
        head = (
            f"::{problem.severity.value} file={_escape(place.file, head=True)},line={place.line},"
            f"col={place.column},endColumn={place.column + place.length},"
            f"title={_escape(problem.code, head=True)}"
        )
        hint = f" ({problem.hint})" if problem.hint else ""
        click.echo(f"{head}::{_escape(problem.message + hint)}")


def _escape(text: str, *, head: bool = False) -> str:
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if head else text


_FORMS = {"text": _text, "json": _json, "github": _github}
