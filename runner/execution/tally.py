"""Counts what became of calls, numbers the envelopes, and remembers what the summary names."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from runner.errors import ExitCode
from runner.execution.outside import Outside, StepError
from runner.execution.scope import At
from runner.model import (
    DRY_RUN,
    CallStarted,
    Effect,
    Event,
    Failure,
    Finished,
    Intent,
    Json,
    Leaving,
    Summary,
    was_stopped,
)
from runner.planning import Call, Work

# How many changes, doubts, and steps that were not run the summary names.
MAX_NAMED = 200

# How many events wait to be shown at most, where no call comes that they could wait for.
_MOST_UNSEEN = 16

# Failures that mean that the tracker cannot be used at all, and so exit code 4.
UNUSABLE = frozenset(
    {"connection_refused", "name_not_found", "cannot_connect", "tls", "unauthorized",
     "payment_required", "cloudflare"}
)  # fmt: skip
_CODES = {**dict.fromkeys(UNUSABLE, ExitCode.UNREACHABLE), "in_doubt": ExitCode.IN_DOUBT}


# Of the thread and those that it starts: includes may be at different ends of themselves at a time.
SHIELDED = ContextVar("shielded", default=False)


class _Showing(threading.local):
    """For how many seconds each thread has shown something."""

    seconds = 0.0


class Tally:
    """One lock for numbering, counting and emitting: envelopes come out whole and in order."""

    def __init__(
        self,
        run_id: str,
        home: str,
        outside: Outside,
    ) -> None:
        self.summary = Summary(run_id, dry=outside.dry)
        # The run's own tracker: what is done elsewhere says where.
        self._home = home
        self._is_eager = outside.dry or outside.past.goes_on
        self._outside = outside
        self._clock = outside.clock
        self._lock = threading.RLock()
        # Noted, and not shown yet.
        self._unseen: list[Event] = []
        self._showing = _Showing()
        self._seq = outside.past.seq
        # Calls that destroy: of earlier parts of the run, how many of those it has come to again,
        # and of this part.
        self._destroyed_before, self._come_to, self._destroyed = outside.past.destroyed, 0, 0
        self._failed_at = True, sys.maxsize + 1
        self._under_way: dict[str, tuple[At, Call, dict[str, Json]]] = {}
        # Set once the run was broken off: what threads still do is no part of it any more.
        self.is_over = False

    @property
    def shielded(self) -> bool:
        """Whether this thread is below a `finally`, which no request to stop cuts short."""
        return SHIELDED.get()

    def begin(self, at: At, call: Call, envelope: dict[str, Json]) -> None:
        """A call is under way: should the run be broken off, its envelope is written as it is."""
        with self._lock:
            self._under_way[at.key] = at, call, envelope

    def break_off(self, why: str) -> None:
        """End all calls that are under way, those of other threads too, and take no more."""
        with self._lock:
            self.is_over = True
            for at, call, envelope in list(self._under_way.values()):
                copy = dict(envelope)
                _break_off(call, copy, why)
                self._finish(at, call, copy)
            self._under_way.clear()

    def emit(self, event: Event) -> None:
        """Pass on an event that is no envelope."""
        with self._lock:
            self._pass_on(event)

    def intend(self, event: Intent | Leaving) -> None:
        """Note an intent, or that its call leaves, without the lock: syncs may be shared."""
        self._outside.note(event)

    def show(self) -> None:
        """Show what has been noted: before what may take long, or while waiting for it."""
        began = self._clock.monotonic()
        with self._lock:
            # One by one: what is shown may be interrupted.
            while self._unseen:
                self._outside.show(self._unseen.pop(0))
        self._showing.seconds += self._clock.monotonic() - began

    def elapsed(self) -> float:
        """Seconds that never go back, without those in which this thread showed something.

        Who reads the report may be slow, and no call is.
        """
        return self._clock.monotonic() - self._showing.seconds

    def _pass_on(self, event: Event) -> None:
        """Note an event at once, and show it once there is time: while an answer is waited for.

        Where another call is under way there is no telling when that will be, and in a dry run and
        one that goes on calls may be left out.
        """
        self._unseen.append(self._outside.note(event))
        others = len(self._under_way) - isinstance(event, CallStarted)
        if others > 0 or self._is_eager or len(self._unseen) >= _MOST_UNSEEN:
            self.show()

    def take_destroy(self, most: int | None, count: int = 1, *, only_ask: bool = False) -> None:
        """Count calls that destroy. Raises StepError where they would be more than allowed."""
        with self._lock:
            # What is asked for beforehand may be done already, in part.
            before = self._come_to if only_ask else self._destroyed_before
            total = before + self._destroyed + count
            if most is not None and total > most:
                self.summary.would_destroy = total
                says = f"this run would destroy {total}, and may destroy {most}"
                if not (only_ask or self.summary.dry):  # how many are still to come is not known
                    says = f"this run has destroyed {most}, all that it may, and would go on"
                raise StepError(
                    "max_destroy", says, "if that is meant, allow more with --max-destroy"
                )
            if not only_ask:
                self._destroyed += count

    def restore(self, at: At) -> None:
        """Count a call that an earlier part of the run had made."""
        with self._lock:
            self._under_way.pop(at.key, None)
            self.summary.restored += 1

    def restore_destroy(self) -> None:
        """Count a call that destroyed, in an earlier part of the run, among those of this run."""
        with self._lock:
            self._come_to += 1

    def miss(self, labels: Sequence[str]) -> None:
        """Count steps that the run did not come to."""
        self.summary.not_run += len(labels)
        self.summary.missed += labels[: MAX_NAMED - len(self.summary.missed)]

    def finish(self, at: At, work: Work, envelope: dict[str, Json], digest: str = "") -> None:
        """Number an envelope, count it, and pass it on."""
        with self._lock:
            if not self.is_over:
                self._under_way.pop(at.key, None)
                self._finish(at, work, envelope, digest)

    def _finish(self, at: At, work: Work, envelope: dict[str, Json], digest: str = "") -> None:
        self._seq += 1
        envelope["seq"] = self._seq
        if at.tolerated and envelope["success"] is False and _may_pass(envelope):
            envelope["tolerated"] = True
        self._count(at, work, envelope)
        self._pass_on(Finished(at.key, envelope, digest=digest, top=at.top))

    def close(self) -> Summary:
        """The summary, with the exit code that it comes to."""
        self.show()
        summary = self.summary
        if summary.interrupted:
            summary.exit_code = ExitCode.INTERRUPTED
        elif summary.unknown:
            summary.exit_code = ExitCode.IN_DOUBT
        elif summary.crash is not None:
            summary.exit_code = getattr(summary.crash, "code", ExitCode.FAILED)
        elif summary.failed:
            failure = (summary.first_failure or {}).get("error") or {}
            summary.exit_code = _CODES.get(str(failure.get("type")), ExitCode.FAILED)
        return summary

    def _count_skipped(self, work: Work, envelope: dict[str, Json]) -> None:
        summary, reason = self.summary, envelope["skipped"]
        if not reason.startswith(DRY_RUN) or not isinstance(work, Call):
            summary.skipped += 1
        elif work.operation.effect is Effect.READS:
            summary.held_reads += 1
        else:
            summary.held += 1
            summary.held_destroys += work.operation.effect is Effect.DESTROYS
            summary.held_open = summary.held_open or reason != DRY_RUN

    def _count(self, at: At, work: Work, envelope: dict[str, Json]) -> None:
        summary = self.summary
        if envelope["skipped"] is not None:
            self._count_skipped(work, envelope)
            return
        if envelope["success"] is None:
            summary.unknown += 1
            if len(summary.doubtful) < MAX_NAMED:
                summary.doubtful.append(describe(at, work, envelope, self._home))
        elif envelope["success"]:
            summary.succeeded += 1
        elif was_stopped(envelope):
            self.miss([at.key])  # it was about to, and nothing went wrong
            return
        else:
            summary.failed += 1
        if _has_changed(work, envelope):
            summary.changed += 1
            if len(summary.written) < MAX_NAMED:
                summary.written.append(describe(at, work, envelope, self._home))
        # Of steps that overlap the first in the playbook, whichever of them was faster; before all
        # that the run was to pass over.
        place = "tolerated" in envelope, at.top or sys.maxsize
        if not envelope["success"] and place < self._failed_at:
            summary.first_failure, self._failed_at = envelope, place


def _may_pass(envelope: Mapping[str, Any]) -> bool:
    """Whether a failure can be passed over: not that the run was stopped, or destroys too much."""
    return not was_stopped(envelope) and (envelope["error"] or {}).get("type") != "max_destroy"


def _has_changed(work: Work, envelope: Mapping[str, Any]) -> bool:
    """Whether a call changed the tracker: one whose conditions failed did so all the same."""
    if not isinstance(work, Call) or work.operation.effect is Effect.READS:
        return False
    status = envelope["status"]
    judged_after = (envelope["error"] or {}).get("type") in AFTER_THE_CALL
    return bool(envelope["success"]) or (judged_after and status is not None and status < 300)


# Failures of a call that itself succeeded.
AFTER_THE_CALL = frozenset({"expectation", "until", "save"})


def _break_off(call: Call, envelope: dict[str, Json], why: str) -> None:
    """The envelope of a call that is broken off, from how far it has come."""
    waiting = envelope["error"] is not None  # for its next try: what the last one gave stands
    answered = envelope["success"] is True and call.until is None
    if waiting or answered:
        return
    if not envelope["attempts"]:
        failure = Failure("interrupted", f"{why} before the call was sent", "nothing was sent")
        envelope["success"] = False
    elif call.operation.effect is Effect.READS:
        failure = Failure("interrupted", f"{why} while the call was under way", "it only reads")
        envelope["success"] = False
    else:
        hint = "look at the tracker: the call may have been carried out"
        failure = Failure("interrupted", f"{why} while the call was under way", hint)
        envelope["success"] = None
    envelope["error"] = failure.as_dict()


def describe(at: At, work: Work, envelope: Mapping[str, Json], home: str) -> str:
    """A call in the summary: the step, what it asked for, and the id it was about or that came.

    And on which tracker, where that is not `home`.
    """
    if not isinstance(work, Call):
        return at.key
    operation = work.operation
    data = envelope["data"]
    entity = data.get("id") if isinstance(data, dict) else None
    if entity is None and operation.needs_id and envelope["request"]:
        entity = _entity_of(operation.path, envelope["request"]["url"])
    elsewhere = "" if envelope["tracker"] == home else f" on {envelope['tracker']}"
    shown = f"{at.key} ({operation}{elsewhere})"
    return shown if entity is None else f"{shown} id {entity}"


def _entity_of(path: str, url: str) -> str | None:
    """The id in a URL that was built from an operation's path."""
    before = path.split("{id}", 1)[0]
    return url.rsplit(before, 1)[-1].split("/", 1)[0].split("?", 1)[0] or None
