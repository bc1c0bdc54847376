"""The arrays nested in a stream (offers, landings, filters, triggers); all are replaced whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.emulator import fields
from runner.emulator.answers import InvalidError
from runner.emulator.fields import Field, Kind, choice, flag, integer, text
from runner.emulator.routing import Call
from runner.emulator.state import Row, State


@dataclass(frozen=True, slots=True)
class Nested:
    """One nested array: its item's fields, and the field by which an item is known again.

    The official specification gives times to the ties to offers and landings alone (`is_tie`).
    """

    name: str
    fields: tuple[Field, ...]
    known_by: str
    is_tie: bool = False

    @property
    def series(self) -> str:
        """The series its ids are taken from."""
        return f"stream_{self.name}"


_SHARED = (integer("share", 0, required=True), choice("state", "active", "active", "disabled"))

NESTED = (
    Nested("offers", (integer("offer_id", required=True), *_SHARED), "offer_id", is_tie=True),
    Nested("landings", (integer("landing_id", required=True), *_SHARED), "landing_id", is_tie=True),
    Nested(
        "filters",
        (
            text("name", required=True),
            choice("mode", "accept", "accept", "reject", required=True),
            Field("payload", Kind.ANY, None),
            text("oid"),
        ),
        "id",
    ),
    Nested(
        "triggers",
        (
            choice(
                "condition",
                "",
                "not_respond",
                "always",
                "not_contains",
                "av_detected",
                required=True,
            ),
            choice("target", "", "stream", "landings", "offers", "selected_page", required=True),
            choice("action", "", "disable", "replace_url", "grab_from_page", required=True),
            text("selected_page"),
            text("pattern"),
            integer("interval", 0),
            integer("next_run_at", 0),
            text("alternative_urls"),
            text("grab_from_page"),
            text("av_settings"),
            flag("reverse"),
            flag("enabled", default=True),
            flag("scan_page"),
        ),
        "id",
    ),
)


def read_nested(call: Call, values: Row, stream_id: int, stored: Row | None) -> Row:
    """Return `values` with its nested arrays as they are to be stored; raises InvalidError.

    Seen on live trackers: shares are not added up, ids lead anywhere, a duplicate offer_id is
    collapsed, and an offer that stays keeps its binding's id and created_at.
    """
    read = {
        nested.name: _read_items(nested, values[nested.name])
        for nested in NESTED
        if nested.name in values
    }
    for nested in NESTED:
        if nested.name in read:
            before = {item[nested.known_by]: item for item in (stored or {}).get(nested.name, ())}
            values[nested.name] = [
                _numbered(call.state, nested, item, stream_id, before) for item in read[nested.name]
            ]
    return values


def _read_items(nested: Nested, given: Any) -> list[Row]:
    if not isinstance(given or [], list) or not all(
        isinstance(item, Mapping) for item in given or []
    ):
        raise InvalidError.of(
            nested.name, f"{fields.label(nested.name)} must be an array of objects"
        )
    items = [_read_item(nested, item) for item in given or []]
    if nested.is_tie:
        # The last of two wins, in the place of the first.
        items = list({item[nested.known_by]: item for item in items}.values())
    return items


def _read_item(nested: Nested, item: Mapping[str, Any]) -> Row:
    # The read schema misspells target; whoever sends back what was read sends that.
    spelled = (
        {**item, "target": item["taget"]} if "taget" in item and "target" not in item else item
    )
    try:
        values = fields.read(nested.fields, spelled, partial=False)
    except InvalidError as refusal:
        raise InvalidError(
            {f"{nested.name}.{name}": messages for name, messages in refusal.errors.items()}
        ) from None
    if nested.known_by == "id" and item.get("id"):
        values["id"] = fields.as_integer(item["id"])
    if "target" in values:
        values["taget"] = values["target"]
    return values


def _numbered(
    state: State, nested: Nested, item: Row, stream_id: int, before: Mapping[Any, Row]
) -> Row:
    known = before.get(item.get(nested.known_by))
    changed = {"updated_at": state.now()} if nested.is_tie else {}
    if known is not None:
        return {**known, **item, "id": known["id"], **changed}
    made = {"created_at": state.now(), **changed} if nested.is_tie else {}
    return {**item, "id": state.count(nested.series), "stream_id": stream_id, **made}


def copy_nested(state: State, stream: Row, stream_id: int) -> Row:
    """Return copies of a stream's nested arrays for another stream, under ids of their own."""
    return {
        nested.name: [
            {**item, "id": state.count(nested.series), "stream_id": stream_id}
            for item in stream[nested.name]
        ]
        for nested in NESTED
    }
