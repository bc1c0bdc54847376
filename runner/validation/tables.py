"""CSV files that loops name: what is wrong in them, and their columns, before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from runner.model import Json, Severity
from runner.playbook import Trail
from runner.templating.functions import row_reader
from runner.templating.quick import named_rows
from runner.validation.files import file_trouble
from runner.validation.names import Names, Schema
from runner.validation.notes import Notes

# What an expression asks for before it uses it: `row.geo is defined`, `'geo' in row`.
_ASKED = re.compile(
    r"""[.](\w+)\s*\)?\s+is\s+(?:not\s+)?(?:un)?defined|\[?["'](\w+)["'](?:\]\s+is|\s+(?:not\s+)?in)\s""",
    re.ASCII,
)


class Tables:
    """The CSV files of one document; `chain` are the files that led to it, itself the last."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._root = notes.written.root
        self._known: dict[tuple[str, str], list[str] | str] = {}

    def rows(self, source: str, path: Trail, names: Names) -> Schema:
        """The schema of what `csv(…)` gives, where its file is there; note what is wrong in it.

        A file that the run itself may write is not looked at, nor one that lies outside the folder
        of the playbook that was started. What may not be read at all is no error.
        """
        named, folder, root = named_rows(source), self._notes.folder, self._root
        if named is None or folder is None or root is None or "csv" in names.roots:
            return {}
        name, delimiter = named
        if file_trouble(folder, name, root) or self._notes.written.may_hold(name):
            return {}
        columns = self._columns(name, delimiter, folder, root)
        if isinstance(columns, str):
            hint = "correct the file"
            if delimiter == ",":
                hint += f", or name its delimiter: csv('{name}', ';')"
            severity = Severity.WARNING if names.maybe else Severity.ERROR
            self._notes.add("KP214", columns, hint, path=path, severity=severity)
            return {}
        properties: Mapping[str, Json] = {column: {} for column in (*columns, *self._asked)}
        row = {"type": "object", "properties": properties, "x-columns": [name, *columns]}
        return {"type": "array", "items": row}

    @cached_property
    def _asked(self) -> list[str]:
        """The columns that the playbook asks for before it uses them."""
        return sorted({a or b for a, b in _ASKED.findall(self._notes.document.text)})

    def _columns(self, name: str, delimiter: str, folder: Path, root: Path) -> list[str] | str:
        """The columns of a file, which is read once, or what is wrong in it."""
        key = name, delimiter
        if key not in self._known:
            try:
                self._known[key] = row_reader(folder, root)(name, delimiter).columns
            except ValueError as error:
                self._known[key] = str(error)
        return self._known[key]
