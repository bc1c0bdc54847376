"""What a run is about to do and what came of it, on disk, so that it can be continued."""

from runner.journal.history import (
    Decision,
    Done,
    Doubt,
    History,
    above,
    read_decisions,
    read_history,
    root,
)
from runner.journal.lock import Lock
from runner.journal.store import RunFolder, Store, state_folder
from runner.journal.writer import JournalError, Writer

__all__ = [
    "Decision",
    "Done",
    "Doubt",
    "History",
    "JournalError",
    "Lock",
    "RunFolder",
    "Store",
    "Writer",
    "above",
    "read_decisions",
    "read_history",
    "root",
    "state_folder",
]
