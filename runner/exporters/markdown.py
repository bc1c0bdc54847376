"""A report as Markdown, for the summary of a CI job or a comment."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TextIO

from runner.changes import all_changes
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
    text_of,
)
from runner.exporters.excerpts import Excerpt, Excerpts
from runner.exporters.reading import Reader
from runner.exporters.surroundings import Surroundings
from runner.model import reason_held

MOST_FAILURES = 50
MOST_CHANGES = 100
MOST_HELD = 50
MOST_DESTROYS = 500
LONGEST = 500  # characters of a message in a table
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~&#$:@!])")
_SIGNS = {"succeeded": "✅", "failed": "❌", "in doubt": "❓", "interrupted": "⏹️",
          "unfinished": "⏹️", "dry run": "🔎"}  # fmt: skip


@dataclass(slots=True)
class _Seen:
    """What the summary names, in memory that does not grow with the report."""

    totals: Totals = field(default_factory=Totals)
    failures: list[Call] = field(default_factory=list)
    changes: list[Call] = field(default_factory=list)
    held: list[Call] = field(default_factory=list)
    destroys: list[Call] = field(default_factory=list)


def write(reader: Reader, stream: TextIO, surroundings: Surroundings) -> None:
    """The verdict, the counts, the first failure at its place, and what failed and changed."""
    seen, calls = _Seen(), Calls()
    for envelope in reader:
        call = calls(envelope)
        seen.totals.add(call)
        if call.outcome in {FAILED, UNKNOWN} and len(seen.failures) < MOST_FAILURES:
            seen.failures.append(call)
        if call.held and call.destroys and len(seen.destroys) < MOST_DESTROYS:
            seen.destroys.append(call)
        elif call.held and not call.destroys and len(seen.held) < MOST_HELD:
            seen.held.append(call)
        if call.changed and len(seen.changes) < MOST_CHANGES:
            seen.changes.append(call)
    for line in _lines(seen, reader, surroundings):
        stream.write(line + "\n")


def _lines(seen: _Seen, reader: Reader, surroundings: Surroundings) -> list[str]:
    totals = seen.totals
    verdict = totals.verdict(reader)
    counts = [(word, number) for word, number in totals.counts(reader) if number]
    lines = [
        f"## {_SIGNS[verdict]} {_text(totals.playbook)}: {verdict}",
        "",
        f"{plural(totals.calls, 'call')} on {_text(', '.join(totals.trackers) or '?')} in "
        f"{duration_text(totals.seconds)}, run {_text(', '.join(totals.runs) or '?')}",
        "",
    ]
    if counts:
        lines += [
            "| " + " | ".join(word for word, _ in counts) + " |",
            "|" + " ---: |" * len(counts),
            "| " + " | ".join(f"{number:,}" for _, number in counts) + " |",
            "",
        ]
    lines += [f"> {_text(warning)}\n" for warning in reader.warnings]
    if not reader.has_end:
        lines += [f"> {NO_END}", ""]
    if totals.first is not None:
        lines += _first(totals.first, surroundings)
        lines += _failures(seen)
    if missed := not_run(reader):
        lines += [_text(missed), ""]
    return lines + _held(seen) + _changes(seen)


def _first(call: Call, surroundings: Surroundings) -> list[str]:
    lines = [f"### First failure: {_text(call.title)}", "", _text(call.message), ""]
    if call.hint:
        lines += [_text(call.hint), ""]
    excerpt = Excerpts(surroundings.folder).at(call.file, call.line, call.column)
    drawn = [f"{call.source}", *(_drawn(excerpt) if excerpt else [])]
    if call.request:
        answer = "no answer" if call.status is None else f"status {call.status}"
        drawn += ["", f"{call.request.get('method')} {call.request.get('url')}", answer]
    return [*lines, *_fenced(drawn), ""]


def _drawn(excerpt: Excerpt) -> list[str]:
    width = len(str(excerpt.start + len(excerpt.lines)))
    lines = []
    for number, text in enumerate(excerpt.lines, excerpt.start):
        lines.append(f"{number:>{width}} | {text}")
        if number == excerpt.line:
            lines.append(f"{'':>{width}} | {' ' * (excerpt.column - 1)}^")
    return lines


def _fenced(lines: list[str]) -> list[str]:
    """A code block whose fence is longer than any row of backticks inside it."""
    longest = max((len(row) for line in lines for row in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    inside = [part for line in lines for part in line.splitlines() or [""]]
    return [f"{fence}text", *inside, fence]


def _failures(seen: _Seen) -> list[str]:
    outcomes = seen.totals.outcomes
    total = outcomes[FAILED] + outcomes[UNKNOWN]
    lines = ["| step | call | status | what happened | where |", "| --- | --- | --- | --- | --- |"]
    for call in seen.failures:
        kind = "unknown" if call.outcome == UNKNOWN else str(call.status or "")
        cells = (call.title, call.what, kind, call.message, call.source)
        lines.append("| " + " | ".join(_text(cell) for cell in cells) + " |")
    if total > len(seen.failures):
        lines.append(f"\n… and {total - len(seen.failures):,} more, which the report names.")
    return [*lines, ""]


def _held(seen: _Seen) -> list[str]:
    """What a dry run held back, as it would be sent: first what would destroy, and all of that."""
    totals = seen.totals
    drawn = _drawn_calls(seen.destroys, totals.held_destroys)
    lines = ["### What would be destroyed", "", *_fenced(drawn), ""] if drawn else []
    drawn = _drawn_calls(seen.held, totals.held - totals.held_destroys)
    return [*lines, "### What would be sent", "", *_fenced(drawn), ""] if drawn else lines


def _drawn_calls(calls: list[Call], count: int) -> list[str]:
    drawn: list[str] = []
    for call in calls:
        if drawn:
            drawn.append("")
        reason = reason_held(call.message)
        drawn.append(f"{call.title}  {call.what}" + (f"  ({reason})" if reason else ""))
        drawn.append(f"{call.request.get('method')} {call.request.get('url')}")
        body, now = call.request.get("body"), call.envelope.get("now")
        if isinstance(body, dict) and isinstance(now, dict):
            drawn += all_changes(body, now)
        elif body is not None:
            text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
            drawn.append(text if len(text) <= LONGEST else f"{text[:LONGEST]} …")
    if count > len(calls):
        drawn.append(f"… and {count - len(calls):,} more, which the report names.")
    return drawn


def _changes(seen: _Seen) -> list[str]:
    if not seen.changes:
        return []
    total = seen.totals.changed
    lines = [f"<details><summary>{plural(total, 'change')}</summary>", ""]
    several = len(seen.totals.trackers) > 1
    lines += [f"- {_text(_change(call, several=several))}" for call in seen.changes]
    if total > len(seen.changes):
        lines.append(f"- … and {total - len(seen.changes):,} more, which the report names.")
    return [*lines, "", "</details>"]


def _change(call: Call, *, several: bool) -> str:
    """What was changed, and on which tracker where there are several."""
    where = f" on {text_of(call.envelope.get('tracker'))}" if several else ""
    return f"{call.title} ({call.what}{where}) {call.result}".rstrip()


def _text(text: str) -> str:
    """The text as itself: no markup, no link, no mention, on one line."""
    flat = " ".join(text.split())
    flat = flat if len(flat) <= LONGEST else flat[:LONGEST] + " …"
    return re.sub(r"(?i)\b(www)\.", r"\1\\.", _SPECIAL.sub(r"\\\1", flat))
