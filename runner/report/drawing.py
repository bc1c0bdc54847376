"""A spot in a file as a small drawing, in characters that a terminal shows and does not obey."""

from __future__ import annotations

from collections.abc import Callable
from unicodedata import combining, east_asian_width

from runner.model import Place, Problem, Severity

Paint = Callable[[str, str], str]

WIDEST = 160  # characters of a source line


def no_paint(text: str, colour: str) -> str:  # noqa: ARG001
    """No colour: for pipes, CI and NO_COLOR."""
    return text


def clean(text: str) -> str:
    """The text on one line, with nothing in it that a terminal would act on.

    What a tracker answers may hold escape sequences, or characters that turn a line around.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in text)


def draw(problem: Problem, paint: Paint = no_paint) -> str:
    """A problem as a small drawing: where, the source line, a caret under the spot, what to do."""
    colour = "red" if problem.severity is Severity.ERROR else "yellow"
    word = paint(problem.severity.value, colour)
    lines = [f"{problem.place}: {word} {problem.code}: {problem.message}"]
    lines += draw_spot(problem.place, problem.line, paint, colour)
    if problem.hint:
        lines.append(f"  {paint('=', 'cyan')} {problem.hint}")
    return "\n".join(lines)


def draw_spot(place: Place, line: str, paint: Paint, colour: str) -> list[str]:
    """The source line and a caret under the spot; nothing where the line is blank."""
    if not line.strip():
        return []
    line, column, length = _window(line, place.column, place.length)
    number = str(place.line)
    spot = line[column - 1 : column - 1 + length]
    caret = paint("^" * max(_cells(spot), length), colour)
    return [
        f"  {number} | {line}",
        f"  {' ' * len(number)} | {_gap(line, column)}{caret}",
    ]


def _window(line: str, column: int, length: int, width: int = WIDEST) -> tuple[str, int, int]:
    """The part of a long line around the spot, with the column inside that part."""
    if len(line) > width:
        start = max(column - 1 - width // 3, 0)
        line = line[start : start + width]
        column, length = column - start, min(length, width - (column - 1 - start))
    # Cut first: a file may be one line, with a thousand mistakes on it.
    shown = (c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in line)
    return "".join(shown), column, length


def _gap(line: str, column: int) -> str:
    """Blanks up to a column, tabs kept, so that the caret stands below its spot."""
    return "".join("\t" if c == "\t" else " " * _cells(c) for c in line[: column - 1])


def _cells(text: str) -> int:
    """How many columns of a terminal the text takes: two for a Chinese character, say."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)
