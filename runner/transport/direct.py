"""One connection as a transport of httpx: Python's sockets carry it, httptools reads."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, cast

from runner.transport.incoming import Incoming
from runner.transport.lean import httpx
from runner.transport.link import Link, Socket

PORTS = {"http": 80, "https": 443}
_AT_ONCE = 64 * 1024  # bytes that are written at a time
_MOST_KNOWN = 256
# RFC 9110: what a header's name is made of, and what its value cannot hold.
_NAMES = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CONTROLS = bytes({*range(32), 127} - {9})


class Direct(httpx.BaseTransport):
    """One connection, straight to the tracker.

    Left out of what `httpx.HTTPTransport` is is what several connections need (pool, states, locks,
    a trace of every part), and what reads in Python: together more than half of the time of a
    request. And a request leaves in one piece, which saves the server a read.

    What is asked for is the extension `target`, path and query, with the pairs of `headers`, which
    are those of the request as they are written; the extension `arrived` is called whenever
    something of the answer has, and `meanwhile` before anything is waited for. Raises httpx's
    exceptions, and ValueError for a request that cannot be written down.
    """

    def __init__(self, url: httpx.URL, context: ssl.SSLContext, keep_alive: float) -> None:
        # Not `url.host`, which is decoded: encoded anew it may be the name of somebody else.
        self._host = url.raw_host.decode("ascii")
        self._port = url.port or PORTS[url.scheme]
        self._secure = url.scheme == "https"
        self._context = context
        self._origin = b""
        self._added: list[tuple[bytes, bytes]] = []
        self._keep_alive = keep_alive
        self._link: Link | None = None
        self._until = 0.0
        self._free = False
        self._lines = lru_cache(_MOST_KNOWN)(_lines)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, over a new connection where the last one is of no more use."""
        meanwhile = request.extensions["meanwhile"]
        usable, self._free = self._is_usable(), False
        if not usable:
            self.close()
        try:
            written = self._written(request)
            link = self._link
            if link is None:
                meanwhile()
                link = self._link = self._connect(request.extensions)
            self._send(link, written, request.extensions["timeout"]["write"])
            meanwhile()
            incoming = Incoming(link, request.extensions)
            incoming.read_head()
        except BaseException:
            self.close()
            raise
        return httpx.Response(
            incoming.status, headers=incoming.headers, stream=_Arriving(incoming, self._end)
        )

    def close(self) -> None:
        """Hang up."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def _is_usable(self) -> bool:
        """Whether the exchange before came to its end, not long ago, and the server still waits.

        Where nothing is due and there is something to read, that is the server hanging up.
        """
        if self._link is None or not self._free or time.monotonic() > self._until:
            return False
        return not self._link.has_unread()

    def _connect(self, extensions: Mapping[str, Any]) -> Link:
        context = self._context if self._secure else None
        timeout = extensions["timeout"]["connect"]
        return Socket(self._host, self._port, timeout, context, self._name(extensions))

    def _name(self, extensions: Mapping[str, Any]) -> str:
        """Who the tracker must say that it is."""
        return extensions.get("sni_hostname") or self._host

    def _send(self, link: Link, written: bytes, timeout: float) -> None:
        # Some servers hang up before they have read all, and tell why.
        with suppress(httpx.WriteError):
            # The timeout is for each piece: over TLS a piece counts as a whole.
            for at in range(0, len(written), _AT_ONCE):
                link.write(written[at : at + _AT_ONCE], timeout)

    def _written(self, request: httpx.Request) -> bytes:
        line = b"%b %b%b HTTP/1.1\r\n" % (
            request.method.encode(), self._origin, request.extensions["target"],
        )  # fmt: skip
        key = request.extensions["headers"]
        if self._added:
            key = (*key, *self._added)
        return b"".join([line, self._lines(key), *cast("Iterable[bytes]", request.stream)])

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

    Nothing may end a line early: what follows would be a header, or a request, of its own.
    """
    written = []
    for name, value in headers:
        if not name or name.translate(None, _NAMES):
            raise ValueError(f"a header cannot be named {name.decode('latin-1')!r}")
        if value != value.strip(b" \t") or len(value.translate(None, _CONTROLS)) != len(value):
            raise ValueError(f"the value of the header {name.decode()} cannot be written down")
        written.append(b"%b: %b\r\n" % (name, value))
    return b"".join([*written, b"\r\n"])
