"""What all entities have in common: listing, reading, writing, archiving and cloning rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from runner.emulator import fields
from runner.emulator.answers import ErrorAnswer, ForbiddenError, InvalidError, MissingError
from runner.emulator.fields import Field
from runner.emulator.routing import Call, Handler, Route, reads
from runner.emulator.state import DELETED, Row, State, Table

Views = Callable[[State, Iterable[Row]], list[Row]]
Prepare = Callable[[Call, Row, Row | None], Row]
Follow = Callable[[State, Row, Row], None]


def _as_stored(state: State, rows: Iterable[Row]) -> list[Row]:  # noqa: ARG001 - a Views
    return list(rows)


def _unprepared(call: Call, values: Row, row: Row | None) -> Row:  # noqa: ARG001 - a Prepare
    return values


@dataclass(frozen=True, slots=True)
class Entity:
    """One kind of entity, described for the functions below.

    `model` is the class named in its 404s; `fields` are the writable ones; `filled` gives what the
    tracker fills in at creation; `prepare` turns written values into stored ones (it may raise
    InvalidError, and must not change the state); `stored` runs after a row was written or cloned;
    `views` adds what reads show beyond the stored row.
    """

    table: str
    model: str
    fields: tuple[Field, ...]
    filled: Callable[[State], Row] = lambda state: {}  # noqa: ARG005
    prepare: Prepare = _unprepared
    stored: Callable[[Call, Row], None] = lambda call, row: None  # noqa: ARG005
    views: Views = _as_stored
    dated: bool = True
    hides_archived: bool = False

    def rows(self, state: State) -> Table:
        """Return this entity's table."""
        return state.tables[self.table]

    def view(self, state: State, row: Row) -> Row:
        """Return one row as reads show it."""
        return self.views(state, [row])[0]


def find(entity: Entity, call: Call, *, archived: bool = False) -> Row:
    """Return the row the path names; raises MissingError, or ForbiddenError where it is not shown.

    An archived campaign is missing to all but restore; other archived entities are still found
    (an archived network answers 200 with state=deleted, seen live; the rest by analogy).
    """
    number = int(call.key) if call.key.isdecimal() and len(call.key) < 20 else 0
    row = entity.rows(call.state).get(number)
    if row is None or (entity.hides_archived and not archived and row.get("state") == DELETED):
        raise MissingError(entity.model, call.key)
    if not call.rights.sees(entity.table, row):
        raise ForbiddenError(entity.table)
    return row


def check_unique(entity: Entity, call: Call, values: Mapping[str, Any], row: Row | None) -> None:
    """Raise InvalidError where another live row has the same unique key; the wording is live."""
    merged = {**(row or {}), **values}
    if entity.rows(call.state).taken(merged, but=row["id"] if row else None):
        name = entity_key(entity)
        raise InvalidError.of(name, f"{fields.label(name)} has already used")


def entity_key(entity: Entity) -> str:
    """Return the field that a message about uniqueness is filed under."""
    for name in ("alias", "login"):
        if any(field.name == name for field in entity.fields):
            return name
    return "name"


def visible(entity: Entity, call: Call, rows: Iterable[Row]) -> list[Row]:
    """Return the rows this key is shown: what it may not see is left out without a word."""
    return [row for row in rows if call.rights.sees(entity.table, row)]


def list_live(entity: Entity) -> Handler:
    """Return the handler that lists what is not archived, whole, as a bare array."""
    return lambda call: entity.views(
        call.state, visible(entity, call, entity.rows(call.state).live())
    )


def list_deleted(entity: Entity) -> Handler:
    """Return the handler that lists the archive."""

    def handler(call: Call) -> list[Row]:
        rows = (row for row in entity.rows(call.state) if row.get("state") == DELETED)
        return entity.views(call.state, visible(entity, call, rows))

    return handler


def get(entity: Entity) -> Handler:
    """Return the handler that reads one entity."""
    return lambda call: entity.view(call.state, find(entity, call))


def create(entity: Entity) -> Handler:
    """Return the handler that creates one entity and answers it whole."""
    return lambda call: entity.view(call.state, add(entity, call))


def add(entity: Entity, call: Call) -> Row:
    """Create a row from the call's body; raises InvalidError before anything is changed."""
    values = fields.read(entity.fields, call.body, partial=False)
    check_unique(entity, call, values, None)
    values = entity.prepare(call, values, None)
    row = entity.rows(call.state).insert(
        {**values, **entity.filled(call.state), **_dates(entity, call, created=True)}
    )
    entity.stored(call, row)
    return row


def update(entity: Entity) -> Handler:
    """Return the handler of PUT: what is left out stays, nested arrays are replaced whole."""
    return lambda call: entity.view(call.state, write(entity, call, find(entity, call)))


def write(entity: Entity, call: Call, row: Row) -> Row:
    """Write the call's body into a row; raises InvalidError before anything is changed."""
    values = fields.read(entity.fields, call.body, partial=True)
    check_unique(entity, call, values, row)
    values = entity.prepare(call, values, row)
    entity.rows(call.state).change(row, {**values, **_dates(entity, call)})
    entity.stored(call, row)
    return row


def set_state(entity: Entity, state: str, *, archived: bool = False) -> Handler:
    """Return the handler of archive, enable or disable; of restore with `archived`."""

    def handler(call: Call) -> Row:
        row = find(entity, call, archived=archived)
        if archived:
            check_unique(entity, call, {}, row)
        values = entity.prepare(call, {"state": state}, row)
        entity.rows(call.state).change(row, {**values, **_dates(entity, call)})
        return entity.view(call.state, row)

    return handler


def archive(entity: Entity) -> Handler:
    """Return the handler of DELETE: most entities are only archived by it."""
    return set_state(entity, DELETED)


def restore(entity: Entity) -> Handler:
    """Return the handler that takes an entity back out of the archive."""
    return set_state(entity, "active", archived=True)


def clone(entity: Entity) -> Handler:
    """Return the handler that copies an entity as "Copy of X", whatever body is sent."""
    return lambda call: entity.view(call.state, copy_of(entity, call, find(entity, call)))


def copy_of(entity: Entity, call: Call, original: Row) -> Row:
    """Copy a row under a new id and a name that is free."""
    values = deepcopy({name: value for name, value in original.items() if name != "id"})
    values["name"] = f"Copy of {original['name']}"
    while "alias" not in values and entity.rows(call.state).taken(values):
        values["name"] = f"Copy of {values['name']}"
    filled = entity.filled(call.state)
    return entity.rows(call.state).insert(
        {**values, **filled, "state": "active", **_dates(entity, call, created=True)}
    )


def as_array(handler: Handler) -> Handler:
    """Wrap an answer in a one-element array: live trackers do, where an object is declared."""
    return lambda call: [handler(call)]


def _dates(entity: Entity, call: Call, *, created: bool = False) -> Row:
    if not entity.dated:
        return {}
    now = call.state.now()
    return {"created_at": now, "updated_at": now} if created else {"updated_at": now}


def basic_routes(entity: Entity, *, path: str = "") -> list[Route]:
    """Return list, create, get and update, which all collections have but groups."""
    base = path or f"/{entity.table}"
    return [
        reads("GET", base, list_live(entity), listing=True),
        Route("POST", base, create(entity)),
        reads("GET", f"{base}/{{id}}", get(entity)),
        Route("PUT", f"{base}/{{id}}", update(entity)),
    ]


def whole_number(value: str, name: str) -> int:
    """Return a query parameter as a number; raises ErrorAnswer (400)."""
    try:
        return int(value)
    except ValueError:
        raise ErrorAnswer(400, f"Parameter {name} must be an integer") from None
