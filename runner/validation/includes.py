"""`include`: another playbook, checked on its own and against the inputs that it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import RunnerError
from runner.model import Json
from runner.playbook import Document, Map, Trail, read
from runner.shapes import Shape
from runner.templating.expressions import nearest
from runner.templating.text import OPEN
from runner.validation.files import file_trouble
from runner.validation.names import Names, Schema, closed
from runner.validation.notes import Notes

if TYPE_CHECKING:
    from runner.validation.checker import Rules

MAX_DEPTH = 10


class IncludeChecker:
    """Checks the include steps of one document; `chain` are the files that led to it."""

    def __init__(
        self,
        rules: Rules,
        notes: Notes,
        chain: tuple[Path, ...],
        check_document: Callable[[Document, tuple[Path, ...]], None],
    ) -> None:
        self._rules = rules
        self._notes = notes
        self._chain = chain
        self._check_document = check_document

    def check(self, step: Map, trail: Trail, names: Names) -> Schema:
        """Note what is wrong with the step, and with the playbook that it includes."""
        for key in ("inputs", "tracker"):
            self._notes.expressions(step.get(key), (*trail, key), names)
        document = self._document(step.get("include"), (*trail, "include"))
        if document is None or not isinstance(document.data, Map):
            return {}
        self._inputs(step, trail, document.data)
        outputs = document.data.get("outputs")
        outputs = outputs if isinstance(outputs, Map) else {}
        own = closed({name: {} for name in outputs})
        return closed({"outputs": own, "success": {}, "skipped": {}})

    def _document(self, name: Json, path: Trail) -> Document | None:
        folder = self._notes.document.folder
        if not isinstance(name, str) or folder is None:
            return None
        if OPEN in name:
            self._notes.add(
                "KP214",
                "the file of an include must be written out",
                "it is checked before the run, so it cannot be an expression",
                path=path,
            )
            return None
        root = self._chain[0].parent if self._chain else folder
        trouble = file_trouble(folder, name, root)
        if trouble:
            self._notes.add("KP214", *trouble, path=path)
            return None
        return self._read((folder / name).resolve(), name, path)

    def _read(self, target: Path, name: str, path: Trail) -> Document | None:
        if target in self._chain:
            shown = " → ".join(p.name for p in (*self._chain, target))
            self._notes.add(
                "KP219", f"'{name}' includes itself: {shown}", "break the circle", path=path
            )
            return None
        if len(self._chain) >= MAX_DEPTH:
            self._notes.add(
                "KP219",
                f"playbooks are included more than {MAX_DEPTH} deep",
                "flatten them",
                path=path,
            )
            return None
        known = self._rules.included.get(target)
        if known is None:
            try:
                known = read(target, self._notes.document.beside(name))
            except RunnerError as error:
                self._notes.add("KP214", error.message, error.hint, path=path)
                return None
            self._rules.included[target] = known
            self._check_document(known, (*self._chain, target))
            self._notes.document.problems += known.problems
        return known

    def _inputs(self, step: Map, trail: Trail, data: Map) -> None:
        given = step.get("inputs", {})
        declared = data.get("inputs")
        declared = declared if isinstance(declared, Map) else {}
        if not isinstance(given, Mapping):
            return
        for name, value in given.items():
            path = (*trail, "inputs", name)
            if name not in declared:
                near = nearest(name, list(declared))
                hint = (
                    f"did you mean '{near}'?" if near else f"it has {', '.join(declared) or 'none'}"
                )
                self._notes.add(
                    "KP210", f"{step['include']} has no input '{name}'", hint, path=path, key=True
                )
                continue
            spec = declared[name]
            kind = spec.get("type") if isinstance(spec, Map) else None
            if kind in _KINDS and value is not None:
                self._notes.mismatches(Shape({"type": kind}, templated=True), value, path)
        for name, spec in declared.items():
            if name not in given and _is_required(spec):
                self._notes.add(
                    "KP211",
                    f"{step['include']} needs the input '{name}'",
                    f"add it below inputs: {_about(spec)}".rstrip(": "),
                    path=(*trail, "inputs" if "inputs" in step else "include"),
                    key="inputs" in step,
                )


_KINDS = frozenset({"string", "integer", "number", "boolean", "array", "object"})


def _is_required(spec: Json) -> bool:
    if not isinstance(spec, Mapping):
        return True
    return "default" not in spec and spec.get("required", True) is True and "env" not in spec


def _about(spec: Json) -> str:
    return str(spec.get("description", "")) if isinstance(spec, Mapping) else ""
