"""The catalogue against the official specification (2022): every departure is on purpose."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from runner.catalogue import Catalogue, Operation

SPEC = Path(__file__).parents[2] / "shared" / "keitaro" / "openapi.json"

pytestmark = pytest.mark.skipif(
    not SPEC.is_file(), reason="the official specification is not beside this checkout"
)


class Difference(NamedTuple):
    """One place where the catalogue says something else than the specification.

    `kind`: `extra` and `missing` fields, `wider` and `narrower` types or enums, `relaxed` and
    `stricter` about what is required, `shape` where an answer is another kind of value. `field`
    is dotted; the items of a list add no name of their own.
    """

    resource: str
    part: str
    kind: str
    field: str


class Departure(NamedTuple):
    """The same on purpose, for several fields (patterns, with spaces between), and why."""

    resource: str
    part: str
    kind: str
    fields: str
    why: str


# Called otherwise here, where two ids would meet or `id` would be another entity's.
RENAMED = {"stream.getAll": {"id": "campaign_id"}}

# Calls that the specification lacks, and where they are known from.
OUTSIDE = {
    "campaign.cleanArchive": "the newer official specification has it",
    "offer.restore": "two public clients have it",
    "offer.getDeleted": "two public clients have it",
    "affiliateNetwork.restore": "two public clients have it",
    "domain.getIp": "two public clients have it",
    "domain.register": "two public clients have it",
    "api.get": "any path",
    "api.post": "any path",
    "api.put": "any path",
    "api.delete": "any path",
}

# Answers that the specification declares as something else than trackers send.
MISDECLARED = {
    "campaign.delete": "a domain is declared, a campaign comes",
    "campaign.restore": "a domain is declared, a campaign comes",
    "domain.create": "a list is declared, one domain comes",
    "stream.getEvents": "a stream is declared, events come",
}

_NULL = "null empties the field, and what was read may hold null"
_LIVE = "seen on live trackers"
_BACK = "entries are written back as they were read"
_NUMBER = "declared as text, numbers are what people write; sent as text"
_WHOLE = "a count of rows is a whole number"
_CLOSED = "the words are listed in the description, not in the schema"

DEPARTURES = [
    Departure("user", "body", "extra", "access_data.*_selected_entities access_data.rules", _LIVE),
    Departure("user", "body", "extra", "access_data.allowed_resources", _BACK),
    Departure(
        "user",
        "response",
        "extra",
        "access_data.*_selected_entities access_data.rules *_selected_entities rules state "
        "permissions key_count keyCount",
        _LIVE,
    ),
    Departure("campaign", "query", "extra", "limit offset", "the newer specification has paging"),
    Departure(
        "campaign",
        "body",
        "extra",
        "position traffic_loss uniqueness_method uniqueness_use_cookies",
        _LIVE,
    ),
    Departure("campaign", "body", "extra", "parameters.sub_id_*", "reports have thirty sub ids"),
    Departure("campaign", "body", "wider", "group_id", _NUMBER),
    Departure("campaign", "body", "wider", "cost filters.*", _NUMBER),
    Departure("campaign", "body", "wider", "cost_type", "more kinds are declared on reading"),
    Departure(
        "campaign",
        "body",
        "wider",
        "bind_visitors cost_currency domain_id notes traffic_source_id parameters "
        "parameters.*.name parameters.*.placeholder parameters.*.alias "
        "postbacks.id postbacks.campaign_id",
        _NULL,
    ),
    Departure(
        "campaign", "body", "wider", "postbacks.statuses", "newer trackers have types of their own"
    ),
    Departure(
        "campaign",
        "response",
        "extra",
        "domain domain_id group streams streams_count traffic_loss uniqueness_method "
        "uniqueness_use_cookies",
        _LIVE,
    ),
    Departure(
        "campaign", "response", "extra", "parameters.sub_id_*", "reports have thirty sub ids"
    ),
    Departure("campaign", "response", "extra", "success", "no answer is declared for updateCosts"),
    Departure("stream", "body", "extra", "action_payload offer_selection", _LIVE),
    Departure(
        "stream",
        "body",
        "extra",
        "filters.created_at filters.oid filters.stream_id filters.updated_at landings.created_at landings.id landings.stream_id "
        "landings.updated_at offers.created_at offers.id offers.stream_id offers.updated_at "
        "triggers.created_at triggers.enabled triggers.next_run_at triggers.oid triggers.taget "
        "triggers.updated_at",
        _BACK,
    ),
    Departure(
        "stream",
        "body",
        "relaxed",
        "triggers.stream_id",
        "a stream that is being created has no id yet",
    ),
    Departure(
        "stream",
        "body",
        "wider",
        "filters.payload",
        "its form depends on the filter: list, text, mapping or null",
    ),
    Departure(
        "stream",
        "body",
        "wider",
        "action_options comments triggers.alternative_urls triggers.av_settings "
        "triggers.grab_from_page triggers.interval triggers.pattern triggers.selected_page "
        "triggers.stream_id",
        _NULL,
    ),
    Departure("stream", "response", "extra", "created_at offer_selection", _LIVE),
    Departure("stream", "response", "extra", "triggers.target", "the specification says `taget`"),
    Departure("landing", "body", "wider", "group_id", _NUMBER),
    Departure("landing", "body", "wider", "action_payload notes url", _NULL),
    Departure("offer", "body", "narrower", "offer_type", _CLOSED),
    Departure("offer", "body", "narrower", "alternative_offer_id", "an id is a whole number"),
    Departure(
        "offer",
        "body",
        "wider",
        "action_payload affiliate_network_id alternative_offer_id conversion_timezone country "
        "daily_cap group_id notes payout_currency",
        _NULL,
    ),
    Departure("offer", "response", "extra", "group offer_type values", _LIVE),
    Departure("affiliateNetwork", "body", "wider", "notes offer_param postback_url", _NULL),
    Departure("source", "body", "stricter", "name", "a source without a name cannot be found"),
    Departure("source", "body", "extra", "parameters.sub_id_*", "reports have thirty sub ids"),
    Departure(
        "source",
        "body",
        "wider",
        "notes postback_url template_name traffic_loss parameters "
        "parameters.*.name parameters.*.placeholder parameters.*.alias",
        _NULL,
    ),
    Departure("source", "response", "extra", "parameters.sub_id_*", "reports have thirty sub ids"),
    Departure("domain", "body", "relaxed", "is_ssl", "required, but not described; not needed"),
    Departure("domain", "body", "extra", "admin_dashboard group_id", _LIVE),
    Departure(
        "domain",
        "body",
        "extra",
        "is_ssl state allow_indexing ssl_redirect wildcard",
        "each is declared for only one of create and update",
    ),
    Departure("domain", "body", "wider", "default_campaign_id notes", _NULL),
    Departure(
        "domain",
        "response",
        "extra",
        "check_retries default_campaign_id error_description error_solution group group_id is_ssl "
        "next_check_at ssl_data ssl_status status",
        _LIVE,
    ),
    Departure("group", "query", "wider", "type", "newer trackers have groups of domains"),
    Departure("group", "body", "wider", "type", "newer trackers have groups of domains"),
    Departure("group", "body", "extra", "position", "the official sample sends it"),
    Departure(
        "stats", "body", "extra", "dimensions measures", "newer words for grouping and metrics"
    ),
    Departure("stats", "body", "extra", "columns limit offset summary", _LIVE),
    Departure("stats", "body", "narrower", "filters.operator range.interval", _CLOSED),
    Departure("stats", "body", "wider", "filters.expression", "lists, for IN_LIST and BETWEEN"),
    Departure("stats", "response", "shape", "rows", "rows are declared as texts, mappings come"),
    Departure("stats", "response", "extra", "summary", _LIVE),
    Departure(
        "click",
        "body",
        "extra",
        "costs.timezone costs.currency",
        "required in each entry, but described for the whole only",
    ),
    Departure("click", "body", "narrower", "filters.operator range.interval", _CLOSED),
    Departure("click", "body", "narrower", "limit offset", _WHOLE),
    Departure("click", "body", "wider", "costs.cost costs.filters.*", _NUMBER),
    Departure("click", "body", "wider", "only_campaign_uniques", "true reads better; sent as 1"),
    Departure("click", "body", "wider", "filters.expression", "lists, for IN_LIST and BETWEEN"),
    Departure("click", "response", "shape", "rows", "rows are declared as texts, mappings come"),
    Departure("click", "response", "extra", "summary", "the log answers in the form of a report"),
    Departure("conversion", "body", "narrower", "filters.operator range.interval", _CLOSED),
    Departure("conversion", "body", "narrower", "limit offset", _WHOLE),
    Departure("conversion", "body", "wider", "filters.expression", "lists, for IN_LIST, BETWEEN"),
    Departure("conversion", "response", "shape", "rows", "rows are declared as texts"),
    Departure("conversion", "response", "extra", "summary", "the form is that of a report"),
    Departure("facebook", "body", "wider", "ad_account_id", "people write the id as a number"),
    Departure("facebook", "body", "wider", "proxy.login proxy.password", _NULL),
]


@cache
def _spec() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(SPEC.read_text())
    return content


@cache
def _operations() -> dict[str, Operation]:
    catalogue = Catalogue()
    found = [resource for name in catalogue.names if (resource := catalogue.resource(name))]
    return {str(each): each for resource in found for each in resource.operations.values()}


def _anonymous(path: str) -> str:
    return re.sub(r"\{\w+\}", "{}", path)


@cache
def _calls() -> dict[tuple[str, str], dict[str, Any]]:
    """The calls of the specification by method and path, the placeholders without their names."""
    return {
        (method.upper(), _anonymous(path)): {**call, "path": path}
        for path, methods in _spec()["paths"].items()
        for method, call in methods.items()
    }


@cache
def _pairs() -> dict[str, tuple[Operation, dict[str, Any]]]:
    keys = {name: (each.method, _anonymous(each.path)) for name, each in _operations().items()}
    return {
        name: (_operations()[name], _calls()[key]) for name, key in keys.items() if key in _calls()
    }


def _names(path: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", path)


def _flat(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without references, `allOf` merged, alternatives as a list of types."""
    if "$ref" in schema:
        return _flat(_spec()["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]])
    flat = {"properties": {}, "required": [], **schema}
    for part in map(_flat, schema.get("allOf", [])):
        flat["type"] = "object"
        flat["properties"] = flat["properties"] | part["properties"]
        flat["required"] = flat["required"] + part["required"]
    for word in ("oneOf", "anyOf"):
        if word in schema:
            flat["type"] = [_flat(part)["type"] for part in schema[word]]
    return flat


def _types(schema: dict[str, Any]) -> set[str] | None:
    """The types that the schema takes, None for any; an integer is a number too."""
    if "type" not in schema:
        return None
    types = {schema["type"]} if isinstance(schema["type"], str) else set(schema["type"])
    return types | {"integer"} if "number" in types else types


def _words(schema: dict[str, Any]) -> set[str] | None:
    return set(schema["enum"]) if "enum" in schema else None


def _breadth(theirs: set[str] | None, ours: set[str] | None) -> Iterator[str]:
    if theirs is not None and (ours is None or ours - theirs):
        yield "wider"
    if ours is not None and (theirs is None or theirs - ours):
        yield "narrower"


def _leaf(theirs: dict[str, Any], ours: dict[str, Any]) -> Iterator[str]:
    """How the types and the words of what is sent differ."""
    yield from _breadth(_types(theirs), _types(ours))
    yield from _breadth(_words(theirs), _words(ours))


def _build(schema: dict[str, Any]) -> set[str]:
    types = _types(schema) or {"array", "object", "string"}
    return {each if each in ("array", "object") else "scalar" for each in types - {"null"}}


def _demands(theirs: dict[str, Any], ours: dict[str, Any]) -> Iterator[tuple[str, str]]:
    wanted, taken = set(theirs["required"]), set(ours.get("required", []))
    yield from (("relaxed", name) for name in wanted - taken)
    yield from (("stricter", name) for name in taken - wanted)


def _compare(
    theirs: dict[str, Any],
    ours: dict[str, Any],
    where: str = "",
    *,
    written: bool,
    above: tuple[str, ...] = (),
) -> Iterator[tuple[str, str]]:
    """Kind and field of each difference; of what is read only names and shapes are compared."""
    reference = theirs.get("$ref", "")
    if reference and reference in above:
        return
    above = (*above, reference)
    theirs = _flat(theirs)
    here = f"{where}." if where else ""
    if written:
        yield from ((kind, where) for kind in _leaf(theirs, ours))
        yield from ((kind, here + name) for kind, name in _demands(theirs, ours))
    elif theirs.get("type") and _build(theirs) - _build(ours):
        yield "shape", where
    known = ours.get("properties", {})
    yield from (("extra", here + name) for name in known.keys() - theirs["properties"].keys())
    yield from (("missing", here + name) for name in theirs["properties"].keys() - known.keys())
    for name in theirs["properties"].keys() & known.keys():
        part = theirs["properties"][name]
        yield from _compare(part, known[name], here + name, written=written, above=above)
    if "items" in theirs and "items" in ours:
        yield from _compare(theirs["items"], ours["items"], where, written=written, above=above)


def _sent(call: dict[str, Any]) -> dict[str, Any] | None:
    content = call.get("requestBody", {}).get("content", {})
    return next((each["schema"] for each in content.values()), None)


def _answered(call: dict[str, Any]) -> dict[str, Any]:
    good = next(answer for code, answer in call["responses"].items() if code.startswith("2"))
    return next((each["schema"] for each in good.get("content", {}).values()), {})


def _query(operation: Operation, call: dict[str, Any]) -> Iterator[tuple[str, str]]:
    renamed = dict(zip(_names(call["path"]), _names(operation.path), strict=True))
    theirs = {renamed.get(each["name"], each["name"]): each for each in call.get("parameters", [])}
    theirs.pop("id", None)
    ours = operation.parameters
    yield from (("extra", name) for name in ours.keys() - theirs.keys())
    yield from (("missing", name) for name in theirs.keys() - ours.keys())
    for name in theirs.keys() & ours.keys():
        if theirs[name]["in"] != ours[name].where:
            yield "shape", name
        if theirs[name].get("required", False) != ours[name].required:
            yield "stricter" if ours[name].required else "relaxed", name
        yield from ((kind, name) for kind in _leaf(theirs[name]["schema"], dict(ours[name].schema)))


def _response(operation: Operation, call: dict[str, Any]) -> set[tuple[str, str]]:
    return set(_compare(_answered(call), dict(operation.response), written=False))


@cache
def _differences() -> frozenset[Difference]:
    found: set[Difference] = set()
    for name, (operation, call) in _pairs().items():
        parts: dict[str, set[tuple[str, str]]] = {"query": set(_query(operation, call))}
        body = _sent(call)
        if body is not None and operation.body is not None:
            parts["body"] = set(_compare(body, dict(operation.body), written=True))
        if name not in MISDECLARED:
            parts["response"] = _response(operation, call)
        for part, pairs in parts.items():
            found |= {Difference(operation.resource, part, *pair) for pair in pairs}
    return frozenset(found)


def _covers(row: Departure, difference: Difference) -> bool:
    same = row[:3] == difference[:3]
    return same and any(fnmatchcase(difference.field, each) for each in row.fields.split())


def _listed(pattern: str, text: str) -> list[str]:
    """The names that a passage of the specification lists; `sub_id_1..10` stands for ten."""
    found: list[str] = []
    for name in re.findall(pattern, text):
        stem, dots, last = name.partition("1..")
        found += [f"{stem}{number}" for number in range(1, int(last) + 1)] if dots else [name]
    return found


def test_every_call_is_reached_once():
    """Each of the 107 calls belongs to exactly one operation, by method and path."""
    reached = Counter(
        (each.method, _anonymous(each.path))
        for name, each in _operations().items()
        if name not in OUTSIDE
    )

    assert len(_calls()) == 107
    assert reached == Counter(_calls().keys())


def test_calls_outside_the_specification_are_listed():
    """An operation that the specification lacks names where it is known from."""
    assert set(_operations()) - set(_pairs()) == set(OUTSIDE)


def test_renamed_placeholders_are_listed():
    """The parts of a path keep their names, but for those that are listed."""
    renamed = {
        name: {old: new for old, new in zip(*names, strict=True) if old != new}
        for name, (operation, call) in _pairs().items()
        if (names := (_names(call["path"]), _names(operation.path))) and names[0] != names[1]
    }

    assert renamed == RENAMED


def test_bodies_stand_where_they_are_declared():
    """An operation takes a body, and insists on it, exactly where the specification says so."""
    for name, (operation, call) in _pairs().items():
        declared = call.get("requestBody", {})
        assert (operation.body is not None) == bool(declared), name
        assert operation.body_required == declared.get("required", False), name


def test_downloads_are_marked():
    """Exactly the calls that answer bytes are marked as downloads."""
    bytes_come = {
        name
        for name, (_, call) in _pairs().items()
        if any(
            "application/octet-stream" in each.get("content", {})
            for each in call["responses"].values()
        )
    }

    assert {name for name, each in _operations().items() if each.downloads} == bytes_come


def test_nothing_departs_unlisted():
    """Fields, types, words and requirements are those of the specification, or in the table."""
    unlisted = {
        difference
        for difference in _differences()
        if not any(_covers(row, difference) for row in DEPARTURES)
    }

    assert unlisted == set()


@pytest.mark.parametrize("row", DEPARTURES, ids=lambda row: ".".join(row[:3]))
def test_departure_still_occurs(row):
    """Each row of the table, and each field in it, still has something to excuse."""
    idle = {
        pattern
        for pattern in row.fields.split()
        if not any(_covers(row._replace(fields=pattern), each) for each in _differences())
    }

    assert idle == set()
    assert row.why


@pytest.mark.parametrize("name", MISDECLARED)
def test_wrong_answer_is_still_declared(name):
    """An answer that is left out of the comparison would not pass it."""
    assert {kind for kind, _ in _response(*_pairs()[name])} & {"missing", "shape"}


def test_names_of_reports_are_known():
    """Every operator, metric, column and interval that the specification lists is known."""
    text = _spec()["paths"]["/report/build"]["post"]["description"]
    operators, _, rest = text.partition("Field 'metrics'")
    metrics, _, rest = rest.partition("Field 'columns'")
    columns, _, conversions = rest.partition("Conversions Specific")
    item = r'<div class="li">\s*([\w.]+)'
    interval = _spec()["components"]["schemas"]["RangeRequest"]["properties"]["interval"]
    listed = interval["description"].partition(":")[2].replace(",", " ").split()
    reports = Catalogue().reports

    assert set(re.findall(r'"col0[^"]*">\s*([A-Z_]{4,})', operators)) == set(reports["operators"])
    assert set(_listed(item, metrics)) <= set(reports["metrics"])
    assert set(_listed(item, columns)) <= set(reports["columns"])
    assert set(_listed(item, conversions)) == set(reports["conversion_columns"])
    assert listed == reports["intervals"]
