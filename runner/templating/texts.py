"""The filters that make or take text; what is no text and no number is refused, not spelled."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Undefined
from jinja2.filters import FILTERS

from runner.templating.expressions import describe

MAX_WIDTH = 1_000
MAX_TEXT = 10_000_000
MAX_JSON = 1_000_000

_WHOLE = re.compile(r"\s*[-+]?[0-9]{1,400}\s*")
_NUMBER = re.compile(r"\s*[-+]?(?:[0-9]{1,300}(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,2})?\s*")
_FORMAT = re.compile(
    r"%(?:%|\(\w+\)[-+ 0#]*\d{0,3}(?:\.\d{1,2})?[a-zA-Z]|[-+ 0#]*\d{0,3}"
    r"(?:\.\d{1,2})?[a-zA-Z])"
)
# The longest that a number becomes: 1,000 wide, or 310 digits and 99 places.
_FORMATTED = 1_000


def text_of(value: Any) -> str:
    """A text, or a number, true or false as JSON spells it.

    Raises TypeError for all else: null and lists have no spelling that could not surprise.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no number that JSON can carry")
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Undefined):
        str(value)  # raises, with the reason
    if value is None:
        raise TypeError("null is no text; say what to take instead, such as default('', true)")
    raise TypeError(f"{describe(value)} is no text; join its items, or write | tojson")


def width_of(value: Any, most: int = MAX_WIDTH) -> int:
    """A width or a count within its bounds. Raises ValueError."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"a width must be a whole number from 0 to {most:,}")
    return value


def _of_text(run: Callable[..., Any]) -> Callable[..., Any]:
    def filtered(value: Any, *args: Any, **options: Any) -> Any:
        return run(text_of(value), *args, **options)

    return filtered


def _center(value: str, width: int = 80) -> str:
    return text_of(value).center(width_of(width))


def _indent(value: str, width: int = 4, first: bool = False) -> str:
    text, pad = text_of(value), " " * width_of(width)
    lines = text.splitlines()
    if len(text) + len(lines) * len(pad) > MAX_TEXT:
        raise ValueError("indent would make a text that is too long")
    return (pad if first else "") + ("\n" + pad).join(lines)


def _format(value: str, *args: Any, **named: Any) -> str:
    text, count = text_of(value), 0
    rest, count = _FORMAT.subn("", text)
    if "%" in rest:
        raise ValueError("format takes %s, %d, %f and their like, up to three digits wide")
    longest = max([_FORMATTED, *(_argument_length(part) for part in (*args, *named.values()))])
    if len(text) + count * longest > MAX_TEXT:
        raise ValueError("format would make a text that is too long")
    return text % (named or args)


def _argument_length(value: Any) -> int:
    # A number stays one, for %d and %f; anything else must be text.
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _FORMATTED
    if not isinstance(value, str):
        raise TypeError(f"format takes texts and numbers, not {describe(value)}")
    return len(value)


def replaced(value: str, old: str, new: str, count: int = -1) -> str:
    """The text with `old` replaced. Raises ValueError where the result would be too long."""
    value, old, new = text_of(value), text_of(old), text_of(new)
    if len(value) + value.count(old) * max(len(new) - len(old), 0) > MAX_TEXT:
        raise ValueError("replace would make a text that is too long")
    return value.replace(old, new, count)


def _truncate(value: str, length: int = 255, end: str = "…") -> str:
    text, end = text_of(value), text_of(end)
    return text if len(text) <= length else text[: max(length - len(end), 0)] + end


def _split(value: str, separator: str | None = None, most: int = -1) -> list[str]:
    return text_of(value).split(separator, most)


def _urlencode(value: Any) -> str:
    """A text for an address, or a mapping or list of pairs as a query."""
    if isinstance(value, Mapping):
        value = list(value.items())
    if isinstance(value, list):
        return urlencode([(text_of(name), text_of(part)) for name, part in value], quote_via=quote)
    return quote(text_of(value), safe="/")


def _tojson(value: Any, indent: int | None = None) -> str:
    width = None if indent is None else width_of(indent, 8)
    listed = list(value) if hasattr(value, "__next__") else value
    return json.dumps(listed, ensure_ascii=False, indent=width, allow_nan=False)


def _fromjson(value: str) -> Any:
    if not isinstance(value, str):
        raise TypeError(f"fromjson takes text, not {describe(value)}")
    if len(value) > MAX_JSON:
        raise ValueError(f"fromjson takes at most {MAX_JSON:,} characters")
    try:
        return json.loads(value, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"this is not JSON: {error}") from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number that JSON can carry")


_NO_DEFAULT: Any = object()


def _int(value: Any, default: Any = _NO_DEFAULT) -> Any:
    """A whole number. Jinja2's own makes 0 of what is none, and 0 may be sent as an id."""
    number = _float(value, None)
    if number is None or (isinstance(value, str) and not number.is_integer()):
        return _or_default(value, default, "a whole number", "int")
    return int(value) if not isinstance(value, str) or _WHOLE.fullmatch(value) else int(number)


def _float(value: Any, default: Any = _NO_DEFAULT) -> Any:
    """A number. Jinja2's own makes 0 of what is none, so that a payout of `12,50` would be lost."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)
    return _or_default(value, default, "a number", "float")


_COMMA = re.compile(r"[-+]?\d+,\d+")


def _or_default(value: Any, default: Any, wanted: str, word: str) -> Any:
    if isinstance(value, Undefined) and default is _NO_DEFAULT:
        str(value)  # raises, with the reason
    if default is not _NO_DEFAULT:
        return default
    shown = f"'{value[:40]}'" if isinstance(value, str) else describe(value)
    if isinstance(value, str) and _COMMA.fullmatch(value.strip()):
        raise ValueError(f"{shown} is not {wanted}; write | replace(',', '.') before | {word}")
    raise ValueError(f"{shown} is not {wanted}; say what to take instead, such as {word}(0)")


TEXT_FILTERS: dict[str, Callable[..., Any]] = {
    **{
        name: _of_text(FILTERS[name])
        for name in ("capitalize", "lower", "title", "trim", "upper", "wordcount")
    },
    "center": _center,
    "float": _float,
    "format": _format,
    "fromjson": _fromjson,
    "indent": _indent,
    "int": _int,
    "replace": replaced,
    "split": _split,
    "string": text_of,
    "tojson": _tojson,
    "truncate": _truncate,
    "urlencode": _urlencode,
}
