"""Steps in an order that leaves some of it open: those that wait for no other run at a time."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from runner.execution.crew import Crew


class Overlap(NamedTuple):
    """How many steps may run at a time, and for each step, by number from 0, those it waits for."""

    jobs: int = 1
    waits: Sequence[Collection[int]] = ()


ONE_BY_ONE = Overlap()


def in_order(count: int, overlap: Overlap, work: Callable[[int], bool]) -> None:
    """Call `work` with each of 0, 1, … once those that it waits for are done, the lowest first.

    Once one gives false none is begun, and those that run are finished. What `work` raises is
    raised here, once all have ended.
    """
    if overlap.jobs <= 1 or count <= 1:
        for number in range(count):
            if not work(number):
                return
        return
    _Crew(count, overlap.waits, work).run(min(overlap.jobs, count))


class _Crew(Crew):
    """Threads that each take the next step that waits for none."""

    def __init__(
        self, count: int, waits: Sequence[Collection[int]], work: Callable[[int], bool]
    ) -> None:
        super().__init__(work)
        self._left = [len(waits[number]) for number in range(count)]
        self._after: list[list[int]] = [[] for _ in range(count)]
        for number, before in enumerate(waits):
            for earlier in before:
                self._after[earlier].append(number)
        self._ready = [number for number in range(count) if not self._left[number]]
        self._running = 0
        self._stopped = False
        self._changed = threading.Condition()

    def _draw(self) -> int | None:
        with self._changed:
            while not self._stopped:
                if self._ready:
                    self._running += 1
                    return heapq.heappop(self._ready)
                if not self._running:
                    return None
                self._changed.wait()
            return None

    def _end(self, number: int, *, done: bool) -> None:
        with self._changed:
            self._running -= 1
            self._stopped = self._stopped or not done
            for later in self._after[number]:
                self._left[later] -= 1
                if not self._left[later]:
                    heapq.heappush(self._ready, later)
            self._changed.notify_all()
