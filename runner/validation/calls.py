"""One call step against the catalogue: its resource, operation, id, parameters and body."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.catalogue import Operation
from runner.errors import RunnerError
from runner.model import Effect, Json
from runner.playbook import Map, Trail, read
from runner.templating.expressions import nearest
from runner.templating.text import OPEN, is_whole
from runner.validation.files import file_trouble
from runner.validation.names import Names
from runner.validation.notes import Notes
from runner.validation.saving import check_save
from runner.wire import path_part_trouble, raw_path_trouble

if TYPE_CHECKING:
    from runner.validation.checker import Rules

_TEMPLATED_KEYS = ("id", "params", "body", "body_file", "timeout", "every", "tracker")


class CallChecker:
    """Checks the steps of one document that call the API."""

    def __init__(self, rules: Rules, notes: Notes) -> None:
        self._rules = rules
        self._notes = notes

    def check(self, step: Json, trail: Trail, names: Names) -> Operation | None:
        """Note what is wrong with a call; give its operation, where that can be told."""
        operation = self._operation(step, trail)
        self._answer(step, trail, names, operation)
        for key in _TEMPLATED_KEYS:
            if key in step and not (key == "body" and step.get("raw") is True):
                self._notes.expressions(step[key], (*trail, key), names)
        if operation is not None:
            self._id(step, trail, operation)
            self._params(step, trail, operation)
            self._body(step, trail, operation, names)
        if step.get("cache") is True:
            self._cache(step, trail, operation)
        return operation

    def _cache(self, step: Map, trail: Trail, operation: Operation | None) -> None:
        if "until" in step:
            message, hint = "'cache' does not go with until", "until asks anew each time"
        elif operation is not None and operation.effect is not Effect.READS:
            message = f"{operation} changes something, so its answer cannot be an earlier one"
            hint = "take cache out"
        else:
            return
        self._notes.add("KP221", message, hint, path=(*trail, "cache"), key=True)

    # -- resource and operation -----------------------------------------------------------------

    def _operation(self, step: Map, trail: Trail) -> Operation | None:
        resource, name = step.get("resource"), step.get("operation")
        if not isinstance(resource, str):
            return None
        found = self._rules.catalogue.resource(resource)
        if found is None:
            # Where it is clear what was meant, the rest of the step is checked as that.
            meant = self._note_resource(resource, name, (*trail, "resource"))
            found = self._rules.catalogue.resource(meant) if meant else None
        if found is None or not isinstance(name, str):
            return None
        operation = found.operations.get(name)
        if operation is None:
            known = list(found.operations)
            meant = self._note_operation(found.name, name, known, (*trail, "operation"))
            operation = found.operations.get(meant) if meant else None
        return operation

    def _note_resource(self, resource: str, operation: Json, path: Trail) -> str | None:
        index = self._rules.catalogue.index
        if OPEN in resource:
            self._notes.add(
                "KP206",
                "the resource must be written out",
                "it decides what the step may hold, so it cannot be an expression",
                path=path,
            )
            return None
        for key in (f"{resource}.{operation}", resource):
            if key in index["elsewhere"]:
                self._notes.add(
                    "KP218",
                    f"the Admin API has no '{resource}'",
                    index["elsewhere"][key],
                    path=path,
                )
                return None
        wrong: str | None = index["wrong_names"].get(resource)
        near = wrong or nearest(resource, self._rules.catalogue.names)
        hint = (
            f"did you mean '{near}'?"
            if near
            else (f"the resources are {', '.join(self._rules.catalogue.names)}")
        )
        self._notes.add("KP206", f"there is no resource '{resource}'", hint, path=path)
        return wrong

    def _note_operation(
        self, resource: str, name: str, known: list[str], path: Trail
    ) -> str | None:
        index = self._rules.catalogue.index
        elsewhere = index["elsewhere"].get(f"{resource}.{name}")
        wrong = index["wrong_operations"].get(name)
        near = wrong if wrong in known else nearest(name, known)
        if OPEN in name:
            message, hint = "the operation must be written out", "it cannot be an expression"
        elif elsewhere:
            message, hint = f"{resource} has no operation '{name}'", elsewhere
        elif len(known) == 1:
            message = f"{resource} has no operation '{name}'"
            hint = f"use {known[0]}, the only operation {resource} has"
        else:
            message = f"{resource} has no operation '{name}'"
            hint = f"did you mean '{near}'?" if near else f"it has {', '.join(known)}"
        self._notes.add("KP218" if elsewhere else "KP207", message, hint, path=path)
        return wrong if wrong in known else None

    # -- id and parameters ----------------------------------------------------------------------

    def _id(self, step: Map, trail: Trail, operation: Operation) -> None:
        if not operation.needs_id:
            if "id" in step:
                self._notes.add(
                    "KP209",
                    f"{operation} takes no id",
                    self._id_hint(operation),
                    path=(*trail, "id"),
                    key=True,
                )
            return
        if "id" not in step:
            self._notes.add(
                "KP208",
                f"{operation} needs an id",
                "add 'id:', the id of the entity that is meant",
                path=(*trail, "operation"),
            )
            return
        trouble = _part_trouble(step["id"])
        if trouble:
            self._notes.add(
                "KP208",
                f"the id {trouble}",
                f"{operation} needs the id of one entity",
                path=(*trail, "id"),
            )

    def _id_hint(self, operation: Operation) -> str:
        needed = [p.name for p in operation.parameters.values() if p.required]
        return f"it takes params.{needed[0]}" if needed else "take it out"

    def _params(self, step: Map, trail: Trail, operation: Operation) -> None:
        given = step.get("params", {})
        if not isinstance(given, Map):
            if not (isinstance(given, str) and is_whole(given)):
                self._note_missing_params({}, trail, operation)
            return
        for name, value in given.items():
            path = (*trail, "params", name)
            parameter = operation.parameters.get(name)
            if parameter is None:
                self._note_unknown_param(name, operation, path)
                continue
            shape = self._rules.shape((str(operation), f"params.{name}"), parameter.schema)
            if self._notes.mismatches(shape, value, path, sent=True):
                continue
            if parameter.where == "path":
                trouble = _part_trouble(value)
            elif parameter.where == "raw" and not (isinstance(value, str) and OPEN in value):
                trouble = raw_path_trouble(value)
            else:
                trouble = None
            if trouble:
                self._notes.add("KP204", f"'{name}' {trouble}", parameter.description, path=path)
        self._note_missing_params(given, trail, operation)

    def _note_unknown_param(self, name: str, operation: Operation, path: Trail) -> None:
        if operation.open_query:
            return
        known = list(operation.parameters)
        near = nearest(name, known)
        if name == "id":
            hint = "the id is a key of the step itself: 'id:' beside 'params:'"
        elif near:
            hint = f"did you mean '{near}'?"
        else:
            hint = f"it takes {', '.join(known)}" if known else "it takes none"
        self._notes.add(
            "KP210", f"{operation} has no parameter '{name}'", hint, path=path, key=True
        )

    def _note_missing_params(self, given: Json, trail: Trail, operation: Operation) -> None:
        for parameter in operation.parameters.values():
            if parameter.required and parameter.name not in given:
                spot = "params" if "params" in self._step(trail) else "operation"
                self._notes.add(
                    "KP211",
                    f"{operation} needs params.{parameter.name}",
                    f"add it: {parameter.description}",
                    path=(*trail, spot),
                    key=spot == "params",
                )

    def _step(self, trail: Trail) -> Map:
        step: Map = self._notes.document.value(trail)
        return step

    # -- body -----------------------------------------------------------------------------------

    def _body(self, step: Map, trail: Trail, operation: Operation, names: Names) -> None:
        key = "body" if "body" in step else "body_file" if "body_file" in step else None
        if "body" in step and "body_file" in step:
            self._notes.add(
                "KP216",
                "a step has a body or a body_file, not both",
                "take one of them out",
                path=(*trail, "body_file"),
                key=True,
            )
        if operation.body is None:
            if key:
                self._notes.add(
                    "KP212",
                    f"{operation} takes no body",
                    "take it out",
                    path=(*trail, key),
                    key=True,
                )
            return
        if key is None:
            if operation.body_required:
                needed = ", ".join(operation.body.get("required", []))
                self._notes.add(
                    "KP213",
                    f"{operation} needs a body",
                    f"add 'body:' with {needed}" if needed else "add 'body:'",
                    path=(*trail, "operation"),
                )
            return
        templated = step.get("raw") is not True
        shape = self._rules.shape((str(operation), "body"), operation.body, templated=templated)
        if key == "body":
            self._notes.mismatches(shape, step["body"], (*trail, "body"), "KP4", sent=True)
        elif isinstance(step["body_file"], str) and OPEN not in step["body_file"]:
            self._body_file(step["body_file"], (*trail, "body_file"), shape, names, templated)

    def _body_file(
        self, name: str, path: Trail, shape: object, names: Names, templated: bool
    ) -> None:
        folder = self._notes.document.folder
        if folder is None:
            return
        trouble = file_trouble(folder, name, self._notes.written.root)
        if trouble:
            self._notes.add("KP214", trouble[0], trouble[1], path=path)
            return
        try:
            document = read(folder / name, self._notes.document.beside(name), body=True)
        except RunnerError as error:
            self._notes.add("KP214", error.message, error.hint, path=path)
            return
        inner = Notes(document, self._notes.templates, self._notes.written, self._notes.folder)
        if not document.broken:
            inner.mismatches(shape, document.data, (), "KP4", sent=True)  # type: ignore[arg-type]  # a Shape
            if templated:
                inner.expressions(document.data, (), names)
        inner.settle()
        self._notes.document.problems += document.problems

    # -- the answer ------------------------------------------------------------------------------

    def _answer(self, step: Map, trail: Trail, names: Names, operation: Operation | None) -> None:
        if not step.keys() & {"expect", "until", "save"}:
            return
        mine = names.with_roots(self._rules.answer(operation))
        self._notes.conditions(step.get("expect", []), (*trail, "expect"), mine)
        if "until" in step:
            self._notes.condition(step["until"], (*trail, "until"), mine)
            if operation is not None and not operation.repeatable:
                self._notes.add(
                    "KP220",
                    f"until repeats the call, and {operation} must not be repeated",
                    "wait with a read after it, such as get",
                    path=(*trail, "until"),
                    key=True,
                )
        check_save(step, trail, self._rules, self._notes, mine, operation)


def _part_trouble(value: Json) -> str | None:
    """Why a value cannot be a part of a path, as far as it is known beforehand."""
    if isinstance(value, str) and OPEN in value:
        return None
    return path_part_trouble(value)
