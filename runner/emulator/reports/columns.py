"""The columns of clicks and conversions: which there are, and what each shows of a row."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from runner.emulator.countries import country_name
from runner.emulator.state import Row, State

_SUBS = tuple(f"sub_id_{number}" for number in range(1, 31))
_EXTRAS = tuple(f"extra_param_{number}" for number in range(1, 11))

_NUMBERS = (
    *("click_id", "campaign_id", "parent_campaign_id", "landing_id", "offer_id", "ts_id"),
    *("stream_id", "landing_clicked_period", "cost"),
)
_TEXTS = (
    *("sub_id", "parent_sub_id", "visitor_code", "language", "device_type", "connection_type"),
    *("ip", "country_code", "region", "region_code", "city", "user_agent", "operator", "os"),
    *("os_version", "browser", "browser_version", "device_model", "isp", "source", "referrer"),
    *("search_engine", "keyword", "destination", "ad_campaign_id", "external_id", "creative_id"),
    *("x_requested_with", "landing_clicked_datetime", *_SUBS, *_EXTRAS),
)
_FLAGS = (
    *("is_unique_stream", "is_unique_campaign", "is_unique_global", "is_bot"),
    *("is_using_proxy", "landing_clicked"),
)

# What a click shows where the seed left a column out.
DEFAULTS: Mapping[str, Any] = {
    **dict.fromkeys(_NUMBERS, 0),
    **dict.fromkeys(_TEXTS, ""),
    **dict.fromkeys(_FLAGS, 0),
}

# Columns that show the name of what an id of the click leads to.
_NAMES = {
    "campaign": ("campaigns", "campaign_id"),
    "parent_campaign": ("campaigns", "parent_campaign_id"),
    "landing": ("landing_pages", "landing_id"),
    "offer": ("offers", "offer_id"),
    "ts": ("traffic_sources", "ts_id"),
    "stream": ("streams", "stream_id"),
}

# The panel has ids for the distinct texts of these columns; any stable number will do.
_TWINS = (
    *("language", "device_type", "source", "keyword", "referrer", "destination", "search_engine"),
    *("x_requested_with", "user_agent", "isp", "operator", "os", "browser", "ip"),
)

_TIMES: Mapping[str, Callable[[datetime], Any]] = {
    "datetime": lambda at: at.strftime("%Y-%m-%d %H:%M:%S"),
    "year": lambda at: at.year,
    "month": lambda at: at.strftime("%Y-%m"),
    "week": lambda at: at.strftime("%G-%V"),
    "weekday": lambda at: at.isoweekday(),
    "day": lambda at: at.strftime("%Y-%m-%d"),
    "hour": lambda at: at.hour,
    "day_hour": lambda at: at.strftime("%Y-%m-%d %H:00"),
}

_CONVERSION_ONLY = (
    *("conversion_id", "click_datetime", "postback_datetime", "sale_datetime", "sale_period"),
    *("tid", "status", "previous_status", "original_status", "params"),
)


@dataclass(slots=True)
class Line:
    """One row of a log or report: a click with its conversions, or a conversion with its click."""

    click: Row
    conversions: list[Row] = field(default_factory=list)
    conversion: Row | None = None

    @property
    def at(self) -> float:
        """The epoch it is dated by: the postback's for a conversion, the click's otherwise."""
        return float((self.conversion or self.click)["at"])


class Lens:
    """Shows the columns of lines in one timezone, with names looked up in the state."""

    def __init__(self, state: State, zone: ZoneInfo) -> None:
        self.state = state
        self.zone = zone

    @cached_property
    def _labels(self) -> dict[tuple[int, str, str], str]:
        return {
            (campaign, reference, value): label
            for (campaign, reference), held in self.state.labels.items()
            for value, label in held.items()
        }

    def value(self, name: str, line: Line) -> Any:
        """Return what a column (one of CONVERSION_COLUMNS) shows of the line."""
        if name in DEFAULTS:
            value = line.click.get(name, DEFAULTS[name])
            return int(value) if isinstance(value, bool) else value
        if name in _TIMES:
            return _TIMES[name](datetime.fromtimestamp(line.at, self.zone))
        if name in _NAMES:
            table, key = _NAMES[name]
            return self.state.name_of(table, line.click.get(key))
        return _READERS[name](self, line)

    def label(self, line: Line, reference: str) -> str:
        """Return the label the line's campaign has put on its value of a column, or ""."""
        value = str(self.value(reference, line))
        return self._labels.get((line.click.get("campaign_id", 0), reference, value), "")

    def group_id(self, line: Line) -> int:
        """Return the group of the line's campaign, 0 for none."""
        campaign = self.state.tables["campaigns"].get(line.click.get("campaign_id", 0))
        return campaign["group_id"] if campaign else 0

    def network_id(self, line: Line) -> int:
        """Return the affiliate network of the line's offer, 0 for none."""
        offer = self.state.tables["offers"].get(line.click.get("offer_id", 0))
        return offer["affiliate_network_id"] if offer else 0

    def moment(self, row: Row | None, name: str) -> str:
        """Return an epoch of a row as a time in the lens's zone, "" where there is none."""
        at = (row or {}).get(name)
        return "" if at is None else _TIMES["datetime"](datetime.fromtimestamp(at, self.zone))


def revenue(line: Line) -> float:
    """Return the line's revenue: rejected conversions earn nothing."""
    rows = line.conversions if line.conversion is None else [line.conversion]
    return float(sum(row["revenue"] for row in rows if row["status"] != "rejected"))


def _has_status(status: str) -> Callable[[Lens, Line], int]:
    return lambda lens, line: int(any(row["status"] == status for row in _conversions(line)))  # noqa: ARG005


def _conversions(line: Line) -> list[Row]:
    return line.conversions if line.conversion is None else [line.conversion]


def _twin(name: str) -> Callable[[Lens, Line], int]:
    return lambda lens, line: zlib.crc32(str(line.click.get(name, "")).encode()) % 1_000_000  # noqa: ARG005


def _masked(octets: int) -> Callable[[Lens, Line], str]:
    def reader(lens: Lens, line: Line) -> str:  # noqa: ARG001 - of _READERS
        parts = str(line.click.get("ip", "")).split(".")
        return ".".join([*parts[:octets], *"x" * (4 - octets)]) if len(parts) == 4 else ""

    return reader


def _of_conversion(name: str) -> Callable[[Lens, Line], Any]:
    return lambda lens, line: (line.conversion or {}).get(name, "")  # noqa: ARG005


def _any_label(lens: Lens, line: Line) -> str:
    found = (lens.label(line, name) for name in ("ip", "source", "keyword", *_SUBS[:10]))
    return next((label for label in found if label), "")


_READERS: Mapping[str, Callable[[Lens, Line], Any]] = {
    **{f"{name}_id": _twin(name) for name in _TWINS},
    **{f"is_{status}": _has_status(status) for status in ("lead", "sale", "rejected")},
    "country": lambda lens, line: country_name(str(line.click.get("country_code", ""))),  # noqa: ARG005
    "country_flag": lambda lens, line: str(line.click.get("country_code", "")).lower(),  # noqa: ARG005
    "os_icon": lambda lens, line: str(line.click.get("os", "")).lower(),  # noqa: ARG005
    "browser_icon": lambda lens, line: str(line.click.get("browser", "")).lower(),  # noqa: ARG005
    "campaign_group_id": Lens.group_id,
    "campaign_group": lambda lens, line: lens.state.name_of("groups", lens.group_id(line)),
    "affiliate_network_id": Lens.network_id,
    "affiliate_network": lambda lens, line: lens.state.name_of(
        "affiliate_networks", lens.network_id(line)
    ),
    "revenue": lambda lens, line: revenue(line),  # noqa: ARG005
    "profit": lambda lens, line: revenue(line) - line.click.get("cost", 0),  # noqa: ARG005
    "is_empty_referrer": lambda lens, line: int(not line.click.get("referrer")),  # noqa: ARG005
    "ip_mask1": _masked(3),
    "ip_mask2": _masked(2),
    "label": _any_label,
    "now": lambda lens, line: lens.state.now(),  # noqa: ARG005
    **{name: _of_conversion(name) for name in _CONVERSION_ONLY},
    "click_datetime": lambda lens, line: lens.moment(line.click, "at"),
    "postback_datetime": lambda lens, line: lens.moment(line.conversion, "at"),
    "sale_datetime": lambda lens, line: lens.moment(line.conversion, "sale_at"),
    "sale_period": lambda lens, line: _sale_period(line.conversion or {}, line.click),  # noqa: ARG005
}


def _sale_period(conversion: Row, click: Row) -> int:
    """Return the seconds from click to sale, 0 where there was none."""
    return int(conversion["sale_at"] - click["at"]) if conversion.get("sale_at") else 0


CONVERSION_COLUMNS: tuple[str, ...] = (*DEFAULTS, *_TIMES, *_NAMES, *_READERS)
COLUMNS: tuple[str, ...] = tuple(
    name for name in CONVERSION_COLUMNS if name not in _CONVERSION_ONLY
)
