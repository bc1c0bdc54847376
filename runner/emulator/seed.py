"""Filling a tracker before it starts: entities as the API returns them, and traffic.

A seed is a JSON object.  Its keys are collections (`users`, `groups`, `affiliate_networks`,
`traffic_sources`, `domains`, `landing_pages`, `offers`, `campaigns`, `streams`, `facebook`), each
a list of entities as reads show them: ids are kept, what is missing takes its default.  A campaign
may carry its `streams`.  Besides: `clicks` and `conversions` (rows named as report columns, times
`YYYY-MM-DD HH:MM:SS` in UTC; a conversion names its click by `sub_id`), `bots` (addresses), `logs`
(rows by type), `labels` (`{campaign_id, ref_name, items}`), `settings`, `keys` (rights by API key),
and `generate` (`{"days": 7, "clicks": 500, "random_seed": 1}`), which makes traffic up.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from runner.emulator.access import Rights
from runner.emulator.entities.campaigns import CAMPAIGN
from runner.emulator.entities.creatives import LANDING, OFFER
from runner.emulator.entities.crud import Entity
from runner.emulator.entities.domains import DOMAIN
from runner.emulator.entities.integrations import FACEBOOK
from runner.emulator.entities.partners import NETWORK, SOURCE
from runner.emulator.entities.people import GROUP, USER
from runner.emulator.entities.streams import STREAM
from runner.emulator.state import Row, State
from runner.emulator.traffic import add_clicks, add_conversions, generate

_ENTITIES = {
    entity.table: entity
    for entity in (
        *(USER, GROUP, NETWORK, SOURCE, DOMAIN),
        *(LANDING, OFFER, CAMPAIGN, STREAM, FACEBOOK),
    )
}
_OTHERS = ("clicks", "conversions", "bots", "logs", "labels", "settings", "keys", "generate")
_SECRETS = ("new_password", "new_password_confirmation")
_NESTED = ("offers", "landings", "filters", "triggers")

_ADMIN = {"id": 1, "login": "admin", "type": "ADMIN"}


def load_seed(state: State, seed: Path | str | Mapping[str, Any] | None) -> dict[str, Rights]:
    """Fill the state and return the rights of further keys; raises ValueError naming what is wrong.

    A tracker has at least one user, so one is put in where the seed has none.
    """
    data = _read(seed)
    unknown = sorted(set(data) - set(_ENTITIES) - set(_OTHERS))
    if unknown:
        known = ", ".join((*_ENTITIES, *_OTHERS))
        raise ValueError(f"seed: nothing is called {', '.join(unknown)}; use {known}")
    for table, entity in _ENTITIES.items():
        for given in _rows(data, table) or ([_ADMIN] if table == "users" else []):
            _insert(state, entity, given)
    _load_others(state, data)
    return {key: Rights.from_dict(rights) for key, rights in data.get("keys", {}).items()}


def _read(seed: Path | str | Mapping[str, Any] | None) -> dict[str, Any]:
    if seed is None:
        return {}
    if isinstance(seed, Mapping):
        return deepcopy(dict(seed))
    try:
        data = json.loads(Path(seed).read_text(encoding="utf-8"))
    except ValueError as problem:
        raise ValueError(f"seed {seed}: not JSON: {problem}") from None
    if not isinstance(data, dict):
        raise ValueError(f"seed {seed}: must be an object")
    return data


def _rows(data: Mapping[str, Any], name: str) -> list[Row]:
    rows = data.get(name, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"seed: {name} must be a list of objects")
    return rows


def _insert(state: State, entity: Entity, given: Row) -> Row:
    """Store one entity with the defaults of what it lacks, and the streams a campaign brings."""
    if entity.rows(state).get(given.get("id", 0)):
        raise ValueError(f"seed: {entity.table} has id {given['id']} twice")
    row = {**_defaults(state, entity), **given}
    streams = row.pop("streams", []) if entity is CAMPAIGN else []
    if entity is STREAM:
        _number_nested(state, row)
    stored = entity.rows(state).insert(row)
    for stream in streams:
        _insert(state, STREAM, {"campaign_id": stored["id"], **stream})
    return stored


def _defaults(state: State, entity: Entity) -> Row:
    row = {
        field.name: deepcopy(field.default) for field in entity.fields if field.name not in _SECRETS
    }
    now = state.now()
    dates = {"created_at": now, "updated_at": now} if entity.dated else {}
    next_id = entity.rows(state).next_id()
    if entity is CAMPAIGN:
        row |= {"alias": state.token(8), "token": state.token()}
    if "position" in row:
        row["position"] = next_id
    return {**row, **entity.filled(state), **dates}


def _number_nested(state: State, row: Row) -> None:
    """Give ids to what is nested in a stream and has none."""
    row["id"] = row.get("id") or state.tables["streams"].next_id()
    for name in _NESTED:
        row[name] = row.get(name) or []
        state.keep_count(f"stream_{name}", [item.get("id", 0) for item in row[name]])
        for item in row[name]:
            item["id"] = item.get("id") or state.count(f"stream_{name}")
            item.setdefault("stream_id", row["id"])
            if name in ("offers", "landings"):
                item.setdefault("state", "active")


def _load_others(state: State, data: Mapping[str, Any]) -> None:
    state.bots = list(data.get("bots", []))
    state.logs = {kind: list(rows) for kind, rows in data.get("logs", {}).items()}
    state.settings |= data.get("settings", {})
    for label in _rows(data, "labels"):
        state.labels[label["campaign_id"], label["ref_name"]] = dict(label["items"])
    add_clicks(state, _rows(data, "clicks"))
    add_conversions(state, _rows(data, "conversions"))
    if data.get("generate"):
        generate(state, **data["generate"])
