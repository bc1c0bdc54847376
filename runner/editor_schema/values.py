"""Values in a playbook as an editor's schema has them: their types, or an expression instead."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from runner.model import Json

Schema = dict[str, Any]

# One expression and nothing else, so that its value may be of any type; and a text that holds one.
WHOLE = r"^\$\{\{[\s\S]*\}\}$"
HOLDS = r"\$\{\{"

_WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
    "object": "a mapping",
    "array": "a list",
}
# For a value of which nothing is known: without a type, editors do not write the colon.
_ANY = ["string", "object", "array", "number", "boolean", "null"]

# What is asked beside the type: as it stands, and of what is inside.
BOUNDS = (
    "minimum", "maximum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "required",
)  # fmt: skip
BINDING = frozenset({*BOUNDS, "enum", "pattern", "properties", "items", "additionalProperties"})


def notes_of(schema: Mapping[str, Json]) -> Schema:
    """What is there for people; Markdown where it shows, since plain text comes out escaped."""
    kept = {key: schema[key] for key in ("description", "default", "examples") if key in schema}
    if "`" in kept.get("description", ""):
        kept["markdownDescription"] = kept["description"]
    return kept


def kinds_of(schema: Mapping[str, Json]) -> list[str]:
    """The types that a schema allows; none where it says nothing."""
    kinds = schema.get("type", [])
    return [kinds] if isinstance(kinds, str) else list(kinds)


def is_closed(schema: Mapping[str, Json]) -> bool:
    """Whether no text is a value of that type."""
    return bool(kinds := kinds_of(schema)) and "string" not in kinds


def expected(kinds: Iterable[str]) -> str:
    """What to tell of a text that is no expression, where one of these types belongs."""
    known = [_WORDS[kind] for kind in kinds if kind in _WORDS]
    return f"must be {', '.join(known)} or one expression: ${{{{ … }}}}"


def opened(schema: Mapping[str, Json]) -> Schema:
    """The type of a value that may also be an expression, with what binds its texts."""
    kinds = kinds_of(schema)
    if not kinds:
        return {"type": _ANY}
    if is_closed(schema):
        words = {"patternErrorMessage": expected(kinds)}
        return {"type": [*kinds, "string"], "pattern": WHOLE, **words}
    # A number where text is wanted is sent as it was typed.
    wide = kinds if "number" in kinds or "enum" in schema else [*kinds, "number"]
    return {"type": wide, **_texts(schema)}


def _texts(schema: Mapping[str, Json]) -> Schema:
    """What binds a text, unless it holds an expression."""
    if "enum" in schema:
        return {"anyOf": [{"enum": schema["enum"]}, {"type": "string", "pattern": HOLDS}]}
    if "pattern" not in schema:
        return {}
    bound: Schema = {"pattern": f"{schema['pattern']}|{HOLDS}"}
    if "x-says" in schema:
        bound["patternErrorMessage"] = schema["x-says"]
    return bound


def as_written(schema: Mapping[str, Json]) -> Schema:
    """A value of the language that cannot be an expression."""
    own = {key: value for key, value in schema.items() if not key.startswith("x-")}
    if "x-says" in schema:
        own["errorMessage"] = schema["x-says"]
    own.setdefault("type", _ANY)
    if "minimum" in own and own["minimum"] == own.get("maximum"):
        own["enum"] = [own.pop("minimum")]  # which editors offer
        del own["maximum"]
    return {**own, **notes_of(schema)}


def has(key: str, value: str) -> Schema:
    """A condition: the key is there and has that value."""
    pattern = f"^{re.escape(value)}$"
    return {
        "type": "object",
        "required": [key],
        "properties": {key: {"type": "string", "pattern": pattern}},
    }


def ref(name: str) -> Schema:
    """The definition of that name, or a part of it."""
    return {"$ref": f"#/definitions/{name}"}
