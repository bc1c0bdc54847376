"""Marks that stand for values the journal does not hold, until a call needs the values."""

from __future__ import annotations

import re
import secrets as randomness
from collections.abc import Callable

from runner.errors import RunnerError
from runner.model import Json

_PRIVATE = 0x10FE00  # characters for private use, which no data has


def _marked(text: str) -> str:
    return "".join(chr(_PRIVATE + ord(char)) for char in text)


def _number(text: str) -> int:
    return int("".join(chr(ord(char) - _PRIVATE) for char in text))


# Any character of a mark: as it is, or as URLs and JSON write it.
_PART = re.compile(
    f"[{chr(_PRIVATE)}-{chr(_PRIVATE + 127)}]|%F4%8F%B[89]|\\\\udbff\\\\ude[0-7]", re.IGNORECASE
)
_DIGITS = f"[{_marked('0')}-{_marked('9')}]+"
_END = _marked(">")


class Marks:
    """Numbered marks, of which expressions may make texts; what they cut up is noticed."""

    def __init__(self) -> None:
        # What no tracker can guess, so that nothing that it answers passes for a mark.
        self._sign = _marked(f"<{randomness.randbelow(10**18):018}")
        self._mark = re.compile(f"{self._sign}({_DIGITS}){_END}")

    def make(self, number: int) -> str:
        """The mark of that number."""
        return self._sign + _marked(str(number)) + _END

    def replace(self, value: Json, what: Callable[[int], Json]) -> Json:
        """The value with each mark in it, keys included, replaced by `what` gives for its number.

        Raises RunnerError where an expression has left a part of a mark.
        """
        if isinstance(value, str):
            return self._replace_in_text(value, what) if _PART.search(value) else value
        if isinstance(value, dict):
            return {self.replace(key, what): self.replace(v, what) for key, v in value.items()}
        if isinstance(value, list):
            return [self.replace(part, what) for part in value]
        return value

    def _replace_in_text(self, text: str, what: Callable[[int], Json]) -> Json:
        whole = self._mark.fullmatch(text)
        if whole:
            return what(_number(whole[1]))
        if _PART.search(self._mark.sub("", text)):
            raise RunnerError(
                "an expression alters a secret of an answer, and the journal does not hold it",
                "start the playbook anew, or pass the secret on as it is",
            )
        return self._mark.sub(lambda found: str(what(_number(found[1]))), text)
