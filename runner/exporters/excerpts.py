"""The lines of a playbook around a step, where its file is there; secrets are left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

LONGEST_FILE = 4_000_000
MOST_LINES = 18
_LINES_BEFORE = 2
_WIDEST = 300
_MASK = "***"

# A field that is secret by its name, and its value: what is not in quotes counts to the line's end.
# An expression tells nothing and may stay.
_SECRET = re.compile(
    r"""(?P<name>\b[\w-]*(?:password|passwd|password_confirmation|token|secret|authorization|cookie
    |(?:api|avscan|private|access)[_-]?key)["']?\s*:\s+)
    (?P<value>"(?:[^"\\]|\\.)*"?|'(?:[^']|'')*'?|(?!["'])\S.*)""",
    re.IGNORECASE | re.VERBOSE,
)
_HARMLESS = re.compile(r"""^["']?\$\{\{[^"'{}]*\}\}["']?\s*\}*$|^(?:true|false|null|~)\s*\}*$""")
_BLOCK = re.compile(r"^[|>][-+0-9]*\s*$")


class Excerpt(NamedTuple):
    """Some lines of a file, the first of which has the number `start`; the caret's line, column."""

    start: int
    lines: tuple[str, ...]
    line: int
    column: int


def playbook_text(folder: Path, file: str) -> str | None:
    """What a playbook below a folder holds.

    A report may come from anywhere, and what it names as its source is not to be trusted: files
    elsewhere, or that are no YAML, are not read.
    """
    try:
        path = (folder / file).resolve()
        if path.suffix not in {".yaml", ".yml"} or not path.is_relative_to(folder.resolve()):
            return None
        if not path.is_file() or path.stat().st_size > LONGEST_FILE:
            return None
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError, RuntimeError):  # a name with NUL, no UTF-8, links in a ring
        return None


class Excerpts:
    """Reads playbooks below one folder, each once; what is no such playbook is not shown."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._files: dict[str, list[str] | None] = {}

    def at(self, file: str, line: int, column: int) -> Excerpt | None:
        """The step that begins there, from a little before; `None` where it cannot be shown."""
        if file not in self._files:
            self._files[file] = self._read(file)
        lines = self._files[file]
        if lines is None or not 0 < line <= len(lines):
            return None
        start = _beginning(lines, line, column)
        end = _end_of_step(lines, line, column)
        shown = tuple(text[:_WIDEST] for text in lines[start - 1 : end])
        return Excerpt(start, shown, line, min(column, _WIDEST))

    def _read(self, file: str) -> list[str] | None:
        text = playbook_text(self._folder, file)
        return None if text is None else list(_without_secrets(text.splitlines()))


def _beginning(lines: list[str], line: int, column: int) -> int:
    """A little before a step, and not above its list: inputs may have secrets as defaults."""
    start = line
    while start > max(line - _LINES_BEFORE, 1):
        above = lines[start - 2]
        if above.strip() and len(above) - len(above.lstrip()) < column - 3:
            break
        start -= 1
    return start


def _end_of_step(lines: list[str], line: int, column: int) -> int:
    """The number of the last line of the mapping that begins at a place, within bounds."""
    end = line
    for number in range(line + 1, min(line + MOST_LINES, len(lines) + 1)):
        text = lines[number - 1]
        if text.strip() and len(text) - len(text.lstrip()) < column - 1:
            break
        if text.strip():
            end = number
    return end


def _without_secrets(lines: list[str]) -> Iterator[str]:
    """The lines with what fields such as `password` hold masked, block texts included."""
    inside: int | None = None
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if inside is not None and (not line.strip() or indent > inside):
            yield line[:indent] + _MASK if line.strip() else line
            continue
        inside = None
        for found in _SECRET.finditer(line):
            if _BLOCK.match(found["value"]):
                inside = len(line) - len(line.lstrip(" -"))
        yield _SECRET.sub(_masked, line)


def _masked(found: re.Match[str]) -> str:
    value = found["value"]
    keep = _HARMLESS.match(value) or _BLOCK.match(value)
    return found[0] if keep else found["name"] + _MASK
