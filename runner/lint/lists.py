"""Lists within a body: shares that add up, entries that stand once, lists that are replaced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runner.lint.finding import Body, Finding, is_number, is_open
from runner.model import Json
from runner.playbook import Trail
from runner.templating.text import is_whole

WHOLE = 100


def shares(said: Json, value: Json, trail: Trail, _body: Body) -> Iterator[Finding]:
    """KT001: the active shares of a list must add up to 100, as far as they are written out."""
    if not isinstance(value, list) or not value:
        return
    off: Mapping[str, Json] = said["off"]
    active: list[Any] = []
    for item in value:
        if not isinstance(item, dict) or any(is_open(item.get(key)) for key in off):
            return
        if any(item.get(key) != state for key, state in off.items()):
            active.append(item.get(said["share"]))
    if not active or not all(map(is_number, active)):
        return
    total = sum(active)
    if total != WHOLE:
        yield Finding(
            "KT001",
            f"the shares add up to {total:g}, not to {WHOLE}",
            _even(len(active)),
            trail,
            key=True,
        )


def _even(count: int) -> str:
    if count == 1:
        return f"the only active entry gets {WHOLE}"
    least, more = divmod(WHOLE, count)
    parts = [str(least + (index < more)) for index in range(count)]
    even = ", ".join(parts) if count <= 8 else f"about {least} each"
    return f"correct them; equal shares are {even}"


def unique(field: Json, value: Json, trail: Trail, _body: Body) -> Iterator[Finding]:
    """KT002: an entry that stands twice is kept once, with a share that nobody chose."""
    first: dict[Json, int] = {}
    for index, item in enumerate(value if isinstance(value, list) else ()):
        number = item.get(field) if isinstance(item, dict) else None
        if not isinstance(number, int | str) or is_open(number):
            continue
        if number in first:
            yield Finding(
                "KT002",
                f"{field} {number} stands twice in this list; the first is item "
                f"{first[number] + 1}",
                "the tracker keeps one of the two: add their shares up in one entry",
                (*trail, index, field),
            )
        first.setdefault(number, index)


def replaces(_said: Json, value: Json, trail: Trail, body: Body) -> Iterator[Finding]:
    """KT005: a list that is written out in an update takes the place of all that was there.

    An item that is one expression is what somebody carries over on purpose.
    """
    if not body.operation.needs_id or not isinstance(value, list):
        return
    if any(isinstance(item, str) and is_whole(item) for item in value):
        return
    field = trail[-1]
    yield Finding(
        "KT005",
        f"this list replaces all {field} that are there; what it leaves out is lost",
        f'read first, change, write back: {field}: "${{{{ steps.NAME.data.{field} | '
        'replace_where({…}, id=…) }}", or | merge([…]) to add',
        trail,
        key=True,
    )
