"""Keys and what their users may do; decides nothing about what an operation does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.emulator.answers import ForbiddenError
from runner.emulator.state import Row


@dataclass(frozen=True, slots=True)
class Rights:
    """What one key may do; without arguments, everything.

    `resources` are first path segments ("campaigns", "offers", "report" …), None for all of them;
    `read_only` refuses whatever writes; `only` lists, by collection, the ids that can be seen.
    """

    resources: frozenset[str] | None = None
    read_only: bool = False
    only: Mapping[str, frozenset[int]] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Rights:
        """Read `{"resources": […], "read_only": bool, "only": {"offers": [1]}}`; or ValueError."""
        unknown = set(data) - {"resources", "read_only", "only"}
        if unknown:
            raise ValueError(f"rights have no {sorted(unknown)}; use resources, read_only, only")
        resources = data.get("resources")
        return cls(
            None if resources is None else frozenset(resources),
            bool(data.get("read_only", False)),
            {table: frozenset(ids) for table, ids in data.get("only", {}).items()},
        )

    def reaches(self, resource: str) -> bool:
        """Tell whether the resource is open to this key at all."""
        return self.resources is None or resource in self.resources

    def sees(self, table: str, row: Row) -> bool:
        """Tell whether this key is shown the row; streams follow their campaign."""
        if table == "streams":
            return self.sees_id("campaigns", row["campaign_id"])
        return self.sees_id(table, row["id"])

    def sees_id(self, table: str, key: int) -> bool:
        """Tell whether this key is shown the row with this id."""
        allowed = self.only.get(table)
        return allowed is None or key in allowed

    def require(self, resource: str, *, writes: bool) -> None:
        """Raise ForbiddenError unless the key may do this to the resource."""
        if not self.reaches(resource) or (writes and self.read_only):
            raise ForbiddenError(resource)
