"""Reading a report back, today's or an old one: its envelopes one by one, and what is odd in it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from runner.errors import RunnerError

_MOST_WARNINGS = 20


class Reader:
    """The envelopes of a report's lines, one at a time; iterate once.

    Once they were read, `trailer` is the last line, or `None` where there is none, and `warnings`
    says what was passed over. Raises RunnerError where the first line is no envelope.
    """

    def __init__(self, lines: Iterable[bytes | str]) -> None:
        self._lines = lines
        self.trailer: Mapping[str, Any] | None = None
        self.warnings: list[str] = []
        self._chained = self._cut = False

    @property
    def has_end(self) -> bool:
        """Whether the run came to its end, as far as the report tells: old ones have no trailer."""
        return self.trailer is not None or not (self._chained or self._cut)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        number = 0
        for number, line in enumerate(self._lines, 1):
            if not line.strip():
                continue
            fields = _parse(line)
            if fields is None:
                self._pass_over(number, line)
            elif fields.get("trailer") is True:
                self.trailer = fields
            else:
                self._chained = "hash" in fields
                self.trailer = None  # where reports were joined only the last one's counts
                yield fields

    def _pass_over(self, number: int, line: bytes | str) -> None:
        if number == 1:
            raise RunnerError(
                "the first line is no envelope: this is not a report",
                "a report is the JSONL that `run --report FILE` writes",
            )
        whole = line.endswith(b"\n") if isinstance(line, bytes) else line.endswith("\n")
        self._cut = not whole
        if len(self.warnings) < _MOST_WARNINGS:
            trouble = "is no envelope" if whole else "is cut off"
            self.warnings.append(f"line {number} {trouble} and was passed over")


def read_envelopes(lines: Iterable[bytes | str]) -> Reader:
    """The envelopes of a report, whose lines come with their newlines."""
    return Reader(lines)


def _parse(line: bytes | str) -> dict[str, Any] | None:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    known = isinstance(fields, dict) and ("step" in fields or fields.get("trailer") is True)
    return fields if known else None
