"""Calls in doubt: by what they are found again, and how they are asked about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from runner.catalogue import Operation
from runner.journal import Decision, Doubt, History, above
from runner.masking import MASK
from runner.model import Json


def spread(
    decisions: Mapping[str, Decision], doubts: Mapping[str, Doubt]
) -> Mapping[str, Decision]:
    """The decisions by call: one on a loop, or a block, is one on each of its calls in doubt."""
    found: dict[str, Decision] = {}
    for key, decision in decisions.items():
        parts = [doubt for doubt in doubts if key in above(doubt)]
        exact = key in doubts or not parts or decision.word == "id"
        found |= dict.fromkeys([key] if exact else parts, decision)
    return found


def natural_key(operation: Operation, body: Json) -> dict[str, Json] | None:
    """The fields of a body by which what it creates can be found.

    `None` where one is missing, or holds what no entity can be told by.
    """
    if not operation.natural_key or not operation.lookups or not isinstance(body, Mapping):
        return None
    wanted = {field: body.get(field) for field in operation.natural_key}
    told = all(
        isinstance(value, str | int | float) and value not in {"", MASK}
        for value in wanted.values()
    )
    return wanted if told else None


def show(wanted: Mapping[str, Json]) -> str:
    """The fields of a natural key with their values."""
    return ", ".join(f"{field} {value}" for field, value in wanted.items())


def question(doubt: Doubt) -> str:
    """A line about a call of which somebody must say what became of it."""
    request = doubt.request
    body = request.get("body")
    if isinstance(body, Mapping):  # what tells one from another comes first, since the rest is cut
        body = {name: body[name] for name in sorted(body, key=_tells, reverse=True)}
    about = f" with {json.dumps(body, ensure_ascii=False)[:200]}" if body else ""
    return f"  {doubt.key}: {doubt.call}, {request['method']} {request['url']}{about}"


def _tells(field: str) -> bool:
    return field in {"name", "alias", "login"} or field.endswith("_id")


def made_by_others(doubt: Doubt, history: History, settled: Mapping[str, Json]) -> set[str]:
    """The ids of what other calls of a run made by the same operation on the same tracker.

    Those are done, or in doubt and `settled`: no entity is the work of two.
    """
    found: list[Any] = []
    for done in history.done.values():
        if done.call == doubt.call:
            envelope = history.envelope(done)
            found += [envelope["data"]] if envelope["tracker"] == doubt.tracker else []
    for key, data in settled.items():
        other = history.doubts[key]
        alike = (other.call, other.tracker) == (doubt.call, doubt.tracker)
        found += [data] if alike and key != doubt.key else []
    return {str(data["id"]) for data in found if isinstance(data, dict) and "id" in data}
