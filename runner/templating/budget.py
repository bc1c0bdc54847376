"""What an expression may take: time and memory as one number; knows no Jinja2.

Everything that an evaluation makes or looks through is charged before it happens, where that can
be known. Only few constructs let a short expression stand for much data, and all of them name
the same list many times over (`[x] * 1000`): so size is that of the data written out.
"""

from __future__ import annotations

import threading
from typing import Any

# What one evaluation may produce or look through: a character costs 1.
BUDGET = 16_000_000
CALL_COST = 64
LOOKUP_COST = 24
ITEM_COST = 4
# Comparing is cheaper than making: a row's id is sought among a thousand quickly.
LOOKS_PER_COST = 4
MAX_BITS = 4_096


class OverBudgetError(Exception):
    """An expression that would take more than an expression may."""


class Budget:
    """What the evaluation that runs in this thread has left."""

    def __init__(self) -> None:
        self._local = threading.local()

    def open(self, source: str = "") -> None:
        """Begin the evaluation of an expression."""
        self._local.left = BUDGET
        self._local.sizes = {}
        self._local.source = source
        self._local.draws = 0

    def next_draw(self) -> str:
        """What tells this drawing by chance from all others that have the same names in scope."""
        self._local.draws += 1
        return f"{self._local.draws}:{self._local.source}"

    def close(self) -> None:
        """End it: the sizes known hold on to what they belong to."""
        self._local.sizes = {}

    def charge(self, cost: int) -> None:
        """Take from the budget. Raises OverBudgetError."""
        self._local.left -= cost
        if self._local.left < 0:
            raise OverBudgetError("this takes more than an expression may")

    def charge_made(self, value: Any) -> None:
        """Charge for a value that was made. Raises OverBudgetError."""
        if isinstance(value, str):
            self.charge(len(value))
        elif isinstance(value, list | tuple | dict):
            self.charge(ITEM_COST * len(value))
        elif isinstance(value, int) and value.bit_length() > MAX_BITS:
            raise OverBudgetError("the number is too large")

    def charge_deep(self, *values: Any) -> None:
        """Charge for going through all of some values to make others. Raises OverBudgetError."""
        for value in values:
            if isinstance(value, str | list | tuple | dict):
                self.charge(self.size(value))

    def charge_looks(self, *values: Any) -> None:
        """Charge for comparing with all of some values. Raises OverBudgetError."""
        for value in values:
            if isinstance(value, str | list | tuple | dict):
                self.charge(self.size(value) // LOOKS_PER_COST)

    def size(self, value: Any) -> int:
        """How large a value is when it is written out, each part as often as it occurs."""
        if isinstance(value, str):
            return len(value)
        if not isinstance(value, list | tuple | dict):
            return 1
        known = self._local.sizes.get(id(value))
        if known is None:
            parts = value.values() if isinstance(value, dict) else value
            size = ITEM_COST * (1 + len(value)) + sum(map(self.size, parts))
            # With the value, so that no other may come to have its id.
            known = self._local.sizes[id(value)] = (size, value)
        return int(known[0])
