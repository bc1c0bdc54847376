"""A run and its journal: begun with a new one, or continued where an earlier part ended."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from runner import __version__
from runner.errors import ExitCode, RunnerError
from runner.journal import History, Lock, RunFolder, Store, Writer, root
from runner.model import Json, Reach, Summary
from runner.planning import Plan, step_fingerprints

_STATES = {
    ExitCode.OK: "done",
    ExitCode.IN_DOUBT: "in doubt",
    ExitCode.INTERRUPTED: "interrupted",
}


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run whose journal is open and whose lock is held."""

    id: str
    folder: RunFolder
    journal: Writer

    def end(self, summary: Summary) -> None:
        """Note how this part of the run ended. Raises JournalError."""
        state = _STATES.get(summary.exit_code, "failed")
        self.journal.record({"record": "end", "exit": int(summary.exit_code), "state": state})


@contextmanager
def begin(store: Store, run_id: str, plan: Plan, path: Path, tracker: Reach) -> Iterator[OpenRun]:
    """A new run. Its first record says all that a later part must know, but no secret."""
    folder = store.create(run_id)
    with Lock(folder.lock, run_id), Writer(folder.journal) as journal:
        journal.record(
            {
                "record": "run",
                "version": 1,
                "runner": __version__,
                "run": run_id,
                "file": str(path.resolve()),
                "name": plan.name,
                "fingerprint": plan.fingerprint,
                "steps": step_fingerprints(plan),
                "finally": [step.label for step in plan.last],
                "inputs": open_inputs(plan),
                "tracker": {"name": tracker.name, "url": tracker.url},
                "started_at": plan.started.isoformat(),
            },
            sync=True,
        )
        yield OpenRun(run_id, folder, journal)


@contextmanager
def go_on(folder: RunFolder, history: History, moment: datetime) -> Iterator[OpenRun]:
    """A run that is continued: its lock is taken, a torn last line is cut off.

    Raises RunnerError where another process has it.
    """
    with Lock(folder.lock, folder.id):
        os.truncate(folder.journal, history.size)
        with Writer(folder.journal) as journal:
            journal.record({"record": "resume", "at": moment.isoformat()})
            yield OpenRun(folder.id, folder, journal)


def open_inputs(plan: Plan) -> dict[str, Json]:
    """The inputs that may be written down: those that are not secret."""
    declared = plan.document.data.get("inputs") or {}
    return {
        name: value
        for name, value in plan.inputs.values.items()
        if not (isinstance(declared.get(name), Mapping) and declared[name].get("secret"))
    }


def check_same(history: History, plan: Plan, tracker: Reach) -> None:
    """Raises RunnerError where what is continued is not what was begun.

    Steps that have done nothing yet may have changed, those that have may not.
    """
    head = history.head
    if head["tracker"]["url"] != tracker.url:
        raise RunnerError(
            f"this run was begun on {head['tracker']['url']}, and this is {tracker.url}",
            "name the same tracker, or start a new run",
        )
    touched = {root(key) for key in history.seen}
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
    given = open_inputs(plan)
    other = [name for name, was in head["inputs"].items() if name in given and given[name] != was]
    if other:
        raise RunnerError(
            f"the input {', '.join(other)} is not what this run was begun with",
            "leave it out, or continue all the same with --accept-changes",
        )
