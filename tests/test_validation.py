"""Every mistake of a playbook, at its place, before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import CATALOGUE, ROOT, plan_of, steps, validate

from runner.errors import RunnerError
from runner.model import Problem, Severity

OPERATIONS = [
    (resource, name)
    for resource in CATALOGUE.names
    for name in CATALOGUE.resource(resource).operations  # type: ignore[union-attr]
]


def problems_of(folder: Path, text: str) -> list[Problem]:
    path = folder / "playbook.yaml"
    path.write_text(text, encoding="utf-8")
    return validate(path)


def errors_of(folder: Path, text: str) -> list[str]:
    return [p.message for p in problems_of(folder, text) if p.severity is Severity.ERROR]


@pytest.mark.parametrize(("resource", "name"), OPERATIONS, ids=[".".join(o) for o in OPERATIONS])
def test_ids(folder: Path, resource: str, name: str) -> None:
    """Every operation with an id in its path needs one, and no other takes one."""
    operation = CATALOGUE.operation(resource, name)
    assert operation is not None
    text = steps(f"{{resource: {resource}, operation: {name}}}")
    needs = f"{operation} needs an id"
    assert (needs in errors_of(folder, text)) == operation.needs_id
    for given in ("''", "null", "[1]", "a/b", "-1", "'..'"):
        found = errors_of(folder, text.replace("}", f", id: {given}}}"))
        wrong = [m for m in found if m.startswith("the id ")]
        assert len(wrong) == operation.needs_id
    found = errors_of(folder, text.replace("}", ", id: 1}"))
    assert (f"{operation} takes no id" in found) != operation.needs_id
    assert needs not in found


@pytest.mark.parametrize("name", ["get", "create", "update", "delete", "list", "build", "x"])
def test_stats_is_only_read(folder: Path, name: str) -> None:
    """Statistics have one operation, and every other is told so."""
    problem = problems_of(folder, steps(f"{{resource: stats, operation: {name}}}"))[0]
    assert problem.message == f"stats has no operation '{name}'"
    assert "getAll" in problem.hint or "click.clean" in problem.hint


@pytest.mark.parametrize("resource", CATALOGUE.names)
def test_other_spellings(folder: Path, resource: str) -> None:
    """Plural, snake_case, capitals and a dash lead to the name that was meant."""
    if resource in {"api", "stats"}:
        return
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in resource)
    for wrong in (f"{resource}s", f"{snake}s", resource.capitalize(), snake.replace("_", "-")):
        if wrong == resource or CATALOGUE.resource(wrong):
            continue
        problems = problems_of(folder, steps(f"{{resource: {wrong}, operation: getAll}}"))
        assert problems[0].hint == f"did you mean '{resource}'?", wrong
        assert problems[0].place.column == 16


def test_the_spot_of_a_key(folder: Path) -> None:
    """The caret of an unknown key stands under that key, however deep and however quoted."""
    text = """\
version: 1
"one": 1
steps:
  - resource: stream
    operation: update
    id: 1
    two: 2
    body:
      three: 3
      filters: [{name: country, mode: accept, 'four': 4}]
      offers:
        - offer_id: 1
          five: 5
    params: {six: 6}
"""
    spots = {
        problem.line[problem.place.column - 1 :][: problem.place.length].strip("\"'")
        for problem in problems_of(folder, text)
        if "unknown key" in problem.message or "no parameter" in problem.message
    }
    assert spots == {"one", "two", "three", "four", "five", "six"}


def test_every_place_is_in_the_file(folder: Path) -> None:
    """Every problem of every case points into the file that it names, and its line is that line."""
    seen = 0
    for playbook in sorted((ROOT / "tests" / "cases").glob("*/playbook.yaml")):
        for problem in validate(playbook):
            lines = Path(problem.place.file).read_text(encoding="utf-8").splitlines() or [""]
            assert lines[problem.place.line - 1] == problem.line
            assert 1 <= problem.place.column <= len(problem.line) + 1
            assert problem.place.column + problem.place.length <= len(problem.line) + 2
            seen += 1
    assert seen > 150


def test_order(folder: Path) -> None:
    """Problems come in the order of the lines."""
    found = validate(ROOT / "tests/cases/wrong-references/playbook.yaml")
    places = [(p.place.line, p.place.column) for p in found]
    assert places == sorted(places)


def test_warnings_can_be_silenced(folder: Path) -> None:
    """A comment silences a warning on its own line, and never an error."""
    text = steps("{resource: group, operation: create, body: {name: 007, type: offers}}")
    assert [p.code for p in problems_of(folder, text)] == ["KP405"]
    line = text.rstrip("\n")
    assert problems_of(folder, f"{line}  # noqa: KP405\n") == []
    assert problems_of(folder, f"{line}  # noqa: KT001, KP405\n") == []
    assert len(problems_of(folder, f"{line}  # noqa: KP109\n")) == 1
    wrong = steps("{resource: group, operation: create, body: {type: offers}}").rstrip("\n")
    assert len(errors_of(folder, f"{wrong}  # noqa: KP403\n")) == 1


def test_templated_values_are_left_open(folder: Path) -> None:
    """What an expression will give is not judged before the run, the rest of the body is."""
    text = """
version: 1
inputs: {x: {}}
steps:
  - resource: stream
    operation: update
    id: ${{ inputs.x }}
    body:
      weight: ${{ inputs.x }}
      name: a ${{ inputs.x }} b
      filters: ${{ inputs.x }}
      offers: [{offer_id: "${{ inputs.x }}", share: "${{ inputs.x }}", state: "${{ inputs.x }}"}]
      landings: [{landing_id: "1${{ inputs.x }}", share: 50, state: active}]
"""
    assert errors_of(folder, text) == ["must be a whole number, is text"]


def test_a_whole_body_by_expression(folder: Path) -> None:
    """A body, params or inputs may be one expression."""
    text = """
version: 1
inputs: {x: {}}
steps:
  - {resource: offer, operation: create, body: "${{ inputs.x }}"}
  - {resource: stream, operation: getAll, params: "${{ inputs.x }}"}
"""
    assert errors_of(folder, text) == []


def test_raw_bodies_hold_no_expressions(folder: Path) -> None:
    """In a raw body nothing is an expression, so nothing is checked as one."""
    body = 'body: {name: "${{ steps.nothing }} {{ inputs.x }} ${{ open"}'
    step = f"{{resource: offer, operation: create, {body}}}"
    assert len(errors_of(folder, steps(step))) >= 1
    assert errors_of(folder, steps(step.replace("body:", "raw: true, body:"))) == []


MACROS = ["{subid}", "{{ad.name}}", "{{campaign.id}}", "{{ site_source_name }}", "{_ban}", "$x",
          "{{ inputs }}", "{{ad.inputs.x}}", "#{x}", "%7B%7B"]  # fmt: skip


@pytest.mark.parametrize("text", MACROS)
def test_macros_are_left_alone(folder: Path, text: str) -> None:
    """Keitaro's own placeholders, and the networks', are data."""
    body = json.dumps({"name": "N", "action_payload": f"https://x.example/?a={text}&b={text}"})
    assert (
        problems_of(
            folder,
            "version: 1\ninputs: {x: {}}\nsteps:\n"
            f"  - {{resource: offer, operation: create, body: {body}}}\n",
        )
        == []
    )


def test_guards(folder: Path) -> None:
    """A step that may be skipped is warned of, unless its reader says what holds then."""
    text = """
version: 1
inputs: {{go: {{type: boolean, default: true}}}}
steps:
  - {{name: a, when: "${{{{ inputs.go }}}}", resource: offer, operation: get, id: 1}}
  - {{resource: offer, operation: get, id: "{}", {}}}
"""
    plain, on = "${{ steps.a.data.id }}", "when: true"

    def warned(value: str, when: str = on) -> list[str]:
        return [p.code for p in problems_of(folder, text.format(value, when))]

    assert warned(plain) == ["KP307"]
    assert warned(plain, 'when: "${{ not steps.a.skipped }}"') == []
    assert warned(plain, 'when: "${{ inputs.go and steps.a.success }}"') == []
    assert warned("${{ steps.a.data.id | default(1) }}") == []
    assert warned("${{ 1 if steps.a.skipped else steps.a.data.id }}") == []
    assert warned("${{ 1 if inputs.go else steps.a.data.id }}") == ["KP307"]


def test_included_once(folder: Path) -> None:
    """A playbook that is included twice has its problems told once."""
    (folder / "child.yaml").write_text(steps("{resource: offer, operation: get}"))
    text = steps("{include: child.yaml}", "{include: child.yaml}")
    assert errors_of(folder, text) == ["offer.get needs an id"]


def test_included_too_deep(folder: Path) -> None:
    """Playbooks that include each other without end are refused."""
    for n in range(15):
        (folder / f"{n}.yaml").write_text(steps(f"{{include: {n + 1}.yaml}}"))
    (folder / "15.yaml").write_text(steps("{resource: offer, operation: getAll}"))
    assert errors_of(folder, steps("{include: 0.yaml}")) == [
        "playbooks are included more than 10 deep"
    ]


def test_a_folder_that_cannot_be_left(folder: Path) -> None:
    """An included playbook reads files below the first one's folder, and none above it."""
    inner = folder / "inner" / "parts"
    inner.mkdir(parents=True)
    (folder / "outside.yaml").write_text(steps("{resource: offer, operation: getAll}"))
    (folder / "inner" / "shared.yaml").write_text(steps("{resource: offer, operation: getAll}"))
    (inner / "child.yaml").write_text(
        steps("{include: ../shared.yaml}", "{include: ../../outside.yaml}")
    )
    path = folder / "inner" / "playbook.yaml"
    path.write_text(steps("{include: parts/child.yaml}"))
    assert [p.message for p in validate(path)] == [
        "'../../outside.yaml' lies outside the playbook's folder"
    ]


def test_a_link_out_of_the_folder(folder: Path) -> None:
    """A link does not lead out of the folder."""
    inner = folder / "inner"
    inner.mkdir()
    (folder / "outside.yaml").write_text(steps("{resource: offer, operation: getAll}"))
    (inner / "link.yaml").symlink_to(folder / "outside.yaml")
    path = inner / "playbook.yaml"
    path.write_text(steps("{include: link.yaml}"))
    assert [p.message for p in validate(path)] == ["'link.yaml' lies outside the playbook's folder"]


def test_body_files_of_an_included_playbook(folder: Path) -> None:
    """A body file is looked for beside the playbook that names it."""
    (folder / "parts").mkdir()
    (folder / "parts" / "body.json").write_text('{"name": 5}')
    (folder / "parts" / "child.yaml").write_text(
        steps("{resource: offer, operation: create, body_file: body.json}")
    )
    (problem,) = problems_of(folder, steps("{include: parts/child.yaml}"))
    assert problem.code == "KP405"
    assert problem.place.file.endswith("parts/body.json")


# -- robustness -------------------------------------------------------------------------------


LITERAL = [
    ("version: 1", "version: X"), ("name: p", "name: X"), ("type: string", "type: X"),
    ("default: a", "default: X"), ("env: A", "env: X"), ("on_error: stop", "on_error: X"),
    ("retry: 1", "retry: X"), ("attempts: 3", "attempts: X"), ("name: one", "name: X"),
    ("as: row", "as: X"), ("format: csv", "format: X"), ("columns: [id]", "columns: [X]"),
    ("raw: false", "raw: X"), ("resource: offer", "resource: X"),
    ("operation: getAll", "operation: X"), ("on_error: continue", "on_error: X"),
]  # fmt: skip
WHOLE = """
version: 1
name: p
inputs: {a: {type: string, default: a, env: A}}
defaults: {on_error: stop}
steps:
  - name: one
    for_each: [1]
    as: row
    resource: offer
    operation: getAll
    retry: 1
    until: ${{ data != [] }}
    attempts: 3
    on_error: continue
    save: {to: a.csv, format: csv, columns: [id]}
  - {resource: offer, operation: create, raw: false, body: {name: N}}
"""


@pytest.mark.parametrize(("old", "new"), LITERAL, ids=[old for old, _ in LITERAL])
def test_what_must_be_written_out(folder: Path, old: str, new: str) -> None:
    """What decides how a playbook runs cannot be an expression, and says so at its spot."""
    assert errors_of(folder, WHOLE) == []
    text = WHOLE.replace(old, new.replace("X", '"${{ run.id }}"'), 1)
    found = [p for p in problems_of(folder, text) if p.severity is Severity.ERROR]
    assert found
    assert "expression" in found[0].message or "written out" in found[0].message
    assert '"${{ run.id }}"' in found[0].line[found[0].place.column - 1 :]


EVERYTHING = {
    "version": 1,
    "name": "all",
    "description": "d",
    "inputs": {"a": {"type": "string", "default": "x", "description": "d", "required": False,
                     "env": "A", "enum": ["x"], "pattern": "x"}},
    "vars": {"v": "${{ inputs.a }}", "deep": {"l": [1, "${{ inputs.a }}"]}},
    "defaults": {"on_error": "stop", "timeout": "5s", "retry": 2, "tracker": "main"},
    "steps": [
        {"name": "one", "resource": "stream", "operation": "getAll",
         "params": {"campaign_id": "${{ vars.v }}"}, "expect": ["${{ data }}"],
         "until": "${{ data == [] }}", "every": "5s", "attempts": 2, "retry": 1, "timeout": 3,
         "save": {"to": "a.csv", "value": "${{ data }}", "format": "csv", "columns": ["id"]},
         "when": "${{ true }}", "on_error": "continue", "tracker": "main", "description": "d"},
        {"name": "two", "for_each": "${{ steps.one.data }}", "as": "row", "concurrency": 2,
         "steps": [{"name": "in", "resource": "stream", "operation": "update",
                    "id": "${{ row.id }}", "raw": False,
                    "body": {"offers": [{"offer_id": 1, "share": 100}]}}]},
        {"name": "three", "set": {"x": 1}, "save": "x.json"},
        {"name": "four", "include": "child.yaml", "inputs": {"a": 1}, "tracker": "main"},
        {"name": "five", "resource": "offer", "operation": "create", "body_file": "body.json"},
    ],
    "finally": [{"resource": "offer", "operation": "getAll"}],
    "outputs": {"o": "${{ steps.three.values.x }}"},
}  # fmt: skip

ODD: list[Any] = [None, 5, "", "${{ x }}", "${{", [[]], {"a": {"b": []}}]


def _mutants(value: Any) -> Iterator[Any]:
    """The value with each of its parts replaced by each odd thing, one at a time."""
    yield from ODD
    if isinstance(value, dict):
        for key, part in value.items():
            yield {k: v for k, v in value.items() if k != key}
            yield from ({**value, key: mutant} for mutant in _mutants(part))
    if isinstance(value, list):
        for index, part in enumerate(value):
            yield from ([*value[:index], mutant, *value[index + 1 :]] for mutant in _mutants(part))


def test_nothing_breaks_the_checks(folder: Path) -> None:
    """Whatever stands wherever leads to problems, never a traceback; without errors to a plan."""
    (folder / "child.yaml").write_text(
        "version: 1\ninputs: {a: {}}\nsteps:\n  - {resource: offer, operation: getAll}\n"
    )
    (folder / "body.json").write_text('{"name": "N"}')
    path = folder / "playbook.yaml"
    planned = refused = 0
    for mutant in _mutants(EVERYTHING):
        path.write_text(json.dumps(mutant))
        if any(p.severity is Severity.ERROR for p in validate(path)):
            refused += 1
            continue
        try:
            plan_of(path)
        except RunnerError:
            # Inputs and defaults that do not go together are a matter of the run.
            assert "inputs" in mutant
        planned += 1
    assert planned > 50
    assert refused > 500


def test_bodies_of_included_playbooks_lie_where_other_files_do(folder: Path) -> None:
    """One rule for all files: below the folder of the playbook that was started."""
    (folder / "parts").mkdir()
    (folder / "bodies").mkdir()
    (folder / "bodies/o.json").write_text('{"name": "x"}')
    part = "{resource: offer, operation: create, body_file: ../bodies/o.json}"
    (folder / "parts/p.yaml").write_text(steps(part))
    assert problems_of(folder, steps("{include: parts/p.yaml}")) == []
    (folder / "bodies/o.json").write_text('{"nmae": "x"}')
    assert errors_of(folder, steps("{include: parts/p.yaml}")) != []


def test_a_file_outside_is_told_beforehand(folder: Path) -> None:
    """It cannot be read whether it is there or not."""
    (folder.parent / "outside.txt").write_text("x")
    text = steps("{name: a, set: {x: \"${{ file('../outside.txt') }}\"}}")
    (problem,) = problems_of(folder, text)
    assert (problem.code, "lies outside" in problem.message) == ("KP214", True)
