"""Threads that each take the next piece of work until there is none: for loops and for steps."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextvars import copy_context
from functools import partial

from runner.stop import AWAKE


class Crew(ABC):
    """Calls `work` with the numbers that `_draw` gives, in several threads."""

    def __init__(self, work: Callable[[int], bool]) -> None:
        self._work = work
        self._error: BaseException | None = None

    def run(self, workers: int) -> None:
        """Work until there is nothing left, and raise here what `work` raised first."""
        # Each is below what this thread is below, a `finally` for one.
        takes = [partial(copy_context().run, self._take) for _ in range(workers)]
        threads = [threading.Thread(target=take, daemon=True) for take in takes]
        for thread in threads:
            thread.start()
        for thread in threads:
            # Not without end: a signal that comes just before that is noticed by nobody.
            while thread.is_alive():
                thread.join(AWAKE)
        if self._error is not None:
            raise self._error

    def _take(self) -> None:
        while (number := self._draw()) is not None:
            done = False
            try:
                done = self._work(number)
            except BaseException as error:  # noqa: BLE001  (raised again in the thread that waits)
                self._error = self._error or error
            self._end(number, done=done)

    @abstractmethod
    def _draw(self) -> int | None:
        """The next number, once there is one; `None` where no other will come."""

    @abstractmethod
    def _end(self, number: int, *, done: bool) -> None:
        """A number was worked on; where it is not `done`, no other is begun."""
