"""Many secrets of letters and digits, found in a text by looking up its words; knows no forms."""

from __future__ import annotations

import re

MASK = "***"


class Words:
    """Hides words, however many: a text takes the same time whether it is ten or ten thousand.

    They are hidden as they are, and in what leaves letters and digits alone: JSON, URLs, HTML.
    """

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._lengths: tuple[int, ...] = ()
        self._long = re.compile("(?!)")

    @staticmethod
    def can_hold(secret: str) -> bool:
        """Whether it is a word; a number is none, since JSON could not hold its mask."""
        return secret.isascii() and secret.isalnum() and not secret.isdecimal()

    def add(self, word: str) -> None:
        """Hide this one too, from now on."""
        if word in self._known:
            return
        self._known.add(word)
        if len(word) not in self._lengths:
            self._lengths = tuple(sorted({*self._lengths, len(word)}, reverse=True))
            self._long = re.compile(f"[0-9A-Za-z]{{{self._lengths[-1]},}}")

    def are_in(self, text: str) -> bool:
        """Whether there is a word in the text, be it within another."""
        return bool(self._known) and any(
            self._first(found[0]) for found in self._long.finditer(text)
        )

    def hide(self, text: str) -> str:
        """The text with the words masked."""
        return self._long.sub(lambda found: self._hidden(found[0]), text)

    def _hidden(self, run: str) -> str:
        while found := self._first(run):
            run = run.replace(found, MASK)
        return run

    def _first(self, run: str) -> str:
        """The first word in a run of letters and digits, or nothing."""
        for length in self._lengths:
            for start in range(len(run) - length + 1):
                if run[start : start + length] in self._known:
                    return run[start : start + length]
        return ""
