"""How commands speak: results on stdout, conversation on stderr, colour where it is wanted."""

from __future__ import annotations

import os
import sys

import click

from runner.report.console import Paint, no_paint


def say(text: str) -> None:
    """A line of conversation, on stderr."""
    click.echo(text, err=True)


def painter() -> Paint:
    """Colour for a terminal, none for pipes, CI and NO_COLOR."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("CI") or os.environ.get("TERM") == "dumb"
    return no_paint if plain or not sys.stderr.isatty() else _style


def _style(text: str, colour: str) -> str:
    return click.style(text, fg=colour)
