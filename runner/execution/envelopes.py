"""Envelopes as they begin, and what stands in their place for steps that make no call."""

from __future__ import annotations

from typing import Any

from runner.execution.outside import StepError
from runner.execution.scope import At
from runner.planning import Call, Step

# What a step gives to those after it: an envelope, or what stands in its place.
Value = dict[str, Any]


def blank(step: Step, at: At, run: str, tracker: str, started: str) -> Value:
    """The envelope of a call of which nothing is known yet, as `envelope.schema.json` has it."""
    operation = step.work.operation if isinstance(step.work, Call) else None
    place = step.place
    envelope = {
        "run": run,
        "seq": 0,
        "step": at.label,
        "index": at.index,
        "key": at.key,
        "tracker": tracker,
        "source": f"{place.file}:{place.line}:{place.column}",
        "resource": operation.resource if operation else None,
        "operation": operation.name if operation else None,
        "request": None,
        "status": None,
        "success": None,
        "skipped": None,
        "data": None,
        "count": None,
        "error": None,
        "attempts": 0,
        "started_at": started,
        "duration_ms": 0,
    }
    if at.shown:
        envelope["item"] = at.shown
    return envelope


def fail(envelope: Value, error: StepError) -> None:
    """Note why a step could not go on."""
    envelope["success"] = False
    envelope["error"] = error.failure.as_dict()


def why(step: Step) -> str:
    """Why a step is skipped."""
    return f"when: {condition_of(step)} is false" if step.when else ""


def condition_of(step: Step) -> str:
    """What must hold for a step not to be skipped, on one line."""
    return " ".join(step.when.source.split()) if step.when else ""


def outcome(success: bool | None, skipped: str | None = None) -> Value:
    """What every step gives."""
    return {"success": success, "skipped": skipped}
