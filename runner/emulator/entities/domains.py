"""Domains: their fields, and the check of name and certificate that follows their creation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from runner.emulator.answers import InvalidError
from runner.emulator.entities import crud
from runner.emulator.entities.crud import Entity
from runner.emulator.fields import choice, flag, integer, label, text
from runner.emulator.routing import Call, Route, reads
from runner.emulator.state import DELETED, Row, State

_ADDRESS = "203.0.113.10"  # documentation range (RFC 5737)

_FIELDS = (
    text("name", required=True),
    flag("is_ssl"),
    integer("default_campaign_id"),
    integer("group_id"),
    choice("state", "active", "active", "deleted"),
    flag("wildcard"),
    flag("catch_not_found"),
    text("notes"),
    flag("ssl_redirect"),
    flag("allow_indexing", default=True),
    flag("admin_dashboard"),
)

_UNCHECKED = {
    "network_status": "pending",
    "ssl_status": "pending",
    "check_retries": 0,
    "error_description": "",
    "error_solution": "",
}

# Shown by reads, so whoever writes back what was read sends these too.
_READ_ONLY = {
    *_UNCHECKED,
    *("id", "default_campaign", "campaigns_count", "group", "status", "ssl_data"),
    *("next_check_at", "created_at", "updated_at"),
}


def _prepare(call: Call, values: Row, row: Row | None) -> Row:  # noqa: ARG001 - a Prepare
    """Refuse unknown fields, `https_only` for one: newer builds do, those of 2022 did not."""
    known = {field.name for field in _FIELDS} | _READ_ONLY
    unknown = sorted(set(call.body) - known)
    if unknown and call.state.dialect >= 10:
        raise InvalidError({name: [f"{label(name)} is unknown"] for name in unknown})
    return values


def _views(state: State, rows: Iterable[Row]) -> list[Row]:
    used = [campaign["domain_id"] for campaign in state.tables["campaigns"].live()]
    return [
        {
            **row,
            "default_campaign": row["default_campaign_id"],
            "group": state.name_of("groups", row["group_id"]),
            "status": row["network_status"],
            "campaigns_count": used.count(row["id"]),
        }
        for row in rows
    ]


DOMAIN = Entity(
    table="domains",
    model="Domain",
    fields=_FIELDS,
    filled=lambda state: dict(_UNCHECKED),  # noqa: ARG005
    prepare=_prepare,
    views=_views,
)


def _create(call: Call) -> Any:
    """Create a domain: an array in dialect 9, as declared in 2022; later clients read an object."""
    created = DOMAIN.view(call.state, crud.add(DOMAIN, call))
    return [created] if call.state.dialect < 10 else created


def _check(call: Call) -> Row:
    """Check again, and find everything in order; "issued" is the live word for a certificate."""
    row = crud.find(DOMAIN, call)
    result = {"network_status": "ok", "ssl_status": "issued", "updated_at": call.state.now()}
    DOMAIN.rows(call.state).change(row, {**result, "check_retries": row["check_retries"] + 1})
    return DOMAIN.view(call.state, row)


def _register(call: Call) -> Row:
    """Register a domain; refused where it is there already (known from notes only)."""
    name = call.body.get("name")
    if any(row["name"] == name and row["state"] != DELETED for row in DOMAIN.rows(call.state)):
        raise InvalidError.of("name", "Name has already used")
    return DOMAIN.view(call.state, crud.add(DOMAIN, call))


def _ip(call: Call) -> Row:  # noqa: ARG001 - a Handler
    return {"ip": _ADDRESS}


ROUTES = [
    reads("GET", "/domains", crud.list_live(DOMAIN), listing=True),
    reads("GET", "/domains/deleted", crud.list_deleted(DOMAIN), listing=True),
    reads("GET", "/domains/ip", _ip),
    Route("POST", "/domains", _create),
    Route("POST", "/domains/register", _register),
    reads("GET", "/domains/{id}", crud.get(DOMAIN)),
    Route("PUT", "/domains/{id}", crud.update(DOMAIN)),
    Route("DELETE", "/domains/{id}", crud.archive(DOMAIN), status=201),
    Route("POST", "/domains/{id}/check", _check),
    Route("POST", "/domains/{id}/restore", crud.restore(DOMAIN)),
]
