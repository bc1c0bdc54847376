"""Fields that are secret by their names, in JSON and in text that is JSON; knows no secrets."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import is_
from urllib.parse import unquote

from runner.masking.words import MASK
from runner.model import Json

DEEPEST = 100  # levels of JSON that are looked through; Keitaro's answers have about six

# How the name ends.
_TAILS = ("password", "passwd", "token", "secret", "authorization", "cookie")
_KEYS = ("api", "avscan", "secret", "private", "access")  # before `key`


def _after_name(slashes: str = "") -> str:
    """Looks back from the colon at the name's end; each look takes a tail of one length."""
    quote = f'{slashes}":'
    return "|".join(f"(?<={tail}{quote})" for tail in (*_TAILS, "key", "confirmation"))


# The colon of such a field where the value is not masked: in JSON; or, with backslashes before the
# quotes, in JSON that is in its strings, up to three levels down. What is found needlessly costs a
# closer look and no more.
_COLON = '":'
_NESTED = "|".join(_after_name(r"\\" * count) for count in (1, 3, 7))
_EXPOSED = re.compile(
    rf'{_COLON}(?:(?<=[denty]":)(?:{_after_name()})|(?<=\\":)(?:{_NESTED}))'
    r'(?!\s*(?:null|true|false|\{|(\\*)"(?:\*\*\*)?\1"))',
    re.IGNORECASE,
)
# What such a field holds, in text that may end anywhere: a text, a number, or a list.
_VALUE = re.compile(r'\s*(?:"(?:[^"\\]|\\.)*"?|-?\d[\d.eE+-]*|\[[^\]]*\]?)', re.DOTALL)
_SPACED = re.compile(r'"\s+:')


# Names found to be no secret's: every field of every answer is asked about.
_harmless: set[str] = set()
_MOST_KNOWN = 4096

Text = Callable[[str], str]


def may_be_in(text: str) -> bool:
    """Whether the text may be JSON, or hold some, with such a field; false is certain."""
    exposed = _COLON in text and _EXPOSED.search(text) is not None
    return exposed or _SPACED.search(text) is not None


def may_be_json(text: str) -> bool:
    """Whether the text may be JSON, or hold some, whatever is in it; false is certain."""
    return ":" in text and '"' in text


def may_be_within(line: str) -> bool:
    """Whether a string of a JSON text may hold JSON with such a field; false is certain."""
    return f"\\{_COLON}" in line and _EXPOSED.search(line) is not None


def without_fields(value: Json, text: Text, depth: int = 0) -> Json:
    """The value with what such fields hold behind `***`; a part that stays is the same object.

    `text` is asked about strings that may hold JSON themselves, and keys are left as they are.
    True, false, null and empty strings are no secrets; what is nested too deeply is hidden, and
    what JSON cannot hold (NaN, infinity) becomes text.
    """
    if isinstance(value, str):
        return text(value) if may_be_json(value) else value
    if isinstance(value, dict):
        return _object(value, text, depth + 1) if depth < DEEPEST else MASK
    if isinstance(value, (list, tuple)):
        return _list(value, text, depth + 1, without_fields) if depth < DEEPEST else MASK
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _object(value: Mapping[str, Json], text: Text, depth: int) -> Json:
    masked: dict[str, Json] | None = None
    for key, part in value.items():
        # Most of an answer is text and numbers under names that hide nothing: no call for those.
        kind = type(part)
        if key not in _harmless and is_sensitive(key):
            shown = _field(part, text, depth)
        elif kind is str:
            if ":" not in part or '"' not in part:
                continue
            shown = text(part)
        elif kind is int or part is None:
            continue
        elif kind is dict and depth < DEEPEST:
            if not part:
                continue
            shown = _object(part, text, depth + 1)
        else:
            shown = without_fields(part, text, depth)
        if shown is not part:
            if masked is None:
                masked = dict(value)
            masked[key] = shown
    return value if masked is None else masked


def _list(value: Sequence[Json], text: Text, depth: int, hide: Callable[..., Json]) -> Json:
    masked = [hide(part, text, depth) for part in value]
    return value if all(map(is_, masked, value)) else masked


def _field(value: Json, text: Text, depth: int) -> Json:
    """The value of a field that is secret by its name."""
    if isinstance(value, (list, tuple)):
        return _list(value, text, depth + 1, _field) if depth < DEEPEST else MASK
    if isinstance(value, (dict, bool)) or value in (None, ""):
        return without_fields(value, text, depth)
    return MASK


def is_sensitive(name: str) -> bool:
    """Whether a field of that name is secret."""
    if _ends_like_a_secret(name):
        return True
    if len(_harmless) >= _MOST_KNOWN:  # ids may be names as well
        _harmless.clear()
    _harmless.add(name)
    return False


@lru_cache(_MOST_KNOWN)
def _ends_like_a_secret(name: str) -> bool:
    lower = str(name).lower()
    if lower.endswith("key"):
        return lower[:-3].rstrip("-_ ").endswith(_KEYS)
    return lower.endswith(_TAILS) or (lower.endswith("confirmation") and "password" in lower)


def without_parameters(url: str) -> str:
    """The address with what its parameters hold hidden, where they are secret by their names."""
    path, mark, query = url.partition("?")
    if not mark:
        return url
    parts = []
    for part in query.split("&"):
        name, equals, value = part.partition("=")
        hide = equals and value and is_sensitive(unquote(name).removesuffix("[]"))
        parts.append(f"{name}={MASK}" if hide else part)
    return f"{path}?{'&'.join(parts)}"


def hidden_in_place(text: str) -> str:
    """JSON text, whole or cut short, with its exposed fields masked, in its strings too."""
    pieces, at = [], 0
    for found in _EXPOSED.finditer(text):
        if found.start() < at:
            continue
        name = text[text.rfind('"', 0, found.start()) + 1 : found.start()]
        bare = name.rstrip("\\")
        value = _inner_value(name[len(bare) :]) if bare != name else _VALUE
        match = value.match(text, found.end())
        if match and is_sensitive(bare):
            quote = f'{name[len(bare) :]}"'
            pieces += [text[at : found.end()], quote, MASK, quote]
            at = match.end()
    return "".join([*pieces, text[at:]])


@lru_cache(16)
def _inner_value(slashes: str) -> re.Pattern[str]:
    """What a field holds in JSON that is in a string, so that its quotes have these before them."""
    quote = re.escape(f'{slashes}"')
    return re.compile(
        rf"\s*(?:{quote}.*?(?:(?<!\\){quote}|\Z)|-?\d[\d.eE+-]*|\[[^\]]*\]?)", re.DOTALL
    )
