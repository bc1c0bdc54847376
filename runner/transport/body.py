"""The bytes of an answer, unpacked as they arrive, and never more of them than the limit."""

from __future__ import annotations

import time
import zlib
from typing import Any

BEGINNING = 64 * 1024  # bytes of a broken answer that are kept to look at
_GZIP = 16 + zlib.MAX_WBITS


class AnswerError(Exception):
    """The answer cannot be taken whole; the message says why."""


class TooLargeError(AnswerError):
    """It is longer than the limit, packed or not."""


class TooSlowError(AnswerError):
    """Bytes keep coming, but not fast enough to be done in time."""


class GarbledError(AnswerError):
    """It cannot be unpacked."""


class Body:
    """Collects an answer of at most `limit` bytes, packed and unpacked, in at most `seconds`.

    The time begins with the first of it: what was sent before may have taken its own.
    """

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._deadline: float | None = None
        self._content = bytearray()  # parts of a byte each would take a hundred times their size
        self._packed = 0
        self._unpacker: Any = None  # zlib's own type has no public name
        self._begun = False

    def whole(self) -> bytes:
        """All that arrived."""
        return bytes(self._content)

    def beginning(self) -> bytes:
        """Enough of what arrived to see what it was."""
        return bytes(self._content[:BEGINNING])

    def begin(self, coding: str) -> None:
        """What follows is packed as `coding` says. Raises GarbledError where that is unknown."""
        coding = coding.lower()
        if coding in ("gzip", "x-gzip"):
            self._unpacker = zlib.decompressobj(_GZIP)
        elif coding not in ("", "identity"):
            raise GarbledError(f"it is packed as '{coding}', which was not asked for")

    def check_time(self) -> None:
        """Something has arrived. Raises TooSlowError where all of it should have by now."""
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + self._seconds
        elif now > self._deadline:
            raise TooSlowError

    def take(self, chunk: bytes) -> None:
        """Take what has arrived. Raises AnswerError as soon as one is due."""
        if self._unpacker is None:
            self._keep(chunk)
        elif chunk:
            self._unpack(chunk)

    def end(self) -> None:
        """All has arrived. Raises GarbledError where what is packed stops early."""
        if self._begun and self._unpacker is not None and not self._unpacker.eof:
            raise GarbledError("what is packed stops early")

    def _unpack(self, data: bytes) -> None:
        """Unpack by hand: libraries unpack a chunk in full, and a bomb is small while packed."""
        self._begun = True
        self._packed += len(data)
        if self._packed > self._limit:  # an empty file packed many times over unpacks to nothing
            raise TooLargeError(f"more than {self._limit} bytes")
        while data and self._unpacker is not None:
            if self._unpacker.eof:  # a gzip file may consist of several, one after the other
                self._unpacker = zlib.decompressobj(_GZIP)
            try:
                self._keep(self._unpacker.decompress(data, self._limit - len(self._content) + 1))
            except zlib.error as error:
                raise GarbledError(f"it cannot be unpacked ({error})") from None
            data = self._unpacker.unused_data or self._unpacker.unconsumed_tail

    def _keep(self, part: bytes) -> None:
        self._content += part
        if len(self._content) > self._limit:
            raise TooLargeError(f"more than {self._limit} bytes")
        self.check_time()
