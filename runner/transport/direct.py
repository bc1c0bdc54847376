"""One connection as a transport of httpx: httpcore opens it, h11 writes, httptools reads.

With a proxy h11 reads as well: what it answers to CONNECT has rules of its own.
"""

from __future__ import annotations

import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, cast
from urllib.parse import unquote, urlsplit

import h11
import httpcore

from runner.transport.incoming import Incoming
from runner.transport.lean import httpx

_PORTS = {"http": 80, "https": 443}
_AT_ONCE = 64 * 1024  # bytes that are written at a time
# Of what a proxy answers: bytes at most, at a time, and how many timeouts it may take.
_LONGEST_HEADERS = 16 * 1024
_OF_HEADERS = 4 * 1024
_PATIENCE = 4.0
_MOST_KNOWN = 256
_network = httpcore.SyncBackend()


class Proxy(NamedTuple):
    """What stands between: how it is spoken to, where it is, and the header that lets us in."""

    scheme: str
    host: str
    port: int
    headers: list[tuple[bytes, bytes]]

    @classmethod
    def read(cls, address: str) -> Proxy:
        """A proxy from its address. Raises ValueError where it is none that speaks HTTP."""
        parts = urlsplit(address)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError(f"{parts.scheme} is no way to speak to a proxy")
        headers = []
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers = [(b"Proxy-Authorization", b"Basic " + b64encode(pair.encode()))]
        return cls(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme], headers)


class Direct(httpx.BaseTransport):
    """One connection, straight or through a proxy that speaks HTTP.

    httpcore is what `httpx.HTTPTransport` is made of as well. Left out is what several connections
    need (pool, states, locks, a trace of every part), and h11's reading, which is Python: together
    more than half of the time of a request. And a request leaves in one piece, which saves the
    server a read.

    What is asked for is the extension `target`, path and query; the extension `arrived` is called
    whenever something of the answer has. Raises httpcore's exceptions as they are, and
    ValueError for a request that cannot be written down.
    """

    def __init__(
        self,
        url: httpx.URL,
        context: ssl.SSLContext,
        keep_alive: float,
        proxy: Proxy | None = None,
    ) -> None:
        # Not `url.host`, which is decoded: encoded anew it may be the name of somebody else.
        self._scheme, self._host = url.scheme, url.raw_host.decode("ascii")
        self._port = url.port or _PORTS[url.scheme]
        self._context = context
        self._proxy = proxy
        host = f"[{self._host}]" if ":" in self._host else self._host
        self._where = f"{host}:{self._port}".encode()
        # What is not inside a tunnel the proxy must be told in full, and let in each time.
        forwards = proxy is not None and url.scheme == "http"
        self._origin = b"http://" + bytes(url.netloc) if forwards else b""
        self._added = proxy.headers if forwards and proxy else []
        self._keep_alive = keep_alive
        self._stream: httpcore.NetworkStream | None = None
        self._until = 0.0
        self._free = False
        self._known: dict[tuple[tuple[bytes, bytes], ...], bytes] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, over a new connection where the last one is of no more use."""
        usable, self._free = self._is_usable(), False
        if not usable:
            self.close()
        try:
            written = self._written(request)
            stream = self._stream = self._stream or self._connect(request.extensions)
            self._send(stream, written, request.extensions["timeout"]["write"])
            incoming = Incoming(stream, request.extensions)
            incoming.read_head()
        except BaseException:
            self.close()
            raise
        return httpx.Response(
            incoming.status, headers=incoming.headers, stream=_Arriving(incoming, self._end)
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
        stream = self._stream
        if stream is None or not self._free or time.monotonic() > self._until:
            return False
        # What TLS has unpacked already is nothing that the socket knows of.
        unpacked = stream.get_extra_info("ssl_object")
        waiting = unpacked is not None and unpacked.pending() > 0
        return not waiting and not stream.get_extra_info("is_readable")

    def _connect(self, extensions: Mapping[str, Any]) -> httpcore.NetworkStream:
        timeout, proxy = extensions["timeout"]["connect"], self._proxy
        host, port = (proxy.host, proxy.port) if proxy else (self._host, self._port)
        stream = _network.connect_tcp(host, port, timeout)
        if proxy and proxy.scheme == "https":
            stream = stream.start_tls(httpx.create_ssl_context(), proxy.host, timeout)
        if proxy and self._scheme == "https":
            self._tunnel(proxy, stream, extensions)
        if self._scheme == "https":
            name = extensions.get("sni_hostname") or self._host
            stream = stream.start_tls(self._context, name, timeout)
        return stream

    def _tunnel(
        self, proxy: Proxy, stream: httpcore.NetworkStream, extensions: Mapping[str, Any]
    ) -> None:
        """Have the proxy connect to the tracker. Raises httpcore's ProxyError where it does not."""
        talk = h11.Connection(h11.CLIENT, _LONGEST_HEADERS)
        headers = [(b"Host", self._where), *proxy.headers]
        asked = h11.Request(method="CONNECT", target=self._where, headers=headers)
        timeouts = extensions["timeout"]
        end = time.monotonic() + _PATIENCE * timeouts["connect"]
        try:
            written = talk.send(asked), talk.send(h11.EndOfMessage())
            stream.write(b"".join(part for part in written if part), extensions["timeout"]["write"])
            while isinstance(
                answer := _receive(talk, stream, extensions["timeout"]["read"], end),
                h11.InformationalResponse,
            ):
                pass  # the answer is still to come
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            stream.close()
            raise httpcore.ProxyError(str(error) or type(error).__name__) from error
        said = "what it answers is not HTTP"
        if isinstance(answer, h11.Response):
            if 200 <= answer.status_code < 300 and not talk.trailing_data[0]:
                return
            said = f"{answer.status_code} {answer.reason.decode('latin-1')}"
        stream.close()
        raise httpcore.ProxyError(said)

    def _send(self, stream: httpcore.NetworkStream, written: bytes, timeout: float) -> None:
        # Some servers hang up before they have read all, and tell why.
        with suppress(httpcore.WriteError):
            # The timeout is for each piece: over TLS a piece counts as a whole.
            for at in range(0, len(written), _AT_ONCE):
                stream.write(written[at : at + _AT_ONCE], timeout)

    def _written(self, request: httpx.Request) -> bytes:
        line = b"%b %b%b HTTP/1.1\r\n" % (
            request.method.encode(), self._origin, request.extensions["target"],
        )  # fmt: skip
        key = (*request.headers.raw, *self._added)
        lines = self._known.get(key)
        if lines is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            lines = self._known[key] = _lines(key)
        return b"".join([line, lines, *cast("Iterable[bytes]", request.stream)])

    def _end(self, incoming: Incoming) -> None:
        """The connection is free for the next request, or of no more use."""
        if incoming.is_last:
            self.close()
        else:
            self._until = time.monotonic() + self._keep_alive
            self._free = True
        incoming.close()


class _Arriving(httpx.SyncByteStream):
    """The body of an answer, as httpx wants it."""

    def __init__(self, incoming: Incoming, end: Callable[[Incoming], None]) -> None:
        self._incoming = incoming
        self._end = end

    def __iter__(self) -> Iterator[bytes]:
        return self._incoming.body()

    def close(self) -> None:
        """All has been read, or nobody wants the rest."""
        self._end(self._incoming)


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The headers as they are written, with the empty line. Raises ValueError where they cannot be.

    Checking them takes longer than all else that is done to a request.
    """
    talk = h11.Connection(h11.CLIENT)
    try:
        written = talk.send(h11.Request(method="GET", target="/", headers=list(headers)))
    except h11.LocalProtocolError as error:
        raise ValueError(str(error)) from error
    return (written or b"").partition(b"\r\n")[2]


def _receive(
    talk: h11.Connection, stream: httpcore.NetworkStream, timeout: float, end: float
) -> h11.Event | type[h11.PAUSED]:
    """What comes next from a proxy, until `end` on the clock that never goes back."""
    try:
        while (event := talk.next_event()) is h11.NEED_DATA:
            data = stream.read(_OF_HEADERS, timeout)
            if not data:
                raise httpcore.RemoteProtocolError("server disconnected without sending a response")
            if time.monotonic() > end:
                raise httpcore.ReadTimeout("it answers too slowly")
            talk.receive_data(data)
    except h11.RemoteProtocolError as error:
        raise httpcore.RemoteProtocolError(str(error)) from error
    return cast("h11.Event | type[h11.PAUSED]", event)
