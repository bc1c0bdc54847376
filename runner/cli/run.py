"""`run`: a playbook against a tracker, or against the emulator."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import click

from runner import inputs
from runner.catalogue import Catalogue
from runner.cli.output import painter, say
from runner.errors import ExitCode, RunnerError
from runner.model import Json, Severity, Summary
from runner.planning import Plan, build
from runner.playbook import Document, read
from runner.report.console import Console, draw
from runner.validation import Rules, check


@click.command("run")
@click.argument("playbook")
@click.option(
    "--input",
    "given",
    multiple=True,
    metavar="NAME=VALUE",
    help="A value for an input; may be repeated. Secret inputs are not taken here.",
)
@click.option("--inputs", "inputs_file", metavar="FILE", help="A YAML or JSON file of inputs.")
@click.option("--report", metavar="FILE|-", help="Write the envelopes here, as JSONL.")
@click.option("--tracker", metavar="NAME", help="The tracker to run on, by its name in the file.")
@click.option(
    "--trackers",
    "trackers_file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of trackers.  [default: KEITARO_URL and KEITARO_API_KEY]",
)
@click.option("--emulator", is_flag=True, help="Run against a stand-in tracker, made for this run.")
@click.option("--insecure", is_flag=True, help="Allow plain http to a host that is not this one.")
@click.option("-q", "--quiet", is_flag=True, help="Say only what failed.")
def command(
    playbook: str,
    given: tuple[str, ...],
    inputs_file: str | None,
    report: str | None,
    tracker: str | None,
    trackers_file: Path | None,
    emulator: bool,
    insecure: bool,
    quiet: bool,
) -> None:
    """Run PLAYBOOK (- is standard input) and exit with what became of it.

    The whole playbook is validated first: nothing is sent from one with an error.
    """
    document, rules = _checked(playbook)
    plan = build(document, rules, _inputs(document, given, inputs_file), datetime.now(UTC))
    with ExitStack() as stack:
        environ = dict(os.environ)
        if emulator:
            if tracker or trackers_file:
                raise click.UsageError("--emulator stands in for a tracker: name none beside it")
            environ |= stack.enter_context(_emulated())
        stream = stack.enter_context(_report_stream(report))
        summary = _execute(plan, environ, stream, tracker, trackers_file, insecure, quiet)
    raise click.exceptions.Exit(summary.exit_code)


def _checked(playbook: str) -> tuple[Document, Rules]:
    document, rules = read(playbook), Rules(Catalogue())
    problems = check(document, rules)
    for problem in problems:
        say(draw(problem, painter()) + "\n")
    errors = sum(problem.severity is Severity.ERROR for problem in problems)
    if errors:
        raise RunnerError(
            f"{playbook} has {errors} error{'' if errors == 1 else 's'}; nothing was sent",
            code=ExitCode.INVALID,
        )
    return document, rules


def _inputs(document: Document, given: tuple[str, ...], file: str | None) -> inputs.Inputs:
    declared = document.data.get("inputs")
    values: Mapping[str, Json] = {}
    if file:
        text = sys.stdin.read() if file == "-" else _read(file)
        values = inputs.read_file(text, file)
    texts = dict(_pair(text) for text in given)
    asked = {}
    if sys.stdin.isatty() and sys.stderr.isatty():
        for name in inputs.missing_secrets(declared, values, os.environ):
            if name not in texts:
                asked[name] = click.prompt(f"{name} (not shown)", hide_input=True, err=True)
    return inputs.resolve(declared, texts=texts, values=values, environ=os.environ, secrets=asked)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--input takes NAME=VALUE, and '{name}' has no '='")
    return name.strip(), value


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RunnerError(f"cannot read {file}: {error}", "check the path") from error


@contextmanager
def _emulated() -> Iterator[dict[str, str]]:
    # A run on a real tracker needs none of it.
    from runner.emulator import Emulator, sample_seed  # noqa: PLC0415

    with Emulator(seed=sample_seed()) as tracker:
        yield {"KEITARO_URL": tracker.url, "KEITARO_API_KEY": tracker.key}


@contextmanager
def _report_stream(name: str | None) -> Iterator[TextIO | None]:
    if name is None:
        yield None
    elif name == "-":
        yield sys.stdout
    else:
        try:
            with Path(name).open("w", encoding="utf-8") as stream:
                yield stream
        except OSError as error:
            raise RunnerError(f"cannot write {name}: {error.strerror}", "check the path") from error


def _execute(
    plan: Plan,
    environ: Mapping[str, str],
    stream: TextIO | None,
    tracker: str | None,
    trackers_file: Path | None,
    insecure: bool,
    quiet: bool,
) -> Summary:
    # Only now: a playbook with a mistake, and every other command, is spared the HTTP library.
    from runner.report import JsonLines  # noqa: PLC0415
    from runner.session import Session, Sink  # noqa: PLC0415
    from runner.trackers import Trackers  # noqa: PLC0415

    console = Console(say, painter(), quiet=quiet)
    sinks: list[Sink] = [JsonLines(stream)] if stream else []
    sinks.append(console)
    trackers = Trackers(trackers_file, environ, insecure=insecure)
    with Session(trackers, tracker=tracker, environ=environ) as session:
        summary = session.run(plan, sinks)
    console.summary(summary)
    return summary
