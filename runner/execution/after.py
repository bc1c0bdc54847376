"""What a call that succeeded still has to pass: what is expected of its answer, what is saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runner.errors import RunnerError
from runner.execution.outside import Outside, StepError
from runner.execution.scope import Scope, holds, render
from runner.model import Effect, Failure, Json
from runner.planning import Call, Condition, Save
from runner.templating import Templates


class After:
    """Holds answers against the conditions of one playbook's steps."""

    def __init__(self, templates: Templates) -> None:
        self._templates = templates

    def expect(self, call: Call, scope: Scope, envelope: dict[str, Json]) -> None:
        """Hold the answer against what the step expects."""
        if not call.expect:
            return
        try:
            said = self.all_false(call.expect, {**scope, **answer(envelope)})
        except StepError as error:
            fail_call(envelope, "expectation", error.failure.message, error.failure.hint)
            return
        if said:
            reads = call.operation.effect is Effect.READS
            hint = "" if reads else "the call itself succeeded: what it did is done"
            fail_call(envelope, "expectation", said, hint)

    def all_false(self, conditions: Sequence[Condition], scope: Mapping[str, Any]) -> str:
        """The conditions that are false, each in words. Raises StepError."""
        failed = [condition for condition in conditions if not holds(condition, scope)]
        return "; ".join(self.false(condition, scope) for condition in failed)

    def false(self, condition: Condition, scope: Mapping[str, Any]) -> str:
        """That a condition is false, with both of its sides."""
        sides = ""
        if condition.expression is not None:
            sides = self._templates.sides(condition.source, scope)
        line = condition.place.line
        return f"{condition.source} is false (line {line})" + (f": {sides}" if sides else "")


def save_value(outside: Outside, save: Save, scope: Mapping[str, Any], default: Json) -> None:
    """Write what a step saves. Raises StepError."""
    to = render(save.to, scope, "save")
    value = default if save.value is None else render(save.value, scope, "save")
    try:
        value = outside.past.reveal(value)
    except RunnerError as error:
        raise StepError("hidden", f"save: {error.message}", error.hint) from error
    try:
        if not isinstance(to, str):
            raise ValueError(f"{to!r:.80} is no file name")
        outside.save(to, save.form, value, save.columns)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise StepError(
            "save", f"cannot write {to}: {reason}", "the call itself succeeded"
        ) from error


def fail_call(envelope: dict[str, Json], kind: str, message: str, hint: str) -> None:
    """Note why a call that was answered failed all the same."""
    envelope["success"] = False
    envelope["error"] = Failure(kind, message, hint, status=envelope["status"]).as_dict()


def answer(envelope: Mapping[str, Json]) -> dict[str, Json]:
    """The names by which conditions speak of an answer."""
    return {"data": envelope["data"], "status": envelope["status"], "envelope": envelope}
