"""How commands speak: results on stdout, conversation on stderr, colour where it is wanted."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

import click

from runner.cli.stopping import STOPPING
from runner.report.drawing import Paint, no_paint
from runner.stop import Stop

if TYPE_CHECKING:
    from runner.model import Event


def say(text: str) -> None:
    """A line of conversation, on stderr; where nobody reads that any more it is lost."""
    try:
        click.echo(text, err=True)
    except OSError:
        give_up(sys.stderr)


def give_up(stream: TextIO) -> None:
    """Send what else comes to a stream that cannot be written to nowhere.

    Else Python tries to write it once more when it ends, and complains.
    """
    with suppress(OSError, ValueError):  # ValueError: it is closed
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def painter() -> Paint:
    """Colour for a terminal, none for pipes, CI and NO_COLOR."""
    return _style if _is_for_people() else no_paint


def _is_for_people() -> bool:
    plain = os.environ.get("NO_COLOR") or os.environ.get("CI") or os.environ.get("TERM") == "dumb"
    return not plain and sys.stderr.isatty()


def _style(text: str, colour: str) -> str:
    return click.style(text, fg=colour)


@contextmanager
def watched(
    stop: Stop, *, wanted: bool
) -> Iterator[tuple[Callable[[str], None], list[Callable[[Event], None]]]]:
    """How a run's lines are said, and what else takes its events: the live view on a terminal.

    While there is one, it is what tells that the run is about to stop.
    """
    can_draw = (sys.stderr.encoding or "").lower().replace("-", "") == "utf8"
    if not (wanted and can_draw and _is_for_people()):
        yield say, []
        return
    from runner.report.live import Live  # noqa: PLC0415  (brings rich)

    with Live(sys.stderr, say, lambda: STOPPING if stop.is_set() else "") as live:
        stop.watched = True
        try:
            yield live.say, [live]
        finally:
            stop.watched = False
