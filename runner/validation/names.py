"""What an expression may refer to at one place of a playbook, and what is wrong where it can't."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from runner.model import Json
from runner.templating.expressions import Reference, nearest

# What `steps.<name>` and `envelope` give; schemas/envelope.schema.json describes each.
ENVELOPE_FIELDS = (
    "run", "seq", "step", "index", "tracker", "source", "resource", "operation", "request",
    "status", "success", "skipped", "data", "count", "error", "attempts", "started_at",
    "duration_ms",
)  # fmt: skip
_RUN: dict[str, Json] = {"id": {}, "started_at": {}}
_TRACKER: dict[str, Json] = {"name": {}, "url": {}}


@dataclass(frozen=True, slots=True)
class Names:
    """The names in scope. Each value is the JSON Schema of what the name gives, `{}` if open.

    `steps` are those that have run before this place; `later` says of the other steps of the
    playbook where they stand, for a better message.
    """

    roots: Mapping[str, Mapping[str, Json]]
    steps: dict[str, Mapping[str, Json]] = field(default_factory=dict)
    later: Mapping[str, str] = field(default_factory=dict)

    def declare(self, name: str, schema: Mapping[str, Json]) -> None:
        """Note that a step has run: what comes after may refer to it."""
        self.steps[name] = schema

    def with_answer(self, response: Mapping[str, Json]) -> Names:
        """The same, with the answer of the step itself: what `expect` may look at."""
        mine = {"data": response, "status": {"type": "integer"}, "envelope": envelope(response)}
        return replace(self, roots={**self.roots, **mine})

    def trouble(self, reference: Reference) -> tuple[str, str, str] | None:
        """What is wrong with a reference: code, message and hint; `None` where nothing is."""
        root, keys = reference.root, reference.keys
        if root == "steps":
            return self._step_trouble(reference)
        schema = self.roots.get(root)
        if schema is None:
            return "KP302", f"there is no '{root}' here", self._offer(root)
        return _field_trouble(schema, root, keys, reference.guarded)

    def _offer(self, root: str) -> str:
        for holder in ("inputs", "vars"):
            if root in self.roots.get(holder, {}).get("properties", {}):
                return f"did you mean {holder}.{root}?"
        if root in self.steps:
            return f"did you mean steps.{root}?"
        known = [*self.roots, "steps"]
        near = nearest(root, known)
        return f"did you mean '{near}'?" if near else f"there is {', '.join(known)}"

    def _step_trouble(self, reference: Reference) -> tuple[str, str, str] | None:
        if not reference.keys:
            return None
        name = str(reference.keys[0])
        if name in self.steps:
            return _field_trouble(
                self.steps[name], f"steps.{name}", reference.keys[1:], reference.guarded
            )
        if name in self.later:
            return (
                "KP303",
                f"the step '{name}' {self.later[name]}",
                ("refer to a step that has run before this one"),
            )
        near = nearest(name, [*self.steps, *self.later])
        hint = (
            f"did you mean '{near}'?"
            if near
            else (
                "give the step a name"
                if not self.steps
                else f"the steps before this one are {', '.join(list(self.steps)[-12:])}"
            )
        )
        return "KP303", f"there is no step '{name}'", hint


def playbook_names(
    inputs: Mapping[str, Mapping[str, Json]],
    variables: list[str],
    later: Mapping[str, str],
) -> Names:
    """The names that hold all through a playbook."""
    return Names(
        roots={
            "inputs": _closed(dict(inputs)),
            "vars": _closed({name: {} for name in variables}),
            "run": _closed(dict(_RUN)),
            "tracker": _closed(dict(_TRACKER)),
        },
        later=later,
    )


def envelope(response: Mapping[str, Json]) -> Mapping[str, Json]:
    """The schema of an envelope with that response as its data."""
    return _closed({name: {} for name in ENVELOPE_FIELDS} | {"data": response})


def _closed(properties: Mapping[str, Json]) -> dict[str, Json]:
    return {"type": "object", "properties": properties, "x-closed": True}


def _field_trouble(
    schema: Mapping[str, Json], shown: str, keys: tuple[str | int, ...], guarded: bool
) -> tuple[str, str, str] | None:
    """Follow keys into a schema; the first that cannot be there is the trouble."""
    for key in keys:
        kinds = schema.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if isinstance(key, int):
            if kinds and "array" not in kinds and "object" not in kinds:
                return "KP304", f"{shown} is no list, so it has no [{key}]", "take the [] out"
            schema, shown = schema.get("items", {}), f"{shown}[{key}]"
            continue
        properties = schema.get("properties")
        if kinds and "object" not in kinds:
            return _not_a_mapping(shown, key, kinds)
        if properties is None or (guarded and not schema.get("x-closed")):
            return None
        if key not in properties:
            if schema.get("additionalProperties") not in {None, False}:
                return None
            return _no_such_field(shown, key, list(properties), closed="x-closed" in schema)
        schema, shown = properties[key], f"{shown}.{key}"
    return None


def _not_a_mapping(shown: str, key: str, kinds: list[str]) -> tuple[str, str, str]:
    if "array" in kinds:
        return (
            "KP304",
            f"{shown} is a list, so it has no '{key}'",
            f"take one item, {shown}[0].{key}, or all of them, {shown} | pluck('{key}')",
        )
    return "KP304", f"{shown} is no mapping, so it has no '{key}'", f"take '.{key}' out"


def _no_such_field(shown: str, key: str, known: list[str], *, closed: bool) -> tuple[str, str, str]:
    near = nearest(key, known)
    if near:
        hint = f"did you mean '{near}'?"
    elif known:
        hint = f"there is {', '.join(known[:20])}" + (", …" if len(known) > 20 else "")
    else:
        hint = "none is declared"
    if not closed:
        hint += f"; a field that your tracker has all the same: {shown}['{key}']"
    code = "KP302" if shown in {"inputs", "vars", "run", "tracker"} else "KP304"
    return code, f"{shown} has no '{key}'", hint
