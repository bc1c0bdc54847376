"""What a plain YAML scalar means: the core schema of YAML 1.2, and where YAML 1.1 differs."""

from __future__ import annotations

import math
import re

from runner.model import Json

_CONSTANTS: dict[str, Json] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_OTHER_BASE = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z")

# Only these can begin a scalar that is anything but text; all others are done at one look.
_FIRST = frozenset("~nNtTfF+-.0123456789")

_OLD_BOOLEANS = frozenset(
    word
    for name in ("y", "n", "yes", "no", "on", "off")
    for word in (name, name.capitalize(), name.upper())
)
_OLD_FIRST = frozenset("yYnNoO")
_SEXAGESIMAL = re.compile(
    r"[-+]?(?:[1-9][0-9_]*(?::[0-5]?[0-9])+|[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*)\Z"
)
_DATE = re.compile(
    r"[0-9]{4}-(?:[0-9]{2}-[0-9]{2}|[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)"
    r"[0-9]{1,2}:[0-9]{2}:[0-9]{2}.*)\Z"
)
_UNDERSCORED = re.compile(
    r"[-+]?(?:0b[01_]+|(?=.*_)(?:0x[0-9a-fA-F_]+"
    r"|(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+][0-9]+)?|0[0-7_]+|[1-9][0-9_]*))\Z"
    r"|[-+]0x[0-9a-fA-F_]+\Z"
)
# Numbers by YAML 1.2 alone: an octal of its own, and floats whose point or sign is left out.
_NEW_NUMBER = re.compile(
    r"0o[0-7]+\Z|[-+]?0[0-9]*[89][0-9]*\Z"
    r"|[-+]?(?:[0-9]+[eE][-+]?[0-9]+|(?:[0-9]+\.[0-9]*|\.[0-9]+)[eE][0-9]+)\Z"
)
_OLD_OCTAL = re.compile(r"[-+]?0[0-7]+\Z")
_OLD = (
    (_SEXAGESIMAL, "a number in base 60"),
    (_DATE, "a date"),
    (_OLD_OCTAL, "an octal number"),
    (_UNDERSCORED, "a number"),
    (_NEW_NUMBER, "text"),
)

# Digits beyond this are no id and no amount; int() of a very long run would also be refused.
_MAX_DIGITS = 400


class NotJsonError(ValueError):
    """A number that JSON cannot carry: an infinity, "not a number", or far too many digits."""


def meaning(text: str) -> Json:
    """The value of a plain scalar: null, true, false, an integer, a float, or the text itself.

    Raises NotJsonError for `.inf`, `.nan` and numbers too long to be one.
    """
    if text and text[0] not in _FIRST:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.match(text):
        return int(_short(text))
    if _OTHER_BASE.match(text):
        return int(_short(text), 0)
    if _FLOAT.match(text):
        return _finite(text)
    if _NOT_FINITE.match(text):
        raise NotJsonError(f"{text} is no number that JSON can carry")
    return text


def old_meaning(text: str) -> str | None:
    """What YAML 1.1 would have made of a plain scalar, in words; `None` where it agrees."""
    first = text[:1]
    if first in _OLD_FIRST:
        return "true or false" if text in _OLD_BOOLEANS else None
    if not (first.isdigit() or first in {"+", "-", "."}):
        return None
    for pattern, words in _OLD:
        if pattern.match(text):
            return words
    return None


def _short(text: str) -> str:
    if len(text) > _MAX_DIGITS:
        raise NotJsonError(f"a number of {len(text)} digits is too long")
    return text


def _finite(text: str) -> float:
    value = float(_short(text))
    if math.isinf(value):
        raise NotJsonError(f"{text} is too large for a number")
    return value
