"""`doctor`: what it finds of a tracker, each time with what to do, and that it only reads."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
from conftest import CATALOGUE, Command, Said, Start, calls

from runner import doctor
from runner.doctor import State
from runner.emulator import Emulator, Fault, Rights, sample_seed
from runner.errors import ExitCode
from runner.trackers import Tracker

KEY = "k" * 32


@pytest.fixture
def tracker(start: Start, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """A tracker with something in it, which the environment names."""
    tracker = start(seed=sample_seed())
    monkeypatch.setenv("KEITARO_URL", tracker.url)
    monkeypatch.setenv("KEITARO_API_KEY", tracker.key)
    return tracker


def found(said: Said) -> dict[str, dict[str, Any]]:
    """What was found, by its name."""
    return {finding["name"]: finding for finding in json.loads(said.out)["findings"]}


def problem(said: Said) -> dict[str, Any]:
    """The one problem there is."""
    assert said.code == ExitCode.UNREACHABLE
    assert json.loads(said.out)["healthy"] is False
    (only,) = [f for f in json.loads(said.out)["findings"] if f["state"] == "problem"]
    assert only["hint"]
    return dict(only)


def test_a_healthy_tracker(cli: Command, tracker: Emulator) -> None:
    """Of a tracker that works each thing is ok, and each list is told with its rows."""
    said = cli("doctor")
    assert said.code == ExitCode.OK
    assert "ok       key          accepted" in said.out
    assert "problem" not in said.out
    rows = len(tracker.state.rows("offers"))
    assert any(line.split()[:2] == ["offer", str(rows)] for line in said.out.splitlines())
    assert tracker.key not in said.out + said.err


def test_it_only_reads(cli: Command, tracker: Emulator) -> None:
    """Every list that needs no parameter is asked for, nothing else, and nothing is changed."""
    cli("doctor")
    assert {call.split()[0] for call in calls(tracker)} == {"GET"}
    lists = doctor.lists(CATALOGUE)
    assert {call.split()[1].split("?")[0] for call in calls(tracker)} == {o.path for o in lists}
    assert len(lists) > 10


def test_json(cli: Command, tracker: Emulator) -> None:
    """With --format json the same is there for programs."""
    given = json.loads(cli("doctor", "--format", "json").out)
    assert given["healthy"] is True
    assert given["url"] == tracker.url
    assert {"resource", "state", "rows", "message", "milliseconds"} == set(given["rights"][0])


def test_a_refused_key(cli: Command, tracker: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is refused is the problem, once, and nothing more is asked for."""
    monkeypatch.setenv("KEITARO_API_KEY", "another-key-canary")
    said = cli("doctor", "--format", "json")
    assert problem(said)["name"] == "key"
    assert "canary" not in said.out
    assert len(calls(tracker)) == 1


def test_an_edition_without_the_api(cli: Command, tracker: Emulator) -> None:
    """402 is the edition's doing."""
    tracker.api_available = False
    assert problem(cli("doctor", "--format", "json"))["name"] == "edition"


def test_a_limited_key(cli: Command, tracker: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that may not see all is healthy; an empty list is told to be no proof."""
    tracker.grant("limited" * 5, Rights(resources=frozenset({"offers"})))
    tracker.fault(Fault("status", match="/users$", status=403, body={"error": "no"}))
    monkeypatch.setenv("KEITARO_API_KEY", "limited" * 5)
    said = cli("doctor")
    assert said.code == ExitCode.OK
    lines = {line.split()[0]: line for line in said.out.splitlines() if line.startswith("  ")}
    assert lines["campaign"].split()[1:3] == ["0", "rows"]
    assert "forbidden: " in lines["user"]
    assert "no proof" in said.err


def test_a_key_without_rights(cli: Command, tracker: Emulator) -> None:
    """A key whose user may read nothing is a problem."""
    tracker.fault(Fault("status", status=403, body={"error": "no"}, times=None))
    assert "may read nothing" in problem(cli("doctor", "--format", "json"))["message"]


ANSWERS = {
    "cloudflare": (
        Fault("status", status=403, headers={"cf-mitigated": "challenge"}, times=None),
        "Cloudflare",
    ),
    "redirect": (Fault("redirect", location="https://other.example", times=None), "elsewhere"),
    "page": (Fault("html", times=None), "web page"),
    "down": (Fault("status", status=503, times=None), "not available"),
    "hangs-up": (Fault("reset_before", times=None), "connection"),
}


@pytest.mark.parametrize(("fault", "words"), ANSWERS.values(), ids=ANSWERS)
def test_answers_that_are_none(cli: Command, tracker: Emulator, fault: Fault, words: str) -> None:
    """What answers, but not as a tracker does, is recognised and explained."""
    tracker.fault(fault)
    assert words in problem(cli("doctor", "--format", "json"))["message"]


def test_nobody_there(cli: Command, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address where nothing listens, and a name that nobody knows."""
    gone = start()
    monkeypatch.setenv("KEITARO_API_KEY", KEY)
    monkeypatch.setenv("KEITARO_URL", gone.url)
    gone.stop()
    assert problem(cli("doctor", "--format", "json"))["name"] == "connection"
    monkeypatch.setenv("KEITARO_URL", "https://nowhere.invalid")
    assert problem(cli("doctor", "--format", "json"))["name"] == "address"


def test_settings_that_cannot_be_used(cli: Command) -> None:
    """Without a tracker that is the problem."""
    said = cli("doctor")
    assert said.code == ExitCode.UNREACHABLE
    assert "problem  settings     no tracker is named" in said.out


def test_one_list_fails(cli: Command, tracker: Emulator) -> None:
    """A list that fails is told, and the rest is looked at all the same."""
    tracker.fault(Fault("reset_before", match="GET .*/offers$", times=None))
    rights = {r["resource"]: r for r in json.loads(cli("doctor", "--format", "json").out)["rights"]}
    assert rights["offer"]["state"] == "failed"
    assert rights["domain"]["state"] == "ok"


def test_lists_that_are_not_known(cli: Command, tracker: Emulator) -> None:
    """A path that the tracker does not know is a hint at its version."""
    tracker.fault(Fault("html", match="GET .*/stream_schemas$", times=None))
    version = found(cli("doctor", "--format", "json"))["version"]
    assert "does not know streamSchema" in str(version["message"]) or version["state"] == "ok"
    said = cli("doctor")
    assert "does not know streamSchema" in said.out


@pytest.mark.parametrize(("hours", "words"), [(2, "ahead of"), (-2, "behind"), (0, "agrees")])
def test_the_clock(cli: Command, tracker: Emulator, hours: int, words: str) -> None:
    """The tracker's clock is held against this machine's."""
    date = format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)
    tracker.fault(Fault("status", status=200, body=[], headers={"Date": date}, times=None))
    clock = found(cli("doctor", "--format", "json"))["clock"]
    assert words in clock["message"]
    assert bool(clock["hint"]) == bool(hours)


def test_a_date_that_is_none(cli: Command, tracker: Emulator) -> None:
    """A header that is no date says nothing of the clock."""
    tracker.fault(Fault("status", status=200, body=[], headers={"Date": "soon"}, times=None))
    assert "clock" not in found(cli("doctor", "--format", "json"))


@pytest.mark.parametrize(("dialect", "words"), [(9, "as trackers of 2022 do"), (10, "newer")])
def test_version(
    start: Start, cli: Command, monkeypatch: pytest.MonkeyPatch, dialect: int, words: str
) -> None:
    """Whether lists have pages tells old trackers from newer ones."""
    tracker = start(seed=sample_seed(), dialect=dialect)
    if dialect == 9:
        everything = [{"id": n} for n in range(3)]
        tracker.fault(Fault("status", match="/campaigns$", status=200, body=everything, times=None))
    monkeypatch.setenv("KEITARO_URL", tracker.url)
    monkeypatch.setenv("KEITARO_API_KEY", tracker.key)
    assert words in found(cli("doctor", "--format", "json"))["version"]["message"]


def test_slowness(cli: Command, tracker: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that takes long is told, with what helps."""
    monkeypatch.setattr(doctor, "SLOW", 0.05)
    tracker.fault(Fault("delay", seconds=0.1))
    assert "timeout" in found(cli("doctor", "--format", "json"))["latency"]["hint"]


def test_nothing_acts_on_the_terminal(cli: Command, tracker: Emulator) -> None:
    """What a server says of itself is shown without what a terminal would obey."""
    body = {"error": "\x9b31mred"}
    tracker.fault(Fault("status", status=401, body=body, headers={"Server": "x"}, times=None))
    assert "\x9b" not in cli("doctor").out


# -- TLS --------------------------------------------------------------------------------------


class _Tracker(BaseHTTPRequestHandler):
    """Answers every list with an empty one."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("cf-ray", "1")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(params=[90, 3], ids=["long", "soon"])
def secured(
    request: pytest.FixtureRequest, authority: trustme.CA, tmp_path: Path
) -> Iterator[tuple[Tracker, int]]:
    """A tracker behind TLS, and how many days its certificate is good for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    until = datetime.now(UTC) + timedelta(days=request.param, hours=1)
    authority.issue_cert("localhost", not_after=until).configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with ThreadingHTTPServer(("127.0.0.1", 0), _Tracker) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"https://localhost:{server.server_port}"
        yield Tracker("main", url, KEY, ca_file=tmp_path / "ca.pem"), request.param
        server.shutdown()


def test_certificates(secured: tuple[Tracker, int]) -> None:
    """A certificate is told with its end, and a word where that is near; Cloudflare is noticed."""
    tracker, days = secured
    diagnosis = doctor.examine(tracker, CATALOGUE)
    findings = {finding.name: finding for finding in diagnosis.findings}
    assert diagnosis.healthy
    assert f"{days} days from now" in findings["certificate"].message
    assert findings["certificate"].state is (State.OK if days > 21 else State.NOTE)
    assert "Cloudflare" in findings["server"].message


def test_a_certificate_of_an_unknown_authority(secured: tuple[Tracker, int]) -> None:
    """A certificate that is not trusted is the problem, with what to do."""
    diagnosis = doctor.examine(Tracker("main", secured[0].url, KEY), CATALOGUE)
    (only,) = diagnosis.findings
    assert (only.name, only.state) == ("certificate", State.PROBLEM)
    assert "ca_file" in only.hint


def test_a_proxy(tracker: Emulator) -> None:
    """Through a proxy the way is not looked at, since the tracker is not at its end."""
    host = Tracker("main", "http://tracker.example", KEY, insecure=True, proxy=tracker.url)
    diagnosis = doctor.examine(host, CATALOGUE)
    assert "proxy" in diagnosis.findings[0].message
