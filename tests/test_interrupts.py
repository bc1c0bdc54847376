"""Signals, pipes that break, disks that are full, clocks that jump: what a run does about them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from conftest import (
    NOON,
    Command,
    HeldClock,
    Run,
    Start,
    calls,
    check_line,
    command_line,
    environment,
    plan_of,
    steps,
)
from drivers.client import Child, Ended, Nursery

from runner.emulator import Emulator, Fault
from runner.execution.loops import each
from runner.execution.tally import SHIELDED
from runner.journal import Store
from runner.model import Reply
from runner.retries import retry_after
from runner.session import Options, Session, SystemClock
from runner.stop import Stop
from runner.trackers import Trackers

OFFERS = {"offers": [{"id": n, "name": f"Offer {n}"} for n in range(1, 10)]}
CREATE = "{{name: {0}, resource: group, operation: create, body: {{name: {0}, type: offers}}}}"
LAST = "finally: [{name: last, resource: offer, operation: update, id: 9, body: {notes: x}}]\n"
THREE = steps(*map(CREATE.format, "abc")) + LAST
FOUR = steps(*map(CREATE.format, "abcd")) + LAST
LOOP = (
    steps(
        "{name: each, for_each: [1, 2, 3, 4, 5, 6, 7, 8], concurrency: 3, resource: offer, "
        "operation: clone, id: '${{ item }}'}"
    )
    + LAST
)


class Scene:
    """A playbook under way in a process of its own, and the tracker it talks to."""

    def __init__(self, folder: Path, tracker: Emulator, nursery: Nursery) -> None:
        self.folder = folder
        self.tracker = tracker
        self._nursery = nursery

    def start(self, text: str, *args: str, **order: Any) -> Child:
        """Start a run with a report."""
        (self.folder / "playbook.yaml").write_text(text)
        return self._nursery.start(
            "run", "playbook.yaml", "--yes", "--report", "report.jsonl", *args,
            cwd=self.folder, environ=self.environ, **order,
        )  # fmt: skip

    @property
    def environ(self) -> dict[str, str]:
        """Where the tracker is."""
        return {"KEITARO_URL": self.tracker.url, "KEITARO_API_KEY": self.tracker.key}

    def await_calls(self, count: int) -> None:
        """Wait until the tracker has taken in so many requests."""
        self.wait_until(lambda: len(self.tracker.requests) >= count)

    @staticmethod
    def wait_until(holds: Callable[[], Any]) -> None:
        """Wait for what another process does."""
        limit = time.monotonic() + 10
        while not holds():
            assert time.monotonic() < limit
            time.sleep(0.002)

    def resume(self, *args: str) -> Ended:
        """Go on to the end, with a tracker that is well again."""
        self.tracker.clear_faults()
        text = (self.folder / "playbook.yaml").read_text()
        return self.start(text, "--resume", *args).wait()

    @property
    def envelopes(self) -> list[dict[str, Any]]:
        """The report's."""
        lines = (self.folder / "report.jsonl").read_text().splitlines()
        return [check_line(line) for line in lines if '"trailer":true' not in line]

    @property
    def outcomes(self) -> list[tuple[str, bool | None, str | None]]:
        """Each envelope's step, success and kind of failure."""
        return [(e["step"], e["success"], (e["error"] or {}).get("type")) for e in self.envelopes]

    @property
    def doubts(self) -> tuple[str, ...]:
        """What the run's journal leaves in doubt."""
        (run,) = Store(self.folder / ".keitaro").states()
        return run.doubts

    @property
    def state(self) -> str:
        """The run's state, as `runs` says it."""
        (run,) = Store(self.folder / ".keitaro").states()
        return run.state


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """One nursery for all."""
    with Nursery(tmp_path_factory.mktemp("nursery")) as started:
        yield started


@pytest.fixture
def scene(folder: Path, start: Start, nursery: Nursery) -> Scene:
    """A folder, and a tracker with offers."""
    return Scene(folder, start(seed=OFFERS), nursery)


BOTH = pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=["int", "term", "hup"]
)


# -- once ---------------------------------------------------------------------------------------


@BOTH
def test_once(scene: Scene, number: int) -> None:
    """The call in flight ends, its envelope is written, `finally` runs, and how to go on is said."""
    scene.tracker.fault(Fault("delay", match="POST", seconds=0.2))
    child = scene.start(THREE)
    scene.await_calls(1)
    child.signal(number)
    ended = child.wait()
    assert ended.code == 130
    assert calls(scene.tracker) == ["POST /groups", "PUT /offers/9"]
    assert scene.outcomes == [("a", True, None), ("last", True, None)]
    assert "stopping after the call under way" in ended.err
    assert "2 not run" in ended.err
    assert "--resume" in ended.err
    assert (scene.state, scene.doubts) == ("interrupted", ())
    assert scene.resume().code == 0
    assert calls(scene.tracker)[2:] == ["POST /groups", "POST /groups", "PUT /offers/9"]


def test_once_in_a_loop(scene: Scene) -> None:
    """All calls in flight end and none is begun; the loop goes on where it stopped."""
    scene.tracker.fault(Fault("delay", match="clone", seconds=0.2, times=3))
    child = scene.start(LOOP)
    scene.await_calls(3)
    child.signal(signal.SIGTERM)
    assert child.wait().code == 130
    assert [call for call in calls(scene.tracker) if "clone" in call] == [
        f"POST /offers/{n}/clone" for n in (1, 2, 3)
    ] or sorted(calls(scene.tracker)[:3]) == [f"POST /offers/{n}/clone" for n in (1, 2, 3)]
    assert [success for _, success, _ in scene.outcomes] == [True] * 4
    assert scene.resume().code == 0
    clones = [call for call in calls(scene.tracker) if "clone" in call]
    assert sorted(clones) == [f"POST /offers/{n}/clone" for n in range(1, 9)]


def test_once_in_finally(scene: Scene) -> None:
    """`finally` is not cut short by the first signal."""
    scene.tracker.fault(Fault("delay", match="PUT", seconds=0.2, times=1))
    two = LAST.replace("}]", "}, {name: more, resource: offer, operation: getAll}]")
    child = scene.start(steps(CREATE.format("a")) + two)
    scene.await_calls(2)
    child.signal(signal.SIGINT)
    assert child.wait().code in (0, 130)
    assert calls(scene.tracker) == ["POST /groups", "PUT /offers/9", "GET /offers"]


UNTIL = steps(
    "{name: wait, resource: offer, operation: getAll, until: '${{ data | length == 0 }}', "
    "every: 60s, attempts: 9}"
)


def test_once_while_waiting_for_a_condition(scene: Scene) -> None:
    """A long wait between the calls of `until` ends at once."""
    child = scene.start(UNTIL)
    scene.await_calls(1)
    child.signal(signal.SIGTERM)
    assert child.wait().code == 130
    assert scene.outcomes == [("wait", False, "until")]
    assert len(calls(scene.tracker)) == 1
    said = child.said()
    assert "after 1 attempt " in said
    assert "the run was asked to stop meanwhile" in said
    assert "nothing was sent" not in said


def test_once_while_waiting_to_try_again(scene: Scene) -> None:
    """A long wait before the next try ends at once; nothing more is sent, and nothing is in doubt."""
    scene.tracker.fault(Fault("status", status=429, headers={"Retry-After": "60"}, times=None))
    child = scene.start(steps(CREATE.format("a")), "-v")
    scene.wait_until(lambda: "again in" in child.said())
    child.signal(signal.SIGTERM)
    assert child.wait().code == 130
    assert scene.outcomes == [("a", False, "rate_limited")]
    assert len(calls(scene.tracker)) == 1
    assert scene.doubts == ()
    assert scene.resume().code == 0


def test_once_while_calls_wait_their_turn(scene: Scene) -> None:
    """What was written down and then not sent is known not to be: nobody is asked about it."""
    child = scene.start(LOOP, "--rate", "0.01")
    journal = scene.folder / ".keitaro/runs"
    scene.wait_until(
        lambda: sum(p.read_text().count('"intent"') for p in journal.glob("*/journal.jsonl")) >= 4
    )
    child.signal(signal.SIGTERM)
    # What `finally` sends keeps to the rate too, and is not waited for here.
    scene.wait_until(lambda: "stopping" in child.said())
    child.signal(signal.SIGTERM)
    ended = child.wait()
    assert ended.code == 130
    assert len(calls(scene.tracker)) == 1
    assert (scene.state, scene.doubts) == ("interrupted", ())
    # Nothing went wrong with what was about to leave.
    assert "stopped  each[" in child.said()
    assert "failed" not in child.said().lower()
    assert scene.resume().code == 0
    assert len(calls(scene.tracker)) == 9


# -- twice --------------------------------------------------------------------------------------


@BOTH
def test_twice(scene: Scene, number: int) -> None:
    """The second signal ends the run at once; the call in flight is unknown, and `finally` is not run."""
    scene.tracker.fault(Fault("silent", match="POST"))
    child = scene.start(THREE)
    scene.await_calls(1)
    child.signal(number)
    scene.wait_until(lambda: "stopping" in child.said())
    began = time.monotonic()
    child.signal(number)
    ended = child.wait()
    assert (ended.code, time.monotonic() - began < 3) == (130, True)
    assert scene.outcomes == [("a", None, "interrupted")]
    assert "1 unknown" in ended.err
    assert scene.doubts == ("a",)
    assert calls(scene.tracker) == ["POST /groups"]
    assert scene.resume().code == 0
    assert calls(scene.tracker).count("POST /groups") == 4


def test_twice_in_a_loop(scene: Scene) -> None:
    """Each of the calls in flight is unknown, and says so in the report and in the journal."""
    scene.tracker.fault(Fault("silent", match="clone", times=3))
    child = scene.start(LOOP)
    scene.await_calls(3)
    child.signal(signal.SIGINT)
    scene.wait_until(lambda: "stopping" in child.said())
    child.signal(signal.SIGINT)
    assert child.wait().code == 130
    assert scene.outcomes == [("each", None, "interrupted")] * 3
    assert sorted(scene.doubts) == ["each[0]", "each[1]", "each[2]"]
    assert scene.resume().code == 5
    words = [f"--in-doubt=each[{n}]=retry" for n in range(3)]
    assert scene.resume(*words).code == 0


@pytest.mark.parametrize("wait", ["until", "retry"])
def test_twice_while_waiting(scene: Scene, wait: str) -> None:
    """Where the second signal comes in a wait that the first does not cut short, it does."""
    text = UNTIL if wait == "until" else steps(CREATE.format("a"))
    if wait == "retry":
        scene.tracker.fault(Fault("status", status=429, headers={"Retry-After": "60"}, times=None))
    child = scene.start("version: 1\nsteps: [{name: s, set: {a: 1}}]\nfinally:\n"
                        + text.split("steps:\n")[1], "-v")  # fmt: skip
    scene.await_calls(1)
    if wait == "retry":
        scene.wait_until(lambda: "again in" in child.said())
    child.signal(signal.SIGINT)
    scene.wait_until(lambda: "stopping" in child.said())
    child.signal(signal.SIGINT)
    ended = child.wait()
    assert ended.code == 130
    assert [success for _, success, _ in scene.outcomes] == [False]
    assert scene.doubts == ()
    assert "Traceback" not in ended.err


def test_before_anything_is_sent(folder: Path, start: Start) -> None:
    """A signal while Python still starts ends the process like any other."""
    tracker = start()
    (folder / "playbook.yaml").write_text(THREE)
    environ = environment(KEITARO_URL=tracker.url, KEITARO_API_KEY=tracker.key)
    with subprocess.Popen(command_line("run", "playbook.yaml"), cwd=folder, env=environ,
                          stderr=subprocess.PIPE) as process:  # fmt: skip
        process.terminate()
        assert process.wait(10) != 0
    assert calls(tracker) == []


# -- pipes ----------------------------------------------------------------------------------------


def _piped(scene: Scene, *args: str, text: str = THREE, **streams: Any) -> subprocess.Popen[bytes]:
    (scene.folder / "playbook.yaml").write_text(text)
    return subprocess.Popen(
        command_line("run", "playbook.yaml", *args),
        cwd=scene.folder,
        env=environment(**scene.environ),
        **streams,
    )


def test_broken_pipe(scene: Scene) -> None:
    """Where nobody reads the report, the call under way is the last, and Python does not complain."""
    scene.tracker.fault(Fault("delay", match="POST", seconds=0.3, times=None))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with _piped(scene, "--report", "-", text=FOUR, **pipes) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["step"] == "a"
        process.stdout.close()
        _, said = b"", process.stderr.read() if process.stderr else b""
        assert process.wait(10) == 1
    assert calls(scene.tracker) == ["POST /groups"] * 3 + ["PUT /offers/9"]
    assert b"cannot be written: Broken pipe" in said
    assert b"Exception" not in said
    assert b"Traceback" not in said
    scene.resume()
    assert calls(scene.tracker).count("POST /groups") == 4


def test_nobody_listens(scene: Scene) -> None:
    """Where nobody reads what is said, the run goes on: its report and its journal tell it all."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as broken, _piped(scene, stderr=broken) as process:
        assert process.wait(10) == 0
    assert len(calls(scene.tracker)) == 4
    assert scene.state == "done"


def test_reports_are_utf_8(scene: Scene) -> None:
    """A report on stdout is UTF-8, whatever the locale says."""
    text = steps(
        "{name: a, resource: group, operation: create, body: {name: Группа, type: offers}}"
    )
    (scene.folder / "playbook.yaml").write_text(text, encoding="utf-8")
    done = subprocess.run(
        command_line("run", "playbook.yaml", "--report", "-"),
        cwd=scene.folder,
        env=environment(**scene.environ, PYTHONIOENCODING="ascii"),
        capture_output=True,
        check=True,
    )
    assert "Группа" in done.stdout.decode()


# -- disks ----------------------------------------------------------------------------------------


def test_a_full_disk_under_the_report(scene: Scene) -> None:
    """A report that cannot be written is noticed while the next call is under way, the last one."""
    (scene.folder / "report.jsonl").symlink_to("/dev/full")
    ended = scene.start(THREE).wait()
    assert ended.code == 1
    assert "cannot be written: No space left on device" in ended.err
    assert "Traceback" not in ended.err
    assert calls(scene.tracker) == ["POST /groups", "POST /groups", "PUT /offers/9"]
    (scene.folder / "report.jsonl").unlink()
    assert scene.resume().code == 0
    assert [e["step"] for e in scene.envelopes] == ["a", "b", "last", "c", "last"]
    assert calls(scene.tracker).count("POST /groups") == 3


@pytest.mark.parametrize("room", range(1000, 11000, 1250))
def test_a_full_disk_under_the_journal(scene: Scene, room: int) -> None:
    """A journal that cannot be written is noticed before the next call; what was done is kept."""
    (scene.folder / "playbook.yaml").write_text(LOOP)
    ended = scene.start(LOOP, file_size=room).wait()
    assert ended.code in (1, 2, 5) or room > 10_000
    assert "Traceback" not in ended.err
    for _ in range(3):
        if not any((scene.folder / ".keitaro").glob("runs/*/journal.jsonl")):
            break
        if scene.state == "done":
            break
        done = {r.path for r in scene.tracker.requests}
        words = [
            f"--in-doubt={key}={'done' if _path(key) in done else 'retry'}"
            for key in scene.doubts
            if key != "last"
        ]
        assert scene.resume(*words).code == 0
    clones = [call for call in calls(scene.tracker) if "clone" in call]
    assert len(clones) == len(set(clones))
    assert len(clones) in (0, 8)


def _path(key: str) -> str:
    number = re.findall(r"\d+", key)[0]
    return f"/admin_api/v1/offers/{int(number) + 1}/clone"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--state-dir", "playbook.yaml"], "cannot keep a journal in playbook.yaml"),
        (["--report", "no/such/folder.jsonl"], "cannot write no/such/folder.jsonl"),
        (["--report", "."], "cannot write ."),
        (["--html", "no/such.html"], "cannot write no/such.html"),
        (["--junit", "."], "cannot write ."),
    ],
)
def test_nowhere_to_write(scene: Scene, cli: Command, args: list[str], said: str,
                          monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """Where the journal or the report cannot be begun nothing is sent, and no run is left behind."""
    for name, value in scene.environ.items():
        monkeypatch.setenv(name, value)
    (scene.folder / "playbook.yaml").write_text(THREE)
    ended = cli("run", "playbook.yaml", *args)
    assert (ended.code, calls(scene.tracker)) == (2, [])
    assert said in ended.err
    assert Store(scene.folder / ".keitaro").states() == []


# -- clocks ---------------------------------------------------------------------------------------


def test_no_long_sleep_once_a_run_is_to_stop() -> None:
    """Who goes to sleep just as the run is asked to stop wakes soon, and may look again."""
    stop = Stop()
    clock = SystemClock(stop)
    stop.set()
    began = clock.monotonic()
    clock.sleep(60)
    assert clock.monotonic() - began < 5


@pytest.mark.parametrize("moment", range(8))
def test_a_signal_may_come_at_any_moment_of_a_sleep(moment: int) -> None:
    """Its handler waits for nothing that the thread which it interrupts may hold."""
    stop, lines = Stop(), 0

    def at_a_line(_frame: FrameType, event: str, _: object) -> Any:
        nonlocal lines
        lines += event == "line"
        if event == "line" and lines == moment + 1:
            sys.settrace(None)
            stop.set()
        return at_a_line

    def sleeps() -> None:
        sys.settrace(at_a_line)
        try:
            SystemClock(stop).sleep(0.3)
        finally:
            sys.settrace(None)

    sleeper = threading.Thread(target=sleeps, daemon=True)
    sleeper.start()
    sleeper.join(5)
    assert not sleeper.is_alive()
    assert stop.is_set()


class _Jumping(HeldClock):
    """A clock whose date goes back an hour each time that it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self._asked = 0

    def now(self) -> datetime:
        """The date and time, ever earlier."""
        self._asked += 1
        return NOON - timedelta(hours=self._asked)


def test_clocks_that_jump(run_playbook: Run, start: Start) -> None:
    """A date that jumps back changes neither how long calls took nor how long a run waits."""
    clock = _Jumping()
    ran = run_playbook(
        steps("{name: it, for_each: [1, 2], resource: offer, operation: get, id: '${{ item }}'}"),
        tracker=start(Fault("status", status=503, headers={"Retry-After": "7"}), seed=OFFERS),
        clock=clock,
    )
    assert [e["success"] for e in ran.envelopes] == [True, True]
    assert [e["duration_ms"] for e in ran.envelopes] == [7000, 0]
    assert clock.slept == [7]


@pytest.mark.parametrize(("date", "seconds"), [(NOON, 60), (None, 0), ("nonsense", 0)])
def test_clocks_that_differ(date: datetime | str | None, seconds: float) -> None:
    """A date to try again at is held against the tracker's own clock, where it tells its time."""
    headers = {"retry-after": format_datetime(NOON + timedelta(seconds=60), usegmt=True)}
    if date is not None:
        headers["date"] = date if isinstance(date, str) else format_datetime(date, usegmt=True)
    assert retry_after(Reply(429, headers, b""), NOON + timedelta(hours=5)) == seconds


@pytest.mark.parametrize("workers", [1, 4])
def test_rate(folder: Path, start: Start, workers: int) -> None:
    """With a rate calls leave that far apart, however many run in parallel."""
    clock = HeldClock()
    tracker = start(seed=OFFERS, clock=clock.now)
    (folder / "p.yaml").write_text(
        steps(
            f"{{name: it, for_each: '${{{{ range(1, 9) }}}}', concurrency: {workers}, "
            "resource: offer, operation: get, id: '${{ item }}'}"
        )
    )
    environ = {"KEITARO_URL": tracker.url, "KEITARO_API_KEY": tracker.key}
    options = Options(rate=0.5)
    with Session(Trackers(None, environ), options, environ=environ, clock=clock) as session:
        summary = session.run(plan_of(folder / "p.yaml"), [], run_id="R")
    assert summary.succeeded == 8
    assert clock.monotonic() >= 14
    if workers == 1:
        moments = [(r.at - NOON).total_seconds() for r in tracker.requests]
        assert moments == [2.0 * n for n in range(8)]


def test_the_end_of_one_include_shields_no_other_step(scene: Scene) -> None:
    """Includes that run at a time come to their `finally` at different times."""
    (scene.folder / "inc.yaml").write_text(
        steps("{resource: source, operation: getAll}")
        + "finally: [{resource: campaign, operation: getAll}]\n"
    )
    scene.tracker.fault(Fault("delay", match="GET .*/campaigns", seconds=0.05, times=None))
    scene.tracker.fault(Fault("delay", match="GET .*/offers", seconds=0.1, times=None))
    text = steps(
        "{name: all, for_each: '${{ range(6) }}', concurrency: 3, include: inc.yaml}",
        "{name: many, for_each: '${{ range(20) }}', resource: offer, operation: getAll}",
    )
    child = scene.start(text)
    scene.await_calls(13)
    child.signal(signal.SIGINT)
    assert child.wait().code == 130
    assert len(calls(scene.tracker)) < 12 + 20


def test_threads_are_below_what_the_thread_is_below_that_starts_them() -> None:
    """The items of a loop in a `finally` are shielded as it is."""
    found: list[bool] = []

    def work(_: int) -> bool:
        found.append(SHIELDED.get())
        return True

    before = SHIELDED.set(True)
    try:
        each(6, 3, work)
    finally:
        SHIELDED.reset(before)
    each(2, 2, work)
    assert found == [True] * 6 + [False] * 2
