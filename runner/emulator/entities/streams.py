"""Streams (flows) of campaigns, their events, and the dictionaries they are made of."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from runner.emulator import dictionaries
from runner.emulator.answers import InvalidError
from runner.emulator.entities import crud
from runner.emulator.entities.bindings import copy_nested, read_nested
from runner.emulator.entities.crud import Entity
from runner.emulator.fields import Field, Kind, choice, flag, integer, number, text
from runner.emulator.routing import Call, Handler, Route, reads
from runner.emulator.state import DELETED, Row, State

_FIELDS = (
    integer("campaign_id", required=True),
    choice("schema", None, "landings", "redirect", "action", required=True),
    choice("type", None, "forced", "regular", "default", required=True),
    text("name", required=True),
    text("action_type", required=True),
    # In no request schema of 2022, yet accepted and stored by live trackers.
    Field("action_payload", Kind.ANY, ""),
    Field("action_options", Kind.OBJECT, {}),
    integer("position", None),
    number("weight", 0),
    text("comments"),
    choice("state", "active", "active", "disabled", "deleted"),
    flag("collect_clicks"),
    flag("filter_or"),
    choice("offer_selection", "before_click", "before_click", "after_click"),
    Field("filters", Kind.ANY, []),
    Field("triggers", Kind.ANY, []),
    Field("landings", Kind.ANY, []),
    Field("offers", Kind.ANY, []),
)


def streams_of(state: State, campaign_id: int) -> list[Row]:
    """Return a campaign's streams that are not archived, by position."""
    rows = state.tables["streams"].by_index(campaign_id)
    live = [row for row in rows if row["state"] != DELETED]
    return sorted(live, key=lambda row: (row["position"], row["id"]))


def view_streams(state: State, rows: Iterable[Row]) -> list[Row]:  # noqa: ARG001 - a Views
    """Return streams as reads show them, which is as they are stored."""
    return list(rows)


def copy_stream(state: State, stream: Row, campaign_id: int) -> Row:
    """Copy a stream into another campaign, nested arrays and all."""
    table = state.tables["streams"]
    now = state.now()
    fresh = {"campaign_id": campaign_id, "created_at": now, "updated_at": now}
    copied = {**deepcopy(stream), **copy_nested(state, stream, table.next_id()), **fresh}
    del copied["id"]
    return table.insert(copied)


def _prepare(call: Call, values: Row, row: Row | None) -> Row:
    stream_id = row["id"] if row else call.state.tables["streams"].next_id()
    merged = {**(row or {}), **values}
    _check_default(call.state, merged, stream_id)
    if "position" in values and values["position"] is None:
        values["position"] = len(streams_of(call.state, merged["campaign_id"])) + 1
    return read_nested(call, values, stream_id, row)


def _check_default(state: State, merged: Row, stream_id: int) -> None:
    """Refuse a campaign's second default flow; the words are what clients look for."""
    if merged["type"] != "default" or merged["state"] == DELETED:
        return
    others = [row for row in streams_of(state, merged["campaign_id"]) if row["id"] != stream_id]
    if any(row["type"] == "default" for row in others):
        raise InvalidError.of("type", "Campaign can have only one default flow")


STREAM = Entity(table="streams", model="Stream", fields=_FIELDS, prepare=_prepare)


def _search(call: Call) -> list[Row]:
    """Find flows whose name contains the query, without regard to case."""
    wanted = call.required("query").lower()
    found = [row for row in STREAM.rows(call.state).live() if wanted in row["name"].lower()]
    return crud.visible(STREAM, call, found)


def _with_event(event: str, handler: Handler) -> Handler:
    """Note in the stream's events that its state was changed."""

    def noted(call: Call) -> Any:
        answer = handler(call)
        call.state.tables["stream_events"].insert(
            {"stream_id": int(call.key), "event": event, "datetime": call.state.now()}
        )
        return answer

    return noted


def _events(call: Call) -> list[Row]:
    """List a stream's events; the specification declares a stream here, probably by mistake."""
    row = crud.find(STREAM, call)
    return call.state.tables["stream_events"].by_index(row["id"])


ROUTES = [
    Route("POST", "/streams", crud.create(STREAM)),
    reads("GET", "/streams/deleted", crud.list_deleted(STREAM), listing=True),
    reads("GET", "/streams/search", _search, listing=True),
    reads("GET", "/streams/{id}", crud.get(STREAM)),
    Route("PUT", "/streams/{id}", crud.update(STREAM)),
    Route("DELETE", "/streams/{id}", _with_event("archived", crud.archive(STREAM))),
    Route("POST", "/streams/{id}/enable", _with_event("enabled", crud.set_state(STREAM, "active"))),
    Route(
        "POST", "/streams/{id}/disable", _with_event("disabled", crud.set_state(STREAM, "disabled"))
    ),
    Route("POST", "/streams/{id}/restore", _with_event("restored", crud.restore(STREAM))),
    reads("GET", "/streams/{id}/events", _events),
    reads("GET", "/stream_types", lambda call: dictionaries.STREAM_TYPES),  # noqa: ARG005
    reads("GET", "/stream_schemas", lambda call: dictionaries.STREAM_SCHEMAS),  # noqa: ARG005
    reads("GET", "/streams_actions", lambda call: dictionaries.STREAM_ACTIONS),  # noqa: ARG005
    reads("GET", "/stream_filters", lambda call: dictionaries.STREAM_FILTERS),  # noqa: ARG005
]
