"""Long lists below `for_each`: kept as they stand in the text, and the same as any list to all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Run, _rules, plan_of, run_stubbed, steps
from hypothesis import example, given
from hypothesis import strategies as st

from runner.model import Reply, Request
from runner.playbook import Document, Many, Seq, parse, reader
from runner.validation import check

LOOP = "{resource: offer, operation: get, id: '${{ item }}', for_each: "
# Ways to write an item, plain and not.
WRITTEN = st.one_of(
    st.sampled_from(
        ["1", "-0", "007", "1.50", "0x1F", "~", "", "true", "NO", "a b", "a: b", "a #b", "x # note",
         "'1'", '"1"', "'it''s'", '"a\\tb"', "''", '""', "'", "&a 5", "*a", "!!str 5", "!x 5",
         "${{ inputs.a }}", "'{{ b }}'", "steps.a.data.id", "[1, 2]", "{a: 1}", "- 1", "|\n      x",
         ".inf", "'a\n\n        b'", "a\n        b", "é", "x" * 300, "1e999"]
    ),
    st.integers().map(str),
    st.text(max_size=6).map(json.dumps),
    st.text(st.characters(exclude_categories=["C"]), max_size=6),
)  # fmt: skip


def read(text: str, few: int) -> Document:
    """A playbook read with all lists below `for_each` kept as many, or none."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reader, "FEW", few)
        return parse(text, "f.yaml")


def items_of(document: Document) -> Any:
    return document.data["steps"][0]["for_each"]


# What may stand beside it: whether a null or a letter beyond ASCII is anywhere in a document
# decides how all of it is written down for its fingerprint.
BESIDE = st.sampled_from(["", "    notes: ~\n", "    notes: é\n", "    notes: null é\n"])


@given(st.lists(WRITTEN, max_size=6), st.booleans(), BESIDE)
@example(["1", "2"], False, "")
@example(["'1'", "a b"], True, "")
@example(["x", "*a"], False, "")
@example(["1", "${{ inputs.a }}", "2"], False, "")
@example(["é", "1"], False, "    notes: ~\n")
@example(["~", "1"], False, "    notes: é\n")
@example(["~", "1", "2", "3", "é"], False, "")
@example(["1", "2", "3", "'null'", "é"], False, "")
def test_many_are_what_a_list_would_be(written: list[str], flow: bool, beside: str) -> None:
    """The same values and places, the same problems, and the same fingerprint."""
    if flow:
        items = "[" + ", ".join(written) + "]"
    else:
        items = "".join(f"\n      - {item}" for item in written) or "[]"
    text = (
        f"version: 1\nx: &a 5\nsteps:\n  - name: each\n    for_each: {items}\n    y: 1\n"
        "    resource: offer\n    operation: get\n    id: ${{ item }}\n"
        f"    when: ${{{{ item.x == 1 }}}}\n{beside}"
    )
    many, plain = read(text, 1), read(text, 10**9)
    assert many.problems == plain.problems
    assert check(many, _rules()) == check(plain, _rules())
    assert (many.data is None) == (plain.data is None)
    if plain.data is None:
        return
    found, wanted = items_of(many), items_of(plain)
    assert type(wanted) is Seq
    assert [(type(item), item) for item in found] == [(type(item), item) for item in wanted]
    path = ("steps", 0, "for_each")
    for index in range(len(wanted)):
        assert many.offset((*path, index)) == plain.offset((*path, index))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("runner.playbook.many._AT_ONCE", 2)
        assert many.fingerprint() == plain.fingerprint()
    plain_items = all(not isinstance(item, dict | list) and "{{" not in str(item)
                      for item in wanted)  # fmt: skip
    if type(found) is Many:
        assert plain_items
        assert found[1:] == wanted[1:]


def test_a_long_list_is_kept_as_it_stands() -> None:
    """From a thousand items on, in any step, and in five bytes an item."""
    text = "version: 1\n" + steps(f"{LOOP}{list(range(1000))}}}", f"{LOOP}{list(range(999))}}}",
                                  f"{{steps: [{LOOP}{list(range(2000))}}}]}}").replace(
        "version: 1\n", "", 1)  # fmt: skip
    data = parse(text).data
    first, second, block = data["steps"]
    assert (type(first["for_each"]), type(second["for_each"])) == (Many, Seq)
    assert type(block["steps"][0]["for_each"]) is Many
    many = block["steps"][0]["for_each"]
    assert (len(many), many[-1], many[7]) == (2000, 1999, 7)
    assert many.spots.itemsize + many._lengths.itemsize == 5


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\nvars: {for_each: %s}\nsteps: []",
        "version: 1\nsteps: [{resource: x, body: {for_each: %s}}]",
        "version: 1\nsteps: [{resource: x, body: {steps: [{for_each: %s}]}}]",
        "version: 1\nsteps: [{for_each: &a %s}]",
        "version: 1\nsteps: [&a {for_each: %s}]",
        "version: 1\nsteps: &a [{for_each: %s}]",
        "- {for_each: %s}",
        "version: 1\nsteps: {a: {for_each: %s}}",
        "version: 1\nsteps: [{steps: {a: {for_each: %s}}}]",
    ],
)
def test_elsewhere_a_list_is_a_list(text: str) -> None:
    """What is sent, computed with, or stands in several places is none of a loop's."""
    _assert_plain(parse(text % list(range(1000))))


def test_a_body_is_no_playbook() -> None:
    """Whatever it looks like, it is sent as it is."""
    _assert_plain(parse(f"version: 1\nsteps: [{{for_each: {[*range(1000)]}}}]", body=True))


@pytest.mark.parametrize("raw", ["true", "false"])
def test_a_body_file_that_looks_like_a_playbook(folder: Path, run_playbook: Run, raw: str) -> None:
    """A loop in it is nobody's loop."""
    items = [*range(1000)]
    (folder / "b.json").write_text(json.dumps({"version": 1, "steps": [{"for_each": items}]}))
    ran = run_playbook(
        steps(f"{{resource: api, operation: post, params: {{path: /groups}}, raw: {raw}, "
              "body_file: b.json}")
    )  # fmt: skip
    (request,) = ran.tracker.requests
    assert request.body["steps"][0]["for_each"] == items


def _assert_plain(document: Document) -> None:
    assert not document.broken

    def walk(value: Any) -> None:
        assert type(value) is not Many
        for part in value.values() if isinstance(value, dict) else value:
            if isinstance(part, dict | list | Many):
                walk(part)

    walk(document.data)


def test_a_loop_over_many(folder: Path) -> None:
    """Each is an item as written: numbers are numbers, and what is quoted is text."""
    items = [*map(str, range(1, 999)), "'999'", "a b", "~"]
    asked: list[Any] = []

    def send(request: Request) -> Reply:
        asked.append(request.url.rpartition("/")[2])
        return Reply(200, {}, b'{"id": 1}')

    text = steps(
        f"{{name: each, set: {{x: '${{{{ item }}}}'}}, for_each: [{', '.join(items)}]}}",
        '{for_each: \'${{ steps.each.results | map(attribute="values") | map(attribute="x") '
        "| select(\"number\") | list }}', resource: offer, operation: get, id: '${{ item }}'}",
    )
    plan = plan_of(_written(folder, text))
    assert type(plan.document.data["steps"][0]["for_each"]) is Many
    summary, _ = run_stubbed(folder, text, send, keep=False)
    assert (summary.failed, len(asked), asked[-1]) == (0, 998, "998")


@pytest.mark.parametrize("few", [1, 10**9])
def test_what_looks_like_a_path_of_ours_is_found_among_many(few: int) -> None:
    """An expression without its braces would be an item as it stands."""
    text = "version: 1\ninputs: {a: {type: integer}}\n" + steps(
        "{resource: offer, operation: get, id: '${{ item }}', for_each: [1, x.y, inputs.a]}"
    ).replace("version: 1\n", "", 1)
    (problem,) = check(read(text, few), _rules())
    assert (problem.code, problem.place.column) == ("KP305", 77)


def _written(folder: Path, text: str) -> Path:
    path = folder / "many.yaml"
    path.write_text(text, encoding="utf-8")
    return path
