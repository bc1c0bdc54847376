"""Every operation of the official specification is answered as declared."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from runner.emulator import Emulator
from runner.emulator.routes import ROUTES

SPEC_FILE = Path(__file__).parents[2] / "shared" / "keitaro" / "openapi.json"
SPEC = json.loads(SPEC_FILE.read_text(encoding="utf-8")) if SPEC_FILE.is_file() else {"paths": {}}
OPERATIONS = [
    (method.upper(), path)
    for path, methods in SPEC["paths"].items()
    for method in methods
    if method != "parameters"
]

pytestmark = pytest.mark.skipif(not OPERATIONS, reason="the official specification is not at hand")


def _zip(**files: str) -> str:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, content in files.items():
            packed.writestr(name.replace("_", "."), content)
    return base64.b64encode(buffer.getvalue()).decode()


STREAM = {"name": "Main", "type": "regular", "schema": "landings", "action_type": "http"}
SEED: dict[str, Any] = {
    "users": [{"login": "admin", "type": "ADMIN"}],
    "groups": [{"name": "G", "type": "campaigns"}],
    "affiliate_networks": [{"name": "N"}],
    "traffic_sources": [{"name": "S"}],
    "domains": [{"name": "d.example"}],
    "landing_pages": [{"name": "L"}],
    "offers": [{"name": "O", "country": ["DE"]}],
    "campaigns": [
        {
            "name": "C",
            "alias": "c",
            "postbacks": [],
            "streams": [
                {
                    **STREAM,
                    "offers": [{"offer_id": 1, "share": 100}],
                    "landings": [{"landing_id": 1, "share": 100}],
                }
            ],
        }
    ],
    "facebook": [{"name": "F", "campaign_ids": [1]}],
    "bots": ["1.2.3.4"],
    "logs": {"system": [{"datetime": "2026-01-01 00:00:00", "jid": "1", "message": "m"}]},
    "labels": [{"campaign_id": 1, "ref_name": "ip", "items": {"1.1.1.1": "blacklist"}}],
}
COSTS = {
    "start_date": "2026-01-01 00:00",
    "end_date": "2026-01-02 00:00",
    "timezone": "UTC",
    "cost": "1.5",
    "currency": "EUR",
}
PASSWORD = {"new_password": "secret", "new_password_confirmation": "secret"}
BODIES: dict[str, Any] = {
    "POST /users": {"login": "new", "type": "USER", **PASSWORD},
    "PUT /users/{id}": {"login": "renamed"},
    "PUT /users/{id}/access": {"access_data": {"offers_access_type": "read_only"}},
    "POST /campaigns": {"name": "New", "alias": "new"},
    "PUT /campaigns/{id}": {"group_id": "5"},
    "POST /campaigns/{id}/update_costs": COSTS,
    "POST /streams": {"campaign_id": 1, **STREAM},
    "PUT /streams/{id}": {"offers": [{"offer_id": "7", "share": "100"}]},
    "POST /landing_pages": {"name": "New", "archive": _zip(index_html="<p>")},
    "PUT /landing_pages/{id}": {"notes": "x"},
    "POST /offers": {"name": "New", "archive": _zip(index_html="<p>"), "country": ["FR"]},
    "PUT /offers/{id}": {"payout_value": "12.5"},
    "POST /affiliate_networks": {"name": "New"},
    "PUT /affiliate_networks/{id}": {"notes": "x"},
    "POST /traffic_sources": {"name": "New"},
    "PUT /traffic_sources/{id}": {"notes": "x"},
    "POST /domains": {"name": "new.example"},
    "PUT /domains/{id}": {"notes": "x"},
    "POST /groups": {"name": "New", "type": "offers"},
    "PUT /groups/{id}": {"name": "Renamed"},
    "POST /report/build": {"metrics": ["clicks"]},
    "POST /report/labels": {
        "campaign_id": 1,
        "ref_name": "ip",
        "items": {"1.1.1.1": "whitelist"},
    },
    "POST /clicks/log": {"limit": 5},
    "POST /clicks/update_costs": {"campaign_ids": [1], "costs": [COSTS]},
    "POST /clicks/clean": {"start_date": "2026-01-01 00:00", "end_date": "2026-01-02 00:00"},
    "POST /conversions/log": {"limit": 5},
    "PUT /botlist": {"value": "1.1.1.1\n2.2.2.2"},
    "POST /botlist/add": {"value": "3.3.3.3"},
    "POST /botlist/exclude": {"value": "1.2.3.4"},
    "POST /integrations/facebook": {"name": "New", "token": "t"},
    "PUT /integrations/facebook/{id}": {"name": "Renamed"},
    "POST /integrations/facebook/{id}/campaign": {"campaign_id": 2},
    "DELETE /integrations/facebook/{id}/campaign": {"campaign_id": 1},
}
QUERIES = {
    "GET /groups": {"type": "campaigns"},
    "GET /streams/search": {"query": "Main"},
    "GET /logs/{type}": {"limit": "5"},
    "GET /report/labels": {"campaign_id": "1", "label_name": "blacklist", "ref_name": "ip"},
    "PUT /integrations/avscan": {"avscan_key": "x"},
    "PUT /integrations/imklo": {"imklo_api_url": "https://x.example"},
    **{
        f"{method} /{entity}/{{id}}/{name}": {"path": path, "data": "new"}
        for entity in ("offers", "landing_pages")
        for method, name, path in (
            ("GET", "get_file", "a.txt"),
            ("PUT", "update_file", "a.txt"),
            ("DELETE", "remove_file", "a.txt"),
            ("POST", "add_file", "b.txt"),
        )
    },
}
# Where live trackers, or plain sense, differ from the declared schema.
NOT_AS_DECLARED = {
    "DELETE /campaigns/{id}": "declares a Domain; live: a one-element array of campaigns",
    "POST /campaigns/{id}/restore": "declares a Domain; live: a one-element array of campaigns",
    "POST /campaigns/{id}/clone": "declares an object; live: a one-element array",
    "POST /affiliate_networks/{id}/clone": "declares an object; live: a one-element array",
    "POST /report/build": "declares rows of strings; live: rows of objects",
    "POST /clicks/log": "declares rows of strings; live: rows of objects",
    "POST /conversions/log": "declares rows of strings; live: rows of objects",
    "GET /streams/{id}/events": "declares a Stream for what is a list",
}


@pytest.fixture(params=[9, 10], ids=["dialect9", "dialect10"])
def api(request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    with (
        Emulator(seed=SEED, dialect=request.param) as tracker,
        httpx.Client(
            base_url=f"{tracker.url}/admin_api/v1",
            headers={"Api-Key": tracker.key},
            verify=False,
            trust_env=False,
        ) as client,
    ):
        yield client


def call(api: httpx.Client, method: str, path: str) -> httpx.Response:
    name = f"{method} {path}"
    if "_file" in path and "add_file" not in path:
        entity = path.split("/")[1]
        assert api.post(f"/{entity}/1/add_file", params={"path": "a.txt"}).status_code == 200
    target = path.replace("{id}", "1").replace("{type}", "system")
    return api.request(method, target, params=QUERIES.get(name), json=BODIES.get(name))


def without_known_nulls(value: Any) -> Any:
    """bind_visitors is null where it is off: the description says so, the type does not."""
    if isinstance(value, list):
        return [without_known_nulls(item) for item in value]
    if isinstance(value, dict):
        return {
            name: without_known_nulls(item)
            for name, item in value.items()
            if not (name == "bind_visitors" and item is None)
        }
    return value


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=[" ".join(op) for op in OPERATIONS])
def test_operation_answers_as_declared(api: httpx.Client, method: str, path: str) -> None:
    """Each operation answers a declared success code, and a body that fits the declared schema."""
    responses = SPEC["paths"][path][method.lower()]["responses"]
    answer = call(api, method, path)
    assert str(answer.status_code) in [code for code in responses if code.startswith("2")]
    content = responses[str(answer.status_code)].get("content", {})
    if f"{method} {path}" in NOT_AS_DECLARED:
        return
    if "application/json" in content:
        schema = {**content["application/json"]["schema"], "components": SPEC["components"]}
        body = answer.json()
        if (method, path) == ("POST", "/domains") and isinstance(body, dict):
            body = [body]  # dialect 10: an object, as clients read it
        Draft202012Validator(schema).validate(without_known_nulls(body))
    elif "application/octet-stream" in content:
        assert answer.headers["content-type"] == "application/octet-stream"
    elif not path.endswith("/update_costs"):  # nothing is declared there; live: {"success": true}
        assert answer.content == b""


@pytest.mark.parametrize("path", [op for op in OPERATIONS if op[0] == "GET"], ids=" ".join)
def test_reads_have_no_effect(path: tuple[str, str]) -> None:
    """No GET changes the state, by the emulator's own record."""
    with (
        Emulator(seed=SEED) as tracker,
        httpx.Client(
            base_url=f"{tracker.url}/admin_api/v1",
            headers={"Api-Key": tracker.key},
            verify=False,
            trust_env=False,
        ) as client,
    ):
        call(client, *path)
        assert not tracker.requests[-1].effect


def test_specification_is_covered() -> None:
    """The specification has 107 operations, and each has a route of its own here."""
    assert len(OPERATIONS) == 107
    assert all(
        ROUTES.find(method, "/admin_api/v1" + path.replace("{", "").replace("}", ""))
        for method, path in OPERATIONS
    )
