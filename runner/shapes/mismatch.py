"""What a value does wrong by its schema, in words for a person."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from runner.model import Json
from runner.templating.expressions import describe, nearest

Trail = tuple[str | int, ...]

_WHOLE = re.compile(r"\s*[-+]?[0-9]+\s*")
_DECIMAL = re.compile(r"\s*[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?\s*")


class Mismatch(NamedTuple):
    """Where a value does not fit its schema, and in what; `key` where the key itself is meant.

    `keyword` is the schema's keyword that failed, `expected` its value.
    """

    trail: Trail
    keyword: str
    expected: Json
    message: str
    hint: str = ""
    key: bool = False


def translate(error: Any) -> Iterator[Mismatch]:
    """An error of jsonschema in our words; one that names several keys becomes several."""
    trail: Trail = tuple(error.absolute_path)
    expected, value = error.validator_value, error.instance
    says = error.schema.get("x-says") if isinstance(error.schema, dict) else None
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        for key in value:
            if key not in known:
                hint = _instead(key, error.schema, known)
                yield Mismatch((*trail, key), "additionalProperties", expected,
                               f"unknown key '{key}'", hint, key=True)  # fmt: skip
    elif error.validator == "required":
        missing = next((key for key in expected if f"'{key}'" in error.message), "")
        yield Mismatch(
            trail,
            "required",
            missing,
            f"'{missing}' is missing",
            _about(error.schema, missing),
            key=True,
        )
    elif error.validator == "type":
        kinds = [expected] if isinstance(expected, str) else list(expected)
        hint = _unquote(kinds, value) or says or ""
        yield Mismatch(trail, "type", kinds, f"must be {_kinds(kinds)}, is {describe(value)}", hint)
    elif error.validator == "enum":
        yield _not_among(trail, expected, value, error.schema.get("x-meant", {}))
    else:
        yield Mismatch(trail, error.validator, expected, says or _generic(error), "")


def _unquote(kinds: list[str], value: Json) -> str:
    """What to do about a text that looks like what is wanted."""
    if not isinstance(value, str):
        return ""
    if "{{" in value and "${{" not in value:
        return "did you mean an expression? It begins with ${{"
    if not {"integer", "number"} & {*kinds}:
        return ""
    if _WHOLE.fullmatch(value):
        word = "int"
    elif "number" in kinds and _DECIMAL.fullmatch(value):
        word = "float"
    else:
        return ""
    return f"take the quotes off, or add | {word} to the expression (values from CSV are text)"


def _instead(key: str, schema: Mapping[str, Any], known: list[str]) -> str:
    """What to write in place of a key that is not known."""
    near = schema.get("x-meant", {}).get(key)
    if near is None and key in schema.get("x-given", ()):
        return f"the tracker gives it and does not take it: leave it out, or add | omit('{key}')"
    near = near or nearest(key, known)
    return f"did you mean '{near}'?" if near else _among(known)


def _not_among(
    trail: Trail, expected: list[Json], value: Json, meant: Mapping[str, str]
) -> Mismatch:
    words = [str(word) for word in expected]
    near = (meant.get(value) or nearest(value, words)) if isinstance(value, str) else None
    shown = f"'{value}'" if isinstance(value, str) else describe(value)
    return Mismatch(
        trail,
        "enum",
        expected,
        f"{shown} is not one of {', '.join(words)}",
        f"did you mean '{near}'?" if near else "",
    )


def _among(known: list[str]) -> str:
    shown = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
    return f"the keys here are {shown}" if known else "no keys are known here"


def _about(schema: Mapping[str, Json], key: str) -> str:
    part = schema.get("properties", {}).get(key, {})
    described = part.get("description", "")
    return f"add it: {described}" if described else "add it"


_ARTICLES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
    "object": "a mapping",
    "array": "a list",
}


def _kinds(kinds: list[str]) -> str:
    words = [_ARTICLES[kind] for kind in kinds]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _generic(error: Any) -> str:
    words = {
        "minimum": "must be at least {0}",
        "maximum": "must be at most {0}",
        "exclusiveMinimum": "must be more than {0}",
        "minLength": "must not be empty"
        if error.validator_value == 1
        else "must be at least {0} characters long",
        "maxLength": "must be at most {0} characters long",
        "minItems": "must hold at least {0}",
        "minProperties": "must hold at least {0}",
        "pattern": "does not look as it should ({0})",
        "anyOf": "has none of the forms that are known here",
    }
    known = words.get(error.validator)
    return known.format(error.validator_value) if known else str(error.message)
