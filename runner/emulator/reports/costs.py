"""Writing to traffic: costs spread over clicks, and clicks removed for good."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from runner.emulator import fields
from runner.emulator.answers import InvalidError
from runner.emulator.entities.campaigns import CAMPAIGN
from runner.emulator.entities.crud import find
from runner.emulator.fields import Field, Kind, flag, integer, label, text
from runner.emulator.reports.periods import Period, read_end, read_moment, read_zone
from runner.emulator.routing import Call
from runner.emulator.state import Row

# One unit in the tracker's currency, USD; any fixed rates will do.
_RATES = {"USD": 1.0, "EUR": 1.1, "GBP": 1.25, "RUB": 0.011, "UAH": 0.025}

_FILTERS = (
    *("keyword", "cost", "currency", "external_id", "creative_id", "ad_campaign_id", "source"),
    *(f"sub_id_{number}" for number in range(1, 16)),
)

_ENTRY = (
    text("start_date", required=True),
    text("end_date", required=True),
    text("timezone", required=True),
    Field("cost", Kind.NUMBER, 0, required=True),
    text("currency", required=True),
    flag("only_campaign_uniques"),
    Field("filters", Kind.OBJECT, {}),
)


def update_campaign_costs(call: Call) -> Row:
    """Overwrite the cost of one campaign's clicks; answers before trackers have done the work."""
    row = find(CAMPAIGN, call)
    _spread(call, {row["id"]}, fields.read(_ENTRY, call.body, partial=False))
    return {"success": True}


def update_click_costs(call: Call) -> Row:
    """Overwrite the cost of many campaigns' clicks; every entry is checked before any is applied.

    Timezone and currency may stand in each entry or once for all.
    """
    ids = _campaign_ids(call.body.get("campaign_ids"))
    shared: Row = {
        name: call.body[name]
        for name in ("timezone", "currency", "only_campaign_uniques")
        if name in call.body
    }
    entries = [fields.read(_ENTRY, {**shared, **item}, partial=False) for item in _costs(call.body)]
    for entry in entries:
        _matching(call, ids, entry)
    for entry in entries:
        _spread(call, ids, entry)
    return {"success": True}


def _campaign_ids(given: Any) -> set[int]:
    try:
        ids = {fields.as_integer(item) for item in given or []}
    except (TypeError, ValueError):
        raise InvalidError.of("campaign_ids", "Campaign ids must be an array of integers") from None
    if not ids:
        raise InvalidError.of("campaign_ids", "Campaign ids is required")
    return ids


def _costs(body: Row) -> list[Row]:
    costs = body.get("costs")
    if (
        not isinstance(costs, list)
        or not costs
        or not all(isinstance(item, dict) for item in costs)
    ):
        raise InvalidError.of("costs", "Costs is required")
    return costs


def _spread(call: Call, campaigns: Collection[int], entry: Row) -> None:
    """Divide a cost evenly; where nothing matches it is lost without a word (seen live)."""
    clicks = _matching(call, campaigns, entry)
    for click in clicks:
        click["cost"] = entry["cost"] * _rate(entry["currency"]) / len(clicks)
    if clicks:
        call.state.touch()


def _matching(call: Call, campaigns: Collection[int], entry: Row) -> list[Row]:
    period = _period(entry)
    wanted = _wanted(entry["filters"])
    _rate(entry["currency"])
    return [
        click
        for click in call.state.traffic.clicks
        if click["campaign_id"] in campaigns
        and call.rights.sees_id("campaigns", click["campaign_id"])
        and click["at"] in period
        and (not entry["only_campaign_uniques"] or click.get("is_unique_campaign"))
        and all(str(click.get(name, "")) in values for name, values in wanted.items())
    ]


def _wanted(given: Row) -> dict[str, set[str]]:
    """Read `{"sub_id_1": "1,2,3", "source": "site.ru"}`: values by commas, all keys must match."""
    unknown = sorted(set(given) - set(_FILTERS))
    if unknown:
        raise InvalidError.of("filters", f"Unknown filters {unknown}, use {', '.join(_FILTERS)}")
    return {name: {part.strip() for part in str(value).split(",")} for name, value in given.items()}


def _rate(currency: str) -> float:
    if currency.upper() not in _RATES:
        raise InvalidError.of("currency", f"{label('currency')} {currency} is unknown")
    return _RATES[currency.upper()]


def _period(entry: Row) -> Period:
    zone = read_zone(entry.get("timezone"), "timezone")
    return Period(
        read_moment(entry["start_date"], zone, "start_date"),
        read_end(entry["end_date"], zone, "end_date"),
        zone,
    )


_CLEAN = (
    text("start_date", required=True),
    text("end_date", required=True),
    integer("campaign_id", None),
    text("timezone"),
)


def clean_clicks(call: Call) -> Row:
    """Remove clicks with their conversions: those of all campaigns where none is named."""
    entry = fields.read(_CLEAN, call.body, partial=False)
    period, traffic = _period(entry), call.state.traffic
    gone = {
        click["sub_id"]
        for click in traffic.clicks
        if click["at"] in period
        and entry["campaign_id"] in (None, click["campaign_id"])
        and call.rights.sees_id("campaigns", click["campaign_id"])
    }
    if gone:
        traffic.clicks = [row for row in traffic.clicks if row["sub_id"] not in gone]
        traffic.conversions = [row for row in traffic.conversions if row["sub_id"] not in gone]
        call.state.touch()
    return {"success": True}
