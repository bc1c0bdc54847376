"""The one choke point that hides secrets in what is written or shown; knows nothing of sinks."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from threading import Lock

from runner.errors import RunnerError
from runner.masking.forms import Forms, forms_of
from runner.masking.words import MASK, Words
from runner.model import Json

__all__ = ["MASK", "SHORTEST", "Masker"]

# Three characters occur by chance in every line (`200`, `id5`): hiding them would spoil the
# report, and what is missing from it would give them away.
SHORTEST = 4
DEEPEST = 100  # levels of JSON that are looked through; Keitaro's answers have about six

# Fields whose values are secret though nobody named them: how the name ends.
_TAILS = ("password", "passwd", "token", "secret", "authorization", "cookie")
_KEYS = ("api", "avscan", "secret", "private", "access")  # before `key`


def _after_name(slashes: str = "") -> str:
    """Looks back from the colon at the name's end; each look takes a tail of one length."""
    quote = f'{slashes}":'
    return "|".join(f"(?<={tail}{quote})" for tail in (*_TAILS, "key", "confirmation"))


# The colon of such a field where the value is not masked: in JSON as `_encode` writes it; or, with
# backslashes before the quotes, in JSON that is in its strings, up to three levels down. What is
# found needlessly costs a closer look and no more.
_NESTED = "|".join(_after_name(r"\\" * count) for count in (1, 3, 7))
_EXPOSED = re.compile(
    rf'":(?:(?<=[denty]":)(?:{_after_name()})|(?<=\\":)(?:{_NESTED}))'
    r'(?!\s*(?:null|true|false|\{|(\\*)"(?:\*\*\*)?\1"))',
    re.IGNORECASE,
)
# Of these one occurs, in lower case, wherever such a field does: a search takes a microsecond.
_HINTS = (
    *("password", "passwd", "token", "secret", "authorization"),
    *('cookie"', "cookie\\", 'key"', "key\\"),
)
_SCALAR = re.compile(r'\s*(?:"(?:[^"\\]|\\.)*"?|-?\d[\d.eE+-]*)', re.DOTALL)
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class Masker:
    """Hides secrets in text and in JSON, in every form that `forms` knows, behind `***`.

    Beside the secrets it is told, it hides the values of fields such as `password`, `token` and
    `api_key`. True, false and null are never hidden. A secret shorter than `SHORTEST` raises
    `RunnerError`; an empty one is nothing to hide.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: Mapping[str, Forms] = {}
        self._needles: tuple[str, ...] = ()
        self._loose: tuple[re.Pattern[str], ...] = ()
        self._words = Words()
        self._lock = Lock()
        for secret in secrets:
            self.add(secret)

    def __repr__(self) -> str:
        return f"Masker({len(self._forms)} secrets)"

    def add(self, secret: str) -> None:
        """Hide this one too, from now on; white space around it may be missing where it shows."""
        if secret and len(secret) < SHORTEST:
            raise RunnerError(
                f"a secret of fewer than {SHORTEST} characters cannot be hidden: it would be "
                "found by chance everywhere",
                "use a longer one, or do not mark it as secret",
            )
        both = {text: forms_of(text) for text in {secret, secret.strip()} if len(text) >= SHORTEST}
        with self._lock:  # readers in other threads see the old tables or the new
            known = {**self._forms, **both}
            # A secret may hold another: the longest goes first.
            self._forms = {text: known[text] for text in sorted(known, key=len, reverse=True)}
            self._needles = tuple({needle for form in known.values() for needle in form.needles})
            self._loose = tuple(form.loose for form in known.values() if form.loose)

    def add_word(self, word: str) -> None:
        """Hide one of many: only as it is, if it consists of letters and digits."""
        if not Words.can_hold(word):
            self.add(word)
            return
        with self._lock:
            self._words.add(word)

    def text(self, text: str) -> str:
        """The text with every secret hidden, and with the fields of any JSON that it is."""
        if self._hides(text):
            text = self._without_secrets(text)
        return self._without_fields(text) if _hints(text) and _EXPOSED.search(text) else text

    def json(self, value: Json) -> Json:
        """The value, its structure kept: strings and keys masked, and numbers that tell a secret.

        What JSON cannot hold (NaN, infinity) becomes text, and what is nested too deeply `***`.
        """
        return self._json(value, 0)

    def line(self, value: Json) -> str:
        """The masked value as one line of compact JSON, without its newline; always valid UTF-8."""
        try:
            text = _encode(value)
        except (ValueError, RecursionError):  # NaN, or nesting
            return _writable(_encode(self.json(value)))
        if self._hides(text):
            return _writable(_encode(self.json(value)))
        if not _hints(text):
            return _writable(text)
        text, whole = _without_fields(text)
        return _writable(text if whole else _encode(self.json(value)))

    def both(self, value: Json) -> tuple[str, Json]:
        """The masked value as `line` gives it, and as `json` does; the same value if it is clean.

        Cheaper than one after the other, since most values have nothing to hide.
        """
        try:
            text = _encode(value)
        except (ValueError, RecursionError):  # NaN, or nesting
            text = ""
        if text and not self._hides(text) and not (_hints(text) and _EXPOSED.search(text)):
            return _writable(text), value
        masked = self.json(value)
        return _writable(_encode(masked)), masked

    def _hides(self, text: str) -> bool:
        """Whether there may be a secret in the text; false is certain."""
        for needle in self._needles:  # a loop costs half of what `any` does
            if needle in text:
                return True
        for pattern in self._loose:
            if pattern.search(text):
                return True
        return self._words.are_in(text)

    def _without_secrets(self, text: str) -> str:
        """Until nothing changes, since hiding one may bring another together: `*` and `***`."""
        while True:
            before = text = self._words.hide(text)
            for forms in self._forms.values():
                text = forms.pattern.sub(MASK, text)
            if text == before:
                return text

    def _without_fields(self, text: str) -> str:
        """The text, which is JSON or was before it was cut, with its fields masked."""
        try:
            parsed = json.loads(text)
            masked = self.json(parsed)
        except (ValueError, RecursionError):
            return _without_fields(text)[0]
        return text if masked == parsed else _encode(masked)

    def _json(self, value: Json, depth: int) -> Json:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, (dict, list, tuple)) and depth >= DEEPEST:
            return MASK
        if isinstance(value, dict):
            return self._object(value, depth + 1)
        if isinstance(value, (list, tuple)):
            return [self._json(part, depth + 1) for part in value]
        return value if value is None or isinstance(value, bool) else self._number(value)

    def _object(self, value: Mapping[str, Json], depth: int) -> Json:
        masked: dict[str, Json] = {}
        for key, part in value.items():
            name = self.text(str(key))
            while name in masked:  # two keys that differed in a secret only
                name += MASK
            hide = self._field if _is_sensitive(str(key)) else self._json
            masked[name] = hide(part, depth)
        return masked

    def _field(self, value: Json, depth: int) -> Json:
        """The value of a field that is secret by its name."""
        if isinstance(value, (list, tuple)):
            return [self._field(part, depth + 1) for part in value]
        if isinstance(value, (dict, bool)) or value in (None, ""):
            return self._json(value, depth)
        return MASK

    def _number(self, number: float) -> Json:
        if isinstance(number, float) and not math.isfinite(number):
            return str(number)
        return MASK if self._hides(text := str(number)) and self.text(text) != text else number


@lru_cache(4096)
def _is_sensitive(name: str) -> bool:
    lower = name.lower()
    if lower.endswith("key"):
        return lower[:-3].rstrip("-_ ").endswith(_KEYS)
    return lower.endswith(_TAILS) or (lower.endswith("confirmation") and "password" in lower)


def _hints(text: str) -> bool:
    lower = text.lower().replace('"api-key":"***"', "")  # which nearly every line carries
    for hint in _HINTS:  # noqa: SIM110  (a generator costs more than this loop)
        if hint in lower:
            return True
    return False


def _without_fields(text: str) -> tuple[str, bool]:
    """The JSON text with its exposed fields masked in place, and whether that caught them all.

    Not caught are lists, and fields in JSON that is itself in a string: those take parsing.
    """
    pieces, at, whole = [], 0, True
    for found in _EXPOSED.finditer(text):
        name = text[text.rfind('"', 0, found.start()) + 1 : found.start()]
        value = _SCALAR.match(text, found.end())
        if name.endswith("\\") or not value:
            whole = False
        elif _is_sensitive(name):
            pieces += [text[at : found.end()], f'"{MASK}"']
            at = value.end()
    return "".join([*pieces, text[at:]]), whole


def _writable(text: str) -> str:
    """The line; in ASCII where a lone surrogate, which JSON allows, keeps it from being UTF-8."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return json.dumps(json.loads(text), separators=(",", ":"))
    return text
