"""What rules are given and what they give back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from runner.catalogue import Catalogue, Operation
from runner.lint.steps import Visit
from runner.model import Json, Place, Severity
from runner.playbook import Document, Trail
from runner.templating.text import OPEN


class Finding(NamedTuple):
    """Something that a rule minds: where, what, and what to do."""

    code: str
    message: str
    hint: str
    path: Trail
    key: bool = False
    severity: Severity = Severity.WARNING


@dataclass(slots=True)
class Memory:
    """What lasts while one document is linted.

    `seen` is where a rule keeps what it met before; `suspicious` says that the text holds
    something that looks like a key, so that a closer look is worth its price.
    """

    catalogue: Catalogue
    suspicious: bool = False
    seen: dict[Any, Place] = field(default_factory=dict)


class Body(NamedTuple):
    """The body being linted: its step, its operation, and where in which document it begins."""

    visited: Visit
    operation: Operation
    document: Document
    trail: Trail
    memory: Memory


# A rule about a field: what the data says beside its name, the value, where that stands, the body.
Rule = Callable[[Json, Json, Trail, Body], Iterator[Finding]]


def is_open(value: Json) -> bool:
    """Whether a value is, or holds, an expression, so that nothing is known of it."""
    return isinstance(value, str) and OPEN in value


def is_number(value: Json) -> bool:
    """Whether a value is a number, which true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)
