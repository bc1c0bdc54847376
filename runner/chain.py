r"""The chain through a report: each line carries the hash of the one before; knows no files.

A line is the envelope's JSON with two fields more at its end, `prev` and `hash`. `hash` is the
SHA-256 of the line's text without that field, in hexadecimal, so that a shell can check it:

    sed -n 3p run.jsonl | sed 's/,"hash":"[0-9a-f]*"}$/}/' | tr -d '\n' | sha256sum

With a key it is the HMAC-SHA256. Without one the chain shows damage and careless edits, and
whoever can rewrite the whole report can make a new chain: the head, kept elsewhere, or a key
shows that too.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from runner.compact import decode
from runner.errors import RunnerError
from runner.model import Json, Summary

FIRST = "0" * 64
KEY_VARIABLE = "KEITARO_REPORT_KEY"
SHORTEST_KEY = 16
SHA256, HMAC = "sha256", "hmac-sha256"

_END = re.compile(rb',"prev":"([0-9a-f]{64})","hash":"([0-9a-f]{64})"\}\Z')
_LENGTH_OF_HASH = len(',"hash":""}') + len(FIRST)
_LENGTH_OF_END = len(',"prev":""') + len(FIRST) + _LENGTH_OF_HASH


class Hasher:
    """SHA-256, keyed where a key is given. Raises RunnerError where the key is easily guessed."""

    def __init__(self, key: str | None = None) -> None:
        if key and len(key) < SHORTEST_KEY:
            raise RunnerError(
                f"{KEY_VARIABLE} has fewer than {SHORTEST_KEY} characters and could be guessed",
                "make one with: openssl rand -hex 32",
            )
        self.algorithm = HMAC if key else SHA256
        self._keyed = hmac.new(key.encode(), digestmod=hashlib.sha256) if key else None

    def __call__(self, text: bytes) -> str:
        """The hash of a line's text without its `hash`, in hexadecimal."""
        if self._keyed is None:
            return hashlib.sha256(text).hexdigest()
        keyed = self._keyed.copy()
        keyed.update(text)
        return keyed.hexdigest()


class Chain:
    """Links lines together, in the order in which it is given them."""

    def __init__(self, key: str | None = None) -> None:
        self._hasher = Hasher(key)
        self.head = FIRST
        self.count = 0

    def link(self, line: str) -> str:
        """The line, a JSON object that is not empty, with `prev` and `hash` at its end."""
        linked = self._splice(line)
        self.count += 1
        return linked

    def trailer(self, run: str, summary: Summary | None = None) -> str:
        """The last line: how many lines there were, and the hash of the last of them."""
        fields: dict[str, Json] = {
            "run": run,
            "trailer": True,
            "count": self.count,
            "head": self.head,
            "algorithm": self._hasher.algorithm,
        }
        if summary is not None:
            fields |= {"exit_code": int(summary.exit_code), "not_run": summary.not_run}
            if summary.missed:
                fields["missed"] = list(summary.missed)
        return self._splice(json.dumps(fields, ensure_ascii=False, separators=(",", ":")))

    def _splice(self, line: str) -> str:
        text = f'{line[:-1]},"prev":"{self.head}"'
        self.head = self._hasher(f"{text}}}".encode())
        return f'{text},"hash":"{self.head}"}}'


class Follower:
    """Follows chains as their lines go by, and notes the first line that breaks one.

    What `Verifier` says in full, as far as it can be told in passing: no line is read as JSON, and
    without its key a keyed chain shows only that its lines follow on one another. Several reports
    may come one after the other, the last lines of some missing.
    """

    def __init__(self, key: str | None = None) -> None:
        self._hashers = [Hasher(), *([Hasher(key)] if key else [])]
        self._found = 0
        self._begin()

    def _begin(self) -> None:
        self._prev = FIRST
        self._misplaced = self._changed = 0
        self._fits = False

    @property
    def broken(self) -> int:
        """The number of the first line that was changed or does not follow; 0 where there is none.

        Where no line of a report fits its hash, that is for the want of a key.
        """
        found = [self._found, self._misplaced, self._changed if self._fits else 0]
        return min((number for number in found if number), default=0)

    def take(self, number: int, raw: bytes) -> None:
        """The next line, which is not empty, with its newline."""
        if not raw.endswith(b"\n"):  # a run that was killed leaves such a one
            return
        line = raw[:-1]
        link = _link(line)
        if link is None:
            if self._prev != FIRST:
                self._misplaced = self._misplaced or number
            return
        if link.prev == FIRST:
            self.end()
        elif link.prev != self._prev:
            self._misplaced = self._misplaced or number
        self._prev = link.hash
        if any(hasher(link.text) == link.hash for hasher in self._hashers):
            self._fits = True
        else:
            self._changed = self._changed or number

    def end(self) -> None:
        """The line was the trailer: what follows is another report."""
        self._found = self.broken
        self._begin()


class Break(NamedTuple):
    """Where a report is not what was written: the line, from 1, and what is wrong there.

    `ends` is set for what a run that was killed leaves as well.
    """

    line: int
    message: str
    ends: bool = False


@dataclass(slots=True)
class Verified:
    """What the lines seen so far come to; `head` is the hash of the last envelope.

    `readable` is set once one of them was JSON at all. `needs_key` is set where the trailer says
    that there was a key, and nobody gave one: without it every line looks changed.
    """

    run: str = ""
    readable: bool = False
    count: int = 0
    head: str = FIRST
    algorithm: str = ""
    complete: bool = False
    needs_key: bool = False


class Verifier:
    """Reads a report's lines and finds what was changed, added, left out, moved or cut off."""

    def __init__(self, key: str | None = None) -> None:
        self._hasher = Hasher(key)
        self._seq: int | None = 0
        self._prev = FIRST
        # Lines since the last sound one of which not even the hash is known.
        self._lost = 0
        self.verified = Verified()

    def breaks(self, lines: Iterable[bytes]) -> Iterator[Break]:
        """Each place where the chain does not hold, in order; none for a report as it was written.

        The lines come with their newlines. Holds one line at a time.
        """
        number = 0
        for number, raw in enumerate(lines, 1):
            line = raw.removesuffix(b"\n")
            if self.verified.complete:
                yield Break(number, "comes after the trailer: it was added")
                continue
            for message in self._line(line, torn=raw == line):
                yield Break(number, message, ends=message == _TORN)
        if not self.verified.complete:
            yield Break(
                number,
                "is the last, and no trailer follows: the end was cut off, or the run was killed",
                ends=True,
            )

    def _line(self, line: bytes, *, torn: bool) -> Iterator[str]:
        link, fields = _link(line), _parse(line)
        if fields is None:
            yield _TORN if torn else "was changed: it is no JSON any more"
            self._lost += 1
            return
        self.verified.readable = True
        if link is None:
            lost = "it was added, or its end was changed" if self._prev != FIRST else _UNCHAINED
            yield f"carries no hash: {lost}"
            self._lost += 1
            return
        if self._hasher(link.text) != link.hash:
            yield f"was changed: its hash does not fit its text{self._about_keys(fields)}"
        if link.prev != self._prev and not self._lost:
            yield self._misplaced(fields)
        elif link.prev != self._prev:
            self.verified.count += self._lost
        self._lost = 0
        if fields.get("trailer") is True:
            yield from self._trailer(fields)
        else:
            self._prev = self.verified.head = link.hash
            self.verified.count += 1
            self.verified.run = str(fields.get("run"))
            self._seq = _seq(fields)

    def _trailer(self, fields: Mapping[str, Any]) -> Iterator[str]:
        seen = self.verified
        seen.complete = True
        seen.run, seen.algorithm = str(fields.get("run")), str(fields.get("algorithm"))
        seen.needs_key = seen.algorithm == HMAC and self._hasher.algorithm == SHA256
        if fields.get("count") != seen.count:
            yield f"is the trailer of {fields.get('count')} lines, and {seen.count} are there"

    def _about_keys(self, fields: Mapping[str, Any]) -> str:
        keyed, says = self._hasher.algorithm == HMAC, fields.get("algorithm")
        if says in {SHA256, HMAC} and says != self._hasher.algorithm:
            return ": it was made without a key" if keyed else f": it needs its key, {KEY_VARIABLE}"
        if self.verified.count == 0:
            return f" (or {KEY_VARIABLE} is not the key that it was made with)"
        return ""

    def _misplaced(self, fields: Mapping[str, Any]) -> str:
        """In words why a line does not follow on the one before, as far as its number tells."""
        if fields.get("trailer") is True:
            return "is the trailer, and does not follow on the line before: lines are missing"
        before, now = self._seq, _seq(fields)
        if before is None or now is None or now == before + 1:
            return "does not follow on the line before: that was put in another's place"
        if now > before + 1:
            gone = f"call {before + 1}" if now == before + 2 else f"calls {before + 1} to {now - 1}"
            return f"is call {now} and follows on call {before}: {gone} missing, or moved"
        return f"is call {now} and follows on call {before}: it was moved, or put in again"


_TORN = "is cut off in its midst"
_UNCHAINED = "the report was written without a chain, or the line was added or changed"


class _Link(NamedTuple):
    """What a line says of its place in the chain, and the text that its hash is of."""

    prev: str
    hash: str
    text: bytes


def _link(line: bytes) -> _Link | None:
    found = _END.match(line, max(0, len(line) - _LENGTH_OF_END))
    if found is None:
        return None
    return _Link(found[1].decode(), found[2].decode(), line[:-_LENGTH_OF_HASH] + b"}")


def _seq(fields: Mapping[str, Any]) -> int | None:
    seq = fields.get("seq")
    return seq if isinstance(seq, int) else None


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        fields = decode(line)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None
