"""Run a plan: render, send, judge, step by step, as a stream of events; no sockets, no files."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from runner.answers import judge
from runner.errors import ExitCode
from runner.model import (
    Effect,
    Event,
    Failure,
    Finished,
    Json,
    Reach,
    Request,
    StepStarted,
    Summary,
    Verdict,
)
from runner.planning import Call, Condition, Plan, seconds
from runner.templating import TemplateError
from runner.wire import PathError, build_path

# How many changes the summary names; the report names them all.
MAX_NAMED = 200

_SENT_HEADERS = {"Api-Key": "***", "Accept": "application/json"}
_SENT_HEADERS_BODY = {**_SENT_HEADERS, "Content-Type": "application/json"}

# Failures that mean that the tracker cannot be used at all, and so exit code 4.
_UNUSABLE = frozenset(
    {"connection_refused", "name_not_found", "cannot_connect", "tls", "unauthorized",
     "payment_required", "cloudflare"}
)  # fmt: skip


class Clock(Protocol):
    """The time, handed in so that tests can hold it still."""

    def now(self) -> datetime:
        """The date and time, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, for measuring."""
        ...


Emit = Callable[[Event], None]
Find = Callable[[str | None], Reach]


class _StepError(Exception):
    """A step that cannot be sent: what kind of failure, and the words for it."""

    def __init__(self, kind: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.failure = Failure(kind, message, hint)


def run(plan: Plan, find: Find, emit: Emit, clock: Clock, run_id: str) -> Summary:
    """Run a plan against the trackers that `find` gives; each event goes to `emit` at once.

    Failures of steps are envelopes and counted in the summary; only bugs raise.
    """
    return _Run(plan, find, emit, clock, run_id).run()


class _Run:
    """One run: the scope that grows with each step, the line numbers, the counts."""

    def __init__(self, plan: Plan, find: Find, emit: Emit, clock: Clock, run_id: str) -> None:
        self._plan = plan
        self._find = find
        self._emit = emit
        self._clock = clock
        self._lock = threading.Lock()
        self._seq = 0
        self._summary = Summary(run_id)
        here = find(None)
        self._scope: dict[str, Any] = {
            "inputs": dict(plan.inputs.values),
            "run": {"id": run_id, "started_at": _stamp(clock.now())},
            "tracker": {"name": here.name, "url": here.url},
            "vars": {},
            "steps": {},
        }

    def run(self) -> Summary:
        """Run every step, or up to the first that fails and does not say to go on."""
        for name, renderer in self._plan.variables.items():
            self._scope["vars"][name] = renderer.render(self._scope)
        total = len(self._plan.steps)
        for number, step in enumerate(self._plan.steps, start=1):
            self._emit(StepStarted(step.key, step.title, number, total))
            envelope = self._call(step)
            if envelope["success"] is not True and step.on_error == "stop":
                self._summary.not_run = total - number
                break
        return self._closed()

    def _closed(self) -> Summary:
        summary = self._summary
        if summary.unknown:
            summary.exit_code = ExitCode.IN_DOUBT
        elif summary.failed:
            failure = (summary.first_failure or {}).get("error") or {}
            unusable = failure.get("type") in _UNUSABLE
            summary.exit_code = ExitCode.UNREACHABLE if unusable else ExitCode.FAILED
        return summary

    # -- one call -------------------------------------------------------------------------------

    def _call(self, step: Call) -> dict[str, Json]:
        began, started_at = self._clock.monotonic(), _stamp(self._clock.now())
        envelope = self._blank(step, started_at)
        try:
            if step.when is not None and not self._holds(step.when, self._scope):
                envelope["skipped"] = f"when: {step.when.source} is false"
                envelope["success"] = True
            else:
                self._perform(step, envelope)
        except _StepError as error:
            envelope["success"] = False
            envelope["error"] = error.failure.as_dict()
        envelope["duration_ms"] = round((self._clock.monotonic() - began) * 1000, 3)
        if step.kept and step.name:
            self._scope["steps"][step.name] = envelope
        self._finish(step, envelope)
        return envelope

    def _blank(self, step: Call, started_at: str) -> dict[str, Json]:
        place = step.place
        return {
            "run": self._summary.run,
            "seq": 0,
            "step": step.key,
            "index": None,
            "tracker": self._scope["tracker"]["name"],
            "source": f"{place.file}:{place.line}:{place.column}",
            "resource": step.operation.resource,
            "operation": step.operation.name,
            "request": None,
            "status": None,
            "success": None,
            "skipped": None,
            "data": None,
            "count": None,
            "error": None,
            "attempts": 0,
            "started_at": started_at,
            "duration_ms": 0,
        }

    def _perform(self, step: Call, envelope: dict[str, Json]) -> None:
        reach = self._reach(step)
        envelope["tracker"] = reach.name
        request = self._request(step, reach)
        envelope["request"] = {
            "url": request.url,
            "method": request.method,
            "headers": _SENT_HEADERS if request.body is None else _SENT_HEADERS_BODY,
            "body": request.body,
        }
        envelope["attempts"] = 1
        verdict = judge(step.operation, reach.send(request))
        self._note(envelope, verdict)
        if verdict.success:
            self._expect(step, envelope)

    def _note(self, envelope: dict[str, Json], verdict: Verdict) -> None:
        envelope["status"] = verdict.status
        envelope["success"] = verdict.success
        envelope["data"] = verdict.data
        envelope["count"] = len(verdict.data) if isinstance(verdict.data, list) else None
        if verdict.error is not None:
            envelope["error"] = verdict.error.as_dict()

    def _reach(self, step: Call) -> Reach:
        name = None if step.tracker is None else self._render(step.tracker, "tracker")
        return self._find(name)

    def _request(self, step: Call, reach: Reach) -> Request:
        entity = None if step.entity is None else self._render(step.entity, "id")
        params = self._render(step.params, "params")
        for name, value in params.items():
            shape = step.parameter_shapes.get(name)
            wrong = shape.mismatches(value) if shape and value is not None else []
            if wrong:
                raise _StepError("invalid_params", f"params.{name} {wrong[0].message}")
        try:
            path = build_path(step.operation, entity, params)
        except PathError as error:
            raise _StepError(
                "invalid_id",
                str(error),
                "the call was not sent; look at where the value comes from",
            ) from error
        timeout = None if step.timeout is None else self._seconds(step)
        return Request(step.operation.method, reach.api + path, self._body(step), timeout=timeout)

    def _seconds(self, step: Call) -> float:
        try:
            return seconds(self._render(step.timeout, "timeout"))
        except TemplateError as error:
            raise _StepError("template", error.message, error.hint) from error

    def _body(self, step: Call) -> Json:
        if step.body is None:
            return None
        body = self._render(step.body, "body")
        if step.shape is not None:
            wrong = step.shape.mismatches(body)
            if wrong:
                raise _StepError("invalid_body", _list_mismatches(wrong), "nothing was sent")
        return body if step.convert is None else step.convert(body)

    def _render(self, renderer: Any, what: str) -> Json:
        try:
            return renderer.render(self._scope)
        except TemplateError as error:
            raise _StepError("template", f"{what}: {error.message}", error.hint) from error

    def _holds(self, condition: Condition, scope: Mapping[str, Any]) -> bool:
        if condition.expression is None:
            return condition.constant
        try:
            value = condition.expression.evaluate(scope)
        except TemplateError as error:
            raise _StepError("template", error.message, error.hint) from error
        if not isinstance(value, bool):
            raise _StepError(
                "template",
                f"the condition {condition.source} gives {value!r:.80}, neither true nor false",
                "compare it with something, or ask for its length",
            )
        return value

    def _expect(self, step: Call, envelope: dict[str, Json]) -> None:
        if not step.expect:
            return
        scope = {
            **self._scope,
            "data": envelope["data"],
            "status": envelope["status"],
            "envelope": envelope,
        }
        failed = [c for c in step.expect if not self._holds(c, scope)]
        if not failed:
            return
        said = "; ".join(
            f"{c.source} is false{self._sides(c, scope)} (line {c.place.line})" for c in failed
        )
        envelope["success"] = False
        envelope["error"] = Failure(
            "expectation",
            said,
            "the call itself succeeded: what it did is done",
            status=envelope["status"],
        ).as_dict()

    def _sides(self, condition: Condition, scope: Mapping[str, Any]) -> str:
        if condition.expression is None:
            return ""
        sides = self._plan.templates.sides(condition.source, scope)
        return f": {sides}" if sides else ""

    # -- after a call ---------------------------------------------------------------------------

    def _finish(self, step: Call, envelope: dict[str, Json]) -> None:
        with self._lock:
            self._seq += 1
            envelope["seq"] = self._seq
            self._count(step, envelope)
            self._emit(Finished(step.key, envelope))

    def _count(self, step: Call, envelope: dict[str, Json]) -> None:
        summary = self._summary
        if envelope["skipped"] is not None:
            summary.skipped += 1
            return
        changes = step.operation.effect is not Effect.READS
        if envelope["success"] is None:
            summary.unknown += 1
            summary.doubtful.append(_describe(step, envelope))
        elif envelope["success"]:
            summary.succeeded += 1
        else:
            summary.failed += 1
        done = envelope["success"] or (envelope["error"] or {}).get("type") == "expectation"
        if changes and done:
            summary.changed += 1
            if len(summary.written) < MAX_NAMED:
                summary.written.append(_describe(step, envelope))
        if not envelope["success"] and summary.first_failure is None:
            summary.first_failure = envelope


def _describe(step: Call, envelope: Mapping[str, Json]) -> str:
    """A call in the summary: the step, what it asked for, and the id it was about or that came."""
    data = envelope["data"]
    entity = data.get("id") if isinstance(data, dict) else None
    shown = f"{step.key} ({step.operation})"
    if entity is None and step.operation.needs_id and envelope["request"]:
        entity = _entity_of(step, envelope["request"]["url"])
    return shown if entity is None else f"{shown} id {entity}"


def _entity_of(step: Call, url: str) -> str | None:
    """The id in a URL that was built from the operation's path."""
    before = step.operation.path.split("{id}", 1)[0]
    return url.rsplit(before, 1)[-1].split("/", 1)[0].split("?", 1)[0] or None


def _list_mismatches(wrong: list[Any]) -> str:
    parts = []
    for mismatch in wrong[:5]:
        where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in mismatch.trail)
        parts.append(f"body{where} {mismatch.message}")
    more = f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""
    return "; ".join(parts) + more


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
