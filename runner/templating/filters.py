"""The filters, tests and methods that expressions may use: Jinja2's by name, and our own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2.filters import FILTERS as JINJA_FILTERS

from runner.templating.lists import LIST_FILTERS
from runner.templating.texts import TEXT_FILTERS, replaced

# Taken as they are: none of them can make much out of little, or reach a Python attribute.
PLAIN_FILTERS = (
    "abs", "count", "d", "default", "first", "items", "last", "length", "list", "map",
    "reject", "rejectattr", "reverse", "select", "selectattr",
)  # fmt: skip
PLAIN_TESTS = (
    "boolean", "defined", "divisibleby", "eq", "equalto", "even", "false", "float", "ge", "gt",
    "greaterthan", "in", "integer", "iterable", "le", "lessthan", "lower", "lt", "mapping", "ne",
    "none", "number", "odd", "sequence", "string", "true", "undefined", "upper",
)  # fmt: skip

FILTERS: dict[str, Callable[..., Any]] = {
    **{name: JINJA_FILTERS[name] for name in PLAIN_FILTERS},
    **TEXT_FILTERS,
    **LIST_FILTERS,
}

# Those that look through all of what they are given, however deep, and not only at its items.
DEEP = frozenset({*TEXT_FILTERS})

METHODS: dict[type, dict[str, Callable[..., Any]]] = {
    str: {
        "endswith": str.endswith,
        "lower": str.lower,
        "removeprefix": str.removeprefix,
        "removesuffix": str.removesuffix,
        "replace": replaced,
        "split": str.split,
        "splitlines": str.splitlines,
        "startswith": str.startswith,
        "strip": str.strip,
        "upper": str.upper,
    },
    dict: {
        "get": lambda value, key, default=None: value.get(key, default),
        "items": lambda value: [list(pair) for pair in value.items()],
        "keys": list,
        "values": lambda value: list(value.values()),
    },
}
