"""What a create must say because the default does harm, and what there can be only one of."""

from __future__ import annotations

from collections.abc import Iterator

from runner.lint.finding import Body, Finding, is_open
from runner.model import Json
from runner.playbook import Trail


def stated(said: Json, value: Json, trail: Trail, _body: Body) -> Iterator[Finding]:
    """KT004: a field that must be stated, since leaving it out means what hardly anyone wants."""
    if not isinstance(value, dict):
        return
    for field, why in said.items():
        if field not in value:
            yield Finding(
                "KT004",
                f"'{field}' is left out; {why}",
                f"add '{field}: true', or '{field}: false' to say that it is meant",
                trail,
                key=True,
            )


def single(said: Json, value: Json, trail: Trail, body: Body) -> Iterator[Finding]:
    """KT006: a second one of what the tracker takes one of, within the same owner.

    Steps that a `when` may leave out are not counted: there are often two, of which one runs. An
    expression stands for the same owner only within the same loop.
    """
    if not isinstance(value, dict) or body.visited.guarded:
        return
    ((field, wanted),) = said["where"].items()
    owner = value.get(said["per"])
    if value.get(field) != wanted or not isinstance(owner, int | str):
        return
    loop = body.visited.loop if is_open(owner) else None
    text = "".join(owner.split()) if isinstance(owner, str) else str(owner)
    here = body.document.place(body.document.offset((*trail, field)))
    before = body.memory.seen.setdefault(("single", str(body.operation), text, loop), here)
    if before is not here:
        yield Finding(
            "KT006",
            f"a second one of {field} '{wanted}' for the same {said['per']}; the first is on line "
            f"{before.line}",
            "the tracker refuses it: keep one, and make the other regular",
            (*trail, field),
        )
