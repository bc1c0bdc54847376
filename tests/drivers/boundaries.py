"""Has this process kill itself, the nth time that it comes to a boundary.

Before it does, it writes to the tomb what it was about: a call's key, or nothing.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runner.execution.calls import Caller
from runner.journal import writer
from runner.model import Finished, Intent
from runner.report.jsonl import JsonLines
from runner.runs import OpenRun
from runner.transport import Transport, over_curl
from runner.transport.link import Socket

# What has happened to the call when the process dies: not sent and known not to be, sent or
# about to be with no outcome on disk, and done.
UNSENT, DOUBT, DONE = "unsent", "doubt", "done"
OF_WRITES = {
    "before-intent": UNSENT,
    "torn-intent": UNSENT,
    "before-sync": DOUBT,
    "after-intent": DOUBT,
    "half-request": DOUBT,
    "request-left": DOUBT,
    "after-response": DOUBT,
    "before-outcome": DOUBT,
    "torn-outcome": DOUBT,
    "after-outcome": DONE,
    "torn-report": DONE,
}
# Boundaries at which the tracker has the request.
ARRIVED = ("request-left", "after-response", "before-outcome", "torn-outcome")
OF_RUNS = ("before-run", "torn-run", "after-run", "before-resume", "before-end", "after-end")


class _Killer:
    """Counts comings to one boundary."""

    def __init__(self, nth: int, tomb: Path) -> None:
        self._left = nth
        self._tomb = tomb
        self._lock = threading.Lock()
        self._of = threading.local()

    def about(self, key: str, *, writes: bool) -> None:
        """From here on this thread is about that call."""
        self._of.key, self._of.writes = key, writes

    @property
    def writes(self) -> bool:
        """Whether this thread is about a call that changes something."""
        return getattr(self._of, "writes", False)

    def is_due(self) -> bool:
        """Whether it is time."""
        with self._lock:
            self._left -= 1
            return self._left == 0

    def kill(self, key: str = "") -> None:
        """End this process, as a power cut would."""
        self._tomb.write_text(key or getattr(self._of, "key", ""))
        os.kill(os.getpid(), signal.SIGKILL)


def kill_at(boundary: str, nth: int, tomb: str) -> None:
    """Arm this process."""
    killer = _Killer(nth, Path(tomb))
    _watch_calls(killer)
    if boundary.startswith("torn-"):
        _arm_torn(boundary, killer)
    elif boundary in OF_RUNS:
        _arm_run(boundary, killer)
    elif boundary == "half-request":
        _arm_half(killer)
    elif boundary == "request-left":
        _wrap(Socket, "write", killer, after=True)
        _arm_curl(killer)
    elif boundary == "after-response":
        _wrap(Transport, "_exchange", killer, after=True)
    elif boundary == "before-sync":
        _wrap(writer.Writer, "_sync", killer, after=False)
    else:
        _arm_event(boundary, killer)


def _watch_calls(killer: _Killer) -> None:
    send = Caller._send

    def watched(self: Caller, call: Any, key: str, *rest: Any) -> Any:
        killer.about(key, writes=str(call.operation.effect) != "reads")
        return send(self, call, key, *rest)

    Caller._send = watched  # type: ignore[method-assign]
    intend = Caller._intend

    def intended(self: Caller, call: Any, at: Any, *rest: Any) -> None:
        killer.about(at.key, writes=True)
        intend(self, call, at, *rest)

    Caller._intend = intended  # type: ignore[method-assign]


def _wrap(owner: Any, name: str, killer: _Killer, *, after: bool) -> None:
    """Die before or after a method's call, where it is about one that changes something."""
    method = getattr(owner, name)

    def wrapped(*args: Any, **options: Any) -> Any:
        if not after and killer.writes and killer.is_due():
            killer.kill()
        result = method(*args, **options)
        if after and killer.writes and killer.is_due():
            killer.kill()
        return result

    setattr(owner, name, wrapped)


def _arm_half(killer: _Killer) -> None:
    write = Socket.write

    def torn(self: Socket, data: bytes, timeout: float) -> None:
        if killer.writes and killer.is_due():
            write(self, data[: len(data) // 2], timeout)
            killer.kill()
        write(self, data, timeout)

    Socket.write = torn  # type: ignore[method-assign]


def _arm_curl(killer: _Killer) -> None:
    open_ = over_curl.Maker.open

    def opened(self: over_curl.Maker) -> over_curl.Connection:
        connection = open_(self)
        connection._many = _Many(connection, killer)
        return connection

    over_curl.Maker.open = opened  # type: ignore[method-assign]


class _Many:
    """libcurl's own loop, which ends once a request has left; it sends small ones in one piece."""

    def __init__(self, connection: over_curl.Connection, killer: _Killer) -> None:
        self._many = connection._many
        self._curl = connection._curl
        self._killer = killer
        self._left = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._many, name)

    def add_handle(self, curl: Any) -> None:
        """Begin an exchange."""
        self._left = False
        self._many.add_handle(curl)

    def perform(self) -> Any:
        """Do what can be done; the request has left where libcurl has counted its bytes."""
        done = self._many.perform()
        if not self._left and self._curl.getinfo(over_curl.pycurl.REQUEST_SIZE):
            self._left = True
            if self._killer.writes and self._killer.is_due():
                self._killer.kill()
        return done


def _arm_event(boundary: str, killer: _Killer) -> None:
    when, kind = boundary.split("-")
    method = writer.Writer.__call__

    def called(self: writer.Writer, event: Any) -> None:
        due = _is_meant(kind, event) and killer.is_due()
        if due and when == "before":
            killer.kill(event.key)
        method(self, event)
        if due:
            killer.kill(event.key)

    writer.Writer.__call__ = called  # type: ignore[method-assign]


def _is_meant(kind: str, event: Any) -> bool:
    """Whether it is an intent, or the outcome of a call that had one and was sent."""
    if kind == "intent":
        return isinstance(event, Intent)
    return isinstance(event, Finished) and bool(event.digest and event.envelope["attempts"])


def _arm_torn(boundary: str, killer: _Killer) -> None:
    kind = boundary.removeprefix("torn-")
    if kind == "report":
        _arm_torn_report(killer)
        return
    write_all: Callable[[int, bytes, int], None] = writer._write_all

    def torn(handle: int, line: bytes, at: int) -> None:
        head = line[:40].replace(b" ", b"")
        meant = b'"record":"%s"' % kind.encode() in head and _is_of_write(kind, line)
        if meant and killer.is_due():
            os.pwrite(handle, line[: len(line) // 2], at)
            killer.kill()
        write_all(handle, line, at)

    writer._write_all = torn


def _is_of_write(kind: str, line: bytes) -> bool:
    return kind != "outcome" or (b'"digest":""' not in line and b'"attempts":0' not in line)


def _arm_torn_report(killer: _Killer) -> None:
    method = JsonLines.__call__

    def called(self: JsonLines, event: Any) -> None:
        if _is_meant("outcome", event) and killer.is_due():
            self._stream.write(event.line[: len(event.line) // 2])
            self._stream.flush()
            killer.kill(event.key)
        method(self, event)

    JsonLines.__call__ = called  # type: ignore[method-assign]


def _arm_run(boundary: str, killer: _Killer) -> None:
    when, kind = boundary.split("-")
    if kind == "end":
        method = OpenRun.end

        def end(self: OpenRun, summary: Any) -> None:
            if when == "after":
                method(self, summary)
            killer.kill()

        OpenRun.end = end  # type: ignore[method-assign]
        return
    record = writer.Writer.record

    def recorded(self: writer.Writer, what: Any, **options: Any) -> None:
        meant = what["record"] == kind
        if meant and when == "before":
            killer.kill()
        record(self, what, **options)
        if meant:
            killer.kill()

    writer.Writer.record = recorded  # type: ignore[method-assign]
