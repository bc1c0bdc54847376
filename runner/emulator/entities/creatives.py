"""Landing pages and offers: what is shown to visitors, as an address or as files on the tracker."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from runner.emulator.countries import country_name
from runner.emulator.entities import crud
from runner.emulator.entities.assets import (
    copy_with_files,
    file_routes,
    take_archive,
    unpack_archive,
)
from runner.emulator.entities.crud import Entity
from runner.emulator.fields import Field, Kind, choice, flag, integer, number, text
from runner.emulator.routing import Call, Handler, Route, reads
from runner.emulator.state import Row, State

_LANDING_FIELDS = (
    text("name", required=True),
    Field("action_payload", Kind.ANY, ""),
    Field("action_options", Kind.OBJECT, {}),
    integer("group_id"),
    choice("state", "active", "active", "disabled", "deleted"),
    choice("landing_type", "local", "local", "external", "preloaded", "action"),
    choice(
        "action_type",
        "local_file",
        *("local_file", "http", "curl", "status404", "show_text", "show_html"),
    ),
    text("url"),
    text("archive"),
    text("notes"),
)

_OFFER_FIELDS = (
    text("name", required=True),
    integer("group_id"),
    text("offer_type", "external"),
    text("action_type", "http"),
    Field("action_payload", Kind.ANY, ""),
    Field("action_options", Kind.OBJECT, {}),
    integer("affiliate_network_id"),
    number("payout_value"),
    text("payout_currency", "USD"),
    choice("payout_type", "CPA", "CPA", "CPC"),
    choice("state", "active", "active", "deleted"),
    flag("payout_auto"),
    flag("payout_upsell"),
    Field("country", Kind.TEXTS, []),
    text("notes"),
    text("archive"),
    flag("conversion_cap_enabled"),
    number("daily_cap"),
    text("conversion_timezone", "UTC"),
    number("alternative_offer_id"),
    Field("values", Kind.ANY, []),
)


def _filled(state: State) -> Row:  # noqa: ARG001 - of an Entity
    return {"local_path": "", "preview_path": ""}


def _prepare_landing(call: Call, values: Row, row: Row | None) -> Row:  # noqa: ARG001 - a Prepare
    if values.get("url") and not values.get("action_payload"):
        values["action_payload"] = values["url"]
    return take_archive(values)


def _prepare_offer(call: Call, values: Row, row: Row | None) -> Row:
    """Take an archive without a word about the type as a local offer."""
    if row is None and values["archive"] and "offer_type" not in call.body:
        values |= {"offer_type": "local", "action_type": "local_file"}
    return take_archive(values)


def _landing_views(state: State, rows: Iterable[Row]) -> list[Row]:
    return [
        {**row, "group": state.name_of("groups", row["group_id"]), "offer_count": 0} for row in rows
    ]


def _offer_views(state: State, rows: Iterable[Row]) -> list[Row]:
    """Show countries by name, although codes are written (seen on live trackers)."""
    return [
        {
            **row,
            "country": [country_name(code) for code in row["country"]],
            "group": state.name_of("groups", row["group_id"]),
            "affiliate_network": state.name_of("affiliate_networks", row["affiliate_network_id"]),
        }
        for row in rows
    ]


LANDING = Entity(
    table="landing_pages",
    model="Landing",
    fields=_LANDING_FIELDS,
    filled=_filled,
    prepare=_prepare_landing,
    stored=partial(unpack_archive, "landing_pages"),
    views=_landing_views,
)

OFFER = Entity(
    table="offers",
    model="Offer",
    fields=_OFFER_FIELDS,
    filled=_filled,
    prepare=_prepare_offer,
    stored=partial(unpack_archive, "offers"),
    views=_offer_views,
)


def _clone(entity: Entity) -> Handler:
    """Return the handler that copies an entity with its files; an object, as declared."""
    return lambda call: entity.view(
        call.state, copy_with_files(entity, call, crud.find(entity, call))
    )


ROUTES = [
    *crud.basic_routes(LANDING),
    *file_routes(LANDING),
    Route("DELETE", "/landing_pages/{id}", crud.archive(LANDING)),
    # PUT by the specification; POST is what one client sends.
    Route("PUT", "/landing_pages/{id}/clone", _clone(LANDING)),
    Route("POST", "/landing_pages/{id}/clone", _clone(LANDING)),
    *crud.basic_routes(OFFER),
    *file_routes(OFFER),
    reads("GET", "/offers/deleted", crud.list_deleted(OFFER), listing=True),
    Route("DELETE", "/offers/{id}/archive", crud.archive(OFFER)),
    # An older client's way.
    Route("DELETE", "/offers/{id}", crud.archive(OFFER)),
    Route("POST", "/offers/{id}/restore", crud.restore(OFFER)),
    Route("POST", "/offers/{id}/clone", _clone(OFFER)),
]
