"""What exporters show of an envelope: a view that takes what is missing or strange as absent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from runner.catalogue import Catalogue
from runner.exporters.reading import Reader
from runner.model import DRY_RUN, Effect, was_stopped

# What is said of a report without an end.
NO_END = "The report has no end: the run was killed, is under way, or the report was cut off."

DONE, FAILED, UNKNOWN, SKIPPED = "done", "failed", "unknown", "skipped"
OUTCOMES = (DONE, FAILED, UNKNOWN, SKIPPED)

# Failures of a call that itself succeeded, the first two by a condition of the playbook.
CONDITIONS = frozenset({"expectation", "until"})
_AFTER_THE_CALL = CONDITIONS | {"save"}
_ITERATION = re.compile(r"\[[0-9]+\]")
_PLACE = re.compile(r"^(.+):([1-9][0-9]{0,8}):([1-9][0-9]{0,8})$", re.DOTALL)


MOST_MISSED = 20  # steps that were not run and are named


class Call(NamedTuple):
    """One envelope. `line` and `column` are 0 where its place is not known.

    `pattern` is the key with `[]` for each iteration: the same for all calls of a step.
    `started` is in seconds since 1970, `duration` in milliseconds; `envelope` is the whole of it.
    """

    envelope: Mapping[str, Any]
    outcome: str
    key: str
    pattern: str
    what: str
    source: str
    file: str
    line: int
    column: int
    status: int | None
    started: float | None
    duration: float
    error: Mapping[str, Any]
    changed: bool
    destroys: bool

    @property
    def title(self) -> str:
        """The step and the iteration, with the item that it is about."""
        item = text_of(self.envelope.get("item"))
        return f"{self.key} ({item})" if item else self.key

    @property
    def message(self) -> str:
        """What went wrong, or why it was skipped; empty where neither."""
        return text_of(self.error.get("message")) or text_of(self.envelope.get("skipped"))

    @property
    def error_type(self) -> str:
        """The kind of failure, in the words of the schema."""
        return text_of(self.error.get("type"))

    @property
    def hint(self) -> str:
        """What helps against the failure; may be empty."""
        return text_of(self.error.get("hint"))

    @property
    def request(self) -> Mapping[str, Any]:
        """What was sent; empty where nothing was."""
        request = self.envelope.get("request")
        return request if isinstance(request, dict) else {}

    @property
    def tolerated(self) -> bool:
        """Whether the run was to pass over its failure."""
        return self.envelope.get("tolerated") is True

    @property
    def held(self) -> bool:
        """Whether a dry run held it back: `request` is what it would send."""
        return self.message.startswith(DRY_RUN) and bool(self.request)

    @property
    def stopped(self) -> bool:
        """Whether it was not sent since the run was to end, which counts as not run."""
        return self.outcome == SKIPPED and self.envelope.get("skipped") is None

    @property
    def result(self) -> str:
        """What came, in a word or two: `id 7`, `3 rows`."""
        data, count = self.envelope.get("data"), self.envelope.get("count")
        if isinstance(data, dict) and isinstance(data.get("id"), (int, str)):
            return f"id {data['id']}"
        rows = data.get("rows") if isinstance(data, dict) else None
        number = len(rows) if isinstance(rows, list) else count
        return "" if not isinstance(number, int) else f"{number} row{'' if number == 1 else 's'}"


class Calls:
    """Makes calls of envelopes; looks up in the catalogue what an operation does, once each."""

    def __init__(self) -> None:
        self._catalogue = Catalogue()
        self._effects: dict[tuple[str, str], Effect | None] = {}

    def __call__(self, envelope: Mapping[str, Any]) -> Call:
        """The envelope as a call."""
        error = envelope.get("error")
        error = error if isinstance(error, dict) else {}
        resource, operation = (text_of(envelope.get(name)) for name in ("resource", "operation"))
        step = text_of(envelope.get("step")) or "?"
        key = text_of(envelope.get("key")) or step + _index(envelope.get("index"))
        status = envelope.get("status")
        outcome = _outcome(envelope)
        source = text_of(envelope.get("source"))
        place = _PLACE.match(source)
        return Call(
            envelope=envelope,
            outcome=outcome,
            key=key,
            pattern=_pattern(step, key),
            what=f"{resource}.{operation}" if resource or operation else "",
            source=source,
            file=place[1] if place else "",
            line=int(place[2]) if place else 0,
            column=int(place[3]) if place else 0,
            status=status if isinstance(status, int) else None,
            started=_moment(envelope.get("started_at")),
            duration=_number(envelope.get("duration_ms")),
            error=error,
            changed=self._has_changed(envelope, outcome, error, (resource, operation)),
            destroys=self._effect((resource, operation)) is Effect.DESTROYS,
        )

    def _has_changed(
        self,
        envelope: Mapping[str, Any],
        outcome: str,
        error: Mapping[str, Any],
        operation: tuple[str, str],
    ) -> bool:
        carried_out = outcome == DONE or (
            error.get("type") in _AFTER_THE_CALL and _number(envelope.get("status"), 999) < 300
        )
        request = envelope.get("request")
        if not carried_out or not isinstance(request, dict):
            return False
        effect = self._effect(operation)
        return request.get("method") != "GET" if effect is None else effect is not Effect.READS

    def _effect(self, operation: tuple[str, str]) -> Effect | None:
        """What an operation does; `None` where the catalogue of today does not know it."""
        if operation not in self._effects:
            found = self._catalogue.operation(*operation)
            self._effects[operation] = None if found is None else found.effect
        return self._effects[operation]


@dataclass(slots=True)
class Totals:
    """What the calls seen so far come to, in memory that does not grow with them.

    `began` and `ended` are in seconds since 1970; `first` is the first failure or doubt, of those
    that the run was not to pass over where there is one.
    """

    runs: list[str] = field(default_factory=list)
    trackers: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    outcomes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    changed: int = 0
    held: int = 0
    held_destroys: int = 0
    stopped: int = 0
    began: float | None = None
    ended: float | None = None
    first: Call | None = None

    def add(self, call: Call) -> None:
        """Count a call."""
        self.outcomes[call.outcome] += 1
        self.changed += call.changed
        self.held += call.held
        self.held_destroys += call.held and call.destroys
        self.stopped += call.stopped
        _note(self.runs, text_of(call.envelope.get("run")))
        _note(self.trackers, text_of(call.envelope.get("tracker")))
        _note(self.files, call.file)
        if call.started is not None:
            end = call.started + call.duration / 1000
            self.began = call.started if self.began is None else min(self.began, call.started)
            self.ended = end if self.ended is None else max(self.ended, end)
        if call.outcome in {FAILED, UNKNOWN} and (
            self.first is None or (self.first.tolerated and not call.tolerated)
        ):
            self.first = call

    @property
    def calls(self) -> int:
        """How many there were."""
        return sum(self.outcomes.values())

    @property
    def seconds(self) -> float:
        """From the first call's beginning to the last one's end."""
        return 0.0 if self.began is None or self.ended is None else self.ended - self.began

    @property
    def playbook(self) -> str:
        """The file of the first call, which is the playbook's or that of one it includes."""
        return self.files[0] if self.files else "playbook"

    def verdict(self, reader: Reader) -> str:
        """In a word what became of the run: as its trailer says, or as its calls do."""
        exit_code = (reader.trailer or {}).get("exit_code")
        if self.outcomes[UNKNOWN]:
            return "in doubt"
        if self.outcomes[FAILED]:
            return "failed"
        if exit_code == 130:
            return "interrupted"
        if exit_code:
            return "failed"
        if not reader.has_end:
            return "unfinished"
        return "dry run" if self.held else "succeeded"

    def counts(self, reader: Reader) -> list[tuple[str, int]]:
        """The words and numbers of a summary."""
        not_run = (reader.trailer or {}).get("not_run")
        return [
            ("succeeded", self.outcomes[DONE]),
            ("changed", self.changed),
            ("failed", self.outcomes[FAILED]),
            ("unknown", self.outcomes[UNKNOWN]),
            ("held back", self.held),
            ("would destroy", self.held_destroys),
            ("skipped", self.outcomes[SKIPPED] - self.held - self.stopped),
            ("not run", not_run if isinstance(not_run, int) else 0),
        ]


def missed_steps(reader: Reader) -> list[str]:
    """The first of the steps that a run did not come to, once its envelopes are read."""
    named = (reader.trailer or {}).get("missed")
    return [text_of(name) for name in named if text_of(name)] if isinstance(named, list) else []


def not_run(reader: Reader) -> str:
    """The first of them in a sentence, without its full stop; nothing where there are none."""
    names = missed_steps(reader)
    if not names:
        return ""
    shown = names[:MOST_MISSED]
    more = int(_number((reader.trailer or {}).get("not_run"))) - len(shown)
    return f"Not run: {', '.join(shown)}" + (f", and {more:,} more" if more > 0 else "")


def text_of(value: Any) -> str:
    """The value where it is text, else nothing."""
    return value if isinstance(value, str) else ""


def duration_text(seconds: float) -> str:
    """`41 ms`, `3.2 s`, `2 min 5 s`, `1 h 4 min`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h" + (f" {minutes % 60} min" if minutes % 60 else "")


def plural(number: int, word: str) -> str:
    """`1 call`, `2 calls`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


_MOST_NOTED = 50


def _note(known: list[str], name: str) -> None:
    if name and name not in known and len(known) < _MOST_NOTED:
        known.append(name)


def _outcome(envelope: Mapping[str, Any]) -> str:
    if envelope.get("skipped") is not None:
        return SKIPPED
    success = envelope.get("success")
    if success is None:
        return UNKNOWN
    if success:
        return DONE
    return SKIPPED if was_stopped(envelope) else FAILED


def _index(index: Any) -> str:
    parts = index if isinstance(index, list) else [] if index is None else [index]
    return "".join(f"[{part}]" for part in parts)


def _pattern(step: str, key: str) -> str:
    """The key with its iterations emptied: they are what it has more than the step."""
    if step == key:
        return key
    parts, end, in_step = [], 0, 0
    for found in _ITERATION.finditer(key):
        here = in_step + found.start() - end
        if step.startswith(found[0], here):
            continue  # a step without a name, which is called by its number
        parts += [key[end : found.start()], "[]"]
        end, in_step = found.end(), here
    return "".join([*parts, key[end:]])


def _moment(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def _number(value: Any, otherwise: float = 0.0) -> float:
    fine = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if fine and 0 <= value < 1e15 else otherwise
