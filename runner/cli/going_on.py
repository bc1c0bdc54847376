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
from runner.errors import ExitCode
from runner.model import Summary
from runner.planning import Plan

if TYPE_CHECKING:
    from runner.journal import History, RunFolder
    from runner.session import Session


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
    return folder, stack.enter_context(runs.reopen(folder))


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
