"""When a call may be tried again, and after how long; sends nothing and waits for nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from runner.catalogue import Operation
from runner.model import Effect, Fault, FaultKind, Reply

# Seconds: the first wait is drawn from 0 to BASE, each further one from 0 to twice as much.
BASE = 0.5
MOST = 30.0
# A tracker that asks for more than this is not waited for.
LONGEST = 300.0

_PASSING_STATUS = frozenset({429, 502, 503, 504})
_PASSING_FAULT = frozenset(
    {FaultKind.REFUSED, FaultKind.DNS, FaultKind.CONNECT, FaultKind.TIMEOUT, FaultKind.RESET}
)


def is_worth_repeating(operation: Operation, outcome: Reply | Fault) -> bool:
    """Whether the trouble may pass by itself and a second call can do no harm.

    What only reads, and what is harmless to repeat, is tried again on any trouble that passes; a
    create only where it is certain that nothing was done: it never arrived, or 429 turned it down.
    """
    harmless = operation.effect is Effect.READS or operation.repeatable
    if isinstance(outcome, Fault):
        return outcome.kind in _PASSING_FAULT and (harmless or not outcome.sent)
    if outcome.status == 429:
        return True
    return harmless and outcome.status in _PASSING_STATUS


def delay(
    outcome: Reply | Fault, tries: int, now: datetime, draw: Callable[[], float]
) -> float | None:
    """Seconds to wait before the next try; `None` where the tracker asks for too long a wait.

    `tries` is how many there have been; `draw` gives a number from 0 to 1. The wait is what
    `Retry-After` asks for, as seconds or as a date; else it is drawn between nothing and a bound
    that doubles (full jitter), so that parallel calls do not come back all at once.
    """
    asked = retry_after(outcome, now)
    if asked is not None:
        return asked if asked <= LONGEST else None
    bound: float = min(MOST, BASE * 2.0 ** (tries - 1))
    return draw() * bound


def retry_after(outcome: Reply | Fault, now: datetime) -> float | None:
    """What a `Retry-After` header asks for, in seconds from now; `None` where there is none.

    A date is held against the answer's own `Date`, if it has one: the clocks may differ.
    """
    headers = outcome.headers if isinstance(outcome, Reply) else {}
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    moment = _moment(text)
    if moment is None:
        return None
    since = _moment(headers.get("date", "")) or now
    return max((moment - since).total_seconds(), 0.0)


def _moment(text: str) -> datetime | None:
    """An HTTP date; `None` for anything else."""
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
