"""One call: rendered, checked once more, sent, tried again where that is safe, judged."""

from __future__ import annotations

from collections.abc import Callable

from runner.answers import judge
from runner.errors import RunnerError
from runner.execution.after import After, answer, fail_call, save_value
from runner.execution.dry import Dry
from runner.execution.outside import Outside, StepError
from runner.execution.past import InDoubt
from runner.execution.requests import build_request, find_tracker, shown
from runner.execution.scope import At, Scope, holds, render_seconds
from runner.execution.shelf import Shelf
from runner.execution.tally import Tally
from runner.model import (
    CallStarted,
    Effect,
    Intent,
    Json,
    Leaving,
    Reach,
    Request,
    Retrying,
    Verdict,
)
from runner.planning import Call, SetValues
from runner.retries import delay, is_worth_repeating
from runner.templating import Templates

# Seconds; what floating point leaves over.
_NO_TIME = 1e-6

_DOUBT_HINT = "look at the tracker, then resume with --in-doubt STEP=done, retry or id:123"


class Caller:
    """Makes the calls of one playbook."""

    def __init__(
        self, outside: Outside, templates: Templates, tally: Tally, shelf: Shelf, dry: Dry
    ) -> None:
        self._shelf = shelf
        self._outside = outside
        self._after = After(templates)
        self._tally = tally
        self._dry = dry

    def make(
        self, call: Call, at: At, scope: Scope, envelope: dict[str, Json], tracker: str | None
    ) -> tuple[str, bool]:
        """Make the call and fill in its envelope.

        Gives the digest of what changes something, and whether the call was restored, as one
        is that the run's past knows to be done, and not sent. Raises StepError
        where it cannot be sent.
        """
        changes = call.operation.effect is not Effect.READS
        if self._dry.holds_back(call, scope, envelope, tracker):
            return "", False
        past = self._outside.past.done(at.key)
        if past is not None and not changes:
            envelope.update(past.envelope)
            return "", True
        if call.tracker is not None:
            self._tally.show()  # another tracker's key may come from a command, or from a person
        _, reach = find_tracker(call.tracker, scope, self._outside, tracker)
        envelope["tracker"] = reach.name
        if past is not None:
            if call.operation.effect is Effect.DESTROYS:
                self._tally.restore_destroy()
            digest = self._digest_of_done(call, at, scope, reach, past.digest)
            envelope.update(past.envelope)
            if past.ask_again:
                envelope.update(success=True, error=None)
                self._judge_after(call, scope, envelope, None)
            return digest, not past.ask_again
        request = build_request(call, scope, self._outside.past.reveal, reach)
        digest = self._outside.digest(request) if changes else ""
        envelope["request"] = shown(request)
        again = None
        if not self._is_settled(call, at, request, digest, envelope):
            if changes:
                self._intend(call, at, request, digest, reach.name)
                self._shelf.clear(reach.url)
                try:
                    again = self._send(call, at.key, reach, request, envelope)
                finally:
                    # What was asked for meanwhile may be from before or after the change.
                    self._shelf.clear(reach.url)
            elif call.cache:
                self._ask_once(call, at.key, reach, request, envelope)
            else:
                again = self._send(call, at.key, reach, request, envelope)
        self._judge_after(call, scope, envelope, again)
        return digest, False

    def set(self, work: SetValues, scope: Scope, values: Json) -> None:
        """Hold computed values against what is expected, and save them. Raises StepError."""
        mine, summary = {**scope, "values": values}, self._tally.summary
        # In a dry run they may be what they are before a call that was held back.
        if work.expect and not (summary.held or summary.held_reads or summary.unsaved):
            said = self._after.all_false(work.expect, mine)
            if said:
                raise StepError("expectation", said)
        if work.save is not None and self._outside.dry:
            summary.unsaved = True
        elif work.save is not None:
            save_value(self._outside, work.save, mine, values)

    def _judge_after(
        self,
        call: Call,
        scope: Scope,
        envelope: dict[str, Json],
        again: Callable[[], None] | None,
    ) -> None:
        """What a call that succeeded still has to pass: until, expect, save."""
        summary = self._tally.summary
        if summary.held or summary.held_reads or summary.unsaved:
            # What is expected may be what a call that was held back would do.
            envelope["as_of_now"] = True
            return
        if call.until is not None and envelope["success"] and again is not None:
            self._until(call, scope, envelope, again)
        if envelope["success"]:
            self._after.expect(call, scope, envelope)
        if envelope["success"] and call.save is not None:
            if self._outside.dry:
                self._tally.summary.unsaved = True
                return
            try:
                mine = {**scope, **answer(envelope)}
                save_value(self._outside, call.save, mine, envelope["data"])
            except StepError as error:
                envelope["success"] = False
                envelope["error"] = error.failure._replace(status=envelope["status"]).as_dict()

    # -- the past -------------------------------------------------------------------------------

    def _digest_of_done(self, call: Call, at: At, scope: Scope, reach: Reach, then: str) -> str:
        """The digest of a call that is done, were it sent now. Raises StepError where it differs.

        What was hidden is read from the tracker only where the mask does not do in its place:
        what it belonged to may be gone by now.
        """
        try:
            digest = self._outside.digest(
                build_request(call, scope, self._outside.past.conceal, reach)
            )
        except StepError:
            digest = ""
        if not digest or (then and then != digest):
            request = build_request(call, scope, self._outside.past.reveal, reach)
            digest = self._outside.digest(request)
        _check_digest(at.key, then, digest)
        return digest

    def _is_settled(
        self, call: Call, at: At, request: Request, digest: str, envelope: dict[str, Json]
    ) -> bool:
        """Whether a call in doubt is known to be done, so that it need not be sent."""
        doubt = self._outside.past.doubt(at.key)
        if doubt is None:
            return False
        _check_digest(at.key, doubt.digest, digest)
        if doubt.word == "retry" or (not doubt.word and call.operation.repeatable):
            envelope["settled"] = "sent again"
            return False
        try:
            data = self._settled_data(at.key, doubt, request)
        except LookupError as error:
            raise StepError("in_doubt", f"{at.key} is in doubt: {error}", _DOUBT_HINT) from error
        except RunnerError as error:
            raise StepError("in_doubt", error.message, error.hint) from error
        if data is None and not doubt.word:
            envelope["settled"] = "looked for and not found, so sent"
            return False
        envelope["settled"] = f"taken as {doubt.word}" if doubt.word else "found by its natural key"
        envelope["success"] = True
        envelope["data"] = data
        return True

    def _settled_data(self, key: str, doubt: InDoubt, request: Request) -> Json:
        if doubt.word == "id":
            return self._outside.past.fetch(key, doubt.entity)
        if doubt.word == "done":
            return None
        return self._outside.past.look_up(key, request.body)

    def _intend(self, call: Call, at: At, request: Request, digest: str, tracker: str) -> None:
        if call.operation.effect is Effect.DESTROYS:
            self._tally.take_destroy(self._outside.most_destroyed)
        operation = call.operation
        intent = Intent(
            key=at.key,
            resource=operation.resource,
            operation=operation.name,
            method=request.method,
            url=request.url,
            body=request.body,
            digest=digest,
            tracker=tracker,
        )
        self._tell_journal(intent)

    def _tell_journal(self, event: Intent | Leaving) -> None:
        try:
            self._tally.intend(event)
        except RunnerError as error:
            raise StepError("journal", error.message, f"nothing was sent; {error.hint}") from error

    # -- sending --------------------------------------------------------------------------------

    def _send(
        self, call: Call, key: str, reach: Reach, request: Request, envelope: dict[str, Json]
    ) -> Callable[[], None]:
        """Send until it is answered or trying again is no use; gives what sends once more."""
        # Written down while the disk takes the intent, which it has to until the call leaves.
        exchange = reach.prepare(request)
        changes = call.operation.effect is not Effect.READS

        def send() -> None:
            tries = 0
            lost = call.operation.repeatable and envelope.get("settled") == "sent again"
            while self._may_leave(envelope["attempts"]):
                if changes and not envelope["attempts"]:
                    self._tell_journal(Leaving(key))
                tries += 1
                _note(envelope, _UNDER_WAY)
                envelope["attempts"] += 1
                self._tally.emit(CallStarted(key, str(call.operation), envelope["attempts"]))
                if self._tally.is_over:
                    raise StepError("interrupted", "the run is over", "nothing was sent")
                outcome = exchange(self._tally.show)
                wait, passing = None, is_worth_repeating(call.operation, outcome)
                if tries <= call.retries and passing:
                    wait = delay(outcome, tries, self._outside.clock.now(), self._outside.draw)
                verdict = judge(call.operation, outcome)
                _note(envelope, _after_a_loss(call, verdict, passing=passing) if lost else verdict)
                if wait is None or self._is_stopping():
                    return
                lost = lost or verdict.success is None
                reason = verdict.error.message if verdict.error else ""
                self._tally.emit(Retrying(key, tries, wait, reason))
                self._outside.pacer.pause(wait)

        send()
        return send

    def _ask_once(
        self, call: Call, key: str, reach: Reach, request: Request, envelope: dict[str, Json]
    ) -> None:
        """Take the answer to the same request if there is one, else send it and keep what comes."""
        with self._shelf.place(reach.url, request) as place:
            if place.kept is not None:
                _note(envelope, place.kept)
                envelope["cached"] = True
                return
            self._send(call, key, reach, request, envelope)
            if envelope["success"]:
                place.kept = Verdict(True, envelope["status"], envelope["data"])

    def _is_stopping(self) -> bool:
        return self._outside.stopping() and not self._tally.shielded

    def _sleep(self, seconds: float) -> None:
        """Wait in full, but for a run that is to stop."""
        clock = self._outside.clock
        end = clock.monotonic() + seconds
        while (left := end - clock.monotonic()) > _NO_TIME and not self._is_stopping():
            clock.sleep(left)

    def _may_leave(self, tries: int) -> bool:
        """Wait until the call may leave; false where the run is to stop meanwhile.

        Raises StepError where it had not left yet.
        """
        self._outside.pacer.wait(self._is_stopping, self._tally.show)
        if not self._is_stopping():
            return True
        self._tally.summary.interrupted = True
        if tries:
            return False
        raise StepError("interrupted", "the run was asked to stop", "nothing was sent")

    def _until(
        self, call: Call, scope: Scope, envelope: dict[str, Json], again: Callable[[], None]
    ) -> None:
        until = call.until
        if until is None:
            return
        every = render_seconds(until.every, scope, "every")
        hint = "raise attempts or every, or look at what holds it up"
        for attempt in range(until.attempts):
            if holds(until.condition, {**scope, **answer(envelope)}):
                return
            if attempt < until.attempts - 1:
                self._sleep(every)
                if self._is_stopping():
                    self._tally.summary.interrupted = True
                    hint = "the run was asked to stop meanwhile; it can be resumed"
                    break
                again()
                if not envelope["success"]:
                    return
        said = self._after.false(until.condition, {**scope, **answer(envelope)})
        attempts = f"{attempt + 1} attempt{'s' if attempt else ''}"
        fail_call(envelope, "until", f"after {attempts} {said}", hint)


def _check_digest(key: str, then: str, now: str) -> None:
    """Raises StepError where a call would now be another than the one that was sent."""
    if then and then != now:
        raise StepError(
            "changed",
            f"what {key} would send now is not what it sent in the earlier part of this run",
            "undo the change (of the playbook, its inputs or the files it reads), or start anew",
        )


# What an envelope says while its call is under way: neither an answer nor a failure.
_UNDER_WAY = Verdict(None, None, None)


def _after_a_loss(call: Call, verdict: Verdict, *, passing: bool) -> Verdict:
    """The verdict on a call that was sent before, with no answer seen.

    A delete that finds nothing left to delete has been done. And where trouble that may pass
    keeps this one from being done, nothing is known of the one before.
    """
    if verdict.status == 404 and call.operation.effect is Effect.DESTROYS:
        return Verdict(True, verdict.status, None)
    if verdict.success is False and passing and call.operation.effect is not Effect.READS:
        return verdict._replace(success=None)
    return verdict


def _note(envelope: dict[str, Json], verdict: Verdict) -> None:
    data = verdict.data
    envelope["status"] = verdict.status
    envelope["success"] = verdict.success
    envelope["data"] = data
    envelope["count"] = len(data) if isinstance(data, list) else None
    envelope["error"] = None if verdict.error is None else verdict.error.as_dict()
