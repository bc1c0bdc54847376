"""Compact JSON: whatever orjson does of it, it comes to just what Python's own would."""

from __future__ import annotations

import json
import random
import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runner.compact import decode, encode, encode_body, encode_line, encode_sorted

TEXTS = st.text(st.characters(), max_size=12)  # lone surrogates among them
NUMBERS = st.integers() | st.integers(-(10**25), 10**25) | st.floats(allow_nan=False)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS.filter(lambda n: abs(n) != float("inf")) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def same(one: Any, other: Any) -> bool:
    """Equal, and of equal types all through: 1, 1.0 and True are three."""
    return repr(one) == repr(other)


@given(VALUES)
@example([2**63, -(2**63) - 1, 2**64, 12345678901234567890123])
@example({"\ud800": "\udfff"})
@example({"a": (1, 2), 3: None})
def test_what_is_written_is_what_json_reads(value: Any) -> None:
    """The text is what json would write, but for the form of very large and very small floats."""
    text = encode(value)
    usual = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert same(json.loads(text), json.loads(usual))
    assert text == usual or re.search(r"\de[+-]?\d", text + usual)
    assert "\n" not in text


@given(VALUES)
@example({"\ud800": None})
@example([2**64, None])
def test_what_is_written_in_bytes(value: Any) -> None:
    """A line is UTF-8 whatever it holds; a body is what json would send, or refused as it would."""
    assert same(json.loads(encode_line(value).decode()), json.loads(json.dumps(value)))
    try:
        wanted = json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        with pytest.raises(ValueError):  # noqa: PT011
            encode_body(value)
        return
    assert same(json.loads(encode_body(value)), json.loads(wanted))


@given(st.dictionaries(TEXTS, VALUES, max_size=5), st.randoms())
@example({"b": None, "a": 2**70, "\ud800": 1}, random.Random(1))
def test_what_is_compared_has_no_order(value: dict[str, Any], chance: random.Random) -> None:
    """The same content is the same bytes, and other content others."""
    keys = list(value)
    chance.shuffle(keys)
    assert encode_sorted(value) == encode_sorted({key: value[key] for key in keys})
    assert same(json.loads(encode_sorted(value)), json.loads(json.dumps(value, sort_keys=True)))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_json_has_not(number: float) -> None:
    """They are not sent as null, nor are they the same as null to what compares."""
    with pytest.raises(ValueError, match="JSON compliant"):
        encode_body({"a": [number]})
    assert encode_sorted([number]) != encode_sorted([None])


@given(VALUES, st.booleans())
@example([2**63, -(2**63) - 1, 2**64, 12345678901234567890123, 1e300], True)
def test_what_is_read_is_what_json_reads(value: Any, ascii_only: bool) -> None:
    """Numbers of any length are exact, and texts are what they were."""
    data = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    try:
        wanted = json.loads(data)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011
            decode(data)
        return
    assert same(decode(data), wanted)


# What JSON texts and others are pieced together from.
PIECES = ["{", "}", "[", "]", ",", ":", '"', "a", "\\", "u00e9", "0", "1", "-", ".", "e", "9" * 20,
          "NaN", "Infinity", "null", "true", " ", "\n", "\x01", "\ufeff", "1e999"]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
@example('{"a": 1, "a": 2}')
@example("[1e999, -1e999, NaN]")
@example("[-0, -0.0, 0.10, 1E5]")
@example("\ufeff{}")
def test_what_is_no_json_is_none_for_both(text: str) -> None:
    """What json reads is read alike, and what it does not read is a ValueError."""
    try:
        wanted = json.loads(text.encode())
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011
            decode(text.encode())
        return
    assert same(decode(text.encode()), wanted)


def test_what_orjson_leaves_is_read_as_asked() -> None:
    """Who knows better than json.loads what to do with the rest says so."""
    assert decode(b"[NaN]", lambda: "mine") == "mine"
    assert decode(b"[%d]" % 2**70, lambda: "mine") == "mine"
    assert decode(b"[1]", lambda: "mine") == [1]


@pytest.mark.parametrize("depth", [100_000, 1_000_000])
def test_what_is_nested_deeply(depth: int) -> None:
    """As deep as json reads, which some versions of Python do far down, or its error."""
    with pytest.raises(RecursionError):
        decode(b"[" * depth + b"]" * depth)


def test_what_is_no_json_value_is_refused() -> None:
    """Things that orjson has a form for, and JSON none."""
    for value in (date(2026, 1, 2), Decimal(1), {1, 2}, b"x"):
        with pytest.raises(TypeError):
            encode([value])  # type: ignore[list-item]


@pytest.mark.parametrize("depth", [200, 300, 500])
def test_what_orjson_could_not_write_again_is_json_to_read(depth: int) -> None:
    """Nesting that others may not follow is left to what says so in time."""
    data = b"[" * depth + b"]" * depth
    assert decode(data, lambda: "mine") == (json.loads(data) if depth < 250 else "mine")
