"""What a change would change, in lines for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from runner.model import Json

# How much of a value is shown on a line.
ON_A_LINE = 100
# How many differences are shown, and what long texts have in common before them.
MOST_CHANGES = 12
MOST_ALIKE = 20


def all_changes(body: Mapping[str, Json], now: Mapping[str, Json]) -> Iterator[str]:
    """What each field of a body would hold in place of what it holds now."""
    for name, value in body.items():
        if name in now:
            yield from changes(name, now[name], value)
        else:
            yield f"{name}: {brief(value)}"


def changes(name: str, now: Json, value: Json) -> Iterator[str]:
    """What a field would hold in place of what it holds now: one line, or one to each difference.

    What is left out of a list or a mapping is lost, unless it is nothing: null, 0 or empty.
    """
    if _is_same(now, value):
        yield f"{name}: {brief(value)}, as it is"
        return
    if max(len(_text(now)), len(_text(value))) <= ON_A_LINE:
        yield f"{name}: {brief(now)} → {brief(value)}"
        return
    found = list(_differences(name, now, value))
    yield from found[:MOST_CHANGES]
    if len(found) > MOST_CHANGES:
        yield f"{name}: … ({len(found) - MOST_CHANGES} more)"


def _differences(name: str, now: Json, value: Json) -> Iterator[str]:
    if isinstance(now, dict) and isinstance(value, dict):
        pairs = [(f"{name}.{key}", now.get(key, _NONE), part) for key, part in value.items()]
        pairs += [(f"{name}.{key}", now[key], _NONE) for key in _left_out(now, value)]
    elif isinstance(now, list) and isinstance(value, list):
        longer = range(max(len(now), len(value)))
        pairs = [(f"{name}[{at}]", *(_at(items, at) for items in (now, value))) for at in longer]
    else:
        begin = _alike(now, value) - MOST_ALIKE
        yield f"{name}: {brief(now, begin)} → {brief(value, begin)}"
        return
    for inner, was, will in pairs:
        if was is _NONE:
            yield f"{inner}: {brief(will)}, new"
        elif will is _NONE:
            yield f"{inner}: {brief(was)}, left out"
        elif not _is_same(was, will):
            yield from _differences(inner, was, will)


_NONE: Any = object()
_NOTHING = (None, "", 0, "0")


def _at(items: list[Json], at: int) -> Json:
    return items[at] if at < len(items) else _NONE


def _left_out(now: Mapping[str, Json], value: Mapping[str, Json]) -> list[str]:
    return [key for key, part in now.items() if part and key not in value]


def same(one: Json, other: Json) -> bool:
    """Whether two values are equal, as far as trackers tell numbers from texts."""
    return one == other or str(one) == str(other)


def _is_same(now: Json, value: Json) -> bool:
    if isinstance(now, dict) and isinstance(value, dict):
        kept = all(key in now and _is_same(now[key], part) for key, part in value.items())
        return kept and not _left_out(now, value)
    if isinstance(now, list) and isinstance(value, list):
        return len(now) == len(value) and all(map(_is_same, now, value))
    # What is not there trackers give as null, as 0 or as nothing.
    nothing = value in _NOTHING and now in _NOTHING and None in (value, now)
    return same(now, value) or nothing


def _alike(one: Json, other: Json) -> int:
    """How many characters two long texts have in common at their beginning."""
    if not (isinstance(one, str) and isinstance(other, str)):
        return 0
    pairs = zip(_text(one), _text(other), strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _text(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def brief(value: Json, begin: int = 0) -> str:
    """The value on a line, cut where it is long; of a long one from that character on."""
    text = _text(value)
    text = f"…{text[begin:]}" if begin > 0 and len(text) > ON_A_LINE else text
    return text if len(text) <= ON_A_LINE else f"{text[:ON_A_LINE]}…"
