"""One connection over httpx: a transport of it, without `httpx.Client` around it.

What the client adds must not happen here (redirects, cookies, netrc, proxies of its own choice),
and costs a third of the time.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from threading import Lock
from typing import Any, cast
from urllib.parse import urlsplit

from runner.errors import RunnerError
from runner.model import Fault, Reply
from runner.trackers import Tracker
from runner.transport.body import AnswerError, Body
from runner.transport.direct import Direct
from runner.transport.faults import explain
from runner.transport.lean import httpx
from runner.transport.wire import Outgoing

_MOST_KNOWN = 256
_TROUBLE = (httpx.HTTPError, httpx.StreamError, AnswerError)


class Maker:
    """Opens connections to one tracker; what they share is made once."""

    def __init__(self, tracker: Tracker, keep_alive: float) -> None:
        self._tracker = tracker
        self._keep_alive = keep_alive
        self._context: ssl.SSLContext | None = None
        self._lock = Lock()
        # httpx looks at each header anew, and most requests have the same.
        self._headers = lru_cache(_MOST_KNOWN)(httpx.Headers)
        parts = urlsplit(tracker.url)
        self._extensions: dict[str, Any] = {}
        self._start = f"{parts.scheme}://{parts.netloc}"
        if tracker.resolve:
            self._start = _moved(self._start, tracker.resolve)
            self._extensions["sni_hostname"] = parts.hostname
        # Reading a URL costs as much as sending it, so it is read once and only the target is
        # handed on. One that goes by SOCKS, which is httpcore's to speak, takes the whole of it.
        socks = (tracker.proxy or "").startswith("socks")
        self._url = None if socks else httpx.URL(self._start)
        # Whether what sends the request tells when it begins to wait; httpcore does not.
        self.tells = not socks

    def open(self) -> Connection:
        """A connection that is made when it is first needed. Raises RunnerError."""
        try:
            return Connection(self, self._transport(), self._tracker)
        except (ImportError, ValueError, httpx.InvalidURL):
            raise RunnerError(
                "the proxy that the environment names cannot be used",
                "write HTTPS_PROXY=http://HOST:PORT (SOCKS needs the package socksio), "
                "or exempt the tracker: NO_PROXY=its host",
            ) from None

    def _transport(self) -> httpx.BaseTransport:
        named = self._tracker.proxy
        if self._url is not None:
            if not named:
                return Direct(self._url, self._tls(), self._keep_alive)
            # Only where there is one: what speaks to it takes time to import.
            from runner.transport.proxied import Proxied, Proxy  # noqa: PLC0415

            return Proxied(self._url, self._tls(), self._keep_alive, Proxy.read(named))
        limits = httpx.Limits(
            max_connections=1, max_keepalive_connections=1, keepalive_expiry=self._keep_alive
        )
        return httpx.HTTPTransport(verify=self._tls(), trust_env=False, limits=limits, proxy=named)

    def request(
        self,
        outgoing: Outgoing,
        timeout: float,
        arrived: Callable[[], None],
        meanwhile: Callable[[], None],
    ) -> httpx.Request:
        """The request as httpx has it. Raises ValueError, or httpx's InvalidURL."""
        written = tuple(outgoing.headers)
        extensions = {
            **self._extensions, "timeout": _timeouts(timeout), "headers": written,
            "arrived": arrived, "meanwhile": meanwhile,
        }  # fmt: skip
        url: httpx.URL | str = self._start + outgoing.target.decode()
        if self._url is not None:
            url = self._url
            extensions["target"] = outgoing.target
        return httpx.Request(
            outgoing.method,
            url,
            headers=self._headers(written),
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

    def exchange(
        self, outgoing: Outgoing, timeout: float, body: Body, meanwhile: Callable[[], None]
    ) -> Reply | Fault:
        """Send the request once. Raises ValueError where httpx cannot write it down."""
        try:
            request = self._maker.request(outgoing, timeout, body.check_time, meanwhile)
        except httpx.InvalidURL as error:
            raise ValueError(str(error)) from error
        if not self._maker.tells:
            meanwhile()
        status = None
        try:
            answer = self._transport.handle_request(request)
            # Closed by itself: the answer would make a context to name the request in errors.
            stream = cast("httpx.SyncByteStream", answer.stream)
            try:
                status, headers = answer.status_code, _plain(answer.headers.raw)
                body.begin(headers.get("content-encoding", ""))
                for chunk in stream:
                    body.take(chunk)
                body.end()
            finally:
                stream.close()
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
