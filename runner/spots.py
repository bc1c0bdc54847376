"""Where in a playbook a failure is written: from its envelope to a line and a column."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from runner.model import Json, Place
from runner.playbook import Document, Map, Seq, Trail

# Failures of what was computed, which name the value as `body.offers[0].share` and its like.
_COMPUTED = frozenset({"invalid_body", "invalid_params"})
_FIELD = re.compile(r"(?:body|params)(?:\.\w+|\[\d+\])+(?= )")
_PART = re.compile(r"(\w+)|\[(\d+)\]")

# The document of a file, where it can be had.
Open = Callable[[str], Document | None]


def find_spot(envelope: Mapping[str, Any], open_: Open) -> tuple[Place, str]:
    """The place that a failure is drawn at, with its line of the source.

    That is the field that the tracker complains of, or the condition that does not hold, where
    they are written in the step; else the step, and without its line where `open_` gives no
    document for its file.
    """
    file, line, column = str(envelope["source"]).rsplit(":", 2)
    step = Place(file, int(line), int(column))
    own = open_(file)
    if own is None:
        return step, ""
    trail = _find_step(own, step)
    offset = None if trail is None else _narrowed(own, trail, envelope)
    if offset is None:
        text = own.line(step.line)
        return step._replace(length=max(len(text.rstrip()) - step.column + 1, 1)), text
    place = own.place(offset)
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


def _narrowed(document: Document, trail: Trail, envelope: Mapping[str, Any]) -> int | None:
    """Where the part of a step stands that a failure is about, if it is written there."""
    step = document.value(trail)
    error = envelope["error"] or {}
    for key in ("expect", "until"):
        written = step.get(key)
        conditions = written if isinstance(written, Seq) else [written]
        for index, condition in enumerate(conditions):
            if isinstance(condition, str) and _inner(condition) in error.get("message", ""):
                own = (*trail, key, index) if isinstance(written, Seq) else (*trail, key)
                return document.offset(own)
    offset = _own_field(document, trail, error)
    if offset is not None:
        return offset
    return _refused(document, (*trail, "body"), step.get("body"), error.get("response"))


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
