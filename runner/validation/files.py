"""Which files a playbook may read: those below its own folder."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from runner.model import Json
from runner.playbook import Document
from runner.templating.text import OPEN

if TYPE_CHECKING:
    from runner.validation.checker import Rules

_ANY = "*"


def file_trouble(folder: Path, name: str, root: Path | None = None) -> tuple[str, str] | None:
    """Why a file named in a playbook cannot be read: message and hint; `None` where it can.

    The name is looked up in `folder`, and must lie below `root`, the folder of the playbook that
    was started, which is `folder` itself where nothing is included.
    """
    try:
        target = (folder / name).resolve()
        inside = target.is_relative_to((root or folder).resolve())
        exists = inside and target.is_file()
    except (OSError, ValueError):
        return f"'{name}' is no path", "name a file beside the playbook"
    if not inside:
        return (
            f"'{name}' lies outside the playbook's folder",
            "a playbook reads files below its own folder only: put it there",
        )
    if not exists:
        return f"there is no file '{name}'", f"it is looked for in {folder}"
    return None


class Written:
    """The files that a run may write itself before it reads them.

    They are those of the `save` keys of this document, of those that led to it (`chain`, itself the
    last) and of those that were included before. They go by their last part alone: `save` counts
    from the folder that the command is started in, and a read from that of the playbook.
    """

    def __init__(self, document: Document, rules: Rules, chain: tuple[Path, ...]) -> None:
        self._document = document
        self._rules = rules
        self._chain = chain
        if chain:
            rules.written[chain[-1]] = self

    @property
    def root(self) -> Path | None:
        """Below which all files must lie: the folder of the playbook that was started."""
        return self._chain[0].parent if self._chain else self._document.folder

    @property
    def is_last_chance(self) -> bool:
        """Whether what is not there now will not come to be, but by the run itself.

        Of a playbook that is included nobody knows here whether it is come to.
        """
        return self._rules.running and len(self._chain) <= 1

    @cached_property
    def names(self) -> frozenset[str]:
        """The files that this document writes; `*` for one whose name is computed."""
        if "save" not in self._document.text:
            return frozenset()
        return frozenset(map(_last, _targets(self._document.data)))

    def may_hold(self, name: str) -> bool:
        """Whether a file of that name may come of the run."""
        written = self._rules.written
        files = {*self._chain, *self._rules.included}
        all_ = [self, *(written[file] for file in files if file in written)]
        return any(_ANY in each.names or _last(name) in each.names for each in all_)


def _targets(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        save = value.get("save")
        to = save.get("to") if isinstance(save, dict) else save
        if isinstance(to, str):
            yield to
        for part in value.values():
            yield from _targets(part)
    elif isinstance(value, list):
        for part in value:
            yield from _targets(part)


def _last(name: str) -> str:
    return _ANY if OPEN in name else PurePosixPath(name).name
