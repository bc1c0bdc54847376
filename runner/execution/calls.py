"""One call: rendered, checked once more, sent, tried again where that is safe, judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from runner.answers import judge
from runner.execution.outside import Outside, StepError
from runner.execution.scope import Scope, holds, render, render_seconds
from runner.model import Failure, Json, Reach, Request, Retrying, Verdict
from runner.planning import Call, Condition, Save
from runner.retries import delay, is_worth_repeating
from runner.templating import Templates
from runner.wire import PathError, build_path

_SENT = {"Api-Key": "***", "Accept": "application/json"}
_SENT_WITH_BODY = {**_SENT, "Content-Type": "application/json"}

_NOT_SENT = "nothing was sent; look at where the value comes from"


class Caller:
    """Makes the calls of one run."""

    def __init__(self, outside: Outside, templates: Templates) -> None:
        self._outside = outside
        self._templates = templates

    def fill(
        self, call: Call, key: str, scope: Scope, envelope: dict[str, Json], tracker: str | None
    ) -> None:
        """Make the call and fill in its envelope. Raises StepError where it cannot be sent."""
        reach = self._reach(call, scope, tracker)
        envelope["tracker"] = reach.name
        request = self._request(call, scope, reach)
        envelope["request"] = {
            "url": request.url,
            "method": request.method,
            "headers": _SENT if request.body is None else _SENT_WITH_BODY,
            "body": request.body,
        }
        again = self._send(call, key, reach, request, envelope)
        if call.until is not None and envelope["success"]:
            self._until(call, scope, envelope, again)
        if envelope["success"]:
            self._expect(call, scope, envelope)
        if envelope["success"] and call.save is not None:
            save_value(self._outside, call.save, {**scope, **_answer(envelope)}, envelope["data"])

    def _reach(self, call: Call, scope: Scope, tracker: str | None) -> Reach:
        name = tracker if call.tracker is None else render(call.tracker, scope, "tracker")
        if name is not None and not isinstance(name, str):
            raise StepError("template", f"tracker: {name!r:.80} is no name of a tracker")
        return self._outside.find(name)

    # -- the request ----------------------------------------------------------------------------

    def _request(self, call: Call, scope: Scope, reach: Reach) -> Request:
        entity = None if call.entity is None else render(call.entity, scope, "id")
        params = self._params(call, scope)
        body = self._body(call, scope)
        timeout = None
        if call.timeout is not None:
            timeout = render_seconds(call.timeout, scope, "timeout")
        try:
            path = build_path(call.operation, entity, params)
        except PathError as error:
            raise StepError("invalid_id", str(error), _NOT_SENT) from error
        return Request(call.operation.method, reach.api + path, body, timeout=timeout)

    def _params(self, call: Call, scope: Scope) -> Mapping[str, Json]:
        params = render(call.params, scope, "params")
        if not isinstance(params, dict):
            raise StepError("invalid_params", "params is no mapping", _NOT_SENT)
        for name, value in params.items():
            shape = call.parameter_shapes.get(name)
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

    def _body(self, call: Call, scope: Scope) -> Json:
        if call.body is None:
            return None
        body = render(call.body, scope, "body")
        wrong = call.shape.mismatches(body) if call.shape is not None else []
        if wrong:
            raise StepError("invalid_body", _list_mismatches(wrong), wrong[0].hint or _NOT_SENT)
        return body if call.convert is None else call.convert(body)

    # -- sending --------------------------------------------------------------------------------

    def _send(
        self, call: Call, key: str, reach: Reach, request: Request, envelope: dict[str, Json]
    ) -> Callable[[], None]:
        """Send until it is answered or trying again is no use; gives what sends once more."""

        def send() -> None:
            tries = 0
            while True:
                tries += 1
                envelope["attempts"] += 1
                self._outside.pacer.wait()
                outcome = reach.send(request)
                verdict = judge(call.operation, outcome)
                wait = None
                if tries <= call.retries and is_worth_repeating(call.operation, outcome):
                    wait = delay(outcome, tries, self._outside.clock.now(), self._outside.draw)
                if wait is None:
                    _note(envelope, verdict)
                    return
                reason = verdict.error.message if verdict.error else ""
                self._outside.emit(Retrying(key, tries, wait, reason))
                self._outside.pacer.pause(wait)

        send()
        return send

    def _until(
        self, call: Call, scope: Scope, envelope: dict[str, Json], again: Callable[[], None]
    ) -> None:
        until = call.until
        if until is None:
            return
        every = render_seconds(until.every, scope, "every")
        for attempt in range(until.attempts):
            if holds(until.condition, {**scope, **_answer(envelope)}):
                return
            if attempt < until.attempts - 1:
                self._outside.clock.sleep(every)
                again()
                if not envelope["success"]:
                    return
        said = self._false(until.condition, {**scope, **_answer(envelope)})
        _fail(
            envelope,
            "until",
            f"after {until.attempts} attempts {said}",
            "raise attempts or every, or look at what holds it up",
        )

    def _expect(self, call: Call, scope: Scope, envelope: dict[str, Json]) -> None:
        if not call.expect:
            return
        mine = {**scope, **_answer(envelope)}
        try:
            failed = [condition for condition in call.expect if not holds(condition, mine)]
        except StepError as error:
            _fail(envelope, "expectation", error.failure.message, error.failure.hint)
            return
        if failed:
            said = "; ".join(self._false(condition, mine) for condition in failed)
            _fail(envelope, "expectation", said, "the call itself succeeded: what it did is done")

    def _false(self, condition: Condition, scope: Mapping[str, Any]) -> str:
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
        if not isinstance(to, str):
            raise ValueError(f"{to!r:.80} is no file name")
        outside.save(to, save.form, value, save.columns)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise StepError(
            "save", f"cannot write {to}: {reason}", "the call itself succeeded"
        ) from error


def _note(envelope: dict[str, Json], verdict: Verdict) -> None:
    data = verdict.data
    envelope["status"] = verdict.status
    envelope["success"] = verdict.success
    envelope["data"] = data
    envelope["count"] = len(data) if isinstance(data, list) else None
    envelope["error"] = None if verdict.error is None else verdict.error.as_dict()


def _fail(envelope: dict[str, Json], kind: str, message: str, hint: str) -> None:
    envelope["success"] = False
    envelope["error"] = Failure(kind, message, hint, status=envelope["status"]).as_dict()


def _answer(envelope: Mapping[str, Json]) -> dict[str, Json]:
    return {"data": envelope["data"], "status": envelope["status"], "envelope": envelope}


def _list_mismatches(wrong: list[Any]) -> str:
    parts = []
    for mismatch in wrong[:5]:
        where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in mismatch.trail)
        parts.append(f"body{where} {mismatch.message}")
    more = f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""
    return "; ".join(parts) + more
