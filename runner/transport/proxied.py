"""One connection through a proxy: httpcore opens it, and h11 speaks to the proxy.

Both come with httpx, and take a tenth of a short run to import: only where there is a proxy.
"""

from __future__ import annotations

import ssl
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, cast
from urllib.parse import unquote, urlsplit

import h11
import httpcore

from runner.transport.direct import PORTS, Direct
from runner.transport.lean import httpx
from runner.transport.link import Link

# Of what a proxy answers: bytes at most, at a time, and how many timeouts it may take.
_LONGEST_HEADERS = 16 * 1024
_OF_HEADERS = 4 * 1024
_PATIENCE = 4.0
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
        if parts.scheme not in PORTS or not parts.hostname:
            raise ValueError(f"{parts.scheme} is no way to speak to a proxy")
        headers = []
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers = [(b"Proxy-Authorization", b"Basic " + b64encode(pair.encode()))]
        return cls(parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme], headers)


class Proxied(Direct):
    """One connection through a proxy that speaks HTTP.

    A tracker in the clear is asked through it, one with TLS through a tunnel that it makes.
    """

    def __init__(
        self, url: httpx.URL, context: ssl.SSLContext, keep_alive: float, proxy: Proxy
    ) -> None:
        super().__init__(url, context, keep_alive)
        self._proxy = proxy
        host = f"[{self._host}]" if ":" in self._host else self._host
        self._where = f"{host}:{self._port}".encode()
        if not self._secure:
            # What is not inside a tunnel the proxy must be told in full, and let in each time.
            self._origin = b"http://" + bytes(url.netloc)
            self._added = proxy.headers

    def _connect(self, extensions: Mapping[str, Any]) -> Link:
        timeout, proxy = extensions["timeout"]["connect"], self._proxy
        with _in_words_of_httpx():
            stream = _network.connect_tcp(proxy.host, proxy.port, timeout)
            if proxy.scheme == "https":
                stream = stream.start_tls(httpx.create_ssl_context(), proxy.host, timeout)
            if self._secure:
                self._tunnel(stream, extensions)
                stream = stream.start_tls(self._context, self._name(extensions), timeout)
        return _Stream(stream)

    def _tunnel(self, stream: httpcore.NetworkStream, extensions: Mapping[str, Any]) -> None:
        """Have the proxy connect to the tracker. Raises httpcore's ProxyError where it does not."""
        talk = h11.Connection(h11.CLIENT, _LONGEST_HEADERS)
        headers = [(b"Host", self._where), *self._proxy.headers]
        asked = h11.Request(method="CONNECT", target=self._where, headers=headers)
        timeouts = extensions["timeout"]
        end = time.monotonic() + _PATIENCE * timeouts["connect"]
        try:
            written = talk.send(asked), talk.send(h11.EndOfMessage())
            stream.write(b"".join(part for part in written if part), timeouts["write"])
            while isinstance(
                answer := _receive(talk, stream, timeouts["read"], end), h11.InformationalResponse
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


class _Stream:
    """A stream of httpcore's as a link."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, most: int, timeout: float) -> bytes:
        with _in_words_of_httpx():
            return self._stream.read(most, timeout)

    def write(self, data: bytes, timeout: float) -> None:
        with _in_words_of_httpx():
            self._stream.write(data, timeout)

    def has_unread(self) -> bool:
        # What TLS has unpacked already is nothing that the system knows of.
        unpacked = self._stream.get_extra_info("ssl_object")
        waiting = unpacked is not None and unpacked.pending() > 0
        return waiting or bool(self._stream.get_extra_info("is_readable"))

    def close(self) -> None:
        self._stream.close()


@contextmanager
def _in_words_of_httpx() -> Iterator[None]:
    """Give httpcore's exceptions as httpx's, which have the same names."""
    try:
        yield
    except (
        *(httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError),
        *(httpcore.UnsupportedProtocol, httpcore.ProxyError),
    ) as error:
        raise getattr(httpx, type(error).__name__)(str(error)) from error


def _receive(
    talk: h11.Connection, stream: httpcore.NetworkStream, timeout: float, end: float
) -> h11.Event | type[h11.PAUSED]:
    """What comes next, until `end` on the clock that never goes back."""
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
