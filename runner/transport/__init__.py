"""HTTP to one tracker: sends a request, gives a reply or a fault; judges neither, retries nothing.

Who carries the bytes is httpx, or libcurl where the tracker asks for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from threading import Lock
from types import TracebackType
from typing import NamedTuple, Protocol

from runner.model import Exchange, Fault, Reply, Request, nothing
from runner.trackers import Tracker
from runner.transport.body import Body
from runner.transport.faults import unsendable
from runner.transport.wire import Outgoing, Wire

__all__ = ["Limits", "Transport"]

# Seconds that an unused connection is kept: fewer than any web server's own limit (nginx: 75),
# so that a connection which the server is about to close is seldom written to.
KEEP_ALIVE = 5.0


class Limits(NamedTuple):
    """`body`: bytes of an answer, unpacked. `patience`: how many timeouts a whole answer may take.

    The timeout itself is for connecting, and for each wait for the next bytes. The headers of an
    answer are bounded at 16 KiB or so.
    """

    body: int = 64 * 1024 * 1024
    patience: float = 4.0


class Connection(Protocol):
    """One connection, kept alive, used by one thread at a time."""

    def exchange(
        self, outgoing: Outgoing, timeout: float, body: Body, meanwhile: Callable[[], None]
    ) -> Reply | Fault:
        """Send the request once. Raises ValueError where it cannot be written down.

        `meanwhile` is called before anything is waited for, as `model.Exchange` says.
        """
        ...

    def close(self) -> None:
        """Hang up."""
        ...


class Maker(Protocol):
    """Opens connections to one tracker."""

    def open(self) -> Connection:
        """A connection that is made when it is first needed. Raises RunnerError."""
        ...


class Transport:
    """The way to one tracker, for any number of threads; a context manager that closes it.

    A request borrows a connection and gives it back, so there are never more of them than there
    were requests in flight at once, however many threads come and go. The proxy that the
    environment names is honoured as `trackers` found it: never for loopback. TLS is always
    verified; `ca_file` adds to the authorities that httpx trusts, which SSL_CERT_FILE and
    SSL_CERT_DIR may replace.
    """

    def __init__(self, tracker: Tracker, *, limits: Limits | None = None) -> None:
        self._tracker = tracker
        self._limits = limits or Limits()
        self._wire = Wire(tracker)
        self._idle: deque[Connection] = deque()
        self._maker: Maker | None = None
        self._lock = Lock()
        self._closed = False

    def __repr__(self) -> str:
        return f"Transport({self._tracker.url})"

    def __enter__(self) -> Transport:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection; one that is in use closes when its request is done."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def warm(self) -> None:
        """Make a connection ahead of need, as in a thread while the playbook is being checked.

        Importing httpx and reading the certificates takes longer than most requests do.
        """
        self._give_back(self._borrow())

    def send(self, request: Request) -> Reply | Fault:
        """Send the request once; `RunnerError` where its URL is not this tracker's."""
        return self.prepare(request)()

    def prepare(self, request: Request) -> Exchange:
        """Write the request down, for what is given back to send; `RunnerError` as above."""
        try:
            outgoing = self._wire.outgoing(request)
        except (ValueError, TypeError, RecursionError) as error:
            fault = unsendable(error)
            return lambda _=nothing: fault
        return partial(self._exchange, outgoing, request.timeout or self._tracker.timeout)

    def _exchange(
        self, outgoing: Outgoing, timeout: float, meanwhile: Callable[[], None] = nothing
    ) -> Reply | Fault:
        connection = self._borrow()
        try:
            body = Body(self._limits.body, timeout * self._limits.patience)
            return connection.exchange(outgoing, timeout, body, meanwhile)
        except ValueError as error:
            return unsendable(error)
        finally:
            self._give_back(connection)

    def _borrow(self) -> Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._open()

    def _give_back(self, connection: Connection) -> None:
        self._idle.append(connection)
        if self._closed:
            self.close()

    def _open(self) -> Connection:
        with self._lock:
            if self._maker is None:
                self._maker = _maker(self._tracker)
        return self._maker.open()


def _maker(tracker: Tracker) -> Maker:
    # Both are imported for those who use them alone: httpx takes 100 ms.
    if tracker.transport == "curl":
        from runner.transport import over_curl  # noqa: PLC0415

        return over_curl.Maker(tracker, KEEP_ALIVE)
    from runner.transport import over_httpx  # noqa: PLC0415

    return over_httpx.Maker(tracker, KEEP_ALIVE)
