"""YAML text to the parser's events, without a copy of it where it is large."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml
from yaml.events import AliasEvent, ScalarEvent

from runner.playbook.halves import Halves

MAX_DIRECTIVES = 100

_DIRECTIVE = re.compile(r"^%", re.MULTILINE)
_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LARGE = 256 * 1024  # characters


def events_of(text: str) -> Iterator[Any]:
    """The events of a text, in order. Raises yaml.YAMLError, UnicodeEncodeError."""
    if len(_DIRECTIVE.findall(text)) > MAX_DIRECTIVES:
        # libyaml compares each directive with all before it, and reads them all at one go.
        raise yaml.MarkedYAMLError(problem="far too many directives")
    # The parser makes a copy of what it is given whole.
    parser = _PARSER(_Parts(text) if len(text) > _LARGE else text)
    try:
        while (event := parser.get_event()) is not None:
            yield event
    finally:
        parser.dispose()


class _Parts:
    """A text that is read part by part."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def read(self, size: int = 4096, /) -> str:
        """The next characters, and nothing at the end. Raises UnicodeEncodeError."""
        at = self._at
        part = self._text[at : at + size]
        self._at += size
        try:
            part.encode()
        except UnicodeEncodeError as error:  # with its place in the whole
            begin, end = at + error.start, at + error.end
            raise UnicodeEncodeError(error.encoding, self._text, begin, end, error.reason) from None
        return part


def scalar_ends(text: str) -> dict[int, int]:
    """Where each scalar and alias ends, by the offset where it starts.

    Ends are not kept while reading, since only a problem asks for them: this reads the text a
    second time, up to its first error.
    """
    ends: dict[int, int] = {}
    try:
        for event in events_of(Halves(text).text):
            if type(event) in {ScalarEvent, AliasEvent}:
                ends[event.start_mark.index] = event.end_mark.index
    except yaml.YAMLError:
        return ends
    return ends
