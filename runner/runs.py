"""A run and its journal: begun with a new one, or continued where an earlier part ended."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from runner import __version__
from runner.errors import ExitCode, RunnerError
from runner.journal import History, Lock, RunFolder, Store, Writer, read_history, root
from runner.masking import Masker
from runner.model import Json, Reach, Summary
from runner.planning import Plan, step_fingerprints

# Of what a journal holds: a run goes on only with the same.
_VERSION = 2
_STATES = {
    ExitCode.OK: "done",
    ExitCode.IN_DOUBT: "in doubt",
    ExitCode.INTERRUPTED: "interrupted",
}


class OpenRun(NamedTuple):
    """A run whose journal is open and whose lock is held."""

    id: str
    folder: RunFolder
    journal: Writer

    def end(self, summary: Summary) -> None:
        """Note how this part of the run ended. Raises JournalError."""
        state = _STATES.get(summary.exit_code, "failed")
        done = summary.changed + summary.restored
        self.journal.record(
            {
                "record": "end",
                "exit": int(summary.exit_code),
                "state": state,
                "done": done,
                "not_run": summary.not_run,
                "missed": list(summary.missed),
            }
        )


@contextmanager
def begin(
    store: Store, run_id: str, plan: Plan, path: Path, tracker: Reach, masker: Masker
) -> Iterator[OpenRun]:
    """A new run. Its first record says all that a later part must know, but no secret."""
    folder = store.create(run_id)
    with Lock(folder.lock, run_id), Writer(folder.journal) as journal:
        journal.record(
            {
                "record": "run",
                "version": _VERSION,
                "runner": __version__,
                "run": run_id,
                "file": str(path.resolve()),
                "name": plan.name,
                **_now(plan, masker),
                "tracker": {"name": tracker.name, "url": tracker.url},
                "started_at": plan.started.isoformat(),
            },
            sync=True,
        )
        yield OpenRun(run_id, folder, journal)


@contextmanager
def reopen(folder: RunFolder) -> Iterator[History]:
    """What became of a run that is to be continued, read once its lock is held.

    Raises RunnerError where another process has it, or where there is nothing to continue.
    """
    with Lock(folder.lock, folder.id):
        history = read_history(folder.journal)
        if history.is_complete:
            raise RunnerError(f"the run {folder.id} is complete: there is nothing to resume")
        yield history


@contextmanager
def go_on(
    folder: RunFolder, history: History, plan: Plan, moment: datetime, masker: Masker
) -> Iterator[OpenRun]:
    """The next part of a reopened run: a torn last line is cut off, what is new is noted."""
    try:
        os.truncate(folder.journal, history.size)
    except OSError as error:
        raise RunnerError(
            f"cannot write {folder.journal}: {error.strerror}", "check the folder's permissions"
        ) from error
    with Writer(folder.journal) as journal:
        journal.record(
            {"record": "resume", "at": moment.isoformat(), "now": _now(plan, masker)}, sync=True
        )
        yield OpenRun(folder.id, folder, journal)


def _now(plan: Plan, masker: Masker) -> dict[str, Json]:
    """What of the playbook and its inputs a later part is held against."""
    return {
        "fingerprint": plan.fingerprint,
        "steps": step_fingerprints(plan),
        "inputs": open_inputs(plan, masker),
    }


def open_inputs(plan: Plan, masker: Masker) -> dict[str, Json]:
    """The inputs that may be written down: those that are not secret, and hold no secret."""
    declared = plan.document.data.get("inputs") or {}
    return {
        name: value
        for name, value in plan.inputs.values.items()
        if not (isinstance(declared.get(name), Mapping) and declared[name].get("secret"))
        and masker.json({name: value}) == {name: value}
    }


def check_same(history: History, plan: Plan, tracker: Reach, masker: Masker) -> None:
    """Raises RunnerError where what is continued is not what was begun.

    Steps that have done nothing may have changed, one that failed too; those that have done
    something, or may have, may not.
    """
    head = history.head
    if head.get("version") != _VERSION:
        raise RunnerError(
            f"the run {head.get('run')} was begun by another version of keitaro-runner, which "
            "wrote down in another way what was sent",
            "go on with that version, or all the same with --accept-changes",
            code=ExitCode.INVALID,
        )
    if head["tracker"]["url"] != tracker.url:
        raise RunnerError(
            f"this run was begun on {head['tracker']['url']}, and this is {tracker.url}",
            "name the same tracker, or start a new run",
        )
    touched = {root(key) for key in (*history.done, *history.doubts)}
    now = step_fingerprints(plan)
    changed = [label for label, was in head["steps"].items()
               if label in touched and now.get(label) != was]  # fmt: skip
    before = [label for label in head["steps"] if label in touched and label in now]
    if changed or before != [label for label in now if label in touched]:
        what = ", ".join(changed) if changed else "the order of steps"
        raise RunnerError(
            f"{what} changed after it ran; later steps may change, these may not",
            "undo the change, or continue all the same with --accept-changes",
            code=ExitCode.INVALID,
        )
    given = open_inputs(plan, masker)
    other = [name for name, was in head["inputs"].items() if name in given and given[name] != was]
    if other:
        raise RunnerError(
            f"the input {', '.join(other)} is not what this run was begun with",
            "leave it out, or continue all the same with --accept-changes",
        )
