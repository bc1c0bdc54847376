"""Plain text in the width of the terminal: paragraphs, headings, tables and examples."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

NARROWEST = 40
_COLUMN = 24


class Page:
    """Text that grows line by line; no line is longer than `width` but for what cannot break."""

    def __init__(self, width: int) -> None:
        self._width = max(width, NARROWEST)
        self._lines: list[str] = []

    def __str__(self) -> str:
        return "\n".join(self._lines).strip("\n")

    def text(self, words: str, indent: int = 0) -> None:
        """A paragraph."""
        self._lines += self._wrapped(words, indent)

    def blank(self) -> None:
        """A blank line."""
        self._lines.append("")

    def heading(self, words: str) -> None:
        """The name of a part, with a blank line before it."""
        self._lines += ["", f"{words}:"]

    def table(self, rows: Iterable[tuple[str, str]]) -> None:
        """Words on the left and what they mean on the right, below each other where too long."""
        known = list(rows)
        left = min(max((len(word) for word, _ in known), default=0) + 2, _COLUMN)
        for word, meaning in known:
            lines = self._wrapped(meaning, 2 + left)
            if lines and len(word) + 2 <= left:
                lines[0] = f"  {word:<{left}}{lines[0].lstrip()}"
                self._lines += lines
            else:
                self._lines += [f"  {word}", *lines]

    def entries(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Names, each with what kind of thing it is, and an explanation below."""
        for name, kind, meaning in rows:
            self._lines += self._wrapped(f"{name}  {kind}".rstrip(), 2, hanging=4)
            self.text(meaning, 6)

    def items(self, texts: Iterable[str]) -> None:
        """A list with dashes."""
        for words in texts:
            self._lines += self._wrapped(f"- {words}", 2, hanging=2)

    def example(self, lines: Sequence[str]) -> None:
        """Lines that stand as they are, but for characters that do not print."""
        for line in lines:
            shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in line)
            self._lines.append(f"  {shown}".rstrip())

    def _wrapped(self, words: str, indent: int, hanging: int = 0) -> list[str]:
        return textwrap.wrap(
            words,
            width=self._width,
            initial_indent=" " * indent,
            subsequent_indent=" " * (indent + hanging),
            break_long_words=False,
            break_on_hyphens=False,
        )
