"""The journal: what is on disk when, who may write, and what a reader makes of it."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, calls, check_line, plan_of, steps

from runner.emulator import Emulator
from runner.errors import ExitCode, RunnerError
from runner.journal import (
    Decision,
    JournalError,
    Lock,
    Store,
    Writer,
    read_decisions,
    read_history,
    state_folder,
)
from runner.journal import writer as writing
from runner.journal.lock import is_held
from runner.model import Event, Finished, Intent, Phase, Retrying
from runner.session import Session
from runner.trackers import Trackers
from runner.transport import Transport

RUN = {"record": "run", "run": "R", "file": "f", "steps": {}, "inputs": {}}


def intent(key: str, body: Any = None) -> Intent:
    """An intent to create a group."""
    return Intent(key, "group", "create", "POST", "http://t.invalid/groups", body, "d", "t")


def outcome(
    key: str, success: bool | None, *, seq: int = 1, attempts: int = 1, kind: str = "invalid"
) -> Finished:
    """What came of it."""
    error = None if success else {"type": kind}
    envelope = {"seq": seq, "success": success, "attempts": attempts, "error": error,
                "skipped": None, "data": {"token": "***"}}  # fmt: skip
    return Finished(key, envelope, json.dumps(envelope), "d", (("data", "token"),))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a journal is to be."""
    return tmp_path / "journal.jsonl"


def write(path: Path, *events: Any) -> None:
    """A journal of these events and records, after its first."""
    with Writer(path) as journal:
        for event in events if path.stat().st_size else (RUN, *events):
            journal.record(event) if isinstance(event, dict) else journal(event)


def run_with(journal: Writer, text: str, folder: Path, tracker: Emulator) -> list[Any]:
    """Run a playbook with this journal; give its envelopes."""
    (folder / "p.yaml").write_text(text)
    environ = {"KEITARO_URL": tracker.url, "KEITARO_API_KEY": tracker.key}
    envelopes: list[Any] = []

    def sink(event: Event) -> None:
        if isinstance(event, Finished):
            envelopes.append(check_line(event.line))

    with Session(Trackers(None, environ), environ=environ) as session:
        session.run(plan_of(folder / "p.yaml"), [sink], run_id="R", journal=journal)
    return envelopes


# -- writing --------------------------------------------------------------------------------------


def test_an_intent_is_synced_before_it_returns(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the writer is done with an intent it is on the disk; an outcome rides on the next."""
    synced: list[int] = []
    fsync = os.fsync

    def noted(handle: int) -> None:
        if stat.S_ISREG(os.fstat(handle).st_mode):
            synced.append(os.fstat(handle).st_size)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    with Writer(path) as journal:
        journal(intent("a"))
        assert synced == [path.stat().st_size]
        journal(outcome("a", True))
        journal(Phase(True))
        journal(Retrying("a", 1, 1.0, "why"))
        assert len(synced) == 1
        journal(intent("b"))
        assert synced[1:] == [path.stat().st_size]
    assert len(synced) == 3


def test_calls_leave_after_their_intent_is_synced(
    tracker: Emulator, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that changes anything leaves before its intent is on the disk; reads need none."""
    order: list[str] = []
    send, fsync = Transport.send, os.fsync

    def sent(self: Transport, request: Any) -> Any:
        order.append(request.method)
        return send(self, request)

    def synced(handle: int) -> None:
        last = path.read_text().splitlines()[-1:] if path.exists() else []
        order.extend(json.loads(line)["record"] for line in last)
        fsync(handle)

    monkeypatch.setattr(Transport, "send", sent)
    monkeypatch.setattr(os, "fsync", synced)
    with Writer(path) as journal:
        order.clear()
        text = steps(
            "{resource: group, operation: create, body: {name: A, type: offers}}",
            "{resource: group, operation: getAll, params: {type: offers}}",
            "{resource: group, operation: update, id: 1, body: {name: B}}",
        )
        envelopes = run_with(journal, text, path.parent, tracker)
    assert [e["success"] for e in envelopes] == [True] * 3
    assert order[:5] == ["intent", "POST", "GET", "intent", "PUT"]


def test_threads_share_a_sync(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of intents that come together each is on the disk when it returns, at fewer syncs."""
    first, go = threading.Event(), threading.Event()
    count = 0
    fsync = os.fsync

    def slow(handle: int) -> None:
        nonlocal count
        count += 1
        first.set()
        assert go.wait(5)
        fsync(handle)

    journal = Writer(path)
    monkeypatch.setattr(os, "fsync", slow)
    threads = [threading.Thread(target=journal, args=(intent(f"k{n}"),)) for n in range(8)]
    for thread in threads:
        thread.start()
    assert first.wait(5)
    while path.read_text().count("\n") < 8:
        pass
    go.set()
    for thread in threads:
        thread.join()
    assert count <= 3
    journal.close()
    journal.close()


def test_a_new_journal_is_found_after_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folders that were made for a journal are synced with it; an old one's are not."""
    synced: list[int] = []
    fsync = os.fsync

    def noted(handle: int) -> None:
        synced.append(os.fstat(handle).st_ino)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    folder = Store(tmp_path / "state").create("20260304-120000-abcdef")
    write(folder.journal)
    wanted = [folder.path, *folder.path.parents[:3]]
    assert {p.stat().st_ino for p in wanted} <= set(synced)
    synced.clear()
    write(folder.journal, Phase(True))
    assert synced == [folder.journal.stat().st_ino]


@pytest.mark.parametrize("kept", [0, 1, 17])
def test_a_line_that_fails_leaves_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    """After a write that failed half-way the next record begins a line of its own."""
    real = os.write

    def full(handle: int, line: bytes) -> int:
        if len(line) <= kept:
            raise OSError(errno.ENOSPC, "No space left on device")
        monkeypatch.setattr(os, "write", fails)
        return real(handle, line[:kept])

    def fails(handle: int, line: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Writer(path) as journal:
        journal.record(RUN)
        journal(intent("a"))
        monkeypatch.setattr(os, "write", full if kept else fails)
        with pytest.raises(JournalError, match="No space left"):
            journal(outcome("a", True))
        monkeypatch.setattr(os, "write", real)
        journal(outcome("b", True))
    assert [json.loads(line)["record"] for line in path.read_text().splitlines()] == [
        "run", "intent", "outcome",
    ]  # fmt: skip
    assert set(read_history(path).doubts) == {"a"}


@pytest.fixture
def full() -> Iterator[Writer]:
    """A journal on a full disk."""
    journal = Writer(Path("/dev/full"))
    yield journal
    with pytest.raises(JournalError):  # this device cannot be synced either
        journal.close()


def test_a_full_disk(full: Writer) -> None:
    """What cannot be written is told, with what to do."""
    with pytest.raises(JournalError) as told:
        full(intent("a"))
    assert "No space left on device" in told.value.message
    assert "resume" in told.value.hint
    assert told.value.code is ExitCode.FAILED


def test_nowhere_to_write(tmp_path: Path) -> None:
    """A journal, a lock or a run that cannot be begun is told in words."""
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError):
        Writer(tmp_path / "file/journal.jsonl")
    with pytest.raises(RunnerError, match="cannot write"), Lock(tmp_path / "file/lock", "R"):
        pass
    with pytest.raises(RunnerError, match="cannot keep a journal"):
        Store(tmp_path / "file").create("R")


def test_what_is_no_unicode(path: Path) -> None:
    """Half a character, which JSON allows, can be written down."""
    write(path, intent("a", {"name": "\ud83d"}))
    assert read_history(path).doubts["a"].request["body"] == {"name": "\ud83d"}


def test_nobody_else_may_read(tmp_path: Path) -> None:
    """Journals are for their owner only, and git does not see them."""
    before = os.umask(0)
    try:
        store = Store(tmp_path / ".keitaro")
        folder = store.create("20260304-120000-abcdef")
        with Lock(folder.lock, folder.id):
            write(folder.journal)
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.journal.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.lock.stat().st_mode) == 0o600
    assert (store.folder / ".gitignore").read_text() == "*\n"


# -- the lock -------------------------------------------------------------------------------------

HOLD = """
import sys, pathlib
from runner.journal import Lock
with Lock(pathlib.Path(sys.argv[1]), "R"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_dead_owner_never_blocks(tmp_path: Path) -> None:
    """A living owner is named; once it is killed, however, the lock is free."""
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as owner:  # fmt: skip
        assert owner.stdout is not None
        assert owner.stdout.readline() == "held\n"
        assert is_held(path)
        with pytest.raises(RunnerError) as told, Lock(path, "R"):
            pass
        assert f"by process {owner.pid} on " in told.value.message
        owner.kill()
        owner.wait()
        assert not is_held(path)
        with Lock(path, "R"):
            assert json.loads(path.read_text())["pid"] == os.getpid()
            assert is_held(path)
    assert not is_held(path)
    assert not is_held(tmp_path / "none")


def test_a_lock_that_says_nothing(tmp_path: Path) -> None:
    """What stands in the lock's file is for people: it may be anything."""
    path = tmp_path / "lock"
    with Lock(path, "R"):
        path.write_text("[")
        with pytest.raises(RunnerError, match="is being run already$"), Lock(path, "R"):
            pass


# -- reading --------------------------------------------------------------------------------------


def states(path: Path) -> tuple[set[str], set[str]]:
    """What is done, and what is in doubt."""
    history = read_history(path)
    return set(history.done), set(history.doubts)


@pytest.mark.parametrize(
    ("events", "done", "doubts"),
    [
        ([], set(), set()),
        ([intent("a")], set(), {"a"}),
        ([intent("a"), outcome("a", True)], {"a"}, set()),
        ([intent("a"), outcome("a", None)], set(), {"a"}),
        ([intent("a"), outcome("a", False)], set(), set()),
        ([intent("a"), outcome("a", False, kind="expectation")], {"a"}, set()),
        ([intent("a"), outcome("a", False, attempts=0)], set(), set()),
        ([outcome("a", False, attempts=0, kind="in_doubt")], set(), set()),
        ([intent("a"), {"record": "resume", "now": {}}, intent("a"),
          outcome("a", False, attempts=0)], set(), {"a"}),
        ([intent("a"), {"record": "resume", "now": {}},
          outcome("a", False, attempts=0, kind="in_doubt")], set(), {"a"}),
        ([intent("a"), {"record": "resume", "now": {}}, outcome("a", True, attempts=0)],
         {"a"}, set()),
        ([intent("a"), outcome("a", True), intent("a"), outcome("a", False)], set(), set()),
    ],
    ids=["nothing", "sent", "done", "unknown", "refused", "condition", "unsent", "never-sent",
         "unsent-again", "unsettled", "settled", "failed-later"],
)  # fmt: skip
def test_states(path: Path, events: list[Any], done: set[str], doubts: set[str]) -> None:
    """A call is in doubt exactly where it was sent, or may have been, and no outcome is known."""
    write(path, *events)
    assert states(path) == (done, doubts)


def test_finally_counts_after_success_only(path: Path) -> None:
    """What ran below `finally` counts where the steps before had succeeded, in that part."""
    last = ("f", "each[0].child.g")
    write(path, outcome("a", True), Phase(False, last), outcome("f", True),
          outcome("each[0].child.g[1].x", True))  # fmt: skip
    assert states(path)[0] == {"a"}
    write(path, {"record": "resume", "now": {}}, Phase(True, last))
    assert states(path)[0] == {"a"}
    write(path, outcome("f", True))
    assert states(path)[0] == {"a", "f"}
    write(path, {"record": "resume", "now": {}}, Phase(True, last))
    assert states(path)[0] == {"a", "f"}


def test_envelopes_are_read_one_at_a_time(path: Path) -> None:
    """Envelopes stay in the file, and come back as they were written."""
    one, two = outcome("a", True), outcome("b", True, seq=2)
    write(path, one, intent("c"), two)
    history = read_history(path)
    assert list(history.lines()) == [one.line, two.line]
    assert history.envelope(history.done["b"]) == two.envelope
    assert (history.seq, history.done["a"].hidden) == (2, (("data", "token"),))


def test_the_end_of_a_run(path: Path) -> None:
    """A run is complete once its last part ended well; what is taken anew replaces the old."""
    write(path, {"record": "end", "exit": 1, "state": "failed"})
    assert not read_history(path).is_complete
    write(path, {"record": "resume", "now": {"steps": {"a": "1"}}})
    assert read_history(path).ended is None
    assert read_history(path).head["steps"] == {"a": "1"}
    write(path, {"record": "end", "exit": 0, "state": "done"})
    assert read_history(path).is_complete


def test_every_cut_of_a_journal_can_be_read(path: Path) -> None:
    """Wherever the end of a journal is torn off, what is whole holds."""
    write(path, intent("a", {"n": "я" * 20}), outcome("a", True), intent("b"), outcome("b", None))
    whole = path.read_bytes()
    cut = path.with_name("cut")
    first = whole.index(b"\n") + 1
    for size in range(first, len(whole)):
        cut.write_bytes(whole[:size])
        lines = whole[:size].count(b"\n")
        done, doubts = states(cut)
        assert (done, doubts) == (
            {"a"} if lines >= 3 else set(),
            ({"a"} if lines == 2 else set()) | ({"b"} if lines >= 4 else set()),
        )
    for size in (0, 1, first - 1):
        cut.write_bytes(whole[:size])
        with pytest.raises(RunnerError, match="is no journal"):
            read_history(cut)


def test_a_long_torn_end(path: Path) -> None:
    """A torn last line may be longer than what is read of the end at a time, or all zeros."""
    write(path, outcome("a", True))
    size = path.stat().st_size
    for torn in (b"x" * 200_000, b"\0" * 70_000):
        os.truncate(path, size)
        with path.open("ab") as file:
            file.write(torn)
        assert states(path) == ({"a"}, set())


def test_an_unreadable_journal(tmp_path: Path) -> None:
    """A journal that is not there, or none, is told in words."""
    with pytest.raises(RunnerError, match="cannot read"):
        read_history(tmp_path / "none")
    (tmp_path / "other").write_text('{"record": "intent"}\n')
    with pytest.raises(RunnerError, match="is no journal"):
        read_history(tmp_path / "other")


def test_decisions() -> None:
    """A word on a call in doubt is read whole, whatever its key looks like."""
    texts = ("a=done", "per[3].steps[0]=retry", "b[1]=id:12", "c=id:x-y", "d=e=done")
    assert read_decisions(texts) == {
        "a": Decision("done"),
        "per[3].steps[0]": Decision("retry"),
        "b[1]": Decision("id", "12"),
        "c": Decision("id", "x-y"),
        "d=e": Decision("done"),
    }


def test_where_runs_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The option goes before the environment, and that before the playbook's own folder."""
    monkeypatch.chdir(tmp_path)
    playbook = Path("sub/p.yaml")
    environ = {"KEITARO_STATE_DIR": "/env"}
    assert state_folder(playbook, "opt", environ) == Path("opt")
    assert state_folder(playbook, None, environ) == Path("/env")
    assert state_folder(playbook, None, {}) == tmp_path / "sub/.keitaro"
    assert state_folder(None, None, {}) == tmp_path / ".keitaro"


def test_runs_of_one_second(tmp_path: Path) -> None:
    """Runs that began in the same second are told apart: the latest is the latest."""
    store = Store(tmp_path)
    for name, moment in (("ffffff", "12:00:00.1"), ("000000", "12:00:00.5"), ("888888", "12")):
        folder = store.create(f"20260304-120000-{name}")
        with Writer(folder.journal) as journal:
            journal.record({**RUN, "started_at": f"2026-03-04T{moment}"})
    assert [run.id[-6:] for run in store.runs()] == ["888888", "ffffff", "000000"]
    assert store.find(None, None).id.endswith("000000")


def test_the_writer_syncs_what_it_wrote(path: Path) -> None:
    """A sync that came too early for a line does not count for it."""
    journal = Writer(path)
    journal(intent("a"))
    assert journal._synced == journal._written == 1
    journal(outcome("a", True))
    assert (journal._written, journal._synced) == (2, 1)
    journal.close()
    assert writing.JournalError is JournalError
    with pytest.raises(JournalError):
        journal(intent("b"))


def test_a_call_whose_intent_fails_is_not_sent(
    tracker: Emulator, tmp_path: Path, full: Writer
) -> None:
    """A call that cannot be written down does not leave, and says why."""
    text = steps("{resource: group, operation: create, body: {name: A, type: offers}}")
    (envelope,) = run_with(full, text, tmp_path, tracker)
    assert calls(tracker) == []
    assert (envelope["error"]["type"], envelope["attempts"]) == ("journal", 0)
