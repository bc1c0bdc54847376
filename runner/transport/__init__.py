"""HTTP to one tracker: sends a request, gives a reply or a fault; judges neither, retries nothing.

`httpx.HTTPTransport` is used without `httpx.Client` around it. What the client adds must not
happen here (redirects, cookies, netrc, proxies of its own choice), and costs a third of the time.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, cast

from runner.errors import RunnerError
from runner.model import Fault, Reply, Request
from runner.trackers import Tracker
from runner.transport.body import AnswerError, Body
from runner.transport.faults import explain, unsendable
from runner.transport.wire import Wire

if TYPE_CHECKING:
    import ssl

    import httpx

__all__ = ["Limits", "Transport"]

# Seconds that an unused connection is kept: fewer than any web server's own limit (nginx: 75),
# so that a connection which the server is about to close is seldom written to.
KEEP_ALIVE = 5.0


class Limits(NamedTuple):
    """`body`: bytes of an answer, unpacked. `patience`: how many timeouts a whole answer may take.

    The timeout itself is for connecting, and for each wait for the next bytes. The headers of an
    answer are bounded by h11, at 100 KiB.
    """

    body: int = 64 * 1024 * 1024
    patience: float = 4.0


class Transport:
    """The way to one tracker, for any number of threads; a context manager that closes it.

    A request borrows a client (which is one connection, kept alive) and gives it back, so there
    are never more of them than there were requests in flight at once, however many threads come
    and go. The proxy that the environment names is honoured as `trackers` found it: never for
    loopback. TLS is always verified; `ca_file` adds to the authorities that httpx trusts, which
    SSL_CERT_FILE and SSL_CERT_DIR may replace.
    """

    def __init__(self, tracker: Tracker, *, limits: Limits | None = None) -> None:
        self._tracker = tracker
        self._limits = limits or Limits()
        self._wire = Wire(tracker)
        self._idle: deque[httpx.HTTPTransport] = deque()
        self._context: ssl.SSLContext | None = None
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
        """Make a client ahead of need, as in a thread while the playbook is being checked.

        Importing httpx and reading the certificates takes longer than most requests do.
        """
        self._give_back(self._borrow())

    def send(self, request: Request) -> Reply | Fault:
        """Send the request once; `RunnerError` where its URL is not this tracker's."""
        from runner.transport.lean import httpx  # noqa: PLC0415 (100 ms, and not for all)

        try:
            outgoing = self._wire.request(request)
        except (ValueError, TypeError, RecursionError, httpx.InvalidURL) as error:
            return unsendable(error)
        client = self._borrow()
        try:
            return self._exchange(client, outgoing, request.timeout or self._tracker.timeout)
        finally:
            self._give_back(client)

    def _exchange(
        self, client: httpx.HTTPTransport, outgoing: httpx.Request, timeout: float
    ) -> Reply | Fault:
        from runner.transport.lean import httpx  # noqa: PLC0415

        body = Body(self._limits.body, time.monotonic() + timeout * self._limits.patience)
        status = None
        try:
            answer = client.handle_request(outgoing)
            try:
                status, headers = answer.status_code, _plain(answer.headers.raw)
                body.read(
                    cast("Iterable[bytes]", answer.stream), headers.get("content-encoding", "")
                )
            finally:
                answer.close()
        except (httpx.HTTPError, httpx.StreamError, AnswerError) as error:
            return explain(error, self._tracker, timeout, status, body.beginning())
        return Reply(status, headers, body.whole())

    def _borrow(self) -> httpx.HTTPTransport:
        try:
            return self._idle.pop()
        except IndexError:
            return self._open()

    def _give_back(self, client: httpx.HTTPTransport) -> None:
        self._idle.append(client)
        if self._closed:
            self.close()

    def _open(self) -> httpx.HTTPTransport:
        from runner.transport.lean import httpx  # noqa: PLC0415

        limits = httpx.Limits(
            max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_ALIVE
        )
        try:
            return httpx.HTTPTransport(
                verify=self._tls(), trust_env=False, limits=limits, proxy=self._tracker.proxy
            )
        except (ImportError, ValueError, httpx.InvalidURL):
            raise RunnerError(
                "the proxy that the environment names cannot be used",
                "write HTTPS_PROXY=http://HOST:PORT (SOCKS needs the package socksio), "
                "or exempt the tracker: NO_PROXY=its host",
            ) from None

    def _tls(self) -> ssl.SSLContext:
        """One context for all clients, since reading the certificates takes 40 ms."""
        with self._lock:
            if self._context is None:
                self._context = _context(self._tracker)
            return self._context


def _context(tracker: Tracker) -> ssl.SSLContext:
    import ssl  # noqa: PLC0415 (httpx brings it, and is late)

    from runner.transport.lean import httpx  # noqa: PLC0415

    if tracker.url.startswith("http:"):
        # httpx wants one whatever the scheme; a bare one trusts nobody and costs nothing.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context = httpx.create_ssl_context()
        if tracker.ca_file:
            context.load_verify_locations(cafile=tracker.ca_file)
    except OSError as error:
        source = tracker.ca_file or "SSL_CERT_FILE or SSL_CERT_DIR"
        raise RunnerError(
            f"cannot read certificates from {source}: {error.strerror or error}",
            "name a file of PEM certificates",
        ) from None
    return context


def _plain(raw: Sequence[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """The headers by lower-case name; one that comes several times is joined, as RFC 9110 says."""
    found: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found
