"""A playbook as written: its data, and where each part of it stands in the source."""

from __future__ import annotations

import hashlib
import os
import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from runner.compact import NULL, Default, encode_sorted, sorted_by_json, sorted_by_orjson
from runner.model import Json, Place, Problem, Severity
from runner.playbook.many import Many

_NOQA = re.compile(r"#\s*noqa:\s*([A-Z]{2}\d{3}(?:\s*,\s*[A-Z]{2}\d{3})*)")

# An anchor or a tag before a scalar.
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)+")

# How often a place is asked for before a table of lines is made.
_SELDOM = 30

# Where a value stands inside the document: keys and indexes from the root.
Trail = tuple[str | int, ...]


class Map(dict[str, Any]):
    """A mapping that knows where its keys and values stand: `spots[key] = (key, value)` offsets."""

    __slots__ = ("spots",)

    def __init__(self) -> None:
        super().__init__()
        self.spots: dict[str, tuple[int, int]] = {}


class Seq(list[Any]):
    """A list that knows where its items stand: `spots[index]` is an offset into the source."""

    __slots__ = ("spots",)

    def __init__(self) -> None:
        super().__init__()
        # A list of numbers takes eight times the memory, and there may be many.
        self.spots = array("I")


@dataclass(slots=True)
class Document:
    """A playbook as written: its name, its text, its data, and what is wrong with the YAML.

    `data` is made of `Map`, `Seq` and JSON scalars, and is shared where the file uses aliases:
    nobody may change it. `problems` holds errors and warnings of the YAML alone.
    """

    file: str
    text: str
    data: Json = None
    problems: list[Problem] = field(default_factory=list)
    folder: Path | None = None
    _ends: Callable[[str], Mapping[int, int]] | None = None
    _lines: Sequence[int] = ()
    _asked: int = 0
    _known_ends: Mapping[int, int] | None = None
    _last_line: tuple[int, str] = (0, "")

    @property
    def broken(self) -> bool:
        """Whether the YAML itself has errors, so that its data cannot be relied on."""
        return any(problem.severity is Severity.ERROR for problem in self.problems)

    def value(self, path: Trail) -> Json:
        """The value at `path`. Raises LookupError or TypeError where the path leads past it."""
        value: Json = self.data
        for part in path:
            value = value[part]
        return value

    def offset(self, path: Trail, *, key: bool = False) -> int:
        """Where the value at `path` starts in the source, or with `key` its key.

        The path may lead past what is written (a missing key): the deepest part that exists
        answers then.
        """
        node, spot = self.data, 0
        for depth, part in enumerate(path):
            last = depth == len(path) - 1
            if isinstance(node, Map) and isinstance(part, str) and part in node.spots:
                key_spot, value_spot = node.spots[part]
                spot = key_spot if key and last else value_spot
                node = node[part]
            elif isinstance(node, Seq | Many) and isinstance(part, int) and part < len(node.spots):
                spot, node = node.spots[part], node[part]
            else:
                break
        return spot

    def place(self, offset: int, length: int | None = None) -> Place:
        """The line and column of an offset; the length is that of the scalar there, if not given.

        The length never runs past the end of the line.
        """
        line, column = self._line_column(offset)
        if length == 1:
            return Place(self.file, line, column, 1)
        rest = len(self.line(line)) - column + 1
        if length is None:
            length = self.end(offset) - offset
        return Place(self.file, line, column, max(1, min(length, rest)))

    def problem(
        self,
        code: str,
        message: str,
        hint: str = "",
        *,
        path: Trail = (),
        key: bool = False,
        offset: int | None = None,
        length: int | None = None,
        severity: Severity = Severity.ERROR,
    ) -> Problem:
        """A problem at a path, or at an offset where that is known more exactly."""
        place = self.place(self.offset(path, key=key) if offset is None else offset, length)
        return Problem(
            code, severity, place, show_trail(path), message, hint, self.line(place.line)
        )

    def note(
        self,
        code: str,
        message: str,
        hint: str,
        *,
        offset: int = 0,
        length: int | None = None,
        severity: Severity = Severity.ERROR,
    ) -> None:
        """Note a problem of the YAML itself."""
        self.problems.append(
            self.problem(code, message, hint, offset=offset, length=length, severity=severity)
        )

    def line(self, number: int) -> str:
        """The text of a line, counted from 1, without its end."""
        # All problems on a line share one text: a file may be one line of many megabytes.
        if self._last_line[0] != number:
            self._last_line = (number, self._cut_line(number))
        return self._last_line[1]

    def _cut_line(self, number: int) -> str:
        starts = self._line_starts()
        if not 1 <= number <= len(starts):
            return ""
        end = starts[number] if number < len(starts) else len(self.text)
        return self.text[starts[number - 1] : end].rstrip("\r\n")

    def spelling(self, path: Trail) -> str:
        """The scalar at `path` as it was typed, so that `007` and `1.10` can stay themselves.

        For an alias that is what stands at its anchor.
        """
        start = self.offset(path)
        typed = self.text[start : self.end(start)].strip()
        if typed.startswith("*"):
            typed = self._anchored(typed[1:], start)
        return _PROPERTIES.sub("", typed)

    def _anchored(self, name: str, before: int) -> str:
        """The scalar at the last anchor of that name; its own mark comes with it."""
        at = before
        while (at := self.text.rfind(f"&{name}", 0, at)) >= 0:
            # The name may stand in a comment or a text: only an anchor begins a scalar.
            typed = self.text[at : self.end(at)]
            if typed.split(maxsplit=1)[:1] == [f"&{name}"]:
                return typed.strip()
        return f"*{name}"

    def end(self, offset: int) -> int:
        """Where the scalar that starts at `offset` ends; one past it where none does."""
        if self._known_ends is None:
            self._known_ends = self._ends(self.text) if self._ends else {}
        return self._known_ends.get(offset, offset + 1)

    def beside(self, name: str) -> str:
        """What messages call a file that is named in this document."""
        return name if self.file.startswith("<") else str(Path(self.file).parent / name)

    def fingerprint(self) -> str:
        """SHA-256 of the parsed content: comments, key order, quoting and path do not count."""
        return fingerprint(self.data)

    def _line_starts(self) -> Sequence[int]:
        if not self._lines:
            ends = (found.end() for found in re.finditer(r"\r\n|\n|\r", self.text))
            self._lines = array("I", chain((0,), ends))
        return self._lines

    def _line_column(self, offset: int) -> tuple[int, int]:
        # A table of all lines is for those who ask often: a long list may have many.
        if not self._lines and self._asked < _SELDOM and "\r" not in self.text:
            self._asked += 1
            before = self.text.rfind("\n", 0, offset)
            return self.text.count("\n", 0, offset) + 1, offset - before
        starts = self._line_starts()
        line = bisect_right(starts, offset)
        return line, offset - starts[line - 1] + 1


def silenced(line: str) -> frozenset[str]:
    """The codes that a comment `# noqa: KT004` silences on its line."""
    if "noqa" not in line:  # a line may be megabytes of JSON, and asked about for every problem
        return frozenset()
    found = _NOQA.search(line)
    return frozenset(re.findall(r"[A-Z]{2}\d{3}", found.group(1))) if found else frozenset()


def fingerprint(value: Json) -> str:
    """SHA-256 of a document's value, the same for the same content however it was written."""
    try:
        return hashlib.sha256(encode_sorted(value)).hexdigest()
    except TypeError:  # there is a long list in it, which is written down bit by bit
        pass
    digest, encode = hashlib.sha256(), sorted_by_orjson
    try:
        exact = any(NULL in part for part in _written(value, encode))
    except TypeError:
        exact = True
    for part in _written(value, sorted_by_json if exact else encode):
        digest.update(part)
    return digest.hexdigest()


def _written(value: Json, encode: Callable[[Json, Default], bytes]) -> Iterator[bytes]:
    """A value as JSON, in parts, with each long list where its mark stands."""
    many: dict[int, Many] = {}
    mark = os.urandom(16).hex()

    def marked(part: Many) -> str:
        many[id(part)] = part
        return f"{mark}{id(part)}"

    written = encode(value, marked)
    for number, part in enumerate(re.split(rb'"%b(\d+)"' % mark.encode(), written)):
        if number % 2:
            yield from many[int(part)].written(lambda items: encode(items, None))
        else:
            yield part


def show_trail(path: Trail) -> str:
    """A path as people write it: `steps[2].body.offers[0].share`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
