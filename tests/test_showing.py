"""When it is shown what became of a call: while the next answer is waited for, never later."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from conftest import HeldClock, run_stubbed, steps

from runner.errors import ExitCode
from runner.execution import Overlap, Pacer
from runner.execution.past import Past
from runner.execution.tally import _MOST_UNSEEN
from runner.model import Event, Finished, Reply, Request, Retrying

READ = "{{name: {}, resource: offer, operation: get, id: {}}}"


def reply(status: int, **headers: str) -> Reply:
    return Reply(status, {k.replace("_", "-"): v for k, v in headers.items()}, b'{"id": 1}')


class Diary:
    """What was noted, shown and sent, in order: `noted Finished a`, `sent 1`."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, what: str, event: Event) -> None:
        """Write down an event that is noted or shown."""
        key = getattr(event, "key", "")
        self.lines.append(f"{what} {type(event).__name__} {key}")

    def leave(self, request: Request) -> None:
        """Write down a request that leaves."""
        self.lines.append(f"sent {request.url.rpartition('/')[2]}")

    def send(self, request: Request) -> Reply:
        """Answer a request."""
        self.lines.append(f"answered {request.url.rpartition('/')[2]}")
        return reply(200)

    def between(self, first: str, last: str) -> list[str]:
        """What came between two lines."""
        return self.lines[self.lines.index(first) + 1 : self.lines.index(last)]


def test_an_envelope_is_noted_at_once_and_shown_while_the_next_call_waits(folder: Path) -> None:
    """Nothing that a call could do meanwhile keeps it from leaving."""
    diary = Diary()
    text = steps(READ.format("a", 1), READ.format("b", 2))
    run_stubbed(folder, text, diary.send, watch=diary, leave=diary.leave)
    assert diary.lines == [
        "noted StepStarted a", "noted CallStarted a", "sent 1",
        "shown StepStarted a", "shown CallStarted a", "answered 1",
        "noted Finished a", "noted StepFinished a", "noted StepStarted b", "noted CallStarted b",
        "sent 2",
        "shown Finished a", "shown StepFinished a", "shown StepStarted b", "shown CallStarted b",
        "answered 2",
        "noted Finished b", "noted StepFinished b", "shown Finished b", "shown StepFinished b",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("step", "shown_by"),
    [
        ("{name: b, set: {x: '${{ 1 + 1 }}'}}", "noted StepFinished b"),
        ("{name: b, for_each: [1], set: {x: 1}}", "noted LoopStarted b"),
    ],
)
def test_what_computes_is_not_waited_for(folder: Path, step: str, shown_by: str) -> None:
    """A step that makes no call, or lists what it goes through, may take its time."""
    diary = Diary()
    run_stubbed(folder, steps(READ.format("a", 1), step), diary.send, watch=diary)
    assert "shown Finished a" in diary.between("noted StepStarted b", shown_by)


def test_a_retry_is_shown_before_its_wait(folder: Path) -> None:
    """Who watches learns at once that a call waits for its next try, and why."""
    seen: list[Event] = []

    class Clock(HeldClock):
        def sleep(self, seconds: float) -> None:
            assert isinstance(seen[-1], Retrying)
            super().sleep(seconds)

    clock, answers = Clock(), iter([reply(429, retry_after="9"), reply(200)])

    def watch(what: str, event: Event) -> None:
        if what == "shown":
            seen.append(event)

    run_stubbed(
        folder, steps(READ.format("a", 1)), lambda _: next(answers), clock=clock, watch=watch
    )
    assert clock.slept == [9]


def test_a_pace_is_waited_for_when_all_is_shown() -> None:
    """Where a call waits for its turn there is time, and only there."""
    clock, shown = HeldClock(), []
    pacer = Pacer(clock.monotonic, clock.sleep, 2)
    for _ in range(3):
        pacer.wait(meanwhile=lambda: shown.append(len(clock.slept)))
    assert (shown, clock.slept) == ([0, 1], [0.5, 0.5])


def test_a_pace_is_kept_whatever_is_done_meanwhile() -> None:
    """What that takes is part of the wait."""
    clock = HeldClock()
    pacer = Pacer(clock.monotonic, clock.sleep, 2)
    for _ in range(3):
        pacer.wait(meanwhile=lambda: clock.sleep(0.375))
    assert (clock.slept, clock.monotonic()) == ([0.375, 0.125] * 2, 1)


def test_a_call_that_waits_for_its_turn_leaves_nothing_unseen(folder: Path) -> None:
    """A rate may make that long."""
    diary, clock = Diary(), HeldClock()
    text = steps(READ.format("a", 1), READ.format("b", 2))
    run_stubbed(folder, text, diary.send, watch=diary, leave=diary.leave, clock=clock, rate=2)
    assert "shown Finished a" in diary.between("noted StepStarted b", "sent 2")
    assert clock.slept == [0.5]


def test_a_slow_reader_makes_no_call_slow(folder: Path) -> None:
    """What a call took is without the time in which others were shown."""
    clock = HeldClock()

    def watch(what: str, _: Event) -> None:
        if what == "shown":
            clock.sleep(10)

    def send(_: Request) -> Reply:
        clock.sleep(0.25)
        return reply(200)

    text = steps(READ.format("a", 1), READ.format("b", 2))
    _, envelopes = run_stubbed(folder, text, send, clock=clock, watch=watch)
    assert [e["duration_ms"] for e in envelopes] == [250, 250]


def test_a_step_with_a_tracker_of_its_own_leaves_nothing_unseen(folder: Path) -> None:
    """Its key may come from a command that takes its time."""
    diary = Diary()
    other = READ.format("b", 2).replace("{name", "{tracker: t, name")
    run_stubbed(folder, steps(READ.format("a", 1), other), diary.send, watch=diary)
    assert "shown Finished a" in diary.between("noted StepStarted b", "noted CallStarted b")


@pytest.mark.parametrize("last", [True, False])
def test_what_is_interrupted_while_it_is_shown(folder: Path, last: bool) -> None:
    """The run ends as it does anywhere else, and all that was done after it is shown."""

    def watch(what: str, event: Event) -> None:
        if what == "shown" and isinstance(event, Finished) and event.key == "a":
            raise KeyboardInterrupt

    skipped = "{name: %s, when: false, resource: offer, operation: get, id: 1}"
    after = [] if last else [skipped % "b", skipped % "c", READ.format("d", 1)]
    summary, envelopes = run_stubbed(
        folder, steps(READ.format("a", 1), *after), lambda _: reply(200), watch=watch
    )
    assert summary.exit_code == ExitCode.INTERRUPTED
    assert [e["step"] for e in envelopes] == ([] if last else ["b", "c", "d"])


@pytest.mark.parametrize("jobs", [1, 2])
def test_nothing_waits_for_a_call_that_takes_long(folder: Path, jobs: int) -> None:
    """What ends while another call is under way is shown before that is answered."""
    shown, under_way = threading.Event(), threading.Event()

    def watch(what: str, event: Event) -> None:
        if what == "shown" and isinstance(event, Finished) and event.envelope["success"]:
            shown.set()

    def send(request: Request) -> Reply:
        if request.url.endswith("/2"):
            under_way.set()
            assert shown.wait(5)
        else:
            assert under_way.wait(5)
        return reply(200)

    text = steps(READ.format("a", 1), READ.format("b", 2))
    if jobs == 1:
        text = steps("{for_each: [1, 2], concurrency: 2, resource: offer, operation: get, "
                     "id: '${{ item }}'}")  # fmt: skip
    summary, _ = run_stubbed(folder, text, send, watch=watch, overlap=Overlap(jobs, [(), ()]))
    assert summary.succeeded == 2


@pytest.mark.parametrize("dry", [True, False])
def test_a_dry_run_and_one_that_goes_on_show_all_at_once(folder: Path, dry: bool) -> None:
    """Calls may be left out, and the tracker is asked what settles those in doubt."""
    past, diary = Past(), Diary()
    past.goes_on = not dry
    run_stubbed(folder, steps(READ.format("a", 1), READ.format("b", 2)), diary.send,
                watch=diary, past=past, dry=dry)  # fmt: skip
    assert all(
        shown == noted.replace("noted", "shown")
        for noted, shown in zip(diary.lines, diary.lines[1:], strict=False)
        if noted.startswith("noted")
    )


def test_what_is_skipped_waits_for_no_call(folder: Path) -> None:
    """Of many steps without a call, few are held back."""
    waiting = most = 0

    def watch(what: str, _: Event) -> None:
        nonlocal waiting, most
        waiting += 1 if what == "noted" else -1
        most = max(most, waiting)

    each = ("{for_each: '${{ range(100) }}', when: '${{ item < 0 }}', resource: offer, id: 1, "
            "operation: get}")  # fmt: skip
    summary, envelopes = run_stubbed(folder, steps(each), lambda _: reply(200), watch=watch)
    assert (summary.skipped, len(envelopes), waiting) == (100, 100, 0)
    assert most == _MOST_UNSEEN
