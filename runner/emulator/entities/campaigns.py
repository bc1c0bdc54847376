"""Campaigns: their fields, their archive, and copies that take their streams along."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from runner.emulator.answers import InvalidError
from runner.emulator.entities import crud
from runner.emulator.entities.crud import Entity
from runner.emulator.entities.streams import copy_stream, streams_of, view_streams
from runner.emulator.fields import Field, Kind, choice, flag, integer, number, text
from runner.emulator.routing import Call, Route, reads
from runner.emulator.state import DELETED, Row, State

_STATUSES = ("lead", "sale", "rejected", "rebill")

# The read schema knows more cost types than the write schema; all of them are taken.
_COST_TYPES = ("CPC", "CPUC", "CPM", "RevShare", "CPA", "CPS", "CPUV", "CPV")

_FIELDS = (
    text("alias", required=True),
    text("name", required=True),
    choice("type", "position", "position", "weight"),
    integer("cookies_ttl", 24),
    integer("position", None),
    choice("state", "active", "active", "disabled", "deleted"),
    choice("cost_type", "CPC", *_COST_TYPES),
    number("cost_value"),
    text("cost_currency", "USD"),
    flag("cost_auto"),
    integer("group_id"),
    choice("bind_visitors", None, "s", "sl", "slo"),
    integer("traffic_source_id"),
    Field("parameters", Kind.OBJECT, {}),
    text("token"),
    integer("domain_id"),
    Field("postbacks", Kind.ANY, []),
    text("notes"),
    choice("uniqueness_method", "ip", "ip", "ip_ua"),
    flag("uniqueness_use_cookies", default=True),
    number("traffic_loss"),
)


def _prepare(call: Call, values: Row, row: Row | None) -> Row:
    campaign_id = row["id"] if row else call.state.tables["campaigns"].next_id()
    if "postbacks" in values:
        values["postbacks"] = _postbacks(call, values["postbacks"] or [], campaign_id)
    if row is None or "token" in values:
        values["token"] = values.get("token") or (row or {}).get("token") or call.state.token()
    if values.get("position") is None and "position" in values:
        values["position"] = campaign_id
    return values


def _postbacks(call: Call, given: Any, campaign_id: int) -> list[Row]:
    """Return S2S postbacks with their ids; the array given replaces the one there was."""
    if not isinstance(given, list) or not all(isinstance(item, Mapping) for item in given):
        raise InvalidError.of("postbacks", "Postbacks must be an array of objects")
    unknown = [s for item in given for s in item.get("statuses") or [] if s not in _STATUSES]
    if unknown:
        raise InvalidError.of("postbacks", f"Postbacks have unknown statuses: {unknown}")
    defaults = {"method": "GET", "statuses": [], "url": ""}
    return [
        {**defaults, **item, "id": call.state.count("postbacks"), "campaign_id": campaign_id}
        for item in given
    ]


def _views(state: State, rows: Iterable[Row]) -> list[Row]:
    """Add what live reads show besides: names of group and domain, the number of streams."""
    return [
        {
            **row,
            "group": state.name_of("groups", row["group_id"]),
            "domain": state.name_of("domains", row["domain_id"]),
            "streams_count": len(streams_of(state, row["id"])),
        }
        for row in rows
    ]


CAMPAIGN = Entity(
    table="campaigns",
    model="Campaign",
    fields=_FIELDS,
    prepare=_prepare,
    views=_views,
    hides_archived=True,
)


def _list(call: Call) -> list[Row]:
    """List campaigns; the only list with `offset` and `limit` (newer specification, seen live)."""
    rows = crud.visible(CAMPAIGN, call, CAMPAIGN.rows(call.state).live())
    offset = crud.whole_number(call.query.get("offset") or "0", "offset")
    limit = crud.whole_number(call.query.get("limit") or str(len(rows)), "limit")
    return _views(call.state, rows[max(offset, 0) :][: max(limit, 0)])


def _update(call: Call) -> Row:
    """Answer the whole campaign with its streams, as clients read it."""
    row = crud.write(CAMPAIGN, call, crud.find(CAMPAIGN, call))
    return {**CAMPAIGN.view(call.state, row), "streams": _streams(call, row)}


def _streams(call: Call, row: Row) -> list[Row]:
    return view_streams(call.state, streams_of(call.state, row["id"]))


def _list_streams(call: Call) -> list[Row]:
    return _streams(call, crud.find(CAMPAIGN, call))


def _clone(call: Call) -> Row:
    """Copy a campaign: new id, alias, token and postback ids, streams copied."""
    original = crud.find(CAMPAIGN, call)
    row = crud.copy_of(CAMPAIGN, call, original)
    fresh = {"alias": call.state.token(8), "token": call.state.token(), "position": row["id"]}
    postbacks = _postbacks(call, original["postbacks"], row["id"])
    CAMPAIGN.rows(call.state).change(row, {**fresh, "postbacks": postbacks})
    for stream in streams_of(call.state, original["id"]):
        copy_stream(call.state, stream, row["id"])
    return CAMPAIGN.view(call.state, row)


def _clean_archive(call: Call) -> Row:
    """Forget every archived campaign with its streams; what it answers is not known (inference)."""
    table, streams = CAMPAIGN.rows(call.state), call.state.tables["streams"]
    gone = [row for row in table if row["state"] == DELETED]
    for row in crud.visible(CAMPAIGN, call, gone):
        for stream in streams.by_index(row["id"]):
            streams.remove(stream)
        table.remove(row)
    return {"success": True}


ROUTES = [
    reads("GET", "/campaigns", _list, listing=True),
    reads("GET", "/campaigns/deleted", crud.list_deleted(CAMPAIGN), listing=True),
    Route("POST", "/campaigns", crud.create(CAMPAIGN)),
    Route("POST", "/campaigns/clean_archive", _clean_archive),
    reads("GET", "/campaigns/{id}", crud.get(CAMPAIGN)),
    Route("PUT", "/campaigns/{id}", _update),
    Route("DELETE", "/campaigns/{id}", crud.as_array(crud.archive(CAMPAIGN)), status=201),
    reads("GET", "/campaigns/{id}/streams", _list_streams),
    Route("POST", "/campaigns/{id}/clone", crud.as_array(_clone)),
    Route("POST", "/campaigns/{id}/enable", crud.set_state(CAMPAIGN, "active")),
    Route("POST", "/campaigns/{id}/disable", crud.set_state(CAMPAIGN, "disabled")),
    Route("POST", "/campaigns/{id}/restore", crud.as_array(crud.restore(CAMPAIGN)), status=201),
]
