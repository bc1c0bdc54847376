"""What operators may be given, so that no result is out of proportion; computes nothing."""

from __future__ import annotations

from typing import Any

from runner.templating.budget import MAX_BITS, OverBudgetError
from runner.templating.expressions import describe

MAX_REPEAT = 100_000


def check_operands(operator: str, left: Any, right: Any) -> None:
    """Refuse what an operator cannot do, or may not. Raises TypeError, OverBudgetError."""
    if isinstance(left, bool) or isinstance(right, bool):
        raise TypeError(f"'{operator}' does not go with true and false")
    if operator == "%" and isinstance(left, str):
        raise TypeError("'%' does not format text; use the filter format")
    if operator == "+" and isinstance(left, str) != isinstance(right, str):
        raise TypeError(
            f"'+' does not join {describe(left)} and {describe(right)}; '~' joins as text"
        )
    if left is None or right is None:
        raise TypeError(f"'{operator}' does not go with null")
    if operator == "*":
        _check_product(left, right)
    elif operator == "**":
        _check_power(left, right)


def _check_product(left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int):
        if left.bit_length() + right.bit_length() > MAX_BITS:
            raise OverBudgetError("the number is too large")
        return
    for items, times in ((left, right), (right, left)):
        if isinstance(items, str | list | tuple) and isinstance(times, int):
            if len(items) * times > MAX_REPEAT:
                raise OverBudgetError(f"this repeats to more than {MAX_REPEAT:,}")
            return


def _check_power(left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() * right > MAX_BITS:
        raise OverBudgetError("the number is too large")
