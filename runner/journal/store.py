"""The state folder: one folder a run, found again by id, by playbook, or as the latest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from runner.errors import RunnerError
from runner.journal.history import read_end, read_head, read_history
from runner.journal.lock import is_held

_LOOKED_AT = 20
RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}\Z")
_NAME = ".keitaro"


def state_folder(playbook: Path | None, option: str | None, environ: Mapping[str, str]) -> Path:
    """Where runs are kept: the option, KEITARO_STATE_DIR, or `.keitaro` beside the playbook.

    In place of the playbook its folder may be named.
    """
    chosen = option or environ.get("KEITARO_STATE_DIR")
    if chosen:
        return Path(chosen)
    if playbook is None:
        return Path.cwd() / _NAME
    return (playbook if playbook.is_dir() else playbook.resolve().parent) / _NAME


class RunFolder(NamedTuple):
    """The folder of one run."""

    path: Path

    @property
    def id(self) -> str:
        """The run's id, which is the folder's name."""
        return self.path.name

    @property
    def journal(self) -> Path:
        """The journal's file."""
        return self.path / "journal.jsonl"

    @property
    def lock(self) -> Path:
        """The lock's file."""
        return self.path / "lock"


class Earlier(NamedTuple):
    """A run that there was: how it ended, and what it was started with."""

    id: str
    state: str
    head: Mapping[str, Any]

    def is_like(self, head: Mapping[str, Any]) -> bool:
        """Whether it was of the same playbook, on the same tracker, with the same inputs."""
        return _about(self.head) == _about(head)


class RunState(NamedTuple):
    """A run as `runs` lists it: `state` is running, done, failed, in doubt, or died."""

    id: str
    playbook: str
    file: str
    started: str
    state: str
    tracker: str
    calls: int
    doubts: tuple[str, ...]


class Store:
    """All runs below one state folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(self, run: str) -> RunFolder:
        """Make the folder of a new run; the state folder ignores itself in git."""
        target = self.folder / "runs" / run
        try:
            target.mkdir(parents=True, mode=0o700)
            ignore = self.folder / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")
        except OSError as error:
            raise RunnerError(
                f"cannot keep a journal in {self.folder}: {error.strerror}",
                "name a folder that can be written with --state-dir or KEITARO_STATE_DIR",
            ) from error
        return RunFolder(target)

    def runs(self) -> list[RunFolder]:
        """The runs that came to something, the oldest first."""
        found = {
            RunFolder(path.parent): _began(path)
            for path in (self.folder / "runs").glob("*/journal.jsonl")
            if RUN_ID.match(path.parent.name)
        }
        begun = [(began, folder) for folder, began in found.items() if began is not None]
        # An id tells the second, and the journal more.
        return [folder for _, folder in sorted(begun, key=lambda run: (run[1].id[:15], run[0]))]

    def find(self, run: str | None, playbook: Path | None) -> RunFolder:
        """The run to continue: by id, or the latest of that playbook that is not complete.

        Raises RunnerError where there is none.
        """
        if run:
            folder = RunFolder(self.folder / "runs" / run)
            if not RUN_ID.match(run) or not folder.journal.is_file():
                raise RunnerError(
                    f"there is no run {run} in {self.folder}",
                    "'keitaro-runner runs FOLDER' lists those of the playbooks in a folder, which "
                    "are kept in FOLDER/.keitaro (--state-dir)",
                )
            return folder
        nothing: RunFolder | None = None
        for folder in reversed(self.runs()):
            head = read_head(folder.journal) or {}
            wanted = playbook is None or head.get("file") == str(playbook.resolve())
            history = read_history(folder.journal) if wanted else None
            if history is None or history.is_complete:
                continue
            if not _did_nothing(history.ended):
                return folder
            # One that failed at its first step is not what there is to go on with.
            nothing = nothing or folder
        if nothing:
            return nothing
        raise RunnerError(
            f"there is no run to resume in {self.folder}",
            "'keitaro-runner runs' lists the runs; without --resume a new one is started",
        )

    def unfinished(self, playbook: Path) -> Earlier | None:
        """The latest run of a playbook that did something, where starting anew may do it twice.

        That is where it is under way, died, left calls in doubt, or ended early. Among the latest
        of all only: each run begins with this question.
        """
        wanted = str(playbook.resolve())
        for folder in self._latest():
            with suppress(RunnerError):  # damaged, which `runs` says
                head = read_head(folder.journal) or {}
                if head.get("file") != wanted:
                    continue
                end = None if is_held(folder.lock) else read_end(folder.journal)
                # A long journal is read through only where its end does not tell.
                state = _state(folder).state if end is None else str(end["state"])
                if state == "done":
                    return None
                if not _did_nothing(end):
                    return Earlier(folder.id, state, head)
        return None

    def _latest(self) -> Iterator[RunFolder]:
        """The latest of all runs, the last first: an id tells the second, and the journal more."""
        paths = sorted((self.folder / "runs").glob("*/journal.jsonl"), reverse=True)
        folders = [RunFolder(path.parent) for path in paths[:_LOOKED_AT]]
        for _, group in groupby(folders, key=lambda folder: folder.id[:15]):
            alike = list(group)
            if len(alike) > 1:
                alike.sort(key=lambda folder: _began(folder.journal) or "", reverse=True)
            yield from alike

    def later(self, folder: RunFolder, head: Mapping[str, Any]) -> str | None:
        """A run like this one that came after it, and did something."""
        runs = self.runs()
        for other in reversed(runs[runs.index(folder) + 1 :] if folder in runs else []):
            with suppress(RunnerError):
                same = Earlier(other.id, "", read_head(other.journal) or {}).is_like(head)
                if same and not _did_nothing(read_end(other.journal)):
                    return other.id
        return None

    def states(self, playbook: Path | None = None) -> list[RunState]:
        """What became of each run, or of those of one playbook."""
        states = [_state(folder) for folder in self.runs()]
        # Whose a damaged one is cannot be known.
        wanted = {"", str(playbook.resolve())} if playbook else None
        return [state for state in states if wanted is None or state.file in wanted]


def _about(head: Mapping[str, Any]) -> tuple[Any, ...]:
    return head.get("file"), (head.get("tracker") or {}).get("url"), head.get("inputs")


def _did_nothing(end: Mapping[str, Any] | None) -> bool:
    """Whether a run is over, as its end tells, and neither changed anything nor may have."""
    return end is not None and end["state"] != "in doubt" and end.get("done") == 0


def _began(journal: Path) -> str | None:
    """When a run began; `None` where it was killed before its first record, and did nothing."""
    try:
        head = read_head(journal)
    except RunnerError:
        return ""  # damaged, which is worth saying
    return None if head is None else str(head.get("started_at", ""))


def _state(folder: RunFolder) -> RunState:
    try:
        history = read_history(folder.journal)
    except RunnerError as error:
        return RunState(folder.id, "", "", "", f"damaged: {error.message}", "", 0, ())
    if is_held(folder.lock):
        state = "running"
    elif history.doubts:
        state = "in doubt"
    elif history.ended is None:
        state = "died"
    else:
        state = "done" if history.is_complete else str(history.ended.get("state", "failed"))
    return RunState(
        id=folder.id,
        playbook=str(history.head.get("name", "")),
        file=str(history.head.get("file", "")),
        started=str(history.head.get("started_at", "")),
        state=state,
        tracker=str((history.head.get("tracker") or {}).get("name", "")),
        calls=len(history.done),
        doubts=tuple(history.doubts),
    )
