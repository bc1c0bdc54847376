"""Envelopes of steps that overlap, given on in the order of the playbook."""

from __future__ import annotations

from collections.abc import Callable

from runner.model import Event, Finished, StepFinished


class InTurn:
    """A sink before another: what a step gave waits until those before it are over.

    So that a report says the same each time, whichever step was faster. The numbers of the lines
    are given anew, from `seq` on. Nothing that waits is lost with the process: the journal has
    it at once.
    """

    def __init__(self, sink: Callable[[Event], None], seq: int = 0) -> None:
        self._sink = sink
        self._seq = seq
        self._turn = 1
        self._over: set[int] = set()
        self._held: dict[int, list[Finished]] = {}

    def __call__(self, event: Event) -> None:
        """Take an event in, and give on what has its turn. Raises what the sink raises."""
        if isinstance(event, Finished):
            if not event.top:  # `finally`, which comes after all
                self.close()
            if event.top in (0, self._turn):
                self._give(event)
            else:
                self._held.setdefault(event.top, []).append(event)
        elif isinstance(event, StepFinished):
            self._over.add(event.number)
            while self._turn in self._over:
                self._over.remove(self._turn)
                self._turn += 1
                self._give_all(self._turn)

    def close(self) -> None:
        """Give on what waits for steps that will not come; harmless to repeat."""
        for number in sorted(self._held):
            self._give_all(number)

    def _give_all(self, number: int) -> None:
        for event in self._held.pop(number, ()):
            self._give(event)

    def _give(self, event: Finished) -> None:
        self._seq += 1
        was = event.envelope["seq"]
        line = event.line.replace(f'"seq":{was},', f'"seq":{self._seq},', 1)
        envelope = {**event.envelope, "seq": self._seq}
        self._sink(event._replace(envelope=envelope, line=line))
