"""From a request to its answer: keys, rights, routes, and the record of what arrived."""

from __future__ import annotations

import json
import traceback
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from runner.emulator import delivery
from runner.emulator.access import Rights
from runner.emulator.answers import ErrorAnswer, RefusedError, Reply, json_reply
from runner.emulator.faults import FaultBook, Strike
from runner.emulator.pages import admin_page
from runner.emulator.routes import ROUTES
from runner.emulator.routing import Call, Route
from runner.emulator.state import State
from runner.emulator.wire import Request

_NOT_JSON = object()


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it arrived, and what became of it.

    `number` counts from 1 in the order of effects.  `path` is without the query, `query` its
    parameters (the last of several wins), `headers` have names in lower case.  `body` is the parsed
    JSON, raw bytes where it is none, None where there was none.  `at` is the emulator's clock.
    `status` is the one sent, None where the connection was reset or left silent.  `effect` tells
    whether the state changed.
    """

    number: int
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    at: datetime
    status: int | None
    effect: bool


class Service:
    """Answers requests one at a time, under the state's lock, and remembers them."""

    def __init__(self, state: State, faults: FaultBook, key: str, history: int) -> None:
        self.state = state
        self.keys: dict[str, Rights] = {key: Rights()}
        self.api_available = True
        self._faults = faults
        self._received: deque[Received] = deque(maxlen=history)
        self._count = 0

    def received(self) -> list[Received]:
        """Return what arrived so far, in the order of effects."""
        with self.state.lock:
            return list(self._received)

    def handle(self, request: Request) -> tuple[Reply | None, Strike]:
        """Carry a request out; return the answer to write (None for none) and what befalls it.

        The record is made before the answer leaves, so whoever has the answer finds the record.
        """
        target = urlsplit(request.target)
        query = dict(parse_qsl(target.query, keep_blank_values=True))
        body = _parsed(request.body)
        with self.state.lock:
            strike = self._faults.strike(request.method, target.path)
            version = self.state.version
            reply: Reply | None = None
            if strike.fault is None or strike.fault.takes_effect:
                reply = self._answer(request, target.path, query, body)
            if strike.fault is not None:
                reply = delivery.replaced(strike.fault, reply)
            self._count += 1
            self._received.append(
                Received(
                    number=self._count,
                    method=request.method,
                    path=unquote(target.path),
                    query=query,
                    headers=request.headers,
                    body=request.body if body is _NOT_JSON else body,
                    at=self.state.clock(),
                    status=None if reply is None else reply.status,
                    effect=self.state.version != version,
                )
            )
        return reply, strike

    def _answer(self, request: Request, path: str, query: Mapping[str, str], body: Any) -> Reply:
        found = ROUTES.find(request.method, path)
        if found is None:
            return admin_page()
        route, key = found
        try:
            rights = self._rights(request.headers)
            call = Call(self.state, rights, query, _object(request, body), key)
            return self._perform(route, call)
        except RefusedError as refusal:
            return refusal.reply(self.state.dialect)
        except Exception as bug:  # noqa: BLE001 - the boundary: a bug must not end the connection
            trace = "".join(traceback.format_exception(bug))
            return json_reply({"error": f"Bug in the emulator: {bug!r}", "stacktrace": trace}, 500)

    def _perform(self, route: Route, call: Call) -> Reply:
        if route.listing and not call.rights.reaches(route.resource):
            # A limited user's lists shrink without a word, seen live.
            return json_reply([])
        call.rights.require(route.resource, writes=route.writes)
        result = route.handler(call)
        return result if isinstance(result, Reply) else json_reply(result, route.status)

    def _rights(self, headers: Mapping[str, str]) -> Rights:
        """Return what the request's key may do; raises ErrorAnswer 402 or 401."""
        if not self.api_available:
            raise ErrorAnswer(402, "Admin API is not available in that edition")
        key = headers.get("api-key", "")
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if not key and scheme.lower() == "bearer":
            key = token.strip()
        if key not in self.keys:
            raise ErrorAnswer(401, "Access denied")
        return self.keys[key]


def _parsed(body: bytes) -> Any:
    if not body:
        return None
    try:
        return json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return _NOT_JSON


def _no_constant(name: str) -> Any:
    """Refuse NaN and Infinity, which Python would take for JSON."""
    raise ValueError(name)


def _object(request: Request, body: Any) -> dict[str, Any]:
    """Return the body as an object, empty where there is none; raises ErrorAnswer 400."""
    if body is None or body == [] or request.method in ("GET", "HEAD"):
        return {}
    if not isinstance(body, dict):
        raise ErrorAnswer(400, "Request body is not a JSON object")
    return body
