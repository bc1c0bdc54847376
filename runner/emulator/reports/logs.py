"""POST /clicks/log and /conversions/log: rows one by one, with the columns asked for."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from runner.emulator.answers import InvalidError
from runner.emulator.reports.columns import COLUMNS, CONVERSION_COLUMNS, Lens, Line
from runner.emulator.reports.conditions import read_filters
from runner.emulator.reports.periods import read_range
from runner.emulator.reports.requests import (
    lines_of,
    passing,
    read_names,
    read_page,
    read_sort,
    sort_key,
)
from runner.emulator.routing import Call
from runner.emulator.state import Row

# What is shown where no columns are asked for; not established for trackers.
_CLICK = ("sub_id", "datetime", "campaign_id", "campaign", "country", "ip", "cost", "revenue")
_CONVERSION = (
    *("conversion_id", "sub_id", "tid", "status", "revenue"),
    *("campaign", "click_datetime", "postback_datetime"),
)


def click_log(call: Call) -> Row:
    """Answer clicks, newest first unless sorted; raises InvalidError."""
    return _log(call, lines_of(call), COLUMNS, _CLICK)


def conversion_log(call: Call) -> Row:
    """Answer conversions, dated by their postback, newest first unless sorted."""
    lines = [
        Line(line.click, line.conversions, conversion)
        for line in lines_of(call)
        for conversion in line.conversions
    ]
    return _log(call, lines, CONVERSION_COLUMNS, _CONVERSION)


def _sort_value(lens: Lens, name: str, line: Line) -> tuple[bool, float | str]:
    return sort_key(lens.value(name, line))


def _log(call: Call, lines: list[Line], known: Collection[str], usual: Collection[str]) -> Row:
    body = call.body
    if body.get("limit") is None and not body.get("range"):
        raise InvalidError.of("range", "Either limit or range is required")
    columns = read_names(body, "columns", "column", known) or list(usual)
    conditions = read_filters(body.get("filters"), known)
    sort = read_sort(body, known) or [("datetime", True)]
    page = read_page(body)
    period = read_range(body.get("range"), call.state.clock())
    lens = Lens(call.state, period.zone)
    found = passing([line for line in lines if line.at in period], conditions, lens)
    for name, descending in reversed(sort):
        found.sort(key=partial(_sort_value, lens, name), reverse=descending)
    rows = [{name: lens.value(name, line) for name in columns} for line in found]
    return {
        "rows": page.of(rows),
        "total": len(rows),
        "meta": {"body": 0, "summary": 0, "count": 0},
    }
