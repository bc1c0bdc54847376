"""What the bodies of reports and logs have in common: names, sorting, pages, and finding lines."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from runner.emulator.answers import InvalidError
from runner.emulator.fields import as_integer
from runner.emulator.reports.columns import Lens, Line
from runner.emulator.reports.conditions import Condition, as_comparable, unknown
from runner.emulator.routing import Call
from runner.emulator.state import Row


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows of a result are wanted; `limit` None for all."""

    offset: int
    limit: int | None

    def of(self, rows: list[Row]) -> list[Row]:
        """Return the rows of this page."""
        end = None if self.limit is None else self.offset + self.limit
        return rows[self.offset : end]


def read_page(body: Row) -> Page:
    """Return the page that `limit` and `offset` name; raises InvalidError."""
    limit = body.get("limit")
    return Page(
        _natural("offset", body.get("offset") or 0),
        None if limit is None else _natural("limit", limit),
    )


def _natural(name: str, value: Any) -> int:
    try:
        return max(as_integer(value), 0)
    except ValueError as problem:
        raise InvalidError.of(name, f"{name.capitalize()} {problem}") from None


def read_names(body: Row, field: str, what: str, known: Collection[str]) -> list[str]:
    """Return the list of names under `field`, each once; an unknown one fails the whole request."""
    given = body.get(field) or []
    if not isinstance(given, list):
        raise InvalidError.of(field, f"{field.capitalize()} must be an array")
    for name in given:
        if not isinstance(name, str) or name not in known:
            raise unknown(field, what, name, known)
    return list(dict.fromkeys(given))


def read_sort(body: Row, known: Collection[str]) -> list[tuple[str, bool]]:
    """Return names with whether each descends; raises InvalidError.

    `order` with pairs is the stale form that the official PHP sample of the conversion log sends.
    """
    given = body.get("sort")
    if given is None and isinstance(body.get("order"), list):
        given = [{"name": pair[0], "order": pair[-1]} for pair in body["order"] if pair]
    given = given or []
    if not isinstance(given, list) or not all(isinstance(item, Mapping) for item in given):
        raise InvalidError.of("sort", "Sort must be an array of objects")
    return [_read_order(item, known) for item in given]


def _read_order(item: Mapping[str, Any], known: Collection[str]) -> tuple[str, bool]:
    name, order = item.get("name"), str(item.get("order", "")).upper()
    if not isinstance(name, str) or name not in known:
        raise unknown("sort", "column", name, known)
    if order not in ("ASC", "DESC"):
        raise unknown("sort", "order", item.get("order"), ("ASC", "DESC"))
    return name, order == "DESC"


def sort_key(value: Any) -> tuple[bool, float | str]:
    """Return a key that puts numbers before texts and never fails to compare."""
    comparable = as_comparable(value)
    return isinstance(comparable, str), comparable


def lines_of(call: Call) -> list[Line]:
    """Return the clicks that this key is shown, each with its conversions."""
    by_sub_id: dict[str, list[Row]] = {}
    for conversion in call.state.traffic.conversions:
        by_sub_id.setdefault(conversion["sub_id"], []).append(conversion)
    return [
        Line(click, by_sub_id.get(click["sub_id"], []))
        for click in call.state.traffic.clicks
        if call.rights.sees_id("campaigns", click.get("campaign_id", 0))
    ]


def passing(lines: Iterable[Line], conditions: Collection[Condition], lens: Lens) -> list[Line]:
    """Return the lines for which every condition holds."""
    return [
        line for line in lines if all(_holds(condition, line, lens) for condition in conditions)
    ]


def _holds(condition: Condition, line: Line, lens: Lens) -> bool:
    if condition.label:
        return (lens.label(line, condition.name) == condition.label) is condition.wanted
    return condition.test(lens.value(condition.name, line))
