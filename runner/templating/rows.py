"""A CSV file as its rows, each made when it is asked for: what is kept is the file."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, overload

Row = dict[str, str]
_BOM = b"\xef\xbb\xbf"


class Rows(Sequence[Row]):
    """The rows of a CSV file with a header line, each a mapping of texts.

    `raw` is what the file `name` holds, in UTF-8. All of it is looked through at the beginning:
    ValueError says what is wrong, and in which line.
    """

    def __init__(self, raw: bytes, name: str, delimiter: str = ",") -> None:
        if not isinstance(delimiter, str) or len(delimiter) != 1:
            raise ValueError("a delimiter is one character")
        self._raw = raw
        self._delimiter = delimiter
        self._spans = array("Q")  # where each row begins and ends
        self._header: list[str] = []
        begin = len(_BOM) if raw.startswith(_BOM) else 0
        self._at = begin
        lines = csv.reader(self._lines(begin, len(raw)), delimiter=delimiter, strict=True)
        try:
            self._look_through(lines, name)
        except UnicodeDecodeError as error:
            raise ValueError(f"'{name}' is not UTF-8 text") from error
        except csv.Error as error:
            raise ValueError(f"'{name}', line {lines.line_num}: {error}") from error

    def __len__(self) -> int:
        return len(self._spans) // 2

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        at = 2 * range(len(self))[index]
        lines = self._lines(*self._spans[at : at + 2])
        cells = next(csv.reader(lines, delimiter=self._delimiter, strict=True))
        return dict(zip(self._header, cells, strict=True))

    def _look_through(self, lines: Any, name: str) -> None:
        header = [column.strip() for column in next(lines, [])]
        if not header or len(set(header)) != len(header) or "" in header:
            raise ValueError(f"'{name}' must begin with a line of column names, each once")
        begin = self._at
        for cells in lines:
            if cells:
                if len(cells) != len(header):
                    raise ValueError(
                        f"'{name}', line {lines.line_num}: {len(cells)} cells, "
                        f"and {len(header)} columns"
                    )
                self._spans.extend((begin, self._at))
            begin = self._at
        self._header = header

    def _lines(self, begin: int, end: int) -> Iterator[str]:
        """The lines of a part; what has been given ends at `_at`."""
        while begin < end:
            at, begin = begin, self._raw.find(b"\n", begin, end) + 1 or end
            self._at = begin
            yield self._raw[at:begin].decode()
