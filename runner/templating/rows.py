"""A CSV file as its rows, each made when it is asked for: what is kept is where each begins."""

from __future__ import annotations

import csv
import io
import os
import weakref
from array import array
from collections.abc import Iterator, Sequence
from typing import IO, Any, overload

Row = dict[str, str]
_BOM = b"\xef\xbb\xbf"
_IN_MEMORY = 1024 * 1024  # bytes; of what is larger a copy is kept on the disk
_AT_ONCE = 64 * 1024


class Rows(Sequence[Row]):
    """The rows of a CSV file with a header line, each a mapping of texts.

    `file` is the file `name`, in UTF-8. All of it is looked through at the beginning, and copied,
    so that it may change or go while the rows are used: to the disk where it is large, if there is
    room. ValueError says what is wrong and in which line, or that there are more than `most` bytes;
    OSError comes from reading.
    """

    def __init__(self, file: IO[bytes], name: str, delimiter: str = ",", *, most: int) -> None:
        if not isinstance(delimiter, str) or len(delimiter) != 1:
            raise ValueError("a delimiter is one character")
        self._delimiter = delimiter
        self._begins = array("I")
        self._header: list[str] = []
        self._at = 0
        self._file = self._copied(file, name, most)
        lines = csv.reader(self._lines(), delimiter=delimiter, strict=True)
        try:
            self._look_through(lines, name)
        except UnicodeDecodeError as error:
            raise ValueError(f"'{name}' is not UTF-8 text") from error
        except csv.Error as error:
            raise ValueError(f"'{name}', line {lines.line_num}: {error}") from error

    @property
    def columns(self) -> list[str]:
        """Their names, as the header has them."""
        return list(self._header)

    def __len__(self) -> int:
        return len(self._begins)

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        begin = self._begins[number]
        end = self._begins[number + 1] if number + 1 < len(self) else self._at
        lines = io.StringIO(self._part(begin, end).decode(), newline="\n")
        cells = next(csv.reader(lines, delimiter=self._delimiter, strict=True))
        return dict(zip(self._header, cells, strict=True))

    def _copied(self, file: IO[bytes], name: str, most: int) -> IO[bytes]:
        start = file.read(min(_IN_MEMORY, most) + 1)
        if len(start) > most:
            raise too_large(name, most)
        if len(start) <= _IN_MEMORY:
            return io.BytesIO(start)
        copy = self._on_disk(start, file, name, most)
        if copy is not None:
            return copy
        file.seek(0)
        whole = file.read(most + 1)
        if len(whole) > most:
            raise too_large(name, most)
        return io.BytesIO(whole)

    def _on_disk(self, start: bytes, file: IO[bytes], name: str, most: int) -> IO[bytes] | None:
        """A copy of `start` and the rest of the file; `None` where there is no room for one."""
        import tempfile  # noqa: PLC0415  (for large files alone)

        try:
            # Unbuffered: what could not be written must not be tried again when it is closed.
            copy = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  (closed with the rows)
        except OSError:
            return None
        weakref.finalize(self, copy.close)
        size, block = 0, start
        while block:
            size += len(block)
            if size > most:
                raise too_large(name, most)
            if not _is_written(copy, block):
                return None
            block = file.read(_AT_ONCE)
        copy.seek(0)
        return io.BufferedReader(copy)

    def _look_through(self, lines: Any, name: str) -> None:
        first = next(lines, None)
        if first is None:  # a table that was saved with no rows has no columns either
            return
        header = [column.strip() for column in first]
        if not header or len(set(header)) != len(header) or "" in header:
            raise ValueError(f"'{name}' must begin with a line of column names, each once")
        begin = self._at
        for cells in lines:
            if cells:
                if len(cells) != len(header):
                    raise ValueError(
                        f"'{name}', line {lines.line_num}: "
                        f"cells: {len(cells)}, columns: {len(header)}"
                    )
                self._begins.append(begin)
            begin = self._at
        self._header = header

    def _lines(self) -> Iterator[str]:
        """All lines, the file's mark left out; what has been given ends at `_at`."""
        for line in self._file:
            text = line.removeprefix(_BOM) if self._at == 0 else line
            self._at += len(line)
            yield text.decode()

    def _part(self, begin: int, end: int) -> bytes:
        """Bytes of the copy, for any thread."""
        if isinstance(self._file, io.BytesIO):
            return self._file.getbuffer()[begin:end].tobytes()
        return os.pread(self._file.fileno(), end - begin, begin)


def too_large(name: str, most: int) -> ValueError:
    """What is raised for a file of more than so many bytes."""
    return ValueError(f"'{name}' is larger than {most // 1024 // 1024} MiB")


def _is_written(copy: IO[bytes], block: bytes) -> bool:
    try:
        while block:
            block = block[copy.write(block) :]
    except OSError:
        return False
    return True
