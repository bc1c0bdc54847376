"""Every operation as it leaves, against a server built from the official specification (2022)."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from conftest import Command
from jsonschema import Draft7Validator

from runner.catalogue import Catalogue
from runner.cli.topics.examples import example
from runner.model import Effect

SPEC = Path(__file__).parents[2] / "shared" / "keitaro" / "openapi.json"

pytestmark = pytest.mark.skipif(
    not SPEC.is_file(), reason="the official specification is not beside this checkout"
)

# What the specification itself gets wrong, or does not have; test_spec.py tells where from.
EXCUSED = {
    ("POST", "/domains", "'is_ssl' is a required property"),
    ("POST", "/campaigns/clean_archive", "no such path"),
    ("POST", "/offers/5/restore", "no such path"),
    ("POST", "/affiliate_networks/5/restore", "no such path"),
    ("POST", "/domains/register", "no such path"),
}


@cache
def _spec() -> Any:
    return json.loads(SPEC.read_bytes())


def _plain(part: Any) -> Any:
    """A part of the specification with its references resolved."""
    if isinstance(part, list):
        return [_plain(item) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        found = _spec()
        for key in part["$ref"].removeprefix("#/").split("/"):
            found = found[key]
        return _plain(found)
    return {key: _plain(value) for key, value in part.items()}


class _Server(ThreadingHTTPServer):
    """Answers every call, and notes which operation it was and what is wrong with it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        paths = _spec()["paths"]
        # A fixed path comes before one with a placeholder in its place.
        self.operations = [
            (method.upper(), path, re.compile(re.sub(r"\{\w+\}", "[^/]+", path) + r"\Z"), what)
            for path in sorted(paths, key=lambda p: p.count("{"))
            for method, what in paths[path].items()
        ]
        self.reached: set[tuple[str, str]] = set()
        self.wrong: set[tuple[str, str, str]] = set()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._check(url.path.removeprefix("/admin_api/v1"), parse_qs(url.query), raw)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "8")
        self.end_headers()
        self.wfile.write(b'{"id":1}')

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815  (the names that http.server calls)

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def _check(self, path: str, query: dict[str, list[str]], raw: bytes) -> None:
        found = [o for o in self.server.operations if o[0] == self.command and o[2].match(path)]
        trouble = self._trouble(found[0][3], query, raw) if found else ["no such path"]
        if found:
            self.server.reached.add(found[0][:2])
        self.server.wrong |= {(self.command, path, said) for said in trouble}

    def _trouble(self, what: Any, query: dict[str, list[str]], raw: bytes) -> Iterator[str]:
        if not self.headers.get("Api-Key"):
            yield "no key"
        declared = [p for p in _plain(what.get("parameters", [])) if p["in"] == "query"]
        yield from (f"unknown {name}" for name in query.keys() - {p["name"] for p in declared})
        yield from (f"no {p['name']}" for p in declared if p["required"] and p["name"] not in query)
        body = json.loads(raw) if raw else None
        if "requestBody" in what:
            schema = _plain(what["requestBody"])["content"]["application/json"]["schema"]
            yield from (error.message for error in Draft7Validator(schema).iter_errors(body))
        elif body is not None:
            yield "a body that is not declared"


def test_every_operation_fits_the_specification(
    cli: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each operation reaches the specification's, with the query and the body that it declares."""
    catalogue = Catalogue()
    names = [name for name in catalogue.names if name != "api"]
    operations = [o for n in names for o in catalogue.resource(n).operations.values()]  # type: ignore[union-attr]
    playbook: dict[str, Any] = {"version": 1, "inputs": {}, "steps": []}
    for number, operation in enumerate(operations):
        shown = yaml.safe_load(example(operation))
        shown = shown if isinstance(shown, dict) else {"steps": shown}
        playbook["inputs"] |= {n: {"default": "made-up-value"} for n in shown.get("inputs", {})}
        step = {k: v for k, v in shown["steps"][0].items() if k not in {"expect", "until", "save"}}
        playbook["steps"].append({**step, "name": f"s{number}", "on_error": "continue"})
    (folder / "all.yaml").write_text(json.dumps(playbook), encoding="utf-8")
    with _Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("KEITARO_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("KEITARO_API_KEY", "k" * 32)
        gone = [n for n, operation in enumerate(operations) if operation.effect is Effect.DESTROYS]
        yes = [f"--yes=s{number}" for number in gone]
        cli("run", "all.yaml", "--quiet", "--max-destroy", "1000", *yes)
        server.shutdown()

    assert server.reached == {(o[0], o[1]) for o in server.operations}
    assert len(server.reached) == 107
    assert server.wrong == EXCUSED
