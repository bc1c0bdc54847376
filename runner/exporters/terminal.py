"""A report in a few lines, for a person at a terminal."""

from __future__ import annotations

from typing import TextIO

from runner.exporters.calls import (
    FAILED,
    NO_END,
    UNKNOWN,
    Call,
    Calls,
    Totals,
    duration_text,
    not_run,
    plural,
)
from runner.exporters.excerpts import Excerpts
from runner.exporters.reading import Reader
from runner.exporters.surroundings import Surroundings

MOST_FAILURES = 20


def write(reader: Reader, stream: TextIO, surroundings: Surroundings) -> None:
    """What failed, the first of it at its place in the playbook, and the counts."""
    totals, calls = Totals(), Calls()
    failures: list[Call] = []
    for envelope in reader:
        call = calls(envelope)
        totals.add(call)
        if call.outcome in {FAILED, UNKNOWN} and len(failures) < MOST_FAILURES:
            failures.append(call)
    lines: list[str | None] = [line for call in failures for line in _failure(call)]
    if totals.first is not None:
        lines[3:3] = _place(totals.first, surroundings)
    hidden = totals.outcomes[FAILED] + totals.outcomes[UNKNOWN] - len(failures)
    if hidden:
        lines.append(f"… and {hidden:,} more that failed or are unknown")
    counts = ", ".join(f"{n:,} {word}" for word, n in totals.counts(reader) if n)
    lines += [
        "" if lines else None,
        *(f"note: {warning}" for warning in reader.warnings),
        None if reader.has_end else f"note: {NO_END}",
        not_run(reader) or None,
        f"{totals.playbook}: {totals.verdict(reader)}, {plural(totals.calls, 'call')} on "
        f"{', '.join(totals.trackers) or '?'} in {duration_text(totals.seconds)}",
        f"run {', '.join(totals.runs) or '?'}: {counts or 'no calls'}",
    ]  # fmt: skip
    stream.writelines(_printable(line) + "\n" for line in lines if line is not None)


def _failure(call: Call) -> list[str]:
    word = "UNKNOWN" if call.outcome == UNKNOWN else "FAILED"
    status = "" if call.status is None else f"  {call.status}"
    return [
        f"{word:<7}  {call.title}  {call.what}{status}",
        f"         {call.source}: {call.message}",
        f"         {call.hint}",
    ]


def _place(call: Call, surroundings: Surroundings) -> list[str]:
    excerpt = Excerpts(surroundings.folder).at(call.file, call.line, call.column)
    if excerpt is None:
        return []
    line = excerpt.lines[excerpt.line - excerpt.start]
    number = str(excerpt.line)
    return [
        f"         {number} | {line}",
        f"         {' ' * len(number)} | {' ' * (excerpt.column - 1)}^",
    ]


def _printable(text: str) -> str:
    """Without what would drive a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text).rstrip()
