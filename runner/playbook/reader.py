"""YAML events to data with positions, by the core schema of YAML 1.2.

`NO`, `on`, `12:30:45` and dates stay text. The reader works on the parser's events and not on
composed nodes: libyaml's composer recurses in C and dies on a file of deeply nested brackets,
and one pass over events takes a third of the time of a plain load.
"""

from __future__ import annotations

from typing import Any, NoReturn

from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from runner.model import Json, Severity
from runner.playbook.document import Document, Map, Seq
from runner.playbook.events import events_of
from runner.playbook.halves import Halves
from runner.playbook.many import FEW, Many
from runner.playbook.scalars import NotJsonError, meaning, old_meaning

MAX_DEPTH = 100
# How many values aliases may stand for beyond those written out: enough for shared bodies, far
# below what a "billion laughs" file needs.
MAX_ALIASED = 100_000

# An alias of a text costs one more for so many characters: it may be written out a hundred times.
CHARACTERS = 100

_TAG = "tag:yaml.org,2002:"


def _short(text: str) -> str:
    """A text as messages show it: what is wrong with it shows in its beginning."""
    return text if len(text) <= 60 else f"{text[:60]}…"


class StopReading(Exception):  # noqa: N818  (not an error: the problem is noted already)
    """Reading cannot go on; why stands among the document's problems."""


class _Frame:
    """A collection being read: where it began, and the key that waits for its value."""

    __slots__ = ("anchor", "at", "began", "key", "key_at", "merges", "value")

    def __init__(self, value: Any, at: int, anchor: str | None, began: int) -> None:
        self.value = value
        self.at = at
        self.anchor = anchor
        self.began = began
        self.key: str | None = None
        self.key_at = 0
        self.merges = False  # whether a plain `<<` is among the keys


class Reader:
    """One pass over the events, with a stack of its own in place of recursion.

    `until` is where the text is taken to end, as an offset; a `body` has no steps.
    """

    def __init__(self, document: Document, until: int | None = None, *, body: bool = False) -> None:
        self._body = body
        self._document = document
        self._halves = Halves(document.text[:until])
        self._anchors: dict[str, tuple[Json, int]] = {}
        self._aliased = 0

    def read(self) -> Json:
        """The document's data; `None` for an empty file. Raises StopReading, yaml.YAMLError."""
        top = _Frame(Seq(), 0, None, 0)
        stack: list[_Frame] = []
        count = 0
        for event in events_of(self._halves.text):
            kind = type(event)
            at = event.start_mark.index
            if kind is ScalarEvent:
                count += 1 + len(event.value) // CHARACTERS
                value = self._scalar(event, top)
                if event.anchor:
                    self._anchors[event.anchor] = (value, 1 + len(event.value) // CHARACTERS)
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                count += 1
                self._check_collection(event, top, len(stack))
                new = self._collection(event, top, stack)
                stack.append(top)
                top = _Frame(new, at, event.anchor, count)
                continue
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                value, at = top.value, top.at
                if type(value) is Many and len(value) < FEW:
                    value = _as_list(value)
                if top.merges:
                    self._merge(value)
                if top.anchor:
                    self._anchors[top.anchor] = (value, count - top.began + 1)
                top = stack.pop()
            elif kind is AliasEvent:
                value, size = self._alias(event)
                count += size
            else:
                if kind is DocumentStartEvent and top.value:
                    self._stop(
                        "KP105",
                        "a second document begins here",
                        "a playbook is one document: take out the line '---'",
                        at,
                    )
                continue
            self._place(top, value, at, event)
        return top.value[0] if top.value else None

    def _collection(self, event: Any, around: _Frame, stack: list[_Frame]) -> Map | Seq | Many:
        """What a collection is read into that begins here."""
        if type(event) is MappingStartEvent:
            return Map()
        anchored = event.anchor or around.anchor
        if around.key == "for_each" and not (anchored or self._body) and _is_step(stack):
            return Many(self._document.text)
        return Seq()

    def _place(self, top: _Frame, value: Json, at: int, event: Any) -> None:
        """Put a value where it belongs: an item, a key, or the value of the key before it."""
        container = top.value
        if type(container) is Seq:
            container.append(value)
            container.spots.append(at)
        elif type(container) is Many:
            if not container.take(value, at, event.end_mark.index):
                top.value = _as_list(container)
                self._place(top, value, at, event)
        elif top.key is None:
            top.key, top.key_at = self._key(value, at), at
        else:
            key = top.key
            top.key = None
            if key in container:
                self._note_duplicate(container, key, top.key_at)
            else:
                container[key] = value
                container.spots[key] = (top.key_at, at)

    def _scalar(self, event: Any, top: _Frame) -> Json:
        text = self._halves.joined(event.value)
        if event.tag is not None and not event.implicit[0]:
            return self._tagged(event)
        if event.style:  # quoted or a block: text, whatever it looks like
            return text
        if type(top.value) is Map and top.key is None:
            top.merges = top.merges or text == "<<"
            return text  # a key is text as it was typed
        old = old_meaning(text)
        try:
            value = meaning(text)
        except NotJsonError as error:
            self._document.note(
                "KP108",
                str(error),
                f"for text, quote it: '{_short(text)}'",
                offset=event.start_mark.index,
            )
            return text
        if old is not None:
            now = "text" if isinstance(value, str) else f"the number {value}"
            self._document.note(
                "KP109",
                f"{_short(text)} is {now} here; YAML 1.1 would have read {old}",
                f"quote it to say that text is meant: '{_short(text)}'",
                offset=event.start_mark.index,
                severity=Severity.WARNING,
            )
        return value

    def _tagged(self, event: Any) -> Json:
        """A scalar with an explicit tag; only those of the core schema are known."""
        kind = str(event.tag).removeprefix(_TAG)
        if kind in {"str", "!"}:
            return event.value
        if kind in {"int", "float", "bool", "null"}:
            wanted = {"int": int, "float": (int, float), "bool": bool, "null": type(None)}[kind]
            try:
                value = meaning(event.value)
            except NotJsonError:
                value = event.value
            if isinstance(value, wanted) and isinstance(value, bool) == (kind == "bool"):  # type: ignore[arg-type]
                return value
            self._document.note(
                "KP107",
                f"'{_short(event.value)}' is no {kind}",
                "take the tag out, or correct the value",
                offset=event.start_mark.index,
            )
            return event.value
        self._note_tag(event)
        return event.value

    def _note_tag(self, event: Any) -> None:
        shown = _short(str(event.tag).replace(_TAG, "!!"))
        self._document.note(
            "KP107",
            f"the tag {shown} is not part of the language",
            "take it out: files are read with body_file, file() and include",
            offset=event.start_mark.index,
            length=len(shown),
        )

    def _check_collection(self, event: Any, top: _Frame, depth: int) -> None:
        at = event.start_mark.index
        if event.tag not in {None, "!", f"{_TAG}map", f"{_TAG}seq"}:
            self._note_tag(event)
        if depth >= MAX_DEPTH:
            self._stop(
                "KP103",
                f"nested more than {MAX_DEPTH} levels deep",
                "no body needs this; look for a stray run of '-' or '['",
                at,
            )
        if type(top.value) is Map and top.key is None:
            self._note_complex_key(at)

    def _note_complex_key(self, at: int) -> NoReturn:
        text = self._document.text
        if text.startswith("{{", at):  # the whole `{{ x }}` is a key itself
            at += 1
        if at and text.startswith("{{", at - 1):
            end = text.find("}}", at)
            inner = text[at + 1 : end].strip() if 0 <= end - at < 200 else "…"
            self._stop(
                "KP110",
                f"'{{{{ {inner} }}}}' is read as a mapping, not as a template",
                f"did you mean ${{{{ {inner} }}}}? For the text itself, quote it",
                at - 1,
                max(end + 3 - at, 2),
            )
        self._stop(
            "KP106", "a mapping or a list cannot be a key", "use a plain word as the key", at
        )

    def _key(self, value: Json, at: int) -> str:
        if not isinstance(value, str):
            self._stop("KP106", "a key must be text", "use a plain word as the key", at)
        return value

    def _alias(self, event: Any) -> tuple[Json, int]:
        at = event.start_mark.index
        if event.anchor not in self._anchors:
            name = _short(event.anchor)
            self._stop(
                "KP104",
                f"*{name} refers to no anchor above it",
                f"write &{name} at the value that is meant; a value cannot hold itself",
                at,
            )
        value, size = self._anchors[event.anchor]
        self._aliased += size
        if self._aliased > MAX_ALIASED:
            self._stop(
                "KP103",
                f"aliases stand for more than {MAX_ALIASED:,} values",
                "write fewer aliases of aliases, or repeat with for_each",
                at,
            )
        return value, size

    def _merge(self, into: Map) -> None:
        """Take in what `<<` names; keys that are written out win, and earlier sources before later.

        Merge keys are no part of YAML 1.2, but every team's files have them. What is merged comes
        before what is written out, as other readers have it: `vars` are computed in order.
        """
        key_at, at = into.spots.pop("<<")
        source = into.pop("<<")
        own, spots = dict(into), into.spots
        into.clear()
        into.spots = {}
        for part in source if isinstance(source, list) else [source]:
            if not isinstance(part, Map):
                self._document.note(
                    "KP106",
                    "'<<' takes a mapping, or a list of mappings",
                    "write '<<: *anchor', with the anchor at a mapping",
                    offset=at,
                )
                continue
            for key, value in part.items():
                if key not in into and key not in own:
                    into[key] = value
                    into.spots[key] = (key_at, part.spots[key][1])
        into.update(own)
        into.spots |= spots

    def _note_duplicate(self, container: Any, key: str, at: int) -> None:
        first = self._document.place(container.spots[key][0])
        where = f"line {first.line}, column {first.column}"
        self._document.note(
            "KP111",
            f"'{_short(key)}' stands twice; the first is on {where}",
            "keep one of the two",
            offset=at,
        )

    def _stop(self, code: str, message: str, hint: str, at: int, length: int = 1) -> NoReturn:
        self._document.note(code, message, hint, offset=at, length=length)
        raise StopReading


def _is_step(stack: list[_Frame]) -> bool:
    """Whether a mapping in these collections is a step, and nothing may stand for it elsewhere.

    They are the list of documents, and by turns a mapping and the list of steps in it.
    """
    lists, maps = stack[0::2], stack[1::2]
    if len(stack) % 2 == 0 or any(frame.anchor for frame in stack):
        return False
    if any(type(frame.value) is not Seq for frame in lists):
        return False
    keys = [frame.key for frame in maps]
    return keys[0] in {"steps", "finally"} and set(keys[1:]) <= {"steps"}


def _as_list(many: Many) -> Seq:
    """The same items, each with its place, as any list has them."""
    items = Seq()
    items.extend(many)
    items.spots = many.spots
    return items
