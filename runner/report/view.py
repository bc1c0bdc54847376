"""What a run is doing right now: events in, lines for a terminal out; owns no terminal.

Kept apart from `live`, so that nothing here needs a thread or the time of day.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from runner.model import (
    CallStarted,
    Event,
    Finished,
    ItemFinished,
    LoopFinished,
    LoopStarted,
    Phase,
    Retrying,
    StepFinished,
    StepStarted,
)
from runner.report.drawing import clean
from runner.report.lines import outcome_of

MOST_CALLS = 8  # lines for calls in flight
MOST_LOOPS = 4
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_RATE_OVER = 10.0  # seconds that the rate is measured over
_SAMPLE_EVERY = 0.5


@dataclass(slots=True)
class _Call:
    """A call in flight; `again_at` is when it will be sent once more, and `why`."""

    slot: int
    what: str
    since: float
    attempt: int = 1
    again_at: float | None = None
    why: str = ""


@dataclass(slots=True)
class _Loop:
    """A loop under way, with samples (time, done) that its rate is measured by."""

    total: int
    workers: int
    since: float
    done: int = 0
    samples: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=64))

    def rate(self, now: float) -> float:
        """Items a second, of late."""
        if not self.samples or now - self.samples[-1][0] >= _SAMPLE_EVERY:
            self.samples.append((now, self.done))
        while len(self.samples) > 1 and now - self.samples[0][0] > _RATE_OVER:
            self.samples.popleft()
        then, before = self.samples[0]
        if now - then < _SAMPLE_EVERY:
            then, before = self.since, 0
        return (self.done - before) / (now - then) if now > then else 0.0


class View:
    """The run as events tell it. Events come from any thread, `render` from another."""

    def __init__(self, now: float) -> None:
        self._lock = threading.Lock()
        self._began = now
        self._step = ""
        self._steps: dict[int, str] = {}
        self._total = self._over = 0
        self._calls: dict[str, _Call] = {}
        self._slots = 1
        self._loops: dict[str, _Loop] = {}
        self._failed = 0
        self._unknown = 0

    def take(self, event: Event, now: float) -> None:
        """Take an event in."""
        with self._lock:
            self._take(event, now)

    def _take(self, event: Event, now: float) -> None:
        match event:
            case StepStarted():
                self._steps[event.number] = event.title
                self._total = event.total
                self._name_steps()
            case StepFinished():
                self._steps.pop(event.number, None)
                self._over += 1
                if self._steps:
                    self._name_steps()
            case Phase() if not any("." in key for key in event.last):
                self._step = "finally"
            case LoopStarted():
                self._loops[event.key] = _Loop(event.total, event.workers, now)
            case ItemFinished() if event.key in self._loops:
                self._loops[event.key].done += 1
            case LoopFinished():
                self._loops.pop(event.key, None)
                self._slots = max([1, *(call.slot + 1 for call in self._calls.values())])
            case CallStarted():
                self._started(event, now)
            case Retrying() if event.key in self._calls:
                call = self._calls[event.key]
                call.again_at, call.why = now + event.wait, clean(event.reason)
            case Finished():
                self._calls.pop(event.key, None)
                self._failed += outcome_of(event.envelope) == "failed"
                self._unknown += outcome_of(event.envelope) == "unknown"

    def _name_steps(self) -> None:
        """The step under way, or how many are where several may be."""
        if len(self._steps) > 1:
            self._step = f"{self._over} of {self._total} steps done, {len(self._steps)} under way"
        else:
            for number, title in self._steps.items():
                self._step = f"step {number} of {self._total}  {title}"

    def _started(self, event: CallStarted, now: float) -> None:
        known = self._calls.get(event.key)
        if known is not None:
            known.attempt, known.again_at = event.attempt, None
            return
        taken = {call.slot for call in self._calls.values()}
        slot = next(number for number in range(len(taken) + 1) if number not in taken)
        self._slots = max(self._slots, slot + 1)
        self._calls[event.key] = _Call(slot, event.what, now, event.attempt)

    # -- what is shown ----------------------------------------------------------------------------

    def render(self, now: float, width: int) -> RenderableType:
        """The step, a bar for each loop, and the calls in flight, none wider than the terminal."""
        with self._lock:
            lines = [self._head(now, width)]
            bars = [(key, loop) for key, loop in self._loops.items() if loop.total > 1]
            grid = _bars(bars[-MOST_LOOPS:], now, width) if bars else None
            calls = list(self._in_flight(now, width))
        return Group(*lines, *([grid] if grid else []), *calls)

    def _head(self, now: float, width: int) -> Text:
        right = Text()
        for count, word, colour in (
            (self._failed, "failed", "red"),
            (self._unknown, "unknown", "magenta"),
        ):
            if count:
                right.append(f"{count} {word}  ", style=colour)
        pause = max((call.again_at or now for call in self._calls.values()), default=now) - now
        if pause > 0:
            right.append(f"paused {pause:.0f} s  ", style="yellow")
        right.append(clock(now - self._began), style="bright_black")
        left = _line(Text().append(self._step, style="bold"), width - right.cell_len - 2)
        left.append(" " * (width - left.cell_len - right.cell_len))
        return _line(left.append_text(right), width)

    def _in_flight(self, now: float, width: int) -> Iterator[Text]:
        by_slot = {call.slot: (key, call) for key, call in self._calls.items()}
        shown = min(self._slots, MOST_CALLS)
        for slot in range(shown):
            if slot in by_slot:
                yield _call(*by_slot[slot], now, width)
            else:
                yield Text("  ·", style="bright_black")
        more = sum(slot >= shown for slot in by_slot)
        if more:
            yield Text(f"  … and {more} more", style="bright_black")


def _call(key: str, call: _Call, now: float, width: int) -> Text:
    rest = Text()
    if call.again_at is None:
        mark = Text(f"  {_FRAMES[int(now * 10) % len(_FRAMES)]} ", style="cyan")
        rest.append(f"  {call.what}", style="bright_black")
        rest.append(f"  {now - call.since:.1f} s")
        rest.append(f"  try {call.attempt}" if call.attempt > 1 else "", style="yellow")
    else:
        mark = Text("  ‖ ", style="yellow")
        wait = max(call.again_at - now, 0)
        rest.append(f"  try {call.attempt + 1} in {wait:.1f} s", style="yellow")
        rest.append(f": {call.why}" if call.why else "")
    # Of a long key its end tells most; a long reason leaves it a third of the line.
    room = max(width - mark.cell_len - rest.cell_len, width // 3)
    return _line(mark.append_text(_tail(key, room)).append_text(rest), width)


def _bars(loops: list[tuple[str, _Loop]], now: float, width: int) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    bar = max(10, min(40, width // 4))
    names = max(8, min(max(Text(key).cell_len for key, _ in loops), width - bar - 44))
    for size in (names + 2, bar, None, None, None):
        grid.add_column(width=size, no_wrap=True, overflow="crop")
    for key, loop in loops:
        rate = loop.rate(now)
        left = clock((loop.total - loop.done) / rate) + " left" if rate else ""
        grid.add_row(
            Text("  ") + _tail(key, names),
            ProgressBar(total=loop.total, completed=loop.done, width=bar),
            f"{loop.done:,}/{loop.total:,}",
            Text(_rate(rate), style="bright_black"),
            Text(left, style="bright_black"),
        )
    return grid


def _rate(rate: float) -> str:
    if not rate:
        return ""
    return f"{rate:.0f}/s" if rate >= 10 else f"{rate:.1f}/s"


def _line(text: Text, width: int) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    text.truncate(max(width, 1), overflow="ellipsis")
    return text


def _tail(key: str, width: int) -> Text:
    """The end of a key, which tells more than its beginning."""
    if Text(key).cell_len <= width:
        return Text(key)
    while Text(key).cell_len > width - 1:
        key = key[1:]
    return Text("…" + key)


def clock(seconds: float) -> str:
    """A time as `0:07`, or `1:02:03`."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
