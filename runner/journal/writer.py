"""The journal of one run, as it is written: an intent is on disk before its call leaves."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from runner.compact import encode_line
from runner.errors import ExitCode, RunnerError
from runner.model import Event, Finished, Intent, Json, Leaving, Phase

# What a sync needs of the system: the data, and no times. Some systems have the other only.
_flush: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)
# That what was written is not read again has Linux write it to the disk at once.
_advise: Callable[[int, int, int, int], None] | None = getattr(os, "posix_fadvise", None)
# Bytes of zeros that are kept ready after the last record: as many as there are records, from
# and to so many.
_LEAST, _MOST = 16 * 1024, 1024 * 1024
_ZEROS = bytes(_LEAST)  # written again and again, since so many at once take as much memory


class JournalError(RunnerError):
    """The journal cannot be written: nothing that changes anything may be sent."""

    code = ExitCode.FAILED


class Writer:
    """Appends records, one JSON object a line; a sink for events and a context manager.

    An intent is on its way to the disk when this returns, and on it once its call is leaving. An
    outcome is written and rides on the next intent's sync: a process that is killed loses nothing
    that was written, and after a power cut the call is merely in doubt. Threads whose calls leave
    together share a sync.

    Records are written over zeros that were put there before: a sync that need not note a new
    length as well takes a third less time, half on many disks. A journal that was not closed
    ends in zeros, then, and after a power cut there may be zeros among its last lines, those that
    were never synced. Each record tells how far the journal was `synced` before it, which tells
    the one from damage.

    A record that cannot be written whole leaves nothing behind that a later one would be joined
    to: there is never a torn line but at the end. Raises JournalError, here and wherever it
    writes.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._size = os.fstat(self._handle).st_size
            if not self._size:
                _sync_folders(path)
        except OSError as error:
            raise _unwritable(error) from error
        self._room = self._size
        self._torn = False
        self._write_lock = threading.Lock()
        self._sync_lock = threading.Lock()
        self._synced = 0
        # Where the intents end whose calls have not left yet, by key.
        self._ends: dict[str, int] = {}

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __call__(self, event: Event) -> None:
        """Write what the event has to say. Raises JournalError."""
        if isinstance(event, Intent):
            self._ends[event.key] = self.record(
                {
                    "record": "intent",
                    "key": event.key,
                    "call": f"{event.resource}.{event.operation}",
                    "request": {"method": event.method, "url": event.url, "body": event.body},
                    "digest": event.digest,
                    "tracker": event.tracker,
                },
                soon=True,
            )
        elif isinstance(event, Leaving):
            self._sync(self._ends.pop(event.key))
        elif isinstance(event, Finished):
            self._outcome(event)
        elif isinstance(event, Phase):
            self.record({"record": "phase", "success": event.success, "last": list(event.last)})

    def _outcome(self, event: Finished) -> None:
        head = encode_line(
            {
                "record": "outcome",
                "key": event.key,
                "digest": event.digest,
                "hidden": [list(trail) for trail in event.hidden],
                "synced": self._synced,
            }
        )
        # The envelope is text already: it is put into the record as it is.
        self._append(b'%b,"envelope":%b}\n' % (head[:-1], event.line.encode()))

    def record(self, record: Mapping[str, Json], *, sync: bool = False, soon: bool = False) -> int:
        """Append a record and give its end; `soon` it is to be synced. Raises JournalError."""
        line = encode_line({**record, "synced": self._synced}) + b"\n"
        end = self._append(line)
        if sync:
            self._sync(end)
        elif soon:
            _hasten(self._handle, end - len(line), len(line))
        return end

    def close(self) -> None:
        """Cut off what is left of the room, sync and close; harmless to repeat."""
        with self._sync_lock, self._write_lock:
            handle, self._handle = self._handle, -1
            if handle < 0:
                return
            try:
                if self._torn or self._room > self._size:
                    os.ftruncate(handle, self._size)
                os.fsync(handle)
            except OSError as error:
                raise _unwritable(error) from error
            finally:
                os.close(handle)

    def _append(self, line: bytes) -> int:
        """Write a line, and give where it ends."""
        try:
            with self._write_lock:
                self._write(line)
                return self._size
        except OSError as error:
            raise _unwritable(error) from error

    def _write(self, line: bytes) -> None:
        """Write a line whole, or have the next one cut off what there is of it."""
        if self._torn:
            os.ftruncate(self._handle, self._size)
            self._room = self._size
        if self._size + len(line) > self._room:
            self._make_room(len(line))
        self._torn = True
        _write_all(self._handle, line, self._size)
        self._size += len(line)
        self._room = max(self._room, self._size)
        self._torn = False

    def _make_room(self, size: int) -> None:
        """Write zeros for this line and some more to come."""
        end = self._room + size + min(max(self._size, _LEAST), _MOST)
        # Where there is no such room there may be enough for the line, and else that will tell.
        with suppress(OSError):
            while self._room < end:
                self._room += os.pwrite(self._handle, _ZEROS, self._room)

    def _sync(self, end: int) -> None:
        """Have on the disk what was written up to there."""
        with self._sync_lock:
            if self._synced < end:
                size = self._size
                try:
                    _flush(self._handle)
                except OSError as error:
                    raise _unwritable(error) from error
                self._synced = size


def _unwritable(error: OSError) -> JournalError:
    return JournalError(
        f"the journal cannot be written: {error.strerror}",
        "free some room, or name another folder with --state-dir; then resume",
    )


def _sync_folders(path: Path) -> None:
    """Have a new journal found after a power cut: it, and the folders that were made for it."""
    for folder in path.absolute().parents[:4]:
        handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _hasten(handle: int, at: int, size: int) -> None:
    """Have the system begin to write this to the disk, where it can be told so; waits for nothing.

    Half of what a sync takes then goes by while the call is being made ready.
    """
    if _advise is not None:
        with suppress(OSError):  # it is advice
            _advise(handle, at, size, os.POSIX_FADV_DONTNEED)


def _write_all(handle: int, line: bytes, at: int) -> None:
    done = 0
    while done < len(line):
        done += os.pwrite(handle, line[done:], at + done)
