"""JSON on one line and back, as answers, reports and journals have it, in a tenth of the time.

orjson does it wherever it comes to just what Python's `json` would, which does the rest.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson

from runner.model import Json

Default = Callable[[Any], Json] | None

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_sorting = partial(json.JSONEncoder, sort_keys=True, separators=(",", ":"))
_sorted = _sorting().encode
_in_ascii = json.JSONEncoder(separators=(",", ":")).encode
# As orjson names what only resembles plain JSON, and so is not left to it.
_PLAIN = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
# A number of so many digits may be none that 64 bits hold: orjson would make it a float.
_DIGITS = bytes(ord("0") if chr(byte).isdigit() else byte for byte in range(128)) + bytes(
    range(128, 256)
)
_LONG = b"0" * 19
_DEEP = 250  # levels that orjson writes
NULL = b"null"  # as orjson writes NaN and infinity too


def encode(value: Json) -> str:
    """The value as compact JSON, which is not valid UTF-8 where a text holds a lone surrogate.

    Its floats must be finite: others are written as null. Raises ValueError, TypeError and
    RecursionError as `json` does.
    """
    try:
        return orjson.dumps(value, option=_PLAIN).decode()
    except TypeError:  # a long number, a tuple, a surrogate, keys that are no text, deep nesting
        return _encode(value)


def encode_line(value: Json) -> bytes:
    """The value as `encode` gives it, in UTF-8: in ASCII where a lone surrogate is no UTF-8."""
    try:
        return orjson.dumps(value, option=_PLAIN)
    except TypeError:
        return _in_ascii(value).encode()


def encode_body(value: Json) -> bytes:
    """The value as it is sent, in UTF-8.

    Raises ValueError where it cannot be (infinite floats, lone surrogates), and else as `encode`.
    """
    return _exactly(value, _by_orjson, _by_json)


def encode_sorted(value: Json) -> bytes:
    """The value in UTF-8, the same whatever the order of its keys, for comparing alone."""
    return _exactly(value, sorted_by_orjson, sorted_by_json)


def sorted_by_orjson(value: Json, default: Default = None) -> bytes:
    """As `encode_sorted` gives it where there is no null. Raises TypeError where that is json's.

    `default` is asked for what stands in the place of what JSON does not know.
    """
    return orjson.dumps(value, default, _PLAIN | orjson.OPT_SORT_KEYS)


def sorted_by_json(value: Json, default: Default = None) -> bytes:
    """As `encode_sorted` gives it where orjson cannot be relied on."""
    encode_ = _sorted if default is None else _sorting(default=default).encode
    return encode_(value).encode()


def _by_orjson(value: Json) -> bytes:
    return orjson.dumps(value, option=_PLAIN)


def _by_json(value: Json) -> bytes:
    return _encode(value).encode()


def _exactly(
    value: Json, quickly: Callable[[Json], bytes], otherwise: Callable[[Json], bytes]
) -> bytes:
    """By orjson, unless there is a null in it, which may be a number that JSON has not."""
    try:
        data = quickly(value)
    except TypeError:
        data = NULL
    return otherwise(value) if NULL in data else data


def decode(data: bytes, otherwise: Callable[[], Json] | None = None) -> Json:
    """What JSON says; what orjson does not read `otherwise` does, or else `json.loads`.

    Raises ValueError and RecursionError as that does.
    """
    if _LONG not in data.translate(_DIGITS):
        try:
            value = orjson.loads(data)
            if data.count(b"[") + data.count(b"{") > _DEEP:
                orjson.dumps(value)  # which goes less deep than reading, or than others can follow
            return value
        except (orjson.JSONDecodeError, TypeError):
            pass  # a long number, a surrogate, NaN, deep nesting, another encoding; or no JSON
    return otherwise() if otherwise else json.loads(data)
