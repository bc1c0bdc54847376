"""The wish that a run stop, which a signal's handler may have at any moment."""

from __future__ import annotations

import time

AWAKE = 0.1  # seconds within which it is noticed, whatever is waited for


class Stop:
    """Set once the run is to stop; `watched` while a live view tells so, at its own time.

    It takes no lock, as `threading.Event` does: a handler that comes while the thread that it
    interrupts holds that lock would wait for it for ever.
    """

    def __init__(self) -> None:
        self._is_set = False
        self.watched = False

    def set(self) -> None:
        """Wish it."""
        self._is_set = True

    def is_set(self) -> bool:
        """Whether it is wished."""
        return self._is_set

    def wait(self, seconds: float = float("inf")) -> bool:
        """Wait until it is, or for so many seconds; give whether it is."""
        end = time.monotonic() + seconds
        while not self._is_set and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, AWAKE))
        return self._is_set
