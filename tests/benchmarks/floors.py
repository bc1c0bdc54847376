"""The floors: what bare libraries take for the same requests. Each is run as a script of its own.

`{URL}`, `{KEY}` and `{TURNS}` are filled in; a turn is POST, GET and PUT.
"""

HTTPX = """
import sys, httpx
with httpx.Client(headers={"Api-Key": "{KEY}", "Accept": "application/json"}) as client:
    for turn in range({TURNS}):
        answer = client.post("{URL}", json={"name": f"Launch DE {turn}", "alias": f"launch-{turn}"})
        number = answer.json()["id"]
        assert answer.status_code == 200
        answer = client.get(f"{URL}/{number}")
        answer.json()
        assert answer.status_code == 200
        answer = client.put(f"{URL}/{number}", json={"notes": f"n {turn}"})
        answer.json()
        assert answer.status_code == 200
"""

HTTPX_LISTS = """
import httpx
with httpx.Client(headers={"Api-Key": "{KEY}", "Accept": "application/json"}) as client:
    for turn in range({TURNS}):
        answer = client.get("{URL}")
        assert answer.status_code == 200 and len(answer.json()) == 100
"""

HTTPX_CREATES = """
import httpx
with httpx.Client(headers={"Api-Key": "{KEY}", "Accept": "application/json"}) as client:
    for turn in range({TURNS}):
        answer = client.post("{URL}", json={
            "name": f"Launch DE {turn}", "alias": f"launch-{turn}", "type": "position",
            "state": "active", "cookies_ttl": 24, "cost_type": "CPC", "cost_value": 0.5,
            "cost_currency": "USD", "uniqueness_method": "ip_ua", "position": 5,
            "bind_visitors": "s", "traffic_source_id": 4, "domain_id": 2, "notes": f"n {turn}"})
        answer.json()
        assert answer.status_code == 200
"""

# With all that keitaro-runner's own start-up is held against.
HTTPX_AND_ALL = "import click, yaml, jsonschema" + HTTPX

HTTP_CLIENT = """
import http.client, json
client = http.client.HTTPConnection("127.0.0.1", {PORT})
headers = {"Api-Key": "{KEY}", "Accept": "application/json", "Content-Type": "application/json"}
def ask(method, path, body=None):
    client.request(method, path, None if body is None else json.dumps(body), headers)
    answer = client.getresponse()
    assert answer.status == 200
    return json.loads(answer.read())
for turn in range({TURNS}):
    made = ask("POST", "{PATH}", {"name": f"Launch DE {turn}", "alias": f"launch-{turn}"})
    ask("GET", f"{PATH}/{made['id']}")
    ask("PUT", f"{PATH}/{made['id']}", {"notes": f"n {turn}"})
"""

# A client to each thread, which is the fastest that httpx can be used in parallel.
HTTPX_THREADS = """
import threading, httpx, ssl
from concurrent.futures import ThreadPoolExecutor
local, context = threading.local(), ssl.create_default_context()
def ask(number):
    client = getattr(local, "client", None)
    if client is None:
        client = local.client = httpx.Client(headers={"Api-Key": "{KEY}"}, verify=context)
    client.get(f"{URL}/{number}").json()
with ThreadPoolExecutor({WORKERS}) as pool:
    list(pool.map(ask, range(1, {COUNT} + 1)))
"""


def fill(script: str, **values: object) -> str:
    """The script with its blanks filled in."""
    for name, value in values.items():
        script = script.replace("{" + name + "}", str(value))
    return script
