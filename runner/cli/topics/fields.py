"""Fields of a body and parameters: their types, what they refer to, and the fields below them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from runner.catalogue import Catalogue, Operation
from runner.cli.topics.layout import Page
from runner.lint import FIELD_RULES
from runner.lint.hooks import Hooks
from runner.model import Json

Schema = Mapping[str, Any]

_TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "mapping",
    "array": "list",
    "null": "null",
}
_SEVERAL = {
    "string": "texts",
    "integer": "whole numbers",
    "number": "numbers",
    "boolean": "true or false",
    "object": "mappings",
    "array": "lists",
    "null": "nulls",
}
_KINDS = {
    "metrics": "metrics",
    "columns": "columns",
    "conversion_columns": "columns of conversions",
}


def field(operation: Operation, path: list[str], catalogue: Catalogue, page: Page) -> None:
    """Explain one field, which `path` leads to. Raises KeyError with the path and what there is."""
    schema, required = _walk(operation, path)
    page.text(f"{operation}.{'.'.join(path)}: {kind_of(schema, required=required)}")
    page.blank()
    page.text(schema.get("description", ""))
    remarks = list(_remarks(schema))
    if remarks:
        page.heading("notes")
        page.items(remarks)
    inner = schema.get("items", schema) if "items" in schema else schema
    if inner.get("properties"):
        page.heading("fields of each item" if "items" in schema else "fields")
        page.entries(rows(inner))
    report_names(operation, catalogue, page, ".".join(path))


def _walk(operation: Operation, path: list[str]) -> tuple[Schema, bool]:
    parameters = {name: parameter.schema for name, parameter in operation.parameters.items()}
    if path[0] == "params" and len(path) > 1:
        path = path[1:]
    elif path[0] == "body" and len(path) > 1:
        path, parameters = path[1:], {}
    if path[0] in parameters and len(path) == 1:
        parameter = operation.parameters[path[0]]
        return {**parameter.schema, "description": parameter.description}, parameter.required
    schema: Schema = operation.body or {}
    required = False
    for depth, raw in enumerate(path):
        inner: Schema = schema.get("items", schema) if "items" in schema else schema
        name = raw.removesuffix("[]")
        known = inner.get("properties", {})
        if name not in known:
            raise KeyError(path[: depth + 1], [*known, *(parameters if depth == 0 else ())])
        schema, required = known[name], name in inner.get("required", ())
    return schema, required


def rows(schema: Schema) -> Iterator[tuple[str, str, str]]:
    """Name, kind and description of each field of a mapping; those that are required first."""
    needed = schema.get("required", ())
    properties = schema.get("properties", {})
    for name in sorted(properties, key=lambda name: name not in needed):
        part = properties[name]
        yield name, kind_of(part, required=name in needed), part.get("description", "")


def kind_of(schema: Schema, *, required: bool = False) -> str:
    """What a value may be, in words: `list of texts; required`."""
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else list(types)
    words = " or ".join(_word(name, schema) for name in types) or "any value"
    if "enum" in schema:
        words = "one of " + ", ".join(schema["enum"])
    parts = [words, "required" if required else ""]
    if "default" in schema:
        parts.append(f"default {_shown(schema['default'])}")
    if schema.get("x-secret"):
        parts.append("secret")
    return "; ".join(part for part in parts if part)


def _word(name: str, schema: Schema) -> str:
    inner = schema.get("items")
    if name != "array" or not inner or not isinstance(inner.get("type"), str):
        return _TYPES[name]
    return f"list of {_SEVERAL[inner['type']]}"


def _shown(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _remarks(schema: Schema) -> Iterator[str]:
    refers = schema.get("x-refers-to")
    if refers:
        params = ", ".join(f"{name} {value}" for name, value in refers.get("params", {}).items())
        article = "an" if refers["resource"][0] in "aeiou" else "a"
        yield f"The id of {article} {refers['resource']}{f' of {params}' if params else ''}."
    names = schema.get("x-named-in")
    if names:
        yield f"The {names['field']} of one that {names['resource']}.getAll lists."
    if schema.get("x-replaces"):
        yield "An update with this list replaces all that was there: read, change, write back."
    if schema.get("x-secret"):
        yield "A secret: take it from an input with 'secret: true' and 'env:'."
    if "x-sent-as" in schema:
        yield f"Sent as {_TYPES[schema['x-sent-as']]}, however it is written."
    for word, said in (("minimum", "At least"), ("maximum", "At most")):
        if word in schema:
            yield f"{said} {schema[word]}."


def report_names(
    operation: Operation, catalogue: Catalogue, page: Page, path: str | None = None
) -> None:
    """List the names that an operation, or one of its fields, takes from reports.json."""
    kinds: dict[str, None] = {}
    rules: set[str] = set()
    for where, rule, argument in Hooks(FIELD_RULES).paths(str(operation)):
        if path is None or where.replace("[]", "") == path:
            rules.add(rule)
            if rule == "name":
                kinds |= dict.fromkeys(argument)
    known = catalogue.reports
    for kind in sorted(kinds, key=list(_KINDS).index):
        page.heading(_KINDS[kind])
        page.table(known[kind].items())
    if "interval" in rules:
        page.heading("intervals")
        page.text(", ".join(known["intervals"]), 2)
    if "operator" in rules:
        page.heading("operators, and what each compares with")
        page.table(known["operators"].items())
