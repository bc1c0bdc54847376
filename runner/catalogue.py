"""The API as data: reads `schemas/`, looks operations up; knows no resource by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from runner.errors import CatalogueError
from runner.model import Effect, Json

# What a step can be, each a part of language.json; the key of that name makes it one, and a
# step that has none of them is a call.
STEP_KINDS = ("block", "set", "include", "call")


def bundled(name: str) -> Path:
    """The folder `schemas` or `playbooks`: inside the wheel, else beside the package.

    A wheel carries both under `runner/_bundled`; a checkout and an editable install have them
    at the top level.
    """
    here = Path(__file__).parent
    beside = here.parent / name
    return beside if (here.parent / "pyproject.toml").is_file() else here / "_bundled" / name


class Parameter(NamedTuple):
    """A parameter beside id and body: `where` is `path`, `query` or `raw` (a whole path)."""

    name: str
    where: str
    schema: Mapping[str, Json]
    description: str = ""
    required: bool = False


class Operation(NamedTuple):
    """One thing that can be asked of one resource.

    `body` is the JSON Schema of the request body, `None` where the call has none; `response`
    that of a successful answer, empty where nothing is known of it. `repeatable` is true where
    sending it twice does no more than sending it once. `unwrap` says that trackers answer a list
    of one in place of the object, `downloads` that the answer is bytes and not JSON.

    `natural_key` names the body fields by which a create can be found again, with `lookups` the
    operations of the same resource that list the candidates, and `lookup_params` the parameters
    these need, each with the body field that it is taken from.
    """

    resource: str
    name: str
    method: str
    path: str
    description: str
    effect: Effect
    repeatable: bool
    parameters: Mapping[str, Parameter] = MappingProxyType({})
    body: Mapping[str, Json] | None = None
    body_required: bool = False
    response: Mapping[str, Json] = MappingProxyType({})
    unwrap: bool = False
    downloads: bool = False
    archives: bool = False
    unbounded: Mapping[str, Json] | None = None
    natural_key: tuple[str, ...] = ()
    lookups: tuple[str, ...] = ()
    lookup_params: Mapping[str, str] = MappingProxyType({})
    open_query: bool = False
    notes: tuple[str, ...] = ()

    @property
    def needs_id(self) -> bool:
        """Whether the path carries the entity's id."""
        return "{id}" in self.path

    def __str__(self) -> str:
        return f"{self.resource}.{self.name}"


class Resource(NamedTuple):
    """A kind of thing that the tracker keeps, with all that can be asked of it."""

    name: str
    description: str
    operations: Mapping[str, Operation]


class Catalogue:
    """All resources; each file is read when it is first asked for, since most runs need few."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or bundled("schemas")
        self._resources: dict[str, Resource] = {}
        self._inlined: dict[str, dict[str, Json]] = {}

    @cached_property
    def index(self) -> Mapping[str, Any]:
        """All names, right and wrong.

        `resources` (in order), `wrong_names` (plural and other names to the right one),
        `wrong_operations` (likewise), `elsewhere` (what the API lacks, and where that lives).
        """
        return _read(self._folder / "index.json")

    @property
    def names(self) -> list[str]:
        """The names of all resources, in the order of the documentation."""
        return list(self.index["resources"])

    @cached_property
    def reports(self) -> Mapping[str, Any]:
        """The names that reports know, and those that people use instead.

        Known: `metrics`, `columns`, `conversion_columns` (each with its description), `intervals`,
        `operators` (each with what it compares to). Wrong names to right ones: `wrong`,
        `wrong_operators`, `wrong_intervals`. `absent`: what has no right name, and why.
        """
        return _read(self._folder / "reports.json")

    @cached_property
    def countries(self) -> Mapping[str, Any]:
        """Country codes.

        `names` (ISO 3166-1 alpha-2 code to English name), `wrong` (other codes to the right one),
        `also` (codes outside the standard that geo databases use).
        """
        return _read(self._folder / "countries.json")

    @cached_property
    def language(self) -> Mapping[str, Any]:
        """The JSON Schemas of a playbook's own parts, by name; each kind of step is complete."""
        parts = _read(self._folder / "language.json")
        for kind in STEP_KINDS:
            own = parts[kind]["properties"]
            all_ = {**parts["common"], **own}
            meant = {word: key for word, key in parts["meant"].items() if key in all_}
            parts[kind] = {**parts[kind], "properties": all_, "x-meant": meant}
        return parts

    @cached_property
    def _types(self) -> Mapping[str, Any]:
        return _read(self._folder / "types.json")

    def resource(self, name: str) -> Resource | None:
        """The resource of that name, or `None`."""
        if name not in self._resources:
            if name not in self.index["resources"]:
                return None
            self._resources[name] = self._load(name)
        return self._resources[name]

    def operation(self, resource: str, name: str) -> Operation | None:
        """The operation of that name, or `None` where the resource or the operation is unknown."""
        found = self.resource(resource)
        return found.operations.get(name) if found else None

    def _load(self, name: str) -> Resource:
        raw = _read(self._folder / "resources" / f"{name}.json")
        operations = {
            key: self._operation(name, key, value) for key, value in raw["operations"].items()
        }
        return Resource(name, raw["description"], operations)

    def _operation(self, resource: str, name: str, raw: dict[str, Any]) -> Operation:
        parameters = {
            key: Parameter(
                key,
                value["in"],
                self._inline(value["schema"]),
                value.get("description", ""),
                bool(value.get("required", value["in"] != "query")),
            )
            for key, value in raw.get("params", {}).items()
        }
        body = raw.get("body")
        return Operation(
            resource=resource,
            name=name,
            method=raw["method"],
            path=raw["path"],
            description=raw["description"],
            effect=Effect(raw["effect"]),
            repeatable=raw["repeatable"],
            parameters=parameters,
            body=None if body is None else self._inline(body),
            body_required=raw.get("body_required", body is not None),
            response=self._inline(raw.get("response", {})),
            unwrap=raw.get("unwrap", False),
            downloads=raw.get("downloads", False),
            archives=raw.get("archives", False),
            unbounded=raw.get("unbounded"),
            natural_key=tuple(raw.get("natural_key", ())),
            lookups=tuple(raw.get("lookups", ())),
            lookup_params=raw.get("lookup_params", {}),
            open_query=raw.get("open_query", False),
            notes=tuple(raw.get("notes", ())),
        )

    def _inline(self, schema: Json, seen: tuple[str, ...] = ()) -> Json:
        """The schema with every `{"type_of": name}` replaced by that type, once round a cycle.

        References are resolved here and not with `$ref`, since a validator that meets none is
        several times as fast.
        """
        if isinstance(schema, list):
            return [self._inline(part, seen) for part in schema]
        if not isinstance(schema, dict):
            return schema
        own = {key: self._inline(value, seen) for key, value in schema.items() if key != "type_of"}
        name = schema.get("type_of")
        if name is None:
            return own
        if name in seen:
            return own or {"type": "object"}
        return {**self._type(name, seen), **own}

    def _type(self, name: str, seen: tuple[str, ...]) -> dict[str, Json]:
        """The named type, inlined once and then shared by all the operations that use it."""
        if name not in self._inlined:
            if name not in self._types:
                raise CatalogueError(f"the catalogue names an unknown type '{name}'")
            made = self._inline(self._types[name], (*seen, name))
            given = self._types.get(name.removesuffix("Write"), {}).get("properties", {})
            # What the tracker gives and does not take, for who sends back what was read.
            only = [key for key in given if key not in made.get("properties", {})]
            if only and made.get("additionalProperties") is False:
                made["x-given"] = only
            self._inlined[name] = made
        return self._inlined[name]


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CatalogueError(
            f"cannot read the bundled file {path.name}: {error}", "install keitaro-runner again"
        ) from error
    return content
