"""Reports, logs and costs against figures worked out by hand from a tiny seed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from runner.emulator import Emulator, Rights

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)  # a Wednesday

CLICKS = [
    {"datetime": "2026-03-01 23:30:00", "campaign_id": 1, "country_code": "DE", "cost": 0.5}
    | {"is_unique_campaign": True, "landing_id": 1, "landing_clicked": True, "offer_id": 1}
    | {"landing_clicked_period": 30, "keyword": "tea", "referrer": "https://a.example"},
    {"datetime": "2026-03-02 10:00:00", "campaign_id": 1, "country_code": "DE", "cost": 0.5}
    | {"landing_id": 1, "is_bot": True, "keyword": "green tea", "ip": "10.1.2.3"},
    {"datetime": "2026-03-02 11:00:00", "campaign_id": 1, "country_code": "FR", "cost": 1.0}
    | {"is_unique_campaign": True, "is_unique_global": True, "is_using_proxy": True, "offer_id": 1}
    | {"ip": "10.1.9.9", "source": "site.ru", "sub_id_1": "2"},
    {"datetime": "2026-03-03 09:00:00", "campaign_id": 2, "country_code": "US", "cost": 0}
    | {"sub_id_1": "007"},
]
CONVERSIONS = [
    {"sub_id": "sub1", "tid": "a", "status": "lead", "revenue": 0}
    | {"postback_datetime": "2026-03-02 01:00:00"},
    {"sub_id": "sub1", "tid": "a", "status": "sale", "revenue": 10, "original_status": "approved"}
    | {"postback_datetime": "2026-03-02 23:30:00"},
    {"sub_id": "sub2", "tid": "b", "status": "lead", "revenue": 4}
    | {"postback_datetime": "2026-03-02 12:00:00"},
    {"sub_id": "sub3", "tid": "c", "status": "rejected", "revenue": 7}
    | {"postback_datetime": "2026-03-03 12:00:00"},
    {"sub_id": "sub3", "tid": "d", "status": "rebill", "revenue": 2}
    | {"postback_datetime": "2026-03-03 13:00:00"},
]
SEED: dict[str, Any] = {
    "groups": [{"id": 5, "name": "Group", "type": "campaigns"}],
    "affiliate_networks": [{"id": 3, "name": "Net"}],
    "offers": [{"id": 1, "name": "Offer", "affiliate_network_id": 3}],
    "landing_pages": [{"id": 1, "name": "Landing"}],
    "campaigns": [
        {"id": 1, "name": "One", "alias": "one", "group_id": 5},
        {"id": 2, "name": "Two", "alias": "two"},
    ],
    "labels": [{"campaign_id": 1, "ref_name": "ip", "items": {"10.1.2.3": "blacklist"}}],
    "clicks": CLICKS,
    "conversions": CONVERSIONS,
}


@pytest.fixture
def tracker() -> Iterator[Emulator]:
    with Emulator(seed=SEED, clock=lambda: NOW) as running:
        yield running


@pytest.fixture
def api(tracker: Emulator) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=f"{tracker.url}/admin_api/v1",
        headers={"Api-Key": tracker.key},
        verify=False,
        trust_env=False,
    ) as client:
        yield client


def ask(api: httpx.Client, path: str, **body: Any) -> Any:
    answer = api.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def report(api: httpx.Client, **body: Any) -> Any:
    return ask(api, "/report/build", **body)


# Campaign 1: 3 clicks, cost 2, one sale of 10, one lead of 4, one rejected of 7, one rebill of 2.
FIGURES = {
    "clicks": 3,
    "campaign_unique_clicks": 2,
    "stream_unique_clicks": 0,
    "global_unique_clicks": 1,
    "uc_campaign_rate": 66.6667,
    "uc_global_rate": 33.3333,
    "bots": 1,
    "bot_share": 33.3333,
    "proxies": 1,
    "empty_referrers": 2,
    "conversions": 2,
    "leads": 1,
    "sales": 1,
    "rejected": 1,
    "rebills": 1,
    "approve": 33.3333,
    "lp_views": 2,
    "lp_clicks": 1,
    "lp_ctr": 50,
    "landing_clicked_period": 30,
    "cr": 66.6667,
    "crs": 33.3333,
    "crl": 33.3333,
    "cost": 2,
    "revenue": 16,
    "profit": 14,
    "lead_revenue": 4,
    "sale_revenue": 12,
    "rejected_revenue": 7,
    "profit_confirmed": 10,
    "roi": 700,
    "roi_confirmed": 500,
    "epc": 5.3333,
    "epc_confirmed": 4,
    "cps": 2,
    "cpl": 2,
    "cpa": 1,
    "cpc": 0.6667,
    "ecpc": 666.6667,
    "ecpm": 5333.3333,
    "ecpm_confirmed": 4000,
    "ec": 8,
    "ec_confirmed": 6,
    "profitability": 87.5,
}


@pytest.mark.parametrize(("metric", "figure"), FIGURES.items())
def test_metric(api: httpx.Client, metric: str, figure: float) -> None:
    """Each metric of campaign 1 is what the official formula gives by hand."""
    body = {
        "grouping": ["campaign_id"],
        "metrics": [metric],
        "sort": [{"name": "campaign_id", "order": "ASC"}],
    }
    rows = report(api, **body)["rows"]
    assert rows[0] == {"campaign_id": 1, metric: figure}


def test_zero_denominators(api: httpx.Client) -> None:
    """A ratio over nothing is 0: campaign 2 has one click, no cost and no conversion."""
    ratios = ["roi", "cps", "cpa", "ec", "lp_ctr", "approve", "profitability", "cr"]
    filters = [{"name": "campaign_id", "operator": "EQUALS", "expression": 2}]
    (row,) = report(api, metrics=ratios, filters=filters)["rows"]
    assert row == dict.fromkeys(ratios, 0)


def test_both_dialects_of_names(api: httpx.Client) -> None:
    """Grouping and metrics may be called dimensions and measures, or be mixed in columns."""
    old = report(api, grouping=["country"], metrics=["clicks"])
    assert old["rows"] == [
        {"country": "Germany", "clicks": 2},
        {"country": "France", "clicks": 1},
        {"country": "United States", "clicks": 1},
    ]
    assert old["total"] == 3
    assert report(api, dimensions=["country"], measures=["clicks"]) == old
    assert report(api, columns=["country", "clicks"]) == old


def test_overall_row_and_none(api: httpx.Client) -> None:
    """Without a grouping there is one row; where nothing matches there is none, and 200."""
    assert report(api, metrics=["clicks"])["rows"] == [{"clicks": 4}]
    nothing = [{"name": "country_code", "operator": "EQUALS", "expression": "JP"}]
    empty = report(api, metrics=["clicks"], filters=nothing)
    assert (empty["rows"], empty["total"]) == ([], 0)


def test_summary_page_and_sort(api: httpx.Client) -> None:
    """Total counts before the page, the summary covers everything, rows come in order."""
    body: dict[str, Any] = {
        "grouping": ["campaign", "country_code"],
        "metrics": ["clicks"],
        "sort": [{"name": "clicks", "order": "DESC"}, {"name": "country_code", "order": "ASC"}],
    }
    answer = report(api, **body, limit=2, offset="1", summary=True)
    assert [row["country_code"] for row in answer["rows"]] == ["FR", "US"]
    assert answer["total"] == 3
    assert answer["summary"] == {"campaign": None, "country_code": None, "clicks": 4}
    assert "summary" not in report(api, **body)


def test_columns_that_look_things_up(api: httpx.Client) -> None:
    """Names of groups, offers, networks and landings come from the entities."""
    columns = ["campaign_group", "offer", "affiliate_network", "landing", "ip_mask1", "ip_mask2"]
    filters = [{"name": "sub_id", "operator": "EQUALS", "expression": "sub3"}]
    (row,) = ask(api, "/clicks/log", columns=columns, filters=filters, limit=5)["rows"]
    assert list(row.values()) == ["Group", "Offer", "Net", "", "10.1.9.x", "10.1.x.x"]


@pytest.mark.parametrize(
    ("operator", "name", "expression", "expected"),
    [
        ("EQUALS", "campaign_id", "1", [1, 2, 3]),
        ("EQUALS", "country", "France", [3]),
        ("NOT_EQUAL", "country_code", "DE", [3, 4]),
        ("EQUALS_OR_GREATER_THAN", "cost", 0.5, [1, 2, 3]),
        ("EQUALS_OR_LESS_THAN", "cost", 0.5, [1, 2, 4]),
        ("GREATER_THAN", "datetime", "2026-03-02 10:00:00", [3, 4]),
        ("LESS_THAN", "cost", 0.5, [4]),
        ("MATCH_REGEXP", "keyword", "/^(GREEN )?tea$/i", [1, 2]),
        ("NOT_MATCH_REGEXP", "keyword", "/tea/", [3, 4]),
        ("BEGINS_WITH", "keyword", "green", [2]),
        ("ENDS_WITH", "keyword", "TEA", [1, 2]),
        ("CONTAINS", "keyword", "een", [2]),
        ("NOT_CONTAIN", "keyword", "green", [1, 3, 4]),
        ("IN_LIST", "country_code", ["FR", "US"], [3, 4]),
        ("NOT_IN_LIST", "campaign_id", [2], [1, 2, 3]),
        ("BETWEEN", "cost", [0.1, 0.9], [1, 2]),
        ("IS_SET", "ip", None, [2, 3]),
        ("IS_NOT_SET", "offer_id", None, [2, 4]),
        ("IS_TRUE", "is_bot", None, [2]),
        ("IS_FALSE", "is_sale", None, [2, 3, 4]),
        ("HAS_LABEL", "ip", "blacklist", [2]),
        ("NOT_HAS_LABEL", "ip", "blacklist", [1, 3, 4]),
    ],
)
def test_operator(
    api: httpx.Client, operator: str, name: str, expression: Any, expected: list[int]
) -> None:
    """Each operator of the official list lets through the clicks it should."""
    filters = [{"name": name, "operator": operator, "expression": expression}]
    sort = [{"name": "click_id", "order": "ASC"}]
    log = ask(api, "/clicks/log", columns=["click_id"], filters=filters, sort=sort, limit=9)
    assert [row["click_id"] for row in log["rows"]] == expected


def test_filters_add_up_and_reach_metrics(api: httpx.Client) -> None:
    """All filters must hold; one on a metric is applied to the groups."""
    filters = [
        {"name": "country_code", "operator": "IN_LIST", "expression": ["DE", "FR"]},
        {"name": "clicks", "operator": "GREATER_THAN", "expression": 1},
    ]
    rows = report(api, grouping=["country_code"], metrics=["clicks"], filters=filters)["rows"]
    assert rows == [{"country_code": "DE", "clicks": 2}]


@pytest.mark.parametrize(
    ("given", "clicks"),
    [
        ({"from": "2026-03-02", "to": "2026-03-02"}, [2, 3]),
        ({"from": "2026-03-02", "to": "2026-03-02", "timezone": "Europe/Madrid"}, [1, 2, 3]),
        ({"from": "2026-03-02 10:00", "to": "2026-03-02 10:00"}, [2]),
        ({"from": "2026-03-02 10:00:01"}, [3, 4]),
        ({"to": "2026-03-02 10:00:00"}, [1, 2]),
        ({"to": "9999-12-31"}, [1, 2, 3, 4]),
        ({"interval": "today"}, []),
        ({"interval": "yesterday"}, [4]),
        ({"interval": "first_day_of_this_week"}, [2, 3, 4]),
        ({"interval": "first_day_of_this_week", "timezone": "Europe/Madrid"}, [1, 2, 3, 4]),
        ({"interval": "first_day_of_this_month"}, [1, 2, 3, 4]),
        ({"interval": "first_day_of_this_year"}, [1, 2, 3, 4]),
        ({"interval": "7_days_ago"}, [1, 2, 3, 4]),
        ({"interval": "1_month_ago"}, [1, 2, 3, 4]),
        ({"interval": "1_year_ago"}, [1, 2, 3, 4]),
        ({"interval": "all_time"}, [1, 2, 3, 4]),
    ],
    ids=str,
)
def test_range(api: httpx.Client, given: dict[str, str], clicks: list[int]) -> None:
    """Ranges and intervals are taken in their timezone; an end covers what it names."""
    sort = [{"name": "click_id", "order": "ASC"}]
    log = ask(api, "/clicks/log", columns=["click_id"], range=given, sort=sort)
    assert [row["click_id"] for row in log["rows"]] == clicks


def test_times_are_shown_in_the_zone(api: httpx.Client) -> None:
    """Times of a click are shown in the timezone of the range."""
    columns = ["datetime", "year", "month", "week", "weekday", "day", "hour", "day_hour"]
    given = {"from": "2026-03-02", "to": "2026-03-02 01:00", "timezone": "Europe/Madrid"}
    (row,) = ask(api, "/clicks/log", columns=columns, range=given)["rows"]
    assert list(row.values()) == [
        *("2026-03-02 00:30:00", 2026, "2026-03", "2026-10", 1),
        *("2026-03-02", 0, "2026-03-02 00:00"),
    ]


def test_conversion_log(api: httpx.Client) -> None:
    """A second postback with the same tid flips the status in place; another tid is another row."""
    columns = ["tid", "status", "previous_status", "original_status", "revenue", "country_code"]
    columns += ["click_datetime", "sale_datetime", "sale_period"]
    log = ask(api, "/conversions/log", columns=columns, limit=10)
    assert [row["tid"] for row in log["rows"]] == ["d", "c", "a", "b"]
    assert log["total"] == 4
    assert list(log["rows"][2].values()) == [
        *("a", "sale", "lead", "approved", 10, "DE"),
        *("2026-03-01 23:30:00", "2026-03-02 23:30:00", 86400),
    ]
    sales = [{"name": "status", "operator": "EQUALS", "expression": "sale"}]
    assert ask(api, "/conversions/log", filters=sales, limit=9)["total"] == 1
    assert ask(api, "/conversions/log", range={"from": "2026-03-03"})["total"] == 2


def test_stale_order(api: httpx.Client) -> None:
    """The official sample's stale `order` is taken for a sort."""
    body = {"limit": 9, "columns": ["tid"], "order": [["postback_datetime", "ASC"]]}
    rows = ask(api, "/conversions/log", **body)["rows"]
    assert [row["tid"] for row in rows] == ["b", "a", "c", "d"]


@pytest.mark.parametrize(
    ("path", "body", "field", "names"),
    [
        ("/report/build", {"grouping": ["traffic_source_id"]}, "grouping", ["ts_id"]),
        ("/report/build", {"dimensions": ["domain"]}, "dimensions", ["campaign"]),
        ("/report/build", {"metrics": ["payout"]}, "metrics", ["revenue", "crs"]),
        ("/report/build", {"measures": ["sale_cr"]}, "measures", ["crs"]),
        ("/report/build", {"range": {"interval": "last_7_days"}}, "range", ["7_days_ago"]),
        ("/report/build", {"range": {"timezone": "Mars/Base"}}, "range", ["Mars/Base"]),
        ("/report/build", {"range": {"from": "1.3.2026"}}, "range", ["1.3.2026"]),
        ("/report/build", {"sort": [{"name": "x", "order": "ASC"}]}, "sort", ["clicks"]),
        ("/report/build", {"sort": [{"name": "clicks", "order": "UP"}]}, "sort", ["DESC"]),
        ("/clicks/log", {"limit": 1, "columns": ["tid"]}, "columns", ["sub_id"]),
        ("/clicks/log", {"limit": "x"}, "limit", ["integer"]),
        ("/clicks/log", {}, "range", ["limit or range"]),
        ("/conversions/log", {"columns": ["tid"]}, "range", ["limit or range"]),
        ("/conversions/log", {"limit": 1, "columns": ["payout"]}, "columns", ["revenue", "tid"]),
    ],
)
@pytest.mark.parametrize("dialect", [9, 10])
def test_unknown_names_fail_everything(
    tracker: Emulator,
    api: httpx.Client,
    dialect: int,
    path: str,
    body: dict[str, Any],
    field: str,
    names: list[str],
) -> None:
    """One unknown name fails the whole request, and the error lists what is known."""
    tracker.state.dialect = dialect
    answer = api.post(path, json=body)
    assert answer.status_code == {9: 406, 10: 422}[dialect]
    (message,) = answer.json()[field]
    assert all(name in message for name in names)


@pytest.mark.parametrize(
    ("operator", "expression"),
    [
        ("NOT_EQUALS", 1),
        ("IN_LIST", "DE"),
        ("BETWEEN", [1]),
        ("MATCH_REGEXP", "tea"),
        ("MATCH_REGEXP", "/(/"),
        ("EQUALS", None),
        ("CONTAINS", []),
        ("HAS_LABEL", "grey"),
        (None, 1),
    ],
)
def test_bad_filters(api: httpx.Client, operator: Any, expression: Any) -> None:
    """An unknown operator, or an expression it cannot use, fails the request."""
    filters = [{"name": "cost", "operator": operator, "expression": expression}]
    answer = api.post("/report/build", json={"metrics": ["clicks"], "filters": filters})
    assert (answer.status_code, list(answer.json())) == (422, ["filters"])


COST = {"timezone": "UTC", "currency": "USD", "start_date": "2026-03-01", "end_date": "2026-03-03"}


def costs(api: httpx.Client) -> list[float]:
    sort = [{"name": "click_id", "order": "ASC"}]
    rows = ask(api, "/clicks/log", columns=["cost"], limit=9, sort=sort)["rows"]
    return [row["cost"] for row in rows]


def test_costs_overwrite(api: httpx.Client) -> None:
    """A cost is spread over the matching clicks, overwriting; repeating it changes nothing."""
    body = {"campaign_ids": [1], "costs": [{**COST, "cost": "6.00"}]}
    for _ in range(2):
        assert ask(api, "/clicks/update_costs", **body) == {"success": True}
        assert costs(api) == [2, 2, 2, 0]


@pytest.mark.parametrize(
    ("entry", "shared", "expected"),
    [
        ({"only_campaign_uniques": 1}, {}, [3, 0.5, 3, 0]),
        ({}, {"only_campaign_uniques": 1}, [3, 0.5, 3, 0]),
        ({"filters": {"source": "site.ru,other", "sub_id_1": "1,2,3"}}, {}, [0.5, 0.5, 6, 0]),
        ({"filters": {"sub_id_1": "7"}}, {}, [0.5, 0.5, 1, 0]),
        ({"currency": "EUR"}, {}, pytest.approx([2.2, 2.2, 2.2, 0])),
        ({"start_date": "2026-03-02 10:00", "end_date": "2026-03-02 10:00"}, {}, [0.5, 6, 1, 0]),
    ],
)
def test_costs_of_some(
    api: httpx.Client, entry: dict[str, Any], shared: dict[str, Any], expected: Any
) -> None:
    """Uniques, filters with comma lists, currency and times narrow a cost down."""
    body = {"campaign_ids": ["1"], "costs": [{**COST, "cost": 6, **entry}], **shared}
    ask(api, "/clicks/update_costs", **body)
    assert costs(api) == expected


def test_costs_of_one_campaign(api: httpx.Client, tracker: Emulator) -> None:
    """The campaign's own operation does the same, and a cost without clicks is lost."""
    body = {**COST, "cost": 10.02, "only_campaign_uniques": False}
    assert ask(api, "/campaigns/2/update_costs", **body) == {"success": True}
    assert costs(api)[3] == 10.02
    assert tracker.requests[0].effect
    assert ask(api, "/campaigns/2/update_costs", **body, filters={"keyword": "x"})
    assert not tracker.requests[-1].effect
    assert api.post("/campaigns/9/update_costs", json=body).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"costs": [{**COST, "cost": 1}]}, "campaign_ids"),
        ({"campaign_ids": [1]}, "costs"),
        ({"campaign_ids": [1], "costs": [COST]}, "cost"),
        # ISO 4217's own code for no currency.
        ({"campaign_ids": [1], "costs": [{**COST, "cost": 1, "currency": "XXX"}]}, "currency"),
        ({"campaign_ids": [1], "costs": [{**COST, "cost": 1, "timezone": None}]}, "timezone"),
        ({"campaign_ids": [1], "costs": [{**COST, "cost": 1, "filters": {"ip": "1"}}]}, "filters"),
        (
            {"campaign_ids": [1], "costs": [{**COST, "cost": 9}, {**COST, "cost": "x"}]},
            "cost",
        ),
    ],
)
def test_bad_costs_change_nothing(api: httpx.Client, body: dict[str, Any], field: str) -> None:
    """A cost update with one bad entry is refused as a whole."""
    answer = api.post("/clicks/update_costs", json=body)
    assert (answer.status_code, list(answer.json())) == (422, [field])
    assert costs(api) == [0.5, 0.5, 1, 0]


def test_clean(api: httpx.Client, tracker: Emulator) -> None:
    """Cleaning takes clicks and their conversions; without a campaign, those of all of them."""
    days = {"start_date": "2026-03-02 00:00", "end_date": "2026-03-03 23:59"}
    assert ask(api, "/clicks/clean", **days, campaign_id=1) == {"success": True}
    assert [row["click_id"] for row in tracker.state.rows("clicks")] == [1, 4]
    assert [row["tid"] for row in tracker.state.rows("conversions")] == ["a"]
    ask(api, "/clicks/clean", **days)
    assert [row["click_id"] for row in tracker.state.rows("clicks")] == [1]
    assert api.post("/clicks/clean", json={}).status_code == 422


def test_limited_keys_see_their_campaigns(api: httpx.Client, tracker: Emulator) -> None:
    """A key that sees one campaign gets that campaign's rows only."""
    tracker.grant("small", Rights(only={"campaigns": frozenset({2})}))
    headers = {"Api-Key": "small"}
    answer = api.post("/report/build", json={"metrics": ["clicks"]}, headers=headers)
    assert answer.json()["rows"] == [{"clicks": 1}]
