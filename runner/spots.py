"""Where in a playbook a failure is written: from its envelope to a line and a column."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from runner.model import Json, Place
from runner.playbook import Document, Map, Seq, Trail
from runner.templating.expressions import MOST_SHOWN
from runner.templating.text import OPEN, UnclosedError, has_expression, split_text

# Failures of what was computed, which name the value as `body.offers[0].share` and its like.
_COMPUTED = frozenset({"invalid_body", "invalid_params"})
_FIELD = re.compile(r"(?:body|params)(?:\.\w+|\[\d+\])+(?= )")
_PART = re.compile(r"(\w+)|\[(\d+)\]")

# What a message says of a path whose last part is missing.
_LACKING = re.compile(
    r"(?P<holder>[\w.\[\]]+) (?:has no|is .*, so it has no) '(?P<name>\w+)'"
    r"|so there is no (?P<path>[\w.\[\]]+)\Z"
)
# What may come before an expression that a message begins with.
_BEFORE = re.compile(r"\A(?:the condition )?(?:\$\{\{\s*)?")
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
            yield (*trail, index)
            if isinstance(step, Map):
                yield from _steps(step.get("steps"), (*trail, index, "steps"))


def _narrowed(document: Document, trail: Trail, envelope: Mapping[str, Any]) -> Spot | None:
    """Where the part of a step stands that a failure is about, if it is written there."""
    step = document.value(trail)
    error = envelope["error"] or {}
    if error.get("type") == "template":
        return _expression(document, trail, error["message"])
    for key in ("expect", "until"):
        written = step.get(key)
        conditions = written if isinstance(written, Seq) else [written]
        for index, condition in enumerate(conditions):
            if isinstance(condition, str) and _inner(condition) in error.get("message", ""):
                own = (*trail, key, index) if isinstance(written, Seq) else (*trail, key)
                return document.offset(own), None
    offset = _own_field(document, trail, error)
    if offset is None:
        offset = _refused(document, (*trail, "body"), step.get("body"), error.get("response"))
    return None if offset is None else (offset, None)


def _expression(document: Document, trail: Trail, message: str) -> Spot | None:
    """The expression that has no value: with the part that is missing, or named by its message."""
    step = document.value(trail)
    key, _, said = message.partition(": ")
    if key in step:
        own = {key: step[key]}
    else:
        own, said = {k: v for k, v in step.items() if k != "steps"}, message
    lacking, said = _LACKING.search(said), _BEFORE.sub("", said, 1)
    missing = (lacking["path"] or f"{lacking['holder']}.{lacking['name']}") if lacking else ""
    best, found = (0, 0), None
    for text, where in _texts(own, trail):
        for code in _codes(text):
            lacks = bool(missing) and re.search(rf"(?<![\w.]){re.escape(missing)}(?!\w)", code)
            named = _begins_with(said, code.strip()[:MOST_SHOWN])
            # Of several that lack it the first is evaluated first; a name is as long as it gets.
            score = 2 * bool(lacks) + named, 0 if lacks else len(code)
            if (lacks or (named and not missing)) and score > best:
                best, found = score, (code, document.offset(where))
    if found is None:
        return None
    written, offset = OPEN + found[0] + "}}", found[1]
    at = document.text.find(written, offset, document.end(offset))
    return (at, len(written)) if at >= 0 else (offset, None)


def _begins_with(said: str, code: str) -> bool:
    """Whether a message begins with an expression, and not with one that is longer."""
    return said.startswith(code) and not re.match(r"[\w.\[]", said[len(code) : len(code) + 1])


def _texts(value: Json, trail: Trail) -> Iterator[tuple[str, Trail]]:
    """The texts in a value that have expressions in them."""
    if isinstance(value, str):
        if has_expression(value):
            yield value, trail
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _texts(part, (*trail, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _texts(part, (*trail, index))


def _codes(text: str) -> list[str]:
    try:
        return [part.text for part in split_text(text) if part.code]
    except UnclosedError:  # in a body that is raw
        return []


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
