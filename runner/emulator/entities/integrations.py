"""Third-party integrations: Facebook accounts, and the settings of two checking services."""

from __future__ import annotations

from typing import Any

from runner.emulator import fields
from runner.emulator.answers import InvalidError, Reply
from runner.emulator.entities import crud
from runner.emulator.entities.crud import Entity
from runner.emulator.fields import Field, Kind, flag, integer, text
from runner.emulator.routing import Call, Handler, Route, reads
from runner.emulator.state import Row, State

_BASE = "/integrations/facebook"


def _filled(state: State) -> Row:  # noqa: ARG001 - of an Entity
    return {"integration": "facebook", "last_error": "", "last_raw_error": "", "campaign_ids": []}


FACEBOOK = Entity(
    table="facebook",
    model="Integration",
    fields=(
        text("name"),
        text("ad_account_id"),
        text("token"),
        flag("proxy_enabled"),
        Field("proxy", Kind.OBJECT, {}),
    ),
    filled=_filled,
    views=lambda state, rows: [  # noqa: ARG005
        {name: value for name, value in row.items() if name != "campaign_ids"} for row in rows
    ],
    dated=False,
)


def _wrapped(handler: Handler) -> Handler:
    """Wrap an answer in `{"data": …}`, an envelope that only these operations have (2022)."""
    return lambda call: {"data": handler(call)}


def _delete(call: Call) -> Row:
    FACEBOOK.rows(call.state).remove(crud.find(FACEBOOK, call))
    return {"success": True}


def _campaigns(call: Call) -> list[Row]:
    ids = crud.find(FACEBOOK, call)["campaign_ids"]
    return [{"name": call.state.name_of("campaigns", key), "value": key} for key in ids]


def _attach(call: Call) -> Reply:
    """Attach a campaign, once however often; the answer has no body."""
    return _set_campaigns(call, lambda ids, key: ids if key in ids else [*ids, key])


def _detach(call: Call) -> Reply:
    """Detach a campaign; the answer has no body."""
    return _set_campaigns(call, lambda ids, key: [other for other in ids if other != key])


def _set_campaigns(call: Call, change: Any) -> Reply:
    row = crud.find(FACEBOOK, call)
    given = fields.read([integer("campaign_id", required=True)], call.body, partial=False)
    ids = change(row["campaign_ids"], given["campaign_id"])
    FACEBOOK.rows(call.state).change(row, {"campaign_ids": ids})
    return Reply(200)


def _get_setting(name: str) -> Handler:
    return lambda call: {name: call.state.settings[name]}


def _set_setting(name: str) -> Handler:
    """Return the handler that takes the value from the query (2022) or the body (some clients)."""

    def handler(call: Call) -> Row:
        value = call.query.get(name, call.body.get(name))
        if value is None:
            raise InvalidError.of(name, f"{fields.label(name)} is required")
        call.state.settings[name] = str(value)
        call.state.touch()
        return {name: str(value)}

    return handler


ROUTES = [
    reads("GET", _BASE, _wrapped(crud.list_live(FACEBOOK)), listing=True),
    Route("POST", _BASE, crud.create(FACEBOOK)),
    reads("GET", f"{_BASE}/{{id}}", _wrapped(crud.get(FACEBOOK))),
    Route("PUT", f"{_BASE}/{{id}}", _wrapped(crud.update(FACEBOOK))),
    Route("DELETE", f"{_BASE}/{{id}}", _delete),
    reads("GET", f"{_BASE}/{{id}}/campaign", _campaigns),
    Route("POST", f"{_BASE}/{{id}}/campaign", _attach),
    Route("DELETE", f"{_BASE}/{{id}}/campaign", _detach),
    reads("GET", "/integrations/avscan", _get_setting("avscan_key")),
    Route("PUT", "/integrations/avscan", _set_setting("avscan_key")),
    reads("GET", "/integrations/imklo", _get_setting("imklo_api_url")),
    Route("PUT", "/integrations/imklo", _set_setting("imklo_api_url")),
]
