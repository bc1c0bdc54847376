"""The order in which a document is checked: its YAML, its shape, its names, then each step."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from runner.catalogue import Catalogue, Operation
from runner.model import Json, Problem, Severity
from runner.playbook import Document, Map, Trail
from runner.shapes import Shape
from runner.templating import Templates
from runner.templating.functions import NAMES
from runner.validation.calls import CallChecker
from runner.validation.names import Names, envelope, playbook_names
from runner.validation.notes import Notes


class Rules:
    """What documents are checked against; made once, whatever the number of documents."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._shapes: dict[tuple[str, str, bool], Shape] = {}
        # The functions themselves need a folder and a clock; for checking their names are enough.
        self.templates = Templates(dict.fromkeys(NAMES, _no_function))
        self._envelopes: dict[str, Mapping[str, Json]] = {}

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

    Errors cannot be silenced, warnings can: `# noqa: KT004` on the line itself.
    """
    if not document.broken:
        _Playbook(document, rules).check()
    shown = [
        problem
        for problem in document.problems
        if problem.severity is Severity.ERROR
        or problem.place.file != document.file
        or problem.code not in document.silenced(problem.place.line)
    ]
    return sorted(
        shown, key=lambda p: (p.place.file != document.file, p.place.line, p.place.column)
    )


class _Playbook:
    """One document being checked."""

    def __init__(self, document: Document, rules: Rules) -> None:
        self.document = document
        self.rules = rules
        self.notes = Notes(document, rules.templates)

    def check(self) -> None:
        """Note every problem in the document."""
        data = self.document.data
        if not isinstance(data, Map):
            self._note_no_playbook(data)
            return
        self.notes.mismatches(self.rules.part("playbook"), data, ())
        inputs = self._inputs(data.get("inputs"))
        steps = data.get("steps")
        later = self._step_names(steps if isinstance(steps, list) else [])
        names = playbook_names(inputs, [], later)
        names = self._vars(data.get("vars"), names)
        self._steps(steps if isinstance(steps, list) else [], names)

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
            if not self.notes.mismatches(self.rules.part("input"), raw, trail):
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
        if kind is not None and raw.get("default") is not None:
            wanted = {"type": [kind, "null"]}
            self.notes.mismatches(Shape(wanted), raw["default"], (*trail, "default"))
        return {"type": [kind, "null"]} if kind else {}

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
        later = names.later
        # A var sees the inputs and the vars above it, and no step: it is computed before them.
        for name, value in declared.items():
            trail: Trail = ("vars", name)
            self._name(name, trail)
            self.notes.expressions(value, trail, playbook_names(inputs, known, later))
            known.append(name)
        return playbook_names(inputs, known, later)

    def _step_names(self, steps: list[Json]) -> dict[str, str]:
        """Each step's name, with the words that say that it has not run yet."""
        later: dict[str, str] = {}
        for index, step in enumerate(steps):
            name = step.get("name") if isinstance(step, Map) else None
            if not isinstance(name, str):
                continue
            trail: Trail = ("steps", index, "name")
            if name in later:
                first = later[name].rpartition(" ")[2]
                self.notes.add(
                    "KP205",
                    f"the name '{name}' is taken by the step on line {first}",
                    "give each step a name of its own",
                    path=trail,
                )
            else:
                line = self.document.place(self.document.offset(trail)).line
                later[name] = f"comes later, on line {line}"
        return later

    def _steps(self, steps: list[Json], names: Names) -> None:
        checker = CallChecker(self.rules, self.notes)
        for index, step in enumerate(steps):
            checker.check(step, ("steps", index), names)
