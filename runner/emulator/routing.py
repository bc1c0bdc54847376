"""Matching a method and path to a route; knows no particular route."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from runner.emulator.access import Rights
from runner.emulator.answers import ErrorAnswer, InvalidError
from runner.emulator.fields import label
from runner.emulator.state import Row, State

PREFIX = "/admin_api/v1"
_ANY = "{}"


@dataclass(frozen=True, slots=True)
class Call:
    """One request as a handler sees it: `key` is the variable part of the path, or ""."""

    state: State
    rights: Rights
    query: Mapping[str, str] = field(default_factory=dict)
    body: Row = field(default_factory=dict)
    key: str = ""

    def required(self, name: str, *, status: int = 400) -> str:
        """Return a query parameter; without it 400, or the field error where 406 is declared."""
        value = self.query.get(name, "")
        if value:
            return value
        if status == 400:
            raise ErrorAnswer(400, f"Parameter {name} is required")
        raise InvalidError.of(name, f"{label(name)} is required")


Handler = Callable[[Call], Any]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation.  `path` is below the prefix, its variable part in braces.

    `listing` marks reads that show nothing, rather than refuse, a key without rights.  The handler
    returns JSON or a whole Reply.
    """

    method: str
    path: str
    handler: Handler
    status: int = 200
    writes: bool = True
    listing: bool = False

    @property
    def resource(self) -> str:
        """The first segment of the path, which is what rights are given to."""
        return self.path.split("/")[1]


def reads(method: str, path: str, handler: Handler, *, listing: bool = False) -> Route:
    """Return a route that changes nothing."""
    return Route(method, path, handler, writes=False, listing=listing)


class RouteTable:
    """Routes by method and path; literal segments win over variable ones."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes: dict[tuple[str, ...], Route] = {}
        for route in routes:
            key = (route.method, *(_slot(part) for part in route.path[1:].split("/")))
            if key in self._routes:
                raise ValueError(f"two routes for {route.method} {route.path}")
            self._routes[key] = route

    def __iter__(self) -> Iterable[Route]:
        return iter(self._routes.values())

    def find(self, method: str, path: str) -> tuple[Route, str] | None:
        """Return the route and the variable part, or None for a path the API does not have.

        A trailing slash is ignored, so that `DELETE /offers/` with a forgotten id, or `PUT
        /botlist/`, meets the collection: a real danger, and kept on purpose.
        """
        if not path.startswith(PREFIX + "/"):
            return None
        parts = [unquote(part) for part in path[len(PREFIX) + 1 :].rstrip("/").split("/")]
        route = self._routes.get((method, *parts))
        if route is not None:
            return route, ""
        for place, part in enumerate(parts):
            route = self._routes.get((method, *parts[:place], _ANY, *parts[place + 1 :]))
            if route is not None and part:
                return route, part
        return None


def _slot(part: str) -> str:
    return _ANY if part.startswith("{") else part
