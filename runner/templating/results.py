"""What an expression gave, as JSON; refuses what JSON cannot carry."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from jinja2 import Undefined

from runner.model import Json
from runner.templating.budget import ITEM_COST, MAX_BITS, Budget, OverBudgetError
from runner.templating.unknown import refuse_unknown

MAX_DEPTH = 100
NO_ELSE = "an 'if' that does not hold gives nothing: add 'else'"
# Shorter texts are not worth remembering: they may come up many times over.
LONG = 200


class Plain:
    """Turns one result to JSON: generators and tuples to lists, each shared part only once.

    What is JSON already is not copied: values are never changed once they are there.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._done: dict[int, tuple[Json, int, Any]] = {}

    def value(self, value: Any) -> Json:
        """The value as JSON. Raises TypeError, ValueError, OverBudgetError, UndefinedError."""
        return self._plain(value, 0)[0]

    def _plain(self, value: Any, depth: int) -> tuple[Json, int]:
        """The value, and how large it is when it is written out."""
        if isinstance(value, str) and len(value) < LONG:
            return str(value), len(value)
        if value is None or isinstance(value, bool | int | float):
            return _number(value), 1
        if isinstance(value, Undefined):
            str(value)  # raises, with the reason
        known = self._done.get(id(value))
        if known is None:
            plain, size = self._made(value, depth)
            # With the value, so that no other may come to have its id.
            known = self._done[id(value)] = (plain, size, value)
        else:
            # What is there once is in memory already. What is there many times over would be
            # written out many times over, in a body or in a report.
            self._budget.charge(known[1])
        return known[:2]

    def _made(self, value: Any, depth: int) -> tuple[Json, int]:
        if isinstance(value, str):
            return str(value), len(value)
        if depth >= MAX_DEPTH:
            raise TypeError(f"the value is nested more than {MAX_DEPTH} levels deep")
        if isinstance(value, dict):
            fields: dict[str, Json] = {}
            same, size = type(value) is dict, ITEM_COST * (1 + len(value))
            for key, part in value.items():
                name, (field, own) = _key(key), self._plain(part, depth + 1)
                fields[name] = field
                same = same and name is key and field is part
                size += own
            return value if same else fields, size
        if isinstance(value, list | tuple | set) or hasattr(value, "__next__"):
            items: list[Json] = []
            same, size = type(value) is list, ITEM_COST
            for part in value:
                item, own = self._plain(part, depth + 1)
                items.append(item)
                same = same and item is part
                size += own + ITEM_COST
            return value if same else items, size
        refuse_unknown(value)
        raise TypeError("this is a function, not a value: call it, with ()")


def _number(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no number that JSON can carry")
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise OverBudgetError("the number is too large")
    return value


def _key(key: Any) -> str:
    if isinstance(key, str):
        return str(key)
    if isinstance(key, int | float) and not isinstance(key, bool):
        return str(_number(key))
    raise TypeError("a key of a mapping must be text")


def counted(budget: Budget, items: Iterator[Any], cost: int) -> Iterator[Any]:
    """The items, each charged when it is taken. Raises OverBudgetError."""
    for item in items:
        budget.charge(cost)
        yield item
