"""The forms in which a secret may be written, as patterns; knows one secret at a time."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

_RUN = re.compile(r"[0-9A-Za-z]+")
_NO_WORD = 8  # characters; what is shorter may be a word, which is another in another case
_CERTAIN = 4  # letters and digits in a row that seldom occur by chance
# Backslashes that escape a character through four levels of JSON. Without a bound, text full of
# backslashes would take quadratic time.
_SOME, _ANY = r"\\{1,15}", r"\\{0,15}"
_ESCAPES = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}
_ENTITIES = {'"': "&quot;", "'": "&apos;", "&": "&amp;", "<": "&lt;", ">": "&gt;"}


class Forms(NamedTuple):
    """How one secret may be written.

    `pattern` matches every form. `needles` are strings of which one occurs wherever a form does,
    but for the forms that `loose` matches: looking for a string is much faster than matching.
    """

    pattern: re.Pattern[str]
    needles: frozenset[str]
    loose: re.Pattern[str] | None


def forms_of(secret: str) -> Forms:
    """As it is, in capitals or without; escaped for JSON, URLs and HTML, in any mixture; encoded.

    That is hexadecimal, base64 or base64url. Base64 is found inside longer encoded strings too,
    such as `user:secret`.
    """
    plain = _bytes(secret)
    texts = {secret, plain.hex(), plain.hex().upper(), *_all_base64(secret)}
    if len(secret) >= _NO_WORD:
        texts |= {secret.lower(), secret.upper()}
    wholly_escaped = "".join(rf"%(?:25)*{_hex(f'{byte:02x}')}" for byte in plain)
    patterns, needles, loose = [wholly_escaped], {_percent(plain), _percent(plain).lower()}, []
    for text in sorted(texts, key=len, reverse=True):
        pattern = _flexible(text)
        patterns.append(pattern)
        anchor = max(_RUN.findall(text), key=len, default="")
        if len(anchor) >= _CERTAIN:
            needles.add(anchor)
        else:
            loose.append(pattern)
    return Forms(_either(patterns), frozenset(needles), _either(loose) if loose else None)


def _either(patterns: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


def _bytes(text: str) -> bytes:
    # An environment variable that is not UTF-8 comes with lone surrogates.
    return text.encode("utf-8", "surrogatepass")


def _percent(data: bytes) -> str:
    return "".join(f"%{byte:02X}" for byte in data)


def _all_base64(secret: str) -> Iterator[str]:
    """The base64 of the secret, and of how JSON writes it, in both alphabets."""
    written = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    for data in map(_bytes, written):
        for offset in range(3):
            core = _core(data, offset)
            yield core
            yield core.replace("+", "-").replace("/", "_")


def _core(data: bytes, offset: int) -> str:
    """The part of the base64 of data at that offset (of 3) that what stands around cannot alter."""
    text = base64.b64encode(bytes(offset) + data).decode()
    return text[-(-8 * offset // 6) : 8 * (offset + len(data)) // 6]


def _flexible(text: str) -> str:
    """A pattern for the text with any of its characters escaped, each in any way, or none."""
    return "".join(
        _backslashes(len(list(run))) if char == "\\" else _character(char) * len(list(run))
        for char, run in groupby(text)
    )


def _backslashes(count: int) -> str:
    """Each level of JSON doubles them."""
    return rf"(?:\\{{{count},{16 * count}}}|(?:%(?:25)*5[cC]){{{count}}})"


def _character(char: str) -> str:
    """The character as it is, and as JSON, URLs and HTML write it."""
    if char.isascii() and char.isalnum():
        return char  # which no encoder touches one by one
    # PHP writes `/` as `\/`, Python's repr `'` as `\'`; and each level of JSON adds backslashes.
    ways = [_ANY + re.escape(char)]
    ways.append("".join(rf"%(?:25)*{_hex(f'{byte:02x}')}" for byte in _bytes(char)))
    units = char.encode("utf-16-be", "surrogatepass").hex()
    ways.append("".join(rf"{_SOME}u{_hex(units[at : at + 4])}" for at in range(0, len(units), 4)))
    ways.append(f"&#0*{ord(char)};|&#[xX]0*{_hex(f'{ord(char):x}')};")
    if char in _ESCAPES:
        ways.append(_SOME + _ESCAPES[char])
    if char in _ENTITIES:
        ways.append(_ENTITIES[char])
    if char == " ":
        ways.append(r"\+")
    return f"(?:{'|'.join(ways)})"


def _hex(digits: str) -> str:
    """A pattern for the hexadecimal digits in either case."""
    return "".join(char if char.isdigit() else f"[{char}{char.upper()}]" for char in digits)
