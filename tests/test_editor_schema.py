"""The schema for editors: up to date, right about good playbooks and about wrong ones."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Command
from jsonschema import Draft7Validator

import runner.catalogue
from runner.catalogue import Catalogue, Operation, bundled
from runner.editor_schema import NAME, build, render
from runner.model import Severity
from runner.playbook import parse, read
from runner.validation import Rules, check

TEXT = (bundled("schemas") / NAME).read_text(encoding="utf-8")
SCHEMA: dict[str, Any] = json.loads(TEXT)
VALIDATOR = Draft7Validator(SCHEMA)
CATALOGUE = Catalogue()
OPERATIONS = [
    operation
    for name in CATALOGUE.names
    if (resource := CATALOGUE.resource(name))
    for operation in resource.operations.values()
]
# Playbooks, among the bodies, inputs and trackers files that may lie beside them.
SAMPLES = [
    path
    for path in sorted(bundled("playbooks").rglob("*.y*ml"))
    if "steps" in (yaml.safe_load(path.read_text(encoding="utf-8")) or {})
]
# Bytes; a language server reads the schema anew for each session.
LARGEST = 250_000


def complaints(data: Any) -> list[str]:
    """What the schema has against a playbook, as the places that are meant and the keywords."""
    return sorted(
        f"{'.'.join(map(str, error.absolute_path))} {error.validator}"
        for error in VALIDATOR.iter_errors(data)
    )


def step(text: str) -> Any:
    """A playbook of the one step."""
    return parse(f"version: 1\nsteps:\n  - {text}\n", "playbook.yaml").data


# -- the file --------------------------------------------------------------------------------------


def test_file_is_what_the_catalogue_gives() -> None:
    """The file in the repository is the one that is built; else: python -m runner.editor_schema."""
    assert render(build()) == TEXT
    assert build() == SCHEMA


def test_command_prints_it(cli: Command) -> None:
    """`schema` prints the bundled file as it stands."""
    said = cli("schema")
    assert (said.code, said.out) == (0, TEXT)


def test_module_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run as a module, it writes the file beside the catalogue that it is built from."""
    folder = shutil.copytree(bundled("schemas"), tmp_path / "schemas")
    (folder / NAME).unlink()
    monkeypatch.setattr(runner.catalogue, "bundled", lambda name: tmp_path / name)
    runpy.run_module("runner.editor_schema.__main__")
    assert (folder / NAME).read_text(encoding="utf-8") == TEXT


def test_follows_the_catalogue(tmp_path: Path) -> None:
    """A field that is added to the catalogue is in the schema that is built from it."""
    folder = tmp_path / "schemas"
    shutil.copytree(bundled("schemas"), folder)
    types = json.loads((folder / "types.json").read_text(encoding="utf-8"))
    types["groupWrite"]["properties"]["colour"] = {"type": "integer", "description": "Its colour."}
    (folder / "types.json").write_text(json.dumps(types), encoding="utf-8")
    definitions = build(folder)["definitions"]
    assert definitions["groupWrite"]["properties"]["colour"]["description"] == "Its colour."
    assert "colour" in definitions["group.create"]["properties"]["body"]["properties"]
    assert "colour" not in SCHEMA["definitions"]["groupWrite"]["properties"]


def test_is_draft_07_and_small() -> None:
    """It is a valid draft-07 schema, has no oneOf, and stays of a size that editors bear."""
    Draft7Validator.check_schema(SCHEMA)
    assert '"oneOf"' not in TEXT
    assert len(TEXT.encode()) < LARGEST


def test_references_lead_somewhere() -> None:
    """Every definition is used, and every reference has one; notes alone stand beside it."""
    used: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                used.add(value["$ref"])
                notes = {"description", "markdownDescription", "default", "examples"}
                assert value.keys() <= {"$ref", *notes}, value
            for part in value.values():
                walk(part)
        elif isinstance(value, list):
            for part in value:
                walk(part)

    walk(SCHEMA)
    for reference in used:
        target: Any = SCHEMA
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
    defined = {f"#/definitions/{name}" for name in SCHEMA["definitions"]}
    assert {"/".join(reference.split("/")[:3]) for reference in used} == defined


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_operation_is_offered(operation: Operation) -> None:
    """An operation is in its resource's list, described, with the id, params and body it takes."""
    known = SCHEMA["definitions"][f"resource.{operation.resource}"]["allOf"][-1]["properties"]
    at = known["operation"]["enum"].index(operation.name)
    assert known["operation"]["enumDescriptions"][at] == operation.description
    own = SCHEMA["definitions"][str(operation)]["properties"]
    assert (own["id"] is not False) == operation.needs_id
    assert (own["body"] is not False) == (operation.body is not None)
    assert set(own["params"].get("properties", ())) == set(operation.parameters)


# -- good playbooks --------------------------------------------------------------------------------


def test_there_are_samples() -> None:
    """The samples are found at all."""
    assert SAMPLES


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_samples_fit(path: Path) -> None:
    """No sample playbook is complained about, and each says where the schema is."""
    assert complaints(read(path).data) == []
    lines = path.read_text(encoding="utf-8").splitlines()
    schema = lines[0].removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / schema).resolve() == bundled("schemas") / NAME


GOOD = {
    "an expression for a number": "{resource: offer, operation: update, id: 1, "
    "body: {daily_cap: '${{ 1 }}'}}",
    "an expression for a list": "{resource: offer, operation: update, id: 1, "
    "body: {country: '${{ [1] }}'}}",
    "an expression in a list": "{resource: stream, operation: update, id: 1, "
    "body: {offers: ['${{ [] }}']}}",
    "an expression for an enum": "{resource: offer, operation: update, id: 1, "
    "body: {state: '${{ 1 }}'}}",
    "an expression in an enum": "{resource: group, operation: getAll, "
    "params: {type: 'off${{ 1 }}'}}",
    "an expression for the body": "{resource: offer, operation: create, body: '${{ {} }}'}",
    "an expression for the params": "{resource: group, operation: getAll, params: '${{ {} }}'}",
    "an expression for the id": "{resource: offer, operation: get, id: '${{ 1 }}'}",
    "a number for a text": "{resource: offer, operation: create, body: {name: 007}}",
    "a number or a text": "{resource: campaign, operation: update, id: 1, body: {group_id: '5'}}",
    "null where it may be": "{resource: offer, operation: update, id: 1, body: {notes: null}}",
    "a body in a file": "{resource: offer, operation: create, body_file: offer.json}",
    "an open query": "{resource: api, operation: get, params: {path: /offers, more: 1}}",
    "any body": "{resource: api, operation: post, params: {path: /x}, body: [1, {a: 2}]}",
    "empty params": "{resource: offer, operation: getAll, params: {}}",
    "a loop": "{resource: offer, operation: get, id: 1, for_each: '${{ [] }}', as: x, "
    "concurrency: '${{ 2 }}', when: '${{ x > 1 }}'}",
    "conditions": "{resource: offer, operation: get, id: 1, expect: ['${{ true }}', true], "
    "until: '${{ true }}', every: 2s, attempts: 3}",
    "one condition": "{resource: offer, operation: get, id: 1, expect: '${{ true }}'}",
    "times": "{resource: offer, operation: get, id: 1, timeout: '${{ 1 }}', retry: false}",
    "save to": "{resource: offer, operation: getAll, save: offers.json}",
    "save as": "{resource: offer, operation: getAll, "
    "save: {to: x, format: csv, value: '${{ 1 }}'}}",
    "a block in a block": "{steps: [{for_each: [1], steps: [{resource: offer, "
    "operation: getAll}]}]}",
    "a set": "{name: x, set: {a: 1, b: [2], c: {d: null}}}",
    "an include": "{include: other.yaml, inputs: {a: '${{ 1 }}'}, tracker: '${{ item }}'}",
}


@pytest.mark.parametrize("text", GOOD.values(), ids=list(GOOD))
def test_good_steps(text: str) -> None:
    """What the language allows draws no complaint."""
    assert complaints(step(text)) == []


def test_good_head() -> None:
    """Inputs, vars, defaults, finally and outputs draw no complaint."""
    text = """
version: 1
name: all
description: Everything.
inputs:
  a:
  b: {type: string, secret: true, env: B, required: false}
  c: {default: [1], enum: [[1], [2]], description: A list.}
vars: {x: '${{ inputs.a }}', y: {z: 1}}
defaults: {on_error: continue, timeout: 30s, retry: 2, tracker: main}
steps: [{resource: offer, operation: getAll}]
finally: [{name: s, set: {a: 1}}]
outputs: {o: '${{ steps.s.values.a }}'}
"""
    assert complaints(parse(text, "playbook.yaml").data) == []


# -- wrong playbooks -------------------------------------------------------------------------------

STEP = "steps.0"
WRONG = {
    "wrong resource": ("{resource: campaigns, operation: getAll}", ".resource enum"),
    "no resource": ("{operation: getAll}", " required"),
    "no operation": ("{resource: offer}", " required"),
    "wrong operation": ("{resource: offer, operation: list}", ".operation enum"),
    "stats create": ("{resource: stats, operation: create, body: {}}", ".operation enum"),
    "missing id": ("{resource: offer, operation: get}", " required"),
    "null id": ("{resource: offer, operation: get, id: null}", ".id type"),
    "empty id": ("{resource: offer, operation: get, id: ''}", ".id pattern"),
    "id with a slash": ("{resource: offer, operation: get, id: a/b}", ".id pattern"),
    "needless id": ("{resource: offer, operation: getAll, id: 1}", " None"),
    "missing params": ("{resource: stream, operation: getAll}", " required"),
    "missing param": ("{resource: stream, operation: getAll, params: {}}", ".params required"),
    "wrong param": (
        "{resource: group, operation: getAll, params: {type: offers, kind: 1}}",
        ".params additionalProperties",
    ),
    "needless params": (
        "{resource: offer, operation: getAll, params: {a: 1}}",
        ".params additionalProperties",
    ),
    "missing body": ("{resource: offer, operation: create}", " required"),
    "needless body": ("{resource: offer, operation: get, id: 1, body: {}}", " None"),
    "two bodies": (
        "{resource: offer, operation: create, body: {name: x}, body_file: x.json}",
        " None",
    ),
    "wrong field": (
        "{resource: offer, operation: create, body: {name: x, nmae: y}}",
        ".body additionalProperties",
    ),
    "missing field": ("{resource: offer, operation: create, body: {}}", ".body required"),
    "wrong type": (
        "{resource: offer, operation: update, id: 1, body: {daily_cap: many}}",
        ".body.daily_cap pattern",
    ),
    "text round an expression": (
        "{resource: offer, operation: update, id: 1, body: {daily_cap: 'a ${{ 1 }}'}}",
        ".body.daily_cap pattern",
    ),
    "wrong enum": (
        "{resource: offer, operation: update, id: 1, body: {state: on}}",
        ".body.state anyOf",
    ),
    "wrong field in a list": (
        "{resource: stream, operation: update, id: 1, body: {offers: [{offer_id: 1, share: 1, "
        "weight: 1}]}}",
        ".body.offers.0 additionalProperties",
    ),
    "until repeats a create": (
        "{resource: offer, operation: create, body: {name: x}, until: true}",
        " None",
    ),
    "wrong key": ("{resource: offer, operation: getAll, foo: 1}", " additionalProperties"),
    "bare condition": ("{resource: offer, operation: getAll, when: a > 1}", ".when pattern"),
    "wrong name": ("{name: Offers, resource: offer, operation: getAll}", ".name pattern"),
    "as alone": ("{resource: offer, operation: getAll, as: x}", " dependencies"),
    "attempts alone": ("{resource: offer, operation: getAll, attempts: 2}", " dependencies"),
    "literal keys": ("{resource: offer, operation: getAll, retry: '${{ 1 }}'}", ".retry type"),
    "two kinds": ("{name: x, set: {a: 1}, include: y.yaml}", " additionalProperties"),
    "a set without a name": ("{set: {a: 1}}", " required"),
    "an empty block": ("{steps: []}", ".steps minItems"),
    "a wrong step in a block": ("{steps: [{resource: offer}]}", ".steps.0 required"),
    "save without a file": ("{resource: offer, operation: getAll, save: {}}", ".save required"),
    "no step": ("text", " type"),
}


@pytest.mark.parametrize(("text", "expected"), WRONG.values(), ids=list(WRONG))
def test_wrong_steps(text: str, expected: str) -> None:
    """A mistake is complained about once, at its own place."""
    assert complaints(step(text)) == [STEP + expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("steps: [{name: x, set: {a: 1}}]", " required"),
        ("version: 1", " required"),
        ("version: 2\nsteps: [{name: x, set: {a: 1}}]", "version enum"),
        ("version: 1\nsteps: []", "steps minItems"),
        ("version: 1\nsteps: [{name: x, set: {a: 1}}]\ntasks: []", " additionalProperties"),
        ("version: 1\ninputs: {1a: {}}\nsteps: [{name: x, set: {a: 1}}]", "inputs pattern"),
        (
            "version: 1\ndefaults: {on_error: skip}\nsteps: [{name: x, set: {a: 1}}]",
            "defaults.on_error enum",
        ),
        ("version: 1\nsteps: [{name: x, set: {a: 1}}]\nfinally: [{}]", "finally.0 required"),
    ],
)
def test_wrong_heads(text: str, expected: str) -> None:
    """A mistake outside the steps is complained about at its own place."""
    assert expected in complaints(parse(text, "playbook.yaml").data)


def test_never_stricter_than_validate() -> None:
    """What the schema turns down, validate turns down as well: no editor cries wolf."""
    rules = Rules(Catalogue())
    for text, _ in WRONG.values():
        document = parse(f"version: 1\nsteps:\n  - {text}\n", "playbook.yaml")
        assert any(p.severity is Severity.ERROR for p in check(document, rules)), text
