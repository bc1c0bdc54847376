"""Affiliate networks, which offers come from, and traffic sources, which visitors come from."""

from __future__ import annotations

from collections.abc import Iterable

from runner.emulator.answers import Reply
from runner.emulator.entities import crud
from runner.emulator.entities.crud import Entity
from runner.emulator.fields import Field, Kind, choice, flag, number, text
from runner.emulator.routing import Call, Route
from runner.emulator.state import DELETED, Row, State

_STATE = choice("state", "active", "active", "deleted")


def _network_views(state: State, rows: Iterable[Row]) -> list[Row]:
    """Add the number of offers, a field of the specification."""
    return [{**row, "offers": _count_offers(state, row["id"])} for row in rows]


def _count_offers(state: State, network_id: int) -> int:
    offers = state.tables["offers"].by_index(network_id)
    return sum(offer["state"] != DELETED for offer in offers)


NETWORK = Entity(
    table="affiliate_networks",
    model="AffiliateNetwork",
    fields=(
        text("name", required=True),
        text("postback_url"),
        text("offer_param"),
        text("notes"),
        text("template_name"),
        text("pull_api_options"),
        _STATE,
    ),
    views=_network_views,
)

SOURCE = Entity(
    table="traffic_sources",
    model="TrafficSource",
    fields=(
        # Nothing is declared as required.
        text("name"),
        text("postback_url"),
        Field("postback_statuses", Kind.TEXTS, ["lead", "sale", "rejected", "rebill"]),
        text("template_name"),
        flag("accept_parameters", default=True),
        Field("parameters", Kind.OBJECT, {}),
        text("notes"),
        _STATE,
        number("traffic_loss"),
        text("update_in_campaigns"),
    ),
)


def _archive_source(call: Call) -> Reply:
    """Archive a source; the answer has no body."""
    crud.archive(SOURCE)(call)
    return Reply(200)


ROUTES = [
    *crud.basic_routes(NETWORK),
    Route("DELETE", "/affiliate_networks/{id}", crud.archive(NETWORK)),
    Route("POST", "/affiliate_networks/{id}/restore", crud.as_array(crud.restore(NETWORK))),
    Route("POST", "/affiliate_networks/{id}/clone", crud.as_array(crud.clone(NETWORK))),
    *crud.basic_routes(SOURCE),
    Route("DELETE", "/traffic_sources/{id}", _archive_source),
    Route("POST", "/traffic_sources/{id}/clone", crud.clone(SOURCE)),
]
