"""Every fault, as a client of real HTTP meets it, and what it leaves behind."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from runner.emulator import Emulator, Fault

NEW = {"name": "C", "alias": "c"}


@pytest.fixture
def tracker() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture
def api(tracker: Emulator) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=f"{tracker.url}/admin_api/v1",
        headers={"Api-Key": tracker.key},
        verify=False,
        trust_env=False,
        timeout=5,
    ) as client:
        yield client


def made(tracker: Emulator) -> int:
    return len(tracker.state.rows("campaigns"))


def test_delay(tracker: Emulator, api: httpx.Client) -> None:
    """A delay carries the request out at once and answers late, for a client to be in doubt."""
    tracker.fault(Fault("delay", seconds=30))
    with pytest.raises(httpx.ReadTimeout):
        api.post("/campaigns", json=NEW, timeout=0.05)
    assert made(tracker) == 1
    assert (tracker.requests[0].status, tracker.requests[0].effect) == (200, True)


def test_delays_join_another_fault(tracker: Emulator, api: httpx.Client) -> None:
    """A delay goes together with another fault."""
    tracker.fault(Fault("delay", seconds=0.02))
    tracker.fault(Fault("status", status=503))
    begun = time.monotonic()
    assert api.get("/offers").status_code == 503
    assert time.monotonic() - begun >= 0.02


@pytest.mark.parametrize("retry_after", ["3", "Wed, 04 Mar 2026 12:00:00 GMT"])
def test_status(tracker: Emulator, api: httpx.Client, retry_after: str) -> None:
    """A status with chosen headers and body replaces the answer, and nothing is done."""
    tracker.fault(
        Fault("status", status=429, headers={"Retry-After": retry_after}, body={"error": "slow"})
    )
    answer = api.post("/campaigns", json=NEW)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, retry_after)
    assert answer.json() == {"error": "slow"}
    assert made(tracker) == 0
    assert api.post("/campaigns", json=NEW).status_code == 200


def test_cloudflare(tracker: Emulator, api: httpx.Client) -> None:
    """A page of a proxy before the tracker can be put in its place, headers and all."""
    headers = {"server": "cloudflare", "cf-mitigated": "challenge", "content-type": "text/html"}
    tracker.fault(Fault("status", status=403, body="<html>Just a moment", headers=headers))
    answer = api.get("/offers")
    assert answer.status_code == 403
    assert {name: answer.headers[name] for name in headers} == headers
    assert answer.headers.get_list("server") == ["cloudflare"]


def test_bad_gateway_after_the_work(tracker: Emulator, api: httpx.Client) -> None:
    """With effect=True the request is carried out and its answer lost to the replacement."""
    tracker.fault(Fault("status", status=502, effect=True))
    assert api.post("/campaigns", json=NEW).status_code == 502
    assert made(tracker) == 1


@pytest.mark.parametrize(("kind", "effect"), [("reset_before", 0), ("reset_after", 1)])
def test_resets(tracker: Emulator, api: httpx.Client, kind: Any, effect: int) -> None:
    """The connection is reset, before the effect or after it; no status is on record."""
    tracker.fault(Fault(kind))
    with pytest.raises(httpx.ReadError) as caught:
        api.post("/campaigns", json=NEW)
    assert "reset" in str(caught.value).lower()
    assert made(tracker) == effect
    assert (tracker.requests[0].status, tracker.requests[0].effect) == (None, bool(effect))


def test_truncate(tracker: Emulator, api: httpx.Client) -> None:
    """The whole length is announced and half of the body sent."""
    tracker.fault(Fault("truncate"))
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        api.post("/campaigns", json=NEW)
    assert made(tracker) == 1


def test_cut_json(tracker: Emulator, api: httpx.Client) -> None:
    """The answer is complete as HTTP and half as JSON."""
    tracker.fault(Fault("cut_json"))
    answer = api.post("/campaigns", json=NEW)
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    assert made(tracker) == 1


def test_html_and_empty(tracker: Emulator, api: httpx.Client) -> None:
    """200 with the panel's page, or with nothing at all, and nothing done."""
    tracker.fault(Fault("html"))
    tracker.fault(Fault("empty"))
    page = api.post("/campaigns", json=NEW)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert api.post("/campaigns", json=NEW).content == b""
    assert made(tracker) == 0


def test_wrong_type(tracker: Emulator, api: httpx.Client) -> None:
    """An array comes where an object belongs, and an object where an array belongs."""
    tracker.fault(Fault("wrong_type", times=2))
    assert isinstance(api.post("/campaigns", json=NEW).json(), list)
    assert isinstance(api.get("/campaigns").json(), dict)
    assert isinstance(api.get("/campaigns").json(), list)


def test_slow_drip(tracker: Emulator, api: httpx.Client) -> None:
    """The body comes byte by byte and is whole in the end; read timeouts never see it."""
    tracker.fault(Fault("slow_drip", seconds=0.002))
    begun = time.monotonic()
    answer = api.get("/botlist", timeout=0.5)
    assert answer.json() == {"value": ""}
    pauses = len(answer.content) - 1  # who reads need not wait for the one after the last byte
    assert time.monotonic() - begun >= 0.002 * pauses


def test_huge(tracker: Emulator, api: httpx.Client) -> None:
    """A body of the given size arrives, announced and whole; reading may stop at any point."""
    tracker.fault(Fault("huge", size=3_000_000))
    assert len(api.get("/offers").json()) == 3_000_000 - 2
    tracker.fault(Fault("huge", size=10**12))
    with api.stream("GET", "/offers") as answer:
        assert answer.headers["content-length"] == str(10**12)
        assert next(answer.iter_bytes(1000)).startswith(b'"aaa')


def test_gzip_bomb(tracker: Emulator, api: httpx.Client) -> None:
    """A small gzip unpacks to the given size."""
    tracker.fault(Fault("gzip_bomb", size=5_000_000))
    answer = api.get("/offers")
    assert int(answer.headers["content-length"]) < 10_000
    assert len(answer.content) == 5_000_000


@pytest.mark.parametrize(("status", "expected"), [(None, 302), (307, 307)])
def test_redirect(tracker: Emulator, api: httpx.Client, status: int | None, expected: int) -> None:
    """A redirect leads wherever the test wants it to."""
    tracker.fault(Fault("redirect", status=status, location="https://elsewhere.example/"))
    answer = api.get("/offers")
    assert (answer.status_code, answer.headers["location"]) == (
        expected,
        "https://elsewhere.example/",
    )


def test_silent_until_stop() -> None:
    """A silent tracker takes the request, says nothing, and does not hold up stop."""
    with Emulator() as tracker, socket.create_connection(("127.0.0.1", _port(tracker))) as sock:
        tracker.fault(Fault("silent"))
        sock.sendall(b"GET /admin_api/v1/offers HTTP/1.1\r\nHost: x\r\n\r\n")
        sock.settimeout(0.05)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        assert tracker.requests[0].status is None
        tracker.stop()
        sock.settimeout(5)
        assert sock.recv(1) == b""


def _port(tracker: Emulator) -> int:
    return int(tracker.url.rsplit(":", 1)[1])


def test_no_length_close(tracker: Emulator) -> None:
    """Without a Content-Length the body ends where the connection does."""
    tracker.fault(Fault("no_length_close"))
    with socket.create_connection(("127.0.0.1", _port(tracker))) as sock:
        key = tracker.key
        sock.sendall(
            f"GET /admin_api/v1/botlist HTTP/1.1\r\nHost: x\r\nApi-Key: {key}\r\n\r\n".encode()
        )
        received = b"".join(iter(lambda: sock.recv(1000), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"content-length" not in head.lower()
    assert json.loads(body) == {"value": ""}


def test_match_after_times(tracker: Emulator, api: httpx.Client) -> None:
    """A fault strikes the requests that match, after those it lets pass, as often as it is told."""
    tracker.fault(Fault("status", "^get .*/offers$", after=1, times=2, status=500))
    seen = [api.get("/offers").status_code for _ in range(5)]
    assert seen == [200, 500, 500, 200, 200]
    assert api.post("/offers", json={"name": "O"}).status_code == 200


def test_faults_follow_one_another(tracker: Emulator, api: httpx.Client) -> None:
    """Faults strike in the order they were added, each until it is spent; clearing ends them."""
    tracker.fault(Fault("status", status=500))
    tracker.fault(Fault("status", status=502))
    tracker.fault(Fault("status", status=503, times=None))
    assert [api.get("/offers").status_code for _ in range(4)] == [500, 502, 503, 503]
    tracker.clear_faults()
    assert api.get("/offers").status_code == 200


def test_faults_need_no_key(tracker: Emulator) -> None:
    """A fault stands before the tracker, as a proxy does, and asks for no key."""
    tracker.fault(Fault("status", status=504))
    assert httpx.get(f"{tracker.url}/anything", trust_env=False).status_code == 504


def test_from_dict() -> None:
    """Faults are read from JSON with the same names."""
    data = {"kind": "status", "match": "POST", "times": None, "status": 429, "body": {"a": 1}}
    assert Fault.from_dict(data) == Fault("status", "POST", times=None, status=429, body={"a": 1})


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"kind": "explode"}, "reset_before"),
        ({"kind": "delay", "second": 1}, "seconds"),
        ({}, "kind"),
        ({"kind": "html", "match": "("}, "pattern"),
    ],
)
def test_bad_faults(data: dict[str, Any], words: str) -> None:
    """A fault that makes no sense is refused with what would."""
    with pytest.raises(ValueError, match=words):
        Fault.from_dict(data)
