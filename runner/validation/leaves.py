"""The parts of a value that may hold expressions."""

from __future__ import annotations

from collections.abc import Iterator

from runner.model import Json
from runner.playbook import Many, Trail
from runner.templating.text import MAYBE_BARE, OPEN


def leaves(value: Json, trail: Trail) -> list[tuple[str, Trail]]:
    """Every text inside a value that has a brace in it, or the look of a path, with its path."""
    found: list[tuple[str, Trail]] = []
    _collect(value, trail, found)
    return found


def keys_like(value: Json, trail: Trail) -> Iterator[Trail]:
    """Where keys hold what looks like an expression, which is evaluated in values alone."""
    if isinstance(value, dict):
        for key, part in value.items():
            if OPEN in key.replace(f"${OPEN}", ""):
                yield (*trail, key)
            yield from keys_like(part, (*trail, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from keys_like(part, (*trail, index))


def _collect(value: Json, trail: Trail, found: list[tuple[str, Trail]]) -> None:
    # One list for all: generators inside generators take three times as long.
    if isinstance(value, str):
        if "{{" in value or ("." in value and MAYBE_BARE.search(value)):
            found.append((value, trail))
    elif isinstance(value, dict):
        for key, part in value.items():
            if isinstance(part, str | dict | list):
                _collect(part, (*trail, key), found)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            if isinstance(part, str | dict | list):
                _collect(part, (*trail, index), found)
    elif isinstance(value, Many) and value.has_text:
        for index, part in enumerate(value):
            _collect(part, (*trail, index), found)
