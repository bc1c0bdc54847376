"""The journal: what is on disk when, who may write, and what a reader makes of it."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from conftest import ROOT, calls, check_line, plan_of, steps
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
from runner.journal.history import _records
from runner.journal.lock import is_held
from runner.model import Event, Finished, Intent, Leaving, Phase, Retrying
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
            if isinstance(event, Intent):
                journal(Leaving(event.key))


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


def on_disk(path: Path) -> bytes:
    """The records of a journal that is open, without the room behind them."""
    return path.read_bytes().rstrip(b"\0")


def test_an_intent_is_synced_before_its_call_leaves(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a call is leaving its intent is on the disk; an outcome rides on the next."""
    synced: list[bytes] = []
    flush = writing._flush

    def noted(handle: int) -> None:
        synced.append(on_disk(path))
        flush(handle)

    monkeypatch.setattr(writing, "_flush", noted)
    with Writer(path) as journal:
        journal(intent("a"))
        journal(Leaving("a"))
        assert synced == [on_disk(path)]
        journal(outcome("a", True))
        journal(Phase(True))
        journal(Retrying("a", 1, 1.0, "why"))
        assert len(synced) == 1
        journal(intent("b"))
        journal(Leaving("b"))
        assert synced[1:] == [on_disk(path)]
    assert synced[1] == path.read_bytes()
    assert len(synced) == 2


def test_calls_leave_after_their_intent_is_synced(
    tracker: Emulator, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that changes anything leaves before its intent is on the disk; reads need none."""
    order: list[str] = []
    exchange, flush = Transport._exchange, writing._flush

    def sent(self: Transport, outgoing: Any, *rest: Any) -> Any:
        order.append(outgoing.method)
        return exchange(self, outgoing, *rest)

    def synced(handle: int) -> None:
        order.append(json.loads(on_disk(path).splitlines()[-1])["record"])
        flush(handle)

    monkeypatch.setattr(Transport, "_exchange", sent)
    monkeypatch.setattr(writing, "_flush", synced)
    with Writer(path) as journal:
        text = steps(
            "{resource: group, operation: create, body: {name: A, type: offers}}",
            "{resource: group, operation: getAll, params: {type: offers}}",
            "{resource: group, operation: update, id: 1, body: {name: B}}",
        )
        envelopes = run_with(journal, text, path.parent, tracker)
    assert [e["success"] for e in envelopes] == [True] * 3
    assert order[:5] == ["intent", "POST", "GET", "intent", "PUT"]


@pytest.mark.parametrize("size", [10, 40_000, 200_000])
def test_there_is_room_after_a_record(path: Path, size: int) -> None:
    """What comes next need not make the file longer, however long the record before was."""
    with Writer(path) as journal:
        end = journal.record({"record": "x" * size})
        assert path.stat().st_size >= end + writing._LEAST
        assert not path.read_bytes()[end:].strip(b"\0")
    assert path.stat().st_size == end


def test_threads_share_a_sync(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of calls that leave together the intent of each is on the disk then, at fewer syncs."""
    first, go = threading.Event(), threading.Event()
    count = 0
    flush = writing._flush

    def slow(handle: int) -> None:
        nonlocal count
        count += 1
        first.set()
        assert go.wait(5)
        flush(handle)

    journal = Writer(path)
    monkeypatch.setattr(writing, "_flush", slow)
    left: set[str] = set()

    def work(key: str) -> None:
        journal(intent(key))
        journal(Leaving(key))
        if f'"{key}"'.encode() in path.read_bytes()[: journal._synced]:
            left.add(key)

    threads = [threading.Thread(target=work, args=(f"k{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    assert first.wait(5)
    while path.read_text().count("\n") < 8:
        pass
    go.set()
    for thread in threads:
        thread.join()
    assert count <= 3
    assert len(left) == 8
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
    real = os.pwrite

    def full(handle: int, line: bytes, at: int) -> int:
        if len(line) <= kept:
            raise OSError(errno.ENOSPC, "No space left on device")
        monkeypatch.setattr(os, "pwrite", fails)
        return real(handle, line[:kept], at)

    def fails(handle: int, line: bytes, at: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Writer(path) as journal:
        journal.record(RUN)
        journal(intent("a"))
        monkeypatch.setattr(os, "pwrite", full if kept else fails)
        with pytest.raises(JournalError, match="No space left"):
            journal(outcome("a", True))
        monkeypatch.setattr(os, "pwrite", real)
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


def test_room_is_kept_ready(path: Path) -> None:
    """An open journal ends in zeros that the next records go over; one that was closed does not."""
    with Writer(path) as journal:
        journal.record(RUN)
        size = path.stat().st_size
        assert size > len(on_disk(path))
        for number in range(20):
            journal(intent(f"k{number}"))
        assert path.stat().st_size == size
        assert set(read_history(path).doubts) == {f"k{n}" for n in range(20)}
        while path.stat().st_size == size:
            journal(outcome("k", True))
        assert path.stat().st_size > 1.5 * size
        whole = on_disk(path)
    assert path.read_bytes() == whole


def test_a_line_fits_where_room_does_not(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that has room for the line and none for more takes the line."""
    real = os.pwrite

    def scarce(handle: int, data: bytes, at: int) -> int:
        if not data.strip(b"\0"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data, at)

    monkeypatch.setattr(os, "pwrite", scarce)
    with Writer(path) as journal:
        journal.record(RUN)
        journal(intent("a"))
        assert on_disk(path) == path.read_bytes()
        monkeypatch.setattr(os, "pwrite", real)
        journal(outcome("a", True))
    assert states(path) == ({"a"}, set())


@pytest.mark.parametrize("old", [False, True], ids=["today's", "without what was synced"])
@pytest.mark.parametrize("damaged", range(1, 6))
@pytest.mark.parametrize("whole", [False, True], ids=["in a line", "up to a line"])
def test_zeros_among_synced_lines_are_damage(
    path: Path, damaged: int, whole: bool, old: bool
) -> None:
    """What was synced cannot turn to zeros: where it has, nothing that follows is relied upon."""
    end = {"record": "end", "exit": 0, "state": "done"}
    write(path, intent("a"), outcome("a", True), intent("b"), outcome("b", True), intent("c"), end)
    content = path.read_bytes()
    if old:
        content = re.sub(rb',"synced":\d+', b"", content)
    lines = content.splitlines(keepends=True)
    start = sum(map(len, lines[:damaged]))
    length = len(lines[damaged]) if whole else 40
    path.write_bytes(content[:start] + b"\0" * length + content[start + length :])
    with pytest.raises(RunnerError, match=f"line {damaged + 1}, is damaged"):
        read_history(path)


def test_what_is_written_while_it_is_read(path: Path) -> None:
    """A reader that saw zeros where there are records by now takes what it has read so far."""
    with Writer(path) as journal:
        journal.record(RUN)
        records = _records(path)
        assert next(records)[2]["record"] == "run"
        for number in range(3000):
            journal.record({"record": "phase", "success": True, "last": [str(number)]})
        journal(intent("a"))
        assert len(list(records)) < 3000
        assert read_history(path).doubts.keys() == {"a"}


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_power_cut(tmp_path: Path, data: st.DataObject) -> None:
    """Whatever of the lines that were not synced is lost, no call that may have left is forgotten."""
    path = tmp_path / "journal.jsonl"
    path.unlink(missing_ok=True)
    at_sync = b""

    def flushed(_: int) -> None:
        nonlocal at_sync
        at_sync = path.read_bytes()

    left, done = set(), set()
    with patch.object(writing, "_flush", flushed), Writer(path) as journal:
        journal.record(RUN, sync=True)
        for number in range(data.draw(st.integers(0, 5))):
            key = f"k{number}"
            journal(intent(key, "x" * data.draw(st.integers(0, 900))))
            journal(Leaving(key))
            left.add(key)
            if data.draw(st.booleans()):
                journal(outcome(key, True))
                done.add(key)
        # The cut comes while the next intent is being synced: its call has not left.
        with patch.object(writing, "_flush", lambda _: None):
            journal(intent("next", "x" * data.draw(st.integers(0, 900))))
        after = path.read_bytes()
    kept = bytearray(at_sync.ljust(len(after), b"\0"))
    for start in range(0, len(after), 512):
        if data.draw(st.booleans()):
            kept[start : start + 512] = after[start : start + 512]
    path.write_bytes(kept)
    done_now, doubts_now = states(path)
    assert done_now <= done
    assert left <= done_now | doubts_now <= left | {"next"}
    os.truncate(path, read_history(path).size)  # and the run can go on from there
    write(path, outcome("next", True))
    assert states(path)[0] == done_now | {"next"}


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
    before = journal._size
    assert journal._synced == 0
    journal(Leaving("a"))
    assert journal._synced == before > 0
    journal(outcome("a", True))
    assert journal._size > before == journal._synced
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


def test_a_call_whose_intent_does_not_get_to_the_disk_is_not_sent(
    tracker: Emulator, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the disk fails comes out when the intent is synced: the call does not leave either."""

    def fails(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    text = steps("{resource: group, operation: create, body: {name: A, type: offers}}")
    with Writer(path) as journal:
        monkeypatch.setattr(writing, "_flush", fails)
        (envelope,) = run_with(journal, text, path.parent, tracker)
    assert calls(tracker) == []
    assert (envelope["error"]["type"], envelope["attempts"]) == ("journal", 0)
    assert "Input/output error" in envelope["error"]["message"]
