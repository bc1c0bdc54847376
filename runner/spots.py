"""Where in a playbook a failure is written: from its envelope to a line and a column."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from runner.model import Json, Place
from runner.playbook import Document, Map, Seq, Trail
from runner.templating.expressions import MOST_SHOWN
from runner.templating.text import OPEN, codes_of

# Failures of what was computed, which name the value as `body.offers[0].share` and its like.
_COMPUTED = frozenset({"invalid_body", "invalid_params"})
_FIELD = re.compile(r"(?:body|params)(?:\.\w+|\[\d+\])+(?= )")
_PART = re.compile(r"(\w+)|\[(\d+)\]")

# What a message says of a path whose last part is missing, at its beginning.
_LACKING = re.compile(
    r"(?<![\w.\[\]])(?P<holder>[\w.\[\]]{1,200}) (?:has no|is [^,]{1,99}, so it has no)"
    r" '(?P<name>\w+)'|so there is no (?P<path>[\w.\[\]]{1,200})\Z"
)
_BEGINNING = 1000
# What may come before a condition that a message begins with.
_BEFORE = re.compile(r"\A(?:the condition )?(?:\$\{\{\s*)?")
_INDEX = re.compile(r"\[(\d+)\]")
# An offset, and how long what stands there is, `None` for the whole of a scalar.
Spot = tuple[int, int | None]

# The document of a file, where it can be had.
Open = Callable[[str], Document | None]


def find_spot(envelope: Mapping[str, Any], open_: Open) -> tuple[Place, str]:
    """The place that a failure is drawn at, with its line of the source.

    That is the field that the tracker complains of, the condition that does not hold, or the
    expression that has no value, where they are written in the step; else the step, and without
    its line where `open_` gives no document for its file.
    """
    file, line, column = str(envelope["source"]).rsplit(":", 2)
    step = Place(file, int(line), int(column))
    own = open_(file)
    if own is None:
        return step, ""
    trail = _find_step(own, step)
    spot = None if trail is None else _narrowed(own, trail, envelope)
    if spot is None:
        text = own.line(step.line)
        return step._replace(length=max(len(text.rstrip()) - step.column + 1, 1)), text
    place = own.place(*spot)
    return place, own.line(place.line)


def _find_step(document: Document, place: Place) -> Trail | None:
    """The path of the step that stands at a place."""
    data = document.data
    if not isinstance(data, Map):
        return None
    for key in ("steps", "finally"):
        for trail in _steps(data.get(key), (key,)):
            spot = document.place(document.offset(trail))
            if (spot.line, spot.column) == (place.line, place.column):
                return trail
    return None


def _steps(steps: Json, trail: Trail) -> Iterator[Trail]:
    if isinstance(steps, Seq):
        for index, step in enumerate(steps):
            if isinstance(step, Map):  # the file may be another by now
                yield (*trail, index)
                yield from _steps(step.get("steps"), (*trail, index, "steps"))


def _narrowed(document: Document, trail: Trail, envelope: Mapping[str, Any]) -> Spot | None:
    """Where the part of a step stands that a failure is about, if it is written there."""
    step = document.value(trail)
    error = envelope["error"] or {}
    message = str(error.get("message", ""))
    if error.get("type") == "template":
        leaf = _leaf(step, trail, f".{message}")
        if leaf is not None:
            return _expression(document, *leaf)
        message = _BEFORE.sub("", message, 1)
        return _condition(document, trail, message, 0)
    spot = _condition(document, trail, message, len(message))
    if spot is not None:
        return spot
    offset = _own_field(document, trail, error)
    if offset is None:
        offset = _refused(document, (*trail, "body"), step.get("body"), error.get("response"))
    return None if offset is None else (offset, None)


def _condition(document: Document, trail: Trail, message: str, latest: int) -> Spot | None:
    """The first condition that a message tells of, and of two that begin alike the longer one.

    What begins later in the message than `latest` is not looked at.
    """
    found: list[tuple[int, int, Trail]] = []
    for key in ("when", "expect", "until"):
        written = document.value(trail).get(key)
        conditions = written if isinstance(written, Seq) else [written]
        for index, condition in enumerate(conditions):
            inner = _inner(condition) if isinstance(condition, str) else ""
            if inner and 0 <= (at := message.find(inner)) <= latest:
                own = (*trail, key, index) if isinstance(written, Seq) else (*trail, key)
                found.append((at, -len(inner), own))
    if not found:
        return None
    return document.offset(min(found, key=lambda one: one[:2])[2]), None


def _leaf(value: Json, trail: Trail, way: str) -> tuple[str, Trail, str] | None:
    """The text that a message leads to, with what it says: `.body.offers[0].share: it has no …`."""
    if isinstance(value, str):
        return (value, trail, way[2:]) if way.startswith(": ") else None
    if isinstance(value, dict):
        # One key may be the beginning of another, or hold a dot.
        for key in sorted((key for key in value if way.startswith(f".{key}")), key=len):
            leaf = _leaf(value[key], (*trail, key), way[len(key) + 1 :])
            if leaf is not None:
                return leaf
    elif isinstance(value, list) and (index := _INDEX.match(way)):
        number = int(index[1])
        part = value[number] if number < len(value) else None
        return _leaf(part, (*trail, number), way[index.end() :])
    return None


def _expression(document: Document, text: str, trail: Trail, said: str) -> Spot:
    """The one of a text's expressions that has no value, as far as can be told, or all of it."""
    offset = document.offset(trail)
    code = _guilty(codes_of(text), said[:_BEGINNING])
    if code is None:
        return offset, None
    written, end = f"{OPEN}{code}}}}}", document.end(offset)
    at = document.text.find(written, offset, end)
    while at > offset and document.text[at - 1] == "$":  # an escape, which is text
        at = document.text.find(written, at + 1, end)
    return (at, len(written)) if at >= 0 else (offset, None)


def _guilty(codes: list[str], said: str) -> str | None:
    """The expression with the part that is missing, else the one that a message begins with."""
    if len(codes) == 1:
        return codes[0]
    if lacking := _LACKING.search(said):
        missing = lacking["path"] or f"{lacking['holder']}.{lacking['name']}"
        pattern = re.compile(rf"(?<![\w.]){re.escape(missing)}(?!\w)")
        if found := next(filter(pattern.search, codes), None):
            return found
    named = (code for code in codes if said.startswith(code.strip()[:MOST_SHOWN]))
    return max(named, key=len, default=None)


def _own_field(document: Document, trail: Trail, error: Mapping[str, Any]) -> int | None:
    """The value of a body or of params that did not fit once it was computed."""
    found = _FIELD.match(error.get("message", "")) if error.get("type") in _COMPUTED else None
    if found is None:
        return None
    parts = _PART.findall(found[0])
    trail = (*trail, *(int(number) if number else name for name, number in parts))
    try:
        document.value(trail)
    except (LookupError, TypeError):  # a part of what is computed
        return None
    return document.offset(trail)


def _inner(condition: str) -> str:
    return condition.strip().removeprefix("${{").removesuffix("}}").strip()


def _refused(document: Document, trail: Trail, body: Json, answer: Json) -> int | None:
    """The first field of the body that the tracker's answer names: `{"alias": ["is taken"]}`."""
    if not isinstance(body, Map) or not isinstance(answer, dict):
        return None
    named = next((name for name in answer if name in body), None)
    if named is None:
        return None
    deeper = _refused(document, (*trail, named), body[named], answer[named])
    return document.offset((*trail, named)) if deeper is None else deeper
