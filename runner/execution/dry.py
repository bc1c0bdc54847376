"""What a dry run makes of calls: those that change something are held back, and shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from runner.execution.envelopes import Value
from runner.execution.outside import StepError
from runner.execution.scope import At, Scope, render
from runner.execution.tally import Tally
from runner.model import DRY_RUN, Json, Request
from runner.planning import Call, Loop
from runner.templating import Renderer, TemplateError, Unknown, UnknownError, told
from runner.wire import PathError, build_path

# Where a scope keeps why what is held back may not be made in the end, or be made several times.
_NOTES = "_notes"
_NOT_SENT = "nothing was sent; look at where the value comes from"


def first_unknown(value: Any) -> str:
    """How the first part of a value is written that is not known; empty where all is."""
    if isinstance(value, Unknown):
        return value.source
    if not isinstance(value, Mapping | list):
        return ""
    parts = value.values() if isinstance(value, Mapping) else value
    return next((found for part in parts if (found := first_unknown(part))), "")


class Dry:
    """How values and calls are computed: as in any run, or in a dry one as far as they are known.

    What is read after the first call that was held back may lack what that would have made: an
    expression that cannot be evaluated then is taken to be not known.
    """

    def __init__(self, tally: Tally, *, on: bool) -> None:
        self._tally = tally
        self.on = on

    def value(self, renderer: Renderer, scope: Scope, what: str) -> Json:
        """A value, with an `Unknown` for each part that is not known. Raises StepError."""
        if not self.on:
            return render(renderer, scope, what)
        held = self._tally.summary.held > 0
        try:
            return renderer.sketch(
                scope, (UnknownError, TemplateError) if held else (UnknownError,)
            )
        except TemplateError as error:
            raise StepError("template", f"{what}: {error.message}", error.hint) from error

    def is_failure(self, error: StepError | UnknownError) -> TypeGuard[StepError]:
        """Whether it is a failure, and not something that is not known."""
        if not isinstance(error, StepError):
            return False
        held = self._tally.summary.held > 0
        return not (self.on and held and error.failure.type == "template")

    def for_all(self, loop: Loop, scope: Scope) -> Scope:
        """The scope in which one iteration stands for all those over items that are not known."""
        items = first_unknown(self.value(loop.items, scope, "for_each"))
        inner = noted(scope, f"for each of {items}")
        return inner | {key: Unknown(f"${{{{ {key} }}}}") for key in (loop.name, "index")}

    def request(self, call: Call, scope: Scope, api: str) -> tuple[Request, str]:
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
                {
                    name: stands.take(value, before="/" if name in raw else "")
                    for name, value in fields.items()
                },
            )
        except PathError as error:
            raise StepError("invalid_id", str(error), _NOT_SENT) from error
        request = Request(call.operation.method, api + stands.undone(path), told(body))
        return request, first_unknown([entity, params, body])


class _StandIns:
    """What a path can hold in place of what is not known."""

    def __init__(self) -> None:
        self._sources: list[str] = []

    def take(self, value: Json, before: str = "") -> Json:
        """The value, or what stands for it: where it must begin with something, after that."""
        source = first_unknown(value)
        if not source:
            return value
        self._sources.append(source)
        return f"{before}unknown-{len(self._sources)}-"

    def undone(self, path: str) -> str:
        """The path with what is not known as it is written."""
        for number, source in enumerate(self._sources, 1):
            path = path.replace(f"unknown-{number}-", source)
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
    """What a call that is held back gives to the steps after it: that it succeeded, no more."""
    unknown = {
        name: Unknown(f"${{{{ steps.{at.label}.{name} }}}}") for name in ("data", "status", "count")
    }
    return {**envelope, **unknown, "skipped": None}
