"""Steps that a second run of theirs would double."""

from __future__ import annotations

from collections.abc import Iterator

from runner.catalogue import Operation
from runner.lint.finding import Finding
from runner.lint.steps import Visit
from runner.model import Effect


def doubled(visited: Visit, operation: Operation | None) -> Iterator[Finding]:
    """KT012: a create in a loop, of something that cannot be found again.

    Only in loops, and only without a `when`. A single create is what nearly every playbook is
    for, and a run that breaks there leaves one thing to look for; a loop that breaks leaves some
    unknown part of many, and starting it again doubles that part. A `when` is how a playbook
    asks whether the thing is there already.
    """
    if operation is None or visited.loop is None or visited.chosen:
        return
    if operation.effect is Effect.WRITES and not operation.repeatable and not operation.natural_key:
        item = visited.step.get("as", "item")
        yield Finding(
            "KT012",
            f"{operation} in a loop: what it makes has no key to be found again by, so starting "
            "over doubles it",
            "list what is there first, and pass over it: when: ${{ not (steps.NAME.data | "
            f"where(name={item}.name)) }}}}",
            (*visited.trail, "operation"),
        )
