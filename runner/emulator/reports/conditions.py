"""The filters of reports and logs: operators, what they expect, and whether a value passes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from runner.emulator.answers import InvalidError
from runner.emulator.fields import UnfitError

Test = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter: the column or metric it looks at, and the test.

    The two operators on labels have `label` instead, and whether it is `wanted`.
    """

    name: str
    test: Test
    label: str = ""
    wanted: bool = True


def as_comparable(value: Any) -> float | str:
    """Return numbers and numeric strings as numbers, all else as text."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return "" if value is None else str(value)


def _equal(left: Any, right: Any) -> bool:
    return as_comparable(left) == as_comparable(right) or str(left) == str(right)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any], Test]:
    """Compare numbers as numbers, times and other texts as texts."""

    def build(expression: Any) -> Test:
        wanted = as_comparable(_scalar(expression))

        def test(value: Any) -> bool:
            given = as_comparable(value)
            if type(given) is not type(wanted):
                return compare(str(value), str(expression))
            return compare(given, wanted)

        return test

    return build


def _scalar(expression: Any) -> Any:
    if expression is None or isinstance(expression, list | dict):
        raise UnfitError("needs a number or a string")
    return expression


def _text(expression: Any) -> str:
    if not isinstance(expression, str | int | float):
        raise UnfitError("needs a string")
    return str(expression)


def _list(expression: Any) -> list[Any]:
    if not isinstance(expression, list):
        raise UnfitError("needs an array")
    return expression


def _pair(expression: Any) -> tuple[Any, Any]:
    values = _list(expression)
    if len(values) != 2:
        raise UnfitError("needs an array of 2")
    return values[0], values[1]


def _between(expression: Any) -> Test:
    low, high = _pair(expression)
    least, most = _ordered(lambda a, b: a >= b)(low), _ordered(lambda a, b: a <= b)(high)
    return lambda value: least(value) and most(value)


def _in_list(expression: Any) -> Test:
    wanted = _list(expression)
    return lambda value: any(_equal(value, item) for item in wanted)


_FLAGS = {"i": re.IGNORECASE, "s": re.DOTALL, "m": re.MULTILINE, "u": re.UNICODE, "x": re.VERBOSE}


def _matches(expression: Any) -> Test:
    """Read a pattern with delimiters, `/uuid=100[0-9]{2}/i`: the official form."""
    found = re.fullmatch(r"([/#~@%!])(.*)\1([ismux]*)", _text(expression), re.DOTALL)
    if found is None:
        raise UnfitError("needs a pattern with delimiters, such as /abc/")
    flags = re.NOFLAG
    for letter in found[3]:
        flags |= _FLAGS[letter]
    try:
        pattern = re.compile(found[2], flags)
    except re.error as problem:
        raise UnfitError(f"needs a valid pattern: {problem}") from None
    return lambda value: pattern.search(str(value)) is not None


def _on_text(test: Callable[[str, str], bool]) -> Callable[[Any], Test]:
    def build(expression: Any) -> Test:
        wanted = _text(expression).lower()
        return lambda value: test(str(value).lower(), wanted)

    return build


def _not(build: Callable[[Any], Test]) -> Callable[[Any], Test]:
    def negated(expression: Any) -> Test:
        test = build(expression)
        return lambda value: not test(value)

    return negated


def _is_set(expression: Any) -> Test:  # noqa: ARG001 - takes none
    return lambda value: value not in (None, "", 0)


def _is_true(expression: Any) -> Test:  # noqa: ARG001 - takes none
    return lambda value: value in (True, 1, "1", "true")


def _equals(expression: Any) -> Test:
    wanted = _scalar(expression)
    return lambda value: _equal(value, wanted)


_CONTAINS = _on_text(lambda value, wanted: wanted in value)

# The official list (2022), exhaustive; note NOT_EQUAL and NOT_CONTAIN without a final S.
_OPERATORS: Mapping[str, Callable[[Any], Test]] = {
    "EQUALS": _equals,
    "NOT_EQUAL": _not(_equals),
    "EQUALS_OR_GREATER_THAN": _ordered(lambda a, b: a >= b),
    "EQUALS_OR_LESS_THAN": _ordered(lambda a, b: a <= b),
    "GREATER_THAN": _ordered(lambda a, b: a > b),
    "LESS_THAN": _ordered(lambda a, b: a < b),
    "MATCH_REGEXP": _matches,
    "NOT_MATCH_REGEXP": _not(_matches),
    "BEGINS_WITH": _on_text(str.startswith),
    "ENDS_WITH": _on_text(str.endswith),
    "CONTAINS": _CONTAINS,
    "NOT_CONTAIN": _not(_CONTAINS),
    "IN_LIST": _in_list,
    "NOT_IN_LIST": _not(_in_list),
    "BETWEEN": _between,
    "IS_SET": _is_set,
    "IS_NOT_SET": _not(_is_set),
    "IS_TRUE": _is_true,
    "IS_FALSE": _not(_is_true),
}
_ON_LABELS = {"HAS_LABEL": True, "NOT_HAS_LABEL": False}
OPERATORS = (*_OPERATORS, *_ON_LABELS)


def read_filters(given: Any, known: Iterable[str]) -> list[Condition]:
    """Return the conditions of a `filters` array, all of which must hold; raises InvalidError."""
    if given is None:
        return []
    if not isinstance(given, list) or not all(isinstance(item, Mapping) for item in given):
        raise InvalidError.of("filters", "Filters must be an array of objects")
    names = frozenset(known)
    return [_read_filter(item, names) for item in given]


def _read_filter(item: Mapping[str, Any], known: frozenset[str]) -> Condition:
    name, operator, expression = item.get("name"), item.get("operator"), item.get("expression")
    if not isinstance(name, str) or name not in known:
        raise unknown("filters", "column", name, known)
    if operator in _ON_LABELS:
        if expression not in ("whitelist", "blacklist"):
            raise InvalidError.of("filters", f"{operator} needs whitelist or blacklist")
        return Condition(name, bool, label=str(expression), wanted=_ON_LABELS[str(operator)])
    if operator not in _OPERATORS:
        raise unknown("filters", "operator", operator, OPERATORS)
    try:
        return Condition(name, _OPERATORS[str(operator)](expression))
    except UnfitError as problem:
        raise InvalidError.of("filters", f"{operator} {problem}") from None


def unknown(field: str, what: str, given: Any, known: Iterable[str]) -> InvalidError:
    """Return the refusal of a name, with the names that are known (newer builds list them)."""
    listed = ", ".join(sorted(known))
    return InvalidError.of(field, f"Unknown {what} {given!r}. Available {what}s: {listed}")
