"""How resources hang together, read from the catalogue: what is made, named, part of what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from runner.catalogue import Catalogue, Operation
from runner.model import Effect


class Kinship:
    """How resources hang together: read from the catalogue once."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._known: dict[tuple[str, str], Any] = {}

    def _once(self, what: str, resource: str, find: Callable[[list[Operation]], Any]) -> Any:
        if (what, resource) not in self._known:
            found = self._catalogue.resource(resource)
            self._known[what, resource] = find(list(found.operations.values()) if found else [])
        return self._known[what, resource]

    def creates(self, operation: Operation) -> bool:
        """Whether an operation makes an entity."""
        return str(operation) in self._creating(operation.resource)

    def has_entities(self, resource: str) -> bool:
        """Whether it consists of entities, and not of what is known of all the others."""
        return bool(self._creating(resource))

    def _creating(self, resource: str) -> frozenset[str]:
        def find(operations: list[Operation]) -> frozenset[str]:
            # What is posted to is what ids are appended to.
            paths = {operation.path for operation in operations}
            return frozenset(
                str(operation)
                for operation in operations
                if operation.method == "POST" and operation.effect is Effect.WRITES
                if f"{operation.path}/{{id}}" in paths
            )

        found: frozenset[str] = self._once("creating", resource, find)
        return found

    def natural_key(self, resource: str) -> tuple[str, ...]:
        """The fields of a create that must be unique."""

        def find(operations: list[Operation]) -> tuple[str, ...]:
            return next((o.natural_key for o in operations if o.natural_key), ())

        found: tuple[str, ...] = self._once("key", resource, find)
        return found

    def owners(self, resource: str) -> frozenset[str]:
        """The resources whose entities those of this one are parts of."""

        def find(operations: list[Operation]) -> frozenset[str]:
            referred = (pair for o in operations for pair in all_referred(o.body))
            return frozenset(name for name, owner in referred if owner)

        found: frozenset[str] = self._once("owners", resource, find)
        return found

    def parts(self, resource: str) -> frozenset[str]:
        """The resources whose entities are parts of those of this one."""

        def find(_: list[Operation]) -> frozenset[str]:
            names = self._catalogue.names
            return frozenset(name for name in names if resource in self.owners(name))

        found: frozenset[str] = self._once("parts", resource, find)
        return found


def all_referred(schema: Any) -> Iterator[tuple[str, bool]]:
    """The resources that a schema leads to, and whether as an owner."""
    if not isinstance(schema, Mapping):
        return
    refers = schema.get("x-refers-to")
    if refers:
        yield refers["resource"], bool(refers.get("owner"))
    for part in schema.get("properties", {}).values():
        yield from all_referred(part)
    yield from all_referred(schema.get("items"))
