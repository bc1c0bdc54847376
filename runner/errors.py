"""The exit codes and the exceptions that mean "cannot go on"; knows nothing else of the package."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process says to the shell; the numbers are an interface and do not change."""

    OK = 0
    FAILED = 1
    USAGE = 2
    INVALID = 3
    UNREACHABLE = 4
    IN_DOUBT = 5
    INTERRUPTED = 130


class RunnerError(Exception):
    """A reason not to go on, written for a person: what is wrong, and what to do about it.

    `message` is one sentence; `hint` says what to do; `code` is the exit code it leads to.
    """

    code = ExitCode.USAGE

    def __init__(self, message: str, hint: str = "", *, code: ExitCode | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code


class CatalogueError(RunnerError):
    """The bundled catalogue cannot be read: a broken installation, never the user's playbook."""

    code = ExitCode.USAGE


class TrackerError(RunnerError):
    """No usable tracker: an address or a key is missing, malformed or refused."""

    code = ExitCode.UNREACHABLE
