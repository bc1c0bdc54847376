"""The transport over libcurl keeps what the first one promises; how it is chosen."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import Command, Start, calls, command_line, steps

from runner.emulator import Emulator, Fault
from runner.errors import RunnerError
from runner.model import Reply, Request
from runner.trackers import Tracker, Trackers
from runner.transport import Limits, Transport, over_curl

pytest.importorskip("pycurl")

SEED = {"offers": [{"id": n, "name": f"O{n}"} for n in range(1, 4)]}


def tracker_at(emulator: Emulator, transport: str) -> Tracker:
    environ = {"KEITARO_URL": emulator.url, "KEITARO_API_KEY": emulator.key}
    return Trackers(None, environ, transport=transport).get()


# -- the same as over httpx -----------------------------------------------------------------------

FAULTS: dict[str, Fault] = {
    "none": Fault("delay", seconds=0.0),
    "late": Fault("delay", seconds=0.9),
    "status": Fault("status", status=503, body={"error": "later"}, headers={"Retry-After": "7"}),
    "reset_before": Fault("reset_before"),
    "reset_after": Fault("reset_after"),
    "truncate": Fault("truncate"),
    "cut_json": Fault("cut_json"),
    "html": Fault("html"),
    "empty": Fault("empty"),
    "wrong_type": Fault("wrong_type"),
    "slow_drip": Fault("slow_drip", seconds=0.1),
    "huge": Fault("huge", size=3_000_000),
    "gzip_bomb": Fault("gzip_bomb", size=5_000_000),
    "redirect": Fault("redirect", location="http://127.0.0.1:1/"),
    "silent": Fault("silent"),
    "no_length_close": Fault("no_length_close"),
}


@pytest.mark.parametrize("before", [0, 1], ids=["new connection", "kept connection"])
@pytest.mark.parametrize("call", ["GET /offers", "POST /offers"])
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_told_alike(fault: str, call: str, before: int) -> None:
    """Whatever goes wrong is the same fault or answer over both, and arrives just as often."""
    method, path = call.split()
    body = {"name": "N"} if method in ("PUT", "POST") else None
    told = []
    for transport in ("httpx", "curl"):
        with Emulator(seed=SEED) as emulator:
            tracker = tracker_at(emulator, transport)
            with Transport(tracker, limits=Limits(body=1_000_000, patience=2)) as way:
                for _ in range(before):
                    assert isinstance(way.send(Request("GET", f"{tracker.api}/offers")), Reply)
                emulator.fault(FAULTS[fault])
                got = way.send(Request(method, tracker.api + path, body, timeout=0.3))
            arrived = [c for c in calls(emulator) if c == call]
        told.append((_plain(got), len(arrived)))
    assert told[0] == told[1]


def _plain(got: Any) -> tuple[Any, ...]:
    if isinstance(got, Reply):
        moving = {"date", "connection"}
        kept = {name: value for name, value in got.headers.items() if name not in moving}
        return got.status, kept, len(got.body)
    return got.kind, got.sent, got.status, got.hint


def _closing_server(close_at: int) -> tuple[socket.socket, list[bytes]]:
    """A server that hangs up without a word at the request of that number on a connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    got: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                for number in range(1, 100):
                    data = connection.recv(65536)
                    if not data:
                        break
                    got.append(data.split(b" HTTP/1.1")[0])
                    if number == close_at:
                        break
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    threading.Thread(target=serve, daemon=True).start()
    return listener, got


@pytest.mark.parametrize(
    "request_",
    [
        Request("POST", "/x", {"a": 1}),
        Request("POST", "/x"),
        Request("DELETE", "/x"),
        Request("PUT", "/x", {}),
    ],
    ids=["with a body", "without", "delete", "an empty body"],
)
def test_nothing_is_sent_twice(request_: Request) -> None:
    """Libcurl sends once more where a kept connection is gone; here it must not: it may be done."""
    listener, got = _closing_server(2)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        with Transport(Tracker("t", url, "k" * 32, transport="curl")) as way:
            request = request_._replace(url=url + request_.url)
            assert isinstance(way.send(request), Reply)
            fault = way.send(request)
            assert not isinstance(fault, Reply)
            assert (fault.kind.value, fault.sent) == ("connection_lost", True)
            assert len(got) == 2
            assert isinstance(way.send(request), Reply)
    finally:
        listener.close()


def test_ctrl_c_is_heeded_while_it_waits(folder: Path, start: Start) -> None:
    """A run that waits for an answer ends at the second Ctrl-C, as over httpx."""
    tracker = start(Fault("silent"))
    (folder / "p.yaml").write_text(steps("{resource: offer, operation: getAll, retry: false}"))
    environ = {**os.environ, "KEITARO_URL": tracker.url, "KEITARO_API_KEY": tracker.key}
    process = subprocess.Popen(
        command_line("run", "p.yaml", "--transport", "curl"), env=environ, stderr=subprocess.PIPE,
    )  # fmt: skip
    _until(lambda: bool(calls(tracker)))
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
    began = time.monotonic()
    assert process.wait(10) in (130, -signal.SIGINT)
    assert time.monotonic() - began < 5
    assert process.stderr is not None
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


# -- how it is chosen -----------------------------------------------------------------------------


@pytest.mark.httpx_only
def test_who_says_which(tmp_path: Path) -> None:
    """The option goes before the file, the file before the variable; httpx is what is left."""
    file = tmp_path / "t.yaml"
    file.write_text(
        "trackers:\n  a: {url: 'https://a.example', key: {env: K}, transport: curl}\n"
        "  b: {url: 'https://b.example', key: {env: K}}\n"
    )
    environ = {"K": "k" * 32}

    def names(option: str | None = None, **more: str) -> list[str]:
        trackers = Trackers(file, {**environ, **more}, transport=option)
        return [trackers.get(name).transport for name in "ab"]

    assert names() == ["curl", "httpx"]
    assert names("httpx") == ["httpx", "httpx"]
    assert names(KEITARO_TRANSPORT="curl") == ["curl", "curl"]
    with pytest.raises(RunnerError, match="KEITARO_TRANSPORT names no transport: 'wget'"):
        names(KEITARO_TRANSPORT="wget")
    file.write_text(file.read_text().replace("curl", "wget"))
    with pytest.raises(RunnerError, match="must be httpx or curl"):
        names()


def test_the_option(
    folder: Path, cli: Command, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`run --transport curl` sends over libcurl, with the same report."""
    tracker = start(seed=SEED)
    monkeypatch.setenv("KEITARO_URL", tracker.url)
    monkeypatch.setenv("KEITARO_API_KEY", tracker.key)
    (folder / "p.yaml").write_text(steps("{resource: offer, operation: getAll, name: offers}"))
    opened: list[object] = []
    make = over_curl.Maker.open
    monkeypatch.setattr(
        over_curl.Maker,
        "open",
        lambda self: opened.append(self) or make(self),  # type: ignore[func-returns-value]
    )
    said = cli("run", "p.yaml", "--transport", "curl")
    assert (said.code, len(opened)) == (0, 1)
    assert calls(tracker) == ["GET /offers"]


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pycurl is missing, or too old to be safe, that is said, and what to do."""
    tracker = Tracker("t", "http://127.0.0.1:1", "k" * 32, transport="curl")
    monkeypatch.setattr(over_curl, "pycurl", None)
    with pytest.raises(RunnerError, match="needs the package pycurl") as caught:
        Transport(tracker).send(Request("GET", "http://127.0.0.1:1/x"))
    assert "keitaro-runner[curl]" in caught.value.hint
    monkeypatch.setattr(over_curl, "pycurl", SimpleNamespace(version="PycURL/7.43.0 libcurl/7.61"))
    with pytest.raises(RunnerError, match="cannot keep libcurl from sending a call twice"):
        Transport(tracker).send(Request("GET", "http://127.0.0.1:1/x"))


@pytest.mark.parametrize("transport", ["httpx", "curl"])
def test_what_cannot_work_is_said_before_anything_is_sent(
    folder: Path, cli: Command, start: Start, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    """A package or a certificate that is missing ends the run before its first call: no doubt is left."""
    tracker = start(seed=SEED)
    monkeypatch.setenv("KEITARO_URL", tracker.url)
    monkeypatch.setenv("KEITARO_API_KEY", tracker.key)
    if transport == "curl":
        monkeypatch.setattr(over_curl, "pycurl", None)
    else:
        monkeypatch.setenv("KEITARO_URL", "https://t.example.com")
        monkeypatch.setenv("SSL_CERT_FILE", str(folder / "p.yaml"))
    (folder / "p.yaml").write_text(steps("{resource: offer, operation: create, body: {name: N}}"))
    said = cli("run", "p.yaml", "--transport", transport)
    assert said.code == 2, said.err
    assert ("pycurl" if transport == "curl" else "certificates") in said.err
    assert "unknown" not in said.err
    assert calls(tracker) == []
    assert cli("runs").out.count("in doubt") == 0
