"""Which trackers a plan names, as far as that can be known before it runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from runner.model import Place
from runner.planning.plan import Block, Call, Include, Plan, Step
from runner.templating import Renderer, TemplateError

COMPUTED = "${{ … }}"


class Named(NamedTuple):
    """A tracker's name, where it is named, and whether the step there is sure to be run."""

    name: str
    place: Place
    surely: bool


def named_trackers(plan: Plan) -> Iterator[Named]:
    """Each name that a step states, or that the inputs give it."""
    scope = {"inputs": dict(plan.inputs.values)}
    yield from _of_steps(plan.all_steps, scope, surely=True)


def _of_steps(steps: Iterable[Step], scope: Mapping[str, Any], *, surely: bool) -> Iterator[Named]:
    for step in steps:
        work = step.work
        sure = surely and step.when is None
        if isinstance(work, Call | Include):
            name = _known(work.tracker, scope)
            if name is not None:
                yield Named(name, step.place, sure)
        if isinstance(work, Block):
            yield from _of_steps(work.steps, scope, surely=sure)
        elif isinstance(work, Include):
            # What its inputs are is known once it is come to.
            yield from _of_steps(work.plan.all_steps, {}, surely=sure)


def tracker_of(work: Call | Include, scope: Mapping[str, Any], outer: str | None) -> str | None:
    """The tracker of a step within that `outer` one: `None` is the run's own.

    It is `COMPUTED` where it is known once the step is come to.
    """
    if work.tracker is None:
        return outer
    return _known(work.tracker, scope) or COMPUTED


def used_trackers(plan: Plan) -> list[str | None]:
    """The trackers that the calls of a plan go to, each once, as `tracker_of` tells them."""
    scope = {"inputs": dict(plan.inputs.values)}
    return list(dict.fromkeys(_used(plan.all_steps, scope, None)))


def _used(
    steps: Iterable[Step], scope: Mapping[str, Any], outer: str | None
) -> Iterator[str | None]:
    for step in steps:
        work = step.work
        if isinstance(work, Block):
            yield from _used(work.steps, scope, outer)
        elif isinstance(work, Include):
            within = tracker_of(work, scope, outer)
            yield from _used(work.plan.all_steps, {}, within)
        elif isinstance(work, Call):
            yield tracker_of(work, scope, outer)


def _known(renderer: Renderer | None, scope: Mapping[str, Any]) -> str | None:
    if renderer is None:
        return None
    try:
        name = renderer.render(scope)
    except TemplateError:
        return None
    return name if isinstance(name, str) else None
