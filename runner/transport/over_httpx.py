"""One connection over httpx: a transport of it, without `httpx.Client` around it.

What the client adds must not happen here (redirects, cookies, netrc, proxies of its own choice),
and costs a third of the time.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from threading import Lock
from typing import Any, cast
from urllib.parse import urlsplit

import h11
import httpcore

from runner.errors import RunnerError
from runner.model import Fault, Reply
from runner.trackers import Tracker
from runner.transport.body import AnswerError, Body
from runner.transport.faults import explain
from runner.transport.lean import httpx
from runner.transport.wire import Outgoing

_TROUBLE = (
    *(httpx.HTTPError, httpx.StreamError, AnswerError),
    # The same under httpcore's own names, which are httpx's.
    *(httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError),
    httpcore.UnsupportedProtocol,
)
_PORTS = {"http": 80, "https": 443}
_AT_ONCE = 64 * 1024  # bytes that are read, or written, at a time
# Of headers less: what h11 looks for in a line takes it a second where there are so many spaces,
# and four in twice as many, while no other thread runs.
_LONGEST_HEADERS = 16 * 1024
_OF_HEADERS = 4 * 1024
_MOST_KNOWN = 256
_network = httpcore.SyncBackend()


class Direct(httpx.BaseTransport):
    """One connection: httpcore opens it and carries the bytes, h11 knows what they mean.

    Those two are what `httpx.HTTPTransport` is made of as well. Left out is what several
    connections need (pool, states, locks, a trace of every part), which takes two fifths of the
    time of a request. And a request leaves in one piece, which saves the server a read.

    What is asked for is the extension `target`, path and query; the extension `arrived` is called
    whenever something of the answer has. Raises httpcore's exceptions as they are, and
    ValueError for a request that cannot be written down.
    """

    def __init__(self, url: httpx.URL, context: ssl.SSLContext, keep_alive: float) -> None:
        # Not `url.host`, which is decoded: encoded anew it may be the name of somebody else.
        self._scheme, self._host = url.scheme, url.raw_host.decode("ascii")
        self._port = url.port or _PORTS[url.scheme]
        self._context = context
        self._keep_alive = keep_alive
        self._stream: httpcore.NetworkStream | None = None
        self._talk = h11.Connection(h11.CLIENT)
        self._until = 0.0
        self._free = False
        self._known: dict[tuple[tuple[bytes, bytes], ...], h11.Request] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, over a new connection where the last one is of no more use."""
        usable, self._free = self._is_usable(), False
        if not usable:
            self.close()
            self._talk = h11.Connection(h11.CLIENT, _LONGEST_HEADERS)
        try:
            written = self._written(request)
            stream = self._stream = self._stream or self._connect(request.extensions)
            self._send(stream, written, request.extensions["timeout"]["write"])
            receive = partial(self._receive, stream, request.extensions)
            while isinstance(head := receive(), h11.InformationalResponse):
                pass  # the answer is still to come
            if not isinstance(head, h11.Response):
                raise httpcore.RemoteProtocolError("the server wants to speak another protocol")
        except BaseException:
            self.close()
            raise
        return httpx.Response(
            head.status_code,
            headers=head.headers.raw_items(),
            stream=_Arriving(receive, self._end),
        )

    def close(self) -> None:
        """Hang up."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _is_usable(self) -> bool:
        """Whether the exchange before came to its end, not long ago, and the server still waits.

        Where nothing is due and there is something to read, that is the server hanging up.
        """
        if self._stream is None or not self._free:
            return False
        return time.monotonic() <= self._until and not self._stream.get_extra_info("is_readable")

    def _connect(self, extensions: Mapping[str, Any]) -> httpcore.NetworkStream:
        timeout = extensions["timeout"]["connect"]
        stream = _network.connect_tcp(self._host, self._port, timeout)
        if self._scheme == "https":
            name = extensions.get("sni_hostname") or self._host
            stream = stream.start_tls(self._context, name, timeout)
        return stream

    def _send(self, stream: httpcore.NetworkStream, written: bytes, timeout: float) -> None:
        # Some servers hang up before they have read all, and tell why.
        with suppress(httpcore.WriteError):
            # The timeout is for each piece: over TLS a piece counts as a whole.
            for at in range(0, len(written), _AT_ONCE):
                stream.write(written[at : at + _AT_ONCE], timeout)

    def _written(self, request: httpx.Request) -> bytes:
        send = self._talk.send
        target = request.extensions["target"]
        try:
            headers = self._like(request.headers.raw).headers
            parts = [send(h11.Request(method=request.method, target=target, headers=headers))]
            parts += [send(h11.Data(part)) for part in cast("Iterable[bytes]", request.stream)]
            parts.append(send(h11.EndOfMessage()))
        except h11.LocalProtocolError as error:
            raise ValueError(str(error)) from error
        return b"".join(part for part in parts if part)

    def _like(self, headers: list[tuple[bytes, bytes]]) -> h11.Request:
        """A request with these headers, which h11 has checked.

        Checking takes longer than all else that it does to a request, and those of one differ
        from those of another in the length of the body, if at all.
        """
        key = tuple(headers)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            found = self._known[key] = h11.Request(method="GET", target="/", headers=headers)
        return found

    def _receive(
        self, stream: httpcore.NetworkStream, extensions: Mapping[str, Any]
    ) -> h11.Event | type[h11.PAUSED]:
        """What comes next of the answer."""
        talk = self._talk
        try:
            while (event := talk.next_event()) is h11.NEED_DATA:
                most = _AT_ONCE if talk.their_state is h11.SEND_BODY else _OF_HEADERS
                data = stream.read(most, extensions["timeout"]["read"])
                if not data and talk.their_state is h11.SEND_RESPONSE:
                    raise httpcore.RemoteProtocolError(
                        "server disconnected without sending a response"
                    )
                extensions["arrived"]()
                talk.receive_data(data)
        except h11.RemoteProtocolError as error:
            raise httpcore.RemoteProtocolError(str(error)) from error
        return cast("h11.Event | type[h11.PAUSED]", event)

    def _end(self) -> None:
        """The connection is free for the next request, or closed where the answer is not whole.

        Or where it is more than whole: the next request would take what is left for its own.
        """
        talk = self._talk
        whole = talk.our_state is talk.their_state is h11.DONE
        if whole and talk.trailing_data == (b"", False):  # no bytes, and no end of them
            talk.start_next_cycle()
            self._until = time.monotonic() + self._keep_alive
            self._free = True
        else:
            self.close()


class _Arriving(httpx.SyncByteStream):
    """The body of an answer, as httpx wants it."""

    def __init__(self, receive: Callable[[], object], end: Callable[[], None]) -> None:
        self._receive = receive
        self._end = end

    def __iter__(self) -> Iterator[bytes]:
        while isinstance(event := self._receive(), h11.Data):
            yield event.data

    def close(self) -> None:
        """All has been read, or nobody wants the rest."""
        self._end()


class Maker:
    """Opens connections to one tracker; what they share is made once."""

    def __init__(self, tracker: Tracker, keep_alive: float) -> None:
        self._tracker = tracker
        self._keep_alive = keep_alive
        self._context: ssl.SSLContext | None = None
        self._lock = Lock()
        parts = urlsplit(tracker.url)
        self._extensions: dict[str, Any] = {}
        self._start = f"{parts.scheme}://{parts.netloc}"
        if tracker.resolve:
            self._start = _moved(self._start, tracker.resolve)
            self._extensions["sni_hostname"] = parts.hostname
        # Reading a URL costs as much as sending it, so it is read once and only the target is
        # handed on. A proxy is told the whole address, which httpcore makes of the URL alone.
        self._url = None if tracker.proxy else httpx.URL(self._start)

    def open(self) -> Connection:
        """A connection that is made when it is first needed. Raises RunnerError."""
        if self._url is not None:
            return Connection(self, Direct(self._url, self._tls(), self._keep_alive), self._tracker)
        limits = httpx.Limits(
            max_connections=1, max_keepalive_connections=1, keepalive_expiry=self._keep_alive
        )
        try:
            transport = httpx.HTTPTransport(
                verify=self._tls(), trust_env=False, limits=limits, proxy=self._tracker.proxy
            )
        except (ImportError, ValueError, httpx.InvalidURL):
            raise RunnerError(
                "the proxy that the environment names cannot be used",
                "write HTTPS_PROXY=http://HOST:PORT (SOCKS needs the package socksio), "
                "or exempt the tracker: NO_PROXY=its host",
            ) from None
        return Connection(self, transport, self._tracker)

    def request(
        self, outgoing: Outgoing, timeout: float, arrived: Callable[[], None]
    ) -> httpx.Request:
        """The request as httpx has it. Raises ValueError, or httpx's InvalidURL."""
        extensions = {**self._extensions, "timeout": _timeouts(timeout), "arrived": arrived}
        url: httpx.URL | str = self._start + outgoing.target.decode()
        if self._url is not None:
            url = self._url
            extensions["target"] = outgoing.target
        return httpx.Request(
            outgoing.method,
            url,
            headers=outgoing.headers,
            stream=httpx.ByteStream(outgoing.content),
            extensions=extensions,
        )

    def _tls(self) -> ssl.SSLContext:
        """One context for all, since reading the certificates takes 40 ms."""
        with self._lock:
            if self._context is None:
                self._context = _context(self._tracker)
            return self._context


class Connection:
    """One connection, used by one thread at a time."""

    def __init__(self, maker: Maker, transport: httpx.BaseTransport, tracker: Tracker) -> None:
        self._maker = maker
        self._transport = transport
        self._tracker = tracker

    def exchange(self, outgoing: Outgoing, timeout: float, body: Body) -> Reply | Fault:
        """Send the request once. Raises ValueError where httpx cannot write it down."""
        try:
            request = self._maker.request(outgoing, timeout, body.check_time)
        except httpx.InvalidURL as error:
            raise ValueError(str(error)) from error
        status = None
        try:
            answer = self._transport.handle_request(request)
            try:
                status, headers = answer.status_code, _plain(answer.headers.raw)
                body.begin(headers.get("content-encoding", ""))
                for chunk in cast("Iterable[bytes]", answer.stream):
                    body.take(chunk)
                body.end()
            finally:
                answer.close()
        except _TROUBLE as error:
            return explain(error, self._tracker, timeout, status, body.beginning())
        return Reply(status, headers, body.whole())

    def close(self) -> None:
        """Hang up."""
        self._transport.close()


def _context(tracker: Tracker) -> ssl.SSLContext:
    if tracker.url.startswith("http:"):
        # httpx wants one whatever the scheme; a bare one trusts nobody and costs nothing.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context = httpx.create_ssl_context()
        context.set_alpn_protocols(["http/1.1"])
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


def _timeouts(seconds: float) -> dict[str, float]:
    return dict.fromkeys(("connect", "read", "write", "pool"), seconds)


def _moved(url: str, address: str) -> str:
    """The URL with the address in place of its host."""
    parts = urlsplit(url)
    host = f"[{address}]" if ":" in address else address
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}"
