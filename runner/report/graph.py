"""The order of a playbook's steps, as lines of text and as a Mermaid flowchart."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from runner.planning import Block, Call, Include, Plan, SetValues, Step
from runner.planning.order import Order


def as_text(plan: Plan, order: Order) -> Iterator[str]:
    """A line a step: its number, its name, what it does, what it waits for and why."""
    steps = plan.steps
    depth = order.depth
    yield (
        f"{plan.file}: {len(steps)} step{'' if len(steps) == 1 else 's'}, "
        f"{depth} of them one after the other"
    )
    marks = [str(number) for number in range(1, len(steps) + 1)]
    names, works = [step.label for step in steps], [_work(step) for step in steps]
    last = [("finally", step.label, _work(step)) for step in plan.last]
    columns = [
        max(map(len, column), default=0)
        for column in zip(*zip(marks, names, works, strict=True), *last, strict=True)
    ]
    for mark, name, work, waits in zip(marks, names, works, order.waits, strict=True):
        why = "; ".join(f"{steps[n].label} ({_why(reason)})" for n, reason in waits.items())
        after = f"  after {why}" if why else ""
        yield f"  {_cells(columns, mark, name, work)}{after}".rstrip()
    for mark, name, work in last:
        yield f"  {_cells(columns, mark, name, work)}".rstrip()


def as_mermaid(plan: Plan, order: Order) -> Iterator[str]:
    """A flowchart: an arrow leads from each step to those that wait for it."""
    yield "flowchart TD"
    for number, step in enumerate(plan.steps, start=1):
        yield f'  s{number}["{_quoted(step.label)}<br>{_quoted(_work(step))}"]'
    for number, waits in enumerate(order.waits, start=1):
        for earlier, reason in waits.items():
            label = "" if reason.startswith("steps") else f'|"{_quoted(_why(reason))}"|'
            yield f"  s{earlier + 1} -->{label} s{number}"
    if plan.last:
        yield "  subgraph finally"
        for number, step in enumerate(plan.last, start=1):
            yield f'    f{number}["{_quoted(step.label)}<br>{_quoted(_work(step))}"]'
        for number in range(1, len(plan.last)):
            yield f"    f{number} --> f{number + 1}"
        yield "  end"
        waited = {earlier for waits in order.waits for earlier in waits}
        for number in range(len(plan.steps)):
            if number not in waited:
                yield f"  s{number + 1} --> f1"


def _cells(widths: Sequence[int], mark: str, name: str, work: str) -> str:
    return f"{mark:>{widths[0]}}  {name:<{widths[1]}}  {work:<{widths[2]}}"


def _work(step: Step) -> str:
    """What a step does, in a word or two."""
    work = step.work
    if isinstance(work, Call):
        what = str(work.operation)
    elif isinstance(work, SetValues):
        what = "set"
    elif isinstance(work, Block):
        what = f"block of {len(work.steps)}"
    elif isinstance(work, Include):
        what = f"include {work.plan.file}"
    return f"{what} for each" if step.loop is not None else what


def _why(reason: str) -> str:
    """A reason for waiting, in words."""
    if reason.startswith("steps"):
        return reason
    part, of, whole = reason.partition(" of ")
    touched = f"a {whole}'s {part}" if of and part != "all" else reason
    return {"destroys": "this one destroys", "expects": "it guards what comes after"}.get(
        reason, f"both touch {touched}"
    )


def _quoted(text: str) -> str:
    """Text inside a label, where Mermaid gives some characters a meaning."""
    return re.sub(r'["#<>&`\\]', lambda found: f"#{ord(found[0])};", text)
