"""A playbook for each operation, made of its schemas: what it needs, and little more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from runner.catalogue import Operation, bundled
from runner.model import Json

_ID = 5
_EMPTY: dict[str, Json] = {
    "integer": _ID,
    "number": 1.5,
    "boolean": True,
    "array": [],
    "object": {},
    "null": None,
}


@cache
def _samples() -> Mapping[str, Any]:
    content: dict[str, Any] = json.loads((bundled("schemas") / "examples.json").read_bytes())
    return content


class _Dumper(yaml.SafeDumper):
    """Indents the items of lists, as people do."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)


def example(operation: Operation) -> str:
    """A playbook with one step that makes the call, as YAML."""
    step: dict[str, Json] = {"resource": operation.resource, "operation": operation.name}
    secrets: dict[str, Json] = {}
    given = _samples()["operations"].get(str(operation), {})
    if operation.needs_id:
        step["id"] = _ID
    params = given.get("params") or {
        p.name: _value(p.name, p.schema, secrets)
        for p in operation.parameters.values()
        if p.required
    }
    if params:
        step["params"] = params
    body = given.get("body", _body(operation, secrets))
    if body is not None:
        step["body"] = body
    if operation.downloads:
        step["save"] = f"{operation.resource}.zip"
    playbook: dict[str, Json] = {"version": 1}
    secrets |= _named(json.dumps(body))
    if secrets:
        playbook["inputs"] = secrets
    return yaml.dump(
        {**playbook, "steps": [step]}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=80
    )


def of_key(name: str) -> list[str]:
    """Lines of a playbook that show the use of a key; none where it shows itself."""
    lines: list[str] = _samples()["keys"].get(name, [])
    return lines


def _body(operation: Operation, secrets: dict[str, Json]) -> Json:
    schema = operation.body
    if schema is None or not operation.body_required:
        return None
    properties = schema.get("properties", {})
    chosen = list(schema.get("required", ()))
    if not chosen:
        chosen = [name for name in properties if name in _samples()["fields"]][:1]
    if not chosen:
        chosen = list(properties)[:1]
    return {name: _value(name, properties[name], secrets) for name in chosen}


def _value(name: str, schema: Mapping[str, Any], secrets: dict[str, Json]) -> Json:
    if schema.get("x-secret"):
        secrets[name] = _secret(name)
        return f"${{{{ inputs.{name} }}}}"
    if "enum" in schema:
        return schema["enum"][0]
    kinds = schema.get("type", "string")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    if kind == "array" and schema.get("items"):
        return [_value(name, schema["items"], secrets)]
    if kind == "object" and schema.get("required"):
        inner = schema["properties"]
        return {key: _value(key, inner[key], secrets) for key in schema["required"]}
    known = _samples()["fields"]
    return known[name] if name in known else _EMPTY.get(kind, name)


def _named(text: str) -> dict[str, Json]:
    """The inputs that a ready-made body refers to, all of them secrets."""
    return {
        part.split(" ", 1)[0]: _secret(part.split(" ", 1)[0])
        for part in text.split("${{ inputs.")[1:]
    }


def _secret(name: str) -> dict[str, Json]:
    return {"type": "string", "secret": True, "env": name.upper()}
