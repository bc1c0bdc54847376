"""One connection over libcurl, for those who ask for it.

It takes less time for each request, and front ends that refuse Python's way of greeting over TLS
let it pass. But libcurl does a few things by itself that must not happen here. It sends a request
once more where a connection that was kept turns out to be gone, also one that may have been
carried out: the guard before each sending stops that. It follows no redirect, keeps no cookie,
reads no netrc and no proxy of the environment, each because it is told so or not told to.
"""

from __future__ import annotations

import os
import select
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runner.errors import RunnerError
from runner.model import Fault, Reply
from runner.trackers import Tracker
from runner.transport.body import AnswerError, Body, GarbledError
from runner.transport.faults import CurlError, explain
from runner.transport.wire import Outgoing

pycurl: Any
try:
    import pycurl
except ImportError:
    pycurl = None

_LONGEST_HEADERS = 16 * 1024
_LOOK = 0.25  # seconds at most between two looks at what has come, so that signals are heeded
_NOTHING = Body(0, 0.0)
_NO_ANSWER = 52  # libcurl's code for a server that hangs up and says nothing
_NOT_THERE = "pip install 'keitaro-runner[curl]', or leave out transport"


class Maker:
    """Opens connections to one tracker."""

    def __init__(self, tracker: Tracker, keep_alive: float) -> None:
        if pycurl is None:
            raise RunnerError("the transport curl needs the package pycurl", _NOT_THERE)
        if not hasattr(pycurl, "PREREQFUNCTION"):
            raise RunnerError(
                f"this {pycurl.version.split()[0]} cannot keep libcurl from sending a call twice",
                "install pycurl 7.46 or newer, with libcurl 7.80 or newer",
            )
        self._tracker = tracker
        self._keep_alive = keep_alive
        self._options = _options(tracker)

    def open(self) -> Connection:
        """A connection that is made when it is first needed."""
        return Connection(self, self._tracker)

    def handle(self) -> Any:
        """What libcurl does its work with, for one connection. Raises RunnerError."""
        curl = pycurl.Curl()
        try:
            for option, value in self._options:
                curl.setopt(option, value)
        except (pycurl.error, ValueError, TypeError) as error:
            raise RunnerError(f"libcurl does not take an option: {error}", _NOT_THERE) from None
        curl.setopt(pycurl.MAXAGE_CONN, int(self._keep_alive))
        return curl


def _options(tracker: Tracker) -> list[tuple[int, Any]]:
    options = [
        (pycurl.NOSIGNAL, 1),
        (pycurl.FOLLOWLOCATION, 0),
        (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
        (pycurl.HTTP09_ALLOWED, 0),
        (pycurl.PATH_AS_IS, 1),
        (pycurl.MAXCONNECTS, 1),
        # Empty is none at all; left out, libcurl would look into the environment.
        (pycurl.PROXY, tracker.proxy or ""),
        (pycurl.NOPROXY, ""),
    ]
    parts = urlsplit(tracker.url)
    if tracker.resolve:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        address = f"[{tracker.resolve}]" if ":" in tracker.resolve else tracker.resolve
        options.append((pycurl.CONNECT_TO, [f"{parts.hostname}:{port}:{address}:{port}"]))
    if tracker.proxy and not _is_usable(tracker.proxy):
        raise RunnerError(
            "the proxy that the environment names cannot be used",
            "write HTTPS_PROXY=http://HOST:PORT, or exempt the tracker: NO_PROXY=its host",
        )
    if parts.scheme == "https":
        options += [(pycurl.SSL_VERIFYPEER, 1), (pycurl.SSL_VERIFYHOST, 2), *_authorities(tracker)]
    return options


def _is_usable(proxy: str) -> bool:
    try:
        parts = urlsplit(proxy)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _authorities(tracker: Tracker) -> list[tuple[int, Any]]:
    """The authorities that are trusted: the same as over httpx, each file looked at first."""
    import certifi  # noqa: PLC0415  (httpx brings it)

    folder, named = os.environ.get("SSL_CERT_DIR"), os.environ.get("SSL_CERT_FILE")
    file = named or (None if folder else certifi.where())
    try:
        if file is not None and (named or tracker.ca_file):
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
        if tracker.ca_file is not None:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=tracker.ca_file)
            known = Path(file).read_bytes() if file is not None else b""
            both = known + b"\n" + tracker.ca_file.read_bytes()
            return [(pycurl.CAINFO_BLOB, both), *([(pycurl.CAPATH, folder)] if folder else [])]
    except OSError as error:
        source = tracker.ca_file or "SSL_CERT_FILE or SSL_CERT_DIR"
        raise RunnerError(
            f"cannot read certificates from {source}: {error.strerror or error}",
            "name a file of PEM certificates",
        ) from None
    if file is None:
        return [(pycurl.CAINFO, None), (pycurl.CAPATH, folder)]
    return [(pycurl.CAINFO, str(file))]


class Connection:
    """One connection, used by one thread at a time."""

    def __init__(self, maker: Maker, tracker: Tracker) -> None:
        self._maker = maker
        self._curl = maker.handle()
        self._many = _many()
        self._socket = -1
        self._tracker = tracker
        parts = urlsplit(tracker.url)
        self._start = f"{parts.scheme}://{parts.netloc}"

    def exchange(
        self, outgoing: Outgoing, timeout: float, body: Body, meanwhile: Callable[[], None]
    ) -> Reply | Fault:
        """Send the request once. Raises ValueError where libcurl cannot write it down."""
        under_way = _UnderWay(body)
        if self._is_of_no_use():
            self._renew()
        if self._socket < 0:  # libcurl counts the time from the first look on
            meanwhile()
        self._set(outgoing, timeout, under_way)
        try:
            self._carry(under_way, timeout, meanwhile)
            body.end()
            if not under_way.status:
                raise CurlError(_NO_ANSWER, "no headers came to their end", sent=True)
        except (AnswerError, CurlError) as error:
            return explain(
                error, self._tracker, timeout, under_way.status or None, body.beginning()
            )
        except BaseException:  # midway: nothing of it may be left over
            self._renew()
            raise
        finally:
            under_way.body = _NOTHING  # which the connection, kept alive, would keep as well
        return Reply(under_way.status, under_way.headers, body.whole())

    def close(self) -> None:
        """Hang up."""
        self._many.close()
        self._curl.close()

    def _set(self, outgoing: Outgoing, timeout: float, under_way: _UnderWay) -> None:
        curl, headers = self._curl, [*outgoing.headers, (b"Expect", b"")]
        lines = [b"%s: %s" % pair if pair[1] else pair[0] + b":" for pair in headers]
        if any(b"\r" in line or b"\n" in line for line in lines):
            raise ValueError("a header holds a line break")
        curl.setopt(pycurl.URL, self._start.encode() + outgoing.target)
        if outgoing.content:
            curl.setopt(pycurl.POSTFIELDS, outgoing.content)
        else:
            curl.setopt(pycurl.HTTPGET, 1)
        curl.setopt(pycurl.CUSTOMREQUEST, outgoing.method)
        curl.setopt(pycurl.HTTPHEADER, lines)
        curl.setopt(pycurl.PREREQFUNCTION, under_way.may_leave)
        curl.setopt(pycurl.HEADERFUNCTION, under_way.header)
        curl.setopt(pycurl.WRITEFUNCTION, under_way.part)
        curl.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, round(timeout * 1000)))

    def _renew(self) -> None:
        """Begin anew: whatever libcurl keeps of connections and of what came over them is gone."""
        self.close()
        self._curl, self._many, self._socket = self._maker.handle(), _many(), -1

    def _is_of_no_use(self) -> bool:
        """Whether the server hung up meanwhile: there is something to read where nothing is due.

        libcurl looks too, but only once a second, and would find out by sending.
        """
        if self._socket < 0:
            return False
        look = select.poll()
        look.register(self._socket, select.POLLIN)
        return bool(look.poll(0))

    def _carry(self, under_way: _UnderWay, timeout: float, meanwhile: Callable[[], None]) -> None:
        """Do the exchange, looking up often enough. Raises AnswerError, CurlError."""
        many = self._many
        many.add_handle(self._curl)
        try:
            under_way.heard = time.monotonic()
            sent = 0
            while many.perform()[1]:
                if under_way.times:
                    before = time.monotonic()
                    meanwhile()
                    # What was done here was none of the tracker's silence.
                    under_way.heard += time.monotonic() - before
                left = under_way.heard + timeout - time.monotonic()
                if left <= 0:
                    progress = self._curl.getinfo(pycurl.SIZE_UPLOAD_T)
                    if progress == sent:
                        raise _timed_out(under_way)
                    sent, under_way.heard = progress, time.monotonic()
                    continue
                if many.select(min(left, _LOOK)) < 0:
                    time.sleep(0.005)  # nothing to wait for yet, as while a name is looked up
            meanwhile()  # where the answer was there at once, it has not been
            _, _, failed = many.info_read()
        finally:
            self._socket = self._curl.getinfo(pycurl.ACTIVESOCKET)
            many.remove_handle(self._curl)
        if under_way.trouble is not None:
            raise under_way.trouble
        if failed:
            raise self._error(under_way, failed[0][1], failed[0][2])

    def _error(self, under_way: _UnderWay, code: int, words: str) -> CurlError:
        info = self._curl.getinfo
        return CurlError(
            code,
            words,
            sent=under_way.times > 0,
            os_error=info(pycurl.OS_ERRNO),
            certificate=info(pycurl.SSL_VERIFYRESULT),
            proxy_status=info(pycurl.HTTP_CONNECTCODE),
        )


def _many() -> Any:
    """What carries the exchanges of one connection, and keeps no other."""
    many = pycurl.CurlMulti()
    many.setopt(pycurl.M_MAXCONNECTS, 1)
    return many


def _timed_out(under_way: _UnderWay) -> CurlError:
    return CurlError(pycurl.E_OPERATION_TIMEDOUT, "", sent=under_way.times > 0)


class _UnderWay:
    """What has come of one exchange; nothing may be raised in here, where libcurl calls."""

    def __init__(self, body: Body) -> None:
        self.body = body
        self._length = 0
        self._last = ""
        self._status = 0  # which counts once all headers are there
        self.status = 0
        self.headers: dict[str, str] = {}
        self.times = 0
        self.heard = 0.0
        self.trouble: AnswerError | None = None

    def may_leave(self, *_: object) -> int:
        """Whether the request may be sent: the first time, and not once more."""
        self.times += 1
        refused: int = pycurl.PREREQFUNC_ABORT
        allowed: int = pycurl.PREREQFUNC_OK
        return allowed if self.times == 1 else refused

    def header(self, line: bytes) -> int:
        """Take a line of the headers; another number than its length ends the exchange."""
        self.heard = time.monotonic()
        if not self.times:  # what a proxy answers before anything has left
            return len(line)
        self._length += len(line)
        if self._length > _LONGEST_HEADERS:
            most = f"{_LONGEST_HEADERS // 1024} KiB"
            self.trouble = GarbledError(f"its headers are longer than {most}")
            return 0
        text = line.decode("latin-1").rstrip("\r\n")
        if line.startswith(b"HTTP/"):
            words = text.split(None, 2)
            self._status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
            self.headers, self._last = {}, ""
        elif text[:1] in (" ", "\t") and self._last:  # a line that goes on
            self.headers[self._last] += " " + text.strip()
        elif text:
            name, _, value = text.partition(":")
            self._last = key = name.strip().lower()
            value = value.strip()
            found = self.headers
            found[key] = f"{found[key]}, {value}" if key in found else value
        elif self._status >= 200:
            self.status = self._status
            return self._guarded(self._begin, line)
        return self._guarded(lambda _: self.body.check_time(), line)

    def _begin(self, _line: bytes) -> None:
        self.body.begin(self.headers.get("content-encoding", ""))

    def part(self, part: bytes) -> int:
        """Take a part of the body; another number than its length ends the exchange."""
        self.heard = time.monotonic()
        return self._guarded(self.body.take, part)

    def _guarded(self, take: Callable[[bytes], None], part: bytes) -> int:
        try:
            take(part)
        except AnswerError as error:
            self.trouble = error
            return -1
        return len(part)
