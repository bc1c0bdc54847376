"""Can this tracker be reached, with this key, and what may the key read; only ever reads.

Which lists are asked for is the catalogue's word: each resource's list that needs no parameter.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from urllib.parse import urlsplit

from runner.answers import FailureType, judge
from runner.catalogue import Catalogue, Operation
from runner.masking import Masker
from runner.model import Effect, Failure, Fault, FaultKind, Json, Reply, Request
from runner.trackers import Tracker
from runner.transport import Transport

# The operation that every resource calls the same, where it has it, and the parameter that only
# newer trackers know (those of 2022 answer the whole list all the same).
LIST, PAGING = "getAll", "limit"

MOST_SKEW = 60.0  # seconds; the Date header counts whole ones
SLOW = 3.0  # seconds
SOON = 21  # days before a certificate ends

# Answers after which no other call can succeed.
_HOPELESS = frozenset(
    {FailureType.UNAUTHORIZED.value, FailureType.PAYMENT_REQUIRED.value,
     FailureType.CLOUDFLARE.value, FailureType.REDIRECT.value}
)  # fmt: skip
# Answers of a tracker to a path that it does not know.
_UNKNOWN_PATH = frozenset({FailureType.NOT_JSON.value, FailureType.NOT_FOUND.value})


class State(StrEnum):
    """What a look at one thing came to; a problem makes the tracker unusable."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what was seen, and what to do."""

    name: str
    state: State
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Right:
    """What one list answered: `rows`, or why not. `state` is ok, forbidden, unknown or failed."""

    resource: str
    state: str
    rows: int | None
    message: str
    milliseconds: int


@dataclass(slots=True)
class Diagnosis:
    """All that was found about a tracker."""

    tracker: str
    url: str
    findings: list[Finding] = field(default_factory=list)
    rights: list[Right] = field(default_factory=list)

    @property
    def healthy(self) -> bool:
        """Whether playbooks can run there."""
        return all(finding.state is not State.PROBLEM for finding in self.findings)


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer with the time it took and the difference of the clocks, both in seconds."""

    outcome: Reply | Fault
    seconds: float
    skew: float | None


def examine(
    tracker: Tracker,
    catalogue: Catalogue,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Diagnosis:
    """Look at a tracker. Raises RunnerError where its settings cannot be used."""
    masker = Masker(tracker.secrets)
    diagnosis = Diagnosis(tracker.name, masker.text(tracker.url))
    with Transport(tracker) as transport:
        _Examination(tracker, transport, diagnosis, masker, now).run(lists(catalogue))
    return diagnosis


def lists(catalogue: Catalogue) -> list[Operation]:
    """The lists that can be asked for without knowing anything."""
    found = (catalogue.operation(name, LIST) for name in catalogue.names)
    return [
        operation
        for operation in found
        if operation is not None
        and operation.effect is Effect.READS
        and operation.body is None
        and "{" not in operation.path
        and not any(parameter.required for parameter in operation.parameters.values())
    ]


class _Examination:
    """One tracker being looked at, from the network up to what the key may do."""

    def __init__(
        self,
        tracker: Tracker,
        transport: Transport,
        diagnosis: Diagnosis,
        masker: Masker,
        now: Callable[[], datetime],
    ) -> None:
        self._tracker = tracker
        self._transport = transport
        self._diagnosis = diagnosis
        self._hide = masker.text
        self._now = now
        self._answers: list[_Answer] = []
        self._first_failure: Failure | None = None

    def run(self, operations: list[Operation]) -> None:
        """Look at one thing after the other, and stop where nothing more can be seen."""
        self._transport.warm()
        for operation in operations:
            answer = self._ask(operation, operation.path)
            self._answers.append(answer)
            failure = self._note_right(operation, answer)
            if len(self._answers) == 1:
                self._note_way(answer)
                if failure and (failure.type in _HOPELESS or failure.status is None):
                    self._note_hopeless(failure)
                    break
                self._first_failure = failure
        self._note_key()
        self._note_version(operations)
        self._note_latency()
        self._note_clock()

    def _add(self, name: str, state: State, message: str, hint: str = "") -> None:
        finding = Finding(name, state, self._hide(message), self._hide(hint))
        self._diagnosis.findings.append(finding)

    def _ask(self, operation: Operation, path: str) -> _Answer:
        before, began = self._now(), time.perf_counter()
        outcome = self._transport.send(Request(operation.method, self._tracker.api + path))
        seconds = time.perf_counter() - began
        skew = None
        if isinstance(outcome, Reply):
            theirs = _date(outcome.headers.get("date", ""))
            half_way = before.timestamp() + seconds / 2
            skew = None if theirs is None else theirs.timestamp() + 0.5 - half_way
        return _Answer(outcome, seconds, skew)

    # -- the way there ----------------------------------------------------------------------------

    def _note_way(self, answer: _Answer) -> None:
        """Address, connection and certificate; the transport's own words where one is no good."""
        outcome = answer.outcome
        if isinstance(outcome, Fault) and not outcome.sent:
            return
        parts = urlsplit(self._tracker.url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        if self._tracker.proxy:
            self._add("connection", State.NOTE, "goes through the proxy that the environment names")
        else:
            self._note_connection(host, port, secure=parts.scheme == "https")
        if isinstance(outcome, Reply):
            self._note_server(outcome)

    def _note_connection(self, host: str, port: int, *, secure: bool) -> None:
        target = self._tracker.resolve or host
        try:
            began = time.perf_counter()
            with socket.create_connection((target, port), self._tracker.timeout) as plain:
                milliseconds = (time.perf_counter() - began) * 1000
                address = plain.getpeername()[0]
                self._add("connection", State.OK, f"{address} port {port}, {milliseconds:.0f} ms")
                if secure:
                    self._note_certificate(plain, host)
                elif not ipaddress.ip_address(address).is_loopback:
                    self._add("certificate", State.NOTE, "none: plain http, the key can be read")
        except (OSError, ValueError) as error:
            # The request itself went through just now, so that this is no verdict.
            self._add("connection", State.NOTE, f"seen only in part: {error}")

    def _note_certificate(self, plain: socket.socket, host: str) -> None:
        context = ssl.create_default_context()
        # Its trust was judged by the request, which may know more authorities than these.
        if self._tracker.ca_file:
            context.load_verify_locations(cafile=self._tracker.ca_file)
        with context.wrap_socket(plain, server_hostname=host) as secured:
            ends = (secured.getpeercert() or {}).get("notAfter")
            version = secured.version()
        if not isinstance(ends, str):
            return
        until = datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC)
        days = (until - self._now()).days
        message = f"valid until {until:%Y-%m-%d}, {days} days from now ({version})"
        soon = days < SOON
        hint = "renew it, or see why it does not renew itself" if soon else ""
        self._add("certificate", State.NOTE if soon else State.OK, message, hint)

    def _note_server(self, reply: Reply) -> None:
        server = reply.headers.get("server", "")
        if "cf-ray" in reply.headers or server.lower() == "cloudflare":
            self._add(
                "server", State.NOTE, "Cloudflare stands before the tracker",
                "if it turns calls away: allow-list this machine's address for /admin_api, set "
                "`user_agent:`, or the origin's address as `resolve:` in the trackers file",
            )  # fmt: skip
        elif server:
            self._add("server", State.OK, server)

    # -- the key ----------------------------------------------------------------------------------

    def _note_right(self, operation: Operation, answer: _Answer) -> Failure | None:
        """Note what a list answered, and give the failure, if it was one."""
        verdict = judge(operation, answer.outcome)
        failure = verdict.error
        self._diagnosis.rights.append(
            Right(
                operation.resource,
                _STATES.get(failure.type, "failed") if failure else "ok",
                None if failure else _count(verdict.data),
                self._hide(failure.message) if failure else "",
                round(answer.seconds * 1000),
            )
        )
        return failure

    def _note_hopeless(self, failure: Failure) -> None:
        self._diagnosis.rights.clear()
        name = _NAMES.get(failure.type, "answers")
        self._add(name, State.PROBLEM, failure.message, failure.hint)

    def _note_key(self) -> None:
        rights = self._diagnosis.rights
        states = {right.state for right in rights}
        if not rights:
            return
        if "ok" in states:
            self._add("key", State.OK, "accepted")
            self._add(
                "edition", State.OK,
                "has the Admin API, so it is Expert or higher (on version 9: Business)",
            )  # fmt: skip
        elif "forbidden" in states:
            self._add(
                "key", State.PROBLEM, "accepted, but its user may read nothing",
                "give the user rights in the panel, or use the key of one who has them",
            )  # fmt: skip
        elif self._first_failure is not None:
            self._add(
                "answers", State.PROBLEM, self._first_failure.message, self._first_failure.hint
            )

    # -- hints ------------------------------------------------------------------------------------

    def _note_version(self, operations: list[Operation]) -> None:
        by_name = {right.resource: right for right in self._diagnosis.rights}
        missing = [name for name, right in by_name.items() if right.state == "unknown"]
        if missing and any(right.state == "ok" for right in by_name.values()):
            what = f"does not know {', '.join(missing)}: it may be older than this catalogue"
            self._add("version", State.NOTE, what, "playbooks that use these will fail there")
        for operation in operations:
            right = by_name.get(operation.resource)
            if right and (right.rows or 0) > 1 and PAGING in operation.parameters:
                outcome = self._ask(operation, f"{operation.path}?{PAGING}=1").outcome
                pages = _count(judge(operation, outcome).data) == 1
                old = "knows no pages of lists: it answers as trackers of 2022 do (version 9)"
                new = "knows pages of lists: it is newer than the trackers of 2022"
                self._add("version", State.OK if pages else State.NOTE, new if pages else old)

    def _note_latency(self) -> None:
        times = [answer.seconds for answer in self._answers if isinstance(answer.outcome, Reply)]
        if times:
            middle, most = statistics.median(times), max(times)
            message = f"{middle * 1000:.0f} ms in the middle, {most * 1000:.0f} ms at most"
            slow = most > SLOW
            hint = "large lists take long: raise `timeout:` if calls are given up" if slow else ""
            self._add("latency", State.NOTE if slow else State.OK, message, hint)

    def _note_clock(self) -> None:
        skews = [answer.skew for answer in self._answers if answer.skew is not None]
        if not skews:
            return
        skew = statistics.median(skews)
        if abs(skew) <= MOST_SKEW:
            self._add("clock", State.OK, "agrees with this machine's")
            return
        direction = "ahead of" if skew > 0 else "behind"
        self._add(
            "clock", State.NOTE, f"{abs(skew):.0f} s {direction} this machine's",
            "set both by NTP: intervals such as today are counted by the tracker's clock",
        )  # fmt: skip


_STATES = {FailureType.FORBIDDEN.value: "forbidden", **dict.fromkeys(_UNKNOWN_PATH, "unknown")}
_NAMES = {
    FailureType.UNAUTHORIZED.value: "key",
    FailureType.PAYMENT_REQUIRED.value: "edition",
    FaultKind.TLS.value: "certificate",
    FaultKind.DNS.value: "address",
    FaultKind.REFUSED.value: "connection",
    FaultKind.CONNECT.value: "connection",
}


def _count(data: Json) -> int | None:
    if isinstance(data, dict):  # some lists come wrapped in an object
        data = next((part for part in data.values() if isinstance(part, list)), None)
    return len(data) if isinstance(data, list) else None


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
