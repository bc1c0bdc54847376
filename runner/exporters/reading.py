"""Reading a report back, today's or an old one: its envelopes one by one, and what is odd in it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from runner.chain import Follower
from runner.compact import decode
from runner.errors import RunnerError

_MOST_WARNINGS = 20


class Reader:
    """The envelopes of a report's lines, one at a time; iterate once.

    Once they were read, `trailer` is the last line, or `None` where there is none, and `warnings`
    says what was passed over. The lines of these numbers are `left_out`. Raises RunnerError where
    the first line is no envelope.
    """

    def __init__(
        self,
        lines: Iterable[bytes],
        left_out: Collection[int] = (),
        key: str | None = None,
    ) -> None:
        self._lines = lines
        self._left_out = left_out
        self.trailer: Mapping[str, Any] | None = None
        self.warnings: list[str] = []
        self._chained = self._cut = False
        self._chain = Follower(key)

    @property
    def has_end(self) -> bool:
        """Whether the run came to its end, as far as the report tells: old ones have no trailer."""
        return self.trailer is not None or not (self._chained or self._cut)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        number = 0
        for number, line in enumerate(self._lines, 1):
            if not line.strip():
                continue
            self._chain.take(number, line)
            if number in self._left_out:
                continue
            fields = _parse(line)
            if fields is None:
                self._pass_over(number, line)
            elif fields.get("trailer") is True:
                self.trailer = fields
                self._chain.end()
            else:
                self._chained = "hash" in fields
                self.trailer = None  # where reports were joined only the last one's counts
                yield fields
        if self._chain.broken:
            self.warnings.append(
                f"the report is not as it was written: line {self._chain.broken} was changed, or "
                "does not follow on the one before; `report verify` says more"
            )
        if self._left_out:
            count = len(self._left_out)
            calls = "1 call was" if count == 1 else f"{count} calls were"
            self.warnings.append(f"{calls} made again later in the run: only the last time counts")

    def _pass_over(self, number: int, line: bytes) -> None:
        if number == 1:
            raise RunnerError(
                "the first line is no envelope: this is not a report",
                "a report is the JSONL that `run --report FILE` writes",
            )
        whole = line.endswith(b"\n")
        self._cut = not whole
        if len(self.warnings) < _MOST_WARNINGS:
            trouble = "is no envelope" if whole else "is cut off"
            self.warnings.append(f"line {number} {trouble} and was passed over")


def read_envelopes(
    lines: Iterable[bytes], left_out: Collection[int] = (), key: str | None = None
) -> Reader:
    """The envelopes of a report, whose lines come with their newlines, without those left out.

    `key` is what its chain may have been made with.
    """
    return Reader(lines, left_out, key)


def earlier_attempts(report: Path) -> frozenset[int]:
    """The numbers of the lines of calls that did not succeed and were made again by a later part.

    A run that was resumed reports both. Looks at bytes alone: most lines say that all went well.
    """
    waiting: dict[bytes, int] = {}
    found = set()
    with report.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            succeeded = _SUCCEEDED in line
            if succeeded and not waiting:
                continue
            key = _key(line)
            if key in waiting:
                found.add(waiting.pop(key))
            if key and not succeeded:
                waiting[key] = number
    return frozenset(found)


_SUCCEEDED = b',"success":true,"skipped":'


def _key(line: bytes) -> bytes:
    """The run, the step and the iteration of an envelope's line; empty where it is none."""
    head, seq, rest = line.partition(b',"seq":')
    step, tracker, _ = rest.partition(b',"tracker":')
    # Old reports have no key, and may be gone on with.
    step = step.partition(b',"key":')[0]
    return head + step.partition(b",")[2] if seq and tracker else b""


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        fields = decode(line)
    except (ValueError, RecursionError):
        return None
    known = isinstance(fields, dict) and ("step" in fields or fields.get("trailer") is True)
    return fields if known else None
