"""Entities over HTTP: their states, their rules, and the quirks of trackers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from runner.emulator import Emulator


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the present, such as it is."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tracker(clock: Clock) -> Iterator[Emulator]:
    with Emulator(clock=clock) as running:
        yield running


@pytest.fixture
def old() -> Iterator[Emulator]:
    with Emulator(dialect=9) as running:
        yield running


def connect(tracker: Emulator) -> httpx.Client:
    return httpx.Client(
        base_url=f"{tracker.url}/admin_api/v1",
        headers={"Api-Key": tracker.key},
        verify=False,
        trust_env=False,
    )


@pytest.fixture
def api(tracker: Emulator) -> Iterator[httpx.Client]:
    with connect(tracker) as client:
        yield client


@pytest.fixture
def api9(old: Emulator) -> Iterator[httpx.Client]:
    with connect(old) as client:
        yield client


def post(api: httpx.Client, path: str, **body: Any) -> Any:
    answer = api.post(path, json=body)
    assert answer.is_success, answer.text
    return answer.json()


def campaign(api: httpx.Client, alias: str = "alias", **more: Any) -> Any:
    return post(api, "/campaigns", name="Campaign", alias=alias, **more)


def stream(api: httpx.Client, **more: Any) -> Any:
    usual = {"name": "Flow", "type": "regular", "schema": "landings", "action_type": "http"}
    return post(api, "/streams", **{"campaign_id": 1, **usual, **more})


class TestCampaigns:
    """Campaigns."""

    def test_create_answers_200_with_defaults(self, api: httpx.Client) -> None:
        """A create answers 200 and the whole object: defaults, a token, times without an offset."""
        answer = api.post("/campaigns", json={"name": "C", "alias": "c"})
        assert answer.status_code == 200
        made = answer.json()
        assert made["id"] == 1
        assert (made["group_id"], made["traffic_source_id"]) == (0, 0)
        assert (made["type"], made["cookies_ttl"], made["state"]) == ("position", 24, "active")
        assert (made["cost_type"], made["cost_value"], made["cost_auto"]) == ("CPC", 0, False)
        assert made["uniqueness_method"] == "ip"
        assert len(made["token"]) == 32
        assert made["token"].isalnum()
        assert made["created_at"] == made["updated_at"] == "2026-03-04 05:06:07"

    @pytest.mark.parametrize(("version", "status"), [("api9", 406), ("api", 422)])
    def test_alias_is_required_and_unique(
        self, request: pytest.FixtureRequest, version: str, status: int
    ) -> None:
        """A missing or taken alias is a field error: 406 in dialect 9, 422 in dialect 10."""
        api = request.getfixturevalue(version)
        missing = api.post("/campaigns", json={"name": "C"})
        assert (missing.status_code, missing.json()) == (status, {"alias": ["Alias is required"]})
        campaign(api, "taken")
        again = api.post("/campaigns", json={"name": "D", "alias": "taken"})
        assert (again.status_code, again.json()) == (status, {"alias": ["Alias has already used"]})

    def test_update_is_partial_and_shows_streams(self, api: httpx.Client, clock: Clock) -> None:
        """PUT changes what is sent only, moves updated_at, and answers the streams too."""
        made = campaign(api, notes="kept")
        stream(api)
        clock.now += timedelta(hours=1)
        changed = api.put("/campaigns/1", json={"name": "New", "unheard_of": 1}).json()
        assert (changed["name"], changed["notes"], changed["token"]) == (
            "New",
            "kept",
            made["token"],
        )
        assert changed["updated_at"] == "2026-03-04 06:06:07"
        assert [flow["name"] for flow in changed["streams"]] == ["Flow"]
        assert "streams" not in api.get("/campaigns/1").json()

    def test_archive_and_restore(self, api: httpx.Client) -> None:
        """DELETE answers 201 and an array; the campaign leaves the list, is 404, and comes back."""
        campaign(api)
        stream(api)
        gone = api.delete("/campaigns/1")
        assert gone.status_code == 201
        assert [row["state"] for row in gone.json()] == ["deleted"]
        assert api.get("/campaigns").json() == []
        assert [row["id"] for row in api.get("/campaigns/deleted").json()] == [1]
        missing = api.get("/campaigns/1")
        assert missing.status_code == 404
        assert missing.text == "Traffic\\Model\\Campaign #1 not found"
        assert missing.headers["content-type"].startswith("text/plain")
        assert api.get("/campaigns/1/streams").status_code == 404
        assert api.post("/campaigns/1/enable").status_code == 404
        back = api.post("/campaigns/1/restore")
        assert (back.status_code, len(back.json()), back.json()[0]["state"]) == (201, 1, "active")
        assert len(api.get("/campaigns/1/streams").json()) == 1

    def test_restore_minds_uniqueness(self, api: httpx.Client) -> None:
        """An archived alias is free again, and then the archived campaign cannot come back."""
        campaign(api, "same")
        api.delete("/campaigns/1")
        campaign(api, "same")
        assert api.post("/campaigns/1/restore").status_code == 422

    def test_enable_and_disable(self, api: httpx.Client) -> None:
        """Disable and enable answer the object with its state."""
        campaign(api)
        assert api.post("/campaigns/1/disable").json()["state"] == "disabled"
        assert api.post("/campaigns/1/enable").json()["state"] == "active"

    def test_clone_ignores_its_body(self, api: httpx.Client) -> None:
        """A clone is a one-element array: "Copy of X", own id, alias, token and copied streams."""
        made = campaign(api, postbacks=[{"url": "https://p.example", "statuses": ["lead"]}])
        flow = stream(api, offers=[{"offer_id": 9, "share": 100}])
        (copy,) = api.post("/campaigns/1/clone", json={"name": "Mine", "alias": "mine"}).json()
        assert (copy["id"], copy["name"]) == (2, "Copy of Campaign")
        assert copy["alias"] not in ("mine", made["alias"])
        assert copy["token"] != made["token"]
        assert copy["postbacks"][0]["id"] != made["postbacks"][0]["id"]
        (copied,) = api.get("/campaigns/2/streams").json()
        assert (copied["campaign_id"], copied["offers"][0]["offer_id"]) == (2, 9)
        assert copied["id"] != flow["id"]
        assert copied["offers"][0]["id"] != flow["offers"][0]["id"]
        assert copied["offers"][0]["stream_id"] == copied["id"]

    def test_paging(self, api: httpx.Client) -> None:
        """Campaigns are the list that honours offset and limit; offers ignore them."""
        for number in range(5):
            campaign(api, f"a{number}")
            post(api, "/offers", name=f"O{number}")
        page = {"offset": 1, "limit": 2}
        assert [row["id"] for row in api.get("/campaigns", params=page).json()] == [2, 3]
        assert len(api.get("/offers", params=page).json()) == 5

    def test_clean_archive_forgets(self, api: httpx.Client, tracker: Emulator) -> None:
        """clean_archive removes archived campaigns and their streams for good, and no others."""
        campaign(api, "a")
        campaign(api, "b")
        stream(api)
        api.delete("/campaigns/1")
        assert api.post("/campaigns/clean_archive").json() == {"success": True}
        assert [row["id"] for row in tracker.state.rows("campaigns")] == [2]
        assert tracker.state.rows("streams") == []
        assert api.post("/campaigns/1/restore").status_code == 404
        assert campaign(api, "c")["id"] == 3

    def test_references_are_not_checked(self, api: httpx.Client) -> None:
        """Ids that lead nowhere are taken, and numeric strings come back as integers."""
        made = campaign(api, group_id="77", traffic_source_id="88", domain_id=99)
        assert (made["group_id"], made["traffic_source_id"], made["domain_id"]) == (77, 88, 99)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("group_id", "abc"),
            ("type", "sideways"),
            ("cost_value", {}),
            ("cost_auto", "perhaps"),
            ("parameters", "x"),
            ("name", ["x"]),
            ("postbacks", [{"statuses": ["won"]}]),
        ],
    )
    def test_wrong_values_are_refused(self, api: httpx.Client, field: str, value: Any) -> None:
        """A value of the wrong type or outside its list is a field error, and nothing is made."""
        answer = api.post("/campaigns", json={"name": "C", "alias": "c", field: value})
        assert answer.status_code == 422
        assert list(answer.json()) == [field]
        assert isinstance(answer.json()[field][0], str)
        assert api.get("/campaigns").json() == []

    def test_names_of_what_it_refers_to(self, api: httpx.Client) -> None:
        """Reads show the names of group and domain, and how many streams there are."""
        post(api, "/groups", name="DE", type="campaigns")
        post(api, "/domains", name="d.example")
        campaign(api, group_id=1, domain_id=1)
        stream(api)
        row = api.get("/campaigns/1").json()
        assert (row["group"], row["domain"], row["streams_count"]) == ("DE", "d.example", 1)
        assert api.get("/domains/1").json()["campaigns_count"] == 1


class TestStreams:
    """Streams."""

    def test_required_fields(self, api: httpx.Client) -> None:
        """Campaign, schema, type, name and action type are required, even with schema=landings."""
        answer = api.post("/streams", json={})
        assert answer.status_code == 422
        assert set(answer.json()) == {"campaign_id", "schema", "type", "name", "action_type"}
        assert answer.json()["action_type"] == ["Action type is required"]

    def test_defaults(self, api: httpx.Client) -> None:
        """Clicks are not collected unless asked for, and a payload outside the schema is stored."""
        made = stream(api, action_payload="https://x.example")
        assert (made["state"], made["collect_clicks"], made["filter_or"]) == (
            "active",
            False,
            False,
        )
        assert made["action_payload"] == "https://x.example"

    def test_listed_by_position(self, api: httpx.Client) -> None:
        """A campaign's streams come by position; archived ones do not come."""
        campaign(api)
        for name, position in (("c", 3), ("a", 1), ("b", 2), ("x", 4)):
            stream(api, name=name, position=position)
        api.delete("/streams/4")
        names = [row["name"] for row in api.get("/campaigns/1/streams").json()]
        assert names == ["a", "b", "c"]
        assert [row["name"] for row in api.get("/streams/deleted").json()] == ["x"]

    def test_position_goes_on(self, api: httpx.Client) -> None:
        """Without a position a stream goes behind those there are."""
        assert [stream(api)["position"], stream(api)["position"]] == [1, 2]

    def test_one_default_flow(self, api: httpx.Client) -> None:
        """A second default flow is refused at create, update and restore, in the known words."""
        stream(api, type="default")
        other = {"campaign_id": 1, "name": "2", "schema": "action", "action_type": "do_nothing"}
        refused = api.post("/streams", json={**other, "type": "default"})
        assert refused.status_code == 422
        assert "only one default flow" in refused.text
        post(api, "/streams", **other, type="regular")
        assert "only one default flow" in api.put("/streams/2", json={"type": "default"}).text
        stream(api, type="default", campaign_id=2)
        api.delete("/streams/1")
        assert api.put("/streams/2", json={"type": "default"}).status_code == 200
        assert "only one default flow" in api.post("/streams/1/restore").text
        assert api.get("/streams/1").json()["state"] == "deleted"

    def test_duplicate_offers_collapse(self, api: httpx.Client) -> None:
        """An offer named twice is bound once, and shares are not added up."""
        twice = [{"offer_id": 5, "share": 90}, {"offer_id": "5", "share": "80"}]
        (bound,) = stream(api, offers=twice)["offers"]
        assert (bound["offer_id"], bound["share"], bound["state"]) == (5, 80, "active")

    def test_arrays_are_replaced_whole(self, api: httpx.Client, clock: Clock) -> None:
        """PUT replaces an array; an offer that stays keeps its binding's id and created_at."""
        before = stream(
            api,
            offers=[{"offer_id": 1, "share": 50}, {"offer_id": 2, "share": 50}],
            landings=[{"landing_id": 3, "share": 100}],
        )
        clock.now += timedelta(days=1)
        sent = {"offers": [{"offer_id": 2, "share": 70}, {"offer_id": 8, "share": 30}]}
        after = api.put("/streams/1", json=sent).json()
        kept, new = after["offers"]
        assert [row["offer_id"] for row in after["offers"]] == [2, 8]
        assert kept["id"] == before["offers"][1]["id"]
        assert (kept["created_at"], kept["updated_at"]) == (
            "2026-03-04 05:06:07",
            "2026-03-05 05:06:07",
        )
        assert new["id"] not in [row["id"] for row in before["offers"]]
        assert after["landings"] == before["landings"]
        assert api.put("/streams/1", json={"offers": []}).json()["offers"] == []

    def test_filters_keep_their_id_when_it_is_sent(self, api: httpx.Client) -> None:
        """A filter sent with its id stays, one without is new; payloads have any form."""
        forms = [["US", "GB"], None, "stream", {"name": "x", "value": ["1"]}, {"total": 100}]
        filters = [{"name": "country", "mode": "accept", "payload": form} for form in forms]
        made = stream(api, filters=filters)["filters"]
        assert [row["payload"] for row in made] == forms
        sent = [{**made[2], "mode": "reject"}, {"name": "bot", "mode": "accept"}]
        after = api.put("/streams/1", json={"filters": sent}).json()["filters"]
        assert (after[0]["id"], after[0]["mode"]) == (made[2]["id"], "reject")
        assert after[1]["id"] > made[-1]["id"]

    def test_triggers_misspell_target(self, api: httpx.Client) -> None:
        """Triggers read back `taget`, as declared, which is taken again on write."""
        trigger = {"condition": "always", "target": "offers", "action": "disable", "stream_id": 1}
        (made,) = stream(api, triggers=[trigger])["triggers"]
        assert made["taget"] == "offers"
        back = {name: value for name, value in made.items() if name != "target"}
        (after,) = api.put("/streams/1", json={"triggers": [back]}).json()["triggers"]
        assert (after["id"], after["taget"]) == (made["id"], "offers")

    @pytest.mark.parametrize(
        ("name", "value", "field"),
        [
            ("offers", [{"offer_id": 1}], "offers.share"),
            ("landings", [{"share": 5}], "landings.landing_id"),
            ("filters", [{"name": "bot", "mode": "maybe"}], "filters.mode"),
            ("filters", {"name": "bot"}, "filters"),
            ("offers", [7], "offers"),
        ],
    )
    def test_bad_items_are_refused(
        self, api: httpx.Client, name: str, value: Any, field: str
    ) -> None:
        """An item that lacks what it needs is a field error, and the stream is left as it was."""
        stream(api, offers=[{"offer_id": 1, "share": 100}])
        answer = api.put("/streams/1", json={name: value, "name": "changed"})
        assert (answer.status_code, list(answer.json())) == (422, [field])
        assert api.get("/streams/1").json()["name"] == "Flow"

    def test_search_and_events(self, api: httpx.Client) -> None:
        """Search finds by name and needs its query; events tell of changes of state."""
        stream(api, name="Needle")
        stream(api, name="Other")
        found = api.get("/streams/search", params={"query": "Needle"}).json()
        assert [row["id"] for row in found] == [1]
        assert api.get("/streams/search").status_code == 400
        api.post("/streams/1/disable")
        assert [row["event"] for row in api.get("/streams/1/events").json()] == ["disabled"]

    def test_no_list_of_all_streams(self, api: httpx.Client) -> None:
        """There is no GET /streams: it meets the panel's page, like any unknown path."""
        answer = api.get("/streams")
        assert answer.status_code == 200
        assert "<title>Keitaro</title>" in answer.text

    @pytest.mark.parametrize(
        ("path", "key", "expected"),
        [
            ("/stream_types", "key", {"forced", "regular", "default"}),
            ("/stream_schemas", "key", {"landings", "redirect", "action"}),
            ("/streams_actions", "key", {"http", "local_file", "status404", "campaign", "meta"}),
            ("/stream_filters", "value", {"country", "bot", "uniqueness", "sub_id_3", "limit"}),
        ],
    )
    def test_dictionaries(self, api: httpx.Client, path: str, key: str, expected: set[str]) -> None:
        """The dictionaries hold the entries seen on live trackers."""
        assert expected <= {row[key] for row in api.get(path).json()}


class TestOtherEntities:
    """Offers, landings, networks, sources, domains, groups, users, integrations."""

    def test_offer_countries(self, api: httpx.Client) -> None:
        """Codes are written and names read back; unknown codes pass, names survive a PUT."""
        made = post(api, "/offers", name="O", country=["RO", "de", "XX"])
        assert made["country"] == ["Romania", "Germany", "XX"]
        assert api.put("/offers/1", json=made).json()["country"] == made["country"]

    @pytest.mark.parametrize("path", ["/offers/1/archive", "/offers/1"])
    def test_offer_archive_both_ways(self, api: httpx.Client, path: str) -> None:
        """An offer is archived by its own path or an older client's, and is restored."""
        post(api, "/offers", name="O")
        answer = api.delete(path)
        assert (answer.status_code, answer.json()["state"]) == (200, "deleted")
        assert api.get("/offers").json() == []
        assert [row["id"] for row in api.get("/offers/deleted").json()] == [1]
        assert api.post("/offers/1/restore").json()["state"] == "active"

    @pytest.mark.parametrize("method", ["PUT", "POST"])
    def test_landing_clone_both_ways(self, api: httpx.Client, method: str) -> None:
        """A landing is cloned by PUT, as declared, and by POST, as a client does."""
        post(api, "/landing_pages", name="L")
        assert api.request(method, "/landing_pages/1/clone").json()["name"] == "Copy of L"

    def test_networks(self, api: httpx.Client) -> None:
        """Names are unique, an archived network is still read, clone and restore answer arrays."""
        post(api, "/affiliate_networks", name="N")
        refused = api.post("/affiliate_networks", json={"name": "N"})
        assert refused.json() == {"name": ["Name has already used"]}
        (copy,) = api.post("/affiliate_networks/1/clone").json()
        assert (copy["id"], copy["name"]) == (2, "Copy of N")
        (again,) = api.post("/affiliate_networks/1/clone").json()
        assert again["name"] == "Copy of Copy of N"
        post(api, "/offers", name="O", affiliate_network_id=1)
        assert api.get("/affiliate_networks/1").json()["offers"] == 1
        assert api.get("/offers/1").json()["affiliate_network"] == "N"
        assert api.delete("/affiliate_networks/1").json()["state"] == "deleted"
        still = api.get("/affiliate_networks/1")
        assert (still.status_code, still.json()["state"]) == (200, "deleted")
        assert [row["id"] for row in api.get("/affiliate_networks").json()] == [2, 3]
        (back,) = api.post("/affiliate_networks/1/restore").json()
        assert back["state"] == "active"

    def test_source_delete_is_empty(self, api: httpx.Client) -> None:
        """Archiving a source answers 200 and nothing."""
        post(api, "/traffic_sources", name="S", parameters=[])
        answer = api.delete("/traffic_sources/1")
        assert (answer.status_code, answer.content) == (200, b"")
        assert api.get("/traffic_sources/1").json()["state"] == "deleted"

    def test_domain_check(self, api: httpx.Client) -> None:
        """A domain is pending until it is checked; DELETE answers 201."""
        made = post(api, "/domains", name="d.example", is_ssl=True)
        assert (made["network_status"], made["ssl_status"]) == ("pending", "pending")
        checked = api.post("/domains/1/check").json()
        assert (checked["network_status"], checked["ssl_status"]) == ("ok", "issued")
        assert api.delete("/domains/1").status_code == 201
        assert [row["id"] for row in api.get("/domains/deleted").json()] == [1]
        assert api.post("/domains/1/restore").json()["state"] == "active"
        assert api.get("/domains/ip").json()["ip"]
        assert api.post("/domains/register", json={"name": "d.example"}).status_code == 422
        assert post(api, "/domains/register", name="e.example")["id"] == 2

    def test_unknown_domain_fields(self, api: httpx.Client, api9: httpx.Client) -> None:
        """Newer trackers refuse https_only; dialect 9 ignores it, and answers an array."""
        body = {"name": "d.example", "https_only": True}
        refused = api.post("/domains", json=body)
        assert (refused.status_code, list(refused.json())) == (422, ["https_only"])
        assert api.get("/domains").json() == []
        assert [row["name"] for row in api9.post("/domains", json=body).json()] == ["d.example"]

    def test_domain_can_be_written_back(self, api: httpx.Client) -> None:
        """What was read of a domain can be sent back whole."""
        made = post(api, "/domains", name="d.example")
        assert api.put("/domains/1", json=made).status_code == 200

    def test_groups(self, api: httpx.Client) -> None:
        """Group names are unique by type, the type must be given, and delete is for good."""
        post(api, "/groups", name="G", type="campaigns")
        post(api, "/groups", name="G", type="domains")
        assert api.post("/groups", json={"name": "G", "type": "domains"}).status_code == 422
        assert api.get("/groups").status_code == 400
        assert [row["id"] for row in api.get("/groups?type=domains").json()] == [2]
        assert api.put("/groups/2", json={"name": "H"}).json()["name"] == "H"
        assert api.delete("/groups/1/delete").json()["name"] == "G"
        missing = api.put("/groups/1", json={})
        assert missing.text == "Traffic\\Model\\Group #1 not found"

    def test_empty_group(self, api: httpx.Client, api9: httpx.Client) -> None:
        """An empty group is a 500 in dialect 9 and a field error in dialect 10."""
        broken = api9.post("/groups", json={})
        assert broken.status_code == 500
        assert "error" in broken.json()
        assert set(api.post("/groups", json={}).json()) == {"name", "type"}

    def test_users(self, api: httpx.Client) -> None:
        """Logins are unique, passwords must agree and are never shown, delete is for good."""
        password = {"new_password": "a", "new_password_confirmation": "a"}
        made = post(api, "/users", login="u", type="USER", **password)
        assert made["id"] == 2
        assert not any("password" in name for name in made)
        assert api.put("/users/2", json={"new_password": "b"}).status_code == 422
        taken = api.post("/users", json={"login": "u", "type": "USER", **password})
        assert taken.json() == {"login": ["Login has already used"]}
        access = {"access_data": {"offers_access_type": "read_only"}}
        data = api.put("/users/2/access", json=access).json()["access_data"]
        assert (data["offers_access_type"], data["campaigns_access_type"]) == (
            "read_only",
            "full_access",
        )
        gone = api.delete("/users/2")
        assert (gone.status_code, gone.content) == (201, b"")
        assert api.get("/users/2").text == "Traffic\\Model\\User #2 not found"
        assert [row["login"] for row in api.get("/users").json()] == ["admin"]

    def test_facebook_is_wrapped(self, api: httpx.Client) -> None:
        """Facebook answers are wrapped in data, but for create; campaigns are attached once."""
        campaign(api)
        assert post(api, "/integrations/facebook", name="F")["id"] == 1
        base = "/integrations/facebook"
        assert [row["name"] for row in api.get(base).json()["data"]] == ["F"]
        assert api.get(f"{base}/1").json()["data"]["name"] == "F"
        assert api.put(f"{base}/1", json={"name": "G"}).json()["data"]["name"] == "G"
        for _ in range(2):
            attached = api.post(f"{base}/1/campaign", json={"campaign_id": 1})
            assert (attached.status_code, attached.content) == (200, b"")
        assert api.get(f"{base}/1/campaign").json() == [{"name": "Campaign", "value": 1}]
        api.request("DELETE", f"{base}/1/campaign", json={"campaign_id": 1})
        assert api.get(f"{base}/1/campaign").json() == []
        assert api.delete(f"{base}/1").json() == {"success": True}
        assert api.get(base).json() == {"data": []}

    @pytest.mark.parametrize(
        ("path", "name"), [("avscan", "avscan_key"), ("imklo", "imklo_api_url")]
    )
    def test_settings(self, api: httpx.Client, path: str, name: str) -> None:
        """A setting is taken from the query, as declared, or from the body, as clients send it."""
        assert api.get(f"/integrations/{path}").json() == {name: ""}
        assert api.put(f"/integrations/{path}", params={name: "q"}).json() == {name: "q"}
        assert api.put(f"/integrations/{path}", json={name: "b"}).json() == {name: "b"}
        assert api.get(f"/integrations/{path}").json() == {name: "b"}
        assert api.put(f"/integrations/{path}").status_code == 422


class TestRegisters:
    """Bot list, logs, labels."""

    def test_bot_list(self, api: httpx.Client) -> None:
        """The bot list is lines of addresses; changes answer how many there are."""
        assert api.put("/botlist", json={"value": "1.1.1.1\n2.2.2.2 1.1.1.1"}).json() == {
            "count": 2
        }
        assert api.post("/botlist/add", json={"value": "3.3.3.3"}).json() == {"count": 3}
        assert api.post("/botlist/exclude", json={"value": "1.1.1.1"}).json() == {"count": 2}
        assert api.get("/botlist").json() == {"value": "2.2.2.2\n3.3.3.3"}
        assert api.put("/botlist", json={}).json() == {"value": ["Value is required"]}
        cleared = api.delete("/botlist")
        assert (cleared.status_code, cleared.content) == (200, b"")
        assert api.get("/botlist").json() == {"value": ""}

    def test_logs(self) -> None:
        """A log needs its limit, is searched and paged newest first, and can be cleared."""
        rows = [
            {"datetime": "2026-01-01 00:00:00", "jid": str(n), "message": f"Line {n}"}
            for n in range(4)
        ]
        with Emulator(seed={"logs": {"ssl": rows}}) as tracker, connect(tracker) as api:
            for method in ("GET", "POST"):
                types = api.request(method, "/logs/types").json()
                assert types == ["system", "traffic", "postbacks", "ssl", "sent_postbacks"]
            assert api.get("/logs/ssl").status_code == 400
            page = api.get("/logs/ssl?limit=2&offset=1").json()
            assert [row["jid"] for row in page] == ["2", "1"]
            assert len(api.get("/logs/ssl?limit=9&query=line 3").json()) == 1
            assert api.get("/logs/unheard?limit=1").status_code == 400
            assert api.delete("/logs/ssl").content == b""
            assert api.get("/logs/ssl?limit=9").json() == []

    def test_labels(self, api: httpx.Client) -> None:
        """Labels are set by value, read by label, taken away when empty, and need a campaign."""
        campaign(api)
        body = {
            "campaign_id": 1,
            "ref_name": "ip",
            "items": {"1.1.1.1": "blacklist", "2.2.2.2": ""},
        }
        assert api.post("/report/labels", json=body).json() == {"success": True}
        query = {"campaign_id": 1, "ref_name": "ip", "label_name": "blacklist"}
        assert api.get("/report/labels", params=query).json() == {"1.1.1.1": "blacklist"}
        api.post("/report/labels", json={**body, "items": {"1.1.1.1": None}})
        assert api.get("/report/labels", params=query).json() == {}
        assert api.get("/report/labels").status_code == 400
        assert api.post("/report/labels", json={**body, "campaign_id": 9}).status_code == 404
        assert api.post("/report/labels", json={**body, "items": {"x": "grey"}}).status_code == 422


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/campaigns/1001", "Campaign"),
        ("/streams/1001", "Stream"),
        ("/offers/1001", "Offer"),
        ("/landing_pages/1001", "Landing"),
        ("/affiliate_networks/1001", "AffiliateNetwork"),
        ("/traffic_sources/1001", "TrafficSource"),
        ("/domains/1001", "Domain"),
        ("/users/1001", "User"),
    ],
)
def test_missing_entities(api: httpx.Client, path: str, model: str) -> None:
    """What is not there is a 404 in plain text, with the class of the entity."""
    answer = api.get(path)
    assert (answer.status_code, answer.text) == (404, f"Traffic\\Model\\{model} #1001 not found")
