"""An envelope in words and lines: what became of a call, what was sent, what came back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from runner.changes import ON_A_LINE, all_changes
from runner.model import Json, reason_held, was_stopped
from runner.report.drawing import clean

# How much of a body is shown; the report has all of it.
MOST_LINES = 40
MOST_WIDE = 400


def outcome_of(envelope: Mapping[str, Json]) -> str:
    """`done`, `failed`, `skipped`, `unknown`, `held` or `stopped`.

    A dry run held back what is `held`; what is `stopped` was not sent, since the run was to end.
    """
    if envelope["skipped"] is not None:
        return "held" if envelope.get("request") else "skipped"
    if envelope["success"] is None:
        return "unknown"
    if envelope["success"]:
        return "done"
    return "stopped" if was_stopped(envelope) else "failed"


def request_line(envelope: Mapping[str, Any]) -> str:
    """`POST https://…`, or nothing where nothing was sent."""
    request = envelope["request"]
    return f"{request['method']} {request['url']}" if request else ""


def exchange(envelope: Mapping[str, Any]) -> Iterator[str]:
    """What was sent, each line with `>`, and what came back, with `<`; long bodies are cut."""
    request, error = envelope["request"], envelope["error"]
    if request is None:
        return
    yield clean(f"> {request_line(envelope)}")
    yield from (clean(f"> {name}: {value}") for name, value in request["headers"].items())
    if request["body"] is not None:
        yield from (f"> {line}" for line in body_lines(request["body"]))
    if envelope["status"] is not None:
        yield f"< {envelope['status']}"
    answer = error["response"] if error and envelope["data"] is None else envelope["data"]
    if answer is not None:
        yield from (f"< {line}" for line in body_lines(answer))


def would_send(envelope: Mapping[str, Any], *, whole: bool = True) -> Iterator[str]:
    """What a call that is held back would send: a line for where, and the body, short or long.

    Of a change each field has a line, with what it holds now. A body is left out unless `whole`.
    """
    yield clean(request_line(envelope))
    body, now = envelope["request"]["body"], envelope.get("now")
    if not whole and body is not None and now is None:
        yield "(-v shows its body too)"
        return
    if isinstance(body, dict) and isinstance(now, dict):
        yield from map(clean, all_changes(body, now))
        return
    if body is not None:
        short = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
        yield from [clean(short)] if len(short) <= ON_A_LINE else body_lines(body)
    if "now" in envelope:
        yield "(what is there now cannot be read)"


def body_lines(body: Json, most: int = MOST_LINES) -> Iterator[str]:
    """A body as lines: JSON indented, raw text as it is, both cut with a word on what is left."""
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, indent=2)
    lines = text.splitlines()
    for line in lines[:most]:
        more = len(line) - MOST_WIDE
        yield clean(line) if more <= 0 else f"{clean(line[:MOST_WIDE])}… ({more} more characters)"
    if len(lines) > most:
        yield f"… ({len(lines) - most} more lines)"


def result_words(envelope: Mapping[str, Any]) -> str:
    """What came of a call, in a few words: status, id or rows, time, tries."""
    parts = []
    if envelope["skipped"]:
        said = reason_held(str(envelope["skipped"]))
        return f"  ({said})" if said else ""
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
    if envelope.get("as_of_now"):
        parts.append("(as it is now)")
    if envelope["attempts"] > 1:
        parts.append(f"{envelope['attempts']} tries")
    return "  " + "  ".join(parts) if parts else ""
