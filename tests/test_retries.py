"""When a call is tried again, after how long, and how that looks to the tracker."""

from __future__ import annotations

import threading
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from conftest import NOON, HeldClock, Run, Start, run_stubbed, steps

from runner.catalogue import Catalogue, Operation
from runner.emulator import Fault
from runner.errors import ExitCode
from runner.execution import Pacer
from runner.model import Fault as NoAnswer
from runner.model import FaultKind, Reply, Request
from runner.retries import BASE, LONGEST, MOST, delay, is_worth_repeating, retry_after


def operation(name: str) -> Operation:
    resource, verb = name.split(".")
    found = Catalogue().operation(resource, verb)
    assert found is not None
    return found


def reply(status: int, **headers: str) -> Reply:
    return Reply(status, {k.replace("_", "-"): v for k, v in headers.items()}, b"[]")


def lost(kind: FaultKind, *, sent: bool) -> NoAnswer:
    return NoAnswer(kind, "message", "hint", sent)


HARMLESS = ["offer.get", "stats.getAll", "click.getAll", "offer.update", "campaign.enable",
            "offer.delete"]  # fmt: skip
CREATES = ["campaign.create", "offer.create", "stream.create", "offer.clone", "user.create"]


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless(name: str) -> None:
    """Reads, the report among them, and what may be repeated are tried again on passing trouble."""
    subject = operation(name)
    for status in (429, 502, 503, 504):
        assert is_worth_repeating(subject, reply(status))
    for kind in (FaultKind.REFUSED, FaultKind.TIMEOUT, FaultKind.RESET, FaultKind.CONNECT):
        assert is_worth_repeating(subject, lost(kind, sent=True))


@pytest.mark.parametrize("name", CREATES)
def test_creates(name: str) -> None:
    """A create is tried again only where it is certain that nothing was done."""
    subject = operation(name)
    assert is_worth_repeating(subject, reply(429))
    assert is_worth_repeating(subject, lost(FaultKind.REFUSED, sent=False))
    for status in (500, 502, 503, 504):
        assert not is_worth_repeating(subject, reply(status))
    for kind in (FaultKind.TIMEOUT, FaultKind.RESET):
        assert not is_worth_repeating(subject, lost(kind, sent=True))


@pytest.mark.parametrize("name", [*HARMLESS, *CREATES])
@pytest.mark.parametrize("status", [200, 302, 400, 401, 402, 403, 404, 406, 422, 500])
def test_final_answers(name: str, status: int) -> None:
    """What the tracker answers for good is not asked for again."""
    assert not is_worth_repeating(operation(name), reply(status))


@pytest.mark.parametrize("kind", [FaultKind.TLS, FaultKind.PROTOCOL, FaultKind.TOO_LARGE])
def test_trouble_that_does_not_pass(kind: FaultKind) -> None:
    """A certificate does not get better by trying again, and an answer no smaller."""
    assert not is_worth_repeating(operation("offer.get"), lost(kind, sent=False))


def test_backoff_doubles_with_full_jitter() -> None:
    """Each wait is drawn between nothing and a bound that doubles, up to the longest."""
    trouble = reply(503)
    bounds = [delay(trouble, tries, NOON, lambda: 1.0) for tries in range(1, 12)]
    assert bounds[:4] == [BASE, BASE * 2, BASE * 4, BASE * 8]
    assert bounds[-1] == MOST
    assert delay(trouble, 5, NOON, lambda: 0.0) == 0
    assert delay(trouble, 2, NOON, lambda: 0.5) == BASE


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 7 ", 7),
        (format_datetime(NOON + timedelta(seconds=90), usegmt=True), 90),
        ("Wed, 04 Mar 2026 12:00:10", 10),
        (format_datetime(NOON - timedelta(days=1), usegmt=True), 0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
        ("٣", None),
        ("9" * 5000, 999_999_999),
        ("Wed, 99 Mar 2026 12:00:10 GMT", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    """Retry-After is read as seconds or as a date; anything else counts as absent."""
    assert retry_after(reply(429, retry_after=text), NOON) == seconds


def test_a_wait_that_is_too_long_is_not_waited() -> None:
    """A tracker that asks for more than a few minutes is not waited for."""
    assert delay(reply(429, retry_after=str(int(LONGEST))), 1, NOON, lambda: 1) == LONGEST
    assert delay(reply(429, retry_after=str(int(LONGEST) + 1)), 1, NOON, lambda: 1) is None


# -- on the wire ------------------------------------------------------------------------------

READ = "{name: it, resource: offer, operation: getAll}"
CREATE = "{name: it, resource: campaign, operation: create, body: {name: N, alias: n}}"
REPORT = "{name: it, resource: stats, operation: getAll, body: {range: {interval: today}}}"
UPDATE = "{name: it, resource: offer, operation: update, id: 1, body: {name: N}}"
OFFER = {"offers": [{"id": 1, "name": "O"}]}


@pytest.mark.parametrize("step", [READ, REPORT, UPDATE], ids=["read", "report", "update"])
@pytest.mark.parametrize(
    "fault",
    [Fault("status", status=503, times=2), Fault("reset_before", times=2),
     Fault("status", status=502, effect=True, times=2)],
    ids=["503", "reset", "502"],
)  # fmt: skip
def test_tried_again(run_playbook: Run, start: Start, step: str, fault: Fault) -> None:
    """A harmless call is sent until it is answered, and one envelope counts the attempts."""
    clock = HeldClock()
    ran = run_playbook(steps(step), tracker=start(fault, seed=OFFER), clock=clock)
    assert len(ran.calls) == 3
    assert (ran.only["attempts"], ran.only["success"], ran.only["error"]) == (3, True, None)
    assert [(r.key, r.tries) for r in ran.retries] == [("it", 1), ("it", 2)]
    assert all(0 <= r.wait <= BASE * 2 for r in ran.retries)


@pytest.mark.parametrize(
    "fault",
    [Fault("status", status=503), Fault("status", status=504), Fault("reset_before"),
     Fault("reset_after")],
    ids=["503", "504", "reset-before", "reset-after"],
)  # fmt: skip
def test_a_create_is_sent_once(run_playbook: Run, start: Start, fault: Fault) -> None:
    """A create whose fate is not certain is not sent again."""
    ran = run_playbook(steps(CREATE), tracker=start(fault), clock=HeldClock())
    assert len(ran.calls) == 1
    assert ran.only["attempts"] == 1


def test_a_create_after_429(run_playbook: Run, start: Start) -> None:
    """A create that was turned down with 429 is sent again, and made once."""
    tracker = start(Fault("status", status=429, headers={"Retry-After": "7"}, times=2))
    clock = HeldClock()
    ran = run_playbook(steps(CREATE), tracker=tracker, clock=clock)
    assert len(tracker.state.rows("campaigns")) == 1
    assert (ran.only["attempts"], clock.slept) == (3, [7, 7])
    assert ran.only["duration_ms"] == 14_000


def test_a_date_is_waited_for(run_playbook: Run, start: Start) -> None:
    """Retry-After as a date is held against the clock."""
    date = format_datetime(NOON + timedelta(seconds=42), usegmt=True)
    clock = HeldClock()
    run_playbook(
        steps(READ),
        tracker=start(Fault("status", status=429, headers={"Retry-After": date})),
        clock=clock,
    )
    assert clock.slept == [42]


def test_a_wait_too_long_fails(run_playbook: Run, start: Start) -> None:
    """Where the wait would be too long the call fails at once, and says what was asked for."""
    tracker = start(Fault("status", status=429, headers={"Retry-After": "86400"}, times=None))
    clock = HeldClock()
    ran = run_playbook(steps(READ), tracker=tracker, clock=clock)
    assert (len(ran.calls), clock.slept) == (1, [])
    assert "Retry-After: 86400" in ran.errors()[0]


@pytest.mark.parametrize(("retry", "sent"), [("0", 1), ("false", 1), ("2", 3), ("true", 5)])
def test_how_often(run_playbook: Run, start: Start, retry: str, sent: int) -> None:
    """`retry` says how often a call is sent again; the last answer is the one that counts."""
    ran = run_playbook(
        steps(READ.replace("}", f", retry: {retry}}}")),
        tracker=start(Fault("status", status=503, times=None)),
        clock=HeldClock(),
    )
    assert len(ran.calls) == ran.only["attempts"] == sent
    assert ran.only["error"]["type"] == "gateway"
    assert ran.summary.exit_code is ExitCode.FAILED


class _AllAsleep(HeldClock):
    """A clock on which time passes only when three sleep."""

    def __init__(self) -> None:
        super().__init__()
        self.asleep = threading.Event()
        self._all = threading.Barrier(3, timeout=5)

    def sleep(self, seconds: float) -> None:
        """Wait for the two others to sleep too."""
        self.asleep.set()
        if self._all.wait() == 0:
            super().sleep(seconds)
        self._all.wait()


def test_one_pause_for_all(folder: Path) -> None:
    """What one call was told holds for all that run beside it: each of them waits."""
    clock = _AllAsleep()
    flying = threading.Barrier(3, timeout=5)
    moments: list[float] = []

    def send(_: Request) -> Reply:
        moments.append(clock.monotonic())
        if clock.monotonic():
            return reply(200)
        if flying.wait() == 0:
            return reply(429, retry_after="60")
        # The other two come back only when the first has taken its pause.
        assert clock.asleep.wait(5)
        return reply(200)

    summary, _ = run_stubbed(
        folder,
        steps("{for_each: '${{ range(12) }}', concurrency: 3, resource: offer, operation: getAll}"),
        send,
        clock=clock,
    )  # fmt: skip
    assert summary.succeeded == 12
    assert moments == [0, 0, 0, *[60] * 10]
    assert clock.slept == [60]


def test_a_shorter_pause_does_not_cut_a_longer_one_short() -> None:
    """What one call was told holds for all, until the last of what any was told."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    pacer = Pacer(lambda: now[0], sleep)
    pacer.pause(10)
    pacer.pause(1)
    pacer.wait()
    assert now == [10.0]
