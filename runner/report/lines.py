"""An envelope in words and lines: what became of a call, what was sent, what came back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from runner.model import Json, reason_held, was_stopped
from runner.report.drawing import clean

# How much of a body is shown; the report has all of it.
ON_A_LINE = 100
MOST_LINES = 40
MOST_WIDE = 400
# Of a change, how many differences are shown, and what long texts have in common before them.
MOST_CHANGES = 12
MOST_ALIKE = 20


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
        for name, value in body.items():
            yield from map(clean, changes(name, now[name], value) if name in now
                           else [f"{name}: {_brief(value)}"])  # fmt: skip
        return
    if body is not None:
        short = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
        yield from [clean(short)] if len(short) <= ON_A_LINE else body_lines(body)
    if "now" in envelope:
        yield "(what is there now cannot be read)"


def changes(name: str, now: Json, value: Json) -> Iterator[str]:
    """What a field would hold in place of what it holds now: one line, or one to each difference.

    What a list or a mapping holds besides what is sent, such as ids and times, is no difference.
    """
    if _is_same(now, value):
        yield f"{name}: {_brief(value)}, as it is"
        return
    if max(len(_text(now)), len(_text(value))) <= ON_A_LINE:
        yield f"{name}: {_brief(now)} → {_brief(value)}"
        return
    found = list(_differences(name, now, value))
    yield from found[:MOST_CHANGES]
    if len(found) > MOST_CHANGES:
        yield f"{name}: … ({len(found) - MOST_CHANGES} more)"


def _differences(name: str, now: Json, value: Json) -> Iterator[str]:
    if isinstance(now, dict) and isinstance(value, dict):
        pairs = [(f"{name}.{key}", now.get(key, _NONE), part) for key, part in value.items()]
    elif isinstance(now, list) and isinstance(value, list):
        longer = range(max(len(now), len(value)))
        pairs = [(f"{name}[{at}]", *(_at(items, at) for items in (now, value))) for at in longer]
    else:
        begin = _alike(now, value) - MOST_ALIKE
        yield f"{name}: {_brief(now, begin)} → {_brief(value, begin)}"
        return
    for inner, was, will in pairs:
        if was is _NONE:
            yield f"{inner}: {_brief(will)}, new"
        elif will is _NONE:
            yield f"{inner}: {_brief(was)}, gone"
        elif not _is_same(was, will):
            yield from _differences(inner, was, will)


_NONE: Any = object()


def _at(items: list[Json], at: int) -> Json:
    return items[at] if at < len(items) else _NONE


def _is_same(now: Json, value: Json) -> bool:
    if isinstance(now, dict) and isinstance(value, dict):
        return all(key in now and _is_same(now[key], part) for key, part in value.items())
    if isinstance(now, list) and isinstance(value, list):
        return len(now) == len(value) and all(map(_is_same, now, value))
    # Trackers give some numbers as text.
    return now == value or str(now) == str(value)


def _alike(one: Json, other: Json) -> int:
    """How many characters two long texts have in common at their beginning."""
    if not (isinstance(one, str) and isinstance(other, str)):
        return 0
    pairs = zip(_text(one), _text(other), strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _text(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def _brief(value: Json, begin: int = 0) -> str:
    text = _text(value)
    text = f"…{text[begin:]}" if begin > 0 and len(text) > ON_A_LINE else text
    return text if len(text) <= ON_A_LINE else f"{text[:ON_A_LINE]}…"


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
