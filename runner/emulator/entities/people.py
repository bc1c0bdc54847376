"""Users of the tracker and groups of entities: the two kinds that are really deleted."""

from __future__ import annotations

from collections.abc import Iterable

from runner.emulator import fields
from runner.emulator.answers import ErrorAnswer, InvalidError, Reply
from runner.emulator.entities import crud
from runner.emulator.entities.crud import Entity
from runner.emulator.fields import Field, Kind, choice, integer, text
from runner.emulator.routing import Call, Route, reads
from runner.emulator.state import Row, State

GROUP_TYPES = ("campaigns", "offers", "landings", "domains")

_ACCESS = tuple(
    f"{name}_access_type"
    for name in (
        *("offers", "campaigns", "landings", "traffic_sources"),
        *("streams", "affiliate_networks", "domains"),
    )
)

_SECRETS = ("new_password", "new_password_confirmation")


def _prepare_user(call: Call, values: Row, row: Row | None) -> Row:  # noqa: ARG001 - a Prepare
    """Check the password and forget it: reads never show one."""
    given = [values.pop(name, None) for name in _SECRETS]
    if given[0] != given[1]:
        raise InvalidError.of(_SECRETS[1], f"{fields.label(_SECRETS[1])} does not match")
    return values


def _user_filled(state: State) -> Row:  # noqa: ARG001 - of an Entity
    access: Row = dict.fromkeys(_ACCESS, "full_access")
    return {"access_data": {**access, "resources": [], "allowed_resources": [], "reports": []}}


def _user_views(state: State, rows: Iterable[Row]) -> list[Row]:  # noqa: ARG001 - a Views
    return [{**row, "key_count": row["keyCount"]} for row in rows]


USER = Entity(
    table="users",
    model="User",
    fields=(
        text("login", required=True),
        choice("type", None, "USER", "ADMIN", required=True),
        text("new_password", required=True),
        text("new_password_confirmation", required=True),
        integer("keyCount"),
        Field("preferences", Kind.OBJECT, {"language": "en", "timezone": "UTC"}),
    ),
    filled=_user_filled,
    prepare=_prepare_user,
    views=_user_views,
    dated=False,
)


def _placed(call: Call, values: Row, row: Row | None) -> Row:
    """Put a new group last."""
    if row is None and values["position"] is None:
        values["position"] = call.state.tables["groups"].next_id()
    return values


GROUP = Entity(
    table="groups",
    model="Group",
    fields=(
        text("name", required=True),
        choice("type", None, *GROUP_TYPES, required=True),
        integer("position", None),
    ),
    prepare=_placed,
    dated=False,
)


def _delete_user(call: Call) -> Reply:
    """Delete a user for good: 201 and no body."""
    USER.rows(call.state).remove(crud.find(USER, call))
    return Reply(201)


def _update_access(call: Call) -> Row:
    """Write the access data that is given over what there is."""
    row = crud.find(USER, call)
    given = fields.read([Field("access_data", Kind.OBJECT, {})], call.body, partial=True)
    merged = {**row["access_data"], **given.get("access_data", {})}
    USER.rows(call.state).change(row, {"access_data": merged})
    return USER.view(call.state, row)


def _list_groups(call: Call) -> list[Row]:
    """List the groups of the type that must be given (`domains` is newer than 2022)."""
    kind = call.required("type")
    if kind not in GROUP_TYPES:
        raise ErrorAnswer(400, f"Unknown type of groups {kind}, use {', '.join(GROUP_TYPES)}")
    return crud.visible(GROUP, call, [row for row in GROUP.rows(call.state) if row["type"] == kind])


def _create_group(call: Call) -> Row:
    """Create a group; an empty body was answered with 500 by version 9, seen live."""
    if not call.body and call.state.dialect < 10:
        raise ErrorAnswer(500, "Undefined index: type")
    return crud.add(GROUP, call)


def _delete_group(call: Call) -> Row:
    row = crud.find(GROUP, call)
    GROUP.rows(call.state).remove(row)
    return row


ROUTES = [
    *crud.basic_routes(USER),
    Route("DELETE", "/users/{id}", _delete_user),
    Route("PUT", "/users/{id}/access", _update_access),
    reads("GET", "/groups", _list_groups, listing=True),
    Route("POST", "/groups", _create_group),
    Route("PUT", "/groups/{id}", crud.update(GROUP)),
    Route("DELETE", "/groups/{id}/delete", _delete_group),
]
