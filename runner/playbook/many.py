"""A long list of plain values as it stands in the text: each is read when it is asked for."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import overload

from runner.model import Json
from runner.playbook.scalars import NotJsonError, meaning

# A list of fewer items is kept as any other.
FEW = 1_000
_LONGEST = 255  # characters of an item
_AT_ONCE = 1_000  # items that are written down at a time


class Many(Sequence[Json]):
    """The items of a loop that are written out, thousands of them, for five bytes an item.

    `text` is what they stand in, and `spots[index]` the offset of an item. In a list they would
    take ten times as much. `has_text` is set where there is a text among them.
    """

    __slots__ = ("_lengths", "_text", "has_text", "spots")

    def __init__(self, text: str) -> None:
        self._text = text
        self.spots = array("I")
        self._lengths = array("B")
        self.has_text = False

    def take(self, value: Json, begin: int, end: int) -> bool:
        """Append the value that stands there; false where it does not stand there as it is.

        So it is with expressions, aliases, tags, escapes, and text of several lines.
        """
        written = self._text[begin:end]
        if len(written) > _LONGEST or "{{" in written:
            return False
        try:
            found = _read(written)
        except NotJsonError:
            return False
        if type(found) is not type(value) or found != value:
            return False
        self.spots.append(begin)
        self._lengths.append(len(written))
        self.has_text = self.has_text or isinstance(value, str)
        return True

    def __len__(self) -> int:
        return len(self.spots)

    @overload
    def __getitem__(self, index: int) -> Json: ...

    @overload
    def __getitem__(self, index: slice) -> list[Json]: ...

    def __getitem__(self, index: int | slice) -> Json:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        begin = self.spots[index]
        return _read(self._text[begin : begin + self._lengths[index]])

    def written(self, encode: Callable[[Json], bytes]) -> Iterator[bytes]:
        """The list as JSON, in parts."""
        yield b"["
        for at in range(0, len(self), _AT_ONCE):
            yield b"," if at else b""
            yield encode(self[at : at + _AT_ONCE])[1:-1]
        yield b"]"


def _read(written: str) -> Json:
    """What a scalar is that stands there alone; of quoted text what is between the quotes."""
    quote = written[:1]
    if quote in {"'", '"'} and len(written) > 1 and written[-1] == quote:
        return written[1:-1]
    return meaning(written)
