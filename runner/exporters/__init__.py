"""What a report becomes for its readers: a page, CI's own forms, a few lines at a terminal."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Literal, TextIO

from runner.chain import KEY_VARIABLE
from runner.errors import RunnerError
from runner.exporters.reading import Reader, earlier_attempts, read_envelopes
from runner.exporters.surroundings import Surroundings

__all__ = ["FORMATS", "Reader", "Surroundings", "append_job_summary", "export", "read_envelopes",
           "write_all"]  # fmt: skip

Exporter = Callable[[Reader, TextIO, Surroundings], None]


def _named(module: str) -> Exporter:
    """The exporter of that module, which is imported when it is first used."""

    def write(reader: Reader, stream: TextIO, surroundings: Surroundings) -> None:
        found: Exporter = importlib.import_module(f"runner.exporters.{module}").write
        found(reader, stream, surroundings)

    return write


FORMATS: Mapping[str, Exporter] = {
    name: _named(name) for name in ("html", "junit", "markdown", "github", "terminal")
}


def export(
    name: str,
    report: Path,
    stream: TextIO,
    surroundings: Surroundings,
    left_out: Collection[int] | None = None,
) -> list[str]:
    """Write a report in one format; gives what was odd in the report, in words.

    `left_out` are the numbers of the lines that do not count, where they are known already.
    Raises RunnerError where there is no such report, or it is none.
    """
    try:
        with report.open("rb") as lines:
            left_out = earlier_attempts(report) if left_out is None else left_out
            key = surroundings.environ.get(KEY_VARIABLE) or None
            reader = read_envelopes(lines, left_out, key)
            FORMATS[name](reader, stream, surroundings)
    except OSError as error:
        raise RunnerError(
            f"cannot turn {report} into {name}: {error.strerror or error}", "check the path"
        ) from error
    return reader.warnings


def write_all(reports: Mapping[str, str], report: Path, surroundings: Surroundings) -> list[str]:
    """Write a report in several formats, each to its file (`-` is stdout); reads it for each.

    Gives what was odd in the report. Raises RunnerError where a file cannot be written.
    """
    warnings: list[str] = []
    left_out = _looked_through(report)
    for name, place in reports.items():
        with _opened(place) as stream:
            warnings = export(name, report, stream, surroundings, left_out)
    return warnings


def _looked_through(report: Path) -> Collection[int]:
    """The numbers of the lines that do not count, looked for once for all formats.

    Raises RunnerError where the file is no report, before what there was is written over.
    """
    try:
        with report.open("rb") as lines:
            next(iter(read_envelopes(lines)), None)
        return earlier_attempts(report)
    except OSError as error:
        raise RunnerError(f"cannot read {report}: {error.strerror}", "check the path") from error


def append_job_summary(report: Path, surroundings: Surroundings) -> bool:
    """Append the Markdown summary where GitHub asks for it, in `GITHUB_STEP_SUMMARY`.

    False where nothing asks. Raises RunnerError where that file cannot be written.
    """
    place = surroundings.environ.get("GITHUB_STEP_SUMMARY")
    if not place:
        return False
    with _opened(place, "a") as stream:
        export("markdown", report, stream, surroundings)
    return True


@contextmanager
def _opened(place: str, mode: Literal["w", "a"] = "w") -> Iterator[TextIO]:
    """A text stream that takes whatever a report may hold, lone surrogates too."""
    if place == "-":
        sys.stdout.flush()
        stdout = TextIOWrapper(
            sys.stdout.buffer, encoding="utf-8", errors="backslashreplace", newline="\n"
        )
        try:
            yield stdout
            stdout.flush()
        finally:
            stdout.detach()
        return
    try:
        with Path(place).open(
            mode, encoding="utf-8", errors="backslashreplace", newline="\n"
        ) as stream:
            yield stream
    except OSError as error:
        raise RunnerError(f"cannot write {place}: {error.strerror}", "check the path") from error
