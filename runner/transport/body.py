"""The bytes of an answer, unpacked as they arrive, and never more of them than the limit."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable

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
    """Collects an answer of at most `limit` bytes until `deadline`, on the monotonic clock."""

    def __init__(self, limit: int, deadline: float) -> None:
        self._limit = limit
        self._deadline = deadline
        self._parts: list[bytes] = []
        self._size = 0

    def whole(self) -> bytes:
        """All that arrived."""
        return b"".join(self._parts)

    def beginning(self) -> bytes:
        """Enough of what arrived to see what it was."""
        return self.whole()[:BEGINNING]

    def read(self, chunks: Iterable[bytes], coding: str) -> None:
        """Take the chunks, packed as `coding` says; `AnswerError` as soon as one is due."""
        if coding in ("gzip", "x-gzip"):
            chunks = self._unpacked(chunks)
        elif coding not in ("", "identity"):
            raise GarbledError(f"it is packed as '{coding}', which was not asked for")
        for chunk in chunks:
            self._parts.append(chunk)
            self._size += len(chunk)
            if self._size > self._limit:
                raise TooLargeError(f"more than {self._limit} bytes")
            if time.monotonic() > self._deadline:
                raise TooSlowError

    def _unpacked(self, chunks: Iterable[bytes]) -> Iterable[bytes]:
        """Unpack by hand: httpx unpacks a chunk in full, and a bomb is small while packed."""
        unpacker, begun = zlib.decompressobj(_GZIP), False
        for chunk in chunks:
            data, begun = chunk, True
            while data:
                if unpacker.eof:  # a gzip file may consist of several, one after the other
                    unpacker = zlib.decompressobj(_GZIP)
                try:
                    yield unpacker.decompress(data, self._limit - self._size + 1)
                except zlib.error as error:
                    raise GarbledError(f"it cannot be unpacked ({error})") from None
                data = unpacker.unused_data or unpacker.unconsumed_tail
        if begun and not unpacker.eof:
            raise GarbledError("what is packed stops early")
