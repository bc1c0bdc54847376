"""`save`: whether the file that a step writes can be written, and in what form."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from runner.catalogue import Operation
from runner.playbook import Map, Trail
from runner.templating.text import OPEN
from runner.validation.names import Names
from runner.validation.notes import Notes

if TYPE_CHECKING:
    from runner.validation.checker import Rules

# What a file's ending says of its form, where `format` says nothing.
FORMATS = {".json": "json", ".csv": "csv", ".txt": "text", ".zip": "raw"}


def outside_trouble(name: str) -> str | None:
    """Why a file must not be written there; `None` where it may."""
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in name[:3] or "\0" in name:
        return "lies outside the folder that the command is started in"
    return None if parts.name else "names no file"


def check_save(
    step: Map, trail: Trail, rules: Rules, notes: Notes, names: Names, operation: Operation | None
) -> None:
    """Note what is wrong with a step's `save`."""
    if "save" not in step:
        return
    save, path = step["save"], (*trail, "save")
    if isinstance(save, Map):
        if notes.mismatches(rules.part("save"), save, path):
            return
        notes.written_out(save, path, ("format", "columns"))
        notes.expressions(save, path, names)
        target, where, form = save["to"], (*path, "to"), save.get("format")
    else:
        if not isinstance(save, str):
            return
        notes.expressions(save, path, names)
        target, where, form = save, path, None
    trouble = None if OPEN in target else outside_trouble(target)
    if trouble:
        notes.add("KP214", f"'{target}' {trouble}", "name a file below it", path=where)
        return
    downloads = operation is not None and operation.downloads
    if form is None and not downloads and PurePosixPath(target).suffix.lower() not in FORMATS:
        notes.add(
            "KP204",
            f"the ending of '{target}' does not say in what form to write it",
            "add 'format: json', csv, text or raw",
            path=where,
        )
