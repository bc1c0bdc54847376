"""The server: keys and rights, unknown paths, keep-alive, the record, and many at once."""

from __future__ import annotations

import ast
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

import runner.emulator
from runner.emulator import Emulator, Rights

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
SEED = {
    "offers": [{"id": 1, "name": "O1"}, {"id": 2, "name": "O2"}],
    "domains": [{"id": 1, "name": "d.example"}],
    "campaigns": [{"id": 1, "name": "C", "alias": "c"}],
}


@pytest.fixture
def tracker() -> Iterator[Emulator]:
    with Emulator(seed=SEED, clock=lambda: NOW) as running:
        yield running


def connect(tracker: Emulator, key: str | None = None) -> httpx.Client:
    return httpx.Client(
        base_url=f"{tracker.url}/admin_api/v1",
        headers={"Api-Key": key or tracker.key},
        verify=False,
        trust_env=False,
    )


@pytest.fixture
def api(tracker: Emulator) -> Iterator[httpx.Client]:
    with connect(tracker) as client:
        yield client


def test_keys(tracker: Emulator) -> None:
    """The key comes in either header; without it, or with a wrong one, 401 and an error."""
    url = f"{tracker.url}/admin_api/v1/offers"
    for headers, status in (
        ({"Api-Key": tracker.key}, 200),
        ({"Authorization": f"Bearer {tracker.key}"}, 200),
        ({"Authorization": f"Basic {tracker.key}"}, 401),
        ({"Api-Key": "wrong"}, 401),
        ({}, 401),
    ):
        answer = httpx.get(url, headers=headers, trust_env=False)
        assert answer.status_code == status
        assert status == 200 or set(answer.json()) == {"error"}


def test_edition_without_api(tracker: Emulator, api: httpx.Client) -> None:
    """Where the edition lacks the API, every operation answers 402, and it can be switched."""
    tracker.api_available = False
    answer = api.get("/offers")
    assert (answer.status_code, set(answer.json())) == (402, {"error"})
    assert api.get("/unheard_of").status_code == 200
    tracker.api_available = True
    assert api.get("/offers").status_code == 200


def test_limited_rights(tracker: Emulator) -> None:
    """A limited key's lists shrink silently; what it may not touch is a 403 with a null trace."""
    rights = Rights(resources=frozenset({"offers", "campaigns"}), only={"offers": frozenset({2})})
    tracker.grant("small", rights)
    with connect(tracker, "small") as api:
        assert [row["id"] for row in api.get("/offers").json()] == [2]
        assert api.get("/domains").json() == []
        for refused in (api.get("/offers/1"), api.get("/domains/1"), api.post("/domains")):
            assert refused.status_code == 403
            assert refused.json()["stacktrace"] is None
            assert refused.json()["error"].startswith("You have no permission")
        assert api.put("/offers/2", json={"notes": "x"}).status_code == 200


def test_streams_follow_their_campaign() -> None:
    """A key that is not shown a campaign is not shown its streams either."""
    flow = {"name": "S", "type": "regular", "schema": "landings", "action_type": "http"}
    seed = {"streams": [{**flow, "campaign_id": 1}, {**flow, "campaign_id": 2}]}
    with Emulator(seed=seed) as tracker:
        tracker.grant("small", Rights(only={"campaigns": frozenset({2})}))
        with connect(tracker, "small") as api:
            assert api.get("/streams/1").status_code == 403
            assert api.get("/streams/2").status_code == 200
            found = api.get("/streams/search", params={"query": "S"}).json()
            assert [row["id"] for row in found] == [2]


def test_read_only_rights() -> None:
    """A key from the seed that may only read is refused every write."""
    seed = {**SEED, "keys": {"viewer": {"read_only": True}}}
    with Emulator(seed=seed) as tracker, connect(tracker, "viewer") as api:
        assert api.get("/offers/1").status_code == 200
        assert api.post("/report/build", json={"metrics": ["clicks"]}).status_code == 200
        assert api.post("/offers", json={"name": "x"}).status_code == 403
        assert api.delete("/campaigns/1").status_code == 403
        assert not any(received.effect for received in tracker.requests)


@pytest.mark.parametrize(
    "target",
    [
        "GET /",
        "GET /admin/",
        "POST /admin_api/v1/unheard_of",
        "GET /admin_api/v1",
        "GET /admin_api/v1/",
        "GET /admin_api/v2/offers",
        "GET /admin_api/v1/streams",
        "GET /admin_api/v1/groups/1",
        "GET /admin_api/v1/stream_actions",
        "DELETE /admin_api/v1/offers/",
        "DELETE /admin_api/v1/offers//archive",
        "PATCH /admin_api/v1/offers/1",
    ],
)
def test_unknown_paths_show_the_panel(tracker: Emulator, target: str) -> None:
    """Every path the API does not have answers 200 with the panel's page, key or no key."""
    method, path = target.split()
    answer = httpx.request(method, tracker.url + path, trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "<title>Keitaro</title>" in answer.text
    assert not tracker.requests[-1].effect


def test_trailing_slash_is_the_collection(tracker: Emulator, api: httpx.Client) -> None:
    """An id that came out empty meets the collection: POST /offers/ makes another offer."""
    assert len(api.get("/offers/").json()) == 2
    assert api.post("/offers/", json={"name": "by mistake"}).json()["id"] == 3
    api.delete("/botlist/")
    assert tracker.requests[-1].effect


@pytest.mark.parametrize("content", ["{", "[1]", '"text"', "{'a': 1}", '{"a": NaN}', "[" * 99999])
def test_malformed_json(tracker: Emulator, api: httpx.Client, content: str) -> None:
    """A body that is no JSON object is a 400 with an error, and kept raw on record."""
    answer = api.post("/campaigns", content=content)
    assert (answer.status_code, set(answer.json())) == (400, {"error"})
    assert not tracker.requests[-1].effect


def test_record(tracker: Emulator, api: httpx.Client) -> None:
    """What arrived is on record with number, query, headers, body, time, status and effect."""
    api.get("/campaigns", params={"limit": "1"}, headers={"X-Mark": "é".encode()})
    api.post("/campaigns", json={"name": "N", "alias": "n"})
    api.post("/campaigns", json={"name": "N", "alias": "n"})
    api.post("/campaigns", content=b"\xff")
    first, made, refused, raw = tracker.requests
    assert [received.number for received in tracker.requests] == [1, 2, 3, 4]
    assert (first.method, first.path, first.query) == (
        "GET",
        "/admin_api/v1/campaigns",
        {"limit": "1"},
    )
    assert first.headers["api-key"] == tracker.key
    assert (first.body, first.at, first.status, first.effect) == (None, NOW, 200, False)
    assert (made.body, made.status, made.effect) == ({"name": "N", "alias": "n"}, 200, True)
    assert (refused.status, refused.effect) == (422, False)
    assert (raw.body, raw.status) == (b"\xff", 400)


def test_record_is_a_snapshot_and_bounded() -> None:
    """The record handed out does not grow, and only the latest requests are kept."""
    with Emulator(history=3) as tracker, connect(tracker) as api:
        before = tracker.requests
        for _ in range(5):
            api.get("/offers")
        assert before == []
        assert [received.number for received in tracker.requests] == [3, 4, 5]


def test_state_is_a_copy(tracker: Emulator) -> None:
    """Rows handed out include the archive, and changing them changes nothing."""
    tracker.state.rows("offers")[0]["name"] = "changed"
    assert tracker.state.rows("offers")[0]["name"] == "O1"
    with pytest.raises(KeyError):
        tracker.state.rows("unheard_of")


def test_many_at_once(tracker: Emulator) -> None:
    """Eight threads create at once: no id is lost or given twice, every request is on record."""

    def create(worker: int) -> list[int]:
        with connect(tracker) as api:
            return [
                api.post("/campaigns", json={"name": "N", "alias": f"{worker}-{n}"}).json()["id"]
                for n in range(25)
            ]

    with ThreadPoolExecutor(8) as pool:
        ids = [number for made in pool.map(create, range(8)) for number in made]
    assert sorted(ids) == list(range(2, 202))
    assert len(tracker.state.rows("campaigns")) == 201
    assert [received.number for received in tracker.requests] == list(range(1, 201))


def test_unique_under_a_race(tracker: Emulator) -> None:
    """Of eight creates with one alias at the same time, exactly one succeeds."""

    def create(_: int) -> int:
        with connect(tracker) as api:
            return api.post("/campaigns", json={"name": "N", "alias": "same"}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(create, range(8))) == [200, *[422] * 7]


def talk(tracker: Emulator, sent: bytes) -> bytes:
    """Send raw bytes on one connection and return all that comes back until it closes."""
    with socket.create_connection(("127.0.0.1", int(tracker.url.rsplit(":", 1)[1]))) as sock:
        sock.settimeout(5)
        sock.sendall(sent)
        return b"".join(iter(lambda: sock.recv(65536), b""))


def raw(tracker: Emulator, line: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [line, "Host: x", f"Api-Key: {tracker.key}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def test_keep_alive_and_pipelining(tracker: Emulator) -> None:
    """Requests sent at once on one connection are answered in order, until one says close."""
    one = raw(tracker, "GET /admin_api/v1/offers/1 HTTP/1.1")
    two = raw(tracker, "GET /admin_api/v1/offers/2 HTTP/1.1", "Connection: close")
    received = talk(tracker, one + two)
    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert received.index(b'"O1"') < received.index(b'"O2"')


def test_old_and_chunked_clients(tracker: Emulator) -> None:
    """HTTP/1.0 ends with its answer; a chunked body and Expect are understood."""
    assert b"200 OK" in talk(tracker, raw(tracker, "GET /admin_api/v1/offers HTTP/1.0"))
    head = raw(
        tracker,
        "POST /admin_api/v1/offers HTTP/1.1",
        *("Transfer-Encoding: chunked", "Expect: 100-continue", "Connection: close"),
    )
    with socket.create_connection(("127.0.0.1", int(tracker.url.rsplit(":", 1)[1]))) as sock:
        sock.settimeout(5)
        sock.sendall(head)
        assert sock.recv(65536).startswith(b"HTTP/1.1 100 ")
        sock.sendall(b'8\r\n{"name":\r\n5\r\n "x"}\r\n0\r\n\r\n')
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 OK")
    assert tracker.state.rows("offers")[-1]["name"] == "x"


def test_head_has_no_body(tracker: Emulator) -> None:
    """HEAD announces a length and sends no body."""
    received = talk(tracker, raw(tracker, "HEAD / HTTP/1.1", "Connection: close"))
    assert received.endswith(b"\r\n\r\n")


def test_not_http(tracker: Emulator) -> None:
    """What is no HTTP gets a 400 and a closed connection."""
    assert talk(tracker, b"\x16\x03\x01 hello\r\n\r\n").startswith(b"HTTP/1.1 400")


def test_start_and_stop() -> None:
    """An emulator has no address before start, keeps port and state over a restart, stops twice."""
    tracker = Emulator(seed=SEED)
    with pytest.raises(RuntimeError, match="started"):
        _ = tracker.url
    tracker.start()
    with pytest.raises(RuntimeError, match="running"):
        tracker.start()
    url = tracker.url
    with connect(tracker) as api:
        api.post("/offers", json={"name": "kept"})
        tracker.stop()
        tracker.stop()
        with pytest.raises(httpx.TransportError):
            api.get("/offers")
    with tracker, connect(tracker) as api:
        assert tracker.url == url
        assert [row["name"] for row in api.get("/offers").json()] == ["O1", "O2", "kept"]


def test_loopback_unless_told() -> None:
    """Only loopback is bound by default, and a wildcard is shown as an address to connect to."""
    with Emulator() as tracker:
        assert tracker.url.startswith("http://127.0.0.1:")
    with Emulator(host="0.0.0.0") as tracker:
        assert tracker.url.startswith("http://127.0.0.1:")


def test_wrong_dialect() -> None:
    """There are dialects 9 and 10."""
    with pytest.raises(ValueError, match="9 or 10"):
        Emulator(dialect=8)


def test_imports_nothing_of_the_runner() -> None:
    """The emulator imports of the package only itself, or it would share the runner's mistakes."""
    for path in Path(runner.emulator.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in getattr(node, "names", [])]
            module = getattr(node, "module", None)
            for name in [module] if isinstance(node, ast.ImportFrom) else names:
                assert name is None or not (
                    name.startswith("runner") and not name.startswith("runner.emulator")
                ), f"{path} imports {name}"
