"""The ids that a playbook states, and the names of a tracker's lists, and where; asks nobody."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.catalogue import Operation
from runner.lint.steps import Visit, steps_of
from runner.model import Json
from runner.playbook import Document, Map, Trail
from runner.templating.text import OPEN
from runner.validation import Rules
from runner.validation.checker import read_body

# What brings an entity back from the archive, wherever there is one.
_BRING_BACK = "restore"
_INPUT = re.compile(r"\$\{\{\s*inputs\.([a-z][a-z0-9_]*)\s*\}\}\s*\Z")

Params = tuple[tuple[str, Json], ...]
# Which list an id is looked up in: the tracker's name, the resource, the list's parameters.
Where = tuple[str | None, str, Params]


@dataclass(frozen=True, slots=True)
class Mention:
    """An id that is stated, and where; `brings_back` says that an archived one is meant.

    With a `field` it is no id but a name, which that field of the list holds.
    """

    where: Where
    entity: str
    document: Document = field(repr=False)
    path: Trail
    brings_back: bool = False
    field: str = "id"

    @property
    def what(self) -> str:
        """The entity in words, with the input that its id is from."""
        found = _input_of(self.document.value(self.path))
        words = f"{self.where[1]} {self.entity}"
        return f"{words} (inputs.{found})" if found else words


def find_mentions(
    document: Document,
    rules: Rules,
    values: Mapping[str, Json] | None = None,
    tracker: str | None = None,
) -> Iterator[Mention]:
    """Every id that a playbook and those that it includes state, with the tracker it is on."""
    if not isinstance(document.data, Map):
        return
    values = {**_defaults(document.data), **(values or {})}
    own = (document.data.get("defaults") or {}).get("tracker", tracker)
    for visited in steps_of(document.data):
        name = visited.step.get("tracker", own)
        if isinstance(name, str) and OPEN in name:
            continue
        if "include" in visited.step:
            inner = _included(visited.step, document, rules)
            if inner is not None:
                given = visited.step.get("inputs")
                known = {k: _known(v, values) for k, v in given.items()} if given else {}
                yield from find_mentions(inner, rules, known, visited.step.get("tracker", tracker))
            continue
        operation = _operation(visited.step, rules)
        if operation is not None:
            yield from _of_call(document, visited, operation, name, values)


def _defaults(playbook: Map) -> Mapping[str, Json]:
    declared = playbook.get("inputs") or {}
    return {name: spec["default"] for name, spec in declared.items() if "default" in (spec or {})}


def _known(value: Json, values: Mapping[str, Json]) -> Json:
    """The value, that of an input where it is one and nothing more."""
    name = _input_of(value)
    return value if name is None else values.get(name)


def _input_of(value: Json) -> str | None:
    """The input that a value is, where it is one and nothing more."""
    found = _INPUT.match(value.strip()) if isinstance(value, str) else None
    return found[1] if found else None


def _included(step: Map, document: Document, rules: Rules) -> Document | None:
    if document.folder is None:
        return None
    return rules.included.get((document.folder / step["include"]).resolve())


def _operation(step: Map, rules: Rules) -> Operation | None:
    resource, name = step.get("resource"), step.get("operation")
    if not isinstance(resource, str) or not isinstance(name, str):
        return None
    return rules.catalogue.operation(resource, name)


def _of_call(
    document: Document,
    visited: Visit,
    operation: Operation,
    tracker: str | None,
    values: Mapping[str, Json],
) -> Iterator[Mention]:
    step, trail = visited.step, visited.trail
    if operation.needs_id and _is_id(entity := _known(step.get("id"), values)):
        where: Where = (tracker, operation.resource, ())
        back = operation.name == _BRING_BACK
        yield Mention(where, str(entity), document, (*trail, "id"), back)
    referred = _Referred(tracker, values)
    params = step.get("params")
    for name, value in params.items() if isinstance(params, Map) else ():
        if name in operation.parameters:
            schema = operation.parameters[name].schema
            yield from referred.mentions(value, schema, document, (*trail, "params", name))
    body: Json = step.get("body")
    at: Trail = (*trail, "body")
    if isinstance(step.get("body_file"), str):
        inner = read_body(document, step["body_file"])
        document, body, at = (inner, inner.data, ()) if inner else (document, None, at)
    yield from referred.mentions(body, operation.body or {}, document, at)


class _Referred:
    """Finds what a value refers to by id, as the schema tells which fields do."""

    def __init__(self, tracker: str | None, values: Mapping[str, Json]) -> None:
        self._tracker = tracker
        self._values = values

    def mentions(
        self, value: Json, schema: Mapping[str, Any], document: Document, trail: Trail
    ) -> Iterator[Mention]:
        refers = schema.get("x-refers-to")
        if refers and _is_id(entity := _known(value, self._values)):
            params = tuple(refers.get("params", {}).items())
            where = (self._tracker, refers["resource"], params)
            yield Mention(where, str(entity), document, trail)
        names = schema.get("x-named-in")
        name = _known(value, self._values) if names else None
        if names and isinstance(name, str) and OPEN not in name:
            where = (self._tracker, names["resource"], ())
            yield Mention(where, name, document, trail, field=names["field"])
        if isinstance(value, dict):
            known = schema.get("properties", {})
            for name, part in value.items():
                yield from self.mentions(part, known.get(name, {}), document, (*trail, name))
        elif isinstance(value, list):
            for index, part in enumerate(value):
                yield from self.mentions(part, schema.get("items", {}), document, (*trail, index))


def _is_id(value: Json) -> bool:
    """Whether this is an id as written; 0 and null stand for none."""
    if isinstance(value, str):
        return value.isdecimal() and int(value) > 0
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
