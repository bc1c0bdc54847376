"""The one choke point that hides secrets in what is written or shown; knows nothing of sinks."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from threading import Lock

from runner.compact import encode
from runner.errors import RunnerError
from runner.masking import fields
from runner.masking.fields import is_sensitive, without_fields
from runner.masking.forms import Forms, forms_of
from runner.masking.words import MASK, Words
from runner.model import Json

__all__ = ["MASK", "SHORTEST", "Masker", "is_sensitive"]

# Three characters occur by chance in every line (`200`, `id5`): hiding them would spoil the
# report, and what is missing from it would give them away.
SHORTEST = 4


_NUMBER = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,4})?")


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
        texts = {secret, secret.strip(), *_notations(secret)}
        both = {text: forms_of(text) for text in texts if len(text) >= SHORTEST}
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
        if fields.may_be_in(text):
            text = self._without_fields(text)
        return self._without_secrets(text) if self._hides(text) else text

    def json(self, value: Json) -> Json:
        """The value, its structure kept: strings and keys masked, and numbers that tell a secret.

        What JSON cannot hold (NaN, infinity) becomes text, and what is nested too deeply `***`.
        """
        return self._json(without_fields(value, self.text))

    def both(self, value: Json) -> tuple[str, Json]:
        """The value masked, as one line of compact JSON without its newline, and as it is.

        The line is always valid UTF-8. What stays is the same object in the value, and so is the
        whole where it has nothing to hide.
        """
        masked = without_fields(value, self.text)
        try:
            text = encode(masked)
        except (ValueError, RecursionError):  # NaN, or nesting
            text = ""
        if not text or self._hides(text) or fields.may_be_within(text):
            masked = self._json(masked)
            text = encode(masked)
        return _writable(text), masked

    def url(self, url: str) -> str:
        """The address with every secret hidden, and with what such parameters hold."""
        return self.text(fields.without_parameters(url) if "?" in url else url)

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
            if masked != parsed:
                return encode(masked)
        except ValueError:
            pass  # it is none, or not whole
        except RecursionError:
            if fields.may_be_within(text):
                return MASK
        # Of two fields with the same name JSON has the last one only.
        return fields.hidden_in_place(text)

    def _json(self, value: Json) -> Json:
        """The value, whose fields are hidden already, without secrets."""
        if isinstance(value, str):
            # What may be JSON has been looked through with its fields. To do so twice at each
            # level would take twice as long for each level that there is below.
            done = fields.may_be_json(value) or not self._hides(value)
            return value if done else self._without_secrets(value)
        if isinstance(value, dict):
            masked: dict[str, Json] = {}
            for key, part in value.items():
                name = self.text(str(key))
                while name in masked:  # two keys that differed in a secret only
                    name += MASK
                masked[name] = self._json(part)
            return masked
        if isinstance(value, (list, tuple)):
            return [self._json(part) for part in value]
        return value if value is None or isinstance(value, bool) else self._number(value)

    def _number(self, number: float) -> Json:
        if isinstance(number, float) and not math.isfinite(number):
            return str(number)
        try:
            text = encode(number)
        except ValueError:  # of more digits than Python writes
            return MASK
        return MASK if self._hides(text) and self.text(text) != text else number


def _notations(text: str) -> Iterable[str]:
    """The other ways in which a small or large number is written: 1e-05 is 0.00001 in a report."""
    if not _NUMBER.fullmatch(text.strip()):
        return ()
    number = float(text)
    return (repr(number), encode(number)) if math.isfinite(number) else ()


def _writable(text: str) -> str:
    """The line; in ASCII where a lone surrogate, which JSON allows, keeps it from being UTF-8."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return json.dumps(json.loads(text), separators=(",", ":"))
    return text
