"""A call step to the request that leaves: rendered, and checked once more before it is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from runner.errors import RunnerError
from runner.execution.outside import Outside, StepError
from runner.execution.scope import Scope, render, render_seconds
from runner.model import Effect, Json, Reach, Request
from runner.planning import Call
from runner.templating import Renderer
from runner.wire import PathError, build_path

Restore = Callable[[Json], Json]

_SENT = {"Api-Key": "***", "Accept": "application/json"}
_SENT_WITH_BODY = {**_SENT, "Content-Type": "application/json"}
_NOT_SENT = "nothing was sent; look at where the value comes from"


def find_tracker(
    own: Renderer | None, scope: Scope, outside: Outside, outer: str | None
) -> tuple[str | None, Reach]:
    """The tracker that a step names as its own, else that of what is around it, and its name.

    Raises StepError.
    """
    name = outer if own is None else render(own, scope, "tracker")
    if name is not None and not isinstance(name, str):
        raise StepError("template", f"tracker: {name!r:.80} is no name of a tracker")
    try:
        return name, outside.find(name)
    except RunnerError as error:
        raise StepError("tracker", error.message, error.hint) from error


def build_request(call: Call, scope: Scope, restore: Restore, reach: Reach) -> Request:
    """The request of a call. Raises StepError where a value is not what it must be.

    `restore` says what becomes of parts that a restored answer hid.
    """
    entity = None if call.entity is None else _render(call.entity, scope, restore, "id")
    params = _params(call, scope, restore)
    body = _body(call, scope, restore)
    timeout = None
    if call.timeout is not None:
        timeout = render_seconds(call.timeout, scope, "timeout")
    try:
        path = build_path(call.operation, entity, params)
    except PathError as error:
        raise StepError("invalid_id", str(error), _NOT_SENT) from error
    changes = call.operation.effect is not Effect.READS
    return Request(call.operation.method, reach.api + path, body, timeout=timeout, changes=changes)


def _params(call: Call, scope: Scope, restore: Restore) -> Mapping[str, Json]:
    params = _render(call.params, scope, restore, "params")
    if not isinstance(params, dict):
        raise StepError("invalid_params", "params is no mapping", _NOT_SENT)
    for name, value in params.items():
        shape = call.needs.params.get(name)
        if shape is None and not call.operation.open_query:
            raise StepError("invalid_params", f"{call.operation} has no parameter '{name}'")
        wrong = shape.mismatches(value) if shape is not None else []
        if wrong:
            raise StepError("invalid_params", f"params.{name} {wrong[0].message}", _NOT_SENT)
    for parameter in call.operation.parameters.values():
        if parameter.required and params.get(parameter.name) is None:
            raise StepError(
                "invalid_params", f"{call.operation} needs params.{parameter.name}", _NOT_SENT
            )
    return params


def _body(call: Call, scope: Scope, restore: Restore) -> Json:
    if call.body is None:
        return None
    body = _render(call.body, scope, restore, "body")
    wrong = call.needs.body.mismatches(body) if call.needs.body is not None else []
    if wrong:
        raise StepError("invalid_body", list_mismatches(wrong), wrong[0].hint or _NOT_SENT)
    _check_bound(call, body)
    return body if call.needs.convert is None else call.needs.convert(body)


def _check_bound(call: Call, body: Json) -> None:
    """A call that its body keeps within bounds: these must have come to something.

    Who agreed to it saw that the field is there, and not what it would be.
    """
    limit = call.operation.unbounded
    field = limit.get("unless_body") if limit else None
    if limit and field in call.body_fields and not body.get(field):
        raise StepError(
            "invalid_body",
            f"body.{field} is {body.get(field)!r}: {call.operation} then {limit['says']}",
            _NOT_SENT,
        )


def _render(renderer: Renderer, scope: Scope, restore: Restore, what: str) -> Json:
    """A value that is sent: what a restored answer hid is put back first."""
    value = render(renderer, scope, what)
    try:
        return restore(value)
    except RunnerError as error:
        raise StepError("hidden", f"{what}: {error.message}", error.hint) from error


def list_mismatches(wrong: list[Any]) -> str:
    """What of a body does not fit, the first few in words."""
    parts = []
    for mismatch in wrong[:5]:
        where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in mismatch.trail)
        parts.append(f"body{where} {mismatch.message}")
    more = f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""
    return "; ".join(parts) + more


def shown(request: Request) -> dict[str, Json]:
    """The request as envelopes have it."""
    return {
        "url": request.url,
        "method": request.method,
        "headers": _SENT if request.body is None else _SENT_WITH_BODY,
        "body": request.body,
    }
