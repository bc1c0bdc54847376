"""A report as JUnit XML, in the form that Jenkins, GitLab and most CI systems read."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePath
from typing import IO, Any, TextIO
from xml.sax.saxutils import escape, quoteattr

from runner.errors import ExitCode
from runner.exporters.calls import (
    CONDITIONS,
    FAILED,
    NO_END,
    SKIPPED,
    UNKNOWN,
    Call,
    Calls,
    Totals,
    missed_steps,
    text_of,
)
from runner.exporters.reading import Reader
from runner.exporters.surroundings import Surroundings

LONGEST = 8_000  # characters of an answer; the report has the whole of it
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(slots=True)
class _Suite:
    """One run: its counts, and its cases in a file, since the counts come first."""

    run: str
    number: int
    cases: IO[str]
    totals: Totals = field(default_factory=Totals)
    failures: int = 0
    errors: int = 0
    added: int = 0
    missed: int = 0
    stopped: set[str] = field(default_factory=set)


def write(reader: Reader, stream: TextIO, surroundings: Surroundings) -> None:  # noqa: ARG001
    """A suite for each run, a case for each call, and one for each step that was not run.

    A condition of the playbook that does not hold is a `failure`; all else that went wrong is an
    `error`, with the type `unknown` where the outcome of a write is not known.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8") as suites:
        overall = Totals()
        failures = errors = tests = 0
        for suite in _suites(reader):
            _write_suite(suite, suites)
            failures, errors = failures + suite.failures, errors + suite.errors
            tests += suite.totals.calls + suite.added
            overall.began = suite.totals.began if overall.began is None else overall.began
            overall.ended = suite.totals.ended or overall.ended
        stream.write('<?xml version="1.0" encoding="UTF-8"?>\n')
        stream.write(
            f'<testsuites name="keitaro-runner" tests="{tests}" failures="{failures}" '
            f'errors="{errors}" time="{max(overall.seconds, 0):.3f}">\n'
        )
        suites.seek(0)
        shutil.copyfileobj(suites, stream)
        stream.write("</testsuites>\n")


def _suites(reader: Reader) -> Any:
    """Each run's suite, complete; its cases are gone once the next one is asked for."""
    calls, suite, number = Calls(), None, 0
    for envelope in reader:
        run = text_of(envelope.get("run"))
        if suite is None or run != suite.run:
            if suite is not None:
                yield suite
                suite.cases.close()
            suite = _Suite(run, number, tempfile.TemporaryFile("w+", encoding="utf-8"))  # noqa: SIM115
            number += 1
        call = calls(envelope)
        suite.totals.add(call)
        if call.stopped:
            suite.stopped.add(call.key)
        _write_case(call, suite)
    if suite is not None:
        exit_code = (reader.trailer or {}).get("exit_code")
        if not reader.has_end:
            _write_end(suite, "unfinished", NO_END)
        elif exit_code == ExitCode.INTERRUPTED:
            _write_end(suite, "interrupted", "The run was interrupted before its end.")
        elif exit_code and not (suite.failures or suite.errors):
            _write_end(suite, "failed", f"The run ended with exit code {exit_code}.")
        _write_missed(suite, [s for s in missed_steps(reader) if s not in suite.stopped])
        yield suite
        suite.cases.close()


def _write_end(suite: _Suite, kind: str, message: str) -> None:
    """A case that is no call, so that a run that did not come to a good end does not pass."""
    suite.added, suite.errors = suite.added + 1, suite.errors + 1
    suite.cases.write(
        '<testcase classname="report" name="end" time="0.000">'
        f"<error type={_attribute(kind)} message={_attribute(message)}/></testcase>\n"
    )


def _write_missed(suite: _Suite, steps: Sequence[str]) -> None:
    """A case for each step that the run did not come to."""
    book = PurePath(suite.totals.playbook).stem
    suite.added, suite.missed = suite.added + len(steps), len(steps)
    for step in steps:
        suite.cases.write(
            f"<testcase classname={_attribute(f'{book}/step')} name={_attribute(step)} "
            'time="0.000"><skipped message="not run"/></testcase>\n'
        )


def _write_suite(suite: _Suite, stream: IO[str]) -> None:
    totals = suite.totals
    began = datetime.fromtimestamp(totals.began or 0, UTC)
    stream.write(
        f"<testsuite name={_attribute(totals.playbook)} id={_attribute(suite.number)} "
        f'tests="{totals.calls + suite.added}" failures="{suite.failures}" errors="{suite.errors}" '
        f'skipped="{totals.outcomes[SKIPPED] + suite.missed}" time="{totals.seconds:.3f}" '
        f'timestamp="{began:%Y-%m-%dT%H:%M:%S}" '
        f"hostname={_attribute(', '.join(totals.trackers) or 'unknown')}>\n"
        f'<properties><property name="run" value={_attribute(suite.run)}/></properties>\n'
    )
    suite.cases.seek(0)
    shutil.copyfileobj(suite.cases, stream)
    stream.write("</testsuite>\n")


def _write_case(call: Call, suite: _Suite) -> None:
    book = PurePath(call.file).stem or "playbook"
    attributes = {
        "classname": f"{book}/{call.what or 'step'}",
        "name": call.key,
        "time": f"{call.duration / 1000:.3f}",
    }
    if call.file:
        attributes |= {"file": call.file, "line": str(call.line)}
    head = " ".join(f"{name}={_attribute(value)}" for name, value in attributes.items())
    inside = _inside(call, suite)
    suite.cases.write(
        f"<testcase {head}>{inside}</testcase>\n" if inside else f"<testcase {head}/>\n"
    )


def _inside(call: Call, suite: _Suite) -> str:
    if call.outcome == SKIPPED:
        return f"<skipped message={_attribute(call.message)}/>"
    if call.outcome not in {FAILED, UNKNOWN}:
        return ""
    is_failure = call.outcome == FAILED and call.error_type in CONDITIONS
    suite.failures += is_failure
    suite.errors += not is_failure
    tag = "failure" if is_failure else "error"
    kind = "unknown" if call.outcome == UNKNOWN else call.error_type or "failed"
    return (
        f"<{tag} type={_attribute(kind)} message={_attribute(call.message or kind)}>"
        f"{escape(_clean(_story(call)))}</{tag}>"
    )


def _story(call: Call) -> str:
    """All that helps to understand a failure, for the place where CI shows the details."""
    request = call.request
    lines = [f"{call.source}: {call.message}", call.hint and f"= {call.hint}"]
    if call.outcome == UNKNOWN:
        lines.append("It is not known whether the tracker has carried this out.")
    if request:
        lines.append(f"\n{request.get('method')} {request.get('url')}")
        lines.append("" if request.get("body") is None else _json(request["body"]))
    if call.status is not None:
        lines.append(f"\nstatus {call.status}")
    response = call.error.get("response")
    lines.append("" if response is None else _json(response))
    return "\n".join(line for line in lines if line)


def _json(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}\n… {len(text) - LONGEST:,} characters more are in the report"


def _attribute(value: object) -> str:
    """A quoted attribute; line breaks survive as references."""
    return quoteattr(_clean(str(value)), {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})


def _clean(text: str) -> str:
    """Without what XML 1.0 cannot hold: control characters, lone surrogates."""
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
