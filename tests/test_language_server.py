"""What a person sees who writes a playbook in an editor: a real language server, over stdio."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest
from test_editor_schema import SAMPLES

from runner.catalogue import Catalogue, bundled
from runner.editor_schema import NAME

VERSION = "1.25.0"
CATALOGUE = Catalogue()
PATIENCE = 20.0  # seconds for one answer of the server
_SCRIPT = Path("node_modules/yaml-language-server/bin/yaml-language-server")
# As they are while the tests are collected: in a test, home and proxies are hidden.
_ENVIRONMENT = dict(os.environ)
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "keitaro-runner-tests"


class Server:
    """A language server as an editor drives it: requests, notifications, and what it publishes."""

    def __init__(self, script: Path) -> None:
        self._process = subprocess.Popen(
            ["node", str(script), "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._arrived: Queue[dict[str, Any]] = Queue()
        self._answers: dict[int, dict[str, Any]] = {}
        self._published: dict[str, list[dict[str, Any]]] = {}
        self._number = 0
        self.settings: dict[str, Any] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        markdown = {"completionItem": {"documentationFormat": ["markdown"]}}
        about = {"completion": markdown, "publishDiagnostics": {}}
        self.request(
            "initialize",
            {
                "processId": os.getpid(),
                "rootUri": None,
                "capabilities": {"textDocument": about, "workspace": {"configuration": True}},
            },
        )
        self.notify("initialized", {})

    def request(self, method: str, params: Any) -> Any:
        """Ask, and wait for the answer."""
        self._number += 1
        number = self._number
        self._send({"id": number, "method": method, "params": params})
        while number not in self._answers:
            self._take()
        answer = self._answers.pop(number)
        assert "error" not in answer, answer
        return answer["result"]

    def notify(self, method: str, params: Any) -> None:
        """Tell, and wait for nothing."""
        self._send({"method": method, "params": params})

    def diagnostics(self, uri: str) -> list[dict[str, Any]]:
        """What the server has against a document; waits until it has been looked at."""
        while uri not in self._published:
            self._take()
        return self._published.pop(uri)

    def stop(self) -> None:
        """End the server as an editor does that is closed."""
        self.request("shutdown", None)
        self.notify("exit", None)
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def _take(self) -> None:
        try:
            message = self._arrived.get(timeout=PATIENCE)
        except Empty:  # pragma: no cover (a server that hangs)
            raise AssertionError("the language server does not answer") from None
        if "method" not in message:
            self._answers[message["id"]] = message
        elif message["method"] == "textDocument/publishDiagnostics":
            self._published[message["params"]["uri"]] = message["params"]["diagnostics"]
        elif message["method"] == "workspace/configuration":
            wanted = [self.settings.get(item["section"]) for item in message["params"]["items"]]
            self._send({"id": message["id"], "result": wanted})
        elif "id" in message:
            self._send({"id": message["id"], "result": None})

    def _send(self, message: dict[str, Any]) -> None:
        content = json.dumps({"jsonrpc": "2.0", **message}).encode()
        stream = self._process.stdin
        assert stream is not None
        stream.write(b"Content-Length: %d\r\n\r\n%b" % (len(content), content))
        stream.flush()

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while head := stream.readline():
            if head.lower().startswith(b"content-length:"):
                size = int(head.split(b":")[1])
                while stream.readline().strip():
                    pass
                content = stream.read(size)
                if len(content) == size:  # else it was stopped while it spoke
                    self._arrived.put(json.loads(content))


# -- getting it ------------------------------------------------------------------------------------


def _installed() -> Path:
    """The server's script, from npm the first time and from a cache after that; else a skip."""
    if not shutil.which("npm") or not shutil.which("node"):  # pragma: no cover (where they lack)
        pytest.skip("npm is not installed, and with it comes the language server")
    home = _CACHE / f"yaml-language-server-{VERSION}"
    if not (home / _SCRIPT).is_file():  # pragma: no cover (the first time only)
        _CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_CACHE, ignore_cleanup_errors=True) as fresh:
            _install(Path(fresh))
            with contextlib.suppress(OSError):  # another process may have been quicker
                Path(fresh).rename(home)
    return home / _SCRIPT


def _install(folder: Path) -> None:  # pragma: no cover (the first time only)
    words = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund"]
    words += ["--ignore-scripts", "--fetch-retries=0", f"yaml-language-server@{VERSION}"]
    try:
        subprocess.run(words, env=_ENVIRONMENT, capture_output=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("the language server cannot be installed: npm reaches no registry")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The language server, running, with the schema set for every file called `set.yaml`."""
    running = Server(_installed())
    schema = {"schemas": {(bundled("schemas") / NAME).as_uri(): "set.yaml"}}
    running.settings = {"yaml": {**schema, "schemaStore": {"enable": False}}}
    running.notify("workspace/didChangeConfiguration", {"settings": running.settings})
    yield running
    running.stop()


# -- an editor -------------------------------------------------------------------------------------


class Editor:
    """Opens texts in the server; `|` is where the cursor stands."""

    def __init__(self, server: Server, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._opened = 0

    def open(self, text: str, name: str = "") -> tuple[str, dict[str, int]]:
        """Open a text with the line that names the schema; give its address and the cursor's."""
        if not name:
            text = f"# yaml-language-server: $schema={bundled('schemas') / NAME}\n{text}"
        before, _, after = text.partition("|")
        self._opened += 1
        uri = (self._folder / str(self._opened) / (name or "playbook.yaml")).as_uri()
        self._show(uri, before + after)
        lines = before.split("\n")
        return uri, {"line": len(lines) - 1, "character": len(lines[-1])}

    def complaints(self, text: str, name: str = "") -> list[tuple[int, str]]:
        """What is marked as wrong: the line, from 1 and without the schema's own, and the words."""
        uri, _ = self.open(text, name)
        found = self._server.diagnostics(uri)
        shift = 1 if name else 0
        return sorted((d["range"]["start"]["line"] + shift, d["message"]) for d in found)

    def complaints_about(self, path: Path) -> list[str]:
        """What is marked as wrong in a file, which names the schema itself."""
        self._show(path.as_uri(), path.read_text(encoding="utf-8"))
        return [diagnostic["message"] for diagnostic in self._server.diagnostics(path.as_uri())]

    def completions(self, text: str, name: str = "") -> dict[str, dict[str, Any]]:
        """What is offered at the cursor, by its label."""
        answer = self._ask("completion", *self.open(text, name))
        return {item["label"]: item for item in answer["items"]}

    def hover(self, text: str) -> str:
        """What is shown at the cursor, in Markdown."""
        answer = self._ask("hover", *self.open(text))
        shown: str = answer["contents"]["value"]
        return shown

    def _show(self, uri: str, text: str) -> None:
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self._server.notify("textDocument/didOpen", {"textDocument": document})

    def _ask(self, what: str, uri: str, position: dict[str, int]) -> Any:
        document = {"textDocument": {"uri": uri}, "position": position}
        return self._server.request(f"textDocument/{what}", document)


@pytest.fixture
def editor(server: Server, tmp_path: Path) -> Editor:
    """An editor with nothing open."""
    return Editor(server, tmp_path)


def step(*lines: str) -> str:
    """A playbook of one step."""
    return "version: 1\nsteps:\n  - " + "\n    ".join(lines) + "\n"


CALL = ("resource: offer", "operation: create")
STREAM = ("resource: stream", "operation: create", "body:")


# -- completion ------------------------------------------------------------------------------------


def test_top_level_keys(editor: Editor) -> None:
    """An empty file is offered the keys of a playbook."""
    offered = editor.completions("|")
    assert {"version", "inputs", "vars", "defaults", "steps", "finally", "outputs"} <= set(offered)
    assert offered["version"]["insertText"] == "version: ${1:1}"


@pytest.mark.parametrize("start", ["|", "name: x\n    |"], ids=["first", "second"])
def test_step_keys(editor: Editor, start: str) -> None:
    """A new step is offered the keys of a call and those that make it something else."""
    offered = editor.completions(step(start).rstrip("\n"))
    assert {"resource", "operation", "when", "for_each", "expect", "save"} <= set(offered)
    assert {"steps", "set", "include"} <= set(offered)
    assert not {"id", "params", "body"} & set(offered)
    assert offered["include"]["documentation"].startswith("Another playbook, called with inputs")


def test_keys_follow_the_operation(editor: Editor) -> None:
    """An id is offered where one is needed, a body where one is taken, with what it must hold."""
    create = editor.completions(step(*CALL, "|"))
    assert {"body", "body_file", "raw"} <= set(create)
    assert "id" not in create
    assert create["body"]["insertText"].startswith("body:\n  name: $1")
    assert {"body", "id"} & set(
        editor.completions(step("resource: offer", "operation: get", "|"))
    ) == {"id"}


def test_keys_follow_the_kind(editor: Editor) -> None:
    """A block, a set and an include are offered their own keys and none of a call's."""
    for own, more in (
        ("set: {a: 1}", "save"),
        ("include: x.yaml", "inputs"),
        ("steps: []", "when"),
    ):
        offered = set(editor.completions(step(own, "|")))
        assert more in offered
        assert not {"resource", "operation", "until"} & offered


def test_resources(editor: Editor) -> None:
    """Every resource is offered, in the catalogue's order, with what it is."""
    offered = editor.completions(step("resource: |"))
    assert list(offered) == CATALOGUE.names
    described = CATALOGUE.resource("group")
    assert described is not None
    assert offered["group"]["documentation"] == described.description


def test_operations_of_stream(editor: Editor) -> None:
    """The operations of the resource are offered, and no other's."""
    offered = editor.completions(step("resource: stream", "operation: |"))
    described = CATALOGUE.resource("stream")
    assert described is not None
    assert list(offered) == list(described.operations)
    assert offered["search"]["documentation"] == "Find streams by name."


def test_body_fields(editor: Editor) -> None:
    """The fields of the body are offered, those that are there already left out."""
    operation = CATALOGUE.operation("offer", "create")
    assert operation is not None
    assert operation.body is not None
    offered = editor.completions(step(*CALL, "body:", "  payout_type: CPA", "  |"))
    fields = set(operation.body["properties"]) - {"payout_type"}
    assert fields == set(offered) & set(operation.body["properties"])
    assert offered["state"]["insertText"] == "state: ${1:active}"


def test_body_fields_are_those_of_the_operation(editor: Editor) -> None:
    """`update` is not taken for `updateCosts`, which begins with the same letters."""
    offered = editor.completions(step("resource: campaign", "operation: update", "body:", "  |"))
    assert "alias" in offered
    assert "start_date" not in offered
    costs = step("resource: campaign", "operation: updateCosts", "body:", "  |")
    assert "start_date" in editor.completions(costs)


def test_fields_in_a_list(editor: Editor) -> None:
    """Within a list of the body, the fields of its items are offered."""
    offered = editor.completions(step(*STREAM, "  offers:", "    - offer_id: 5", "      |"))
    assert {"share", "state"} <= set(offered)
    assert "offer_id" not in offered


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((*STREAM, "  schema: |"), ["landings", "redirect", "action"]),
        ((*STREAM, "  collect_clicks: |"), ["false", "true"]),
        (
            ("resource: group", "operation: getAll", "params:", "  type: |"),
            ["campaigns", "offers", "landings", "domains"],
        ),
        (("on_error: |",), ["stop", "continue"]),
    ],
    ids=["enum", "boolean", "parameter", "step"],
)
def test_values(editor: Editor, lines: tuple[str, ...], expected: list[str]) -> None:
    """Where there is a choice, its values are offered and nothing else."""
    assert list(editor.completions(step(*lines))) == expected


# -- hover -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "first"),
    [
        (("reso|urce: stream",), "A stream of a campaign (the panel says flow)"),
        (("resource: stream", "operation: cre|ate"), "Create a stream in a campaign."),
        ((*STREAM, "  collect_|clicks: true"), "Record visits. Left out, the API records nothing"),
        ((*STREAM, "  sch|ema: landings"), "What a visitor gets: `landings`"),
        ((*STREAM, "  sch|ema: ${{ vars.x }}"), "What a visitor gets: `landings`"),
        ((*STREAM, "  offers: [{sh|are: 5}]"), "Percentage of the stream's visitors"),
        (("resource: offer", "operation: get", "i|d: 1"), "The id of the entity."),
        (("wh|en: true", "set: {a: 1}"), "A condition; the step is skipped"),
    ],
)
def test_hover(editor: Editor, lines: tuple[str, ...], first: str) -> None:
    """A key or value shows what it is, the most special description first."""
    assert editor.hover(step(*lines)).startswith(first)


def test_hover_tells_of_the_operation(editor: Editor) -> None:
    """An operation shows its call, what it does to the tracker, and what to know of it."""
    shown = editor.hover(step("resource: offer", "operation: del|ete", "id: 1"))
    assert "`DELETE /offers/{id}/archive`, destroys" in shown
    assert "\n* " in shown


# -- diagnostics -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_samples_are_clean(editor: Editor, path: Path) -> None:
    """Nothing is marked in the sample playbooks, which find the schema by their first line."""
    assert editor.complaints_about(path) == []


def test_expressions_are_clean(editor: Editor) -> None:
    """Nothing is marked where an expression stands in for a value of any type."""
    text = step(
        "resource: stream",
        "operation: update",
        "id: ${{ item.id }}",
        "for_each: ${{ steps.all.data }}",
        "when: ${{ item.id > 5 }}",
        "body:",
        "  schema: ${{ vars.schema }}",
        "  position: ${{ index }}",
        "  collect_clicks: ${{ inputs.collect }}",
        "  offers: ${{ item.offers }}",
        "  filters: [{name: country, mode: '${{ vars.mode }}', payload: ['${{ vars.c }}']}]",
        "  name: 2024",
        "timeout: ${{ vars.time }}",
        "expect: ['${{ data.id == item.id }}']",
    )
    assert editor.complaints(text) == []


@pytest.mark.parametrize(
    ("lines", "line", "words"),
    [
        (("resource: strem",), 3, 'Value is not accepted. Valid values: "user", "campaign"'),
        (("resource: stats", "operation: create"), 4, 'Valid values: "getAll"'),
        (("resource: offer", "operation: get"), 3, 'Missing property "id"'),
        (("resource: offer", "operation: getAll", "id: 5"), 5, "Property id is not allowed"),
        ((*CALL, "body: {name: x, nmae: y}"), 5, "Property nmae is not allowed"),
        ((*CALL, "body: {state: active}"), 5, 'Missing property "name"'),
        (
            (*CALL, "body: {name: x, daily_cap: many}"),
            5,
            "must be a number, null or one expression",
        ),
        ((*CALL, "body: {name: x, state: on}"), 5, 'Valid values: "active", "deleted"'),
        (
            ("resource: offer", "operation: getAll", "when: a > 1"),
            5,
            "must be true or false or one",
        ),
        (("name: X", *CALL, "body: {name: x}"), 3, "must be lower-case letters, digits and _"),
    ],
)
def test_mistakes_are_marked(editor: Editor, lines: tuple[str, ...], line: int, words: str) -> None:
    """A mistake is marked on its own line, in words that help."""
    found = editor.complaints(step(*lines))
    assert [place for place, said in found if words in said] == [line], found


def test_one_mistake_is_marked_once(editor: Editor) -> None:
    """The branches of the schema do not repeat what is wrong, nor add to it."""
    for lines in ((*CALL, "body: {name: x, nmae: y}"), ("resource: strem", "operation: get")):
        assert len(editor.complaints(step(*lines))) == 1


def test_schema_by_settings(editor: Editor) -> None:
    """The schema works as well where the editor's settings name it."""
    text = step("resource: stats", "operation: create")
    assert [line for line, _ in editor.complaints(text, "set.yaml")] == [4]
    assert list(editor.completions(step("resource: stats", "operation: |"), "set.yaml")) == [
        "getAll"
    ]


def test_large_playbook(editor: Editor) -> None:
    """A playbook of 200 steps is looked at and completed within the time an editor has."""
    sample = step("resource: stream", "operation: update", "id: 1", "body: {nmae: x}")
    many = sample + sample.split("steps:\n")[1] * 200
    begun = time.monotonic()
    assert len(editor.complaints(many)) == 201
    asked = many + "  - resource: stream\n    operation: |\n"
    assert "create" in editor.completions(asked)
    assert time.monotonic() - begun < PATIENCE / 2
