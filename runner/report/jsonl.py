"""The report: one envelope a line, written while the next call waits; keeps nothing in memory."""

from __future__ import annotations

from typing import TextIO

from runner.chain import Chain
from runner.model import Event, Finished, Summary


class JsonLines:
    """Writes each envelope to a text stream and flushes it.

    Of a run that is killed the last few may be missing, which its journal has. With a chain each
    line carries the hash of the one before, and `close` writes the trailer.
    """

    def __init__(self, stream: TextIO, chain: Chain | None = None) -> None:
        self._stream = stream
        self._chain = chain

    def __call__(self, event: Event) -> None:
        """Write the event's line, if it has one. Raises OSError where the stream cannot take it."""
        if isinstance(event, Finished):
            self.write(event.line)

    def write(self, line: str) -> None:
        """Write an envelope's line, such as one of an earlier part of the run."""
        self._put(self._chain.link(line) if self._chain else line)

    def close(self, summary: Summary) -> None:
        """Write the trailer, where there is a chain: the report has its normal end."""
        if self._chain:
            self._put(self._chain.trailer(summary.run, summary))

    def _put(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()
