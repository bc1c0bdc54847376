r"""JSON's escapes for characters beyond U+FFFF, which YAML does not know; reads nothing else.

JSON writes such a character as two halves, `\ud83d\ude00`. libyaml refuses them, and JSON is
what body files are made of. So it is given stand-ins of the same length, `\ue83d\uee00`, which
keeps all positions right, and the reader takes them back.
"""

from __future__ import annotations

import re

_PAIR = re.compile(r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
# What may stand for the `d` of a half; private use first. A letter, so that its case is kept.
_LETTERS = "ecba"


class Halves:
    """A text whose halves of characters have stand-ins, and what takes these back."""

    __slots__ = ("_first", "_letter", "_pair", "_stand_in", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._letter = ""
        if not re.search(r"\\u[dD]", text):
            return
        for letter in _LETTERS:
            self._first = int(f"{letter}800", 16)
            low, middle, last = (chr(self._first + more) for more in (0, 0x400, 0x7FF))
            # Before an escape is undone, and after.
            pattern = rf"\\u[{letter}{letter.upper()}][89a-fA-F][0-9a-fA-F]{{2}}|[{low}-{last}]"
            self._stand_in = re.compile(pattern)
            if not self._stand_in.search(text):
                self._letter = letter
                self._pair = re.compile(f"([{low}-{chr(ord(middle) - 1)}])([{middle}-{last}])")
                self.text = _PAIR.sub(self._disguised, text)
                return

    def joined(self, text: str) -> str:
        """A scalar that was read, with its characters whole again."""
        if not self._letter:
            return text
        # In a text without escapes, such as a block, the halves were no escapes: they come back.
        return self._stand_in.sub(self._as_typed, self._pair.sub(self._whole, text))

    def _disguised(self, found: re.Match[str]) -> str:
        pair = found.group()
        if len(pair) == 2:  # a backslash that is escaped itself begins no escape
            return pair
        to = str.maketrans("dD", self._letter + self._letter.upper())
        return f"\\u{pair[2].translate(to)}{pair[3:8]}{pair[8].translate(to)}{pair[9:]}"

    def _whole(self, found: re.Match[str]) -> str:
        first, second = (ord(half) - self._first for half in found.groups())
        return chr(0x10000 + (first << 10) + second - 0x400)

    def _as_typed(self, found: re.Match[str]) -> str:
        half = found.group()
        back = str.maketrans(self._letter + self._letter.upper(), "dD")
        return f"\\u{half[2].translate(back)}{half[3:]}"
