"""The tests' end of the nursery: orders a command line to be run, and says how it ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from conftest import ROOT, environment


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: the exit code, negative for a signal, and what it said."""

    code: int
    out: str
    err: str
    tomb: str | None = None


class Nursery:
    """Runs command lines as children of one process that has imported everything."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        paths = f"{ROOT / 'tests'}:{ROOT}"
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "drivers.nursery"],
            env=environment(PYTHONPATH=paths),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def __enter__(self) -> Nursery:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.stdin.close()  # type: ignore[union-attr]
        self._process.wait(10)
        self._process.stdout.close()  # type: ignore[union-attr]

    def run(self, *args: str, cwd: Path, environ: Mapping[str, str], **order: Any) -> Ended:
        """Run a command to its end, or to its death: see `nursery` for what may be ordered."""
        return self.start(*args, cwd=cwd, environ=environ, **order).wait()

    def start(self, *args: str, cwd: Path, environ: Mapping[str, str], **order: Any) -> Child:
        """Start a command; the one before must have been waited for."""
        out, err, tomb = (self._folder / name for name in ("out", "err", "tomb"))
        tomb.unlink(missing_ok=True)
        for file in (out, err):
            file.write_text("")
        files = {"out": str(out), "err": str(err), "tomb": str(tomb)}
        whole = {"args": args, "cwd": str(cwd), "environ": dict(environ), **files, **order}
        print(json.dumps(whole), file=self._process.stdin)
        return Child(int(self._answer()), self._folder, self._answer)

    def _answer(self) -> str:
        return self._process.stdout.readline()  # type: ignore[union-attr]


@dataclass(frozen=True, slots=True)
class Child:
    """A command under way."""

    pid: int
    folder: Path
    answer: Callable[[], str]

    def signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def said(self) -> str:
        """What it has said so far, on stderr."""
        return (self.folder / "err").read_text()

    def wait(self) -> Ended:
        """How it ended."""
        code = int(self.answer())
        out, err, tomb = (self.folder / name for name in ("out", "err", "tomb"))
        where = tomb.read_text() if tomb.exists() else None
        return Ended(code, out.read_text(), err.read_text(), where)
