"""Secrets of trackers' answers that steps pass on: hidden there too, whatever the field's name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from runner.masking import Masker
from runner.model import Json
from runner.planning import Block, Include, Plan, Step

Trail = tuple[str | int, ...]

# What is shorter occurs by chance: hiding it everywhere would spoil the report.
SHORTEST = 6
# So many are hidden in every encoding; each slows down the masking of every line. The others are
# hidden as they are.
_IN_ALL_FORMS = 16


class PassedOn:
    """What of the answers that are hidden by their field's name the expressions lead to."""

    def __init__(self, plan: Plan, masker: Masker) -> None:
        self._masker = masker
        self._references: dict[str, list[Trail]] = {}
        self._all = False  # whether some expression leads to everything that steps gave
        for part in _plans(plan):
            for reference in part.templates.references():
                if reference.root == "steps" and not reference.keys:
                    self._all = True
                elif reference.root == "steps":
                    name = str(reference.keys[0])
                    self._references.setdefault(name, []).append(reference.keys[1:])
        self._known: dict[tuple[str, Trail], bool] = {}
        self._taken = 0

    def take(self, envelope: Mapping[str, Json], hidden: Iterable[Trail]) -> None:
        """Hide from now on what was hidden in an envelope, given whole, where it may go on."""
        step = str(envelope["step"])
        if not self._all and self._references.keys().isdisjoint(step.split(".")):
            return
        for trail in hidden:
            if not (self._all or self._leads(step, trail)):
                continue
            value: Any = envelope
            for part in trail:
                value = value[part]
            if isinstance(value, str) and len(value) >= SHORTEST:
                self._hide(value)

    def _hide(self, value: str) -> None:
        # Counted without a lock: one more or less does no harm.
        self._taken += 1
        (self._masker.add if self._taken <= _IN_ALL_FORMS else self._masker.add_word)(value)

    def _leads(self, step: str, trail: Trail) -> bool:
        """Whether an expression leads to a part of a step's answer, in whichever iteration."""
        alike = tuple(part for part in trail if isinstance(part, str))
        if (step, alike) not in self._known:
            parts = step.split(".")
            self._known[step, alike] = any(
                _reaches(keys, parts[start + 1 :], alike)
                for start, name in enumerate(parts)
                for keys in self._references.get(name, ())
            )
        return self._known[step, alike]


def _plans(plan: Plan) -> Iterator[Plan]:
    """The plan, and those that it includes."""
    yield plan
    for step in plan.all_steps:
        yield from _included(step)


def _included(step: Step) -> Iterator[Plan]:
    if isinstance(step.work, Include):
        yield from _plans(step.work.plan)
    elif isinstance(step.work, Block):
        for inner in step.work.steps:
            yield from _included(inner)


def _reaches(keys: Trail, below: list[str], trail: Trail) -> bool:
    """Whether keys after a step's name lead to `trail` in the step that is `below` it."""
    names = [key for key in keys if isinstance(key, str)]
    while True:
        if names[:1] == ["results"]:
            names = names[1:]
        elif below and names[:1] == ["steps"]:
            if names[1:2] not in ([], below[:1]):
                return False
            names, below = names[2:], below[1:]
        else:
            break
    if below:
        return not names  # the block as a whole; what an include gives is led to in there
    return tuple(names[: len(trail)]) == trail[: len(names)]
