"""POST /report/build: clicks grouped by columns, measured by metrics."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from runner.emulator.reports.columns import COLUMNS, Lens, Line
from runner.emulator.reports.conditions import Condition, read_filters
from runner.emulator.reports.metrics import METRICS, Sums, measure, total_of
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

_EITHER = frozenset((*COLUMNS, *METRICS))


def build_report(call: Call) -> Row:
    """Answer `{"rows", "total", "meta"}`, and `summary` where it is asked for.

    Grouping and metrics (2022) may also be called dimensions and measures (newer).  Without a
    grouping there is one row over everything, without matches none (an inference).  Revenue is
    dated by the click.  Raises InvalidError for any unknown name.
    """
    grouping, metrics = _names(call.body)
    conditions = read_filters(call.body.get("filters"), _EITHER)
    sort = read_sort(call.body, _EITHER)
    page = read_page(call.body)
    period = read_range(call.body.get("range"), call.state.clock())
    lens = Lens(call.state, period.zone)
    on_lines = [item for item in conditions if item.label or item.name not in METRICS]
    lines = [line for line in lines_of(call) if line.at in period]
    groups = _grouped(passing(lines, on_lines, lens), grouping, lens)
    groups = _having(groups, [item for item in conditions if item not in on_lines])
    for name, descending in reversed(sort):
        groups.sort(key=partial(_sort_value, lens, name), reverse=descending)
    rows = [_row(values, sums, metrics) for values, sums, _ in groups]
    answer = {
        "rows": page.of(rows),
        "total": len(rows),
        "meta": {"body": 0, "summary": 0, "count": 0},
    }
    if call.body.get("summary"):
        overall = total_of(line for _, _, members in groups for line in members)
        answer["summary"] = _row(dict.fromkeys(grouping), overall, metrics)
    return answer


_Group = tuple[Row, Sums, list[Line]]


def _names(body: Row) -> tuple[list[str], list[str]]:
    """Return columns to group by and metrics; `columns`, which clients send, may hold both."""
    mixed = read_names(body, "columns", "column", _EITHER)
    grouping = [
        *read_names(body, "grouping", "column", COLUMNS),
        *read_names(body, "dimensions", "column", COLUMNS),
        *(name for name in mixed if name not in METRICS),
    ]
    metrics = [
        *read_names(body, "metrics", "metric", METRICS),
        *read_names(body, "measures", "metric", METRICS),
        *(name for name in mixed if name in METRICS),
    ]
    return list(dict.fromkeys(grouping)), list(dict.fromkeys(metrics))


def _grouped(lines: list[Line], grouping: list[str], lens: Lens) -> list[_Group]:
    members: dict[tuple[Any, ...], list[Line]] = {}
    for line in lines:
        members.setdefault(tuple(lens.value(name, line) for name in grouping), []).append(line)
    return [
        (dict(zip(grouping, key, strict=True)), total_of(held), held)
        for key, held in members.items()
    ]


def _having(groups: list[_Group], conditions: list[Condition]) -> list[_Group]:
    return [
        group
        for group in groups
        if all(condition.test(measure(condition.name, group[1])) for condition in conditions)
    ]


def _sort_value(lens: Lens, name: str, group: _Group) -> tuple[bool, float | str]:
    values, sums, members = group
    if name in METRICS:
        return sort_key(measure(name, sums))
    return sort_key(values[name] if name in values else lens.value(name, members[0]))


def _row(values: Mapping[str, Any], sums: Sums, metrics: list[str]) -> Row:
    return {**values, **{name: measure(name, sums) for name in metrics}}
