"""What readers get of a run at its end: a page, CI's own forms, what GitHub Actions shows."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from runner.cli.output import say
from runner.errors import RunnerError
from runner.report import JsonLines


@contextmanager
def told_to_readers(
    wanted: Mapping[str, str], before: Iterable[str] = (), *, quiet: bool = False
) -> Iterator[JsonLines | None]:
    """A sink whose lines become all that readers want at the end; `None` where they want nothing.

    `wanted` names a file for each form; a job of GitHub Actions gets its summary and annotations
    besides. `before` are the lines of the run's earlier parts. What cannot be written is said,
    and is no failure of the run.
    """
    if not (wanted or is_job() or os.environ.get("GITHUB_STEP_SUMMARY")):
        yield None
        return
    from runner.chain import Chain  # noqa: PLC0415  (for such runs alone)

    with (
        tempfile.TemporaryDirectory() as folder,
        (Path(folder) / "run.jsonl").open("w", encoding="utf-8") as file,
    ):
        sink = JsonLines(file, Chain(None))
        for line in before:
            sink.write(line)
        try:
            yield sink
        finally:
            _tell(Path(file.name), wanted, quiet=quiet)


def is_job() -> bool:
    """Whether this is a step of a GitHub workflow."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def _tell(report: Path, wanted: Mapping[str, str], *, quiet: bool) -> None:
    from runner.exporters import (  # noqa: PLC0415
        Surroundings,
        append_job_summary,
        export,
        write_all,
    )

    surroundings = Surroundings(Path.cwd(), os.environ)
    try:
        write_all(wanted, report, surroundings)
        files = [name for name in wanted.values() if name != "-"]
        if files and not quiet:
            say(f"wrote {', '.join(files)}")
        append_job_summary(report, surroundings)
        if is_job():
            # GitHub reads them from either stream, and stdout may be the report.
            export("github", report, sys.stderr, surroundings)
    except RunnerError as error:
        say(f"note: {error.message}")
