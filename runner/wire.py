"""A rendered step to the request that leaves: path, query and body as the API declares them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import quote, unquote, urlencode

from runner.catalogue import Operation
from runner.model import Json

Convert = Callable[[Json], Json]


class PathError(ValueError):
    """A value that cannot be part of a path: `what` names it, the message says why."""

    def __init__(self, what: str, trouble: str) -> None:
        super().__init__(f"{what} {trouble}")


def path_part_trouble(value: Json) -> str | None:
    """Why a value cannot be a part of a path: `DELETE /offers/` would mean all of them."""
    if isinstance(value, str):
        return _text_trouble(value)
    if value is None:
        return "is null"
    if isinstance(value, bool) or not isinstance(value, int):
        return "must be a whole number or a text"
    return None if value >= 0 else "must not be negative"


def _text_trouble(value: str) -> str | None:
    if not value.strip():
        return "is empty"
    if value in {".", ".."} or any(c in "/\\?#%" or c.isspace() for c in value):
        return f"cannot be {value!r}"
    return None if value.isprintable() else "holds characters that do not print"


def build_path(operation: Operation, entity: Json, params: Mapping[str, Json]) -> str:
    """Path and query, to be appended to the address of the API. Raises PathError."""
    path = operation.path
    if operation.needs_id:
        path = path.replace("{id}", _part("the id", entity))
    query: dict[str, Json] = {}
    for name, value in params.items():
        parameter = operation.parameters.get(name)
        where = parameter.where if parameter else "query"
        if where == "path":
            path = path.replace(f"{{{name}}}", _part(f"params.{name}", value))
        elif where == "raw":
            path = _raw_path(name, value)
        elif value is not None:
            query[name] = _query_value(name, value)
    text = urlencode(query, doseq=True, quote_via=quote)
    return f"{path}{'&' if '?' in path else '?'}{text}" if text else path


def _part(what: str, value: Json) -> str:
    trouble = path_part_trouble(value)
    if trouble:
        raise PathError(what, trouble)
    return quote(str(value), safe="")


def raw_path_trouble(value: Json) -> str | None:
    """Why a value cannot be a whole path below the API: it must stay there."""
    if not isinstance(value, str) or not value.startswith("/") or len(value) < 2:
        return "must be a path that begins with '/', such as /offers"
    # Servers undo %2e and %2f before they look where a path leads.
    parts = [unquote(part) for part in value.split("?", 1)[0].split("/")[1:]]
    if any(part in {"", ".", ".."} for part in parts):
        return "must not hold empty parts, '.' or '..'"
    if any("/" in part or "\\" in part for part in parts):
        return "must not hold a '/' or a '\\' written as an escape"
    if any(c in "\\#" or c.isspace() or not c.isprintable() for c in value):
        return "holds characters that a path cannot hold"
    return None


def _raw_path(name: str, value: Json) -> str:
    trouble = raw_path_trouble(value)
    if trouble:
        raise PathError(f"params.{name}", trouble)
    return quote(str(value), safe="/?&=%:@,+;~!$'()*-._")


def _query_value(name: str, value: Json) -> Json:
    if isinstance(value, list):
        return [_query_text(f"{name}[{at}]", part) for at, part in enumerate(value)]
    return _query_text(name, value)


def _query_text(name: str, value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return str(value)
    raise PathError(f"params.{name}", "must be text, a number, or true or false")


def _as_string(value: Json) -> Json:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    # 5.0 is a whole number to JSON Schema and to people; no tracker finds an id "5.0".
    return str(int(value)) if value == value // 1 else str(value)


def _as_integer(value: Json) -> Json:
    return int(value) if isinstance(value, bool) else value


_SENT_AS: Mapping[str, Convert] = {"string": _as_string, "integer": _as_integer}


def wire_converter(schema: Mapping[str, Json] | None) -> Convert | None:
    """What turns a body into the types that the API declares; `None` where nothing is to be done.

    The official specification (2022) declares some ids and costs as strings (`x-sent-as` in the
    catalogue) where trackers take numbers too: a playbook may write either, and the declared
    type is sent.
    """
    if not isinstance(schema, Mapping):
        return None
    converter = _SENT_AS.get(schema.get("x-sent-as", ""))
    if converter is not None:
        return converter
    inner = {key: wire_converter(part) for key, part in schema.get("properties", {}).items()}
    fields = {key: convert for key, convert in inner.items() if convert is not None}
    item = wire_converter(schema.get("items"))
    if not fields and item is None:
        return None
    return lambda value: _convert(value, fields, item)


def _convert(value: Json, fields: Mapping[str, Convert], item: Convert | None) -> Json:
    if isinstance(value, dict) and fields:
        return {key: fields[key](part) if key in fields else part for key, part in value.items()}
    if isinstance(value, list) and item is not None:
        return [item(part) for part in value]
    return value
