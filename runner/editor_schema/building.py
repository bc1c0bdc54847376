"""The catalogue and the language to one schema, each type and operation a definition of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.catalogue import STEP_KINDS, Catalogue, Operation
from runner.editor_schema.values import (
    BINDING,
    BOUNDS,
    HOLDS,
    WHOLE,
    Schema,
    as_written,
    expected,
    has,
    is_closed,
    kinds_of,
    notes_of,
    opened,
    ref,
)
from runner.model import Effect, Json

# Keys of the language that no expression can give, and those whose text is one whole expression.
_LITERAL = frozenset({"retry", "attempts", "raw", "columns", "steps"})
_ONE_EXPRESSION = frozenset({"when", "until", "expect", "for_each", "concurrency"})

# Keys that do nothing without another one.
_NEEDS = {
    "as": ["for_each"],
    "concurrency": ["for_each"],
    "every": ["until"],
    "attempts": ["until"],
}
# Keys that a call may have or not as its operation wants; offered once that is known.
_BY_OPERATION = ("id", "params", "body", "body_file", "raw")

_VARIABLE = {
    "pattern": "^[A-Za-z_][A-Za-z0-9_]*$",
    "patternErrorMessage": "a name is letters, digits and _, and begins with a letter",
}
_EFFECTS = {
    Effect.READS: "reads",
    Effect.WRITES: "writes",
    Effect.DESTROYS: "destroys: asks first, or needs `--yes`",
}


class Builder:
    """Collects the definitions; each type and each operation becomes one when it is needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._catalogue = Catalogue(folder)
        self._language = self._catalogue.language
        # Read as written: the catalogue puts types in their places, and here they stay shared.
        self._types = self._read("types.json")
        self._definitions: Schema = {}

    def _read(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self._folder / name).read_bytes())
        return content

    def build(self) -> Schema:
        """The whole schema."""
        for part in ("input", "defaults", "save"):
            self._definitions[part] = self._part(part)
        self._definitions["save"]["type"] = ["object", "string"]
        self._definitions["step"] = self._step()
        for kind in STEP_KINDS:
            self._definitions[kind] = self._kind(kind)
        return {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$comment": "Built from the catalogue by: python -m runner.editor_schema",
            "description": "A playbook of keitaro-runner.",
            **self._playbook(),
            "definitions": dict(sorted(self._definitions.items())),
        }

    def _playbook(self) -> Schema:
        whole = self._language["playbook"]
        own = {key: as_written(part) for key, part in whole["properties"].items()}
        own["inputs"] |= {
            "propertyNames": _VARIABLE,
            "additionalProperties": {"anyOf": [{"type": "null"}, ref("input")]},
        }
        own["vars"] |= {"propertyNames": _VARIABLE, "additionalProperties": {}}
        own["defaults"] = {**ref("defaults"), **notes_of(whole["properties"]["defaults"])}
        own["steps"]["items"] = own["finally"]["items"] = ref("step")
        return {**whole, "properties": own}

    # -- steps --------------------------------------------------------------------------------

    def _step(self) -> Schema:
        """A step of any kind: the key that makes it one decides, and a call has none of them."""
        chosen = ref("call")
        for kind, marker in (("include", "include"), ("set", "set"), ("block", "steps")):
            chosen = {
                "if": {"type": "object", "required": [marker]},
                "then": ref(kind),
                "else": chosen,
            }
        offered = {
            marker: {**notes_of(self._language[kind]), **_shell(self._language[kind], marker)}
            for kind, marker in (("block", "steps"), ("set", "set"), ("include", "include"))
        }
        return {"type": "object", **chosen, "properties": offered, "dependencies": _NEEDS}

    def _kind(self, kind: str) -> Schema:
        if kind == "call":
            return self._call()
        own = self._part(kind)
        if kind == "block":
            own["properties"]["steps"]["items"] = ref("step")
        if kind == "set":  # without a name its values are lost, unless they are saved
            own |= {"if": {"required": ["save"]}, "else": {"required": ["name"]}}
        return own

    def _part(self, name: str) -> Schema:
        """A part of the language, each of its keys literal or open to expressions."""
        part = self._language[name]
        literal = name == "input"
        own = {
            key: self._key(key, schema, literal=literal)
            for key, schema in part["properties"].items()
        }
        return {**part, **notes_of(part), "properties": own}

    def _key(self, key: str, schema: Mapping[str, Json], *, literal: bool) -> Schema:
        """A key of the language; those that all kinds of step share are kept once."""
        if schema is self._language["common"].get(key):
            self._definitions[f"step.{key}"] = self._own_key(key, schema, literal=False)
            return ref(f"step.{key}")
        return self._own_key(key, schema, literal=literal)

    def _own_key(self, key: str, schema: Mapping[str, Json], *, literal: bool) -> Schema:
        if literal or key in _LITERAL:
            return as_written(schema)
        if key == "save":
            return {**ref("save"), **notes_of(schema)}
        if key in _ONE_EXPRESSION:
            words = {"patternErrorMessage": expected(kinds_of(schema))}
            found = {**as_written(schema), "pattern": WHOLE, **words}
            if "items" in schema:
                found["items"] = {**schema["items"], "pattern": WHOLE, **words}
            return found
        return {**as_written(schema), **(opened(schema) if is_closed(schema) else {})}

    # -- calls ----------------------------------------------------------------------------------

    def _call(self) -> Schema:
        names = self._catalogue.names
        keys = self._part("call")
        about = [self._resource(name) for name in names]
        keys["properties"]["resource"] |= {"enum": names, "enumDescriptions": about}
        for key in _BY_OPERATION:
            keys["properties"][key] = {"doNotSuggest": True}
        branches = [{"if": has("resource", n), "then": ref(f"resource.{n}")} for n in names]
        either = {
            "if": {"required": ["body", "body_file"]},
            "then": {"properties": {"body_file": False}},
        }
        del keys["type"]  # a step's own, and one complaint is enough
        self._definitions["call.keys"] = keys
        return {"allOf": [*branches, ref("call.keys"), either]}

    def _resource(self, name: str) -> str:
        """Define a resource and its operations; give its description."""
        raw = self._read(f"resources/{name}.json")
        found = self._catalogue.resource(name)
        operations = found.operations if found else {}
        for key, operation in operations.items():
            self._definitions[f"{name}.{key}"] = self._operation(operation, raw["operations"][key])
        known = {
            "type": "string",
            "enum": list(operations),
            "enumDescriptions": [operation.description for operation in operations.values()],
        }
        described = {"resource": notes_of(raw), "operation": known}
        branches = [{"if": has("operation", o), "then": ref(f"{name}.{o}")} for o in operations]
        self._definitions[f"resource.{name}"] = {"allOf": [*branches, {"properties": described}]}
        return str(raw["description"])

    def _operation(self, operation: Operation, raw: Mapping[str, Json]) -> Schema:
        required = ["id"] if operation.needs_id else []
        own: Schema = {
            "operation": {"type": "string", **_about(operation)},
            "id": self._id() if operation.needs_id else False,
            "params": self._params(operation, raw.get("params", {})),
        }
        if any(parameter.required for parameter in operation.parameters.values()):
            required.append("params")
        if not operation.repeatable:
            own["until"] = False
        schema: Schema = {"properties": own, **({"required": required} if required else {})}
        if operation.body is None:
            own |= {"body": False, "body_file": False}
        else:
            own |= {"body": self._body(raw["body"]), **self._beside_body()}
            if operation.body_required:
                schema |= {"if": {"required": ["body_file"]}, "else": {"required": ["body"]}}
        return schema

    def _id(self) -> Schema:
        self._definitions["id"] = {
            **as_written(self._language["call"]["properties"]["id"]),
            "minimum": 0,
            "pattern": rf"^[^/\\?#%\s]+$|{HOLDS}",
            "patternErrorMessage": "must be the id of one entity, or an expression",
        }
        return ref("id")

    def _params(self, operation: Operation, raw: Mapping[str, Any]) -> Schema:
        notes = notes_of(self._language["call"]["properties"]["params"])
        if not raw:
            self._definitions["no.params"] = {
                **opened({"type": "object"}), "additionalProperties": False, "doNotSuggest": True
            }  # fmt: skip
            return ref("no.params")
        own = {key: {**self._value(part["schema"]), **notes_of(part)} for key, part in raw.items()}
        required = [key for key, part in operation.parameters.items() if part.required]
        closed = {} if operation.open_query else {"additionalProperties": False}
        return {**notes, **opened({"type": "object"}), "properties": own, "required": required,
                **closed}  # fmt: skip

    def _beside_body(self) -> Schema:
        for key in ("body_file", "raw"):
            own = self._language["call"]["properties"][key]
            self._definitions[f"call.{key}"] = self._own_key(key, own, literal=False)
        return {key: ref(f"call.{key}") for key in ("body_file", "raw")}

    def _body(self, schema: Mapping[str, Json]) -> Schema:
        """A body; where it wants fields that its type does not, the type's fields are named."""
        if schema.keys() <= {"type_of", "description"} or "type_of" not in schema:
            return self._value(schema)
        name = schema["type_of"]
        whole = {**self._types[name], **schema}
        fields = {key: ref(f"{name}/properties/{key}") for key in self._types[name]["properties"]}
        self._type(name)
        return {**self._value({**whole, "type_of": None, "properties": {}}), "properties": fields}

    # -- values ---------------------------------------------------------------------------------

    def _value(self, schema: Mapping[str, Json]) -> Schema:
        """A value that may hold expressions."""
        if schema.get("type_of"):
            return {**self._type(schema["type_of"]), **notes_of(schema)}
        if "type" in schema and not schema.keys() & BINDING:
            return {**self._plain(schema), **notes_of(schema)}
        own = {**notes_of(schema), **opened(schema)}
        own |= {key: schema[key] for key in BOUNDS if key in schema}
        if "properties" in schema:
            fields = schema["properties"].items()
            own["properties"] = {key: self._value(part) for key, part in fields}
        if "items" in schema:
            own["items"] = self._value(schema["items"])
        if "additionalProperties" in schema:
            more = schema["additionalProperties"]
            own["additionalProperties"] = self._value(more) if isinstance(more, dict) else more
        return own

    def _plain(self, schema: Mapping[str, Json]) -> Schema:
        """A value of which nothing but the type is asked."""
        name = "-".join(kinds_of(schema))
        self._definitions[name] = opened(schema)
        return ref(name)

    def _type(self, name: str) -> Schema:
        if name not in self._definitions:
            self._definitions[name] = {}  # a type may hold itself
            self._definitions[name] = self._value(self._types[name])
        return ref(name)


def _shell(part: Mapping[str, Any], marker: str) -> Schema:
    """The type of the key that makes a step what it is, so that editors open it rightly."""
    return {"type": kinds_of(part["properties"][marker])[0]}


def _about(operation: Operation) -> Schema:
    """An operation for people: what it does, its call, and what to know of it."""
    call = f"`{operation.method} {operation.path}`, {_EFFECTS[operation.effect]}"
    notes = "".join(f"\n* {note}" for note in operation.notes)
    text = f"{operation.description}\n\n{call}" + (f"\n{notes}" if notes else "")
    return {"description": operation.description, "markdownDescription": text}
