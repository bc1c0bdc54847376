"""The filters, tests and methods that expressions may use: Jinja2's by name, and our own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jinja2 import pass_environment
from jinja2.filters import FILTERS

from runner.templating.expressions import describe

# Taken as they are: none of them can make much out of little, or reach a Python attribute.
PLAIN_FILTERS = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "groupby", "int",
    "items", "last", "length", "list", "lower", "map", "max", "min", "random", "reject",
    "rejectattr", "reverse", "select", "selectattr", "sort", "string", "sum", "title", "trim",
    "unique", "upper", "urlencode", "wordcount",
)  # fmt: skip
PLAIN_TESTS = (
    "boolean", "defined", "divisibleby", "eq", "equalto", "even", "false", "float", "ge", "gt",
    "greaterthan", "in", "integer", "iterable", "le", "lessthan", "lower", "lt", "mapping", "ne",
    "none", "number", "odd", "sequence", "string", "true", "undefined", "upper",
)  # fmt: skip

MAX_WIDTH = 1_000
MAX_BATCH = 100_000
MAX_TEXT = 10_000_000
_FORMAT = re.compile(
    r"%(?:%|\(\w+\)[-+ 0#]*\d{0,3}(?:\.\d{1,2})?[a-zA-Z]|[-+ 0#]*\d{0,3}"
    r"(?:\.\d{1,2})?[a-zA-Z])"
)


def _width(value: Any, most: int = MAX_WIDTH) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"a width must be a whole number from 0 to {most:,}")
    return value


def _center(value: str, width: int = 80) -> str:
    return str(value).center(_width(width))


def _indent(value: str, width: int = 4, first: bool = False) -> str:
    pad = " " * _width(width)
    lines = str(value).splitlines()
    return (pad if first else "") + ("\n" + pad).join(lines)


def _format(value: str, *args: Any, **named: Any) -> str:
    if "%" in _FORMAT.sub("", value):
        raise ValueError("format takes %s, %d, %f and their like, up to three digits wide")
    return value % (named or args)


def _replace(value: str, old: str, new: str, count: int = -1) -> str:
    value, old, new = str(value), str(old), str(new)
    if len(value) + value.count(old) * max(len(new) - len(old), 0) > MAX_TEXT:
        raise ValueError("replace would make a text that is too long")
    return value.replace(old, new, count)


def _truncate(value: str, length: int = 255, end: str = "…") -> str:
    text = str(value)
    return text if len(text) <= length else text[: max(length - len(end), 0)] + end


@pass_environment
def _join(environment: Any, value: Iterable[Any], glue: str = "", attribute: str = "") -> str:
    items = [environment.getitem(item, attribute) for item in value] if attribute else value
    parts = [item if isinstance(item, str) else _number_text(item) for item in items]
    if sum(map(len, parts)) + len(glue) * len(parts) > MAX_TEXT:
        raise ValueError("join would make a text that is too long")
    return str(glue).join(parts)


def _number_text(value: Any) -> str:
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise TypeError(f"join takes texts and numbers; one item is {describe(value)}")


def _round(value: float, precision: int = 0, method: str = "common") -> float:
    if not -20 <= precision <= 20:
        raise ValueError("round takes a precision from -20 to 20")
    rounded: float = FILTERS["round"](value, precision, method)
    return rounded


def _batch(value: Iterable[Any], size: int, fill: Any = None) -> list[list[Any]]:
    size = max(_width(size, MAX_BATCH), 1)
    items = list(value)
    rows = [items[at : at + size] for at in range(0, len(items), size)]
    if fill is not None and rows:
        rows[-1] += [fill] * (size - len(rows[-1]))
    return rows


def _tojson(value: Any, indent: int | None = None) -> str:
    width = None if indent is None else _width(indent, 8)
    return json.dumps(_listed(value), ensure_ascii=False, indent=width)


def _listed(value: Any) -> Any:
    return list(value) if hasattr(value, "__next__") else value


def _split(value: str, separator: str | None = None, most: int = -1) -> list[str]:
    return str(value).split(separator, most)


def _merge(value: Any, other: Any) -> Any:
    """Two mappings, the second winning, or two lists one after the other."""
    if isinstance(value, Mapping) and isinstance(other, Mapping):
        return {**value, **other}
    if isinstance(value, list) and isinstance(other, list):
        return [*value, *other]
    raise TypeError(
        f"merge takes two mappings or two lists, not {describe(value)} and {describe(other)}"
    )


def _where(value: Iterable[Any], **wanted: Any) -> list[Any]:
    """The items whose fields all equal what is wanted."""
    return [item for item in value if _fits(item, wanted)]


def _replace_where(value: Iterable[Any], changes: Mapping[str, Any], **wanted: Any) -> list[Any]:
    """All items, those that fit with the changes merged in: for arrays that are replaced whole."""
    return [{**item, **changes} if _fits(item, wanted) else item for item in value]


def _fits(item: Any, wanted: Mapping[str, Any]) -> bool:
    if not isinstance(item, Mapping):
        raise TypeError(f"an item is {describe(item)}, not a mapping")
    return all(key in item and item[key] == value for key, value in wanted.items())


@pass_environment
def _pluck(environment: Any, value: Iterable[Any], path: str) -> list[Any]:
    """One field of every item; a dotted path leads deeper."""
    found = []
    for item in value:
        for key in str(path).split("."):
            item = environment.getitem(item, key)  # noqa: PLW2901  (it is walked down)
        found.append(item)
    return found


OWN_FILTERS: dict[str, Callable[..., Any]] = {
    "batch": _batch,
    "center": _center,
    "format": _format,
    "indent": _indent,
    "join": _join,
    "merge": _merge,
    "pluck": _pluck,
    "replace": _replace,
    "replace_where": _replace_where,
    "round": _round,
    "split": _split,
    "tojson": _tojson,
    "truncate": _truncate,
    "where": _where,
}

METHODS: dict[type, dict[str, Callable[..., Any]]] = {
    str: {
        "endswith": str.endswith,
        "lower": str.lower,
        "removeprefix": str.removeprefix,
        "removesuffix": str.removesuffix,
        "replace": _replace,
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
