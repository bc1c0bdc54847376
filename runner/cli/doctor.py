"""`doctor`: whether a tracker can be reached, with this key, and what the key may read."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.catalogue import Catalogue
from runner.cli.options import insecure_option, trackers_option
from runner.cli.output import say
from runner.errors import ExitCode, RunnerError
from runner.report.drawing import Paint, clean, no_paint

if TYPE_CHECKING:
    from runner.doctor import Diagnosis, Finding, Right

_COLOURS = {"ok": "green", "note": "yellow", "problem": "red"}


@click.command("doctor")
@click.option("--tracker", metavar="NAME", help="The tracker to look at, by its name in the file.")
@trackers_option
@insecure_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of what is found.",
)
def command(tracker: str | None, trackers_file: Path | None, insecure: bool, form: str) -> None:
    """Look at a tracker: the way there, the key, the edition, what the key may read.

    Nothing is changed: only lists are read, one after the other. What a key may write cannot be
    known without writing. The exit code is 0 where playbooks can run there, and 4 where not.
    """
    diagnosis = _examined(tracker, trackers_file, insecure=insecure)
    if form == "json":
        click.echo(json.dumps(_plain(diagnosis), ensure_ascii=False, indent=2))
    else:
        _text(diagnosis)
    if not diagnosis.healthy:
        raise click.exceptions.Exit(ExitCode.UNREACHABLE)


def _examined(name: str | None, file: Path | None, *, insecure: bool) -> Diagnosis:
    # The HTTP library comes with both.
    from runner import doctor  # noqa: PLC0415
    from runner.trackers import Trackers  # noqa: PLC0415

    try:
        tracker = Trackers(file, os.environ, insecure=insecure).get(name)
        return doctor.examine(tracker, Catalogue())
    except RunnerError as error:
        wrong = doctor.Finding("settings", doctor.State.PROBLEM, error.message, error.hint)
        return doctor.Diagnosis(name or "", "", [wrong])


def _plain(diagnosis: Diagnosis) -> dict[str, object]:
    return {**asdict(diagnosis), "healthy": diagnosis.healthy}


def _text(diagnosis: Diagnosis) -> None:
    paint = _painter()
    if diagnosis.url:
        click.echo(f"tracker {diagnosis.tracker}, {diagnosis.url}\n")
    for finding in diagnosis.findings:
        _say_finding(finding, paint)
    if diagnosis.rights:
        click.echo("\nwhat the key may read:")
        width = max(len(right.resource) for right in diagnosis.rights)
        for right in diagnosis.rights:
            click.echo(f"  {right.resource:<{width}}  {_said(right, paint)}")
        say(
            "an empty list is no proof that there is nothing: some are cut to what the key may see;"
        )
        say("what it may write cannot be known without writing")


def _painter() -> Paint:
    # What is painted goes to stdout: click leaves the colours out where that is no terminal.
    plain = os.environ.get("NO_COLOR") or os.environ.get("CI") or os.environ.get("TERM") == "dumb"
    return no_paint if plain else lambda text, colour: click.style(text, fg=colour)


def _say_finding(finding: Finding, paint: Paint) -> None:
    state = paint(f"{finding.state.value:<7}", _COLOURS[finding.state.value])
    click.echo(f"{state}  {finding.name:<12} {clean(finding.message)}")
    if finding.hint:
        click.echo(f"         {'':<12} {paint('=', 'cyan')} {clean(finding.hint)}")


def _said(right: Right, paint: Paint) -> str:
    if right.state == "ok":
        rows = "    answers" if right.rows is None else f"{right.rows:>6,} rows"
        return f"{rows}  {right.milliseconds} ms"
    return paint(f"{right.state}", "yellow") + f": {clean(right.message)}"
