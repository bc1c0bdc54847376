"""Steps of every kind: what they have in common, loops, blocks, set, and the names they leave."""

from __future__ import annotations

from collections import ChainMap
from typing import TYPE_CHECKING

from runner.catalogue import STEP_KINDS, Operation
from runner.model import Json
from runner.playbook import Many, Map, Trail
from runner.playbook.scalars import old_meaning
from runner.templating import Reference, TemplateError
from runner.templating.text import OPEN, is_whole, split_text
from runner.validation.calls import CallChecker
from runner.validation.includes import IncludeChecker
from runner.validation.names import Names, Schema, Site, closed, looped
from runner.validation.notes import Notes
from runner.validation.saving import check_save
from runner.validation.tables import Tables

if TYPE_CHECKING:
    from runner.validation.checker import Rules

_SCALAR = {"type": ["string", "integer", "number", "boolean", "null"]}
# What decides how a step runs, and so must be known before it does.
_WRITTEN_OUT = ("name", "as", "on_error", "attempts", "retry", "raw", "steps")
_LOOP_KEYS = ("as", "concurrency")
# The key that makes a step one of a kind.
_MARKERS = {kind: {"block": "steps", "call": "resource"}.get(kind, kind) for kind in STEP_KINDS}


def kind_of(step: Map) -> str:
    """`block`, `set`, `include` or `call`, by the key that makes it one."""
    if "steps" in step:
        return "block"
    return "set" if "set" in step else "include" if "include" in step else "call"


def step_sites(steps: Json, trail: Trail, notes: Notes) -> dict[str, Site]:
    """Where every step's name is given, blocks included; a name given twice is noted."""
    sites: dict[str, Site] = {}
    _collect(steps, trail, "", notes, sites)
    return sites


def _collect(steps: Json, trail: Trail, block: str, notes: Notes, sites: dict[str, Site]) -> None:
    if not isinstance(steps, list):
        return
    for index, step in enumerate(steps):
        if not isinstance(step, Map):
            continue
        name = step.get("name")
        if isinstance(name, str):
            if name in sites:
                notes.add(
                    "KP205",
                    f"the name '{name}' is taken by the step on line {sites[name].line}",
                    "give each step a name of its own",
                    path=(*trail, index, "name"),
                )
            else:
                line = notes.document.place(step.spots["name"][1], 1).line
                sites[name] = Site(line, trail[:-1], block)
        if "steps" in step:
            inner = name if isinstance(name, str) else ""
            _collect(step["steps"], (*trail, index, "steps"), inner, notes, sites)


class StepChecker:
    """Checks the steps of one document, in order, each with the names that hold there."""

    def __init__(
        self, rules: Rules, notes: Notes, includes: IncludeChecker, tables: Tables
    ) -> None:
        self._rules = rules
        self._notes = notes
        self._calls = CallChecker(rules, notes)
        self._includes = includes
        self._tables = tables

    def check(self, steps: Json, trail: Trail, names: Names) -> None:
        """Note what is wrong with each of the steps; declare their names as they come."""
        if isinstance(steps, list):
            for index, step in enumerate(steps):
                self._step(step, (*trail, index), names)

    def _step(self, step: Json, trail: Trail, names: Names) -> None:
        if not isinstance(step, Map):
            self._notes.add(
                "KP201",
                "a step is a mapping",
                "write 'resource:' and 'operation:' below the '-'",
                path=trail,
            )
            return
        kind = kind_of(step)
        for key in ("name", "as"):
            typed = step.get(key) if self._notes.document.problems else None
            if isinstance(typed, str) and old_meaning(typed) is not None:
                self._notes.only_text((*trail, key))
        self._shape(step, trail, kind)
        inner = names.of_step(step.get("name"))
        inner = self._loop(step, trail, inner.doubtful() if "when" in step else inner)
        if "when" in step:
            inner = inner.guarding(self._notes.condition(step["when"], (*trail, "when"), inner))
        schema = self._work(step, trail, kind, inner)
        name = step.get("name")
        if isinstance(name, str):
            uncertain = "may be skipped (it has a when)" if "when" in step else ""
            if "for_each" in step:
                schema, uncertain = looped(schema), ""
            names.declare(name, schema, uncertain)

    def _shape(self, step: Map, trail: Trail, kind: str) -> None:
        others = [k for k in STEP_KINDS if _MARKERS[k] in step and k != kind]
        if others:
            self._notes.add(
                "KP216",
                f"a step is {_ARTICLES[kind]} or {_ARTICLES[others[0]]}, and this one is both",
                f"move '{_MARKERS[others[0]]}' to a step of its own",
                path=(*trail, _MARKERS[others[0]]),
                key=True,
            )
        else:
            # The id of a call is judged by its operation, in better words; what is many is a list.
            judged: Json = step
            apart = {"id"} if kind == "call" and "id" in step else set()
            if isinstance(step.get("for_each"), Many):
                apart.add("for_each")
            if apart:
                judged = {key: part for key, part in step.items() if key not in apart}
            self._notes.mismatches(
                self._rules.part(kind), judged, trail, hints=lambda key: self._belongs(step, key)
            )
            self._notes.written_out(step, trail, _WRITTEN_OUT)
        for key in _LOOP_KEYS:
            if key in step and "for_each" not in step:
                self._alone(trail, key, "for_each")

    def _belongs(self, step: Map, key: str) -> str:
        """Where a key belongs that a call has beside its body though it is a field of that."""
        resource, name = step.get("resource"), step.get("operation")
        if not (isinstance(resource, str) and isinstance(name, str)):
            return ""
        operation = self._rules.catalogue.operation(resource, name)
        fields = (operation.body or {}).get("properties", {}) if operation else {}
        return "it is a field of the body: write it below 'body:', further in" * (key in fields)

    def _alone(self, trail: Trail, key: str, other: str) -> None:
        self._notes.add(
            "KP217",
            f"'{key}' does nothing without {other}",
            f"add {other}, or take it out",
            path=(*trail, key),
            key=True,
        )

    # -- loops ----------------------------------------------------------------------------------

    def _loop(self, step: Map, trail: Trail, names: Names) -> Names:
        if "for_each" not in step:
            return names
        items, path = step["for_each"], (*trail, "for_each")
        self._notes.expressions(items, path, names)
        self._notes.expressions(step.get("concurrency"), (*trail, "concurrency"), names)
        schema = self._item_schema(items, path, names)
        names = names.doubtful()  # there may be no item
        name = step.get("as", "item")
        if not isinstance(name, str):  # which is noted already
            return names.with_roots({"item": schema, "index": {"type": "integer"}})
        if name in names.roots or name == "steps":
            taken = "the item of the loop around it" if name not in _FIXED else "a name of ours"
            self._notes.add(
                "KP215",
                f"'{name}' is {taken}",
                "give the item another name with 'as:'",
                path=(*trail, "as") if "as" in step else path,
                key="as" not in step,
            )
        return names.with_roots({name: schema, "index": {"type": "integer"}})

    def _item_schema(self, items: Json, path: Trail, names: Names) -> Schema:
        if isinstance(items, Many):
            return _SCALAR
        if isinstance(items, list):
            return _literal_schema(items)
        if not isinstance(items, str) or not is_whole(items):
            if isinstance(items, str):
                self._notes.add(
                    "KP306", "for_each is a list, or one expression that gives one",
                    "write '[a, b]' or ${{ … }}", path=path,
                )  # fmt: skip
            return {}
        reference = self._path(items)
        source = split_text(items)[0].text
        table = self._tables.rows(source, path, names)
        schema = names.schema_of(reference) if reference else table
        kinds = schema.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if reference and kinds and "array" not in kinds:
            fields = schema.get("properties") or {}
            data = (fields.get("data") or {}).get("type")
            inner = "rows" if "rows" in fields else "data" if data == "array" else ""
            self._notes.add(
                "KP304",
                f"for_each needs a list, and {reference} is no list",
                f"did you mean {reference}.{inner}?" if inner else "name a list inside it",
                path=path,
            )
        found: Schema = schema.get("items", {})
        return found

    def _path(self, text: str) -> Reference | None:
        """The reference that an expression is, where it is nothing but one."""
        source = split_text(text)[0].text
        try:
            references = self._notes.templates.expression(source).references
        except TemplateError:
            return None
        only = len(references) == 1 and str(references[0]) == source.strip()
        return references[0] if only else None

    # -- what the step does ---------------------------------------------------------------------

    def _work(self, step: Map, trail: Trail, kind: str, names: Names) -> Schema:
        if kind == "call":
            return self._rules.envelope(self._call(step, trail, names))
        if kind == "block":
            return self._block(step, trail, names)
        if kind == "include":
            return self._includes.check(step, trail, names)
        return self._set(step, trail, names)

    def _call(self, step: Map, trail: Trail, names: Names) -> Operation | None:
        for key in ("every", "attempts"):
            if key in step and "until" not in step:
                self._alone(trail, key, "until")
        return self._calls.check(step, trail, names)

    def _block(self, step: Map, trail: Trail, names: Names) -> Schema:
        inside = names.inside(trail)
        self.check(step["steps"], (*trail, "steps"), inside)
        own = inside.steps.maps[0] if isinstance(inside.steps, ChainMap) else {}
        inner = closed({name: known.schema for name, known in own.items()})
        return closed({"steps": inner, "success": {}, "skipped": {}})

    def _set(self, step: Map, trail: Trail, names: Names) -> Schema:
        values = step["set"]
        self._notes.expressions(values, (*trail, "set"), names)
        if not isinstance(values, Map):
            return {}
        if not isinstance(step.get("name"), str) and not step.keys() & {"save", "expect"}:
            self._notes.add(
                "KP203",
                "a set without a name is lost",
                "name the step: its values are read as steps.NAME.values",
                path=(*trail, "set"),
                key=True,
            )
        mine = closed({name: {} for name in values})
        known = names.with_roots({"values": mine})
        self._notes.conditions(step.get("expect", []), (*trail, "expect"), known)
        check_save(step, trail, self._rules, self._notes, known, None)
        return closed({"values": mine, "success": {}, "skipped": {}})


_ARTICLES = {"block": "a block", "call": "a call", "set": "a set", "include": "an include"}
_FIXED = frozenset({"inputs", "vars", "run", "tracker", "steps"})


def _literal_schema(items: list[Json]) -> Schema:
    """The schema of an item of a list that is written out."""
    if items and all(isinstance(item, dict) for item in items):
        return closed({key: {} for item in items for key in item})
    plain = all(
        not isinstance(i, dict | list) and not (isinstance(i, str) and OPEN in i) for i in items
    )
    return _SCALAR if items and plain else {}
