"""What tests share: a stand-in tracker, ways to run a playbook, and guards against strays."""

from __future__ import annotations

import gc
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from unittest.mock import patch

import pytest
from jsonschema import Draft202012Validator

from runner import execution, inputs, trackers
from runner.catalogue import Catalogue, bundled
from runner.cli import main
from runner.emulator import Emulator, Fault, Received
from runner.execution.past import Past
from runner.model import (
    Event,
    Exchange,
    Finished,
    Problem,
    Reach,
    Reply,
    Request,
    Retrying,
    Severity,
    Summary,
    nothing,
)
from runner.planning import Plan, build
from runner.planning.order import order_of
from runner.playbook import read
from runner.report.jsonl import JsonLines
from runner.report.turns import InTurn
from runner.session import Options, Session, new_run_id
from runner.trackers import Trackers
from runner.trackers.tracker import TRANSPORTS
from runner.validation import Rules, check

ROOT = Path(__file__).parent.parent
CATALOGUE = Catalogue()
NOON = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)

_STRAYS = (
    *("CI", "NO_COLOR", "FORCE_COLOR", "GITHUB_ACTIONS", "NETRC", "SSL_CERT_FILE"),
    *("SSL_CERT_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the switch that writes what the cases expect anew, and the one for the transport."""
    parser.addoption(
        "--update-cases", action="store_true", help="Write the expected texts of tests/cases anew."
    )
    parser.addoption(
        "--transport", choices=TRANSPORTS, help="What carries requests where a test names nothing."
    )


def pytest_configure(config: pytest.Config) -> None:
    """Have processes that tests start take the transport that is asked for."""
    if config.getoption("--transport"):
        os.environ["KEITARO_TRANSPORT"] = config.getoption("--transport")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what is about httpx where something else carries the requests."""
    if config.getoption("--transport") == "curl":
        for item in items:
            if item.get_closest_marker("httpx_only"):
                item.add_marker(pytest.mark.skip(reason="this is about httpx"))


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: many tests wait, for a timeout or another process."""
    return (os.cpu_count() or 1) + 1


# -- guards ---------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def _homes() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="homes-") as folder:
        yield Path(folder)


@pytest.fixture(autouse=True)
def _clean_surroundings(
    monkeypatch: pytest.MonkeyPatch, _homes: Path, pytestconfig: pytest.Config
) -> None:
    """An empty home, and an environment that says nothing of trackers, proxies or colours."""
    if transport := pytestconfig.getoption("--transport"):
        monkeypatch.setattr(trackers, "TRANSPORTS", sorted(TRANSPORTS, key=transport.__ne__))
    for name in list(os.environ):
        if name == "KEITARO_TRANSPORT" and transport:
            continue
        if name in _STRAYS or name.startswith("KEITARO_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", tempfile.mkdtemp(dir=_homes))
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever would leave this machine fails; a name that ends in .invalid is not even asked."""
    connect, lookup = socket.socket.connect, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6} and not _is_loopback(address[0]):
            pytest.fail(f"a test reached for the network: {address}")
        connect(self, address)

    def guarded_lookup(host: Any, *rest: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name and name.endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if name and not _is_loopback(name):
            pytest.fail(f"a test looked up a name: {name}")
        return lookup(host, *rest, **options)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_lookup)


def _is_loopback(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")


@cache
def _envelope_schema() -> Draft202012Validator:
    text = (bundled("schemas") / "envelope.schema.json").read_text(encoding="utf-8")
    return Draft202012Validator(json.loads(text))


def check_line(line: str) -> dict[str, Any]:
    """An envelope that a test produced, held against the schema; gives it parsed."""
    envelope: dict[str, Any] = json.loads(line)
    _envelope_schema().validate(envelope)
    return envelope


def check_report(text: str) -> list[dict[str, Any]]:
    """A whole report, its trailer last; gives the envelopes before it."""
    lines = [check_line(line) for line in text.splitlines()]
    assert ["trailer" in line for line in lines] == [False] * (len(lines) - 1) + [True]
    return lines[:-1]


@pytest.fixture(autouse=True)
def _lines_fit_their_schema(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every line that goes to a report is checked, whichever test produced it."""
    write, wrong = JsonLines.__call__, []

    def checked(self: JsonLines, event: Event) -> None:
        if isinstance(event, Finished):
            wrong.extend(_envelope_schema().iter_errors(json.loads(event.line)))
        write(self, event)

    monkeypatch.setattr(JsonLines, "__call__", checked)
    yield
    # Only now: what is raised in a run's own threads may be taken for trouble with the report.
    assert wrong == []


# -- the tracker ----------------------------------------------------------------------------------


class Start(Protocol):
    """Starts an emulator that ends with the test."""

    def __call__(self, *faults: Fault, seed: Any = None, **options: Any) -> Emulator:
        """The emulator, listening, with these faults switched on."""
        ...


@pytest.fixture
def start() -> Iterator[Start]:
    """A factory of emulators: empty unless seeded, gone with the test."""
    with ExitStack() as stack:

        def factory(*faults: Fault, seed: Any = None, **options: Any) -> Emulator:
            tracker = Emulator(seed=seed, **options)
            for fault in faults:
                tracker.fault(fault)
            return stack.enter_context(tracker)

        yield factory


@pytest.fixture
def tracker(start: Start) -> Emulator:
    """An empty tracker."""
    return start()


def calls(tracker: Emulator) -> list[str]:
    """What arrived at a tracker, as `METHOD /path` below the API."""
    return [short(received) for received in tracker.requests]


def short(received: Received) -> str:
    """One request as `METHOD /path` below the API."""
    return f"{received.method} {received.path.removeprefix('/admin_api/v1')}"


class HeldClock:
    """A clock that only moves when somebody sleeps; says how long each sleep was."""

    def __init__(self, moment: datetime = NOON) -> None:
        self._lock = threading.Lock()
        self._begun = moment
        self._passed = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        """The date and time, in UTC."""
        return self._begun + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._passed

    def sleep(self, seconds: float) -> None:
        """Move the clock on."""
        with self._lock:
            self.slept.append(seconds)
            self._passed += seconds


# -- running playbooks ----------------------------------------------------------------------------


@cache
def _shared_rules() -> Rules:
    return Rules(CATALOGUE)


def _rules() -> Rules:
    """The rules, with their schemas compiled once, and nothing remembered of included files."""
    rules = _shared_rules()
    rules.included.clear()
    return rules


def validate(path: Path) -> list[Problem]:
    """The problems of a playbook."""
    return check(read(path), _rules())


def plan_of(
    path: Path,
    given: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    started: datetime = NOON,
) -> Plan:
    """The plan of a playbook that has no errors."""
    document, rules = read(path), _rules()
    errors = [p for p in check(document, rules) if p.severity is Severity.ERROR]
    assert not errors, [(str(p.place), p.message) for p in errors]
    values = inputs.resolve(
        document.data.get("inputs"),
        texts={},
        values=given or {},
        environ=environ or {},
        secrets={},
    )
    return build(document, rules, values, started)


@dataclass(slots=True)
class Outcome:
    """What came of a run: its summary, its envelopes as lines and parsed, and what was sent."""

    summary: Summary
    tracker: Emulator
    lines: list[str] = field(default_factory=list)
    retries: list[Retrying] = field(default_factory=list)

    @property
    def envelopes(self) -> list[dict[str, Any]]:
        """The envelopes, in the order in which they were written."""
        return [json.loads(line) for line in self.lines]

    @property
    def only(self) -> dict[str, Any]:
        """The one envelope that there is."""
        (envelope,) = self.envelopes
        return envelope

    @property
    def calls(self) -> list[str]:
        """What arrived at the tracker, as `METHOD /path` below the API."""
        return calls(self.tracker)

    def of(self, step: str) -> dict[str, Any]:
        """The one envelope of a step."""
        (envelope,) = [e for e in self.envelopes if e["step"] == step]
        return envelope

    def errors(self) -> list[str]:
        """The messages of all failures, in order."""
        return [e["error"]["message"] for e in self.envelopes if e["error"]]


class Run(Protocol):
    """Runs a playbook in this process."""

    def __call__(
        self,
        text: str,
        given: Mapping[str, Any] | None = None,
        *,
        tracker: Emulator | None = None,
        others: Mapping[str, Emulator] | None = None,
        clock: Any = None,
        environ: Mapping[str, str] | None = None,
        limits: Any = None,
        jobs: int = 1,
        dry: bool = False,
    ) -> Outcome:
        """What came of it."""
        ...


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that playbooks lie in, which is the current one too."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run_playbook(start: Start, folder: Path) -> Run:
    """Writes a playbook and runs it: validation, planning, session, all but the command line."""

    def run(
        text: str,
        given: Mapping[str, Any] | None = None,
        *,
        tracker: Emulator | None = None,
        others: Mapping[str, Emulator] | None = None,
        clock: Any = None,
        environ: Mapping[str, str] | None = None,
        limits: Any = None,
        jobs: int = 1,
        dry: bool = False,
    ) -> Outcome:
        here = tracker or start()
        path = folder / "playbook.yaml"
        path.write_text(text, encoding="utf-8")
        environ = {"KEITARO_URL": here.url, "KEITARO_API_KEY": here.key, **(environ or {})}
        file = _trackers_file(folder, others, environ)
        plan = plan_of(path, given, environ=environ)
        lines: list[str] = []
        retries: list[Retrying] = []

        def sink(event: Event) -> None:
            if isinstance(event, Finished):
                lines.append(event.line)
            elif isinstance(event, Retrying):
                retries.append(event)

        options = Options(limits=limits, folder=folder, dry=dry)
        waits = order_of(plan, CATALOGUE).waits if jobs > 1 else ()
        overlap = execution.Overlap(jobs, waits)
        last = InTurn(sink) if jobs > 1 else None
        with Session(Trackers(file, environ), options, environ=environ, clock=clock) as session:
            summary = session.run(plan, [last or sink], run_id=new_run_id(NOON), overlap=overlap)
        if last is not None:
            last.close()
        for line in lines:
            check_line(line)
        if summary.crash is not None:
            raise summary.crash
        return Outcome(summary, here, lines, retries)

    return run


def _trackers_file(
    folder: Path, others: Mapping[str, Emulator] | None, environ: dict[str, str]
) -> Path | None:
    if not others:
        return None
    own = {"url": environ["KEITARO_URL"], "key": {"env": "KEITARO_API_KEY"}}
    entries: dict[str, Any] = {"default": own}
    for name, tracker in others.items():
        environ[f"KEY_OF_{name.upper()}"] = tracker.key
        entries[name] = {"url": tracker.url, "key": {"env": f"KEY_OF_{name.upper()}"}}
    file = folder / "trackers.yaml"
    told = {"default": "default", "trackers": entries}
    file.write_text(json.dumps(told), encoding="utf-8")
    return file


def run_stubbed(
    folder: Path,
    text: str,
    send: Callable[[Request], Reply],
    *,
    clock: Any = None,
    keep: bool = True,
    overlap: execution.Overlap | None = None,
    watch: Callable[[str, Event], None] = lambda *_: None,
    leave: Callable[[Request], None] = lambda _: None,
    past: Past | None = None,
    rate: float | None = None,
    dry: bool = False,
) -> tuple[Summary, list[Any]]:
    """Run a playbook with `send` in place of a tracker; give the summary and the envelopes.

    `watch` is told of each event when it is `noted` and when it is `shown`, `leave` of each request
    before there is time for anything else.
    """
    path = folder / "stubbed.yaml"
    path.write_text(text, encoding="utf-8")
    envelopes: list[Any] = []
    clock = clock or HeldClock()

    def note(event: Event) -> Event:
        watch("noted", event)
        return event

    def show(event: Event) -> None:
        watch("shown", event)
        if keep and isinstance(event, Finished):
            envelopes.append(event.envelope)

    def prepare(request: Request) -> Exchange:
        def exchange(meanwhile: Callable[[], None] = nothing) -> Reply:
            leave(request)
            meanwhile()
            return send(request)

        return exchange

    outside = execution.Outside(
        find=lambda _: Reach("t", "http://t.invalid", "http://t.invalid/admin_api/v1", prepare),
        note=note,
        show=show,
        save=lambda *_: None,
        hide=lambda _: None,
        environ={},
        clock=clock,
        draw=lambda: 0.0,
        pacer=execution.Pacer(clock.monotonic, clock.sleep, rate),
        digest=lambda _: "",
        stopping=lambda: False,
        past=past or Past(),
        dry=dry,
    )
    summary = execution.run(plan_of(path), outside, "run", overlap or execution.Overlap())
    if summary.crash is not None:
        raise summary.crash
    return summary, envelopes


# -- the command line -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Said:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def envelopes(self) -> list[dict[str, Any]]:
        """Its stdout as envelopes."""
        return check_report(self.out)


Command = Callable[..., Said]


@pytest.fixture
def cli(folder: Path) -> Command:
    """Runs the command line in this process, in the playbooks' folder."""

    def run(*args: str, stdin: str = "") -> Said:
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
        source = io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")
        collected = gc.get_threshold()
        with (
            redirect_stdout(out),
            redirect_stderr(err),
            patch.object(sys, "stdin", source),
            patch.object(sys, "argv", ["keitaro-runner", *args]),
            pytest.raises(SystemExit) as ended,
        ):
            main()
        gc.set_threshold(*collected)
        texts = []
        for stream in (out, err):
            stream.flush()
            texts.append(stream.buffer.getvalue().decode())  # type: ignore[attr-defined]
        return Said(int(ended.value.code or 0), *texts)

    return run


def command_line(*args: str) -> list[str]:
    """The words that start the command in a process of its own."""
    return [sys.executable, "-m", "runner", *args]


def environment(**more: str) -> dict[str, str]:
    """The environment of such a process, which finds the package from any folder."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", **more}


def spawn(*args: str, cwd: Path, stdin: str = "", **more: str) -> Said:
    """Run the command in a process of its own."""
    done = subprocess.run(
        command_line(*args),
        cwd=cwd,
        env=environment(**more),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def steps(*lines: str, head: Sequence[str] = ()) -> str:
    """A playbook of these steps, one flow mapping each."""
    return "\n".join(["version: 1", *head, "steps:", *(f"  - {line}" for line in lines), ""])
