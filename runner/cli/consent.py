"""Steps that destroy: what they will do is said, and a person or `--yes` must agree."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import click

from runner.cli.output import say
from runner.errors import RunnerError
from runner.model import Json
from runner.planning import (
    Block,
    Call,
    Include,
    Plan,
    Step,
    destroys,
    repeats,
    surely_destroyed,
    tracker_of,
)
from runner.templating.expressions import nearest


class _Threat(NamedTuple):
    """A step that destroys: its label, and what it does; `unbounded` where nothing limits it.

    `often` is how often, where that is known, and `tracker` where, as `tracker_of` tells it.
    """

    label: str
    says: str
    often: int | None
    unbounded: str
    tracker: str | None


def check_destroys(plan: Plan, most: int | None) -> None:
    """Refuse what is known beforehand to destroy too much; other loops know once they begin."""
    count = surely_destroyed(plan.all_steps, plan.inputs.values)
    if most is not None and count > most:
        raise RunnerError(
            f"this playbook destroys {count}, and may destroy {most}",
            "nothing was sent; if that is meant, allow it with --max-destroy",
        )


def require_consent(
    plan: Plan, yes: tuple[str, ...], most: int, where: Callable[[str | None], str]
) -> None:
    """Ask on a terminal; elsewhere raise RunnerError unless `--yes` was given.

    `where` tells a tracker in words, as `tracker_of` gives it: who agrees should see it, and `most`
    calls may destroy. What has no bound must be named, on a terminal too: `--yes=STEP`. A name
    that is none of a step that destroys is refused.
    """
    threats = list(_threats(plan.all_steps, plan.inputs.values))
    unnamed = [t for t in threats if t.unbounded and t.label not in yes]
    if unnamed:
        first = unnamed[0]
        raise RunnerError(
            f"the step {first.label} {first.unbounded}", f"if that is meant: --yes={first.label}"
        )
    _check_names(yes, [threat.label for threat in threats])
    open_ = [t for t in threats if not t.unbounded and "*" not in yes and t.label not in yes]
    if not open_:
        return
    places = {threat.tracker for threat in open_}
    one = f", on {where(*places)}" if len(places) == 1 else ""
    counts = [threat.often for threat in open_]
    bound = f" up to {most}" if None in counts else f" {sum(filter(None, counts))}"
    if set(counts) == {1}:
        bound = ""
    lines = [f"this playbook destroys{bound}{one}:"]
    for threat in open_:
        at = "" if one else f", on {where(threat.tracker)}"
        lines.append(f"  {threat.label}  {threat.says}{at}")
    say("\n".join(lines))
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise RunnerError(
            "steps that destroy need consent, and there is no terminal to ask", "add --yes"
        )
    if not click.confirm("go on?", err=True):
        raise RunnerError("nothing was sent")


def _check_names(names: Iterable[str], labels: list[str]) -> None:
    for name in names:
        if name != "*" and name not in labels:
            near = nearest(name, labels)
            known = [near] if near else labels
            raise RunnerError(
                f"--yes={name}: no step of that name destroys anything",
                f"these do: {', '.join(f'--yes={label}' for label in known)}"
                if known
                else "nothing in this playbook does: leave it out",
            )


def _threats(
    steps: Iterable[Step],
    given: Mapping[str, Json],
    outer: str = "",
    tracker: str | None = None,
    each: int | None = 1,
) -> Iterator[_Threat]:
    scope = {"inputs": dict(given)}
    for step in steps:
        label = f"{outer}.{step.label}" if outer else step.label
        work = step.work
        if not isinstance(work, Block | Include) and not destroys(work, given):
            continue
        own = repeats(step, given)
        count = None if own is None or each is None else own * each
        if isinstance(work, Block):
            yield from _threats(work.steps, given, label, tracker, count)
        elif isinstance(work, Include):
            within = tracker_of(work, scope, tracker)
            yield from _threats(work.plan.all_steps, {}, label, within, count)
        elif isinstance(work, Call):
            items = "item" if own is None else f"of {own} items"
            repeated = f" once for each {items}" if step.loop else ""
            archives = "; the tracker archives it" if work.operation.archives else ""
            says = f"{work.operation}{repeated}{archives} ({step.place})"
            yield _Threat(label, says, count, _unbounded(work), tracker_of(work, scope, tracker))


def _unbounded(call: Call) -> str:
    """What a call without a bound does, or an empty text."""
    limit = call.operation.unbounded
    if not limit:
        return ""
    field = limit.get("unless_body")
    if field and field in call.body_fields:
        return ""
    return str(limit["says"])
