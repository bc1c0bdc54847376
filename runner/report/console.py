"""What a person reads while a playbook runs: a line for each call, and the summary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from runner.model import Event, Finished, Json, Problem, Severity, Summary

Say = Callable[[str], None]
Paint = Callable[[str, str], str]

_MARKS = {"done": ("ok", "green"), "failed": ("FAILED", "red"), "skipped": ("skipped", "yellow"),
          "unknown": ("UNKNOWN", "magenta")}  # fmt: skip


def no_paint(text: str, colour: str) -> str:  # noqa: ARG001
    """No colour: for pipes, CI and NO_COLOR."""
    return text


class Console:
    """Says each finished call and, at the end, what became of the run."""

    def __init__(self, say: Say, paint: Paint = no_paint, *, quiet: bool = False) -> None:
        self._say = say
        self._paint = paint
        self._quiet = quiet

    def __call__(self, event: Event) -> None:
        """Say a finished call; a failed one is said even when quiet."""
        if not isinstance(event, Finished):
            return
        outcome = outcome_of(event.envelope)
        if self._quiet and outcome in {"done", "skipped"}:
            return
        for line in self._lines(event.key, event.envelope, outcome):
            self._say(line)

    def _lines(self, key: str, envelope: Mapping[str, Any], outcome: str) -> list[str]:
        word, colour = _MARKS[outcome]
        what = f"{envelope['resource']}.{envelope['operation']}"
        mark = self._paint(f"{word:<7}", colour)
        lines = [f"{mark}  {key}  {what}{_result(envelope)}"]
        error = envelope["error"]
        if error is not None:
            lines.append(f"         {envelope['source']}: {error['message']}")
            if error["hint"]:
                lines.append(f"         {error['hint']}")
        return lines

    def summary(self, summary: Summary) -> None:
        """Say what was done, what failed, what is unknown and what did not run."""
        counts = [
            (summary.succeeded, "succeeded", "green"),
            (summary.changed, "changed", "cyan"),
            (summary.failed, "failed", "red"),
            (summary.unknown, "unknown", "magenta"),
            (summary.skipped, "skipped", "yellow"),
            (summary.not_run, "not run", "yellow"),
        ]
        shown = [self._paint(f"{n} {word}", colour) for n, word, colour in counts if n]
        if self._quiet and summary.exit_code == 0:
            return
        self._say("")
        self._say(f"run {summary.run}: " + (", ".join(shown) or "nothing to do"))
        if summary.exit_code != 0:
            self._list("done:", summary.written)
        self._list("unknown, look at the tracker before you run again:", summary.doubtful)

    def _list(self, title: str, entries: list[str]) -> None:
        if entries:
            self._say(title)
            for entry in entries:
                self._say(f"  {entry}")


def outcome_of(envelope: Mapping[str, Json]) -> str:
    """`done`, `failed`, `skipped` or `unknown`."""
    if envelope["skipped"] is not None:
        return "skipped"
    if envelope["success"] is None:
        return "unknown"
    return "done" if envelope["success"] else "failed"


def _result(envelope: Mapping[str, Any]) -> str:
    parts = []
    if envelope["skipped"]:
        return f"  ({envelope['skipped']})"
    if envelope["status"] is not None:
        parts.append(str(envelope["status"]))
    data = envelope["data"]
    if isinstance(data, dict) and "id" in data:
        parts.append(f"id {data['id']}")
    elif envelope["count"] is not None:
        parts.append(f"{envelope['count']} rows")
    elif isinstance(data, dict) and isinstance(data.get("rows"), list):
        parts.append(f"{len(data['rows'])} rows")
    if envelope["request"] is not None:
        parts.append(f"{envelope['duration_ms']:.0f} ms")
    return "  " + "  ".join(parts) if parts else ""


def draw(problem: Problem, paint: Paint = no_paint) -> str:
    """A problem as a small drawing: where, the source line, a caret under the spot, what to do."""
    error = problem.severity is Severity.ERROR
    word = paint(problem.severity.value, "red" if error else "yellow")
    head = f"{problem.place}: {word} {problem.code}: {problem.message}"
    lines = [head]
    if problem.line.strip():
        line, column, length = _window(problem.line, problem.place.column, problem.place.length)
        number = str(problem.place.line)
        lines.append(f"  {number} | {line}")
        caret = paint("^" * length, "red" if error else "yellow")
        lines.append(f"  {' ' * len(number)} | {_gap(line, column)}{caret}")
    if problem.hint:
        lines.append(f"  {paint('=', 'cyan')} {problem.hint}")
    return "\n".join(lines)


def _window(line: str, column: int, length: int, width: int = 160) -> tuple[str, int, int]:
    """The part of a long line around the spot, with the column inside that part."""
    line = "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in line)
    if len(line) <= width:
        return line, column, length
    start = max(column - 1 - width // 3, 0)
    return line[start : start + width], column - start, min(length, width - (column - 1 - start))


def _gap(line: str, column: int) -> str:
    """Blanks up to a column, tabs kept, so that the caret stands below its spot."""
    return "".join("\t" if c == "\t" else " " for c in line[: column - 1])
