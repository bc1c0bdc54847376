"""Text to literal runs and expressions: finds `${{ … }}`, honours `$${{`, evaluates nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

OPEN = "${{"


class Segment(NamedTuple):
    """A run of text (`code` false), or the inside of an expression, with where it starts."""

    text: str
    offset: int
    code: bool


class UnclosedError(ValueError):
    """An expression is opened and never closed; `offset` is where."""

    def __init__(self, offset: int) -> None:
        super().__init__("'${{' is never closed")
        self.offset = offset


def has_expression(text: str) -> bool:
    """Whether the text holds an expression, or an escape that must be undone."""
    return OPEN in text


# A text that is one expression without quotes and braces, as most are.
_WHOLE = re.compile(r"\$\{\{([^{}'\"]*)\}\}")


def split_text(text: str) -> list[Segment]:
    """The parts of a text in order, escapes undone. Raises UnclosedError."""
    if whole := _WHOLE.fullmatch(text):
        return [Segment(whole[1], 0, code=True)]
    parts: list[Segment] = []
    literal = ""
    begin = at = 0
    while (found := text.find(OPEN, at)) >= 0:
        if found > 0 and text[found - 1] == "$":
            literal += text[at : found - 1] + OPEN
            at = found + len(OPEN)
            continue
        literal += text[at:found]
        if literal:
            parts.append(Segment(literal, begin, code=False))
        close = _close(text, found + len(OPEN))
        if close < 0:
            raise UnclosedError(found)
        parts.append(Segment(text[found + len(OPEN) : close], found, code=True))
        literal, at = "", close + 2
        begin = at
    literal += text[at:]
    if literal:
        parts.append(Segment(literal, begin, code=False))
    return parts


def codes_of(text: str) -> list[str]:
    """The insides of a text's expressions, in order; none where one is never closed.

    So may a body that is `raw` be, where nothing is an expression.
    """
    try:
        return [part.text for part in split_text(text) if part.code]
    except UnclosedError:
        return []


_WITHOUT_DOLLAR = re.compile(r"(?<!\$)\{\{([^{}]{1,200})\}\}")


def without_dollar(text: str) -> Iterator[tuple[int, str]]:
    """Each `{{ … }}` that has no dollar before it: where it starts, and what it holds."""
    for found in _WITHOUT_DOLLAR.finditer(text):
        yield found.start(), found.group(1)


def is_whole(text: str) -> bool:
    """Whether a text is one single expression, so that its value may be of any type."""
    if _WHOLE.fullmatch(text):
        return True
    try:
        parts = split_text(text)
    except UnclosedError:
        return False
    return len(parts) == 1 and parts[0].code


_SPECIAL = re.compile(r"['\"{}]")


def _close(text: str, at: int) -> int:
    """Where the `}}` stands that ends the expression, past quotes and nested braces; or -1."""
    depth = 0
    while found := _SPECIAL.search(text, at):
        at, character = found.start(), found[0]
        if character in "'\"":
            at = _after_quote(text, at)
            continue
        # Other brackets do not count: where one is missing, that is what must be said.
        if character == "{":
            depth += 1
        elif character == "}" and depth == 0:
            return at if text.startswith("}}", at) else -1
        elif character == "}":
            depth -= 1
        at += 1
    return -1


def _after_quote(text: str, at: int) -> int:
    quote = text[at]
    at += 1
    while at < len(text) and text[at] != quote:
        at += 2 if text[at] == "\\" else 1
    return at + 1


def without_braces(text: str) -> list[tuple[int, str, str]]:
    """What looks like a path of ours that was meant as an expression, and stands as text.

    That is all of a text, in braces of one kind or none, or any part after a dollar. Offset, what
    is written there, and the path in it.
    """
    found = []
    for match in _BARE.finditer(text):
        name = "alone" if match["alone"] else "braced" if match["braced"] else "after"
        found.append((match.start(), match[0], match[name]))
    return found


_PATH = r"(?:inputs|vars|steps|item)(?:\.[A-Za-z_]\w*|\[\d+\])+"
MAYBE_BARE = re.compile(r"(?:inputs|vars|steps|item)\.")
_BARE = re.compile(
    rf"\A(?P<alone>{_PATH})\Z|\A\{{\s*(?P<braced>{_PATH})\s*\}}\Z"
    rf"|\$(?:\{{\s*)?(?P<after>{_PATH})(?:\s*\}})?(?!\}})",
    re.ASCII,
)
