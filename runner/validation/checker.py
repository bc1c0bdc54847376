"""The order in which a document is checked: its YAML, its shape, its names, then each step."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from runner.catalogue import Catalogue, Operation
from runner.errors import RunnerError
from runner.lint import Linter, hide_secrets
from runner.model import Json, Problem, Severity
from runner.playbook import Document, Map, Trail, read
from runner.playbook.document import silenced
from runner.shapes import Shape
from runner.templating import Templates
from runner.templating.functions import NAMES
from runner.templating.text import OPEN
from runner.validation.files import Written, file_trouble
from runner.validation.includes import IncludeChecker
from runner.validation.names import Names, envelope, playbook_names
from runner.validation.notes import Notes
from runner.validation.steps import StepChecker, step_sites
from runner.validation.tables import Tables


class Rules:
    """What documents are checked against; made once, whatever the number of documents.

    `running` is set where they are about to run: a file that is not there will not come to be.
    """

    def __init__(self, catalogue: Catalogue, *, running: bool = False) -> None:
        self.catalogue = catalogue
        self.running = running
        self._shapes: dict[tuple[str, str, bool], Shape] = {}
        # The functions themselves need a folder and a clock; for checking their names are enough.
        self.templates = Templates(dict.fromkeys(NAMES, _no_function))
        self.included: dict[Path, Document] = {}
        # What each of the documents that have a file may write.
        self.written: dict[Path, Written] = {}
        self._envelopes: dict[str, Mapping[str, Json]] = {}
        self._answers: dict[str, Mapping[str, Mapping[str, Json]]] = {}
        self.linter = Linter(catalogue)

    @cached_property
    def language(self) -> Mapping[str, Json]:
        """The shapes of a playbook's own parts, by name."""
        return self.catalogue.language

    def part(self, name: str) -> Shape:
        """The shape of a part of a playbook, such as `input` or `call`."""
        return self.shape(("language", name), self.language[name])

    def envelope(self, operation: Operation | None) -> Mapping[str, Json]:
        """The schema of the envelope that an operation leaves; open where it is not known."""
        if operation is None:
            return {}
        key = str(operation)
        if key not in self._envelopes:
            self._envelopes[key] = envelope(operation.response)
        return self._envelopes[key]

    def answer(self, operation: Operation | None) -> Mapping[str, Mapping[str, Json]]:
        """The names by which a step speaks of its own answer: what `expect` may look at."""
        key = str(operation)
        if key not in self._answers:
            response = operation.response if operation else {}
            self._answers[key] = {
                "data": response,
                "status": {"type": "integer"},
                "envelope": envelope(response),
            }
        return self._answers[key]

    def shape(
        self, key: tuple[str, str], schema: Mapping[str, Json], *, templated: bool = True
    ) -> Shape:
        """The shape of a schema, compiled once under its key."""
        found = self._shapes.get((*key, templated))
        if found is None:
            found = self._shapes[(*key, templated)] = Shape(schema, templated=templated)
        return found


def _no_function(*_: Any) -> None:
    return None


def check(document: Document, rules: Rules) -> list[Problem]:
    """All problems of a playbook in the order of its lines, without those it silences.

    A comment `# noqa: KT004` on the line that a problem points at silences it there: warnings of
    any code, and whatever lint (KT) says. Other errors cannot be silenced.
    """
    chain = (Path(document.file).resolve(),) if document.folder else ()
    _check(document, rules, chain)
    shown = [p for p in hide_secrets(document.problems) if not is_silenced(p)]
    # Where lint knows what was meant, the schema's own complaint about the value adds nothing.
    told = {p.place for p in shown if p.code.startswith("KT") and p.severity is Severity.ERROR}
    shown = [p for p in shown if p.code != "KP404" or p.place not in told]
    return sorted(shown, key=lambda p: (p.place.file != document.file, p.place))


def _check(document: Document, rules: Rules, chain: tuple[Path, ...]) -> None:
    # A key that stands twice, or a strange tag, leaves enough to find the other mistakes by.
    if document.data is not None or not document.broken:
        _Playbook(document, rules, chain).check()


def is_silenced(problem: Problem) -> bool:
    """Whether a comment on the problem's line silences it, and may."""
    may = problem.severity is not Severity.ERROR or problem.code.startswith("KT")
    return may and problem.code in silenced(problem.line)


def read_body(document: Document, name: str, root: Path | None = None) -> Document | None:
    """The file of a body that a step names; `None` where it cannot be had, which is noted apart.

    It must lie below `root`, which is the document's own folder where nothing is said.
    """
    folder = document.folder
    if folder is None or OPEN in name or file_trouble(folder, name, root):
        return None
    try:
        return read(folder / name, document.beside(name), body=True)
    except RunnerError:
        return None


# What makes up the playbook; expressions stand inside of it.
_WRITTEN_OUT = ("version", "name", "inputs", "vars", "defaults", "steps", "finally", "outputs")


class _Playbook:
    """One document being checked; `chain` are the files that led to it, itself the last."""

    def __init__(self, document: Document, rules: Rules, chain: tuple[Path, ...]) -> None:
        self.document = document
        self.rules = rules
        self.notes = Notes(document, rules.templates, Written(document, rules, chain))
        includes = IncludeChecker(
            rules, self.notes, chain, lambda inner, through: _check(inner, rules, through)
        )
        self.steps = StepChecker(rules, self.notes, includes, Tables(self.notes))

    def check(self) -> None:
        """Note every problem in the document."""
        data = self.document.data
        if not isinstance(data, Map):
            self._note_no_playbook(data)
            return
        self.notes.mismatches(self.rules.part("playbook"), data, ())
        self.notes.written_out(data, (), _WRITTEN_OUT)
        inputs = self._inputs(data.get("inputs"))
        sites = step_sites(data.get("steps"), ("steps",), self.notes)
        sites |= step_sites(data.get("finally"), ("finally",), self.notes)
        names = self._vars(data.get("vars"), playbook_names(inputs, [], sites))
        if isinstance(data.get("defaults"), Map):
            self.notes.mismatches(self.rules.part("defaults"), data["defaults"], ("defaults",))
            self.notes.written_out(data["defaults"], ("defaults",), ("on_error", "retry"))
            self.notes.expressions(data["defaults"], ("defaults",), names)
        self.steps.check(data.get("steps"), ("steps",), names)
        if "finally" in data:
            last = names.unsure("may not have run")
            self.steps.check(data["finally"], ("finally",), last)
        self.notes.expressions(data.get("outputs"), ("outputs",), names)
        self.notes.settle()
        root = self.notes.written.root
        bodies = cache(lambda name: read_body(self.document, name, root))
        self.document.problems += self.rules.linter.check(self.document, bodies)

    def _note_no_playbook(self, data: Json) -> None:
        if data is None:
            message = "the playbook is empty"
        elif isinstance(data, list):
            message = "a playbook is a mapping, and this is a list"
        else:
            message = "a playbook is a mapping, and this is a single value"
        self.notes.add(
            "KP201", message, "begin with 'version: 1', and list the steps under 'steps:'"
        )

    def _inputs(self, declared: Json) -> dict[str, Mapping[str, Json]]:
        if not isinstance(declared, Map):
            return {}
        inputs: dict[str, Mapping[str, Json]] = {}
        for name, raw in declared.items():
            trail: Trail = ("inputs", name)
            inputs[name] = {}
            self._name(name, trail)
            if raw is None:
                continue
            if not isinstance(raw, Map):
                self.notes.add(
                    "KP204",
                    f"'{name}' must be a mapping that declares the input",
                    f"write '{name}: {{default: …}}'",
                    path=trail,
                )
                continue
            fits = not self.notes.mismatches(self.rules.part("input"), raw, trail)
            if self.notes.written_out(raw, trail, raw) and fits:
                inputs[name] = self._input(raw, trail)
        return inputs

    def _input(self, raw: Map, trail: Trail) -> Mapping[str, Json]:
        kind = raw.get("type")
        if raw.get("secret") and raw.get("default") is not None:
            self.notes.add(
                "KP216",
                "a secret has no default: it would stand in the file",
                "take the default out, and name a variable with 'env:'",
                path=(*trail, "default"),
                key=True,
            )
        schema: dict[str, Json] = {"type": [kind, "null"]} if kind else {}
        if "items" in raw and kind != "array":
            self.notes.add(
                "KP217",
                "'items' does nothing without type: array",
                "add it, or take items out",
                path=(*trail, "items"),
                key=True,
            )
        elif "items" in raw:
            schema["items"] = {"type": raw["items"]}
        if raw.get("default") is not None:
            narrow = {key: raw[key] for key in ("enum", "pattern") if key in raw}
            if self._is_pattern(raw.get("pattern"), (*trail, "pattern")):
                shape = Shape({**schema, **narrow})
                self.notes.mismatches(shape, raw["default"], (*trail, "default"))
        else:
            self._is_pattern(raw.get("pattern"), (*trail, "pattern"))
        return schema

    def _is_pattern(self, pattern: str | None, path: Trail) -> bool:
        try:
            re.compile(pattern or "")
        except re.error as error:
            message = f"this is no regular expression: {error}"
            self.notes.add("KP204", message, "correct it, or take it out", path=path)
            return False
        return True

    def _name(self, name: str, trail: Trail) -> None:
        if not (name.isascii() and name.isidentifier()):
            self.notes.add(
                "KP215",
                f"'{name}' cannot be a name",
                "use letters, digits and _, and begin with a letter",
                path=trail,
                key=True,
            )

    def _vars(self, declared: Json, names: Names) -> Names:
        if not isinstance(declared, Map):
            return names
        inputs = names.roots["inputs"]["properties"]
        known: list[str] = []
        # A var sees the inputs and the vars above it, and no step: it is computed before them.
        for name, value in declared.items():
            trail: Trail = ("vars", name)
            self._name(name, trail)
            self.notes.expressions(value, trail, playbook_names(inputs, known, names.sites))
            known.append(name)
        return playbook_names(inputs, known, names.sites)
