"""Ctrl-C, SIGTERM and SIGHUP: the first ends the run after the call under way, a second at once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from runner.stop import Stop

STOPPING = "stopping after the call under way; once more stops at once"


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """What is set by the first signal; the second raises KeyboardInterrupt."""
    stop = Stop()

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        if stop.watched:
            return
        # Past Python's own buffer, which the signal may have come in the midst of writing to.
        with suppress(OSError, ValueError):
            os.write(sys.stderr.fileno(), f"{STOPPING}\n".encode())

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # a terminal that goes; not below nohup
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
