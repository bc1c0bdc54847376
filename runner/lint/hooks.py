"""Which rules look at which field: `lint.json` and the schemas, made into a tree an operation.

A tree holds the fields that a rule looks at and no others, so that linting a body costs as much
as it has such fields.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from runner.catalogue import Operation, bundled
from runner.errors import CatalogueError
from runner.lint.finding import Body, Finding, Rule, is_open
from runner.model import Json
from runner.playbook import Trail

# Keywords of the schemas that are rules by themselves.
_KEYWORDS = ("x-replaces", "x-secret")


class Node:
    """A field that rules look at, or that leads to one."""

    __slots__ = ("fields", "items", "rules")

    def __init__(self) -> None:
        self.rules: list[tuple[Rule, Json]] = []
        self.fields: dict[str, Node] = {}
        self.items: Node | None = None

    def at(self, path: str) -> Node:
        """The node at a path such as `filters[].name`, made where there is none."""
        node = self
        for part in path.replace("[]", ".[]").split("."):
            if part == "[]":
                node.items = node.items or Node()
                node = node.items
            elif part:
                node = node.fields.setdefault(part, Node())
        return node


class Hooks:
    """The trees of all operations, each made when it is first asked for."""

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        self._rules = rules
        self._trees: dict[str, Node | None] = {}

    def of(self, operation: Operation) -> Node | None:
        """The tree of an operation's body, `None` where no rule looks at it."""
        name = str(operation)
        if name not in self._trees:
            self._trees[name] = self._tree(name, operation.body or {})
        return self._trees[name]

    @cached_property
    def table(self) -> Mapping[str, Any]:
        """What `lint.json` says."""
        try:
            content: dict[str, Any] = json.loads((bundled("schemas") / "lint.json").read_bytes())
        except (OSError, ValueError) as error:
            raise CatalogueError(
                f"cannot read the bundled file lint.json: {error}", "install keitaro-runner again"
            ) from error
        return content

    def paths(self, name: str) -> Iterator[tuple[str, str, Json]]:
        """What the table says of an operation: path, rule, argument."""
        entry = self.table["operations"].get(name, {})
        for part in (*map(self.table["sets"].__getitem__, entry.get("use", ())), entry.get("at")):
            for path, rules in (part or {}).items():
                for rule, argument in rules.items():
                    yield path, rule, argument

    def _tree(self, name: str, schema: Mapping[str, Json]) -> Node | None:
        root = Node()
        for path, rule, argument in self.paths(name):
            root.at(path).rules.append((self._rules[rule], argument))
        self._from_schema(schema, "", root)
        return root if root.rules or root.fields or root.items else None

    def _from_schema(self, schema: Mapping[str, Json], path: str, root: Node) -> None:
        for keyword in _KEYWORDS:
            if schema.get(keyword):
                root.at(path).rules.append((self._rules[keyword], schema[keyword]))
        for name, part in schema.get("properties", {}).items():
            self._from_schema(part, f"{path}.{name}", root)
        if isinstance(schema.get("items"), dict):
            self._from_schema(schema["items"], f"{path}[]", root)


def visit(node: Node, value: Json, trail: Trail, body: Body) -> Iterator[Finding]:
    """All that the rules of a tree mind in a value."""
    if is_open(value):
        return
    for rule, argument in node.rules:
        yield from rule(argument, value, trail, body)
    if isinstance(value, dict):
        for name, inner in node.fields.items():
            if name in value:
                yield from visit(inner, value[name], (*trail, name), body)
    elif isinstance(value, list) and node.items is not None:
        for index, part in enumerate(value):
            yield from visit(node.items, part, (*trail, index), body)
