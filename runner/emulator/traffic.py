"""Clicks and conversions: taking in given ones, and making up plausible ones from a random seed."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from runner.emulator.state import DELETED, Row, State

_FORMAT = "%Y-%m-%d %H:%M:%S"

_PLACES = (
    ("DE", "Berlin", "de"),
    ("FR", "Paris", "fr"),
    ("US", "New York", "en"),
    ("BR", "Sao Paulo", "pt"),
    ("PL", "Warsaw", "pl"),
    ("RO", "Bucharest", "ro"),
)
_DEVICES = (
    ("mobile", "Android", "14", "Chrome Mobile", "Samsung Galaxy S23"),
    ("mobile", "iOS", "17", "Mobile Safari", "Apple iPhone 14"),
    ("desktop", "Windows", "11", "Chrome", ""),
    ("desktop", "OS X", "14", "Safari", ""),
)
_KEYWORDS = ("insurance", "weight loss", "games", "dating", "crypto")
_SITES = ("news.example", "blog.example", "video.example")


def parse_time(value: Any) -> float:
    """Return the epoch of a `YYYY-MM-DD HH:MM:SS` in UTC; raises ValueError."""
    return datetime.strptime(str(value), _FORMAT).replace(tzinfo=UTC).timestamp()


def add_clicks(state: State, rows: Iterable[Row]) -> None:
    """Take in clicks; each needs a `datetime`, and gets a `click_id` and `sub_id` if need be."""
    for row in rows:
        number = len(state.traffic.clicks) + 1
        if "datetime" not in row:
            raise ValueError(f"seed: clicks[{number - 1}] has no datetime")
        usual = {"click_id": number, "sub_id": f"sub{number}", "campaign_id": 0, "cost": 0}
        state.traffic.clicks.append({**usual, **row, "at": parse_time(row["datetime"])})


def add_conversions(state: State, rows: Iterable[Row]) -> None:
    """Take in conversions; each needs the `sub_id` of a click, and may leave out all else.

    A second one of a click with the same `tid` is the same conversion with a new status.
    """
    known = {click["sub_id"]: click for click in state.traffic.clicks}
    for row in rows:
        if row.get("sub_id") not in known:
            raise ValueError(f"seed: a conversion names no click: sub_id {row.get('sub_id')!r}")
        _convert(state, known[row["sub_id"]], row)


def _convert(state: State, click: Row, row: Row) -> None:
    same = [
        other
        for other in state.traffic.conversions
        if other["sub_id"] == row["sub_id"] and other["tid"] == row.get("tid", "")
    ]
    at = parse_time(row["postback_datetime"]) if "postback_datetime" in row else click["at"]
    if same:
        same[0] |= {**row, "previous_status": same[0]["status"], "at": at}
        _note_sale(same[0])
        return
    status = row.get("status", "lead")
    usual = {
        "conversion_id": len(state.traffic.conversions) + 1,
        "tid": "",
        "status": status,
        "previous_status": "",
        "original_status": status,
        "params": "",
        "revenue": 0,
    }
    state.traffic.conversions.append({**usual, **row, "at": at})
    _note_sale(state.traffic.conversions[-1])


def _note_sale(conversion: Row) -> None:
    if conversion.get("sale_datetime"):
        conversion["sale_at"] = parse_time(conversion["sale_datetime"])
    elif conversion["status"] == "sale":
        conversion["sale_at"] = conversion["at"]


def generate(state: State, *, days: int = 7, clicks: int = 500, random_seed: int = 1) -> None:
    """Make up `clicks` over the last `days` for the campaigns there are, with conversions.

    The same arguments at the same time on the same entities give the same traffic.
    """
    campaigns = [row for row in state.tables["campaigns"].live() if row["state"] == "active"]
    if not campaigns:
        raise ValueError("seed: generate needs at least one active campaign")
    dice = random.Random(random_seed)
    now = state.clock().timestamp()
    first = len(state.traffic.clicks)
    moments = sorted(now - dice.random() * days * 86400 for _ in range(clicks))
    add_clicks(state, [_click(state, dice, dice.choice(campaigns), at) for at in moments])
    made = [_conversion(dice, click, now) for click in state.traffic.clicks[first:]]
    add_conversions(state, [row for row in made if row])


def _click(state: State, dice: random.Random, campaign: Row, at: float) -> Row:
    country, city, language = dice.choice(_PLACES)
    device, system, version, browser, model = dice.choice(_DEVICES)
    stream = _pick(dice, _streams(state, campaign["id"]))
    landing_id = _pick(dice, stream.get("landings", [])).get("landing_id", 0)
    return {
        "datetime": datetime.fromtimestamp(int(at), UTC).strftime(_FORMAT),
        "sub_id": f"{dice.getrandbits(64):016x}",
        "visitor_code": f"{dice.getrandbits(32):08x}",
        "campaign_id": campaign["id"],
        "stream_id": stream.get("id", 0),
        "landing_id": landing_id,
        "offer_id": _pick(dice, stream.get("offers", [])).get("offer_id", 0),
        "ts_id": campaign["traffic_source_id"],
        "country_code": country,
        "city": city,
        "language": language,
        "device_type": device,
        "os": system,
        "os_version": version,
        "browser": browser,
        "device_model": model,
        "ip": f"203.0.113.{dice.randrange(1, 255)}",
        "keyword": dice.choice(_KEYWORDS),
        "source": dice.choice(_SITES),
        "referrer": dice.choice(("", "https://news.example/page")),
        "sub_id_1": f"ad{dice.randrange(1, 6)}",
        "is_unique_campaign": dice.random() < 0.8,
        "is_unique_stream": dice.random() < 0.8,
        "is_unique_global": dice.random() < 0.7,
        "is_bot": dice.random() < 0.04,
        "is_using_proxy": dice.random() < 0.02,
        "landing_clicked": bool(landing_id) and dice.random() < 0.45,
        "cost": round(dice.uniform(0.03, 0.3), 2),
    }


def _streams(state: State, campaign_id: int) -> list[Row]:
    rows = state.tables["streams"].by_index(campaign_id)
    return [
        row for row in rows if row["state"] not in (DELETED, "disabled") and row["type"] != "forced"
    ]


def _pick(dice: random.Random, rows: list[Row]) -> Row:
    return dice.choice(rows) if rows else {}


def _conversion(dice: random.Random, click: Row, now: float) -> Row | None:
    if click["is_bot"] or dice.random() > 0.08:
        return None
    at = min(click["at"] + dice.randrange(60, 86400), now)
    status = dice.choice(("lead", "lead", "sale", "sale", "sale", "rejected"))
    return {
        "sub_id": click["sub_id"],
        "tid": f"t{dice.getrandbits(32):08x}",
        "status": status,
        "original_status": {"lead": "hold", "sale": "approved"}.get(status, "trash"),
        "revenue": dice.choice((4.5, 12, 18.75)),
        "postback_datetime": datetime.fromtimestamp(int(at), UTC).strftime(_FORMAT),
    }
