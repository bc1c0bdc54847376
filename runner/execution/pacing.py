"""When the next call may leave: one pause for all that run in parallel, and a polite rate."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Pacer:
    """Holds calls back, across threads. `rate` is calls a second, `None` for no limit."""

    def __init__(
        self,
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
        rate: float | None = None,
    ) -> None:
        self._monotonic = monotonic
        self._sleep = sleep
        self._gap = 1.0 / rate if rate else 0.0
        self._lock = threading.Lock()
        self._free_at = 0.0

    def pause(self, seconds: float) -> None:
        """Let nothing leave for so many seconds: what one call was told holds for all."""
        with self._lock:
            self._free_at = max(self._free_at, self._monotonic() + seconds)

    def wait(
        self,
        stopping: Callable[[], bool] = lambda: False,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """Wait until a call may leave, or until `stopping` says not to.

        `meanwhile` is called first where there is something to wait for.
        """
        if not self._gap and not self._free_at:
            return
        told = False
        while not stopping():
            with self._lock:
                now = self._monotonic()
                ahead = self._free_at - now
                if ahead <= 0:
                    self._free_at = now + self._gap if self._gap else 0.0
                    return
            if told:
                self._sleep(ahead)
            else:  # which takes time itself
                meanwhile()
            told = True
