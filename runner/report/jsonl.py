"""The report: one envelope a line, written as soon as it is known; keeps nothing in memory."""

from __future__ import annotations

from typing import TextIO

from runner.model import Event, Finished


class JsonLines:
    """Writes each envelope to a text stream and flushes it, so that a killed run loses none."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, event: Event) -> None:
        """Write the event's line, if it has one. Raises OSError where the stream cannot take it."""
        if isinstance(event, Finished):
            self._stream.write(event.line + "\n")
            self._stream.flush()
