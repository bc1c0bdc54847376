"""Country codes: two letters of ISO 3166, which the tracker does not check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runner.lint.finding import Body, Finding, is_open
from runner.model import Json
from runner.playbook import Trail


def country(_said: Json, value: Json, trail: Trail, body: Body) -> Iterator[Finding]:
    """KT003: a code that is none matches no visitor."""
    if not isinstance(value, str) or is_open(value):
        return
    known = body.memory.catalogue.countries
    if value in known["names"] or value in known["also"]:
        return
    meant = _meant(value, known)
    hint = "write the two capital letters of ISO 3166, such as DE or US"
    if meant:
        hint = f"did you mean {meant} ({known['names'][meant]})?"
    yield Finding("KT003", f"'{value}' is no country code: it matches no visitor", hint, trail)


def _meant(value: str, known: Mapping[str, Any]) -> str | None:
    code = value.strip().upper()
    if code in known["names"]:
        return code
    if code in known["wrong"]:
        return str(known["wrong"][code])
    plain = value.strip().casefold()
    return next((code for code, name in known["names"].items() if name.casefold() == plain), None)


def countries(said: Json, value: Json, trail: Trail, body: Body) -> Iterator[Finding]:
    """KT003 for the values of a condition that is about countries."""
    if not isinstance(value, dict):
        return
    if any(value.get(key) != wanted for key, wanted in said["where"].items()):
        return
    where = said["in"]
    held = value.get(where)
    if isinstance(held, str):
        yield from country(True, held, (*trail, where), body)
    for index, code in enumerate(held if isinstance(held, list) else ()):
        yield from country(True, code, (*trail, where, index), body)
