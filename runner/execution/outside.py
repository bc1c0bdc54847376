"""What the engine is handed from outside, and the failure that ends a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from runner.execution.pacing import Pacer
from runner.execution.past import Past
from runner.model import Event, Failure, Json, Reach, Request


class Clock(Protocol):
    """The time, handed in so that tests can hold it still."""

    def now(self) -> datetime:
        """The date and time, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, for measuring."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; may return early once the run is to stop."""
        ...


class Outside(NamedTuple):
    """All that the engine may reach.

    `find` gives a tracker by name, the run's own for `None`, and raises RunnerError where there
    is none; `note` writes an event into the journal and gives it masked, for `show` to hand it to
    those who watch and report; `save` writes a value to a file and raises OSError or ValueError;
    `hide` makes a value secret from then on; `draw` gives a random number from 0 to 1; `digest` is
    a fingerprint of a request with its secrets hidden; `stopping` says whether the run was asked
    to stop; `most_destroyed` is how many calls that destroy a run may make; in a `dry` run calls
    that change something are shown and not made.
    """

    find: Callable[[str | None], Reach]
    note: Callable[[Event], Event]
    show: Callable[[Event], None]
    save: Callable[[str, str | None, Json, tuple[str, ...]], None]
    hide: Callable[[str], None]
    environ: Mapping[str, str]
    clock: Clock
    draw: Callable[[], float]
    pacer: Pacer
    digest: Callable[[Request], str]
    stopping: Callable[[], bool]
    past: Past
    most_destroyed: int | None = None
    dry: bool = False


class StepError(Exception):
    """A step that cannot go on: what kind of failure, and the words for it."""

    def __init__(self, kind: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.failure = Failure(kind, message, hint)


def stamp(moment: datetime) -> str:
    """A moment as RFC 3339 in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
