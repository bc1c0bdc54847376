"""The frozen values that cross room borders; no behaviour beyond reading themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from runner.errors import ExitCode

# What JSON is once it is parsed. `Any` because JSON is open by nature.
Json = Any

# How an envelope's `skipped` begins where a dry run held the call back.
DRY_RUN = "dry run"


def reason_held(skipped: str) -> str:
    """What an envelope's `skipped` says beside that a dry run held the call back."""
    return skipped.removeprefix(DRY_RUN).removeprefix("; ")


def was_stopped(envelope: Mapping[str, Any]) -> bool:
    """Whether a call was about to be sent and was not, since the run was to end."""
    error = envelope.get("error")
    interrupted = isinstance(error, Mapping) and error.get("type") == "interrupted"
    return interrupted and not envelope.get("attempts")


class Effect(StrEnum):
    """What an operation does to the tracker."""

    READS = "reads"
    WRITES = "writes"
    DESTROYS = "destroys"


class Severity(StrEnum):
    """How bad a problem is: an error keeps a playbook from running, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


class Place(NamedTuple):
    """A spot in a file: line and column count from 1, `length` is the run of characters meant."""

    file: str
    line: int
    column: int
    length: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Problem(NamedTuple):
    """Trouble with a playbook: where, what, and what to do.

    `path` names the spot in the document's own terms (`steps[2].operation`), `line` is the
    source line that the caret is drawn under.
    """

    code: str
    severity: Severity
    place: Place
    path: str
    message: str
    hint: str = ""
    line: str = ""


class Request(NamedTuple):
    """One HTTP call, ready to leave. `url` is absolute; `body` is JSON, `None` for no body.

    The key is not among `headers`: the transport adds it, so that nothing else ever holds it.
    `changes` is whether it may change the tracker.
    """

    method: str
    url: str
    body: Json = None
    headers: Mapping[str, str] = MappingProxyType({})
    timeout: float | None = None
    changes: bool = True


class Reply(NamedTuple):
    """What the tracker answered: header names in lower case, the body as raw bytes.

    `cut` is set where the body was longer than the limit and only its beginning is kept.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool = False


class FaultKind(StrEnum):
    """Why no whole answer came."""

    REFUSED = "connection_refused"
    DNS = "name_not_found"
    CONNECT = "cannot_connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    RESET = "connection_lost"
    PROTOCOL = "protocol"
    TOO_LARGE = "too_large"


class Fault(NamedTuple):
    """No whole answer. `sent` is false only where it is certain that the tracker got nothing.

    `status` and `body` hold what had arrived when the answer broke off.
    """

    kind: FaultKind
    message: str
    hint: str
    sent: bool
    status: int | None = None
    body: bytes = b""


class Failure(NamedTuple):
    """The `error` of an envelope: `response` is parsed JSON, or the raw text cut at a limit."""

    type: str
    message: str
    hint: str = ""
    status: int | None = None
    response: Json = None
    stack: str | None = None

    def as_dict(self) -> dict[str, Json]:
        """The shape that `schemas/envelope.schema.json` describes."""
        return {
            "type": self.type,
            "message": self.message,
            "hint": self.hint,
            "stack": self.stack,
            "status": self.status,
            "response": self.response,
        }


class Verdict(NamedTuple):
    """What an answer amounts to. `success` is `None` where a write's outcome is not known."""

    success: bool | None
    status: int | None
    data: Json
    error: Failure | None = None


def nothing() -> None:
    """For those who have nothing else to do while they wait."""


class Exchange(Protocol):
    """Sends a request that is written down, once each time; never raises for what comes of it.

    `meanwhile` is called before it waits for anything: the connection, or the answer to what is
    sent. It may be called several times, and need not be where there is nothing to wait for.
    """

    def __call__(self, meanwhile: Callable[[], None] = nothing) -> Reply | Fault:
        """What became of the request."""
        ...


class Reach(NamedTuple):
    """A tracker as the middle of the program sees it: its name, where it is, a way to send.

    `api` is what operations' paths are appended to. `prepare` writes a request down and gives what
    sends it.
    """

    name: str
    url: str
    api: str
    prepare: Callable[[Request], Exchange]

    def send(self, request: Request) -> Reply | Fault:
        """Send a request once."""
        return self.prepare(request)()


class StepStarted(NamedTuple):
    """A step is about to be looked at; `total` is how many steps the playbook has."""

    key: str
    title: str
    number: int
    total: int


class StepFinished(NamedTuple):
    """A step is over, whatever became of it."""

    key: str
    number: int


class Finished(NamedTuple):
    """An envelope, as `schemas/envelope.schema.json` describes it; `line` is its JSON text.

    `key` tells the call apart from all others of the run, `digest` is that of its intent;
    `hidden` leads to the parts of the data that were masked. `top` is the number of the step of
    the playbook that it belongs to, 0 below `finally`.
    """

    key: str
    envelope: Mapping[str, Json]
    line: str = ""
    digest: str = ""
    hidden: tuple[tuple[str | int, ...], ...] = ()
    top: int = 0


class Intent(NamedTuple):
    """A call that changes something is about to be sent: written down before it is.

    `digest` is a fingerprint of the request with its secrets hidden.
    """

    key: str
    resource: str
    operation: str
    method: str
    url: str
    body: Json
    digest: str
    tracker: str


class Leaving(NamedTuple):
    """A call that changes something leaves now: its intent must be on the disk."""

    key: str


class Phase(NamedTuple):
    """The steps of a playbook are over and its `finally` begins.

    `success` is that of the steps, `last` are the keys of the steps below `finally`.
    """

    success: bool | None
    last: tuple[str, ...] = ()


class Retrying(NamedTuple):
    """A call will be sent again: after `tries` tries, in `wait` seconds, because of `reason`."""

    key: str
    tries: int
    wait: float
    reason: str


class CallStarted(NamedTuple):
    """A call leaves: `what` is its operation, `attempt` counts from 1."""

    key: str
    what: str
    attempt: int


class LoopStarted(NamedTuple):
    """A `for_each` begins: how many items there are, and how many are worked on at a time."""

    key: str
    total: int
    workers: int


class ItemFinished(NamedTuple):
    """One item of the loop `key` is over, whatever became of it."""

    key: str


class LoopFinished(NamedTuple):
    """The loop `key` is over; items may be left where it was ended early."""

    key: str


Event = (
    StepStarted
    | StepFinished
    | LoopStarted
    | ItemFinished
    | LoopFinished
    | CallStarted
    | Intent
    | Leaving
    | Phase
    | Retrying
    | Finished
)


@dataclass(slots=True)
class Summary:
    """What became of a run: counts of calls, what was written, and the first failure.

    `written` names the first changes with their ids, `doubtful` the unknown outcomes; `not_run`
    counts the steps that the run did not come to, whose first `missed` names, and `restored` the
    calls that an earlier part of the run had made. `crash` is what ended the run other than a
    failed step: nothing of the above is lost by it. `would_destroy` is how many calls that destroy
    were too many. `held` are the calls that a dry run held back since they change something,
    `held_destroys` those of them that destroy, `held_reads` the reads that need what those would
    give; `held_open` is set where some hang on what is not known, `unsaved` where something would
    have been saved.
    """

    run: str
    restored: int = 0
    succeeded: int = 0
    changed: int = 0
    failed: int = 0
    skipped: int = 0
    unknown: int = 0
    not_run: int = 0
    written: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    first_failure: Mapping[str, Json] | None = None
    outputs: Mapping[str, Json] = field(default_factory=dict)
    interrupted: bool = False
    would_destroy: int | None = None
    dry: bool = False
    held: int = 0
    held_destroys: int = 0
    held_reads: int = 0
    held_open: bool = False
    unsaved: bool = False
    crash: Exception | None = None
    exit_code: ExitCode = ExitCode.OK
