"""A call step to the request that leaves: rendered, and checked once more before it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.errors import RunnerError
from runner.execution.outside import Outside, StepError
from runner.execution.scope import Scope, render, render_seconds
from runner.model import Json, Reach, Request
from runner.planning import Call
from runner.templating import Renderer
from runner.wire import PathError, build_path

_NOT_SENT = "nothing was sent; look at where the value comes from"


def find_tracker(call: Call, scope: Scope, outside: Outside, tracker: str | None) -> Reach:
    """The tracker that a call goes to. Raises StepError."""
    name = tracker if call.tracker is None else render(call.tracker, scope, "tracker")
    if name is not None and not isinstance(name, str):
        raise StepError("template", f"tracker: {name!r:.80} is no name of a tracker")
    return outside.find(name)


def build_request(call: Call, scope: Scope, outside: Outside, reach: Reach) -> Request:
    """The request of a call. Raises StepError where a value is not what it must be."""
    entity = None if call.entity is None else _render(call.entity, scope, outside, "id")
    params = _params(call, scope, outside)
    body = _body(call, scope, outside)
    timeout = None
    if call.timeout is not None:
        timeout = render_seconds(call.timeout, scope, "timeout")
    try:
        path = build_path(call.operation, entity, params)
    except PathError as error:
        raise StepError("invalid_id", str(error), _NOT_SENT) from error
    return Request(call.operation.method, reach.api + path, body, timeout=timeout)


def _params(call: Call, scope: Scope, outside: Outside) -> Mapping[str, Json]:
    params = _render(call.params, scope, outside, "params")
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


def _body(call: Call, scope: Scope, outside: Outside) -> Json:
    if call.body is None:
        return None
    body = _render(call.body, scope, outside, "body")
    wrong = call.needs.body.mismatches(body) if call.needs.body is not None else []
    if wrong:
        raise StepError("invalid_body", _list_mismatches(wrong), wrong[0].hint or _NOT_SENT)
    return body if call.needs.convert is None else call.needs.convert(body)


def _render(renderer: Renderer, scope: Scope, outside: Outside, what: str) -> Json:
    """A value that is sent: what a restored answer hid is put back first."""
    value = render(renderer, scope, what)
    try:
        return outside.past.reveal(value)
    except RunnerError as error:
        raise StepError("hidden", f"{what}: {error.message}", error.hint) from error


def _list_mismatches(wrong: list[Any]) -> str:
    parts = []
    for mismatch in wrong[:5]:
        where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in mismatch.trail)
        parts.append(f"body{where} {mismatch.message}")
    more = f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""
    return "; ".join(parts) + more
