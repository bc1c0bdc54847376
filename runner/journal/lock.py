"""One process to a run: a lock that the system releases when its owner dies, however it dies."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from runner.errors import RunnerError

# Who only asks whether a run is held (`runs` does) holds it for a moment: try so often, so long.
_TRIES, _PAUSE = 5, 0.02


class Lock:
    """A context manager that holds a run's lock. Raises RunnerError where another process does.

    The lock is the system's (flock), so that a dead owner never blocks; the file beside it says
    who the owner is: pid, host, start time.
    """

    def __init__(self, path: Path, run: str) -> None:
        self._path = path
        self._run = run
        self._handle: int | None = None

    def __enter__(self) -> Lock:
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise RunnerError(
                f"cannot write {self._path}: {error.strerror}", "check the folder's permissions"
            ) from error
        if not _take(handle):
            os.close(handle)
            raise RunnerError(
                f"the run {self._run} is being run already{_owner(self._path)}",
                "wait until it ends, or stop that process",
            )
        self._handle = handle
        # What it says is for people: a full disk does not make the lock less of one.
        with suppress(OSError):
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps(_myself()).encode(), 0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _try(handle)
    finally:
        os.close(handle)


def _take(handle: int) -> bool:
    for _ in range(_TRIES):
        if _try(handle):
            return True
        time.sleep(_PAUSE)
    return False


def _try(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _myself() -> dict[str, str | int]:
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _owner(path: Path) -> str:
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
        return f": by process {owner['pid']} on {owner['host']}, since {owner['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
