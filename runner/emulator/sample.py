"""The tracker one gets without a seed of one's own: a small shop with a week of traffic."""

from __future__ import annotations

from typing import Any

_COSTS = {
    "keyword": {"name": "keyword", "placeholder": "{keyword}", "alias": ""},
    "sub_id_1": {"name": "ad_name", "placeholder": "{{ad.name}}", "alias": "ad"},
}


def sample_seed(*, days: int = 7, clicks: int = 500, random_seed: int = 1) -> dict[str, Any]:
    """Return a seed: groups, networks, offers, sources, landings, a domain, campaigns with streams.

    Traffic is made up when the emulator loads it, before that emulator's clock: with a fixed clock
    everything is the same every time.
    """
    return {
        "users": [
            {"id": 1, "login": "admin", "type": "ADMIN"},
            {"id": 2, "login": "buyer", "type": "USER"},
        ],
        "groups": _groups(),
        "affiliate_networks": [
            {"id": 1, "name": "Meridian CPA", "offer_param": "sub1={subid}"},
            {"id": 2, "name": "Northwind Leads", "offer_param": "aff_sub={subid}"},
        ],
        "traffic_sources": [
            {"id": 1, "name": "Facebook", "template_name": "facebook", "parameters": _COSTS},
            {"id": 2, "name": "Push Network", "traffic_loss": 2.5},
        ],
        "domains": [
            {"id": 1, "name": "go.shop.example", "network_status": "ok", "ssl_status": "issued"}
        ],
        "offers": _offers(),
        "landing_pages": _landings(),
        "campaigns": _campaigns(),
        "bots": ["198.51.100.7", "198.51.100.8"],
        "logs": {"system": [_log_line("Geo databases are up to date")]},
        "generate": {"days": days, "clicks": clicks, "random_seed": random_seed},
    }


def _log_line(message: str) -> dict[str, str]:
    return {"datetime": "2026-01-01 00:00:00", "jid": "1", "message": message}


def _groups() -> list[dict[str, Any]]:
    names = (
        ("campaigns", "Germany"),
        ("campaigns", "Tests"),
        ("offers", "Health"),
        ("landings", "Quiz"),
    )
    return [
        {"id": number, "name": name, "type": kind, "position": number}
        for number, (kind, name) in enumerate(names, start=1)
    ]


def _offers() -> list[dict[str, Any]]:
    rows: tuple[tuple[int, str, int, list[str], float], ...] = (
        (1, "Slim Tea DE", 1, ["DE"], 18.75),
        (2, "Slim Tea FR", 1, ["FR"], 12),
        (3, "Quiz Leads", 2, [], 4.5),
    )
    return [
        {
            "id": number,
            "name": name,
            "affiliate_network_id": network,
            "country": countries,
            "payout_value": payout,
            "group_id": 3,
            "action_payload": f"https://offers.example/{number}?click={{subid}}",
        }
        for number, name, network, countries, payout in rows
    ]


def _landings() -> list[dict[str, Any]]:
    return [
        {
            "id": 1,
            "name": "Quiz page",
            "group_id": 4,
            "landing_type": "external",
            "action_type": "http",
        }
        | {"action_payload": "https://pages.example/quiz"},
        {
            "id": 2,
            "name": "Story page",
            "group_id": 4,
            "landing_type": "external",
            "action_type": "http",
        }
        | {"action_payload": "https://pages.example/story"},
    ]


def _campaigns() -> list[dict[str, Any]]:
    return [
        {
            "id": 1,
            "name": "Germany main",
            "alias": "germany",
            "group_id": 1,
            "traffic_source_id": 1,
            "domain_id": 1,
            "cost_auto": True,
            "parameters": _COSTS,
            "streams": [_bots_away(1), _landing_stream(2, "Main", [(1, 60), (2, 40)], [(1, 100)])],
        },
        {
            "id": 2,
            "name": "France test",
            "alias": "france",
            "group_id": 2,
            "traffic_source_id": 2,
            "streams": [_landing_stream(3, "Main", [(2, 100)], [(2, 70), (3, 30)])],
        },
        {"id": 3, "name": "Empty draft", "alias": "draft", "state": "disabled"},
    ]


def _bots_away(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "name": "Bots",
        "type": "forced",
        "schema": "action",
        "action_type": "status404",
        "position": 1,
        "state": "active",
        "filters": [{"name": "bot", "mode": "accept", "payload": None, "oid": ""}],
    }


def _landing_stream(
    number: int, name: str, landings: list[tuple[int, int]], offers: list[tuple[int, int]]
) -> dict[str, Any]:
    return {
        "id": number,
        "name": name,
        "type": "regular",
        "schema": "landings",
        "action_type": "http",
        "position": 2,
        "collect_clicks": True,
        "landings": [{"landing_id": key, "share": share} for key, share in landings],
        "offers": [{"offer_id": key, "share": share} for key, share in offers],
    }
