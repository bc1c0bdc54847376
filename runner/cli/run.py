"""`run`: a playbook against a tracker or the emulator, from its beginning or where it ended."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner import inputs
from runner.catalogue import Catalogue
from runner.cli.boundary import masked_errors
from runner.cli.consent import require_consent
from runner.cli.output import painter, say, watched
from runner.cli.stopping import Stop, stop_on_signals
from runner.errors import ExitCode, RunnerError
from runner.model import Json, Problem, Severity, Summary
from runner.planning import Plan, build
from runner.playbook import Document, read
from runner.report.closing import masked
from runner.report.console import Console, draw
from runner.validation import Rules, check

if TYPE_CHECKING:
    from runner.journal import History, RunFolder
    from runner.session import Session

MOST_DESTROYED = 20
_LATEST = "latest"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the command line asked for."""

    playbook: str | None
    given: tuple[str, ...]
    inputs_file: str | None
    report: str | None
    tracker: str | None
    trackers_file: Path | None
    emulator: bool
    insecure: bool
    resume: str | None
    in_doubt: tuple[str, ...]
    accept_changes: bool
    state_dir: str | None
    yes: tuple[str, ...]
    max_destroy: int
    rate: float | None
    preflight: bool
    quiet: bool
    verbose: int
    live: bool


class _RunCommand(click.Command):
    """`--resume` and `--yes` take a value or none, and never the playbook that comes after them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        from runner.journal.store import RUN_ID  # noqa: PLC0415

        ready: list[str] = []
        for arg in args:
            if ready and ready[-1] == f"--resume={_LATEST}" and RUN_ID.match(arg):
                ready[-1] = f"--resume={arg}"
            else:
                ready.append({"--resume": f"--resume={_LATEST}", "--yes": "--yes=*"}.get(arg, arg))
        return super().parse_args(ctx, ready)


@click.command("run", cls=_RunCommand)
@click.argument("playbook", required=False)
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
@click.option(
    "--resume",
    metavar="[RUN]",
    help="Go on with a run that ended before its end: the latest, or the one named.",
)
@click.option(
    "--in-doubt",
    multiple=True,
    metavar="STEP=WORD",
    help="What became of a call in doubt: done, retry, or id:123. May be repeated.",
)
@click.option("--accept-changes", is_flag=True, help="Resume though what has run was changed.")
@click.option(
    "--state-dir",
    metavar="DIR",
    help="Where runs are kept.  [default: KEITARO_STATE_DIR, or .keitaro beside the playbook]",
)
@click.option(
    "--yes",
    multiple=True,
    metavar="[STEP]",
    help="Destroy without being asked; a step without a bound must be named: --yes=STEP.",
)
@click.option(
    "--max-destroy",
    type=click.IntRange(min=0),
    default=MOST_DESTROYED,
    show_default=True,
    help="How many calls that destroy the run may make.",
)
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), help="At most so many calls a second."
)
@click.option("--preflight", is_flag=True, help="Look the ids up first that the playbook states.")
@click.option("-q", "--quiet", is_flag=True, help="Say only what failed.")
@click.option(
    "-v", "--verbose", count=True, help="Say where each call is written; -vv: what was sent, too."
)
@click.option(
    "--live/--no-live", default=True, help="On a terminal, show what is going on.  [default: live]"
)
def command(**options: Any) -> None:
    """Run PLAYBOOK (- is standard input) and exit with what became of it.

    The whole playbook is validated first: nothing is sent from one with an error. Each call that
    changes something is written down before it leaves, so that a run that was killed can go on
    with --resume and does nothing twice.
    """
    asked = _Asked(**options)
    with ExitStack() as stack:
        exit_code = _run(asked, stack)
    raise click.exceptions.Exit(exit_code)


def _run(asked: _Asked, stack: ExitStack) -> int:
    from runner.session import Options, Session  # noqa: PLC0415  (the HTTP library comes with it)
    from runner.trackers import Trackers  # noqa: PLC0415

    resumed = _find_resumed(asked, stack)
    document, rules = _checked(asked.playbook or (resumed[1].head["file"] if resumed else "-"))
    plan = _plan(document, rules, asked, resumed[1] if resumed else None)
    environ = dict(os.environ)
    if asked.emulator:
        environ |= stack.enter_context(_emulated(asked))
    else:
        require_consent(plan, asked.yes)
    stop = stack.enter_context(stop_on_signals())
    trackers = Trackers(asked.trackers_file, environ, insecure=asked.insecure)
    if asked.preflight:
        from runner import preflight  # noqa: PLC0415

        _refuse(document.file, preflight.check([document], rules, trackers, asked.tracker))
    options = Options(tracker=asked.tracker, rate=asked.rate, most_destroyed=asked.max_destroy)
    session = stack.enter_context(Session(trackers, options, environ=environ, stop=stop))
    with masked_errors(session.masker):
        summary = _execute(asked, plan, session, resumed, rules.catalogue, stop, stack)
    return int(summary.exit_code)


# -- the playbook ---------------------------------------------------------------------------------


def _checked(playbook: str) -> tuple[Document, Rules]:
    document, rules = read(playbook), Rules(Catalogue())
    _refuse(playbook, check(document, rules))
    return document, rules


def _refuse(playbook: str, problems: list[Problem]) -> None:
    """Say the problems; an error among them ends the command."""
    for problem in problems:
        say(draw(problem, painter()) + "\n")
    errors = sum(problem.severity is Severity.ERROR for problem in problems)
    if errors:
        raise RunnerError(
            f"{playbook} has {errors} error{'' if errors == 1 else 's'}; nothing was sent",
            code=ExitCode.INVALID,
        )


def _plan(document: Document, rules: Rules, asked: _Asked, history: History | None) -> Plan:
    declared = document.data.get("inputs")
    values: dict[str, Json] = {}
    moment = datetime.now(UTC)
    if history is not None:
        was = history.head["inputs"]
        values = {name: was[name] for name in was if name in (declared or {})}
        moment = datetime.fromisoformat(history.head["started_at"])
    if asked.inputs_file:
        text = sys.stdin.read() if asked.inputs_file == "-" else _read(asked.inputs_file)
        values |= inputs.read_file(text, asked.inputs_file)
    texts = dict(_pair(text) for text in asked.given)
    found = inputs.resolve(
        declared, texts=texts, values=values, environ=os.environ,
        secrets=_ask_secrets(declared, {**values, **texts}),
    )  # fmt: skip
    return build(document, rules, found, moment)


def _ask_secrets(declared: Json, known: Mapping[str, Json]) -> dict[str, str]:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return {}
    return {
        name: click.prompt(f"{name} (not shown)", hide_input=True, err=True)
        for name in inputs.missing_secrets(declared, known, os.environ)
    }


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


# -- the run --------------------------------------------------------------------------------------


def _find_resumed(asked: _Asked, stack: ExitStack) -> tuple[RunFolder, History] | None:
    """The run to go on with, whose lock is held from here on: what it has done stays so."""
    from runner import runs  # noqa: PLC0415
    from runner.journal import Store, state_folder  # noqa: PLC0415

    if not asked.resume:
        if not asked.playbook:
            raise click.UsageError("a PLAYBOOK is missing")
        if asked.in_doubt or asked.accept_changes:
            raise click.UsageError("--in-doubt and --accept-changes go with --resume")
        return None
    if asked.emulator:
        raise click.UsageError("a run on the emulator cannot be resumed: it forgets all")
    path = Path(asked.playbook) if asked.playbook and asked.playbook != "-" else None
    store = Store(state_folder(path, asked.state_dir, os.environ))
    run = None if asked.resume == _LATEST else asked.resume
    folder = store.find(run, path)
    return folder, stack.enter_context(runs.reopen(folder))


def _execute(
    asked: _Asked,
    plan: Plan,
    session: Session,
    resumed: tuple[RunFolder, History] | None,
    catalogue: Catalogue,
    stop: Stop,
    stack: ExitStack,
) -> Summary:
    from runner import runs  # noqa: PLC0415
    from runner.cli.github import told_to_github  # noqa: PLC0415
    from runner.cli.reporting import open_report  # noqa: PLC0415
    from runner.execution.past import Past  # noqa: PLC0415
    from runner.journal import Store, state_folder  # noqa: PLC0415
    from runner.report.chain import KEY_VARIABLE, Chain  # noqa: PLC0415
    from runner.session import Sink, new_run_id  # noqa: PLC0415

    here, masker = session.find(None), session.masker
    for secret in plan.inputs.secrets:
        masker.add(secret)
    run: runs.OpenRun | None = None
    past, chain = Past(), Chain(os.environ.get(KEY_VARIABLE))
    if resumed is not None:
        folder, history = resumed
        past = _past(asked, plan, session, history, catalogue)
        report = stack.enter_context(open_report(asked.report, history.lines(), chain))
        run = stack.enter_context(runs.go_on(folder, history, plan, datetime.now(UTC), masker))
    else:
        report = stack.enter_context(open_report(asked.report, chain=chain))
    if resumed is None and not asked.emulator:
        path = None if plan.file == "<stdin>" else Path(plan.file)
        store = Store(state_folder(path, asked.state_dir, os.environ))
        run_id = new_run_id(plan.started)
        run = stack.enter_context(runs.begin(store, run_id, plan, Path(plan.file), here, masker))
    earlier = resumed[1].lines() if resumed else ()
    job = stack.enter_context(told_to_github(earlier))
    began = time.monotonic()
    with watched(stop, wanted=_is_watched(asked)) as (speak, views):
        console = Console(speak, painter(), quiet=asked.quiet, verbosity=asked.verbose)
        sinks: list[Sink] = [*(sink for sink in (report, job) if sink), *views, console]
        summary = session.run(
            plan,
            sinks,
            run_id=run.id if run else new_run_id(plan.started),
            journal=run.journal if run else None,
            past=past,
        )
    for written in (report, job):
        if written and session.broken is None:
            try:
                written.close(summary)
            except OSError as error:
                session.broken = error
    for line in _close(summary, session, run):
        say(f"error: {line}")
    go_on = run is not None and summary.exit_code != ExitCode.OK
    console.summary(
        masked(summary, masker),
        document=plan.document,
        resume=_command_to_go_on(asked, plan, run.id) if run and go_on else "",
        seconds=time.monotonic() - began,
    )
    _raise_crash(summary)
    return summary


def _command_to_go_on(asked: _Asked, plan: Plan, run_id: str) -> str:
    options = ["--state-dir", asked.state_dir] if asked.state_dir else []
    playbook = "-" if plan.file == "<stdin>" else plan.file
    return shlex.join(["keitaro-runner", "run", playbook, "--resume", run_id, *options])


def _is_watched(asked: _Asked) -> bool:
    """Whether the live view is wanted: not where a report is written to the same terminal."""
    return asked.live and not asked.quiet and not (asked.report == "-" and sys.stdout.isatty())


def _raise_crash(summary: Summary) -> None:
    """What broke the run off ends the command, now that what was done has been said."""
    if isinstance(summary.crash, RunnerError):
        error = summary.crash
        raise RunnerError(error.message, error.hint, code=summary.exit_code) from error
    if summary.crash is not None:
        raise summary.crash


def _past(
    asked: _Asked, plan: Plan, session: Session, history: History, catalogue: Catalogue
) -> Any:
    from runner import runs  # noqa: PLC0415
    from runner.journal import read_decisions  # noqa: PLC0415
    from runner.resuming import Memory  # noqa: PLC0415

    if not asked.accept_changes:
        runs.check_same(history, plan, session.find(None), session.masker)
    memory = Memory(
        history,
        catalogue,
        session.find,
        read_decisions(asked.in_doubt),
        session.masker.add,
        strict=not asked.accept_changes,
    )
    memory.check()
    return memory


def _close(summary: Summary, session: Session, run: Any) -> list[str]:
    """Note the end, and give what went wrong besides steps.

    What cannot be written makes the run a failed one.
    """
    trouble = []
    if session.broken is not None:
        reason = getattr(session.broken, "strerror", None) or str(session.broken)
        trouble.append(f"stopped, since the report or the journal cannot be written: {reason}")
        summary.interrupted = False
        if summary.exit_code in {ExitCode.OK, ExitCode.INTERRUPTED}:
            summary.exit_code = ExitCode.FAILED
    if run is not None:
        try:
            run.end(summary)
        except RunnerError as error:
            trouble.append(error.message)
    return trouble


@contextmanager
def _emulated(asked: _Asked) -> Iterator[dict[str, str]]:
    if asked.tracker or asked.trackers_file:
        raise click.UsageError("--emulator stands in for a tracker: name none beside it")
    # A run on a real tracker needs none of it.
    from runner.emulator import Emulator, sample_seed  # noqa: PLC0415

    with Emulator(seed=sample_seed()) as tracker:
        yield {"KEITARO_URL": tracker.url, "KEITARO_API_KEY": tracker.key}
