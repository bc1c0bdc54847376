"""Processes timed, the server that they talk to, and figures taken in turn."""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from .server import KEY, PATH

_PASSED_ON = ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "SSL_CERT_FILE", "PYENV_ROOT")


class BenchmarkError(Exception):
    """A tool that fails, or does something else than it was asked to."""


@dataclass(frozen=True, slots=True)
class Took:
    """What one process took: seconds of the clock, of the processor, and its peak memory in MB."""

    seconds: float
    cpu: float
    peak: float


def environment(**more: str) -> dict[str, str]:
    """A clean environment: nothing in it slows a tool down or sends its requests elsewhere."""
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {**kept, "NO_PROXY": "*", "NO_COLOR": "1", **more}


def run(
    command: Sequence[str | Path], folder: Path, env: Mapping[str, str], *, out: str = "out.txt"
) -> Took:
    """Run a command to its end. Raises BenchmarkError where it fails."""
    log = folder / out
    with log.open("wb") as stream:
        began = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=folder, env=dict(env),
            stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT,
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        said = log.read_text(encoding="utf-8", errors="replace")[-600:]
        raise BenchmarkError(f"{Path(command[0]).name} exits with {process.returncode}: {said}")
    return Took(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


# A process's peak counts from before it became what it is, so its parent must be small: this one
# imports nothing.
_SMALL = """
import posix, sys
pid = posix.posix_spawn(sys.argv[2], sys.argv[2:], posix.environ)
_, status, usage = posix.wait4(pid, 0)
with open(sys.argv[1], "w") as stream:
    stream.write(str(usage.ru_maxrss / 1024))
sys.exit(posix.waitstatus_to_exitcode(status))
"""


def run_for_memory(command: Sequence[str | Path], folder: Path, env: Mapping[str, str]) -> Took:
    """As `run`, with a peak that is the command's own, however small."""
    told = folder / "peak.txt"
    took = run([sys.executable, "-ISc", _SMALL, told, *command], folder, env)
    return Took(took.seconds, took.cpu, float(told.read_text()))


class Server:
    """The server in a process of its own: a context manager."""

    def __init__(self, delay: float = 0.0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("server.py"), f"--delay={delay}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(),
        )  # fmt: skip
        self.port = int(self._line())
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(10)

    def _line(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise BenchmarkError("the server of the benchmarks does not start")
        return line

    def book(self) -> dict[str, Any]:
        """What was asked since the last look."""
        if self._process.stdin:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        return dict(json.loads(self._line()))

    def check(self, asked: Mapping[str, int]) -> dict[str, Any]:
        """The book; raises BenchmarkError unless these requests came, each with captured ids."""
        book = self.book()
        wanted = {method: count for method, count in asked.items() if count}
        if book["asked"] != wanted:
            raise BenchmarkError(f"the server was asked {book['asked']} in place of {wanted}")
        for method, whole in book["captured"].items():
            if "POST" in wanted and wanted.get(method) and not whole:
                raise BenchmarkError(f"{method} was not sent to the ids that POST gave")
        return book

    def speed(self, count: int = 3000) -> float:
        """Microseconds a request, over a raw socket: the server, the kernel and little else."""
        head = f"GET {PATH.decode()}/1 HTTP/1.1\r\nHost: x\r\nApi-Key: {KEY}\r\n\r\n".encode()
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            began = time.perf_counter()
            for _ in range(count):
                connection.sendall(head)
                connection.recv(65536)
            took = time.perf_counter() - began
        self.check({"GET": count})
        return took / count * 1e6


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of a figure's rounds, with the quarters around it, and the least."""

    median: float
    low: float
    high: float
    least: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one value."""
        if len(values) < 2:
            return cls(values[0], values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high, min(values))

    def __str__(self) -> str:
        return f"{_short(self.median)} ({_short(self.low)}–{_short(self.high)})"

    def plain(self) -> dict[str, float]:
        """For JSON."""
        return {name: round(getattr(self, name), 5) for name in self.__slots__}


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def ratio(over: Sequence[float], under: Sequence[float]) -> Spread:
    """The ratio of two figures round by round, so that what slows a round down slows both."""
    return Spread.of([one / other for one, other in zip(over, under, strict=True)])


def settle(most: float = 10.0) -> None:
    """Wait until others leave most of the machine idle, or until it has been long enough."""
    end = time.perf_counter() + most
    while time.perf_counter() < end:
        before = _idle()
        time.sleep(0.1)
        after = _idle()
        if after is None or before is None or after - before > 0.08 * (os.cpu_count() or 1):
            return


def _idle() -> float | None:
    """Seconds that all processors together have been idle; unknown off Linux."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").split(maxsplit=6)
    except OSError:
        return None
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")


def in_turn(
    rounds: int, tasks: Mapping[str, Callable[[], Took]]
) -> tuple[dict[str, list[Took]], dict[str, str]]:
    """Each task once a round, after one that does not count; and why those failed that did."""
    found: dict[str, list[Took]] = {name: [] for name in tasks}
    failed: dict[str, str] = {}
    for number in range(rounds + 1):
        for name, task in tasks.items():
            if name in failed:
                continue
            settle()
            try:
                took = task()
            except (BenchmarkError, OSError) as error:
                failed[name] = str(error)
                continue
            if number:
                found[name].append(took)
    return {name: all_ for name, all_ in found.items() if name not in failed}, failed
