"""What the journal of a run says: which calls are done, which are in doubt, what was given."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from runner.compact import decode
from runner.errors import RunnerError
from runner.model import Json

# Failures of a call that itself succeeded: it is not sent again, its conditions are asked again.
# Not so `until`, which asks for the call to be made again until it holds.
_AFTER_THE_CALL = frozenset({"expectation", "save"})

Trail = tuple[str | int, ...]


class Done(NamedTuple):
    """A call that needs no sending; `ask_again` where its conditions must be asked once more.

    `call` is the operation of one that was sent and changes something, else nothing. Its envelope
    stays in the file, at `offset`: a history of any length fits into memory.
    """

    offset: int
    length: int
    digest: str
    hidden: tuple[Trail, ...]
    ask_again: bool = False
    call: str = ""


class Decision(NamedTuple):
    """A person's word on a call in doubt: `done`, `retry`, or `id` with the entity's id."""

    word: str
    entity: str = ""


class Doubt(NamedTuple):
    """A call that was sent, with no outcome known."""

    key: str
    call: str
    request: Mapping[str, Json]
    digest: str
    tracker: str


@dataclass(slots=True)
class History:
    """A run's past, as its journal tells it. `head` is what the run was started with.

    `lines` gives the report's lines so far; `seq` is the number of the last.
    """

    path: Path
    head: Mapping[str, Any]
    done: dict[str, Done] = field(default_factory=dict)
    doubts: dict[str, Doubt] = field(default_factory=dict)
    seq: int = 0
    ended: Mapping[str, Any] | None = None
    size: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether the run ended with everything done."""
        return self.ended is not None and self.ended.get("exit") == 0

    def lines(self) -> Iterator[str]:
        """The envelopes so far, as the report's lines, in order."""
        with self.path.open("rb") as file:
            for offset, length, record in _records(self.path, self.size):
                if record["record"] == "outcome":
                    file.seek(offset)
                    # The writer put the line into the record as it was: so it is given back.
                    _, _, line = file.read(length).partition(_ENVELOPE)
                    yield line.decode().rstrip("\n").removesuffix("}")

    def envelope(self, done: Done) -> dict[str, Json]:
        """The envelope of a call that is done, as the report has it."""
        with self.path.open("rb") as file:
            file.seek(done.offset)
            record: dict[str, Any] = decode(file.read(done.length))
            found: dict[str, Json] = record["envelope"]
        return found


def read_history(path: Path) -> History:
    """Read a journal up to where it ends. Raises RunnerError where it is damaged.

    What steps below `finally` did counts only where the steps before them had all succeeded:
    else they run again at the end of the next part.
    """
    records = _records(path)
    first = next(records, None)
    if first is None or first[2]["record"] != "run":
        raise RunnerError(f"{path} is no journal", "start the playbook anew")
    reader = _Reader(History(path, first[2], size=first[1]))
    for offset, length, record in records:
        reader.take(offset, length, record)
    return reader.finish()


def read_head(path: Path) -> Mapping[str, Any] | None:
    """What a run was started with; `None` where it died before it came to anything."""
    first = next(_records(path), None)
    return first[2] if first else None


def read_end(path: Path) -> Mapping[str, Any] | None:
    """What a run's last record says of its end; `None` where it did not come to one."""
    with path.open("rb") as file:
        begin, last = file.seek(0, 2), b""
        while begin and b"\n" not in last[:-1]:
            end, begin = begin, max(0, begin - max(4096, len(last)))
            file.seek(begin)
            last = file.read(end - begin) + last
            if not last.endswith(b"\n"):
                return None
    last = last.removesuffix(b"\n").rpartition(b"\n")[2]
    if not last.startswith(b'{"record":"end"'):
        return None
    record: dict[str, Any] = json.loads(last)
    return record


class _Reader:
    """Takes the records of a journal one after the other."""

    def __init__(self, history: History) -> None:
        self._history = history
        # The doubts of earlier parts about calls that this part was about to send.
        self._before: dict[str, Doubt | None] = {}
        # The keys of steps below `finally`, with whether the steps before them had succeeded.
        self._last: dict[str, bool] = {}

    def take(self, offset: int, length: int, record: Mapping[str, Any]) -> None:
        history, kind = self._history, record["record"]
        history.size = offset + length
        if kind == "intent":
            self._intent(record)
        elif kind == "outcome":
            self._outcome(offset, length, record)
        elif kind == "phase":
            self._phase(record["last"], success=record["success"] is True)
        elif kind == "end":
            history.ended = record
        elif kind == "resume":
            history.ended = None
            history.head = {**history.head, **record["now"]}
            self._before.clear()

    def finish(self) -> History:
        self._forget({key for key, done in self._last.items() if not done})
        return self._history

    def _intent(self, record: Mapping[str, Any]) -> None:
        key, doubts = record["key"], self._history.doubts
        self._before[key] = doubts.get(key)
        doubts[key] = Doubt(
            key, record["call"], record["request"], record["digest"], record["tracker"]
        )

    def _outcome(self, offset: int, length: int, record: Mapping[str, Any]) -> None:
        history, key, envelope = self._history, record["key"], record["envelope"]
        history.seq = max(history.seq, envelope["seq"])
        success, error = envelope["success"], envelope["error"]
        if success is None:
            return
        if success is False and not envelope["attempts"]:
            self._not_sent(key)
            return
        history.doubts.pop(key, None)
        hidden = tuple(tuple(trail) for trail in record["hidden"])
        after = bool(error) and error["type"] in _AFTER_THE_CALL
        digest = record["digest"]
        words = envelope.get("resource"), envelope.get("operation")
        call = sys.intern(".".join(map(str, words))) if digest else ""
        if success:
            history.done[key] = Done(offset, length, digest, hidden, call=call)
        elif after and digest:
            # A write went through and its condition did not hold: what it did is done.
            history.done[key] = Done(offset, length, digest, hidden, ask_again=True, call=call)
        else:
            history.done.pop(key, None)

    def _not_sent(self, key: str) -> None:
        """Nothing was sent this time, which says nothing of what was sent before."""
        if key not in self._before:
            return
        before = self._before.pop(key)
        if before is None:
            self._history.doubts.pop(key, None)
        else:
            self._history.doubts[key] = before

    def _phase(self, last: Iterable[str], *, success: bool) -> None:
        if success:
            # What they did when the steps had failed does not count for this time.
            self._forget({key for key in last if self._last.get(key) is False})
        self._last |= dict.fromkeys(last, success)

    def _forget(self, keys: set[str]) -> None:
        if keys:
            done = self._history.done
            self._history.done = {k: v for k, v in done.items() if keys.isdisjoint(above(k))}


def above(key: str) -> Iterator[str]:
    """A call's key, and those of all that it is part of: `a[2].b` is part of `a[2]` and of `a`."""
    yield key
    for found in _JOINT.finditer(key):
        yield key[: found.start()]


_JOINT = re.compile(r"[.\[]")
_ENVELOPE = b',"envelope":'


def root(key: str) -> str:
    """The label of the top-level step that a call's key belongs to."""
    found = _ROOT.match(key)
    return found[0] if found else key


# A name, or a place in a list: `campaign`, `steps[2]`, `finally[0]`.
_ROOT = re.compile(r"(?:steps|finally)\[\d+\]|[a-z][a-z0-9_]*")


def _records(path: Path, size: int | None = None) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Each record with its offset and its length, up to `size` or to where the journal ends.

    It ends before a last line that was torn, and before zeros: room for more records, or what a
    power cut left of lines that were not synced. Raises RunnerError where it is damaged.
    """
    offset = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if offset == size or not line.endswith(b"\n"):
                    return
                if b"\0" in line:
                    at = offset + line.index(b"\0")
                    # Where there are none any more, somebody is writing while this is read.
                    if os.pread(file.fileno(), 1, at) == b"\0":
                        after = chain((line.rpartition(b"\0")[2],), file)
                        _check_unsynced(path, after, number, offset)
                    return
                yield offset, len(line), _record(path, line, number)
                offset += len(line)
    except OSError as error:
        raise RunnerError(f"cannot read {path}: {error.strerror}", "check the folder") from error


def _record(path: Path, line: bytes, number: int) -> dict[str, Any]:
    try:
        record: dict[str, Any] = decode(line)
        record["record"]
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, number) from error
    return record


def _check_unsynced(path: Path, after: Iterable[bytes], number: int, end: int) -> None:
    """Raises RunnerError where a record after zeros says that these had been synced.

    One that does not say was written at the end of the file, where no zeros were before it.
    """
    for line in after:
        with suppress(ValueError, AttributeError, TypeError):  # what is no record says nothing
            if json.loads(line).get("synced", end + 1) > end:
                raise _damaged(path, number)


def _damaged(path: Path, number: int) -> RunnerError:
    return RunnerError(
        f"{path}, line {number}, is damaged",
        "the run cannot be continued: look at the tracker, and start anew",
    )


_DECISION = re.compile(r"(?P<key>.+?)=(?P<word>done|retry|id:(?P<id>[^\s]+))\Z")


def read_decisions(texts: tuple[str, ...]) -> dict[str, Decision]:
    """`STEP=done`, `STEP[3]=retry`, `STEP=id:12`, by the call's key. Raises RunnerError."""
    decisions = {}
    for text in texts:
        found = _DECISION.match(text)
        if found is None:
            raise RunnerError(
                f"--in-doubt {text} cannot be read", "write STEP=done, STEP=retry or STEP=id:123"
            )
        word = "id" if found["id"] else found["word"]
        decisions[found["key"]] = Decision(word, found["id"] or "")
    return decisions
