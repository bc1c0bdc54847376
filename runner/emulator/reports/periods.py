"""Ranges of time as requests give them, to a pair of epochs; knows no rows."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from runner.emulator.answers import InvalidError

_FORMATS = (
    # The second is how much longer an end lasts that is given to this precision.
    ("%Y-%m-%d %H:%M:%S", timedelta(seconds=1)),
    ("%Y-%m-%d %H:%M", timedelta(minutes=1)),
    ("%Y-%m-%d", timedelta(days=1)),
)


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` up to, not including, `end` (epochs), and the zone to show times in."""

    start: float
    end: float
    zone: ZoneInfo

    def __contains__(self, at: float) -> bool:
        return self.start <= at < self.end


def read_range(given: Any, now: datetime) -> Period:
    """Return the period of a `range` object, all time for none; raises InvalidError.

    An interval replaces from and to.  An end covers the whole day, minute or second it names.  The
    timezone is UTC where none is given (what trackers take then is not established).
    """
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise InvalidError.of("range", "Range must be an object")
    zone = read_zone(given.get("timezone"), "range")
    if given.get("interval"):
        start = _interval(given["interval"], now.astimezone(zone))
        end = now.timestamp() + 1
        if given["interval"] == "yesterday":
            end = _midnight(now.astimezone(zone)).timestamp()
        return Period(start, end, zone)
    begin = read_moment(given["from"], zone, "range") if given.get("from") else 0.0
    end = read_end(given["to"], zone, "range") if given.get("to") else float("inf")
    return Period(begin, end, zone)


def read_zone(name: Any, field: str) -> ZoneInfo:
    """Return the IANA zone of this name, UTC for none; raises InvalidError."""
    try:
        return ZoneInfo(str(name or "UTC"))
    except (KeyError, ValueError, OSError):
        raise InvalidError.of(field, f"Unknown timezone {name!r}") from None


def read_moment(value: Any, zone: ZoneInfo, field: str) -> float:
    """Return the epoch of a date, with or without a time; raises InvalidError."""
    return _parse(value, field)[0].replace(tzinfo=zone).timestamp()


def read_end(value: Any, zone: ZoneInfo, field: str) -> float:
    """Return the epoch at which the day, minute or second that `value` names is over."""
    moment, length = _parse(value, field)
    if moment.year == datetime.max.year:
        # "Until for ever": the moment after may not exist.
        return float("inf")
    return (moment + length).replace(tzinfo=zone).timestamp()


def _parse(value: Any, field: str) -> tuple[datetime, timedelta]:
    for form, length in _FORMATS:
        try:
            return datetime.strptime(str(value), form), length
        except ValueError:
            continue
    raise InvalidError.of(field, f"Invalid date {value!r}, use YYYY-MM-DD or YYYY-MM-DD HH:MM:SS")


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _months_ago(day: datetime, months: int) -> datetime:
    index = day.year * 12 + day.month - 1 - months
    year, month = index // 12, index % 12 + 1
    return day.replace(
        year=year, month=month, day=min(day.day, calendar.monthrange(year, month)[1])
    )


# The official list (2022), exhaustive; each gives the start for today's midnight.
INTERVALS: Mapping[str, Callable[[datetime], datetime]] = {
    "today": lambda day: day,
    "yesterday": lambda day: day - timedelta(days=1),
    "7_days_ago": lambda day: day - timedelta(days=7),
    "first_day_of_this_week": lambda day: day - timedelta(days=day.weekday()),
    "1_month_ago": lambda day: _months_ago(day, 1),
    "first_day_of_this_month": lambda day: day.replace(day=1),
    "1_year_ago": lambda day: _months_ago(day, 12),
    "first_day_of_this_year": lambda day: day.replace(month=1, day=1),
    "all_time": lambda day: datetime(1970, 1, 2, tzinfo=UTC).astimezone(day.tzinfo),
}


def _interval(name: Any, now: datetime) -> float:
    if name not in INTERVALS:
        known = ", ".join(INTERVALS)
        raise InvalidError.of("range", f"Unknown interval {name!r}. Available intervals: {known}")
    return INTERVALS[name](_midnight(now)).timestamp()
