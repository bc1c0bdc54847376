"""Transport: what leaves, what comes back, and every way in which it may not."""

from __future__ import annotations

import base64
import gzip
import json
import math
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
import respx
import trustme
from respx.mocks import AbstractRequestMocker

from runner import __version__
from runner.errors import RunnerError
from runner.model import Fault, FaultKind, Reply, Request
from runner.trackers import Tracker
from runner.trackers.tracker import TRANSPORTS
from runner.transport import Limits, Transport
from runner.transport.body import AnswerError, Body
from runner.transport.faults import RULES, explain
from runner.transport.over_httpx import Connection, Direct, Maker
from runner.transport.wire import Outgoing

KEY = "3f2a9c0d4b5e6f708192a3b4c5d6e7f8"
TRACKER = Tracker("main", "https://t.example.com", KEY)
URL = "https://t.example.com/admin_api/v1/campaigns"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

Handler = Callable[[socket.socket, bytes], None]


@pytest.fixture(autouse=True, params=TRANSPORTS)
def carrier(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each test is run over each transport; where respx stands in for httpx, over httpx alone."""
    name: str = request.param
    if name == "curl":
        pytest.importorskip("pycurl")
        if "httpx_only" in request.keywords:
            pytest.skip("respx stands in for httpx")
    monkeypatch.setattr(sys.modules[__name__], "TRACKER", replace(TRACKER, transport=name))
    return name


httpx_only = pytest.mark.httpx_only

_EXTENSIONS = {
    "target": b"/",
    "timeout": {"connect": 5, "read": 5, "write": 5},
    "arrived": lambda: None,
    "meanwhile": lambda: None,
}


class _DirectMocker(AbstractRequestMocker):
    """Has respx answer in place of the transport that is ours."""

    name = "direct"
    targets: ClassVar = ["runner.transport.over_httpx.Direct"]
    target_methods: ClassVar = ["handle_request"]

    @classmethod
    def to_httpx_request(cls, **given: Any) -> httpx.Request:
        request: httpx.Request = given["request"]
        url = request.url.join(request.extensions["target"].decode())
        return httpx.Request(request.method, url, headers=request.headers, stream=request.stream)

    @classmethod
    def from_sync_httpx_response(cls, response: Any, _direct: object, **_: object) -> Any:
        return response


@pytest.fixture
def mocked() -> Iterator[respx.MockRouter]:
    """Routes that answer in place of a tracker."""
    with respx.mock(using=_DirectMocker.name) as router:
        yield router


def _answers(*parts: bytes) -> Handler:
    """A handler that sends the parts and leaves the connection open."""

    def handle(connection: socket.socket, _request: bytes) -> None:
        for part in parts:
            connection.sendall(part)

    return handle


def _hangs_up(*parts: bytes) -> Handler:
    """A handler that sends the parts and closes the connection."""

    def handle(connection: socket.socket, request: bytes) -> None:
        _answers(*parts)(connection, request)
        connection.shutdown(socket.SHUT_RDWR)

    return handle


def _resets(*parts: bytes) -> Handler:
    """A handler that sends the parts and resets the connection."""

    def handle(connection: socket.socket, request: bytes) -> None:
        _answers(*parts)(connection, request)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()

    return handle


class Server:
    """A real server on loopback: one thread a connection, `handle` for each request."""

    def __init__(self, handle: Handler, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._handle = handle
        self._context = context
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            while request := _one_request(connection):
                self.requests.append(request)
                self._handle(connection, request)
        except OSError:
            pass
        finally:
            connection.close()

    def close(self) -> None:
        """Hang up, and wait until every thread has noticed."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self._threads:
            thread.join()


def _one_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line[15:] for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"]
    while lengths and len(body) < int(lengths[0]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def _serving(handle: Handler, context: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(handle, context)
    try:
        yield server
    finally:
        server.close()


def _plain(server: Server, **changes: object) -> Tracker:
    return replace(TRACKER, url=f"http://127.0.0.1:{server.port}", timeout=5.0, **changes)


def _send(tracker: Tracker, request: Request | None = None, **limits: float) -> Reply | Fault:
    wanted = request or Request("GET", f"{tracker.api}/campaigns")
    with Transport(tracker, limits=Limits(**limits)) as transport:
        return transport.send(wanted)


def _fault(tracker: Tracker, **limits: float) -> Fault:
    fault = _send(tracker, **limits)
    assert isinstance(fault, Fault)
    assert KEY not in repr(fault)
    assert fault.hint
    return fault


def _with(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


# --- what leaves ------------------------------------------------------------------------------


@httpx_only
def test_a_request_leaves_with_key_and_compact_json(mocked: respx.MockRouter) -> None:
    """The key is a header, the body compact UTF-8; nothing else is added."""
    route = mocked.post(URL).respond(200, json={"id": 5}, headers=[("X-A", "1"), ("x-a", "2")])
    reply = _send(TRACKER, Request("POST", URL, {"name": "Запуск", "n": [1, None]}))
    assert isinstance(reply, Reply)
    assert (reply.status, json.loads(reply.body), reply.headers["x-a"]) == (200, {"id": 5}, "1, 2")
    sent = route.calls.last.request
    body = '{"name":"Запуск","n":[1,null]}'.encode()
    assert sent.content == body
    assert dict(sent.headers) == {
        "host": "t.example.com",
        "api-key": KEY,
        "user-agent": f"keitaro-runner/{__version__}",
        "accept": "application/json",
        "accept-encoding": "gzip",
        "content-type": "application/json",
        "content-length": str(len(body)),
    }


def test_a_call_without_a_body_says_so_where_it_must() -> None:
    """POST without a body has a length of 0; GET and DELETE have neither body nor length."""
    with _serving(_answers(OK)) as server:
        tracker = _plain(server, user_agent="Mozilla/5.0")
        for method in ("POST", "GET", "DELETE"):
            assert _send(tracker, Request(method, f"{tracker.api}/x?y=%20z")).status == 200
    post, *others = server.requests
    assert b"Content-Length: 0\r\n" in post
    assert b"POST /admin_api/v1/x?y=%20z HTTP/1.1\r\n" in post
    assert b"User-Agent: Mozilla/5.0\r\n" in post
    assert not any(b"Content-" in other for other in others)


@httpx_only
def test_a_request_may_bring_its_own_harmless_headers(mocked: respx.MockRouter) -> None:
    """A header of the request replaces the usual one."""
    route = mocked.get(URL).respond(200)
    _send(TRACKER, Request("GET", URL, headers={"Accept": "application/zip", "X-Note": "1"}))
    headers = route.calls.last.request.headers
    assert (headers["accept"], headers["x-note"], headers["api-key"]) == (
        "application/zip",
        "1",
        KEY,
    )


@pytest.mark.parametrize(
    "name", ["Api-Key", "authorization", "HOST", "Content-Length", "Host:x", "Upgrade"]
)
def test_headers_that_belong_to_the_transport_cannot_be_set(name: str) -> None:
    """Nobody else decides about the key and where it goes."""
    with pytest.raises(RunnerError, match="cannot be set by a request"):
        _send(TRACKER, Request("GET", URL, headers={name: "x"}))


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example.com/admin_api/v1/campaigns",
        "https://t.example.com.evil.com/x",
        "https://t.example.com@evil.com/x",
        "https://t.example.com:8443/x",
        "http://t.example.com/x",
        "https://t.example.com",
        "/admin_api/v1/campaigns",
    ],
)
def test_the_key_never_leaves_for_another_address(url: str) -> None:
    """A URL that is not the tracker's own is a bug, and is stopped before anything is sent."""
    with pytest.raises(RunnerError, match="another address") as caught:
        _send(TRACKER, Request("GET", url))
    assert KEY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "request_",
    [
        Request("POST", URL, {"x": math.nan}),
        Request("POST", URL, {"x": object()}),
        Request("POST", URL, {"x": "\ud800"}),
        Request("GET", URL + "/a\nb"),
        Request("GET", URL + "/" + "a" * 70_000),
        Request("GET", URL, headers={"X-Note": "é"}),
    ],
    ids=["NaN", "object", "surrogate", "line break", "too long", "header"],
)
def test_what_cannot_be_written_down_is_a_fault(request_: Request) -> None:
    """A body or URL that HTTP cannot carry is told as a failed call of which nothing was sent."""
    fault = _send(TRACKER, request_)
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.sent) == (FaultKind.PROTOCOL, False)
    assert "cannot be written down" in fault.message


def test_a_header_with_a_line_break_never_leaves() -> None:
    """Header injection ends in a fault."""
    with _serving(_answers(OK)) as server:
        tracker = _plain(server)
        fault = _send(tracker, Request("GET", f"{tracker.api}/x", headers={"X": "a\r\nY: b"}))
    assert isinstance(fault, Fault)
    assert server.requests == []


@httpx_only
def test_redirects_are_not_followed_and_cookies_not_kept(mocked: respx.MockRouter) -> None:
    """A redirect is an answer like any other, and each request stands alone."""
    headers = {"Location": "https://evil.example.com/", "Set-Cookie": "a=b"}
    route = mocked.get(URL).respond(302, headers=headers)
    with Transport(TRACKER) as transport:
        replies = [transport.send(Request("GET", URL)) for _ in range(2)]
    assert [reply.status for reply in replies] == [302, 302]
    assert "cookie" not in route.calls.last.request.headers


def test_connections_are_kept_alive_and_shared_by_threads() -> None:
    """There are as many connections as requests at once, whichever threads they come from."""
    with _serving(_answers(OK)) as server, Transport(_plain(server)) as transport:
        request = Request("GET", f"http://127.0.0.1:{server.port}/x")
        for _ in range(3):
            with ThreadPoolExecutor(1) as pool:
                list(pool.map(transport.send, [request] * 5))
        assert server.connections == 1
        with ThreadPoolExecutor(4) as pool:
            replies = list(pool.map(transport.send, [request] * 40))
        assert {reply.status for reply in replies} == {200}
        assert server.connections <= 4


def test_a_client_can_be_made_ahead() -> None:
    """Warming connects to nothing, and a closed transport leaves nothing open."""
    with _serving(_answers(OK)) as server:
        transport = Transport(_plain(server))
        transport.warm()
        assert server.connections == 0
        assert transport.send(Request("GET", f"http://127.0.0.1:{server.port}/x")).status == 200
        transport.close()
        transport.warm()  # after the end: closed at once
        assert not transport._idle


def test_importing_the_transport_does_not_import_httpx() -> None:
    """A command that sends nothing does not pay for what sending takes."""
    code = "import sys, runner.transport; print({'httpx', 'ssl', 'yaml'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_repr_shows_no_key() -> None:
    """A transport can be logged."""
    assert repr(Transport(TRACKER)) == "Transport(https://t.example.com)"


# --- what comes back --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (_with(gzip.compress(b"[1]"), "Content-Encoding: gzip"), b"[1]"),
        (_with(gzip.compress(b"[1,") + gzip.compress(b"2]"), "Content-Encoding: x-gzip"), b"[1,2]"),
        (_with(b"", "Content-Encoding: gzip"), b""),
        (_with(b"[1]", "Content-Encoding: identity"), b"[1]"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n2\r\n1]\r\n0\r\n\r\n",
            b"[1]",
        ),
    ],
    ids=["gzip", "two gzips", "nothing", "identity", "chunked"],
)
def test_answers_are_unpacked(answer: bytes, body: bytes) -> None:
    """A packed or chunked answer arrives as what it was."""
    with _serving(_answers(answer)) as server:
        reply = _send(_plain(server))
    assert isinstance(reply, Reply)
    assert reply.body == body


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (_with(b"{}", "Content-Encoding: br"), "packed as 'br', which was not asked for"),
        (_with(b"no gzip", "Content-Encoding: gzip"), "cannot be unpacked"),
        (_with(gzip.compress(b"[1]" * 99)[:-20], "Content-Encoding: gzip"), "stops early"),
    ],
    ids=["br", "no gzip", "cut gzip"],
)
def test_answers_that_cannot_be_unpacked_are_faults(answer: bytes, told: str) -> None:
    """What is garbled is told so, with the status that had come."""
    with _serving(_answers(answer)) as server:
        fault = _fault(_plain(server))
    assert (fault.kind, fault.sent, fault.status) == (FaultKind.PROTOCOL, True, 200)
    assert told in fault.message


def _bomb() -> Iterator[bytes]:
    """A gigabyte of zeros, a thousandth of that when packed."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    for _ in range(1024):
        yield packer.compress(bytes(1 << 20))


def test_a_bomb_is_cut() -> None:
    """A packed gigabyte is given up as soon as it passes the limit, its beginning kept."""

    def handle(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
        for part in _bomb():
            connection.sendall(part)

    with _serving(handle) as server:
        fault = _fault(_plain(server), body=1 << 20)
    assert (fault.kind, fault.sent, fault.status) == (FaultKind.TOO_LARGE, True, 200)
    assert fault.body == bytes(64 * 1024)
    assert "more than 1048576 bytes" in fault.message


def test_an_answer_as_long_as_the_limit_is_taken() -> None:
    """The limit itself is allowed; one byte more is not, packed or not."""
    for size, kind in ((100, Reply), (101, Fault)):
        for answer in (
            _with(b"x" * size),
            _with(gzip.compress(b"x" * size), "Content-Encoding: gzip"),
        ):
            with _serving(_answers(answer)) as server:
                assert isinstance(_send(_plain(server), body=100), kind)


@pytest.mark.parametrize(
    ("head", "drop", "status"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"x", 200),
        (b"HTTP/1.1 200 OK\r\n", b"X-Drop: 1\r\n", None),
        (b"", b"HTTP/1.1 102 Processing\r\n\r\n", None),
    ],
    ids=["body", "headers", "interim answers"],
)
def test_an_endless_answer_is_given_up(head: bytes, drop: bytes, status: int | None) -> None:
    """Bytes that drip in for ever do not hold the run for ever, whichever part they are of."""
    stop = threading.Event()

    def drip(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(head)
        while not stop.wait(0.01):
            connection.sendall(drop)

    with _serving(drip) as server:
        fault = _fault(_plain(server), patience=0.02)
        stop.set()
    assert (fault.kind, fault.sent, fault.status) == (FaultKind.TIMEOUT, True, status)
    assert fault.body.startswith(b"xx" if status else b"")
    assert "too slowly" in fault.message


def test_what_follows_an_answer_is_nobodys(carrier: str) -> None:
    """Bytes after the end of an answer are not taken for the beginning of the next one."""
    with _serving(_answers(OK + b"HTTP/1.1 500 Late\r\n\r\n")) as server:
        tracker = _plain(server)
        with Transport(tracker) as transport:
            replies = [transport.send(Request("GET", f"{tracker.api}/x")) for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 200], carrier


# --- what does not ------------------------------------------------------------------------------


def test_bytes_that_come_late_are_nobodys() -> None:
    """What a server sends of itself between two requests is not the answer to the second."""
    sent = threading.Event()

    def handle(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(OK)
        if not sent.is_set():
            time.sleep(0.02)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nLATE")
            sent.set()

    with _serving(handle) as server:
        tracker = _plain(server)
        with Transport(tracker) as transport:
            replies = [transport.send(Request("GET", f"{tracker.api}/x"))]
            assert sent.wait(5)
            time.sleep(0.02)
            replies += [transport.send(Request("GET", f"{tracker.api}/x")) for _ in range(3)]
    assert [reply.body for reply in replies] == [b"{}"] * 4


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="there is no /proc here")
def test_a_server_that_hangs_up_each_time_leaves_nothing_behind() -> None:
    """However often a connection is replaced, no more than one is open."""
    closed = threading.Semaphore(0)

    def handle(connection: socket.socket, request: bytes) -> None:
        _hangs_up(OK)(connection, request)
        connection.close()
        closed.release()

    with _serving(handle) as server:
        tracker = _plain(server)
        with Transport(tracker) as transport:
            before = len(list(Path("/proc/self/fd").iterdir()))
            for _ in range(20):
                assert transport.send(Request("GET", f"{tracker.api}/x")).status == 200
                assert closed.acquire(timeout=5)
            assert len(list(Path("/proc/self/fd").iterdir())) - before < 10


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\nX: y\r\n", b"HTTP/1.1 100 Continue\r\n\r\n",
     b"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\n"],
    ids=["half", "interim", "interim and half"],
)  # fmt: skip
def test_headers_that_do_not_end_are_no_answer(head: bytes) -> None:
    """A server that hangs up amidst its headers has not answered."""
    with _serving(_hangs_up(head)) as server:
        fault = _fault(_plain(server))
    assert (fault.kind, fault.sent, fault.status) == (FaultKind.RESET, True, None)
    assert "without sending a response" in fault.message


@httpx_only
def test_a_server_that_wants_another_protocol() -> None:
    """An answer that is none of HTTP's is given up at once, whatever was asked for."""
    with _serving(_answers(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n")) as server:
        url = httpx.URL(f"http://127.0.0.1:{server.port}")
        direct = Direct(url, ssl.create_default_context(), 5)
        headers = ((b"Host", b"t"), (b"Upgrade", b"x"), (b"Connection", b"upgrade"))
        request = httpx.Request("GET", url, extensions={**_EXTENSIONS, "headers": headers})
        with pytest.raises(httpx.RemoteProtocolError, match="another protocol"):
            direct.handle_request(request)
        direct.close()


def test_a_line_of_spaces_stops_nobody() -> None:
    """What takes long to read is refused, so that no thread waits for it."""
    line = b"HTTP/1.1 200 OK\r\nX:" + b" " * 90_000 + b"\0\r\n\r\n"
    began = time.monotonic()
    with _serving(_answers(line)) as server:
        fault = _fault(_plain(server))
    assert (fault.kind, len(fault.message) < 500) == (FaultKind.PROTOCOL, True)
    assert time.monotonic() - began < 10


def test_what_is_slow_to_leave_may_be_answered() -> None:
    """The patience for an answer begins with it, and not while the request is being sent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                left = 1_000_000
                while left > 0:
                    left -= len(connection.recv(50_000))
                    time.sleep(0.01)
                connection.sendall(OK)
                connection.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        tracker = replace(TRACKER, url=f"http://127.0.0.1:{port}", timeout=5)
        with Transport(tracker, limits=Limits(patience=0.02)) as transport:
            body = {"x": "y" * 1_000_000}
            reply = transport.send(Request("POST", f"{tracker.api}/x", body))
        thread.join()
    assert isinstance(reply, Reply), reply


def test_small_parts_take_little_memory() -> None:
    """An answer that comes a byte at a time takes no more than its size, and a bit."""
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    count = 20_000
    with _serving(_answers(answer + b"1\r\nx\r\n" * count + b"0\r\n\r\n")) as server:
        _send(_plain(server))
        tracemalloc.start()
        try:
            reply = _send(_plain(server))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert len(reply.body) == count
    assert peak < 60 * count


def test_what_unpacks_to_nothing_ends_too() -> None:
    """Packed bytes count as well: empty ones, one after the other, are no answer."""
    body = Body(10_000, 60)
    body.begin("gzip")
    nothing = gzip.compress(b"")
    with pytest.raises(AnswerError, match="more than 10000 bytes"):
        body.take(nothing * 1000)


def test_silence_is_a_timeout() -> None:
    """A tracker that takes the request and says nothing may have done it."""
    with _serving(_answers()) as server:
        tracker = _plain(server)
        fault = _send(tracker, Request("GET", f"{tracker.api}/x", timeout=0.05))
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.sent, fault.status) == (FaultKind.TIMEOUT, True, None)
    assert fault.message == f"nothing came from 127.0.0.1:{server.port} for 0.05 s"


@pytest.mark.parametrize(
    ("handle", "kind", "status", "body", "told"),
    [
        (_hangs_up(), FaultKind.RESET, None, b"", "disconnected without sending a response"),
        (_resets(), FaultKind.RESET, None, b"", "reset by peer"),
        (_hangs_up(_with(b"12345")[:-2]), FaultKind.RESET, 200, b"123", "had begun to answer 200"),
        (_resets(_with(b"12345")[:-2]), FaultKind.RESET, ..., ..., "lost"),
        (_hangs_up(b"nonsense\r\n\r\n"), FaultKind.PROTOCOL, None, b"", "is not HTTP"),
        (_hangs_up(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000), ..., None, b"", "t"),
        (
            _hangs_up(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nzz\r\n"),
            *(FaultKind.PROTOCOL, 200, b"ab", "is not HTTP"),
        ),
    ],
    ids=["closed", "reset", "cut", "reset inside", "nonsense", "endless header", "bad chunk"],
)
def test_a_connection_that_breaks_is_told_as_it_was(
    handle: Handler, kind: object, status: object, body: object, told: str
) -> None:
    """Whatever breaks after the request left counts as sent, and what had arrived is kept."""
    with _serving(handle) as server:
        fault = _fault(_plain(server))
    assert fault.sent is True
    assert kind in (..., fault.kind)
    assert status in (..., fault.status)
    assert body in (..., fault.body)
    assert told in fault.message


def test_a_connection_that_was_closed_while_idle_is_replaced() -> None:
    """The next request finds the connection closed, and opens another without a fault."""
    closed = threading.Event()

    def handle(connection: socket.socket, request: bytes) -> None:
        _hangs_up(OK)(connection, request)
        closed.set()

    with _serving(handle) as server, Transport(_plain(server)) as transport:
        request = Request("GET", f"http://127.0.0.1:{server.port}/x")
        assert transport.send(request).status == 200
        assert closed.wait(5)
        assert transport.send(request).status == 200
        assert server.connections == 2


@httpx_only
def test_a_connection_that_was_left_midway_is_replaced() -> None:
    """Where an answer was never read to its end, the next request does not read the rest of it."""
    with _serving(_answers(OK)) as server:
        url = httpx.URL(f"http://127.0.0.1:{server.port}")
        direct = Direct(url, ssl.create_default_context(), 5)
        headers = ((b"Host", b"t"),)
        request = httpx.Request("GET", url, extensions={**_EXTENSIONS, "headers": headers})
        direct.handle_request(request)  # as if what reads it had been interrupted
        assert direct.handle_request(request).read() == b"{}"
        assert direct.handle_request(request).read() == b"{}"
        direct.close()
        assert server.connections == 2


def test_there_is_time_while_an_answer_is_waited_for() -> None:
    """Who sends a request may do something else once it has left, on a kept connection as well."""
    idle = threading.Event()

    def handle(connection: socket.socket, request: bytes) -> None:
        assert idle.wait(5)
        idle.clear()
        _answers(OK)(connection, request)

    with _serving(handle) as server, Transport(_plain(server)) as transport:
        request = Request("GET", f"http://127.0.0.1:{server.port}/x")
        assert transport.prepare(request)(idle.set).status == 200
        idle.clear()
        assert transport.prepare(request)(idle.set).status == 200
        assert server.connections == 1


def test_what_is_done_meanwhile_is_no_silence_of_the_tracker() -> None:
    """Who reads the report may be slow, and the answer has long come."""
    with _serving(_answers(OK)) as server, Transport(_plain(server)) as transport:
        url = f"http://127.0.0.1:{server.port}/x"
        for method in ("GET", "DELETE"):
            request = Request(method, url, timeout=0.2)
            assert isinstance(transport.prepare(request)(lambda: time.sleep(0.5)), Reply)


@httpx_only
def test_there_is_time_before_a_connection_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tracker that cannot be reached may take long to say so."""
    order: list[str] = []

    def connect(*_: object) -> None:
        order.append("connect")
        raise OSError

    monkeypatch.setattr(socket, "create_connection", connect)
    with Transport(replace(TRACKER, url="http://t.example")) as transport:
        request = Request("GET", "http://t.example/admin_api/v1/campaigns")
        assert isinstance(transport.prepare(request)(lambda: order.append("time")), Fault)
    assert order == ["time", "connect"]


@httpx_only
def test_there_is_time_before_httpcore_sends() -> None:
    """Where a proxy speaks SOCKS the whole exchange is one call, and what can be done comes first."""
    order: list[str] = []

    class Sends(httpx.BaseTransport):
        def handle_request(self, _: httpx.Request) -> httpx.Response:
            order.append("sent")
            return httpx.Response(200, stream=httpx.ByteStream(b"{}"))

    outgoing = Outgoing("GET", b"/x", [(b"Host", b"t")], b"")
    tracker = replace(TRACKER, proxy="socks5://127.0.0.1")
    connection = Connection(Maker(tracker, 5), Sends(), tracker)
    reply = connection.exchange(outgoing, 5, Body(99, 5), lambda: order.append("time"))
    assert (reply.status, order) == (200, ["time", "sent"])


def test_a_refused_connection_is_not_sent() -> None:
    """Nothing listens there, so nothing was done."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    fault = _fault(replace(TRACKER, url=f"http://127.0.0.1:{port}"))
    assert (fault.kind, fault.sent) == (FaultKind.REFUSED, False)
    assert fault.message == f"127.0.0.1:{port} refuses connections"


def test_a_name_that_nobody_knows_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt host is told as such."""

    def fail(*_args: object, **_named: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    fault = _fault(replace(TRACKER, url="http://no-such-host.invalid"))
    assert (fault.kind, fault.sent) == (FaultKind.DNS, False)
    assert "no-such-host.invalid cannot be resolved (Name or service not known)" in fault.message


def test_a_connection_that_nobody_takes_is_not_sent() -> None:
    """Where not even a refusal comes, the request never left."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = []
        for _ in range(3):  # the queue of a listener that never accepts
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        fault = _fault(replace(TRACKER, url=f"http://127.0.0.1:{port}", timeout=0.1))
        for filler in fillers:
            filler.close()
    assert (fault.kind, fault.sent) == (FaultKind.CONNECT, False)
    assert "within 0.1 s" in fault.message


# --- TLS ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority of our own."""
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its certificate, as a trackers file would name it."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


def _context(authority: trustme.CA, *names: str, **dates: datetime) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **dates).configure_cert(context)
    return context


def test_tls_is_verified_against_the_ca_file(authority: trustme.CA, ca_file: Path) -> None:
    """A certificate by an authority of one's own is trusted with `ca_file` and not without."""
    with _serving(_answers(OK), _context(authority, "localhost")) as server:
        tracker = replace(TRACKER, url=f"https://localhost:{server.port}", resolve="127.0.0.1")
        assert _send(replace(tracker, ca_file=ca_file)).status == 200
        fault = _fault(tracker)
    assert (fault.kind, fault.sent) == (FaultKind.TLS, False)
    assert "an authority that is not known here" in fault.message
    assert "ca_file" in fault.hint
    assert len(server.requests) == 1


@httpx_only
@pytest.mark.parametrize("size", [4096, 65_536, 4096 + 65_536])
def test_what_follows_an_answer_over_tls_is_nobodys(
    authority: trustme.CA, ca_file: Path, size: int
) -> None:
    """Nor where the answer ends just where a part that is read does, and TLS keeps the rest."""
    late = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nLATE"
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %6d\r\n\r\n"
    body = b"x" * (size - len(head % 0))
    with _serving(
        _answers(head % len(body) + body + late), _context(authority, "localhost")
    ) as server:
        url = f"https://localhost:{server.port}"
        tracker = replace(TRACKER, url=url, resolve="127.0.0.1", ca_file=ca_file)
        with Transport(tracker) as transport:
            for _ in range(3):
                reply = transport.send(Request("GET", f"{tracker.api}/x"))
                assert isinstance(reply, Reply)
                assert len(reply.body) == len(body)


@pytest.mark.parametrize("host", ["xn--fa-hia.de", "xn--strae-oqa.example"])
def test_a_name_is_asked_for_as_it_is_written(
    authority: trustme.CA,
    ca_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    carrier: str,
    host: str,
) -> None:
    """A name that is encoded stays as it is: decoded and encoded anew it may be another's."""
    context = _context(authority, host)
    asked: list[str] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    with _serving(_answers(OK), context) as server:
        address = socket.getaddrinfo("127.0.0.1", server.port, type=socket.SOCK_STREAM)
        known = socket.getaddrinfo

        def look_up(name: Any, *rest: Any, **more: Any) -> Any:
            name = name.decode() if isinstance(name, bytes) else name
            return address if name == host else known(name, *rest, **more)

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        # libcurl looks names up by itself, so that it is told where.
        resolve = "127.0.0.1" if carrier == "curl" else None
        url = f"https://{host}:{server.port}"
        reply = _send(replace(TRACKER, url=url, ca_file=ca_file, resolve=resolve))
    assert (reply.status, asked) == (200, [host])


@pytest.mark.parametrize(
    "answer",
    [
        # libcurl reads the end of TLS along with the answer, says nothing of it, and is told of
        # it by the next request: a fault, and none that is sent twice.
        pytest.param(OK, marks=httpx_only, id="length"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n{}", id="none"),
    ],
)
def test_a_connection_that_said_goodbye_is_replaced(
    authority: trustme.CA, ca_file: Path, answer: bytes
) -> None:
    """A server that ends TLS, and leaves the connection open, is connected to anew."""

    def handle(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(answer)
        connection.settimeout(0.2)
        assert isinstance(connection, ssl.SSLSocket)
        with suppress(OSError):
            connection.unwrap()

    with _serving(handle, _context(authority, "127.0.0.1")) as server:
        tracker = replace(TRACKER, url=f"https://127.0.0.1:{server.port}", ca_file=ca_file)
        with Transport(tracker) as transport:
            for _ in range(3):
                assert transport.send(Request("POST", f"{tracker.api}/x", {})).status == 200
                time.sleep(0.05)


def test_resolve_connects_elsewhere_and_keeps_the_name(
    authority: trustme.CA, ca_file: Path
) -> None:
    """With `resolve:` the address changes; Host, SNI and the certificate's check do not."""
    asked: list[str | None] = []
    context = _context(authority, "t.example.com")
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    with _serving(_answers(OK), context) as server:
        url = f"https://t.example.com:{server.port}/kt"
        tracker = replace(TRACKER, url=url, resolve="127.0.0.1", ca_file=ca_file)
        assert _send(tracker).status == 200
        fault = _fault(replace(tracker, url=url.replace("t.ex", "other.ex")))
    assert asked == ["t.example.com", "other.example.com"]
    (request,) = server.requests
    assert f"Host: t.example.com:{server.port}\r\n".encode() in request
    assert request.startswith(b"GET /kt/admin_api/v1/campaigns ")
    assert fault.kind is FaultKind.TLS
    assert "(at 127.0.0.1): its certificate is for another name" in fault.message


def test_an_expired_certificate_is_told_as_such(authority: trustme.CA, ca_file: Path) -> None:
    """The reason for which a certificate fails is named, with who can help."""
    long_ago = datetime.now(UTC) - timedelta(days=9)
    context = _context(
        authority, "127.0.0.1", not_before=long_ago, not_after=long_ago + timedelta(days=1)
    )
    with _serving(_answers(OK), context) as server:
        url = f"https://127.0.0.1:{server.port}"
        fault = _fault(replace(TRACKER, url=url, ca_file=ca_file))
    assert fault.message.endswith("its certificate has expired")
    assert "renew" in fault.hint


def test_a_server_without_tls_is_told_as_such() -> None:
    """Https on a port that speaks plain http is a common slip."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        fault = _fault(replace(TRACKER, url=f"https://127.0.0.1:{port}"))
        thread.join()
    assert (fault.kind, fault.sent) == (FaultKind.TLS, False)
    assert "does not speak TLS" in fault.message


def test_certificates_that_cannot_be_read_are_explained(tmp_path: Path) -> None:
    """A `ca_file` that holds no certificate is named."""
    path = tmp_path / "ca.pem"
    path.write_text("no certificate")
    with pytest.raises(RunnerError, match=r"cannot read certificates from .*ca\.pem"):
        _send(replace(TRACKER, ca_file=path))


def test_standard_certificate_variables_are_explained_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong SSL_CERT_FILE does not end in a traceback."""
    path = tmp_path / "ca.pem"
    path.write_text("no certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with pytest.raises(RunnerError, match="from SSL_CERT_FILE or SSL_CERT_DIR: "):
        _send(TRACKER)


# --- proxies ------------------------------------------------------------------------------------


def test_a_proxy_is_used_and_named_when_it_fails() -> None:
    """The request goes through the proxy; a refusal there means that nothing was sent."""
    with _serving(_answers(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")) as server:
        fault = _fault(replace(TRACKER, proxy=f"http://me:sesame@127.0.0.1:{server.port}"))
    assert server.requests[0].startswith(b"CONNECT t.example.com:443 ")
    assert KEY.encode() not in server.requests[0]
    assert (fault.kind, fault.sent) == (FaultKind.CONNECT, False)
    assert "t.example.com through the proxy 127.0.0.1: 407" in fault.message
    assert "sesame" not in repr(fault)


def test_a_proxy_is_told_the_whole_address() -> None:
    """What goes through a proxy in the clear names the tracker, with its path; without one the path alone."""
    request = Request("GET", "http://t.example.com/sub/admin_api/v1/campaigns?a=%20b")
    with _serving(_answers(_with(b"[]"))) as server:
        tracker = replace(TRACKER, url="http://t.example.com/sub")
        through = replace(tracker, proxy=f"http://127.0.0.1:{server.port}")
        assert isinstance(_send(through, request), Reply)
        straight = replace(tracker, url=f"http://127.0.0.1:{server.port}/sub")
        own = request._replace(url=f"{straight.api}/campaigns?a=%20b")
        assert isinstance(_send(straight, own), Reply)
    lines = [request.split(b"\r\n")[0] for request in server.requests]
    assert lines[0] == b"GET http://t.example.com/sub/admin_api/v1/campaigns?a=%20b HTTP/1.1"
    assert lines[1] == b"GET /sub/admin_api/v1/campaigns?a=%20b HTTP/1.1"


@pytest.mark.parametrize("secure", [False, True], ids=["forwarded", "tunnel"])
def test_through_a_proxy(authority: trustme.CA, ca_file: Path, secure: bool) -> None:
    """The proxy gets its password, the tracker the key; bytes after an answer are nobody's."""
    inside = _context(authority, "t.example.com")
    asked: list[bytes] = []

    def handle(connection: socket.socket, request: bytes) -> None:
        if secure:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            connection = inside.wrap_socket(connection, server_side=True)
            request = _one_request(connection)
        while request:
            asked.append(request)
            connection.sendall(OK + OK.replace(b"{}", b"[]"))
            request = _one_request(connection)
        connection.close()

    with _serving(handle) as server:
        url = f"http{'s' if secure else ''}://t.example.com"
        proxy = f"http://me:open%20sesame@127.0.0.1:{server.port}"
        tracker = replace(TRACKER, url=url, proxy=proxy, ca_file=ca_file)
        with Transport(tracker) as transport:
            replies = [transport.send(Request("GET", f"{tracker.api}/a?b")) for _ in range(3)]
    assert [getattr(reply, "body", reply) for reply in replies] == [b"{}"] * 3
    password = b"basic " + base64.b64encode(b"me:open sesame")
    start = b"GET " + (b"" if secure else url.encode()) + b"/admin_api/v1/a?b HTTP/1.1"
    for request in asked:
        assert request.startswith(start)
        assert KEY.encode() in request
        assert (password.split()[1] in request) is not secure
    for request in server.requests if secure else ():
        assert request.startswith(b"CONNECT t.example.com:443 HTTP/1.1")
        assert (password.split()[1] in request, KEY.encode() in request) == (True, False)


@pytest.mark.parametrize(
    ("handle", "told"),
    [
        (_hangs_up(), "through the proxy"),
        (_answers(b"nonsense\r\n\r\n"), ""),
        (_answers(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"), "502"),
    ],
    ids=["hangs up", "nonsense", "502"],
)
def test_a_proxy_that_makes_no_tunnel(handle: Handler, told: str) -> None:
    """Whatever the proxy does before there is a tunnel, the tracker got nothing."""
    with _serving(handle) as server:
        fault = _fault(replace(TRACKER, proxy=f"http://127.0.0.1:{server.port}", timeout=2))
    assert fault.sent is False
    assert told in fault.message


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1", "http://[::1", "gopher://x"])
def test_a_proxy_that_cannot_be_used_is_explained(proxy: str) -> None:
    """SOCKS takes a package that may not be there, and a wrong address is told."""
    with pytest.raises(RunnerError, match="proxy that the environment names"):
        _send(replace(TRACKER, proxy=proxy))


# --- the table ----------------------------------------------------------------------------------


def _exceptions() -> list[type[Exception]]:
    exported = [getattr(httpx, name) for name in httpx.__all__]
    return [it for it in exported if isinstance(it, type) and issubclass(it, Exception)]


@pytest.mark.parametrize("kind", _exceptions(), ids=lambda kind: kind.__name__)
def test_every_exception_of_httpx_has_its_sentence(kind: type[Exception]) -> None:
    """A class that httpx adds must be given a kind and a message of its own."""
    assert kind.__name__ in RULES
    error = kind.__new__(kind)
    error.args = ("the reason",)
    fault = explain(error, TRACKER, 30, None, b"")
    assert "{" not in fault.message
    assert fault.hint


def test_only_what_cannot_have_left_counts_as_not_sent() -> None:
    """The list of exceptions after which a write may be repeated is short, and kept so."""
    assert {name for name, rule in RULES.items() if not rule.sent} == {
        *("ConnectTimeout", "ConnectError", "PoolTimeout", "ProxyError"),
        *("UnsupportedProtocol", "InvalidURL"),
    }


@pytest.mark.parametrize(
    ("error", "kind", "sent"),
    [
        (httpx.WriteTimeout("x"), FaultKind.TIMEOUT, True),
        (httpx.PoolTimeout("x"), FaultKind.CONNECT, False),
        (httpx.WriteError("x"), FaultKind.RESET, True),
        (httpx.CloseError("x"), FaultKind.RESET, True),
        (httpx.ConnectError("No route to host"), FaultKind.CONNECT, False),
        (httpx.LocalProtocolError("x"), FaultKind.PROTOCOL, True),
        (httpx.DecodingError("x"), FaultKind.PROTOCOL, True),
        (httpx.StreamClosed(), FaultKind.PROTOCOL, True),
    ],
    ids=lambda value: type(value).__name__,
)
@httpx_only
def test_rarer_faults_are_translated_too(
    mocked: respx.MockRouter, error: Exception, kind: FaultKind, sent: bool
) -> None:
    """What no test server brings about is simulated."""
    mocked.get(URL).mock(side_effect=error)
    fault = _fault(TRACKER)
    assert (fault.kind, fault.sent) == (kind, sent)


@httpx_only
def test_a_bug_is_not_taken_for_a_fault(mocked: respx.MockRouter) -> None:
    """Exceptions that are not httpx's pass through, and the client is given back."""
    mocked.get(URL).mock(side_effect=ZeroDivisionError)
    with Transport(TRACKER) as transport:
        with pytest.raises(ZeroDivisionError):
            transport.send(Request("GET", URL))
        assert len(transport._idle) == 1


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (9, "not valid yet"),
        (18, "self-signed"),
        (19, "not known here"),
        (21, "not known here"),
        (64, "for another name"),
        (99, "something else"),
    ],
)
def test_each_reason_against_a_certificate_is_named(code: int, told: str) -> None:
    """OpenSSL's codes are told in words; unknown ones in OpenSSL's own."""
    cause = ssl.SSLCertVerificationError(1, "certificate verify failed")
    cause.verify_code, cause.verify_message = code, "something else"
    fault = _of_connecting(cause)
    assert fault.kind is FaultKind.TLS
    assert told in fault.message


def test_other_tls_trouble_is_told_in_the_libraries_words() -> None:
    """A failure of the handshake without a certificate to blame keeps its reason."""
    fault = _of_connecting(ssl.SSLError(1, "handshake failure"))
    assert fault.message.endswith("t.example.com: handshake failure")


def _of_connecting(cause: OSError) -> Fault:
    error = httpx.ConnectError("x")
    error.__cause__ = cause
    return explain(error, TRACKER, 30, None, b"")
