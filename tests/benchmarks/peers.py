"""The same work for other tools: how each is installed, what it is given, how it is called.

All write the report that they write by themselves or are commonly asked for.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .server import KEY

_HEADERS = {"Api-Key": KEY, "Accept": "application/json", "Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool: `program` is below its own folder, or for some on the PATH.

    `write` puts the work into a folder, for a server and a number of turns, and gives the
    arguments. `most` is how many steps are bearable. Those without packages cannot be had ready made.
    `quiet` is what keeps it from telling its makers of each run.
    """

    name: str
    language: str
    program: str
    packages: tuple[str, ...]
    write: Callable[[Path, str, int], Sequence[str]]
    most: int = 300
    quiet: Mapping[str, str] = field(default_factory=dict)

    @property
    def handle(self) -> str:
        """The name of its folder."""
        return self.name.lower().replace(" ", "-")

    def find(self, folder: Path | None) -> Path | None:
        """The program, or `None` where it is not installed."""
        if folder is not None:
            for inside in ("bin", "node_modules/.bin"):
                found = folder.absolute() / self.handle / inside / self.program
                if found.exists():
                    return found
        elsewhere = shutil.which(self.program) if self.program == self.handle else None
        return Path(elsewhere) if elsewhere else None

    def install(self, folder: Path) -> str:
        """Install it below the folder; what went wrong, or nothing."""
        if not self.packages:
            return (
                "is not installed by this: compile it, or fetch a release, and put it on the PATH"
            )
        own = folder.absolute() / self.handle
        own.mkdir(parents=True, exist_ok=True)
        if self.language == "node":
            (own / "package.json").write_text('{"private": true}\n')
            commands = [["npm", "install", "--no-audit", "--no-fund", *self.packages]]
        else:
            commands = [
                [sys.executable, "-m", "venv", str(own)],
                [str(own / "bin/pip"), "install", "--quiet", *self.packages],
            ]
        for command in commands:
            try:
                done = subprocess.run(command, cwd=own, capture_output=True, text=True, check=False)
            except OSError as error:
                return str(error)
            if done.returncode:
                return done.stderr.strip()[-300:]
        return ""


def _lines(path: Path, lines: list[str]) -> str:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path.name


def _yaml(path: Path, data: Any) -> str:
    """JSON is YAML too, and slower to read for none of them."""
    path.write_text(json.dumps(data, indent=1), encoding="utf-8")
    return path.name


def _hurl(folder: Path, url: str, turns: int) -> list[str]:
    head = [f"{name}: {value}" for name, value in _HEADERS.items()]
    lines: list[str] = []
    for turn in range(turns):
        lines += [f"POST {url}", *head, f'{{"name": "Launch DE {turn}", "alias": "launch-{turn}"}}',
                  "HTTP 200", "[Captures]", 'id: jsonpath "$.id"', "",
                  f"GET {url}/{{{{id}}}}", *head, "HTTP 200", "",
                  f"PUT {url}/{{{{id}}}}", *head, f'{{"notes": "n {turn}"}}', "HTTP 200",
                  ""]  # fmt: skip
    return ["--test", "--report-json", "report", _lines(folder / "work.hurl", lines)]


def hurl_apart(folder: Path, url: str, count: int, workers: int) -> list[str]:
    """As many files that each read a campaign: what Hurl does at a time are files."""
    head = [f"{name}: {value}" for name, value in _HEADERS.items()]
    own = folder / "apart"
    own.mkdir(exist_ok=True)
    for number in range(1, count + 1):
        _lines(own / f"{number}.hurl", [f"GET {url}/{number}", *head, "HTTP 200"])
    return ["--test", "--jobs", str(workers), "--report-json", "report", "apart"]


def _k6(folder: Path, url: str, turns: int) -> list[str]:
    script = f"""
import http from 'k6/http';
import {{ check, fail }} from 'k6';
export const options = {{ vus: 1, iterations: {turns}, thresholds: {{ checks: ['rate==1'] }} }};
const params = {{ headers: {json.dumps(_HEADERS)} }};
const good = (answer) => check(answer, {{ ok: (a) => a.status === 200 }}) || fail('status');
export default function () {{
  const made = http.post('{url}', JSON.stringify(
    {{ name: `Launch DE ${{__ITER}}`, alias: `launch-${{__ITER}}` }}), params);
  good(made);
  const one = `{url}/${{made.json('id')}}`;
  good(http.get(one, params));
  good(http.put(one, JSON.stringify({{ notes: `n ${{__ITER}}` }}), params));
}}
"""
    name = _lines(folder / "work.js", script.splitlines())
    return ["run", "--quiet", "--no-usage-report", "--summary-export", "summary.json", name]


def _respect(folder: Path, url: str, turns: int) -> list[str]:
    def step(name: str, method: str, address: str, body: Any, **more: Any) -> dict[str, Any]:
        headers = [{"in": "header", "name": "Api-Key", "value": KEY}]
        asked = {"requestBody": {"contentType": "application/json", "payload": body}}
        return {
            "stepId": name,
            "x-operation": {"url": address, "method": method},
            "parameters": headers,
            **(asked if body else {}),
            "successCriteria": [{"condition": "$statusCode == 200"}],
            **more,
        }

    steps = []
    for turn in range(turns):
        one = f"{url}/{{$steps.c{turn}.outputs.id}}"
        body = {"name": f"Launch DE {turn}", "alias": f"launch-{turn}"}
        outputs = {"id": "$response.body#/id"}
        steps += [step(f"c{turn}", "post", url, body, outputs=outputs),
                  step(f"g{turn}", "get", one, None),
                  step(f"u{turn}", "put", one, {"notes": f"n {turn}"})]  # fmt: skip
    _lines(folder / "openapi.yaml", ["openapi: 3.0.0", "info: {title: t, version: '1'}",
                                     f"servers: [{{url: '{url}'}}]", "paths: {}"])  # fmt: skip
    work = {
        "arazzo": "1.0.1",
        "info": {"title": "bench", "version": "1.0.0"},
        "sourceDescriptions": [{"name": "api", "type": "openapi", "url": "openapi.yaml"}],
        "workflows": [{"workflowId": "bench", "steps": steps}],
    }
    name = _yaml(folder / "work.arazzo.yaml", work)
    return ["respect", name, "--json-output", "report.json", "--max-steps", "100000"]


def _newman(folder: Path, url: str, turns: int) -> list[str]:
    headers = [{"key": name, "value": value} for name, value in _HEADERS.items()]
    check = "pm.test('ok', () => pm.response.to.have.status(200));"

    def item(name: str, method: str, path: str, body: Any = None, more: str = "") -> Any:
        script = {"exec": [check, more], "type": "text/javascript"}
        asked: dict[str, Any] = {"method": method, "header": headers, "url": url + path}
        if body:
            asked["body"] = {"mode": "raw", "raw": json.dumps(body)}
        return {"name": name, "request": asked, "event": [{"listen": "test", "script": script}]}

    keep = "pm.collectionVariables.set('id', pm.response.json().id);"
    items = []
    for turn in range(turns):
        body = {"name": f"Launch DE {turn}", "alias": f"launch-{turn}"}
        items += [item(f"c{turn}", "POST", "", body, keep),
                  item(f"g{turn}", "GET", "/{{id}}"),
                  item(f"u{turn}", "PUT", "/{{id}}", {"notes": f"n {turn}"})]  # fmt: skip
    schema = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
    work = {"info": {"name": "bench", "schema": schema}, "item": items}
    (folder / "work.json").write_text(json.dumps(work), encoding="utf-8")
    return ["run", "work.json", "--reporters", "json", "--reporter-json-export", "report.json"]


def _step_ci(folder: Path, url: str, turns: int) -> list[str]:
    steps = []
    for turn in range(turns):
        one = f"{url}/${{{{captures.id{turn}}}}}"
        body = {"name": f"Launch DE {turn}", "alias": f"launch-{turn}"}
        ok = {"headers": _HEADERS, "check": {"status": 200}}
        captures = {f"id{turn}": {"jsonpath": "$.id"}}
        steps += [
            {"http": {"url": url, "method": "POST", "json": body, "captures": captures, **ok}},
            {"http": {"url": one, "method": "GET", **ok}},
            {"http": {"url": one, "method": "PUT", "json": {"notes": f"n {turn}"}, **ok}},
        ]
    work = {"version": "1.1", "name": "bench", "tests": {"bench": {"steps": steps}}}
    return ["run", _yaml(folder / "work.yml", work)]


def _tavern(folder: Path, url: str, turns: int) -> list[str]:
    stages = []
    for turn in range(turns):
        one = f"{url}/{{id{turn}:d}}"
        body = {"name": f"Launch DE {turn}", "alias": f"launch-{turn}"}
        save = {"json": {f"id{turn}": "id"}}
        stages += [
            {"name": f"c{turn}",
             "request": {"url": url, "method": "POST", "json": body, "headers": _HEADERS},
             "response": {"status_code": 200, "save": save}},
            {"name": f"g{turn}", "request": {"url": one, "method": "GET", "headers": _HEADERS},
             "response": {"status_code": 200}},
            {"name": f"u{turn}",
             "request": {"url": one, "method": "PUT", "json": {"notes": f"n {turn}"},
                         "headers": _HEADERS},
             "response": {"status_code": 200}},
        ]  # fmt: skip
    name = _yaml(folder / "test_work.tavern.yaml", {"test_name": "bench", "stages": stages})
    return ["-q", "-p", "no:cacheprovider", "--junitxml=report.xml", name]


def _robot(folder: Path, url: str, turns: int) -> list[str]:
    head = "    ".join(f"{name}={value}" for name, value in _HEADERS.items())
    lines = ["*** Settings ***", "Library    RequestsLibrary", "Library    Collections", "",
             "*** Test Cases ***", "Bench", f"    &{{headers}}=    Create Dictionary    {head}",
             f"    Create Session    s    {url}    headers=${{headers}}"]  # fmt: skip
    for turn in range(turns):
        lines += [
            f"    &{{body}}=    Create Dictionary    name=Launch DE {turn}    alias=launch-{turn}",
            "    ${made}=    POST On Session    s    url=    json=${body}    expected_status=200",
            "    ${id}=    Set Variable    ${made.json()['id']}",
            "    GET On Session    s    /${id}    expected_status=200",
            f"    &{{body}}=    Create Dictionary    notes=n {turn}",
            "    PUT On Session    s    /${id}    json=${body}    expected_status=200",
        ]
    return ["--console", "none", _lines(folder / "work.robot", lines)]


def _pyresttest(folder: Path, url: str, turns: int) -> list[str]:
    base, path = url[: url.index("/", 8)], url[url.index("/", 8) :]
    tests: list[Any] = [{"config": [{"testset": "bench"}]}]

    def test(name: str, method: str, address: Any, *more: Any) -> None:
        asked = [{"name": name}, {"url": address}, {"method": method}, {"headers": _HEADERS}]
        tests.append({"test": [*asked, {"expected_status": [200]}, *more]})

    for turn in range(turns):
        body = json.dumps({"name": f"Launch DE {turn}", "alias": f"launch-{turn}"})
        one = {"template": f"{path}/$id"}
        test(f"c{turn}", "POST", path, {"body": body},
             {"extract_binds": [{"id": {"jsonpath_mini": "id"}}]})  # fmt: skip
        test(f"g{turn}", "GET", one)
        test(f"u{turn}", "PUT", one, {"body": json.dumps({"notes": f"n {turn}"})})
    return [base, _yaml(folder / "work.yaml", tests)]


def _httprunner(folder: Path, url: str, turns: int) -> list[str]:
    steps = []
    for turn in range(turns):
        one = f"{url}/$id{turn}"
        ok = {"validate": [{"eq": ["status_code", 200]}]}
        body = {"name": f"Launch DE {turn}", "alias": f"launch-{turn}"}
        put = {"method": "PUT", "url": one, "headers": _HEADERS, "json": {"notes": f"n {turn}"}}
        steps += [
            {"name": f"c{turn}", "extract": {f"id{turn}": "body.id"}, **ok,
             "request": {"method": "POST", "url": url, "headers": _HEADERS, "json": body}},
            {"name": f"g{turn}", **ok,
             "request": {"method": "GET", "url": one, "headers": _HEADERS}},
            {"name": f"u{turn}", **ok, "request": put},
        ]  # fmt: skip
    work = {"config": {"name": "bench", "verify": False}, "teststeps": steps}
    return [_yaml(folder / "work.yml", work)]


def _ansible(folder: Path, url: str, turns: int) -> list[str]:
    head = {"headers": _HEADERS, "status_code": 200, "return_content": True}
    tasks = []
    for turn in range(turns):
        one = f"{url}/{{{{ c{turn}.json.id }}}}"
        body = {"name": f"Launch DE {turn}", "alias": f"launch-{turn}"}
        sent = {"body_format": "json", **head}
        tasks += [
            {"name": f"c{turn}", "register": f"c{turn}",
             "ansible.builtin.uri": {"url": url, "method": "POST", "body": body, **sent}},
            {"name": f"g{turn}", "ansible.builtin.uri": {"url": one, "method": "GET", **head}},
            {"name": f"u{turn}",
             "ansible.builtin.uri": {"url": one, "method": "PUT",
                                     "body": {"notes": f"n {turn}"}, **sent}},
        ]  # fmt: skip
    work = [{"hosts": "localhost", "connection": "local", "gather_facts": False,
             "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
             "tasks": tasks}]  # fmt: skip
    return ["-i", "localhost,", _yaml(folder / "work.yml", work)]


PEERS = (
    Peer("Hurl", "rust", "hurl", (), _hurl),
    Peer("k6", "python", "k6", ("k6",), _k6),
    Peer("pyresttest", "python", "pyresttest", ("pyresttest", "pycurl", "future"), _pyresttest),
    Peer("Robot Framework", "python", "robot", ("robotframework", "robotframework-requests"),
         _robot),
    Peer("Respect", "node", "redocly", ("@redocly/cli",), _respect),
    Peer("Step CI", "node", "stepci", ("stepci",), _step_ci,
         quiet={"STEPCI_DISABLE_ANALYTICS": "1"}),
    Peer("Tavern", "python", "py.test", ("tavern", "pytest<9"), _tavern),
    Peer("HttpRunner", "python", "hrun", ("httprunner", "black"), _httprunner,
         quiet={"DISABLE_GA": "true"}),
    Peer("Newman", "node", "newman", ("newman",), _newman),
    Peer("Ansible", "python", "ansible-playbook", ("ansible-core",), _ansible, most=30),
)  # fmt: skip
