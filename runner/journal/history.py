"""What the journal of a run says: which calls are done, which are in doubt, what was given."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.errors import RunnerError
from runner.model import Json

# Failures of a call that itself succeeded: it is not sent again, its conditions are asked again.
_AFTER_THE_CALL = frozenset({"expectation", "until", "save"})

Trail = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """A call that needs no sending; `ask_again` where its conditions must be asked once more.

    Its envelope stays in the file, at `offset`: a history of any length fits into memory.
    """

    offset: int
    length: int
    digest: str
    hidden: tuple[Trail, ...]
    ask_again: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's word on a call in doubt: `done`, `retry`, or `id` with the entity's id."""

    word: str
    entity: str = ""


@dataclass(frozen=True, slots=True)
class Doubt:
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
    seen: set[str] = field(default_factory=set)
    seq: int = 0
    ended: Mapping[str, Any] | None = None
    size: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether the run ended with everything done."""
        return self.ended is not None and self.ended.get("exit") == 0

    def lines(self) -> Iterator[str]:
        """The envelopes so far, as the report's lines, in order."""
        for _, _, record in _records(self.path, self.size):
            if record["record"] == "outcome":
                yield json.dumps(record["envelope"], ensure_ascii=False, separators=(",", ":"))

    def envelope(self, done: Done) -> dict[str, Json]:
        """The envelope of a call that is done, as the report has it."""
        with self.path.open("rb") as file:
            file.seek(done.offset)
            found: dict[str, Json] = json.loads(file.read(done.length))["envelope"]
        return found


def read_history(path: Path) -> History:
    """Read a journal, passing over a torn last line. Raises RunnerError where it is damaged.

    What steps below `finally` did counts only where the steps before them had all succeeded:
    else they run again at the end of the next part.
    """
    size = _whole_size(path)
    records = _records(path, size)
    first = next(records, None)
    if first is None or first[2]["record"] != "run":
        raise RunnerError(f"{path} is no journal", "start the playbook anew")
    history = History(path, first[2], size=size)
    steps_done = False
    for offset, length, record in records:
        kind = record["record"]
        if kind == "intent":
            history.seen.add(record["key"])
            history.doubts[record["key"]] = Doubt(
                record["key"],
                record["call"],
                record["request"],
                record["digest"],
                record["tracker"],
            )
        elif kind == "outcome":
            _take_outcome(history, offset, length, record)
        elif kind == "phase":
            steps_done = record["success"] is True
        elif kind == "end":
            history.ended = record
        elif kind == "resume":
            history.ended = None
    if not steps_done:
        last = history.head.get("finally", ())
        history.done = {key: done for key, done in history.done.items() if root(key) not in last}
    return history


def root(key: str) -> str:
    """The label of the top-level step that a call's key belongs to."""
    found = _ROOT.match(key)
    return found[0] if found else key


# A name, or a place in a list: `campaign`, `steps[2]`, `finally[0]`.
_ROOT = re.compile(r"(?:steps|finally)\[\d+\]|[a-z][a-z0-9_]*")


def _take_outcome(history: History, offset: int, length: int, record: Mapping[str, Any]) -> None:
    key, envelope = record["key"], record["envelope"]
    history.seq = max(history.seq, envelope["seq"])
    history.seen.add(key)
    success, error = envelope["success"], envelope["error"]
    if success is None or (success is False and not envelope["attempts"]):
        # Still in doubt; or nothing was sent, which says nothing of what was sent before.
        return
    history.doubts.pop(key, None)
    hidden = tuple(tuple(trail) for trail in record["hidden"])
    after = bool(error) and error["type"] in _AFTER_THE_CALL
    if success:
        history.done[key] = Done(offset, length, record["digest"], hidden)
    elif after and record["digest"]:
        # A write went through and its condition did not hold: what it did is done.
        history.done[key] = Done(offset, length, record["digest"], hidden, ask_again=True)
    else:
        history.done.pop(key, None)


def _whole_size(path: Path) -> int:
    """The length of the journal without a torn last line."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, 2)
            while end > 0:
                begin = max(end - 65_536, 0)
                file.seek(begin)
                found = file.read(end - begin).rfind(b"\n")
                if found >= 0:
                    return begin + found + 1
                end = begin
    except OSError as error:
        raise RunnerError(f"cannot read {path}: {error.strerror}", "check the folder") from error
    return 0


def _records(path: Path, size: int) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Each record with its offset and its length, up to `size`."""
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if offset + len(line) > size:
                return
            try:
                record = json.loads(line)
                record["record"]
            except (ValueError, KeyError, TypeError) as error:
                raise RunnerError(
                    f"{path}, line {number}, is damaged",
                    "the run cannot be continued: look at the tracker, and start anew",
                ) from error
            yield offset, len(line), record
            offset += len(line)


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
