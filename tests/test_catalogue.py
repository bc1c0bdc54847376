"""The catalogue as data: complete, consistent, described; and the lookups on it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from runner.catalogue import Catalogue, Operation, bundled
from runner.errors import CatalogueError
from runner.model import Effect

_FILES = "download getStructure getFile addFile updateFile removeFile"
RESOURCES = {
    "user": "getAll get create update delete updateAccess",
    "campaign": "getAll get create update delete clone enable disable restore getDeleted "
    "cleanArchive updateCosts",
    "stream": "getAll get create update delete enable disable restore getDeleted search getEvents",
    "streamType": "getAll",
    "streamSchema": "getAll",
    "filter": "getAll",
    "streamAction": "getAll",
    "landing": f"getAll get create update delete clone {_FILES}",
    "offer": f"getAll get create update delete clone {_FILES} restore getDeleted",
    "affiliateNetwork": "getAll get create update delete clone restore",
    "source": "getAll get create update delete clone",
    "domain": "getAll get create update delete check restore getDeleted getIp register",
    "group": "getAll create update delete",
    "stats": "getAll",
    "label": "getAll update",
    "click": "getAll updateCosts clean",
    "conversion": "getAll",
    "bot": "getAll update delete add exclude",
    "log": "getTypes getAll delete",
    "avscan": "get update",
    "imklo": "get update",
    "facebook": "getAll get create update delete getCampaigns attachCampaign detachCampaign",
    "api": "get post put delete",
}
OPERATION_KEYS = {
    "description", "method", "path", "effect", "repeatable", "params", "body", "body_required",
    "response", "unwrap", "downloads", "archives", "unbounded", "natural_key", "lookups",
    "lookup_params", "open_query", "notes",
}  # fmt: skip
# What the quick checks understand; another keyword would send every value to the slow ones.
BODY_KEYWORDS = {
    "type", "description", "properties", "additionalProperties", "required", "items", "enum",
    "pattern", "default", "examples", "minimum", "maximum", "minLength", "x-sent-as",
    "x-refers-to", "x-named-in", "x-replaces", "x-secret", "x-says", "x-given",
    "x-meant", "x-returned",
}  # fmt: skip
_CATALOGUE = Catalogue()
OPERATIONS = [
    operation
    for name in _CATALOGUE.names
    if (resource := _CATALOGUE.resource(name))
    for operation in resource.operations.values()
]
each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=str)


@cache
def _raw(name: str) -> Any:
    return json.loads((bundled("schemas") / name).read_bytes())


def _schemas(schema: Any, where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema within the schema, with its dotted name; itself first."""
    yield where, schema
    for name, part in schema.get("properties", {}).items():
        yield from _schemas(part, f"{where}.{name}")
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            yield from _schemas(schema[word], f"{where}[]")


def _types_named(data: Any) -> set[str]:
    parts = (
        list(data.values()) if isinstance(data, dict) else data if isinstance(data, list) else []
    )
    here = {data["type_of"]} if isinstance(data, dict) and "type_of" in data else set()
    return here.union(*map(_types_named, parts))


def _written(operation: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
    if operation.body is not None:
        yield from _schemas(operation.body)
    for name, parameter in operation.parameters.items():
        yield name, dict(parameter.schema)


def test_names_are_those_of_the_design():
    """The resources are exactly the promised ones, in that order, and so are their operations."""
    found = {
        name: list(resource.operations)
        for name in _CATALOGUE.names
        if (resource := _CATALOGUE.resource(name))
    }

    assert found == {name: words.split() for name, words in RESOURCES.items()}
    assert list(found) == list(RESOURCES)


def test_each_resource_has_one_file():
    """Every file of a resource is in the index, and no other file lies beside them."""
    files = sorted(path.name for path in (bundled("schemas") / "resources").iterdir())

    assert files == sorted(f"{name}.json" for name in RESOURCES)


@pytest.mark.parametrize(
    ("resource", "name"),
    [("campaigns", "getAll"), ("campaign", "list"), ("", ""), ("../index", "get")],
)
def test_unknown_names_give_none(resource, name):
    """What the catalogue does not know is None, not an exception."""
    assert _CATALOGUE.operation(resource, name) is None


def test_files_are_read_when_asked_for(tmp_path):
    """A run that touches one resource reads no other's file, nor the lists for reports."""
    shutil.copytree(bundled("schemas"), tmp_path / "schemas")
    for name in ("resources/offer.json", "reports.json", "countries.json"):
        (tmp_path / "schemas" / name).write_text("{")

    catalogue = Catalogue(tmp_path / "schemas")

    assert catalogue.operation("campaign", "create") is not None
    with pytest.raises(CatalogueError, match=r"cannot read the bundled file offer\.json"):
        catalogue.resource("offer")


def test_unknown_type_is_told(tmp_path):
    """A schema that names a type which does not exist is a broken catalogue."""
    shutil.copytree(bundled("schemas"), tmp_path / "schemas")
    (tmp_path / "schemas" / "types.json").write_text("{}")

    with pytest.raises(CatalogueError, match="unknown type 'user'"):
        Catalogue(tmp_path / "schemas").resource("user")


def test_types_are_all_named_and_all_used():
    """Every `type_of` names a type, and every type is used by an operation or another type."""
    files = [_raw(f"resources/{name}.json") for name in RESOURCES]

    assert _types_named([*files, _raw("types.json")]) == set(_raw("types.json"))


def test_cycle_of_types_ends():
    """A folder holds files that may be folders: the type is spelled out once, then left open."""
    operation = _CATALOGUE.operation("landing", "getStructure")

    assert operation is not None
    children = operation.response["properties"]["children"]
    assert children["items"] == {"type": "object"}


@pytest.mark.parametrize("name", RESOURCES)
def test_resource_files_hold_known_keys_only(name):
    """A misspelt key in a file would be passed over in silence, so there is none."""
    raw = _raw(f"resources/{name}.json")

    assert set(raw) == {"description", "operations"}
    for operation in raw["operations"].values():
        assert set(operation) <= OPERATION_KEYS
        for parameter in operation.get("params", {}).values():
            assert set(parameter) <= {"in", "schema", "description", "required"}
            assert parameter["in"] in {"path", "query", "raw"}


@each_operation
def test_operation_is_described(operation):
    """Each operation says in one line what it does, and its parameters what they are."""
    assert re.fullmatch(r"[A-Z][^\n]{8,90}\.", operation.description)
    assert all(parameter.description for parameter in operation.parameters.values())
    assert all(note.endswith((".", "…", "?")) for note in operation.notes)


@each_operation
def test_path_is_filled_by_id_and_parameters(operation):
    """Every placeholder of the path is the id or a required parameter, and the other way round."""
    filled = {
        name: parameter.required
        for name, parameter in operation.parameters.items()
        if parameter.where != "query"
    }

    placeholders = re.findall(r"\{(\w+)\}", operation.path)

    assert sorted(placeholders) == sorted([*filled, *(["id"] if operation.needs_id else [])])
    assert all(filled.values())


@each_operation
def test_effect_agrees_with_method(operation):
    """A GET reads, a DELETE never does, and whatever only reads may be repeated."""
    reads = operation.effect is Effect.READS

    assert reads or operation.method != "GET"
    assert operation.method != "DELETE" or not reads
    assert operation.repeatable or not reads
    assert not operation.archives or operation.effect is Effect.DESTROYS
    assert operation.unbounded is None or operation.effect is Effect.DESTROYS


@pytest.mark.parametrize("name", ["create", "clone", "register", "addFile", "cleanArchive", "post"])
def test_makers_are_not_repeatable(name):
    """Whatever makes something new, or destroys what came since, is not sent twice."""
    found = [operation for operation in OPERATIONS if operation.name == name]

    assert found
    assert not any(operation.repeatable for operation in found)


@each_operation
def test_schemas_are_valid(operation):
    """Bodies, parameters and answers are correct JSON Schema, with the keywords in use here."""
    for schema in (operation.response, *(each.schema for each in operation.parameters.values())):
        Draft202012Validator.check_schema(schema)
    for where, schema in _written(operation):
        Draft202012Validator.check_schema(schema)
        assert set(schema) <= BODY_KEYWORDS, where


@each_operation
def test_fields_are_described(operation):
    """Each field, written or read, has a description: it is what people see when they ask."""
    bodies = [operation.body] if operation.body is not None else []
    nameless = {
        where
        for schema in (*bodies, operation.response)
        for where, part in _schemas(schema)
        if where and not where.endswith("[]") and not part.get("description")
    }

    assert nameless == set()


@each_operation
def test_unknown_fields_are_refused(operation):
    """What is written is closed: a field that the API does not know is an error, not a wish."""
    still_open = {
        where
        for where, schema in _written(operation)
        if "properties" in schema and schema.get("additionalProperties") in (None, True)
    }

    assert still_open == set()


@each_operation
def test_required_fields_and_defaults_fit(operation):
    """Required fields exist, and a default or example would be accepted itself."""
    for where, schema in _written(operation):
        assert set(schema.get("required", [])) <= set(schema.get("properties", {})), where
        samples = [schema["default"]] if "default" in schema else []
        for value in [*samples, *schema.get("examples", [])]:
            Draft202012Validator(schema).validate(value)


@each_operation
def test_annotations_are_meant_for_something(operation):
    """References name a resource that can be asked, conversions a type that JSON has."""
    for where, schema in _written(operation):
        if "x-refers-to" in schema:
            _check_reference(schema["x-refers-to"])
        if "x-named-in" in schema:
            listed = _CATALOGUE.operation(schema["x-named-in"]["resource"], "getAll").response
            assert schema["x-named-in"]["field"] in listed["items"]["properties"], where
        for word, key in schema.get("x-meant", {}).items():
            known = schema.get("properties", schema.get("enum", ()))
            assert key in known, where
            assert word not in known, where
        if "x-sent-as" in schema:
            assert schema["x-sent-as"] in {"string", "integer"}, where
            assert schema["x-sent-as"] in schema["type"], where
        assert "x-replaces" not in schema or schema["type"] == "array", where


def _check_reference(reference: dict[str, Any]) -> None:
    params = reference.get("params", {})
    operation = _CATALOGUE.operation(reference["resource"], "getAll" if params else "get")
    assert operation is not None
    for name, value in params.items():
        assert value in operation.parameters[name].schema["enum"]


@each_operation
def test_natural_key_can_be_looked_up(operation):
    """A natural key consists of required body fields, and its lookups can be called with them."""
    if not operation.natural_key:
        assert not operation.lookups
        assert not operation.lookup_params
        return
    required = set(operation.body["required"])
    assert operation.name == "create"
    assert set(operation.natural_key) <= required
    assert operation.lookups
    for name in operation.lookups:
        lookup = _CATALOGUE.operation(operation.resource, name)
        needed = {key for key, parameter in lookup.parameters.items() if parameter.required}
        answered = lookup.response["items"]["properties"]
        assert lookup.effect is Effect.READS
        assert needed == set(operation.lookup_params)
        assert {*operation.natural_key, "id"} <= set(answered)
    assert set(operation.lookup_params.values()) <= required


def test_natural_keys_are_those_that_trackers_enforce():
    """Only where the tracker refuses a second one can a create be told by its name."""
    assert {str(each): each.natural_key for each in OPERATIONS if each.natural_key} == {
        "campaign.create": ("alias",),
        "group.create": ("name", "type"),
        "affiliateNetwork.create": ("name",),
        "user.create": ("login",),
        "domain.create": ("name",),
    }


def test_deletes_without_a_bound_say_so():
    """What empties a whole collection says what is at stake, and when."""
    unbounded = {str(each): dict(each.unbounded) for each in OPERATIONS if each.unbounded}

    assert {
        name: bound.get("unless_body", bound.get("always")) for name, bound in unbounded.items()
    } == {
        "campaign.cleanArchive": True,
        "click.clean": "campaign_id",
        "bot.delete": True,
        "log.delete": True,
    }
    assert all(re.match(r"(empties|wipes) ", bound["says"]) for bound in unbounded.values())
    assert "campaign_id" in _CATALOGUE.operation("click", "clean").body["properties"]


def test_archiving_deletes_are_marked():
    """Deletes that only move to the archive are told from those that are for good."""
    archiving = {each.resource for each in OPERATIONS if each.archives}

    assert archiving == {
        "campaign", "stream", "landing", "offer", "affiliateNetwork", "source", "domain",
    }  # fmt: skip
    assert all(each.unwrap for each in OPERATIONS if each.name == "clone")


def test_wrong_names_lead_to_right_ones():
    """A wrong name maps to a resource and is none itself, nor explained as living elsewhere."""
    wrong = _CATALOGUE.index["wrong_names"]

    assert set(wrong.values()) <= set(RESOURCES)
    assert not set(wrong) & (set(RESOURCES) | set(_CATALOGUE.index["elsewhere"]))
    assert {"campaigns", "landing_page", "flows", "traffic_source", "botlist", "reports"} <= set(
        wrong
    )


def test_wrong_operations_lead_to_right_ones():
    """A wrong name of an operation maps to one that some resource has."""
    wrong = _CATALOGUE.index["wrong_operations"]
    known = {operation.name for operation in OPERATIONS}

    assert set(wrong.values()) <= known
    assert not any(name == right for name, right in wrong.items())
    assert (wrong["list"], wrong["archive"], wrong["get_all"]) == ("getAll", "delete", "getAll")


@pytest.mark.parametrize(("name", "text"), _CATALOGUE.index["elsewhere"].items())
def test_elsewhere_speaks_of_what_is_lacking(name, text):
    """What the API lacks is not in the catalogue, and whatever the text points to is."""
    resource, _, operation = name.partition(".")
    pointed = re.findall(r"`([a-z]\w+)\.(\w+)`", text)

    assert (_CATALOGUE.operation(resource, operation) if operation else None) is None
    assert (resource in RESOURCES) == bool(operation)
    assert text.endswith((".", "…"))
    assert all(_CATALOGUE.operation(*names) for names in pointed)


def test_names_of_reports_are_consistent():
    """Wrong names lead to known ones and are unknown themselves; operators say what they take."""
    reports = _CATALOGUE.reports
    known = {*reports["metrics"], *reports["columns"], *reports["conversion_columns"]}
    takes = {"value", "number", "text", "pattern", "list", "pair", "none", "label"}

    assert set(reports["wrong"].values()) <= known
    assert not {*reports["wrong"], *reports["absent"]} & known
    assert set(reports["wrong_operators"].values()) <= set(reports["operators"])
    assert not set(reports["wrong_operators"]) & set(reports["operators"])
    assert set(reports["wrong_intervals"].values()) <= set(reports["intervals"])
    assert not set(reports["wrong_intervals"]) & set(reports["intervals"])
    assert set(reports["operators"].values()) == takes
    assert reports["wrong"]["traffic_source_id"] == "ts_id"


@pytest.mark.parametrize("name", ["stats", "click", "conversion"])
def test_report_bodies_know_the_same_words(name):
    """The schemas of report bodies hold the same operators and intervals as the lists for lint."""
    body = _CATALOGUE.operation(name, "getAll").body["properties"]
    reports = _CATALOGUE.reports

    assert body["range"]["properties"]["interval"]["enum"] == reports["intervals"]
    operators = body["filters"]["items"]["properties"]["operator"]["enum"]
    assert operators == list(reports["operators"])


def test_countries_are_complete():
    """All 249 codes of ISO 3166-1 are there; wrong ones lead to right ones and are none."""
    countries = _CATALOGUE.countries
    names = countries["names"]

    assert len(names) == 249
    assert all(re.fullmatch("[A-Z]{2}", code) and name for code, name in names.items())
    assert len(set(names.values())) == 249
    assert set(countries["wrong"].values()) <= set(names)
    assert not {*countries["wrong"], *countries["also"]} & set(names)
    assert countries["wrong"]["UK"] == "GB"


def test_bundled_folder_is_found_beside_the_package():
    """In a checkout the data lies at the top level."""
    assert bundled("schemas") == Path(__file__).parents[1] / "schemas"


def test_what_is_read_inside_of_an_entity_may_go_back() -> None:
    """A list that was read, changed and sent again: nothing that came with it is in the way."""
    types = json.loads((bundled("schemas") / "types.json").read_text(encoding="utf-8"))
    pairs = [(name, f"{name}Write") for name in types if f"{name}Write" in types]
    nested = {
        "streamFilter",
        "trigger",
        "streamLanding",
        "streamOffer",
        "placeholder",
        "s2sPostback",
    }
    found = {
        read: set(types[read]["properties"]) - set(types[write]["properties"])
        for read, write in pairs
        if read in nested
    }
    assert found == {name: set() for name in nested}
