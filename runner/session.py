"""One plan on its trackers: makes the transports, masks every event, feeds journal and sinks."""

from __future__ import annotations

import hashlib
import random
import secrets as randomness
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from runner import execution
from runner.compact import encode_sorted
from runner.errors import RunnerError
from runner.execution.past import Past
from runner.journal import Writer
from runner.masking import Masker
from runner.model import (
    Event,
    Exchange,
    Finished,
    Intent,
    Json,
    Leaving,
    Phase,
    Reach,
    Request,
    Retrying,
    Summary,
)
from runner.passing import PassedOn
from runner.planning import Plan
from runner.saving import save
from runner.stop import AWAKE, Stop
from runner.trackers import Trackers
from runner.transport import Limits, Transport

Sink = Callable[[Event], None]
Trail = tuple[str | int, ...]
Prepare = Callable[[Request], Exchange]


# The events that may hold a secret, or belong into the journal.
_TELLING = (Finished, Intent, Leaving, Retrying, Phase)


class SystemClock:
    """The machine's own time; a sleep ends early once the run is asked to stop.

    From then on sleeps are short, so that nobody sleeps for long who had not heard of it yet.
    """

    def __init__(self, stop: Stop | None = None) -> None:
        self._stop = stop or Stop()

    def now(self) -> datetime:
        """The date and time, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.perf_counter()

    def sleep(self, seconds: float) -> None:
        """Wait, or wait for a part of the time."""
        if self._stop.is_set():
            time.sleep(min(seconds, AWAKE))
        else:
            self._stop.wait(seconds)


class Options(NamedTuple):
    """How a run goes about it: `rate` is calls a second, `None` for no limit of our own.

    A `dry` run makes the calls that read and shows the others.
    """

    tracker: str | None = None
    rate: float | None = None
    most_destroyed: int | None = None
    folder: Path | None = None
    limits: Limits | None = None
    dry: bool = False


class Session:
    """Holds what a run needs from outside, and closes it: a context manager.

    `masker` knows every secret of the run; whatever is written or shown goes through it. `stop`
    asks the run to stop after the call under way.
    """

    def __init__(
        self,
        trackers: Trackers,
        options: Options | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        clock: execution.Clock | None = None,
        stop: Stop | None = None,
    ) -> None:
        self._trackers = trackers
        self._options = options or Options()
        self._environ = dict(environ or {})
        self._stop = stop or Stop()
        self._clock = clock or SystemClock(self._stop)
        self._stack = ExitStack()
        self._reaches: dict[str | None, Reach] = {}
        self._lock = threading.Lock()
        # The first sink that could not be written: nothing more is sent then.
        self.broken: Exception | None = None
        # The files that steps have saved, in order, each once.
        self.saved: dict[str, None] = {}
        self._passed_on: PassedOn | None = None
        self.masker = Masker(())

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def find(self, name: str | None) -> Reach:
        """The tracker of that name, `None` for the run's own. Raises RunnerError."""
        key = name or self._options.tracker
        with self._lock:
            if key not in self._reaches:
                tracker = self._trackers.get(key)
                for secret in tracker.secrets:
                    self.masker.add(secret)
                transport = self._stack.enter_context(
                    Transport(tracker, limits=self._options.limits)
                )
                # What cannot work at all (proxy, certificates, package) is said before any call.
                transport.warm()
                prepare: Prepare = transport.prepare
                if self._options.dry:
                    prepare = _reading(prepare)
                self._reaches[key] = Reach(tracker.name, tracker.url, tracker.api, prepare)
            return self._reaches[key]

    def run(
        self,
        plan: Plan,
        sinks: Iterable[Sink],
        *,
        run_id: str,
        journal: Writer | None = None,
        past: Past | None = None,
        overlap: execution.Overlap | None = None,
    ) -> Summary:
        """Run a plan, each event masked and given to the journal, and to every sink in turn.

        A sink that cannot be written ends the run after the call under way; `broken` says why.
        Raises RunnerError where the run cannot begin.
        """
        self.find(None)
        for secret in plan.inputs.secrets:
            self.masker.add(secret)
        self._passed_on = PassedOn(plan, self.masker)
        outside = execution.Outside(
            find=self.find,
            note=self._noter(journal),
            show=self._shower(list(sinks)),
            save=self._save,
            hide=self.masker.add,
            environ=self._environ,
            clock=self._clock,
            draw=random.random,
            pacer=execution.Pacer(self._clock.monotonic, self._clock.sleep, self._options.rate),
            digest=self._digest,
            stopping=lambda: self._stop.is_set() or self.broken is not None,
            past=past or Past(),
            most_destroyed=self._options.most_destroyed,
            dry=self._options.dry,
        )
        return execution.run(plan, outside, run_id, overlap or execution.Overlap())

    def _noter(self, journal: Writer | None) -> Callable[[Event], Event]:
        def note(event: Event) -> Event:
            if isinstance(event, _TELLING):
                event = self._mask(event)
                if journal is not None:
                    self._to_journal(journal, event)
            return event

        return note

    def _shower(self, sinks: list[Sink]) -> Callable[[Event], None]:
        def show(event: Event) -> None:
            for sink in list(sinks):
                try:
                    sink(event)
                except (OSError, ValueError) as error:
                    self.broken = self.broken or error
                    sinks.remove(sink)

        return show

    def _to_journal(self, journal: Writer, event: Event) -> None:
        """An intent that cannot be written keeps its call from leaving; an outcome ends the run."""
        try:
            journal(event)
        except RunnerError as error:
            self.broken = self.broken or error
            if isinstance(event, (Intent, Leaving)):
                raise

    def _mask(self, event: Finished | Intent | Leaving | Retrying | Phase) -> Event:
        if isinstance(event, Finished):
            envelope = event.envelope
            request = envelope["request"]
            shown = envelope
            if request is not None and "?" in request["url"]:
                url = self.masker.url(request["url"])
                shown = {**envelope, "request": {**request, "url": url}}
            line, masked = self.masker.both(shown)
            if masked is envelope:
                return event._replace(line=line)
            hidden = tuple(_differences(envelope["data"], masked["data"], ("data",)))
            if hidden and self._passed_on:
                self._passed_on.take(envelope, hidden)
            return event._replace(envelope=masked, line=line, hidden=hidden)
        if isinstance(event, Intent):
            _, (url, body) = self.masker.both([self.masker.url(event.url), event.body])
            return event._replace(url=url, body=body)
        if isinstance(event, Retrying):
            return event._replace(reason=self.masker.text(event.reason))
        return event

    def _digest(self, request: Request) -> str:
        """A fingerprint of a request with its secrets hidden: equal where the same is sent.

        The order of keys does not count.
        """
        _, shown = self.masker.both([request.method, request.url, request.body])
        return hashlib.sha256(encode_sorted(shown)).hexdigest()[:32]

    def _save(self, name: str, form: str | None, value: Json, columns: tuple[str, ...]) -> None:
        save(self._options.folder or Path.cwd(), name, form, value, columns)
        self.saved[name] = None


def _reading(prepare: Prepare) -> Prepare:
    """What sends requests that read, and none that may change the tracker, whoever asks."""

    def guarded(request: Request) -> Exchange:
        if request.changes:
            raise RunnerError(
                "a dry run was about to change the tracker",
                "nothing was sent; please report this as a bug",
            )
        return prepare(request)

    return guarded


def _differences(value: Any, masked: Any, trail: Trail) -> Iterable[Trail]:
    """Where masking changed a value: the trails of the parts that are hidden."""
    # What stays is the same object: nothing is called for it.
    if isinstance(value, dict) and isinstance(masked, dict) and value.keys() == masked.keys():
        for key, part in value.items():
            if part is not (hidden := masked[key]):
                yield from _differences(part, hidden, (*trail, key))
    elif isinstance(value, list) and isinstance(masked, list) and len(value) == len(masked):
        for index, part in enumerate(value):
            if part is not (hidden := masked[index]):
                yield from _differences(part, hidden, (*trail, index))
    elif value != masked:
        yield trail


def new_run_id(moment: datetime) -> str:
    """An id that sorts by time and is unlike any other: `20261123-142530-3f9a1c`."""
    return f"{moment.astimezone(UTC):%Y%m%d-%H%M%S}-{randomness.token_hex(3)}"
