"""Which steps must wait for which others, where steps may overlap: derived, never written down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from runner.catalogue import Catalogue
from runner.planning.plan import Plan
from runner.planning.touches import (
    ANYTHING,
    EVERY,
    FILES,
    NEW,
    SOME,
    UNKNOWN_TRACKER,
    Facts,
    Mode,
    Touch,
    facts_of,
)

_READS, _ADDS, _CHANGES, _FREES = Mode.READS, Mode.ADDS, Mode.CHANGES, Mode.FREES
# Pairs of things that two steps may do to the same entity in either order.
_EITHER_WAY = frozenset(
    {(_READS, _READS), (_FREES, _FREES),
     (_CHANGES, _CHANGES), (_ADDS, _CHANGES), (_CHANGES, _ADDS)}
)  # fmt: skip


class Order(NamedTuple):
    """For each step of a list, by its place in it from 0, those it waits for, each with the reason.

    What follows from others is left out: a step that waits for `b`, which waits for `a`, does not
    name `a`.
    """

    waits: tuple[Mapping[int, str], ...]

    @property
    def depth(self) -> int:
        """How many steps at least come one after the other."""
        depths: list[int] = []
        for before in self.waits:
            depths.append(1 + max((depths[number] for number in before), default=0))
        return max(depths, default=0)


def order_of(plan: Plan, catalogue: Catalogue) -> Order:
    """The order of a plan's steps.

    A step waits for those it refers to; for those before it that touch the same entity, or may,
    where one of the two changes it; if it changes something, for what only reads, and expects
    something of what was there before the run; and if it destroys something, for all.
    """
    shelf = _Shelf()
    names = {step.name: number for number, step in enumerate(plan.steps) if step.name}
    waits: list[Mapping[int, str]] = []
    behind: list[int] = []  # a set of steps each, as bits: those that are over when one begins
    for number, facts in enumerate(facts_of(plan, catalogue)):
        found = {**shelf.reasons(facts), **_referred(facts, names)}
        before: dict[int, str] = {}
        done = 0
        # From the nearest back: what a nearer one waits for need not be waited for.
        for earlier in sorted(found, reverse=True):
            if not done >> earlier & 1:
                before[earlier] = found[earlier]
                done |= behind[earlier] | 1 << earlier
        waits.append(dict(sorted(before.items())))
        behind.append(done)
        shelf.put(number, facts)
    return Order(tuple(waits))


def _referred(facts: Facts, names: Mapping[str, int]) -> dict[int, str]:
    return {names[name]: f"steps.{name}" for name in facts.names if name in names}


class _Shelf:
    """The steps so far, by what they touch, so that only those that may matter are looked at."""

    def __init__(self) -> None:
        self._count = 0
        self._guards: list[int] = []
        self._last_of_all = -1  # the last step that refers to all those before it
        # By resource and mode, then by the kind of entity, then by entity.
        self._touched: dict[tuple[str, Mode], dict[str, dict[str, list[tuple[int, Touch]]]]] = {}

    def put(self, number: int, facts: Facts) -> None:
        self._count = number + 1
        if facts.guards:
            self._guards.append(number)
        if EVERY in facts.names:
            self._last_of_all = number
        for touch in facts.touches:
            kinds = self._touched.setdefault((touch.resource, touch.mode), {})
            kind = kinds.setdefault(_kind(touch.entity), {})
            kind.setdefault(touch.entity, []).append((number, touch))

    def reasons(self, facts: Facts) -> dict[int, str]:
        """The steps so far that a step waits for, but for those that it names."""
        found: dict[int, str] = {}
        if self._last_of_all >= 0:
            found[self._last_of_all] = "steps"
        if EVERY in facts.names:
            found |= dict.fromkeys(range(self._count), "steps")
        if facts.destroys:
            found |= dict.fromkeys(range(self._count), "destroys")
        elif facts.writes:
            found |= dict.fromkeys(self._guards, "expects")
        for touch in sorted(facts.touches):
            for number, other in self._near(touch):
                if _collide(other, touch):
                    why = _shown(other, touch)
                    # That both touch the same entity says more than that they touch its parts.
                    if " of " in found.get(number, " of "):
                        found[number] = why
        return found

    def _near(self, touch: Touch) -> Iterator[tuple[int, Touch]]:
        """All that a touch could collide with."""
        for (resource, mode), kinds in self._touched.items():
            if ANYTHING in (resource, touch.resource):
                near = set(kinds)
            elif resource == touch.resource:
                near = set(_NEAR[_kind(touch.entity)])
            else:
                continue
            if (mode, touch.mode) in _EITHER_WAY:
                continue
            own = _kind(touch.entity)
            if mode is touch.mode is Mode.TAKES:
                near = {own}
            for kind in near & set(kinds):
                if kind == own and kind in "=@" and resource == touch.resource:
                    yield from kinds[kind].get(touch.entity, ())
                else:
                    for steps in kinds[kind].values():
                        yield from steps


def _kind(entity: str) -> str:
    return entity[0] if entity[0] in "=@*?+" else "x"


# The kinds of entity that may be the same as one of a kind.
_NEAR: Mapping[str, str] = {
    EVERY: "*?+=@x", SOME: "*?=@x", NEW: "*", "=": "*?=@x", "@": "*?=@x", "x": "*?=@x"
}  # fmt: skip


def _collide(one: Touch, other: Touch) -> bool:
    """Whether two steps must keep their order for what they touch."""
    trackers = {one.tracker, other.tracker}
    # Two names are two trackers; the run's own may be any of them.
    if len(trackers) == 2 and not trackers & {"", UNKNOWN_TRACKER}:
        return False
    if one.mode is other.mode is Mode.TAKES:
        return one.entity == other.entity != SOME
    if ANYTHING in (one.resource, other.resource):
        return FILES not in (one.resource, other.resource)
    return _kind(one.entity) in _NEAR[_kind(other.entity)] and not (
        _kind(one.entity) == _kind(other.entity) in "=@" and one.entity != other.entity
    )


def _shown(one: Touch, other: Touch) -> str:
    resource = other.resource if one.resource == ANYTHING else one.resource
    if resource == ANYTHING:
        return "all of the tracker"
    exact = one.entity == other.entity and one.entity[0] == "="
    return f"{resource} {one.entity[1:]}" if exact and " of " not in resource else resource
