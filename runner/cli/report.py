"""`report`: turn a report into what people and CI systems read, or check that it is whole."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from runner.chain import KEY_VARIABLE, Break, Chain, Verifier
from runner.cli.output import painter, say
from runner.errors import ExitCode, RunnerError
from runner.exporters import Surroundings, write_all
from runner.journal import Store, read_history, state_folder
from runner.journal.store import RUN_ID
from runner.model import Summary
from runner.report import JsonLines

_MOST_BREAKS = 20


@click.command("report")
@click.argument("words", nargs=-1, required=True, metavar="[verify] RUN.jsonl|RUN")
@click.option("--html", metavar="FILE|-", help="Write a page, in one file without resources.")
@click.option("--junit", metavar="FILE|-", help="Write JUnit XML, for CI systems.")
@click.option("--markdown", metavar="FILE|-", help="Write a Markdown summary.")
@click.option("--github", is_flag=True, help="Print annotations for GitHub, on stdout.")
@click.option(
    "--state-dir",
    metavar="DIR",
    help="Where the run RUN is kept.  [default: KEITARO_STATE_DIR, or .keitaro here]",
)
@click.option(
    "--head", metavar="HASH", help="With verify: the head that the report had, noted elsewhere."
)
def command(
    words: tuple[str, ...],
    html: str | None,
    junit: str | None,
    markdown: str | None,
    github: bool,
    state_dir: str | None,
    head: str | None,
) -> None:
    """Turn the report RUN.jsonl (- is standard input) into other forms, or verify it.

    In place of a file the id of a run may be named, as `runs` lists it: its journal tells the same.

    Without an option a summary is printed. Where a playbook that the report names lies below the
    current folder, its lines are shown.

    `report verify RUN.jsonl` finds a line that was changed, added, left out, moved or cut off,
    and exits with 1. A report that was written with KEITARO_REPORT_KEY set needs that key.
    """
    verify, place = _read_words(words)
    named = {"html": html, "junit": junit, "markdown": markdown}
    wanted = {form: name for form, name in named.items() if name}
    if verify and (wanted or github):
        raise click.UsageError("verify writes no other form of the report: leave the options out")
    if head and not verify:
        raise click.UsageError("--head goes with verify")
    if github:
        wanted["github"] = "-"
    if list(wanted.values()).count("-") > 1:
        raise click.UsageError("only one form can go to stdout")
    is_run = place != "-" and RUN_ID.match(place) is not None and not Path(place).exists()
    if is_run and verify:
        raise click.UsageError("a journal has no chain: verify the report that the run wrote")
    with _of_run(place, state_dir) if is_run else _on_disk(place) as path:
        _check(path, place)
        if verify:
            _verify(path, place, head)
        else:
            _export(path, wanted or {"terminal": "-"})


def _read_words(words: tuple[str, ...]) -> tuple[bool, str]:
    verify = len(words) > 1 and words[0] == "verify"
    rest = words[1:] if verify else words
    if len(rest) != 1 or words == ("verify",):
        raise click.UsageError("name one report: RUN.jsonl, or - for standard input")
    return verify, rest[0]


@contextmanager
def _on_disk(place: str) -> Iterator[Path]:
    """The report as a file, which may be read more than once."""
    if place != "-":
        if not Path(place).is_file():
            raise RunnerError(f"there is no report {place}", "`run --report FILE` writes one")
        yield Path(place)
        return
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as spooled:
        shutil.copyfileobj(sys.stdin.buffer, spooled)
        spooled.flush()
        yield Path(spooled.name)


@contextmanager
def _of_run(run: str, state_dir: str | None) -> Iterator[Path]:
    """The report of a run, made of its journal."""
    folder = Store(state_folder(None, state_dir, os.environ)).find(run, None)
    history = read_history(folder.journal)
    with (
        tempfile.TemporaryDirectory() as place,
        (Path(place) / "run.jsonl").open("w", encoding="utf-8") as made,
    ):
        sink = JsonLines(made, Chain(None))
        for line in history.lines():
            sink.write(line)
        if (end := history.ended) is not None:
            code, missed = ExitCode(end["exit"]), end.get("missed", [])
            summary = Summary(run, not_run=end.get("not_run", 0), missed=missed, exit_code=code)
            sink.close(summary)
        made.flush()
        yield Path(made.name)


def _check(path: Path, place: str) -> None:
    """Raises RunnerError where there is nothing to read: no file is written, or replaced, then."""
    if not path.stat().st_size:
        raise RunnerError(f"the report {place} is empty", "a run writes at least its last line")


def _export(path: Path, wanted: dict[str, str]) -> None:
    surroundings = Surroundings(Path.cwd(), os.environ)
    warnings = write_all(wanted, path, surroundings)
    if "terminal" not in wanted:
        for warning in warnings:
            say(f"note: {warning}")
    for name in wanted.values():
        if name != "-":
            say(f"wrote {name}")


def _verify(path: Path, place: str, head: str | None) -> None:
    verifier, paint = Verifier(os.environ.get(KEY_VARIABLE) or None), painter()
    told: list[Break] = []
    count, breaks_off = 0, True
    with path.open("rb") as lines:
        for count, found in enumerate(verifier.breaks(lines), 1):
            breaks_off = breaks_off and found.ends
            if count <= _MOST_BREAKS:
                told.append(found)
    seen = verifier.verified
    if not seen.readable:
        raise RunnerError(f"{place} is no report", "`run --report FILE` writes one")
    if seen.needs_key:
        raise RunnerError(
            f"{place} was made with a key, and cannot be verified without it",
            f"set {KEY_VARIABLE} to the key that the run had",
            code=ExitCode.FAILED,
        )
    for found in told:
        click.echo(f"{place}:{found.line}: line {found.line} {found.message}")
    if count > _MOST_BREAKS:
        click.echo(f"… and {count - _MOST_BREAKS} more")
    if head and head.lower() != seen.head:
        count, breaks_off = count + 1, False
        click.echo(f"{place}: the head is {seen.head}, and not {head}")
    if count:
        words = "has no end; what there is of it is" if breaks_off else "is not"
        say(paint(f"{place} {words} as it was written", "red"))
        raise click.exceptions.Exit(ExitCode.FAILED)
    keyed = "" if seen.algorithm == "sha256" else ", made with this key"
    click.echo(f"{place} is whole: run {seen.run}, {seen.count} lines{keyed}")
    click.echo(f"head {seen.head}")
