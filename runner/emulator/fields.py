"""What may be written into an entity: fields, their kinds and defaults, and reading them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from enum import Enum, auto
from math import isfinite
from typing import Any, assert_never

from runner.emulator.answers import InvalidError


class UnfitError(ValueError):
    """A value that cannot be taken; its text ends a sentence that begins with the field's name."""


class Kind(Enum):
    """The JSON type a field is read back as; writes are taken more liberally."""

    TEXT = auto()
    INTEGER = auto()
    NUMBER = auto()
    FLAG = auto()
    TEXTS = auto()
    OBJECT = auto()
    ANY = auto()


@dataclass(frozen=True, slots=True)
class Field:
    """One writable field: its kind, the value it has when left out, and what is allowed in it."""

    name: str
    kind: Kind = Kind.TEXT
    default: Any = ""
    required: bool = False
    choices: tuple[str, ...] = ()


def text(name: str, default: str | None = "", *, required: bool = False) -> Field:
    """Return a text field."""
    return Field(name, Kind.TEXT, default, required)


def choice(name: str, default: str | None, *choices: str, required: bool = False) -> Field:
    """Return a text field that takes one of `choices`."""
    return Field(name, Kind.TEXT, default, required, choices)


def integer(name: str, default: int | None = 0, *, required: bool = False) -> Field:
    """Return a field of whole numbers, which clients also send as numeric strings."""
    return Field(name, Kind.INTEGER, default, required)


def number(name: str, default: float | None = 0) -> Field:
    """Return a field of numbers, which clients also send as numeric strings."""
    return Field(name, Kind.NUMBER, default)


def flag(name: str, default: bool = False) -> Field:
    """Return a field of booleans, which clients also send as 0, 1 and "true"."""
    return Field(name, Kind.FLAG, default)


def label(name: str) -> str:
    """Return a field's name as error messages spell it: `action_type` is "Action type"."""
    return name.replace("_", " ").capitalize()


def read(fields: Iterable[Field], body: Mapping[str, Any], *, partial: bool) -> dict[str, Any]:
    """Return the fields of `body` in normal form; raises InvalidError naming every bad one.

    `partial` is how PUT works: what is left out is left alone, nothing is required.  Otherwise
    what is left out takes its default.  Unknown keys are ignored, as trackers ignore them.
    """
    values: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    for field in fields:
        if field.name not in body:
            if field.required and not partial:
                errors[field.name] = [f"{label(field.name)} is required"]
            elif not partial:
                values[field.name] = deepcopy(field.default)
            continue
        try:
            values[field.name] = _read_one(field, body[field.name])
        except UnfitError as problem:
            errors[field.name] = [f"{label(field.name)} {problem}"]
    if errors:
        raise InvalidError(errors)
    return values


def _read_one(field: Field, value: Any) -> Any:
    if value is None or (value == "" and field.kind is not Kind.TEXT):
        if field.required:
            raise UnfitError("is required")
        return deepcopy(field.default)
    result = convert(field.kind, value)
    if field.required and result == "":
        raise UnfitError("is required")
    if field.choices and result not in field.choices:
        raise UnfitError(f"is invalid, use one of: {', '.join(field.choices)}")
    return result


def convert(kind: Kind, value: Any) -> Any:
    """Return `value` as `kind` reads back; raises UnfitError that ends a sentence about a field."""
    match kind:
        case Kind.ANY:
            return value
        case Kind.TEXT | Kind.INTEGER | Kind.NUMBER | Kind.FLAG:
            return _SCALARS[kind](value)
        case Kind.TEXTS:
            return _texts(value)
        case Kind.OBJECT:
            return _object(value)
        case _:
            assert_never(kind)


def as_text(value: Any) -> str:
    """Return a string or number as text; raises UnfitError for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UnfitError("must be a string")
    return str(value)


def as_integer(value: Any) -> int:
    """Return a whole number or a numeric string as an integer; raises UnfitError otherwise."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise UnfitError("must be an integer")
    try:
        return int(value)
    except ValueError:
        raise UnfitError("must be an integer") from None


def as_number(value: Any) -> float:
    """Return a number or a numeric string as a number; raises UnfitError otherwise."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UnfitError("must be a number")
    if not isinstance(value, str):
        return value
    try:
        result = float(value)
    except ValueError:
        raise UnfitError("must be a number") from None
    if not isfinite(result):
        raise UnfitError("must be a number")
    return int(result) if result.is_integer() else result


_FLAGS = {"1": True, "true": True, "0": False, "false": False}


def as_flag(value: Any) -> bool:
    """Return true, 1, "1", "true" as true, the opposites as false; raises UnfitError otherwise."""
    known = _FLAGS.get(str(value).lower())
    if known is None:
        raise UnfitError("must be a boolean")
    return known


_SCALARS: dict[Kind, Callable[[Any], Any]] = {
    Kind.TEXT: as_text,
    Kind.INTEGER: as_integer,
    Kind.NUMBER: as_number,
    Kind.FLAG: as_flag,
}


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise UnfitError("must be an array")
    return [as_text(item) for item in value]


def _object(value: Any) -> dict[str, Any]:
    # PHP writes an empty map as [], so clients send that back.
    if value == []:
        return {}
    if not isinstance(value, dict):
        raise UnfitError("must be an object")
    return value
