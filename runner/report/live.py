"""The live view at the foot of a terminal, finished lines scrolling up above it.

Imported for a terminal only, since rich takes 40 ms to import.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TextIO

from rich.console import Console as Terminal
from rich.console import ConsoleOptions, RenderResult
from rich.live import Live as Region
from rich.segment import Segment

from runner.model import Event
from runner.report.view import View

FRAME = 0.125  # seconds between two pictures


class Live:
    """Shows what a run does while it is entered: a sink for events, and a way to say lines.

    One thread draws, eight times a second, so that a run of many short calls pays for the lines
    and not for the pictures. Leaving it wipes the view and gives the terminal back; what is said
    afterwards goes to `after`. What `notice` gives is said once, when it comes: a signal's handler
    must not draw. A terminal that has gone ends the view and never the run.
    """

    def __init__(
        self,
        stream: TextIO,
        after: Callable[[str], None],
        notice: Callable[[], str] = str,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._after = after
        self._notice = notice
        self._noticed = ""
        self._now = now
        self._view = View(now())
        self._lines: list[str] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._terminal = Terminal(file=stream, force_terminal=True, highlight=False, markup=False)
        self._region = Region(
            console=self._terminal, auto_refresh=False, transient=True,
            redirect_stdout=False, redirect_stderr=False, vertical_overflow="crop",
        )  # fmt: skip
        self._thread = threading.Thread(target=self._draw_on, daemon=True, name="live view")

    def __enter__(self) -> Live:
        self._region.start()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        try:
            self._thread.join()
        finally:
            # Also where a second Ctrl-C comes just now: the cursor must be there again.
            with suppress(OSError):
                self._region.stop()

    def __call__(self, event: Event) -> None:
        """Take an event in; it shows in the next picture."""
        self._view.take(event, self._now())

    def say(self, line: str) -> None:
        """A line above the view."""
        if self._over.is_set():
            self._after(line)
            return
        with self._lock:
            self._lines.append(line)

    def _draw_on(self) -> None:
        with suppress(OSError):
            while not self._over.wait(FRAME):
                self._draw()
            self._scroll()

    def _draw(self) -> None:
        width = self._terminal.width
        self._region.update(self._view.render(self._now(), width - 1))
        if not self._scroll():
            self._region.refresh()

    def _scroll(self) -> bool:
        """Put the lines said since the last picture above it, and draw it anew."""
        notice = self._notice()
        with self._lock:
            lines, self._lines = self._lines, []
        if notice != self._noticed:
            self._noticed = notice
            lines.append(notice)
        if lines:
            self._terminal.print(_Raw(lines), soft_wrap=True)
        return bool(lines)


class _Raw:
    """Lines as they are, colours and all: they were made for a terminal already."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def __rich_console__(self, console: Terminal, options: ConsoleOptions) -> RenderResult:
        yield Segment("\n".join(self._lines))
        yield Segment.line()
