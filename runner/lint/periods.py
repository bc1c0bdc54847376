"""Periods of reports and logs: days that are none, the wrong way round, in a zone nobody knows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from runner.lint.finding import Body, Finding, is_open
from runner.model import Json
from runner.playbook import Trail
from runner.templating.expressions import nearest

_FORMS = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S")


def period(said: Json, value: Json, trail: Trail, body: Body) -> Iterator[Finding]:  # noqa: ARG001
    """KT015: a period by its days, its time zone, and the name that may stand in place of days.

    `said` names these fields.
    """
    if not isinstance(value, dict):
        return
    found: dict[str, datetime] = {}
    for end in ("from", "to"):
        given = value.get(said[end])
        if not isinstance(given, str) or is_open(given):
            continue
        moment = _moment(given)
        if moment is None:
            yield Finding(
                "KT015", f"'{given}' is no day and no moment",
                "write YYYY-MM-DD, or YYYY-MM-DD HH:MM", (*trail, said[end]),
            )  # fmt: skip
        else:
            found[end] = moment
    if len(found) == 2 and found["from"] > found["to"]:
        yield Finding("KT015", "the period ends before it begins", "change the two round",
                      (*trail, said["to"]))  # fmt: skip
    if said["named"] in value and said["from"] in value:
        yield Finding("KT015", f"'{said['named']}' and '{said['from']}' name two periods",
                      "keep one of them", (*trail, said["named"]))  # fmt: skip
    zone = value.get(said["zone"])
    if isinstance(zone, str) and not is_open(zone) and not _is_zone(zone):
        yield Finding("KT015", f"there is no time zone '{zone}'", _near(zone),
                      (*trail, said["zone"]))  # fmt: skip


def _moment(text: str) -> datetime | None:
    for form in _FORMS:
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    return None


def _is_zone(name: str) -> bool:
    """Whether that is a time zone, as far as this system knows any."""
    from zoneinfo import ZoneInfo  # noqa: PLC0415  (for reports alone)

    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return not _zones()
    return True


def _zones() -> set[str]:
    from zoneinfo import available_timezones  # noqa: PLC0415

    return available_timezones()


def _near(name: str) -> str:
    near = nearest(name, sorted(_zones()))
    return f"did you mean '{near}'?" if near else "use a name of the IANA's, such as Europe/Madrid"
