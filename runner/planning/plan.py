"""The plan: everything compiled and looked up, so that running is rendering, sending, judging."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from runner.catalogue import Operation
from runner.inputs import Inputs
from runner.model import Effect, Json, Place
from runner.playbook import Document, fingerprint
from runner.shapes import Shape
from runner.templating import (
    Expression,
    Reference,
    Renderer,
    TemplateError,
    Templates,
    items_of,
    roots_of,
)
from runner.wire import Convert


class Condition(NamedTuple):
    """An expression that must give true or false, with the place to point at where it does not."""

    source: str
    expression: Expression | None
    constant: bool
    place: Place


class Until(NamedTuple):
    """Repeat a call until a condition holds: how long to wait between, how often to try."""

    condition: Condition
    every: Renderer
    attempts: int


class Save(NamedTuple):
    """Write a value to a file: `form` is json, csv, text or raw."""

    to: Renderer
    value: Renderer | None
    form: str | None
    columns: tuple[str, ...]


class Needs(NamedTuple):
    """What the calls of one operation must fit once they are rendered.

    `convert` turns a body into the types that the API declares, where they differ. `shown_by`
    reads what they would change, where it stands at the same address.
    """

    body: Shape | None
    params: Mapping[str, Shape]
    convert: Convert | None
    shown_by: Operation | None = None


class Call(NamedTuple):
    """One call of the API. `retries` is how often it may be tried again where that is safe.

    `cache` says that the answer to the same call earlier in the run will do.
    `body_fields` are the fields of the body as far as they are written out.
    """

    operation: Operation
    entity: Renderer | None
    params: Renderer
    body: Renderer | None
    body_fields: frozenset[str]
    needs: Needs
    expect: tuple[Condition, ...]
    until: Until | None
    retries: int
    timeout: Renderer | None
    tracker: Renderer | None
    save: Save | None
    cache: bool


class SetValues(NamedTuple):
    """Values computed without a call."""

    values: Renderer
    expect: tuple[Condition, ...]
    save: Save | None


class Block(NamedTuple):
    """Steps that run together."""

    steps: tuple[Step, ...]


class Include(NamedTuple):
    """Another playbook; `declared` are its inputs as it declares them."""

    plan: Plan
    declared: Mapping[str, Json]
    inputs: Renderer
    tracker: Renderer | None


Work = Call | SetValues | Block | Include


class Loop(NamedTuple):
    """A list to repeat a step over: what an item is called, how many at a time."""

    items: Renderer
    name: str
    concurrency: Renderer


class Step(NamedTuple):
    """One step of whatever kind.

    `label` is its name, or its place in the list where it has none. `when_each` says that `when`
    asks about the item, so that it is asked for each.
    """

    label: str
    name: str | None
    place: Place
    when: Condition | None
    when_each: bool
    loop: Loop | None
    on_error: str
    work: Work


@dataclass(frozen=True, slots=True)
class Plan:
    """A playbook that can run: its steps in order, its inputs, its vars still to be computed.

    `started` is when the run began, which `today()` and its like go by. `kept` names the steps
    whose value is needed later.
    """

    name: str
    file: str
    fingerprint: str
    steps: tuple[Step, ...]
    last: tuple[Step, ...]
    inputs: Inputs
    variables: Mapping[str, Renderer]
    outputs: Mapping[str, Renderer]
    started: datetime
    kept: Kept
    document: Document = field(repr=False)
    templates: Templates = field(repr=False)

    @property
    def all_steps(self) -> tuple[Step, ...]:
        """The steps, and those below `finally`."""
        return (*self.steps, *self.last)

    def keeps(self, name: str | None) -> bool:
        """Whether anything that the step of that name gives is needed later."""
        return _is_in(name, self.kept.named)

    def keeps_whole(self, name: str | None) -> bool:
        """Whether more of it is needed than how it ended."""
        return _is_in(name, self.kept.whole)


def _is_in(name: str | None, names: frozenset[str]) -> bool:
    return name is not None and (name in names or "*" in names)


class Kept(NamedTuple):
    """The names of the steps whose value is needed later, and of those that need be kept whole.

    Of the others success, skipped and count will do.
    """

    named: frozenset[str]
    whole: frozenset[str]


def kept(references: Iterable[Reference], steps: Sequence[Step]) -> Kept:
    """What is kept for the references of a playbook; `*` stands for all names.

    What a block gives is what its steps give, however deep, so that all of it is kept whole.
    """
    named, whole = set(), set()
    for reference in references:
        if reference.root == "steps":
            name = str(reference.keys[0]) if reference.keys else "*"
            named.add(name)
            if len(reference.keys) < 2 or reference.keys[1] not in _OUTSIDE:
                whole.add(name)
    _add_inside(steps, whole, inside=False)
    return Kept(frozenset(named | whole), frozenset(whole))


_OUTSIDE = frozenset({"success", "skipped", "count"})


def _add_inside(steps: Sequence[Step], whole: set[str], *, inside: bool) -> None:
    for step in steps:
        if inside and step.name:
            whole.add(step.name)
        if isinstance(step.work, Block):
            _add_inside(step.work.steps, whole, inside=inside or step.name in whole)


def repeats(step: Step, given: Mapping[str, Json]) -> int | None:
    """How often a step runs with these inputs, where that is known before anything is sent."""
    if step.when is not None:
        return None
    if step.loop is None:
        return 1
    roots = roots_of(step.loop.items)
    if roots is None or not roots <= {"inputs"}:
        return None
    try:
        items = items_of(step.loop.items, {"inputs": given})
    except TemplateError:  # which is for the step to say, once it comes to it
        return None
    return len(items) if isinstance(items, Sequence) and not isinstance(items, str) else None


def destroys(work: Work, given: Mapping[str, Json]) -> int:
    """How many calls that destroy a step makes at least, each time that it runs."""
    if isinstance(work, Call):
        return int(work.operation.effect is Effect.DESTROYS)
    if isinstance(work, Block):
        return surely_destroyed(work.steps, given)
    if isinstance(work, Include):
        return surely_destroyed(work.plan.steps, {})
    return 0


def surely_destroyed(steps: Iterable[Step], given: Mapping[str, Json]) -> int:
    """How many calls that destroy are made by steps of a list whose number is known beforehand."""
    counts = ((destroys(step.work, given), step) for step in steps)
    # What a loop goes through is looked at only where it matters.
    return sum(count * (repeats(step, given) or 0) for count, step in counts if count)


def step_fingerprints(plan: Plan) -> dict[str, str]:
    """A fingerprint for each top-level step, by label, in order: equal where it is the same step.

    What a step includes counts as part of it.
    """
    lists = ((plan.steps, "steps"), (plan.last, "finally"))
    return {
        step.label: fingerprint([raw, [inner.fingerprint for inner in _included(step.work)]])
        for steps, key in lists
        for step, raw in zip(steps, plan.document.data.get(key) or [], strict=True)
    }


def _included(work: Work) -> list[Plan]:
    if isinstance(work, Include):
        return [work.plan, *(p for step in work.plan.steps for p in _included(step.work))]
    if isinstance(work, Block):
        return [plan for step in work.steps for plan in _included(step.work)]
    return []
