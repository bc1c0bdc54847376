"""What a dry run makes of calls: those that change something are held back, and shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeGuard

from runner.answers import judge
from runner.catalogue import Operation
from runner.execution.envelopes import Value
from runner.execution.loops import checked_items, workers_of
from runner.execution.outside import Outside, StepError
from runner.execution.requests import build_request, find_tracker, list_mismatches, shown
from runner.execution.scope import At, Scope, holds, render, render_items
from runner.execution.tally import Tally
from runner.model import DRY_RUN, Effect, Json, Reach, Request
from runner.planning import Call, Condition, Loop
from runner.templating import (
    Lenience,
    Renderer,
    TemplateError,
    Unknown,
    UnknownError,
    first_unknown,
    told,
)
from runner.wire import PathError, build_path

# Where a scope keeps why what is held back may not be made in the end, or be made several times.
_NOTES = "_notes"
_NOT_SENT = "nothing was sent; look at where the value comes from"


class Dry:
    """How values and calls are computed: as in any run, or in a dry one as far as they are known.

    What is read after the first call that was held back may lack what that would have made, and a
    file what would have been saved: an expression on such things that cannot be evaluated then is
    taken to be not known.
    """

    def __init__(self, outside: Outside, tally: Tally) -> None:
        self._outside = outside
        self._tally = tally
        self.on = outside.dry

    @property
    def _lenience(self) -> Lenience:
        summary = self._tally.summary
        return Lenience(self.on and summary.held > 0, self.on and summary.unsaved)

    def value(self, renderer: Renderer, scope: Scope, what: str) -> Json:
        """A value, with an `Unknown` for each part that is not known. Raises StepError."""
        if not self.on:
            return render(renderer, scope, what)
        try:
            return renderer.sketch(scope, self._lenience)
        except TemplateError as error:
            raise StepError("template", f"{what}: {error.message}", error.hint) from None

    def items(self, loop: Loop, scope: Scope) -> Sequence[Json] | Unknown:
        """The items of a loop, of which some may be `Unknown`. Raises StepError."""
        if not self.on:
            return checked_items(render_items(loop.items, scope, "for_each"))
        items = self.value(loop.items, scope, "for_each")
        return items if isinstance(items, Unknown) else checked_items(items)

    def workers(self, loop: Loop, scope: Scope) -> int:
        """How many items at a time; nothing overlaps in a dry run. Raises StepError."""
        return 1 if self.on else workers_of(loop, scope)

    def holds(self, condition: Condition, scope: Scope) -> bool | None:
        """Whether a condition holds, `None` where that is not known. Raises StepError."""
        try:
            return holds(condition, scope)
        except UnknownError:
            return None
        except StepError as error:
            if condition.expression is None or not self._lenience.excuses(condition.expression):
                raise
            if not isinstance(error.__cause__, TemplateError):
                raise
            return None

    def is_failure(self, error: StepError | UnknownError) -> TypeGuard[StepError]:
        """Whether it is a failure, and not something that is not known."""
        if not isinstance(error, StepError):
            return False
        return not (any(self._lenience) and isinstance(error.__cause__, TemplateError))

    def for_all(self, loop: Loop, scope: Scope, items: Unknown) -> Scope:
        """The scope in which one iteration stands for all those over items that are not known."""
        inner = noted(scope, f"for each of {items.source}")
        return inner | {key: Unknown(f"${{{{ {key} }}}}") for key in (loop.name, "index")}

    def holds_back(
        self, call: Call, scope: Scope, envelope: dict[str, Json], tracker: str | None
    ) -> bool:
        """Whether a call is not made; its envelope tells then what it would send.

        Raises StepError, and UnknownError where it is not known to which tracker it would go.
        """
        if not self.on:
            return False
        _, reach = find_tracker(call.tracker, scope, self._outside, tracker)
        envelope["tracker"] = reach.name
        request, needs = self._request(call, scope, reach.api)
        if not needs:
            try:
                request = build_request(call, scope, self._outside.past.reveal, reach)
            except UnknownError as error:  # of its timeout
                needs = error.source
            if not (needs or request.changes):
                return False
        effect = call.operation.effect
        if effect is Effect.DESTROYS:
            self._tally.take_destroy(self._outside.most_destroyed)
        why = why_held(scope, needs if effect is Effect.READS else "")
        envelope.update(request=shown(request), success=True, skipped=why)
        if not needs and call.needs.shown_by is not None:
            envelope["now"] = self._now(call.needs.shown_by, request, reach)
        return True

    def _now(self, reads: Operation, request: Request, reach: Reach) -> Json:
        """What the fields that a call would change hold now; null where that cannot be read."""
        self._outside.pacer.wait(self._outside.stopping)
        verdict = judge(reads, reach.send(Request(reads.method, request.url, changes=False)))
        if not (isinstance(verdict.data, Mapping) and isinstance(request.body, Mapping)):
            return None
        return {name: verdict.data[name] for name in request.body if name in verdict.data}

    def _request(self, call: Call, scope: Scope, api: str) -> tuple[Request, str]:
        """A request as far as it is known, and how the first part is written that is not.

        `api` is the address of the tracker's API. Raises StepError.
        """
        entity = None if call.entity is None else self.value(call.entity, scope, "id")
        params = self.value(call.params, scope, "params")
        body = None if call.body is None else self.value(call.body, scope, "body")
        stands = _StandIns()
        fields = params if isinstance(params, Mapping) else {}
        try:
            path = build_path(
                call.operation,
                stands.take(entity),
                {name: stands.take_all(value) for name, value in fields.items()},
            )
        except PathError as error:
            raise StepError("invalid_id", str(error), _NOT_SENT) from error
        needs = first_unknown([entity, params, body])
        sent = told(body)
        if needs and call.needs.body is not None and call.body is not None:
            wrong = [
                mismatch
                for mismatch in call.needs.body.mismatches(sent)
                if not _leads_to_unknown(body, mismatch.trail)
            ]
            if wrong:
                raise StepError("invalid_body", list_mismatches(wrong), wrong[0].hint or _NOT_SENT)
        if call.needs.convert is not None and call.body is not None:
            sent = call.needs.convert(sent)
        return Request(call.operation.method, api + stands.undone(path), sent), needs


def _leads_to_unknown(value: Json, trail: Iterable[str | int]) -> bool:
    """Whether what stands there is not known, or a part of what is not."""
    for part in trail:
        if isinstance(value, Unknown):
            return True
        try:
            value = value[part]
        except (LookupError, TypeError):
            return False
    return isinstance(value, Unknown)


class _StandIns:
    """What a path can hold in place of what is not known."""

    def __init__(self) -> None:
        self._sources: list[str] = []

    def take(self, value: Json) -> Json:
        """The value, or what stands for it."""
        source = first_unknown(value)
        if not source:
            return value
        self._sources.append(source)
        return f"{'/' if source.startswith('/') else ''}unknown-{len(self._sources)}-"

    def take_all(self, value: Json) -> Json:
        """The value, or each of its items, or what stands for it."""
        return [self.take(part) for part in value] if isinstance(value, list) else self.take(value)

    def undone(self, path: str) -> str:
        """The path with what is not known as it is written."""
        for number, source in enumerate(self._sources, 1):
            path = path.replace(f"unknown-{number}-", source.removeprefix("/"))
        return path


def noted(scope: Scope, note: str) -> Scope:
    """The scope, in which what is held back is said to depend on something."""
    return {**scope, _NOTES: (*scope.get(_NOTES, ()), note)}


def why_held(scope: Scope, needs: str = "") -> str:
    """Why a call is not made: the `skipped` of its envelope."""
    notes = [*scope.get(_NOTES, ()), *([f"needs {needs}"] if needs else [])]
    return "; ".join([DRY_RUN, *notes])


def inherited(scope: Scope) -> Scope:
    """What the scope of an included playbook has from the one around it."""
    return {_NOTES: scope[_NOTES]} if _NOTES in scope else {}


def value_of_held(envelope: Value, at: At) -> Value:
    """What a step that is held back gives to those after it: that it succeeded, no more."""
    unknown = {
        name: Unknown(f"${{{{ steps.{at.label}.{name} }}}}")
        for name in ("data", "status", "count", "request", "attempts", "outputs", "results")
    }
    return {**envelope, **unknown, "skipped": None}
