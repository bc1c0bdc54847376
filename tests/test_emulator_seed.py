"""Seeds: ids are kept, traffic is made up the same every time, mistakes are named."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from runner.emulator import Emulator, sample_seed

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def connect(tracker: Emulator) -> httpx.Client:
    return httpx.Client(
        base_url=f"{tracker.url}/admin_api/v1",
        headers={"Api-Key": tracker.key},
        verify=False,
        trust_env=False,
    )


def test_empty_tracker_has_an_admin() -> None:
    """Without a seed there is one administrator and nothing else."""
    state = Emulator().state
    assert [row["login"] for row in state.rows("users")] == ["admin"]
    assert state.rows("campaigns") == []


def test_ids_are_kept_and_go_on(tmp_path: Path) -> None:
    """A file's entities keep their ids, get defaults, and new ids follow the highest."""
    seed = {
        "campaigns": [{"id": 40, "name": "C", "alias": "c", "streams": [{"id": 9, "name": "S"}]}],
        "offers": [{"id": 7, "name": "O", "country": ["Romania"], "state": "deleted"}],
    }
    file = tmp_path / "seed.json"
    file.write_text(json.dumps(seed), encoding="utf-8")
    with Emulator(seed=file) as tracker, connect(tracker) as api:
        assert api.get("/campaigns/40").json()["cookies_ttl"] == 24
        assert [row["id"] for row in api.get("/campaigns/40/streams").json()] == [9]
        assert api.get("/offers").json() == []
        assert api.get("/offers/deleted").json()[0]["country"] == ["Romania"]
        assert api.post("/campaigns", json={"name": "D", "alias": "d"}).json()["id"] == 41
        assert api.post("/campaigns", json={"name": "D", "alias": "c"}).status_code == 422


def test_nested_ids_go_on() -> None:
    """Bindings keep the ids they bring, and new ones do not collide."""
    flow = {"id": 1, "name": "S", "campaign_id": 1, "type": "regular", "schema": "landings"}
    flow["offers"] = [{"id": 30, "offer_id": 1, "share": 50}, {"offer_id": 2, "share": 50}]
    with Emulator(seed={"streams": [flow]}) as tracker, connect(tracker) as api:
        assert [row["id"] for row in api.get("/streams/1").json()["offers"]] == [30, 31]
        sent = {"offers": [{"offer_id": 3, "share": 100}]}
        assert api.put("/streams/1", json=sent).json()["offers"][0]["id"] == 32


def test_what_was_read_can_be_seeded() -> None:
    """What one emulator shows, another takes as its seed and shows again: state can be copied."""
    tables = ("campaigns", "offers", "landing_pages", "affiliate_networks", "domains", "users")
    seed = {**sample_seed(clicks=0), "generate": None}
    with Emulator(seed=seed, clock=lambda: NOW) as first, connect(first) as api:
        read: dict[str, Any] = {table: api.get(f"/{table}").json() for table in tables}
        read["groups"] = [
            row
            for kind in ("campaigns", "offers", "landings")
            for row in api.get(f"/groups?type={kind}").json()
        ]
        streams = [api.get(f"/campaigns/{row['id']}/streams").json() for row in read["campaigns"]]
        read["streams"] = [row for rows in streams for row in rows]
    with Emulator(seed=read) as second, connect(second) as api:
        for table in tables:
            assert api.get(f"/{table}").json() == read[table]
        again = [api.get(f"/campaigns/{row['id']}/streams").json() for row in read["campaigns"]]
        assert again == streams


def test_sample_is_the_same_every_time() -> None:
    """The built-in sample depends on the clock only, and lies in the week before it."""

    def sample() -> tuple[Any, ...]:
        state = Emulator(seed=sample_seed(), clock=lambda: NOW).state
        return tuple(
            state.rows(table) for table in ("campaigns", "streams", "clicks", "conversions")
        )

    first = sample()
    assert first == sample()
    clicks = first[2]
    assert len(clicks) == 500
    assert all("2026-02-25" <= row["datetime"] <= "2026-03-04 12:00:00" for row in clicks)
    assert 5 < len(first[3]) < 100


def test_sample_is_worth_reporting_on() -> None:
    """The sample has money going out and coming in, and its ids lead somewhere."""
    with Emulator(seed=sample_seed(), clock=lambda: NOW) as tracker, connect(tracker) as api:
        body = {
            "grouping": ["campaign", "offer"],
            "metrics": ["clicks", "sales", "cost", "revenue"],
        }
        report = api.post("/report/build", json={**body, "summary": True}).json()
        assert all(report["summary"][name] > 0 for name in body["metrics"])
        assert all(row["campaign"] and row["offer"] for row in report["rows"])


def test_generate_for_given_campaigns() -> None:
    """Traffic can be made up for the campaigns a seed brings."""
    seed = {"campaigns": [{"name": "C", "alias": "c"}], "generate": {"days": 1, "clicks": 20}}
    assert len(Emulator(seed=seed).state.rows("clicks")) == 20


@pytest.mark.parametrize(
    ("seed", "words"),
    [
        ({"campaign": []}, "campaigns"),
        ({"offers": {}}, "list of objects"),
        ({"offers": [{"id": 1}, {"id": 1}]}, "twice"),
        ({"clicks": [{}]}, "datetime"),
        ({"conversions": [{"sub_id": "x"}]}, "names no click"),
        ({"generate": {"clicks": 5}}, "campaign"),
        ({"keys": {"k": {"resource": []}}}, "resources"),
    ],
)
def test_bad_seeds(seed: dict[str, Any], words: str) -> None:
    """A seed that cannot be right is refused, with what is wrong."""
    with pytest.raises(ValueError, match=words):
        Emulator(seed=seed)


@pytest.mark.parametrize("content", ["{", "[]"])
def test_bad_files(tmp_path: Path, content: str) -> None:
    """A file that holds no JSON object is refused by name."""
    file = tmp_path / "seed.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"seed\.json"):
        Emulator(seed=file)


def test_seeds_are_left_alone() -> None:
    """The caller's seed is not changed by the emulator that is filled with it."""
    seed = sample_seed()
    with Emulator(seed=seed) as tracker, connect(tracker) as api:
        api.put("/streams/2", json={"offers": []})
        api.delete("/campaigns/1")
    assert seed == sample_seed()
