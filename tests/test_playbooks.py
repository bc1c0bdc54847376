"""Every sample playbook is run on a seeded emulator, and what it did is looked up there."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from runner.cli.commands import group
from runner.emulator import DEFAULT_KEY, Emulator, Fault, sample_seed

FOLDER = Path(__file__).parent.parent / "playbooks"
MODELINE = "# yaml-language-server: $schema=../schemas/playbook.schema.json"

Row = dict[str, Any]
Run = Callable[..., list[Row]]


def seed(**changes: Any) -> dict[str, Any]:
    """The sample tracker without its made-up traffic, with some collections changed."""
    plain = {name: rows for name, rows in sample_seed().items() if name != "generate"}
    return {**plain, **changes}


@pytest.fixture
def tracker() -> Iterator[Emulator]:
    with Emulator(seed=seed()) as running:
        yield running


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a sample through the command line in a folder of its own; gives its envelopes.

    `inputs` become --input options; `code` is the exit code that is expected.
    """
    monkeypatch.chdir(tmp_path)
    for name in ("KEITARO_URL", "KEITARO_API_KEY", "BUYER_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KEITARO_STATE_DIR", str(tmp_path / "state"))

    def start(
        name: str,
        tracker: Emulator | None = None,
        *options: str,
        code: int = 0,
        env: dict[str, str] | None = None,
        **inputs: str,
    ) -> list[Row]:
        environ = dict(env or {})
        if tracker is not None:
            environ |= {"KEITARO_URL": tracker.url, "KEITARO_API_KEY": tracker.key}
        given = [f"--input={key}={value}" for key, value in inputs.items()]
        report = tmp_path / "report.jsonl"
        arguments = ["run", str(FOLDER / f"{name}.yaml"), f"--report={report}", *options, *given]
        if code == 0:
            check_dry_run(arguments, tracker, environ)
        result = CliRunner().invoke(group, arguments, env=environ)
        assert result.exit_code == code, result.output
        lines = report.read_text(encoding="utf-8").splitlines()
        return [line for line in map(json.loads, lines) if "trailer" not in line]

    return start


def check_dry_run(arguments: list[str], tracker: Emulator | None, environ: dict[str, str]) -> None:
    """A dry run of the same ends well, changes nothing, and writes no file but the report."""
    files = set(Path().rglob("*"))
    before = writes(tracker) if tracker else []
    result = CliRunner().invoke(group, [*arguments, "--dry-run"], env=environ)
    assert result.exit_code == 0, result.output
    assert "a dry run: nothing was changed" in result.output
    assert (writes(tracker) if tracker else []) == before
    assert set(Path().rglob("*")) <= {*files, Path("report.jsonl")}


def named(tracker: Emulator, table: str, name: str) -> Row:
    """The one row of a table that has this name."""
    (row,) = [row for row in tracker.state.rows(table) if row["name"] == name]
    return row


def writes(tracker: Emulator) -> list[str]:
    """What changed the tracker, in order."""
    return [f"{request.method} {request.path}" for request in tracker.requests if request.effect]


def rows_of(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# --- one test a sample: its name is the sample's ------------------------------------------------


def test_quickstart(run: Run, tracker: Emulator) -> None:
    """A campaign stands there with its group and source, and its stream leads to the offer."""
    run("quickstart", tracker, country="FR")
    campaign = named(tracker, "campaigns", "Quickstart FR")
    assert campaign["alias"] == "quickstart-fr"
    assert campaign["group_id"] == named(tracker, "groups", "Quickstart FR")["id"]
    offer = named(tracker, "offers", "Quickstart FR offer")
    assert offer["action_payload"] == "https://offer.example/?click={subid}"
    (stream,) = [s for s in tracker.state.rows("streams") if s["campaign_id"] == campaign["id"]]
    assert [o["offer_id"] for o in stream["offers"]] == [offer["id"]]


def test_daily_report(run: Run, tmp_path: Path) -> None:
    """The day's clicks, and no others, are in a file named after the day, best profit first."""
    clicks = [
        {"datetime": "2026-03-01 10:00:00", "campaign_id": 1, "country_code": "DE", "cost": 1},
        {"datetime": "2026-03-01 11:00:00", "campaign_id": 1, "country_code": "DE", "cost": 2},
        {"datetime": "2026-03-01 12:00:00", "campaign_id": 2, "country_code": "FR", "cost": 1},
        {"datetime": "2026-03-02 10:00:00", "campaign_id": 2, "country_code": "FR", "cost": 9},
    ]
    with Emulator(seed=seed(clicks=clicks)) as tracker:
        run("daily-report", tracker, day="2026-03-01", timezone="UTC")
        assert writes(tracker) == []
    found = rows_of(tmp_path / "reports" / "2026-03-01.csv")
    assert [(r["campaign"], r["country_code"], r["clicks"], float(r["cost"])) for r in found] == [
        ("France test", "FR", "1", 1.0),
        ("Germany main", "DE", "2", 3.0),
    ]


def test_daily_report_without_a_day(run: Run, tmp_path: Path) -> None:
    """With no day given the report is yesterday's, and a day without clicks leaves the header."""
    before = datetime.now(UTC) - timedelta(days=1)
    with Emulator(seed=seed(clicks=[])) as tracker:
        (envelope,) = run("daily-report", tracker, timezone="UTC")
    asked = envelope["request"]["body"]["range"]["from"]
    assert asked in {f"{before + timedelta(days=late):%Y-%m-%d}" for late in (0, 1)}
    text = (tmp_path / "reports" / f"{asked}.csv").read_text(encoding="utf-8")
    assert text.startswith("campaign_id,campaign,country_code,clicks,")
    assert text.count("\n") == 1


def test_create_offers(run: Run, tracker: Emulator) -> None:
    """Each row becomes an offer with numbers, codes and its network; a second run adds none."""
    run("create-offers", tracker)
    offers = rows_of(FOLDER / "data" / "offers.csv")
    assert len(offers) == 3
    for row in offers:
        made = named(tracker, "offers", row["name"])
        network = named(tracker, "affiliate_networks", row["network"])
        assert made["affiliate_network_id"] == network["id"]
        assert made["payout_value"] == float(row["payout"])
        assert made["country"] == row["countries"].split()
        assert made["action_payload"] == row["url"]
    again = run("create-offers", tracker)
    assert [e["skipped"] is not None for e in again if e["step"] == "offers"] == [True] * 3
    assert len(writes(tracker)) == 3


def test_country_flows(run: Run, tracker: Emulator) -> None:
    """A flow for each country stands before the default flow, and a second run changes nothing."""
    run("country-flows", tracker)
    campaign = named(tracker, "campaigns", "Slim Tea Europe")
    flows = [s for s in tracker.state.rows("streams") if s["campaign_id"] == campaign["id"]]
    assert [(s["name"], s["type"], s["position"]) for s in flows][:2] == [
        ("DE", "regular", 1),
        ("FR", "regular", 2),
    ]
    assert [s["type"] for s in flows] == ["regular", "regular", "default"]
    assert [f["payload"] for s in flows for f in s["filters"]] == [["DE"], ["FR"]]
    assert [(o["offer_id"], o["share"]) for s in flows for o in s["offers"]] == [
        (1, 100),
        (2, 100),
        (3, 100),
    ]
    assert all(s["collect_clicks"] for s in flows)
    done = writes(tracker)
    failed = run("country-flows", tracker, code=1)[-1]
    assert failed["error"]["response"] == {"alias": ["Alias has already used"]}
    assert writes(tracker) == done


def test_pause_losers(run: Run) -> None:
    """Of four that lose money only the one that runs, has clicks enough and cost is disabled."""
    three_days_ago = f"{datetime.now(UTC) - timedelta(days=3):%Y-%m-%d} 12:00:00"

    def clicks(campaign: int, count: int, cost: float) -> list[Row]:
        one = {"datetime": three_days_ago, "campaign_id": campaign, "cost": cost}
        return [dict(one) for _ in range(count)]

    names = ["Loser", "Winner", "Few clicks", "Free", "Stopped before", "Archived"]
    states = ["active"] * 4 + ["disabled", "deleted"]
    campaigns = [
        {"id": number, "name": name, "alias": f"c{number}", "state": state}
        for number, (name, state) in enumerate(zip(names, states, strict=True), start=1)
    ]
    traffic = [
        *clicks(1, 12, 0.5),
        *clicks(2, 12, 0.5),
        *clicks(3, 4, 0.5),
        *clicks(4, 12, 0),
        *clicks(5, 12, 0.5),
        *clicks(6, 12, 0.5),
    ]
    paid = [{"sub_id": "sub13", "status": "sale", "revenue": 50}]
    with Emulator(seed=seed(campaigns=campaigns, clicks=traffic, conversions=paid)) as tracker:
        run("pause-losers", tracker, enough_clicks="10", timezone="UTC")
        assert writes(tracker) == ["POST /admin_api/v1/campaigns/1/disable"]
        assert named(tracker, "campaigns", "Loser")["state"] == "disabled"


def test_rotate_domain(run: Run, tracker: Emulator) -> None:
    """The new domain is parked, its check waited for, and only then do its campaigns move."""
    pending = {"id": 2, "name": "new.example", "network_status": "pending"}
    check = "POST .*/domains/2/check"
    tracker.fault(Fault("status", match=check, times=2, status=200, body=pending))
    envelopes = run("rotate-domain", tracker, old="go.shop.example", new="new.example", every="1ms")
    (wait,) = [e for e in envelopes if e["step"] == "wait"]
    assert wait["attempts"] == 3
    new = named(tracker, "domains", "new.example")["id"]
    assert [(c["name"], c["domain_id"]) for c in tracker.state.rows("campaigns")] == [
        ("Germany main", new),
        ("France test", 0),
        ("Empty draft", 0),
    ]


def test_rotate_domain_that_fails_its_check(run: Run, tracker: Emulator) -> None:
    """Where the check never comes through, every campaign stays on the old domain."""
    broken = {"id": 2, "name": "new.example", "network_status": "error"}
    tracker.fault(Fault("status", match=".*/check", times=None, status=200, body=broken))
    run("rotate-domain", tracker, code=1, old="go.shop.example", new="new.example", every="1ms")
    assert named(tracker, "campaigns", "Germany main")["domain_id"] == 1


def test_update_bots(run: Run, tracker: Emulator, tmp_path: Path) -> None:
    """The list is that of the file, and the one before it is kept."""
    run("update-bots", tracker)
    assert tracker.state.bots == (FOLDER / "data" / "bots.txt").read_text("utf-8").split()
    assert (tmp_path / "bots-before.txt").read_text("utf-8") == "198.51.100.7\n198.51.100.8"


def test_upload_landing(run: Run, tracker: Emulator) -> None:
    """The page is made of the zip's files; a second run replaces them and makes no other page."""
    run("upload-landing", tracker)
    page = named(tracker, "landing_pages", "Quiz EN")
    files = tracker.state.files["landing_pages", page["id"]]
    assert set(files) == {"index.html", "style.css"}
    files["index.html"] = b"changed by hand"
    run("upload-landing", tracker)
    assert b"Three questions" in tracker.state.files["landing_pages", page["id"]]["index.html"]
    assert len(tracker.state.rows("landing_pages")) == 3


def test_provision_buyer(run: Run, tracker: Emulator, tmp_path: Path) -> None:
    """The buyer has a login, a group and narrow access; the password is sent and never written."""
    env = {"BUYER_PASSWORD": "c4nary-Pa55"}
    run("provision-buyer", tracker, env=env, login="ann")
    (user,) = [row for row in tracker.state.rows("users") if row["login"] == "ann"]
    assert user["access_data"]["campaigns_access_type"] == "created_by_user_groups_and_selected"
    assert user["access_data"]["offers_access_type"] == "read_only"
    assert named(tracker, "groups", "ann")["type"] == "campaigns"
    (made,) = [r for r in tracker.requests if r.method == "POST" and r.path.endswith("/users")]
    assert made.body["new_password"] == made.body["new_password_confirmation"] == "c4nary-Pa55"
    assert "c4nary-Pa55" not in (tmp_path / "report.jsonl").read_text("utf-8")
    run("provision-buyer", tracker, env=env, login="ann")
    assert [row["login"] for row in tracker.state.rows("users")] == ["admin", "buyer", "ann"]


def test_copy_setup(run: Run, tmp_path: Path) -> None:
    """Offers lead to the target's own groups and networks by name, and are copied only once."""
    there = {
        "groups": [{"id": 1, "name": "Other", "type": "offers"}],
        "affiliate_networks": [{"id": 8, "name": "Northwind Leads"}],
    }
    loose = {"id": 9, "name": "On its own", "payout_value": 1}
    local = {"id": 10, "name": "Local", "offer_type": "local"}
    offers = [*sample_seed()["offers"], loose, local]
    with Emulator(seed=seed(offers=offers)) as source, Emulator("t" * 32, seed=there) as target:
        file = tmp_path / "trackers.yaml"
        file.write_text(
            f"default: target\ntrackers:\n"
            f"  source: {{url: '{source.url}', key: {{env: SOURCE_KEY}}}}\n"
            f"  target: {{url: '{target.url}', key: {{env: TARGET_KEY}}}}\n",
            encoding="utf-8",
        )
        env = {"SOURCE_KEY": DEFAULT_KEY, "TARGET_KEY": "t" * 32}
        run("copy-setup", None, f"--trackers={file}", env=env)
        health = named(target, "groups", "Health")["id"]
        meridian = named(target, "affiliate_networks", "Meridian CPA")
        assert meridian["offer_param"] == "sub1={subid}"
        kept = ("name", "group_id", "affiliate_network_id", "payout_value", "country")
        assert [tuple(row[key] for key in kept) for row in target.state.rows("offers")] == [
            ("Slim Tea DE", health, meridian["id"], 18.75, ["DE"]),
            ("Slim Tea FR", health, meridian["id"], 12, ["FR"]),
            ("Quiz Leads", health, 8, 4.5, []),
            ("On its own", 0, 0, 1, []),
        ]
        done = writes(target)
        assert (len(done), writes(source)) == (6, [])
        run("copy-setup", None, f"--trackers={file}", env=env)
        assert writes(target) == done


# --- the folder ---------------------------------------------------------------------------------

SAMPLES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_every_sample_is_run(path: Path) -> None:
    """Each playbook in the folder has a test of its name above."""
    assert f"test_{path.stem.replace('-', '_')}" in globals()


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_samples_begin_alike(path: Path) -> None:
    """Each begins with the line for editors and two lines that say when to use it."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == MODELINE
    assert [line[:2] for line in lines[1:3]] == ["# ", "# "]
    assert lines[3] == "version: 1"
    assert f"name: {path.stem}" in lines
    assert max(map(len, lines)) <= 100


def test_samples_have_no_problems() -> None:
    """`validate --strict` of the whole folder finds nothing."""
    result = CliRunner().invoke(group, ["validate", "--strict", str(FOLDER)])
    assert result.exit_code == 0, result.output
