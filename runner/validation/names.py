"""What an expression may refer to at one place of a playbook, and what is wrong where it can't."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping, MutableMapping
from types import MappingProxyType
from typing import NamedTuple

from runner.model import Json, Severity
from runner.playbook import Trail
from runner.templating.expressions import Reference, nearest

Schema = Mapping[str, Json]

# What `steps.<name>` and `envelope` give; schemas/envelope.schema.json describes each.
ENVELOPE_FIELDS = (
    "run", "seq", "step", "index", "key", "tracker", "source", "resource", "operation", "request",
    "status", "success", "skipped", "data", "count", "error", "attempts", "started_at",
    "duration_ms",
)  # fmt: skip
_LONGEST = 60  # characters of a name that are shown
_RUN: dict[str, Json] = {"id": {}, "started_at": {}}
_TRACKER: dict[str, Json] = {"name": {}, "url": {}}


class Trouble(NamedTuple):
    """What is wrong with a reference."""

    code: str
    message: str
    hint: str
    severity: Severity = Severity.ERROR


class Known(NamedTuple):
    """A step that has run: the schema of what `steps.<name>` gives, and why it might not have.

    `guard` is the condition that asks whether it has.
    """

    schema: Schema
    uncertain: str = ""
    guard: str = ""


class Site(NamedTuple):
    """Where a step's name is given: its line, and the block that it is known in."""

    line: int
    block: Trail
    block_name: str


class Names(NamedTuple):
    """The names in scope. `roots` give the JSON Schema of what each name stands for.

    `steps` are those that have run before this place, `sites` all those of the playbook;
    `guarded` names the steps that a `when` around this place asks about, `around` the step that
    this place is in and the blocks around it. `maybe` is set below a `when`.
    """

    roots: Mapping[str, Schema]
    steps: MutableMapping[str, Known]
    sites: Mapping[str, Site] = MappingProxyType({})
    block: Trail = ()
    guarded: frozenset[str] = frozenset()
    around: frozenset[str] = frozenset()
    maybe: bool = False

    def declare(self, name: str, schema: Schema, uncertain: str = "") -> None:
        """Note that a step has run: what comes after may refer to it."""
        self.steps[name] = Known(schema, uncertain, f"not steps.{name}.skipped")

    def inside(self, block: Trail) -> Names:
        """The names inside a block: what is declared there stays there."""
        return self._replace(steps=ChainMap({}, self.steps), block=block)

    def of_step(self, name: Json) -> Names:
        """The names inside the step of that name, if it has one."""
        return self._replace(around=self.around | {name}) if isinstance(name, str) else self

    def with_roots(self, roots: Mapping[str, Schema]) -> Names:
        """The same, with more names (an item, an answer)."""
        return self._replace(roots={**self.roots, **roots})

    def doubtful(self) -> Names:
        """The same, where nobody knows whether this place is come to."""
        return self._replace(maybe=True)

    def guarding(self, references: Iterable[Reference]) -> Names:
        """The same, below a condition with these references."""
        asked = {str(r.keys[0]) for r in references if r.root == "steps" and r.keys}
        return self._replace(guarded=self.guarded | asked) if asked else self

    def unsure(self, reason: str) -> Names:
        """The same, where none of the steps so far is sure to have run."""
        steps: dict[str, Known] = {
            name: Known(known.schema, reason, f"steps.{name}.success | default(false)")
            for name, known in self.steps.items()
        }
        return self._replace(steps=steps)

    def schema_of(self, reference: Reference) -> Schema:
        """The schema of what a reference stands for; open where it cannot be told."""
        keys = reference.keys
        if reference.root == "steps":
            known = self.steps.get(str(keys[0])) if keys else None
            schema: Schema = known.schema if known else {}
            keys = keys[1:]
        else:
            schema = self.roots.get(reference.root, {})
        for key in keys:
            schema = (
                schema.get("items", {})
                if isinstance(key, int)
                else (schema.get("properties") or {}).get(key, {})
            )
        return schema

    def trouble(self, reference: Reference) -> Trouble | None:
        """What is wrong with a reference; `None` where nothing is."""
        root, keys = reference.root, reference.keys
        if root == "steps":
            return self._step_trouble(reference) if keys else None
        schema = self.roots.get(root)
        if schema is None:
            return Trouble("KP302", f"there is no '{root}' here", self._offer(root))
        return _field_trouble(schema, root, keys, guarded=reference.guarded)

    def _offer(self, root: str) -> str:
        for holder in ("inputs", "vars", "data"):
            if root in self.roots.get(holder, {}).get("properties", {}):
                return f"did you mean {holder}.{root}?"
        if root in self.steps:
            return f"did you mean steps.{root}?"
        if root in {"item", "index"}:
            return "an item is known only in a step or block with for_each"
        if root in {"data", "status", "envelope"}:
            return "the answer is known in expect, until and save; elsewhere write steps.NAME.data"
        known = [*self.roots, "steps"]
        near = nearest(root, known)
        return f"did you mean '{near}'?" if near else f"there is {', '.join(known)}"

    def _step_trouble(self, reference: Reference) -> Trouble | None:
        name = str(reference.keys[0])
        known = self.steps.get(name)
        if known is None:
            return self._unknown_step(name)
        shown = f"steps.{name}"
        found = _field_trouble(known.schema, shown, reference.keys[1:], guarded=reference.guarded)
        if found is not None:
            return found
        bare = len(reference.keys) < 2 or reference.keys[1] in {"skipped", "success"}
        said = reference.guarded or reference.chosen or name in self.guarded
        if not known.uncertain or bare or said:
            return None
        return Trouble(
            "KP307",
            f"the step '{name}' {known.uncertain}, and then this has no value",
            f"guard this step with when: ${{{{ {known.guard} }}}}, "
            f"or say what holds then: {reference} | default(…)",
            Severity.WARNING,
        )

    def _unknown_step(self, name: str) -> Trouble:
        site = self.sites.get(name)
        if site is None:
            near = nearest(name, [*self.steps, *self.sites])
            if near:
                hint = f"did you mean '{near}'?"
            elif self.steps:
                hint = f"the steps before this one are {', '.join(list(self.steps)[-12:])}"
            else:
                hint = "give the step that is meant a name"
            return Trouble("KP303", f"there is no step '{name}'", hint)
        if name in self.around:
            return Trouble(
                "KP303",
                f"'{name}' is this step itself, or the block that it is in",
                "its own answer is known in expect, until and save only, as data",
            )
        if self.block[: len(site.block)] == site.block:
            return Trouble(
                "KP303",
                f"the step '{name}' comes later, on line {site.line}",
                "refer to a step that has run before this one",
            )
        outside = "give the block a name to refer to it from outside"
        if site.block_name:
            outside = f"from outside it is below steps.{site.block_name}"
        return Trouble(
            "KP303",
            f"the step '{name}' on line {site.line} is known only inside its block",
            outside,
        )


def playbook_names(
    inputs: Mapping[str, Schema], variables: list[str], sites: Mapping[str, Site]
) -> Names:
    """The names that hold all through a playbook."""
    return Names(
        roots={
            "inputs": closed(dict(inputs)),
            "vars": closed({name: {} for name in variables}),
            "run": closed(_RUN),
            "tracker": closed(_TRACKER),
        },
        steps={},
        sites=sites,
    )


def envelope(response: Schema) -> Schema:
    """The schema of an envelope with that response as its data."""
    return closed({name: {} for name in ENVELOPE_FIELDS} | {"data": response})


def looped(one: Schema) -> Schema:
    """The schema of `steps.<name>` for a step with `for_each`, from that of one iteration."""
    results = {"type": "array", "items": one}
    return closed({"results": results, "count": {}, "success": {}, "skipped": {}})


def closed(properties: Mapping[str, Json]) -> dict[str, Json]:
    """A mapping that has these fields and no others."""
    return {"type": "object", "properties": properties, "x-closed": True}


def _field_trouble(
    schema: Schema, shown: str, keys: tuple[str | int, ...], *, guarded: bool
) -> Trouble | None:
    """Follow keys into a schema; the first that cannot be there is the trouble."""
    for key in keys:
        kinds = schema.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if isinstance(key, int):
            if kinds and "array" not in kinds and "object" not in kinds:
                return Trouble("KP304", f"{shown} is no list, so it has no [{key}]", "take it out")
            schema, shown = schema.get("items", {}), f"{shown}[{key}]"
            continue
        properties = schema.get("properties")
        if kinds and "object" not in kinds:
            return _not_a_mapping(shown, key, kinds)
        if properties is None or (guarded and not schema.get("x-closed")):
            return None
        if key not in properties:
            if schema.get("additionalProperties", False) is not False:
                return None
            return _no_such_field(shown, key, schema)
        schema, shown = properties[key], f"{shown}.{key}"
    return None


def _below(properties: Mapping[str, Json], shown: str, key: str) -> str | None:
    """Where the answer of a step has a field that the step itself lacks."""
    if _has(properties.get("data"), key):
        return f"{shown}.data.{key}"
    each = properties.get("results", {}).get("items", {}).get("properties", {})
    return f"{shown}.results | pluck('data.{key}')" if _has(each.get("data"), key) else None


def _has(schema: Json, key: str) -> bool:
    return isinstance(schema, Mapping) and key in schema.get("properties", {})


def _not_a_mapping(shown: str, key: str, kinds: list[str]) -> Trouble:
    if "array" in kinds:
        hint = f"take one item, {shown}[0].{key}, or all of them, {shown} | pluck('{key}')"
        return Trouble("KP304", f"{shown} is a list, so it has no '{key}'", hint)
    return Trouble("KP304", f"{shown} is no mapping, so it has no '{key}'", f"take '.{key}' out")


def _no_such_field(shown: str, key: str, schema: Schema) -> Trouble:
    properties, (file, *columns) = schema["properties"], schema.get("x-columns", [""])
    known = [name if len(name) <= _LONGEST else f"{name[:_LONGEST]}…"
             for name in columns or properties]  # fmt: skip
    near, meant = nearest(key, known), _below(properties, shown, key)
    if meant:
        hint = f"did you mean {meant}?"
    elif near:
        hint = f"did you mean '{near}'?"
    elif known:
        all_ = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
        hint = f"the columns of '{file}' are {all_}" if file else f"there is {all_}"
    else:
        hint = "none is declared"
    if not (file or "x-closed" in schema):
        hint += "" if near or meant else "."
        hint += f" A field that your tracker has all the same: {shown}['{key}']"
    code = "KP302" if shown in {"inputs", "vars", "run", "tracker"} else "KP304"
    return Trouble(code, f"{shown} has no '{key}'", hint)
