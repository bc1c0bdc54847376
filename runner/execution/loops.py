"""Iterations, one after the other or several at a time, and never more than asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from runner.execution.crew import Crew
from runner.execution.outside import StepError
from runner.execution.scope import Scope, render
from runner.model import Json
from runner.planning import Loop
from runner.playbook import Many
from runner.templating import Rows


def checked_items(items: Json | Sequence[int]) -> Sequence[Json]:
    """The items, if it is a list. Raises StepError."""
    if not isinstance(items, list | range | Rows | Many):
        raise StepError(
            "template",
            f"for_each: {items!r:.80} is no list",
            "name a list; of a mapping take its items(), or one of its fields",
        )
    return items


def workers_of(loop: Loop, scope: Scope) -> int:
    """How many items at a time. Raises StepError."""
    workers = render(loop.concurrency, scope, "concurrency")
    if isinstance(workers, bool) or not isinstance(workers, int) or not 1 <= workers <= 64:
        raise StepError("template", f"concurrency: {workers!r:.80} is not from 1 to 64")
    return workers


def each(count: int, workers: int, work: Callable[[int], bool]) -> None:
    """Call `work` with 0, 1, … until it gives false, with at most `workers` calls at a time.

    Calls that run when one gives false are finished, and none is begun after it. What `work`
    raises is raised here, once all have ended.
    """
    if workers <= 1 or count <= 1:
        for index in range(count):
            if not work(index):
                return
        return
    _Crew(count, work).run(min(workers, count))


class _Crew(Crew):
    """Threads that take the next index each, so that nothing waits in a queue."""

    def __init__(self, count: int, work: Callable[[int], bool]) -> None:
        super().__init__(work)
        self._count = count
        self._next = 0
        self._lock = threading.Lock()
        self._stopped = False

    def _draw(self) -> int | None:
        with self._lock:
            if self._stopped or self._next >= self._count:
                return None
            self._next += 1
            return self._next - 1

    def _end(self, number: int, *, done: bool) -> None:  # noqa: ARG002
        if not done:
            self._stopped = True
