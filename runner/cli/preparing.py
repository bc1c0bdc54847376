"""From a playbook's file to its plan: checked, and with its inputs; ends the command otherwise."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner import inputs
from runner.catalogue import Catalogue
from runner.cli.annotated import annotated
from runner.cli.asked import Asked
from runner.cli.output import painter, say
from runner.cli.readers import is_job
from runner.errors import ExitCode, RunnerError
from runner.model import Json, Problem, Severity
from runner.planning import Plan, build
from runner.playbook import Document, read
from runner.report.console import draw
from runner.validation import Rules, check

if TYPE_CHECKING:
    from runner.journal import History


def checked(playbook: str) -> tuple[Document, Rules]:
    """A playbook that has no errors, with the rules it was held against. Raises RunnerError."""
    document, rules = read(playbook), Rules(Catalogue(), running=True)
    refuse(playbook, check(document, rules))
    return document, rules


def refuse(playbook: str, problems: list[Problem]) -> None:
    """Say the problems; an error among them ends the command."""
    for problem in problems:
        say(draw(problem, painter()) + "\n")
    if is_job():
        for line in annotated(problems):
            say(line)
    errors = sum(problem.severity is Severity.ERROR for problem in problems)
    if errors:
        raise RunnerError(
            f"{playbook} has {errors} error{'' if errors == 1 else 's'}; nothing was sent",
            code=ExitCode.INVALID,
        )


def plan_of(document: Document, rules: Rules, asked: Asked, history: History | None) -> Plan:
    """The plan with its inputs; those of a run that goes on are what they were."""
    declared = document.data.get("inputs")
    values: dict[str, Json] = {}
    moment = datetime.now(UTC)
    if history is not None:
        was = history.head["inputs"]
        values = {name: was[name] for name in was if name in (declared or {})}
        moment = datetime.fromisoformat(history.head["started_at"])
    if asked.inputs_file:
        text = sys.stdin.read() if asked.inputs_file == "-" else _read(asked.inputs_file)
        values |= inputs.read_file(text, asked.inputs_file)
    texts = dict(_pair(text) for text in asked.given)
    found = inputs.resolve(
        declared, texts=texts, values=values, environ=os.environ,
        secrets=_ask_secrets(declared, {**values, **texts}),
    )  # fmt: skip
    return build(document, rules, found, moment)


def _ask_secrets(declared: Json, known: Mapping[str, Json]) -> dict[str, str]:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return {}
    return {
        name: click.prompt(f"{name} (not shown)", hide_input=True, err=True)
        for name in inputs.missing_secrets(declared, known, os.environ)
    }


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--input takes NAME=VALUE, and '{name}' has no '='")
    return name.strip(), value


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RunnerError(f"cannot read {file}: {error}", "check the path") from error
