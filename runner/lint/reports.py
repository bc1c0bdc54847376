"""Names of reports and logs: columns, metrics, operators and intervals, and how they go together.

The schema refuses operators and intervals that it does not know; lint says which one was meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runner.lint.finding import Body, Finding, is_number, is_open
from runner.model import Json, Severity
from runner.playbook import Trail
from runner.templating.expressions import nearest

_LABELS = frozenset({"whitelist", "blacklist"})
_KINDS = {
    "metrics": "a metric",
    "columns": "a column",
    "conversion_columns": "a column of the conversion log",
}


def name(kinds: Json, value: Json, trail: Trail, body: Body) -> Iterator[Finding]:
    """KT007: one unknown column or metric makes the tracker refuse the whole request."""
    if not isinstance(value, str) or is_open(value):
        return
    known = body.memory.catalogue.reports
    if any(value in known[kind] for kind in kinds):
        return
    here = " or ".join(_KINDS[kind] for kind in kinds if kind != "conversion_columns")
    sure = value in known["refused"]
    yield Finding(
        "KT007",
        f"'{value}' is not {here} that reports know",
        _name_hint(value, kinds, known),
        trail,
        severity=Severity.ERROR if sure else Severity.WARNING,
    )


def _name_hint(value: str, kinds: list[str], known: Mapping[str, Any]) -> str:
    if value in known["absent"]:
        return str(known["absent"][value])
    elsewhere = _kind(value, known)
    if elsewhere:
        return f"it is {elsewhere}: move it there"
    names = [word for kind in kinds for word in known[kind]]
    right = known["wrong"].get(value.lower()) or nearest(value, names)
    if right is None:
        return "trackers differ; if yours knows it, say so with a comment '# noqa: KT007'"
    other = "" if right in names else f", {_kind(right, known)}"
    return f"did you mean '{right}'{other}?"


def _kind(value: str, known: Mapping[str, Any]) -> str | None:
    return next((words for kind, words in _KINDS.items() if value in known[kind]), None)


def operator(_said: Json, value: Json, trail: Trail, body: Body) -> Iterator[Finding]:
    """KT008: an operator that reports do not know."""
    known = body.memory.catalogue.reports
    if isinstance(value, str) and not is_open(value) and value not in known["operators"]:
        word = value.strip().upper().replace(" ", "_")
        right = known["wrong_operators"].get(word) or nearest(word, list(known["operators"]))
        yield _refused("KT008", f"'{value}' is not an operator of reports", right, trail)


def interval(_said: Json, value: Json, trail: Trail, body: Body) -> Iterator[Finding]:
    """KT009: an interval that reports do not know."""
    known = body.memory.catalogue.reports
    if isinstance(value, str) and not is_open(value) and value not in known["intervals"]:
        word = value.strip().lower().replace(" ", "_")
        # Another number of days is another period, however near the spelling.
        alike = [name for name in known["intervals"] if _digits(name) == _digits(word)]
        right = known["wrong_intervals"].get(word) or nearest(word, alike)
        yield _refused("KT009", f"'{value}' is not an interval of reports", right, trail)


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))


def _refused(code: str, message: str, right: str | None, trail: Trail) -> Finding:
    if right:
        hint = f"did you mean '{right}'?"
    elif code == "KT009":
        hint = "write other periods with 'from' and 'to': from: ${{ days_ago(30) }}"
    else:
        hint = "'keitaro-runner explain KT008' lists them"
    return Finding(code, message, hint, trail, severity=Severity.ERROR)


def compared(said: Json, value: Json, trail: Trail, body: Body) -> Iterator[Finding]:
    """KT014: what an operator compares with: a list, two values, text, or nothing."""
    if not isinstance(value, dict):
        return
    word, given = value.get(said["operator"]), value.get(said["with"])
    kind = body.memory.catalogue.reports["operators"].get(word) if isinstance(word, str) else None
    if kind is None or is_open(given) or isinstance(given, dict):
        return
    fits, words = _COMPARED[kind]
    if not fits(given):
        spot = said["with"] if said["with"] in value else said["operator"]
        yield Finding("KT014", f"{word} compares with {words}", _form(kind), (*trail, spot))


def _is_pattern(value: Json) -> bool:
    return isinstance(value, str) and len(value) > 2 and not value[0].isalnum()


# What fits each kind of operator, and how messages call it. Trackers take numbers as text.
_COMPARED: dict[str, tuple[Any, str]] = {
    "value": (lambda v: isinstance(v, str | bool) or is_number(v), "one value"),
    "number": (lambda v: isinstance(v, str) or is_number(v), "one number"),
    "text": (lambda v: isinstance(v, str) or is_number(v), "a text"),
    "pattern": (_is_pattern, "a regular expression between delimiters"),
    "list": (lambda v: isinstance(v, list), "a list"),
    "pair": (lambda v: isinstance(v, list) and len(v) == 2, "a list of two values"),
    "label": (lambda v: v in _LABELS if isinstance(v, str) else False, "whitelist or blacklist"),
    "none": (lambda v: v in (None, ""), "nothing"),
}


def _form(kind: str) -> str:
    return {
        "list": "write 'expression: [a, b]'",
        "pair": "write 'expression: [1, 10]'",
        "pattern": "write 'expression: /abc[0-9]+/'",
        "none": "take the expression out",
    }.get(kind, "correct the expression")


def dialects(said: Json, value: Json, trail: Trail, _body: Body) -> Iterator[Finding]:
    """KT010: the words of older and of newer trackers in one request."""
    if not isinstance(value, dict):
        return
    older, newer = ([word for word in words if word in value] for words in said)
    if older and newer:
        pairs = " and ".join(said[0]), " and ".join(said[1])
        yield Finding(
            "KT010",
            f"'{older[0]}' and '{newer[0]}' are of two dialects: a tracker passes over one",
            f"use one pair: {pairs[0]} (trackers of 2022), or {pairs[1]} (newer)",
            (*trail, newer[0]),
            key=True,
        )


def bounded(fields: Json, value: Json, trail: Trail, _body: Body) -> Iterator[Finding]:
    """KT011: a log without a bound is refused, or is everything there ever was."""
    if isinstance(value, dict) and not any(value.get(field) for field in fields):
        yield Finding(
            "KT011",
            f"neither {' nor '.join(fields)} bounds this log",
            "add 'limit: 1000', or a range: {interval: today, timezone: UTC}",
            trail,
            key=True,
        )
