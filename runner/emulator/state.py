"""What the stand-in tracker remembers: tables, ids, traffic and the clock; knows no HTTP."""

from __future__ import annotations

import random
import string
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Row = dict[str, Any]
Clock = Callable[[], datetime]
DELETED = "deleted"

_ALPHANUMERICS = string.ascii_lowercase + string.digits


def utc_now() -> datetime:
    """Return the present, aware and in UTC: the clock used unless another is injected."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class TableSpec:
    """Which fields together must be unique among live rows, and which one rows are looked up by."""

    unique: tuple[str, ...] = ()
    indexed: str | None = None


TABLES: Mapping[str, TableSpec] = {
    "users": TableSpec(unique=("login",)),
    "groups": TableSpec(unique=("name", "type")),
    "affiliate_networks": TableSpec(unique=("name",)),
    "traffic_sources": TableSpec(),
    "domains": TableSpec(),
    "landing_pages": TableSpec(),
    "offers": TableSpec(indexed="affiliate_network_id"),
    "campaigns": TableSpec(unique=("alias",)),
    "streams": TableSpec(indexed="campaign_id"),
    "stream_events": TableSpec(indexed="stream_id"),
    "facebook": TableSpec(),
}


class Table:
    """Rows by id, with ids that are never given twice; every change goes through its methods."""

    def __init__(self, spec: TableSpec, touch: Callable[[], None]) -> None:
        self._spec = spec
        self._touch = touch
        self._rows: dict[int, Row] = {}
        self._keys: dict[tuple[Any, ...], int] = {}
        self._index: dict[Any, dict[int, None]] = {}
        self._last_id = 0

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)

    def live(self) -> Iterator[Row]:
        """Yield the rows that are not archived, by age."""
        return (row for row in self._rows.values() if row.get("state") != DELETED)

    def get(self, key: int) -> Row | None:
        """Return the row with this id, archived or not."""
        return self._rows.get(key)

    def by_index(self, value: Any) -> list[Row]:
        """Return the rows whose indexed field has this value, archived ones too."""
        return [self._rows[key] for key in self._index.get(value, ())]

    def taken(self, values: Mapping[str, Any], but: int | None = None) -> bool:
        """Tell whether a live row other than `but` holds the unique key that `values` has."""
        holder = self._keys.get(tuple(values.get(name) for name in self._spec.unique))
        return bool(self._spec.unique) and holder is not None and holder != but

    def next_id(self) -> int:
        """Return the id the next row will get."""
        return self._last_id + 1

    def insert(self, row: Row) -> Row:
        """Store a row, keeping the id it brings or giving it the next one."""
        key = row.get("id") or self.next_id()
        self._last_id = max(self._last_id, key)
        stored = {"id": key, **{name: value for name, value in row.items() if name != "id"}}
        self._rows[key] = stored
        self._enter(stored)
        self._touch()
        return stored

    def change(self, row: Row, values: Mapping[str, Any]) -> Row:
        """Write `values` into a stored row."""
        self._leave(row)
        row.update(values)
        self._enter(row)
        self._touch()
        return row

    def remove(self, row: Row) -> None:
        """Forget a row for good."""
        self._leave(row)
        del self._rows[row["id"]]
        self._touch()

    def _key(self, row: Row) -> tuple[Any, ...]:
        return tuple(row.get(name) for name in self._spec.unique)

    def _enter(self, row: Row) -> None:
        if self._spec.unique and row.get("state") != DELETED:
            self._keys.setdefault(self._key(row), row["id"])
        if self._spec.indexed:
            self._index.setdefault(row.get(self._spec.indexed), {})[row["id"]] = None

    def _leave(self, row: Row) -> None:
        if self._spec.unique and self._keys.get(self._key(row)) == row["id"]:
            del self._keys[self._key(row)]
        if self._spec.indexed:
            del self._index[row.get(self._spec.indexed)][row["id"]]


@dataclass(slots=True)
class Traffic:
    """Clicks and their conversions; rows are named as report columns, `at` is their epoch."""

    clicks: list[Row] = field(default_factory=list)
    conversions: list[Row] = field(default_factory=list)


class State:
    """Everything a tracker holds.  Whoever reads or writes it holds `lock` meanwhile.

    `version` grows with every change, so that a request's effect can be told from its answer.
    Times are UTC, the timezone this tracker is set to.
    """

    def __init__(self, *, dialect: int = 10, clock: Clock | None = None) -> None:
        self.dialect = dialect
        self.clock = clock or utc_now
        self.lock = threading.RLock()
        self.version = 0
        self.tables = {name: Table(spec, self.touch) for name, spec in TABLES.items()}
        self.traffic = Traffic()
        self.bots: list[str] = []
        self.labels: dict[tuple[int, str], dict[str, str]] = {}
        self.logs: dict[str, list[Row]] = {}
        self.settings = {"avscan_key": "", "imklo_api_url": ""}
        self.files: dict[tuple[str, int], dict[str, bytes]] = {}
        self._counters: dict[str, int] = {}
        self._random = random.Random(1)

    def touch(self) -> None:
        """Note that something changed."""
        self.version += 1

    def now(self) -> str:
        """Return the present as the API writes it: `YYYY-MM-DD HH:MM:SS`, without an offset."""
        return self.clock().astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")

    def count(self, name: str) -> int:
        """Return the next number of a series, for ids of nested objects."""
        self._counters[name] = self._counters.get(name, 0) + 1
        return self._counters[name]

    def keep_count(self, name: str, used: Iterable[int]) -> None:
        """Make a series go on after the numbers that are in use."""
        self._counters[name] = max([self._counters.get(name, 0), *used])

    def token(self, length: int = 32) -> str:
        """Return lowercase alphanumerics: a campaign's token has 32, a made-up alias 8."""
        return "".join(self._random.choices(_ALPHANUMERICS, k=length))

    def name_of(self, table: str, key: Any) -> str:
        """Return the name of a row, or "" where the id leads nowhere."""
        row = self.tables[table].get(key)
        return "" if row is None else str(row.get("name", ""))

    def rows(self, table: str) -> list[Row]:
        """Return copies of all rows of a table, archived ones included; for looking in from tests.

        `table` is a collection's name in the API, or `clicks` or `conversions`.  Raises KeyError.
        """
        with self.lock:
            if table in ("clicks", "conversions"):
                return deepcopy(getattr(self.traffic, table))
            return [deepcopy(row) for row in self.tables[table]]
