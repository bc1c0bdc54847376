"""Times as playbooks write them."""

from __future__ import annotations

import re

from runner.model import Json

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST = 86_400.0  # what is longer the system may not take, and nobody waits for it
_TIME = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


def seconds(value: Json) -> float:
    """A time in seconds, up to a day: a number, or a text such as `500ms`, `30s`, `5m`.

    Raises ValueError.
    """
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    amount = float(found[1]) * _UNITS[found[2]] if found else value
    if isinstance(amount, bool) or not isinstance(amount, int | float) or amount <= 0:
        raise ValueError(f"{value!r} is no time")
    if amount > _LONGEST:
        raise ValueError(f"{value!r} is longer than a day")
    return float(amount)
