"""What a run and a problem look like to a person, and the lines of the report."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from runner.errors import ExitCode
from runner.masking import Masker
from runner.model import Finished, Place, Problem, Retrying, Severity, StepStarted, Summary
from runner.report import Console, JsonLines
from runner.report.closing import masked
from runner.report.console import draw, outcome_of

ENVELOPE: dict[str, Any] = {
    "run": "20260304-120000-abcdef", "seq": 1, "step": "offers", "index": None, "key": "offers",
    "tracker": "default", "source": "p.yaml:3:5", "resource": "offer", "operation": "getAll",
    "request": {"url": "https://t/x", "method": "GET", "headers": {"Api-Key": "***"}, "body": None},
    "status": 200, "success": True, "skipped": None, "data": [], "count": 0, "error": None,
    "attempts": 1, "started_at": "2026-03-04T12:00:00.000Z", "duration_ms": 12.5,
}  # fmt: skip
ERROR = {"type": "timeout", "message": "too slow", "hint": "wait", "stack": None, "status": None,
         "response": None}  # fmt: skip


def said(*envelopes: dict[str, Any], quiet: bool = False) -> list[str]:
    lines: list[str] = []
    console = Console(lines.append, quiet=quiet)
    for envelope in envelopes:
        console(Finished(envelope["step"], envelope))
    return "\n".join(lines).splitlines()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({}, "ok       offers  offer.getAll  200  0 rows  12 ms"),
        ({"data": {"id": 7}, "count": None}, "ok       offers  offer.getAll  200  id 7  12 ms"),
        (
            {"data": {"rows": [1, 2]}, "count": None},
            "ok       offers  offer.getAll  200  2 rows  12 ms",
        ),
        ({"data": None, "count": None}, "ok       offers  offer.getAll  200  12 ms"),
        (
            {"skipped": "when: x is false", "request": None, "status": None},
            "skipped  offers  offer.getAll  (when: x is false)",
        ),
    ],
    ids=["list", "entity", "report", "nothing", "skipped"],
)
def test_console(change: dict[str, Any], line: str) -> None:
    """A finished call is one line: what became of it, what it was, what came, how long it took."""
    assert said({**ENVELOPE, **change}) == [line]


def test_console_says_failures_when_quiet() -> None:
    """Quiet leaves out what went well, never a failure or a doubt."""
    failed = {**ENVELOPE, "success": False, "error": ERROR, "data": None, "count": None}
    unknown = {**failed, "success": None, "status": None}
    skipped = {**ENVELOPE, "skipped": "why"}
    assert said(ENVELOPE, skipped, failed, unknown, quiet=True) == [
        "FAILED   offers  offer.getAll  200  12 ms",
        "         p.yaml:3:5: too slow",
        "         wait",
        "UNKNOWN  offers  offer.getAll  12 ms",
        "         p.yaml:3:5: too slow",
        "         wait",
    ]


def test_outcomes() -> None:
    """An envelope is done, failed, skipped or unknown."""
    outcomes = [
        outcome_of({"skipped": skipped, "success": success})
        for skipped, success in [(None, True), (None, False), ("why", True), (None, None)]
    ]
    assert outcomes == ["done", "failed", "skipped", "unknown"]


def test_other_events_are_no_lines() -> None:
    """Only finished calls are reported."""
    stream = io.StringIO()
    report = JsonLines(stream)
    for event in (StepStarted("a", "a", 1, 2), Retrying("a", 1, 2.0, "why")):
        report(event)
        Console(stream.write)(event)
    assert stream.getvalue() == ""


def test_lines_are_flushed() -> None:
    """Each envelope is one line, out at once."""

    class Stream(io.StringIO):
        flushed = ""

        def flush(self) -> None:
            self.flushed = self.getvalue()

    stream = Stream()
    line = json.dumps(ENVELOPE)
    JsonLines(stream)(Finished("offers", ENVELOPE, line))
    assert stream.flushed == line + "\n"


def test_summary() -> None:
    """The summary counts, and names what was done and what is unknown when the run went wrong."""
    lines: list[str] = []
    summary = Summary("r1", succeeded=1, changed=1, failed=1, unknown=1, skipped=2, not_run=3)
    summary.written, summary.doubtful = ["a (group.create) id 1"], ["b (offer.create)"]
    summary.exit_code = ExitCode.IN_DOUBT
    summary.missed = ["c", "d"]
    Console(lines.append).summary(summary)
    assert lines[1] == ("run r1: 1 succeeded, 1 changed, 1 failed, 1 unknown, 2 skipped, 3 not run")
    assert "  a (group.create) id 1" in lines
    assert "  b (offer.create)" in lines
    assert lines[-1] == "not run: c, d, and 1 more"


def test_quiet_summary() -> None:
    """Nothing is said of a run that went well when quiet, and all of one that did not."""
    lines: list[str] = []
    console = Console(lines.append, quiet=True)
    console.summary(Summary("r1", succeeded=1))
    assert lines == []
    console.summary(Summary("r1", failed=1, exit_code=ExitCode.FAILED))
    assert lines[-1] == "run r1: 1 failed"


def problem(line: str, column: int, length: int = 1) -> Problem:
    place = Place("p.yaml", 10, column, length)
    return Problem("KP204", Severity.ERROR, place, "steps[0]", "wrong", "right it", line)


def test_drawing() -> None:
    """A problem is drawn with its line, a caret under the spot, and what to do."""
    assert draw(problem("  id: nine", 7, 4)) == (
        "p.yaml:10:7: error KP204: wrong\n  10 |   id: nine\n     |       ^^^^\n  = right it"
    )


def test_drawing_keeps_tabs() -> None:
    """Tabs before the spot stay tabs, so that the caret stands right whatever their width."""
    assert draw(problem("\t\tid: x", 7)).splitlines()[2] == "     | \t\t    ^"


def test_drawing_of_a_long_line() -> None:
    """Of a very long line the part around the spot is shown, the caret still below it."""
    line = "a" * 3000 + "HERE" + "b" * 3000
    _, shown, caret, _ = draw(problem(line, 3001, 4)).splitlines()
    assert len(shown) < 200
    begin, end = caret.index("^"), caret.rindex("^") + 1
    assert shown[begin:end] == "HERE"


def test_drawing_without_a_line() -> None:
    """Where there is nothing to show nothing is drawn, and control characters never are."""
    assert draw(problem("", 1)) == "p.yaml:10:1: error KP204: wrong\n  = right it"
    assert "\x1b" not in draw(problem("a\x1b[31mb", 1))


def test_colour() -> None:
    """Colour is what the painter makes of it."""
    drawn = draw(problem("x", 1), lambda text, colour: f"<{colour}>{text}</>")
    assert "<red>error</>" in drawn
    assert "<red>^</>" in drawn


def test_what_the_summary_names_is_masked() -> None:
    """Steps that were not run too, by whatever name."""
    summary = Summary(
        "r1", missed=["the-secret"], written=["the-secret (a.b)"], doubtful=["the-secret"]
    )
    told = masked(summary, Masker(["the-secret"]))
    assert (told.missed, told.written, told.doubtful) == (["***"], ["*** (a.b)"], ["***"])
