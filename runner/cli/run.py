"""`run`: a playbook against a tracker or the emulator, from its beginning or where it ended."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.catalogue import Catalogue
from runner.cli.asked import MOST_DESTROYED, Asked, Rate, RunCommand
from runner.cli.boundary import describe_bug, masked_errors
from runner.cli.consent import check_destroys, require_consent
from runner.cli.going_on import check_earlier, find_resumed, left_in_doubt, past_of
from runner.cli.options import insecure_option, trackers_option
from runner.cli.output import painter, say, watched
from runner.cli.places import announce, place_of
from runner.cli.preparing import checked, plan_of, refuse
from runner.cli.stopping import stop_on_signals
from runner.errors import ExitCode, RunnerError
from runner.model import Summary
from runner.planning import Plan, named_trackers
from runner.report.closing import masked
from runner.report.console import Console
from runner.stop import Stop
from runner.trackers.tracker import TRANSPORTS

if TYPE_CHECKING:
    from runner.execution import Overlap
    from runner.journal import History, RunFolder
    from runner.masking import Masker
    from runner.session import Session
    from runner.trackers import Trackers


@click.command("run", cls=RunCommand)
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
@click.option("--html", metavar="FILE|-", help="Write the report as a page, too.")
@click.option("--junit", metavar="FILE|-", help="Write the report as JUnit XML, too.")
@click.option("--markdown", metavar="FILE|-", help="Write the report as Markdown, too.")
@click.option(
    "--outputs", metavar="FILE|-", help="Write what the playbook gives back here, as JSON."
)
@click.option("--tracker", metavar="NAME", help="The tracker to run on, by its name in the file.")
@trackers_option
@click.option("--emulator", is_flag=True, help="Run against stand-in trackers, made for this run.")
@insecure_option
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
@click.option(
    "--accept-changes",
    is_flag=True,
    help="Resume though what has run was changed, or another run came later.",
)
@click.option("--anew", is_flag=True, help="Begin anew though an earlier run left calls in doubt.")
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
    "--transport",
    type=click.Choice(TRANSPORTS),
    help="What carries the bytes; curl needs the extra of that name.  [default: httpx]",
)
@click.option("--rate", type=Rate(), metavar="N/s", help="At most so many calls a second.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    metavar="N",
    help="Run up to N steps at a time where they do not depend on one another: see plan.",
)
@click.option(
    "--preflight",
    is_flag=True,
    help="Look up first the ids that the playbook and its inputs state.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Make the calls that read, and show the others: nothing is changed.",
)
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
    asked = Asked(**options)
    with ExitStack() as stack:
        exit_code = _run(asked, stack)
    raise click.exceptions.Exit(exit_code)


def _run(asked: Asked, stack: ExitStack) -> int:
    from runner.session import Options, Session  # noqa: PLC0415  (the HTTP library comes with it)
    from runner.trackers import Trackers  # noqa: PLC0415

    if [asked.report, asked.outputs, *asked.forms.values()].count("-") > 1:
        raise click.UsageError(
            "only one of --report, --outputs, --html, --junit and --markdown can go to stdout"
        )
    if asked.dry_run and asked.outputs:
        raise click.UsageError("--outputs has nothing to write in a dry run; leave it out")
    if asked.files:
        from runner.cli.reporting import check_writable  # noqa: PLC0415

        check_writable(asked.files)
    resumed = find_resumed(asked, stack)
    document, rules = checked(asked.playbook or (resumed[1].head["file"] if resumed else "-"))
    plan = plan_of(document, rules, asked, resumed[1] if resumed else None)
    check_destroys(plan, asked.max_destroy)
    environ, stand_ins = dict(os.environ), None
    if asked.emulator:
        # A run on a real tracker needs none of it.
        from runner.cli.standing_in import emulated  # noqa: PLC0415

        stand_ins = stack.enter_context(emulated(asked, plan))
    trackers = Trackers(
        asked.trackers_file,
        environ,
        insecure=asked.insecure,
        transport=asked.transport,
        stand_ins=stand_ins,
    )
    if not (asked.emulator or asked.dry_run):
        require_consent(
            plan, asked.yes, asked.max_destroy, lambda name: place_of(name, trackers, asked)
        )
    stop = stack.enter_context(stop_on_signals())
    if asked.preflight:
        from runner import preflight  # noqa: PLC0415

        values = plan.inputs.values
        refuse(document.file, preflight.check([document], rules, trackers, asked.tracker, values))
    options = Options(
        tracker=asked.tracker,
        rate=asked.rate,
        most_destroyed=asked.max_destroy,
        dry=asked.dry_run,
    )
    session = stack.enter_context(Session(trackers, options, environ=environ, stop=stop))
    with masked_errors(session.masker):
        _check_trackers(plan, trackers, session)
        summary = _execute(asked, plan, trackers, session, resumed, rules.catalogue, stop, stack)
    return int(summary.exit_code)


def _check_trackers(plan: Plan, trackers: Trackers, session: Session) -> None:
    """What is wrong with a tracker that a step names is said before anything is sent.

    Raises RunnerError. Of one that may not be needed only the name must be known.
    """
    for named in named_trackers(plan):
        if named.surely or named.name not in trackers.names:
            try:
                session.find(named.name)
            except RunnerError as error:
                raise RunnerError(f"{named.place}: {error.message}", error.hint) from error


# -- the run --------------------------------------------------------------------------------------


def _execute(
    asked: Asked,
    plan: Plan,
    trackers: Trackers,
    session: Session,
    resumed: tuple[RunFolder, History] | None,
    catalogue: Catalogue,
    stop: Stop,
    stack: ExitStack,
) -> Summary:
    from runner import runs  # noqa: PLC0415
    from runner.chain import KEY_VARIABLE, Chain  # noqa: PLC0415
    from runner.cli.readers import told_to_readers  # noqa: PLC0415
    from runner.cli.reporting import end_reports, open_report  # noqa: PLC0415
    from runner.execution.past import Past  # noqa: PLC0415
    from runner.journal import Store, state_folder  # noqa: PLC0415
    from runner.report.turns import InTurn  # noqa: PLC0415
    from runner.session import Sink, new_run_id  # noqa: PLC0415

    here, masker = session.find(None), session.masker
    for secret in plan.inputs.secrets:
        masker.add(secret)
    run: runs.OpenRun | None = None
    is_kept = resumed is None and not (asked.emulator or asked.dry_run)
    if is_kept and plan.file != "<stdin>":
        check_earlier(asked, plan, here, masker)
    past, chain = Past(), Chain(os.environ.get(KEY_VARIABLE))
    if resumed is not None:
        folder, history = resumed
        past = past_of(asked, plan, session, history, catalogue)
        report = stack.enter_context(open_report(asked.report, history.lines(), chain))
        run = stack.enter_context(runs.go_on(folder, history, plan, datetime.now(UTC), masker))
    else:
        report = stack.enter_context(open_report(asked.report, chain=chain))
    if is_kept:
        path = None if plan.file == "<stdin>" else Path(plan.file)
        store = Store(state_folder(path, asked.state_dir, os.environ))
        run_id = new_run_id(plan.started)
        run = stack.enter_context(runs.begin(store, run_id, plan, Path(plan.file), here, masker))
    so_far = resumed[1].lines() if resumed else ()
    job = stack.enter_context(told_to_readers(asked.forms, so_far, quiet=asked.quiet))
    announce(asked, plan, trackers)
    began = time.monotonic()
    with watched(stop, wanted=asked.is_watched) as (speak, views):
        console = Console(
            speak, painter(), quiet=asked.quiet, verbosity=asked.verbose, home=here.name
        )
        written = [sink for sink in (report, job) if sink]
        turns = [InTurn(sink, past.seq) for sink in written] if asked.jobs > 1 else []
        sinks: list[Sink] = [*(turns or written), *views, console]
        summary = session.run(
            plan,
            sinks,
            run_id=run.id if run else new_run_id(plan.started),
            journal=run.journal if run else None,
            past=past,
            overlap=_overlap(asked, plan, catalogue),
        )
    left = left_in_doubt(summary, past)
    try:
        if session.broken is None:
            end_reports(written, turns, masked(summary, masker))
    except OSError as error:
        session.broken = error
    for line in [*left, *_close(summary, session, run)]:
        say(f"error: {line}")
    told = masked(summary, masker)
    some = summary.succeeded or summary.changed or summary.unknown or summary.restored
    go_on = run is not None and some and summary.exit_code != ExitCode.OK
    console.summary(
        told,
        document=plan.document,
        resume=asked.to_go_on(plan.file, run.id) if run and go_on else "",
        seconds=time.monotonic() - began,
        saved=[masker.text(name) for name in session.saved],
    )
    _give_back(asked, told)
    _tell_crash(summary, masker)
    return summary


def _give_back(asked: Asked, summary: Summary) -> None:
    """Write the outputs, once all else is told: it may not be to be written. Raises RunnerError."""
    from runner.cli.reporting import write_outputs  # noqa: PLC0415

    if asked.outputs and asked.outputs != "-" and summary.exit_code != ExitCode.OK:
        say(f"note: {asked.outputs} is left as it is, since the run gave nothing back")
    elif asked.outputs:
        write_outputs(asked.outputs, summary.outputs)


def _overlap(asked: Asked, plan: Plan, catalogue: Catalogue) -> Overlap | None:
    if asked.jobs == 1 or asked.dry_run:
        return None
    from runner.execution import Overlap  # noqa: PLC0415
    from runner.planning.order import order_of  # noqa: PLC0415  (for such runs alone)

    return Overlap(asked.jobs, order_of(plan, catalogue).waits)


def _tell_crash(summary: Summary, masker: Masker) -> None:
    """Say what broke the run off, now that what was done has been said. Raises RunnerError."""
    error = summary.crash
    if isinstance(error, RunnerError):
        raise RunnerError(error.message, error.hint, code=summary.exit_code) from error
    if error is not None:
        error.add_note(masker.text(str(error)))
        for line in describe_bug(error):
            say(line)


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
            run.end(masked(summary, session.masker))
        except RunnerError as error:
            trouble.append(error.message)
            if summary.exit_code is ExitCode.OK:
                summary.exit_code = ExitCode.FAILED
    return trouble
