"""The schema of a report's lines: fits what runs produce, and turns down what they must not."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Run, Start, check_line, steps
from jsonschema import Draft202012Validator, ValidationError

import runner
from runner.answers import FailureType
from runner.catalogue import bundled
from runner.emulator import Fault
from runner.emulator.faults import KINDS
from runner.model import FaultKind
from runner.transport import Limits

WHOLE: dict[str, Any] = json.loads((bundled("schemas") / "envelope.schema.json").read_bytes())
SCHEMA: dict[str, Any] = WHOLE["$defs"]["envelope"]
TYPES: list[str] = WHOLE["$defs"]["error"]["properties"]["type"]["enum"]
SEED = {"campaigns": [{"id": 1, "name": "One", "alias": "one"}], "offers": [{"id": 1, "name": "O"}]}

READ = "{name: read, resource: campaign, operation: get, id: 1, retry: 0, timeout: 0.2}"
LIST = "{name: list, resource: offer, operation: getAll, retry: 0, timeout: 0.2}"
WRITE = (
    "{name: write, resource: campaign, operation: create, retry: 0, timeout: 0.2, "
    "body: {name: New, alias: new}}"
)
DESTROY = "{name: destroy, resource: offer, operation: delete, id: 1, retry: 0, timeout: 0.2}"
ON = "defaults: {on_error: continue}"


def test_is_a_schema() -> None:
    """It is itself valid, and describes each of its fields, nested ones too."""
    Draft202012Validator.check_schema(WHOLE)
    for part in WHOLE["$defs"].values():
        assert part["additionalProperties"] is False
        for name, field in part["properties"].items():
            assert field["description"].endswith((".", "?")), name


@pytest.mark.parametrize("kind", KINDS)
def test_faults(kind: Any, start: Start, run_playbook: Run) -> None:
    """Whatever goes wrong on the way, the lines of reads, writes and destroys fit."""
    fault = Fault(
        kind,
        times=None,
        status=503 if kind == "status" else None,
        body={"error": "busy"},
        seconds=0.3 if kind in {"delay", "slow_drip"} else 0,
        size=2_000_000,
        location="https://elsewhere.example/",
    )
    outcome = run_playbook(
        steps(READ, LIST, WRITE, DESTROY, head=[ON]),
        tracker=start(fault, seed=SEED),
        limits=Limits(body=1_000_000),
    )
    assert [check_line(line)["seq"] for line in outcome.lines] == [1, 2, 3, 4]
    if kind != "no_length_close":
        assert any(envelope["error"] for envelope in outcome.envelopes)


@pytest.mark.parametrize(
    "status", [301, 400, 401, 402, 403, 404, 406, 422, 429, 500, 502, 504, 522]
)
def test_statuses(status: int, start: Start, run_playbook: Run) -> None:
    """Whatever a tracker refuses with, the line fits and its type is one of the listed."""
    fault = Fault("status", times=None, status=status, body={"name": ["taken"]})
    outcome = run_playbook(steps(READ, WRITE, head=[ON]), tracker=start(fault, seed=SEED))
    assert {check_line(line)["error"]["status"] for line in outcome.lines} == {status}


def test_doubt(start: Start, run_playbook: Run) -> None:
    """A write whose answer never came has the success null, a request and an error."""
    outcome = run_playbook(steps(WRITE), tracker=start(Fault("reset_after"), seed=SEED))
    envelope = check_line(outcome.lines[0])
    assert envelope["success"] is None
    assert envelope["request"]["method"] == "POST"
    assert envelope["error"]["type"] == "connection_lost"


def test_loops_and_skips(start: Start, run_playbook: Run) -> None:
    """Iterations, nested ones, skipped steps and blocks: each line fits and has its index."""
    text = steps(
        "{name: off, when: false, resource: offer, operation: getAll}",
        "{name: none, when: false, steps: [{resource: offer, operation: getAll}]}",
        "{name: each, for_each: [1, 1], when: '${{ index == 0 }}', resource: campaign, "
        "operation: get, id: '${{ item }}'}",
        "{name: outer, for_each: [1, 2], as: a, steps: [{name: inner, for_each: [1, 2], as: b, "
        "resource: offer, operation: getAll}]}",
    )
    outcome = run_playbook(text, tracker=start(seed=SEED))
    lines = [check_line(line) for line in outcome.lines]
    assert [line["index"] for line in lines] == [
        None, None, 0, 1, [0, 0], [0, 1], [1, 0], [1, 1],
    ]  # fmt: skip
    assert [line["resource"] for line in lines[:2]] == ["offer", None]
    assert [bool(line["skipped"]) for line in lines[:4]] == [True, True, False, True]
    assert {line["count"] for line in lines[4:]} == {1}


def test_failures_of_the_playbook(start: Start, run_playbook: Run, folder: Path) -> None:
    """What fails before or after a call leaves a line that fits, and its own type."""
    inner = "inputs: {n: {type: integer}}"
    (folder / "inner.yaml").write_text(steps(LIST, head=[inner]), encoding="utf-8")
    (folder / "taken").write_text("", encoding="utf-8")
    call = "resource: campaign, operation: get"
    text = steps(
        f"{{{call}, id: 1, expect: [\"${{{{ data.name == 'Two' }}}}\"]}}",
        f"{{{call}, id: 1, until: '${{{{ data.id == 2 }}}}', every: 0.001, attempts: 2}}",
        f"{{{call}, id: '${{{{ vars.none }}}}'}}",
        f"{{{call}, id: '${{{{ vars.list[5] }}}}'}}",
        f"{{{call}, id: 1, save: {{to: taken/x.json}}}}",
        "{resource: campaign, operation: update, id: 1, body: {cookies_ttl: '${{ vars.list }}'}}",
        "{resource: stream, operation: getAll, params: {campaign_id: '${{ vars.list }}'}}",
        "{include: inner.yaml, inputs: {n: '${{ vars.list }}'}}",
        head=[ON, "vars: {none: null, list: [1]}"],
    )
    outcome = run_playbook(text, tracker=start(seed=SEED))
    assert [check_line(line)["error"]["type"] for line in outcome.lines] == [
        "expectation", "until", "invalid_id", "template", "save", "invalid_body",
        "invalid_params", "inputs",
    ]  # fmt: skip


def test_include_and_set(start: Start, run_playbook: Run, folder: Path) -> None:
    """The lines of an included playbook fit; a set leaves none, unless it fails."""
    (folder / "inner.yaml").write_text(steps(READ), encoding="utf-8")
    outcome = run_playbook(
        steps(
            "{name: a, set: {b: 1}}",
            "{name: x, include: inner.yaml}",
            "{name: c, set: {d: '${{ 1 // vars.zero }}'}}",
            head=["vars: {zero: 0}"],
        ),
        tracker=start(seed=SEED),
    )
    assert [check_line(line)["step"] for line in outcome.lines] == ["x.read", "c"]


# -- lines that must not be ------------------------------------------------------------------------

GOOD: dict[str, Any] = {
    "run": "20260304-120000-3f9a1c",
    "seq": 1,
    "step": "read",
    "index": None,
    "key": "read",
    "tracker": "default",
    "source": "playbook.yaml:3:5",
    "resource": "campaign",
    "operation": "get",
    "request": {
        "url": "https://t.example/admin_api/v1/campaigns/1",
        "method": "GET",
        "headers": {"Api-Key": "***", "Accept": "application/json"},
        "body": None,
    },
    "status": 200,
    "success": True,
    "skipped": None,
    "data": {"id": 1},
    "count": None,
    "error": None,
    "attempts": 1,
    "started_at": "2026-03-04T12:00:00.000Z",
    "duration_ms": 4.5,
}
ERROR = {
    "type": "not_found", "message": "gone", "hint": "", "stack": None, "status": 404,
    "response": None,
}  # fmt: skip
SKIPPED = {
    "request": None, "status": None, "skipped": "when: false is false", "data": None, "attempts": 0,
}  # fmt: skip

Change = Callable[[dict[str, Any]], Any]
WRONG: dict[str, Change] = {
    "a field more": lambda e: e.update(extra=1),
    "a chain's field": lambda e: e.update(hash="00"),
    "no line number": lambda e: e.update(seq=0),
    "index is text": lambda e: e.update(index="0"),
    "index is negative": lambda e: e.update(index=-1),
    "index is a list of one": lambda e: e.update(index=[0]),
    "source without column": lambda e: e.update(source="playbook.yaml:3"),
    "local time": lambda e: e.update(started_at="2026-03-04T12:00:00.000+01:00"),
    "no milliseconds": lambda e: e.update(started_at="2026-03-04T12:00:00Z"),
    "negative duration": lambda e: e.update(duration_ms=-1),
    "the key shows": lambda e: e["request"].update(headers={"Api-Key": "secret"}),
    "no key": lambda e: e["request"].update(headers={}),
    "half a request": lambda e: e["request"].pop("body"),
    "request with more": lambda e: e["request"].update(timeout=5),
    "success with error": lambda e: e.update(error=ERROR),
    "failure without error": lambda e: e.update(success=False, data=None),
    "doubt without error": lambda e: e.update(success=None, data=None),
    "doubt without request": lambda e: e.update(
        success=None, error=ERROR, request=None, status=None, data=None, attempts=0
    ),
    "doubt never sent": lambda e: e.update(success=None, error=ERROR, attempts=0, data=None),
    "unknown error type": lambda e: e.update(
        success=False, data=None, error={**ERROR, "type": "oops"}
    ),
    "half an error": lambda e: e.update(success=False, data=None, error={"type": "not_found"}),
    "skipped and sent": lambda e: e.update(skipped="when: x is false"),
    "skipped and failed": lambda e: e.update(SKIPPED, success=False, error=ERROR),
    "skipped with data": lambda e: e.update(SKIPPED, data={}),
    "status without request": lambda e: e.update(request=None, data=None, attempts=0),
    "attempts without request": lambda e: e.update(request=None, data=None, status=None),
    "a call without operation": lambda e: e.update(operation=None),
    "no call, and a request": lambda e: e.update(resource=None, operation=None),
    "a list not counted": lambda e: e.update(data=[1]),
    "an object counted": lambda e: e.update(count=1),
    "no HTTP status": lambda e: e.update(status=20),
}


def _line(change: Change) -> str:
    envelope = json.loads(json.dumps(GOOD))
    change(envelope)
    return json.dumps(envelope)


def test_good_line() -> None:
    """The line that the wrong ones are made from is right, and so are its honest variants."""
    for change in (
        lambda e: e.update(SKIPPED),
        lambda e: e.update(data=[1, 2], count=2),
        lambda e: e.update(success=None, data=None, status=None, error={**ERROR, "status": None}),
        lambda e: e.update(index=[0, 3]),
        lambda e: e.update(settled="sent again"),
        lambda e: e.update(seq=2),
    ):
        check_line(_line(change))


@pytest.mark.parametrize("change", WRONG.values(), ids=list(WRONG))
def test_wrong_lines(change: Change) -> None:
    """A line that says what cannot be is turned down."""
    with pytest.raises(ValidationError):
        check_line(_line(change))


@pytest.mark.parametrize("name", SCHEMA["required"])
def test_every_field_is_there(name: str) -> None:
    """No field may be left out, null or not."""
    with pytest.raises(ValidationError, match=f"'{name}' is a required property"):
        check_line(_line(lambda e: e.pop(name)))


# -- the list of error types -----------------------------------------------------------------------


def _kinds_in_code() -> set[str]:
    """The types that failures are made with, as they stand in the source."""
    found = {kind.value for kind in (*FailureType, *FaultKind)}
    places = {"StepError": 0, "Failure": 0, "fail_call": 1}
    for path in Path(str(runner.__file__)).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                at = places.get(node.func.id, len(node.args))
                found |= {a.value for a in node.args[at : at + 1] if isinstance(a, ast.Constant)}
    return found


def test_error_types_are_those_of_the_code() -> None:
    """The schema lists every type that the code makes failures of, and no other."""
    assert set(TYPES) == _kinds_in_code()
    assert len(TYPES) == len(set(TYPES))


def test_reference_names_everything() -> None:
    """The reference has a row for each field and each error type."""
    text = (bundled("schemas") / "README.md").read_text(encoding="utf-8")
    section = text.split("## The envelope\n")[1].split("\n## ")[0]
    first_cells = "\n".join(re.findall(r"^\| (.*?) \|", section, re.MULTILINE))
    named = set(re.findall(r"`(\w+)`", first_cells))
    assert named == {*SCHEMA["properties"], *TYPES}
