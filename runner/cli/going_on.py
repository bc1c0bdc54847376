"""Going on with a run: the one that is meant, and what it has done already."""

from __future__ import annotations

import os
import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.catalogue import Catalogue
from runner.cli.asked import LATEST, Asked
from runner.cli.output import say
from runner.errors import ExitCode, RunnerError
from runner.model import Reach, Summary
from runner.planning import Plan

if TYPE_CHECKING:
    from runner.journal import History, RunFolder
    from runner.masking import Masker
    from runner.session import Session


_ENDED = {
    "died": "died",
    "in doubt": "left calls in doubt",
    "interrupted": "was interrupted with some of it done",
}


def find_resumed(asked: Asked, stack: ExitStack) -> tuple[RunFolder, History] | None:
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
    if asked.dry_run:
        raise click.UsageError("--dry-run shows what a new run would do; leave out --resume")
    path = Path(asked.playbook) if asked.playbook and asked.playbook != "-" else None
    store = Store(state_folder(path, asked.state_dir, os.environ))
    run = None if asked.resume == LATEST else asked.resume
    folder = store.find(run, path)
    history = stack.enter_context(runs.reopen(folder))
    if not asked.accept_changes and (later := store.later(folder, history.head)):
        raise RunnerError(
            f"the run {later} of this playbook came later than {folder.id}, and changed something: "
            "what is still to be done may have been done there",
            "start anew, or go on all the same with --accept-changes",
            code=ExitCode.INVALID,
        )
    return folder, history


def check_earlier(asked: Asked, plan: Plan, here: Reach, masker: Masker) -> None:
    """Say so where an earlier run of the playbook did not come to its end.

    Raises RunnerError where it left calls in doubt, and this one would do the same again.
    """
    from runner import runs  # noqa: PLC0415
    from runner.journal import Store, state_folder  # noqa: PLC0415

    path = Path(plan.file)
    earlier = Store(state_folder(path, asked.state_dir, os.environ)).unfinished(path)
    if earlier is None:
        return
    mine = {
        "file": str(path.resolve()),
        "tracker": {"url": here.url},
        "inputs": runs.open_inputs(plan, masker),
    }
    if earlier.state == "in doubt" and earlier.is_like(mine) and not asked.anew:
        raise RunnerError(
            f"the earlier run {earlier.id} of this playbook left calls in doubt, which may have "
            "been carried out",
            f"settle them and go on with --resume {earlier.id}, or begin anew all the same, with "
            "--anew",
            code=ExitCode.IN_DOUBT,
        )
    if earlier.state == "running":
        say(f"note: another run of this playbook is under way: {earlier.id}")
        return
    ended = _ENDED.get(earlier.state, "failed with some of it done")
    say(f"note: an earlier run of this playbook {ended}: --resume {earlier.id} goes on with it")


def past_of(
    asked: Asked, plan: Plan, session: Session, history: History, catalogue: Catalogue
) -> Any:
    """What the run has done, for the engine. Raises RunnerError where it cannot go on."""
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


def left_in_doubt(summary: Summary, past: Any) -> list[str]:
    """What is in doubt though the run is done, which came to no such call: that is no success."""
    left = past.still_in_doubt() if summary.exit_code is ExitCode.OK else ()
    if left:
        summary.exit_code = ExitCode.IN_DOUBT
    return [
        f"{key} is as much in doubt as before: the playbook makes no such call any more; look at "
        f"the tracker, then resume with --in-doubt {shlex.quote(f'{key}=done')}"
        for key in left
    ]
