"""What a dry run makes of calls: those that change something are held back, and shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import TypeGuard

from runner.answers import judge
from runner.asking import ask
from runner.catalogue import Operation
from runner.execution.envelopes import Value, condition_of
from runner.execution.loops import checked_items, workers_of
from runner.execution.outside import Outside, StepError
from runner.execution.requests import build_request, find_tracker, list_mismatches, shown
from runner.execution.scope import At, Scope, holds, no_value, render, render_items
from runner.execution.tally import Tally
from runner.model import DRY_RUN, Effect, Json, Reach, Request
from runner.planning import Call, Condition, Loop, Step
from runner.templating import (
    Lenience,
    Renderer,
    TemplateError,
    Unknown,
    UnknownError,
    first_unknown,
    roots_of,
    told,
)
from runner.templating.expressions import GIVEN
from runner.wire import PathError, build_path

# Where a scope keeps why what is held back may not be made in the end, or be made several times.
_NOTES = "_notes"
_EXPRESSION = re.compile(r"\$\{\{.*?\}\}", re.DOTALL)
_NOT_SENT = "nothing was sent; look at where the value comes from"


class Dry:
    """How values and calls are computed: as in any run, or in a dry one as far as they are known.

    What is read after the first call that was held back may lack what that would have made, and a
    file what would have been saved: an expression on such things that cannot be evaluated then is
    taken to be not known.
    """

    def __init__(self, outside: Outside, tally: Tally, *, included: bool = False) -> None:
        self._outside = outside
        self._tally = tally
        self._included = included
        self.on = outside.dry

    @property
    def _lenience(self) -> Lenience:
        summary = self._tally.summary
        return Lenience(self.on and summary.held > 0, summary.unsaved, self._included)

    def value(self, renderer: Renderer, scope: Scope, what: str) -> Json:
        """A value, with an `Unknown` for each part that is not known. Raises StepError."""
        if not self.on:
            return render(renderer, scope, what)
        try:
            return renderer.sketch(scope, self._lenience)
        except TemplateError as error:
            raise no_value(what, error) from None

    def items(self, loop: Loop, scope: Scope) -> Sequence[Json] | Unknown:
        """The items of a loop, of which some may be `Unknown`. Raises StepError."""
        if not self.on:
            return checked_items(render_items(loop.items, scope, "for_each"))
        items = self.value(loop.items, scope, "for_each")
        return items if isinstance(items, Unknown) else checked_items(items)

    def given(self, loop: Loop, scope: Scope) -> Scope:
        """What the items of a loop know of themselves, where no answer had a part in them."""
        known = GIVEN | scope.get("_given", frozenset())
        roots = roots_of(loop.items)
        if not self.on or roots is None or not roots <= known:
            return {}
        return {"_given": known | {loop.name, "index"}}

    def workers(self, loop: Loop, scope: Scope) -> int:
        """How many items at a time; nothing overlaps in a dry run. Raises StepError."""
        return 1 if self.on else workers_of(loop, scope)

    def holds(self, condition: Condition, scope: Scope) -> bool | None:
        """Whether a condition holds, `None` where that is not known. Raises StepError."""
        expression = condition.expression
        if expression is not None and self._lenience.hides(expression):
            return None
        try:
            return holds(condition, scope)
        except UnknownError:
            return None
        except StepError as error:
            if expression is None or not self._lenience.excuses(expression, scope):
                raise
            if not isinstance(error.__cause__, TemplateError):
                raise
            return None

    def admitted(self, step: Step, scope: Scope) -> Scope | None:
        """The scope that a step goes on in, `None` where its condition has it skipped.

        Another scope than the one given, with a note, where that is not known. Raises StepError.
        """
        answer = step.when is None or self.holds(step.when, scope)
        if answer is None:
            return noted(scope, f"if {condition_of(step)}")
        return scope if answer else None

    def is_failure(self, error: StepError | UnknownError) -> TypeGuard[StepError]:
        """Whether it is a failure, and not something that is not known."""
        if not isinstance(error, StepError):
            return False
        return not (self._lenience.answers and isinstance(error.__cause__, TemplateError))

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
        try:
            _, reach = find_tracker(call.tracker, scope, self._outside, tracker)
        except StepError as error:
            if self.is_failure(error):
                raise
            raise UnknownError("the name of its tracker") from error
        envelope["tracker"] = reach.name
        request, needs = self._request(call, scope, reach.api)
        if not needs:
            try:
                request = build_request(call, scope, self._outside.past.reveal, reach)
            except (StepError, UnknownError) as error:
                if self.is_failure(error):
                    raise
                needs = "its timeout"
            if not (needs or request.changes):
                return False
        effect = call.operation.effect
        if effect is Effect.DESTROYS:
            self._tally.take_destroy(self._outside.most_destroyed)
        why = why_held(scope, needs if effect is Effect.READS else "")
        envelope.update(request=shown(request), success=True, skipped=why)
        if not needs and call.needs.shown_by is not None:
            now = self._now(call.needs.shown_by, request, reach)
            envelope["now"] = _writable(now, call.operation.body or {}, request.body)
        return True

    def _now(self, reads: Operation, request: Request, reach: Reach) -> Json:
        """What the fields that a call would change hold now; null where that cannot be read."""
        self._outside.pacer.wait(self._outside.stopping)
        asked = Request(reads.method, request.url, changes=False)
        verdict = judge(reads, ask(reads, reach, asked, sleep=self._outside.clock.sleep))
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
        raw = {p.name for p in call.operation.parameters.values() if p.where == "raw"}
        try:
            path = build_path(
                call.operation,
                stands.take(entity),
                {name: stands.take_all(value, raw=name in raw) for name, value in fields.items()},
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


def _writable(value: Json, schema: Mapping[str, Json], body: Json) -> Json:
    """The value without what is the tracker's own, which it gives and does not take.

    What is sent back all the same, as the body has it, stays.
    """
    if isinstance(value, list):
        items, will = schema.get("items") or {}, body if isinstance(body, list) else []
        pairs = zip_longest(value, will[: len(value)])
        return [_writable(part, items, other) for part, other in pairs]
    if not isinstance(value, dict):
        return value
    known, sent = schema.get("properties") or {}, body if isinstance(body, dict) else {}
    closed = schema.get("additionalProperties") is False
    return {
        key: _writable(part, known.get(key, {}), sent.get(key))
        for key, part in value.items()
        if key in sent
        or (not known.get(key, {}).get("x-returned") and (key in known or not closed))
    }


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
        self._sources: list[tuple[str, str]] = []

    def take(self, value: Json, *, raw: bool = False) -> Json:
        """The value, or what stands for it; `raw` where it is a whole path."""
        if not isinstance(value, Unknown):
            return value
        stand_in = f"{'/' if raw else ''}unknown-{len(self._sources)}-"
        self._sources.append((stand_in, value.source))
        return stand_in

    def take_all(self, value: Json, *, raw: bool = False) -> Json:
        """The value, or each of its items, or what stands for it."""
        if isinstance(value, list):
            return [self.take(part) for part in value]
        return self.take(value, raw=raw)

    def undone(self, path: str) -> str:
        """The path with what is not known as it is written."""
        for stand_in, source in self._sources:
            path = path.replace(stand_in, source)
        return path


def noted(scope: Scope, note: str) -> Scope:
    """The scope, in which what is held back is said to depend on something."""
    return {**scope, _NOTES: (*scope.get(_NOTES, ()), note)}


def why_held(scope: Scope, needs: str = "") -> str:
    """Why a call is not made: the `skipped` of its envelope."""
    # Of a text no more than the expression in it: the rest may be a part of a secret.
    found = _EXPRESSION.search(needs)
    asked = [f"needs {found[0] if found else needs}"] if needs else []
    return "; ".join([DRY_RUN, *scope.get(_NOTES, ()), *asked])


def inherited(scope: Scope) -> Scope:
    """What the scope of an included playbook has from the one around it."""
    return {_NOTES: scope[_NOTES]} if _NOTES in scope else {}


def value_of_held(envelope: Value, at: At) -> Value:
    """What a step that is held back gives to those after it: that it succeeded, no more."""
    names = (*envelope, "outputs", "results")
    unknown = {name: Unknown(f"${{{{ steps.{at.label}.{name} }}}}") for name in names}
    return {**unknown, "success": True, "skipped": None}


def value_of_doubtful(value: Value, at: At) -> Value:
    """What a step gives that may be skipped: what it would give, and whether it does, is open."""
    if value["success"] is not True:
        return value
    names = [name for name in value if name != "success"]
    unknown = {name: Unknown(f"${{{{ steps.{at.label}.{name} }}}}") for name in names}
    return {**unknown, "success": True}
