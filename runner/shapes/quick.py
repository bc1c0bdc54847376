"""Schemas to plain predicates: the quick yes, for the keywords that our schemas use."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from runner.model import Json
from runner.templating.text import OPEN, is_whole

Predicate = Callable[[Any], bool]


class UnknownKeywordError(Exception):
    """A schema uses a keyword that the quick predicate does not know."""


_KINDS: dict[str, Predicate] = {
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: type(v) is int or (type(v) is float and v.is_integer()),
    "number": lambda v: type(v) is int or type(v) is float,
    "boolean": lambda v: v is True or v is False,
    "null": lambda v: v is None,
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
}
_ANNOTATIONS = frozenset({"description", "title", "default", "examples", "deprecated", "$comment"})


def compile_schema(schema: Json, *, templated: bool) -> Predicate:
    """A predicate that is true for valid values. Raises UnknownKeywordError."""
    if schema is True or schema == {}:
        return lambda _: True
    if schema is False:
        return lambda _: False
    checks: list[Predicate] = []
    for keyword, expected in schema.items():
        if keyword in _ANNOTATIONS or keyword.startswith("x-"):
            continue
        maker = _MAKERS.get(keyword)
        if maker is None:
            raise UnknownKeywordError(keyword)
        check = maker(schema, expected, templated)
        if check is not None:
            checks.append(check)
    predicate = checks[0] if len(checks) == 1 else _all(checks)
    return _leave_open(predicate, schema) if templated else predicate


def _all(checks: list[Predicate]) -> Predicate:
    def predicate(value: Any) -> bool:
        for check in checks:  # noqa: SIM110  (a generator costs more than this loop)
            if not check(value):
                return False
        return True

    return predicate


def _leave_open(predicate: Predicate, schema: Mapping[str, Json]) -> Predicate:
    kinds = schema.get("type", "string")
    takes_text = "string" in kinds
    # Of all keywords only these have a word to say on a text whose content is not known.
    forms = _any_of(schema, schema["anyOf"], True) if "anyOf" in schema else None

    def check(value: Any) -> bool:
        if isinstance(value, str) and OPEN in value:
            return (takes_text or is_whole(value)) and (forms is None or forms(value))
        return predicate(value)

    return check


def _type(_: Any, expected: Any, _templated: bool) -> Predicate:
    kinds = [expected] if isinstance(expected, str) else expected
    if len(kinds) == 1:
        return _KINDS[kinds[0]]
    return _one_of([_KINDS[kind] for kind in kinds])


def _one_of(tests: list[Predicate]) -> Predicate:
    def predicate(value: Any) -> bool:
        for test in tests:  # noqa: SIM110  (a generator costs more than this loop)
            if test(value):
                return True
        return False

    return predicate


def _properties(schema: Any, expected: Any, templated: bool) -> Predicate:
    inner = {key: compile_schema(part, templated=templated) for key, part in expected.items()}
    more = schema.get("additionalProperties", True)
    other = None if more is True else compile_schema(more, templated=templated)

    def check(value: Any) -> bool:
        if not isinstance(value, dict):
            return True
        for key, part in value.items():
            test = inner.get(key, other)
            if test is not None and not test(part):
                return False
        return True

    return check


def _additional(schema: Any, _expected: Any, templated: bool) -> Predicate | None:
    return None if "properties" in schema else _properties(schema, {}, templated)


def _required(_: Any, expected: Any, _templated: bool) -> Predicate:
    wanted = frozenset(expected)
    return lambda value: not isinstance(value, dict) or wanted <= value.keys()


def _items(_: Any, expected: Any, templated: bool) -> Predicate:
    inner = compile_schema(expected, templated=templated)
    return lambda value: not isinstance(value, list) or all(map(inner, value))


def _any_of(_: Any, expected: Any, templated: bool) -> Predicate:
    return _one_of([compile_schema(part, templated=templated) for part in expected])


def _enum(_: Any, expected: Any, _templated: bool) -> Predicate:
    if all(isinstance(word, str) for word in expected):
        words = frozenset(expected)
        return lambda value: isinstance(value, str) and value in words
    raise UnknownKeywordError("enum of other things than texts")


def _pattern(_: Any, expected: Any, _templated: bool) -> Predicate:
    search = re.compile(expected).search
    return lambda value: not isinstance(value, str) or search(value) is not None


def _bound(kind: type | tuple[type, ...], holds: Callable[[Any, Any], bool]) -> Any:
    def maker(_: Any, expected: Any, _templated: bool) -> Predicate:
        return lambda value: (
            not isinstance(value, kind) or isinstance(value, bool) or holds(value, expected)
        )

    return maker


_MAKERS: dict[str, Callable[[Any, Any, bool], Predicate | None]] = {
    "type": _type,
    "properties": _properties,
    "additionalProperties": _additional,
    "required": _required,
    "items": _items,
    "anyOf": _any_of,
    "enum": _enum,
    "pattern": _pattern,
    "minimum": _bound((int, float), lambda value, least: value >= least),
    "maximum": _bound((int, float), lambda value, most: value <= most),
    "exclusiveMinimum": _bound((int, float), lambda value, least: value > least),
    "minLength": _bound(str, lambda value, least: len(value) >= least),
    "maxLength": _bound(str, lambda value, most: len(value) <= most),
    "minItems": _bound(list, lambda value, least: len(value) >= least),
    "minProperties": _bound(dict, lambda value, least: len(value) >= least),
}
