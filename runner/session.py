"""One plan on its trackers: makes the transports, masks every event, feeds the sinks."""

from __future__ import annotations

import random
import secrets as randomness
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from runner import execution
from runner.masking import Masker
from runner.model import Event, Finished, Json, Reach, Summary
from runner.planning import Plan
from runner.saving import save
from runner.trackers import Trackers
from runner.transport import Limits, Transport

Sink = Callable[[Event], None]


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        """The date and time, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.perf_counter()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class Session:
    """Holds what a run needs from outside, and closes it: a context manager.

    `masker` knows every secret of the run; whatever is written or shown goes through it.
    """

    def __init__(
        self,
        trackers: Trackers,
        *,
        tracker: str | None = None,
        limits: Limits | None = None,
        clock: execution.Clock | None = None,
        environ: Mapping[str, str] | None = None,
        folder: Path | None = None,
        rate: float | None = None,
    ) -> None:
        self._trackers = trackers
        self._default = tracker
        self._limits = limits
        self._clock = clock or SystemClock()
        self._environ = dict(environ or {})
        self._folder = folder or Path.cwd()
        self._pacer = execution.Pacer(self._clock.monotonic, self._clock.sleep, rate)
        self._stack = ExitStack()
        self._reaches: dict[str | None, Reach] = {}
        self.masker = Masker(())

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, plan: Plan, sinks: Iterable[Sink]) -> Summary:
        """Run a plan, each event masked and given to every sink in turn. Raises RunnerError."""
        for secret in plan.inputs.secrets:
            self.masker.add(secret)
        ready = list(sinks)

        def emit(event: Event) -> None:
            masked = self._mask(event)
            for sink in ready:
                sink(masked)

        outside = execution.Outside(
            find=self._find,
            emit=emit,
            save=self._save,
            hide=self.masker.add,
            environ=self._environ,
            clock=self._clock,
            draw=random.random,
            pacer=self._pacer,
        )
        return execution.run(plan, outside, new_run_id(plan.started))

    def _save(self, name: str, form: str | None, value: Json, columns: tuple[str, ...]) -> None:
        save(self._folder, name, form, value, columns)

    def _mask(self, event: Event) -> Event:
        if not isinstance(event, Finished):
            return event
        line = self.masker.line(event.envelope)
        return replace(event, envelope=self.masker.json(event.envelope), line=line)

    def _find(self, name: str | None) -> Reach:
        key = name or self._default
        if key not in self._reaches:
            tracker = self._trackers.get(key)
            for secret in tracker.secrets:
                self.masker.add(secret)
            transport = self._stack.enter_context(Transport(tracker, limits=self._limits))
            self._reaches[key] = Reach(tracker.name, tracker.url, tracker.api, transport.send)
        return self._reaches[key]


def new_run_id(moment: datetime) -> str:
    """An id that sorts by time and is unlike any other: `20261123-142530-3f9a1c`."""
    return f"{moment.astimezone(UTC):%Y%m%d-%H%M%S}-{randomness.token_hex(3)}"
