"""Where the report goes, a file or stdout: what came before in it, and an end without noise."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from runner.chain import Chain
from runner.cli.output import give_up
from runner.errors import ExitCode, RunnerError
from runner.model import Json, Summary
from runner.report import JsonLines
from runner.report.turns import InTurn


@contextmanager
def open_report(
    name: str | None, before: Iterable[str] = (), chain: Chain | None = None
) -> Iterator[JsonLines | None]:
    """A sink that writes the report, or `None` where none is wanted; `-` is stdout.

    `before` are the lines of the run's earlier parts. Raises RunnerError where it cannot be
    written; once it is open, the sink raises OSError.
    """
    if name is None:
        yield None
        return
    stream = _stdout() if name == "-" else _opened(name)
    sink = JsonLines(stream, chain)
    try:
        try:
            for line in before:
                sink.write(line)
        except OSError as error:
            raise _unwritable(name, error) from error
        yield sink
    finally:
        # What could not be written has been told, and cannot be written now either.
        try:
            stream.flush()
        except OSError:
            give_up(stream)
        if name != "-":
            stream.close()


def end_reports(reports: list[JsonLines], turns: list[InTurn], summary: Summary) -> None:
    """Write what waits for its turn, and the trailers. Raises OSError."""
    for turn in turns:
        turn.close()
    for report in reports:
        report.close(summary)


def check_writable(names: Iterable[str]) -> None:
    """Raises RunnerError where a file cannot be written, before anything is sent."""
    for name in names:
        path = Path(name)
        known = path.exists()
        try:
            path.open("a").close()
        except OSError as error:
            raise _unwritable(name, error) from error
        if not known:
            path.unlink()


def write_outputs(name: str, outputs: Mapping[str, Json]) -> None:
    """Write what a playbook gave back, to a file or to stdout: `{}` where it gave nothing.

    Raises RunnerError.
    """
    text = json.dumps(outputs, ensure_ascii=False, indent=2) + "\n"
    if name == "-":
        _stdout().write(text)
        return
    try:
        Path(name).write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
    except OSError as error:
        raise _unwritable(name, error) from error


def _stdout() -> TextIO:
    if isinstance(sys.stdout, TextIOWrapper):  # whatever the locale says: reports are UTF-8
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    return sys.stdout


def _opened(name: str) -> TextIO:
    try:
        return Path(name).open("w", encoding="utf-8", newline="\n")
    except OSError as error:
        raise _unwritable(name, error) from error


def _unwritable(name: str, error: OSError) -> RunnerError:
    return RunnerError(
        f"cannot write {name}: {error.strerror}", "check the path", code=ExitCode.USAGE
    )
