"""Every step of a document in the order of its lines, blocks and `finally` included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from runner.model import Json
from runner.playbook import Map, Trail


class Visit(NamedTuple):
    """A step and what stands around it.

    `loop` is where the innermost `for_each` around it stands (its own counts). `guarded` says
    that some `when` decides whether it runs, `chosen` that one decides it in each round anew.
    """

    step: Map
    trail: Trail
    loop: Trail | None = None
    guarded: bool = False
    chosen: bool = False


def steps_of(data: Map) -> Iterator[Visit]:
    """All steps, those inside blocks after the block itself; shapes are not taken for granted."""
    for key in ("steps", "finally"):
        yield from _below(data.get(key), (key,), Visit(data, ()))


def _below(steps: Json, trail: Trail, around: Visit) -> Iterator[Visit]:
    if not isinstance(steps, list):
        return
    for index, step in enumerate(steps):
        if isinstance(step, Map):
            visited = _visit(step, (*trail, index), around)
            yield visited
            if "steps" in step:
                yield from _below(step["steps"], (*visited.trail, "steps"), visited)


def _visit(step: Map, trail: Trail, around: Visit) -> Visit:
    asks = "when" in step
    if "for_each" in step:
        return Visit(step, trail, trail, around.guarded or asks, asks)
    return Visit(step, trail, around.loop, around.guarded or asks, around.chosen or asks)
