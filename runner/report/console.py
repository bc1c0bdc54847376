"""What a person reads while a playbook runs: a line for each call; knows no terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from runner.model import Event, Finished, LoopStarted, Retrying, Summary
from runner.playbook import Document
from runner.report.closing import Closing
from runner.report.drawing import Paint, clean, draw, no_paint
from runner.report.lines import exchange, outcome_of, request_line, result_words, would_send

__all__ = ["Console", "Paint", "Say", "clean", "draw", "no_paint", "outcome_of"]

Say = Callable[[str], None]

_MARKS = {"done": ("ok", "green"), "failed": ("FAILED", "red"), "skipped": ("skipped", "yellow"),
          "unknown": ("UNKNOWN", "magenta"), "held": ("would", "cyan"),
          "stopped": ("stopped", "yellow")}  # fmt: skip
MOST_BODIES = 3  # of the items of a loop, in a dry run
MOST_OF_ITEM = 40  # characters of what an item is called
_BELOW = " " * 9  # what belongs to a call stands below its name


class Console:
    """Says each finished call and, at the end, what became of the run.

    `verbosity` 1 adds where a call was written, what was asked for and what was tried again, and
    2 what was sent and what came back: as masked as the envelope is. A call that goes elsewhere
    than to the run's own tracker, which is `home`, says where.
    """

    def __init__(
        self,
        say: Say,
        paint: Paint = no_paint,
        *,
        quiet: bool = False,
        verbosity: int = 0,
        home: str = "",
    ) -> None:
        self._say = say
        self._paint = paint
        self._quiet = quiet
        self._verbosity = verbosity
        self._home = home
        self._first_failure: Finished | None = None
        self._held: Counter[str] = Counter()

    def __call__(self, event: Event) -> None:
        """Say a finished call, and a loop over nothing; a failed call is said even when quiet."""
        if isinstance(event, Finished):
            self._finished(event)
        elif isinstance(event, LoopStarted) and not event.total and not self._quiet:
            self._say(f"{self._paint('skipped', 'yellow')}  {event.key}  no items")
        elif isinstance(event, Retrying) and self._verbosity and not self._quiet:
            mark = self._paint("retry  ", "yellow")
            why = f": {clean(event.reason)}" if event.reason else ""
            self._say(f"{mark}  {event.key}  again in {event.wait:.1f} s{why}")

    def _finished(self, event: Finished) -> None:
        outcome = outcome_of(event.envelope)
        if outcome in {"failed", "unknown"}:
            known = self._first_failure
            # What the run was to pass over is not what ended it.
            if known is None or (_is_tolerated(known) and not _is_tolerated(event)):
                self._first_failure = event
        elif self._quiet:
            return
        self._say(self._head(event, outcome))
        for line in self._below(event.envelope):
            self._say(_BELOW + line)

    def _head(self, event: Finished, outcome: str) -> str:
        envelope, key = event.envelope, event.key
        if item := str(envelope.get("item", "")):
            cut = "…" if len(item) > MOST_OF_ITEM else ""
            key += " " + self._dim(clean(f"({item[:MOST_OF_ITEM]}{cut})"))
        word, colour = _MARKS[outcome]
        # A block, a set and an include are no call, and have neither.
        what = f"  {envelope['resource']}.{envelope['operation']}" if envelope["resource"] else ""
        if what and self._home not in {"", envelope["tracker"]}:
            what += f" on {clean(envelope['tracker'])}"
        return f"{self._paint(f'{word:<7}', colour)}  {key}{what}{clean(result_words(envelope))}"

    def _below(self, envelope: Mapping[str, Any]) -> Iterator[str]:
        error = envelope["error"]
        held = outcome_of(envelope) == "held"
        asked = request_line(envelope) if self._verbosity == 1 and not held else ""
        if error is not None:
            yield clean(f"{envelope['source']}: {error['message']}")
            if error["hint"]:
                yield clean(error["hint"])
            if asked:
                yield clean(asked)
        elif self._verbosity:
            yield clean(f"{envelope['source']}  {asked}".rstrip())
        if held and self._verbosity < 2:
            shown = self._held[envelope["step"]] = self._held[envelope["step"]] + 1
            yield from would_send(envelope, whole=shown <= MOST_BODIES or self._verbosity > 0)
        if envelope.get("cached") and self._verbosity:
            yield "not sent: the run had the answer already"
        if envelope.get("settled") and self._verbosity:
            yield f"was in doubt: {clean(envelope['settled'])}"
        if self._verbosity > 1:
            yield from map(self._dim, exchange(envelope))

    def _dim(self, line: str) -> str:
        return self._paint(line, "bright_black")

    def summary(
        self,
        summary: Summary,
        *,
        document: Document | None = None,
        resume: str = "",
        seconds: float | None = None,
        saved: Sequence[str] = (),
    ) -> None:
        """Say what was done, what failed, what is unknown, what did not run, and how to go on.

        `document` is the playbook, to draw the first failure in; `resume` the command that goes
        on with the run, `seconds` how long it took, `saved` are the files that steps wrote. The
        summary's texts and the names of files must be masked.
        """
        if self._quiet and summary.exit_code == 0:
            return
        told = Closing(summary, self._paint)
        for line in told.lines(self._first_failure, document, resume, seconds, saved):
            self._say(line)


def _is_tolerated(event: Finished) -> bool:
    return "tolerated" in event.envelope
