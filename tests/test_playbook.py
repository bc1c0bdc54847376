"""Reading YAML: what it means, where each part stands, and what is said of what is wrong."""

from __future__ import annotations

import io
import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.errors import RunnerError
from runner.model import Severity
from runner.playbook import Document, Map, Seq, events, fingerprint, parse, parse_bytes, read
from runner.playbook.document import silenced
from runner.playbook.scalars import NotJsonError, meaning, old_meaning

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def said(document: Document) -> list[tuple[str, int, int]]:
    return [(p.code, p.place.line, p.place.column) for p in document.problems]


def only(text: str) -> Any:
    (problem,) = parse(text, "f.yaml").problems
    return problem


@pytest.fixture(params=["libyaml", "python", "in parts"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the two parsers that may be there, and one that is given the text part by part."""
    if request.param == "python":
        monkeypatch.setattr(events, "_PARSER", yaml.SafeLoader)
    elif request.param == "in parts":
        monkeypatch.setattr(events, "_LARGE", 0)
    return str(request.param)


# -- scalars --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None), ("NULL", None), ("nUll", "nUll"),
        ("true", True), ("False", False), ("TRUE", True), ("tRUE", "tRUE"),
        ("NO", "NO"), ("on", "on"), ("y", "y"), ("12:30:45", "12:30:45"),
        ("2024-01-31", "2024-01-31"), ("0", 0), ("-0", 0), ("+12", 12), ("007", 7), ("08", 8),
        ("0o17", 15), ("0x1F", 31), ("-0x1F", "-0x1F"), ("0b1", "0b1"), ("1_000", "1_000"),
        ("1.10", 1.1), ("1.", 1.0), (".5", 0.5), ("-.5e2", -50.0), ("1e3", 1000.0), (".", "."),
        ("1e", "1e"), ("+", "+"), ("٣", "٣"), ("1 2", "1 2"), ("<<", "<<"), ("=", "="),
    ],
)  # fmt: skip
def test_plain_scalars(text: str, value: Any) -> None:
    """A plain scalar means what the core schema of YAML 1.2 says, and nothing else."""
    found = meaning(text)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize("text", [".inf", "-.Inf", "+.INF", ".nan", ".NaN", "1e999", "9" * 401])
def test_numbers_json_cannot_carry(text: str) -> None:
    """Infinities, "not a number" and endless digits are refused, with the way to mean the text."""
    with pytest.raises(NotJsonError):
        meaning(text)
    problem = only(f"a: {text}")
    assert (problem.code, problem.place.column, problem.place.length) == ("KP108", 4, len(text))
    assert problem.hint.startswith("for text, quote it: '")
    assert not parse(f"a: '{text}'").problems


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("NO", "text here; YAML 1.1 would have read true or false"),
        ("y", "text here; YAML 1.1 would have read true or false"),
        ("12:30:45", "text here; YAML 1.1 would have read a number in base 60"),
        ("2024-01-31", "text here; YAML 1.1 would have read a date"),
        ("2024-1-1 10:00:00", "text here; YAML 1.1 would have read a date"),
        ("1_000", "text here; YAML 1.1 would have read a number"),
        ("-0x1F", "text here; YAML 1.1 would have read a number"),
        ("007", "the number 7 here; YAML 1.1 would have read an octal number"),
        ("08", "the number 8 here; YAML 1.1 would have read text"),
        ("12e5", "the number 1200000.0 here; YAML 1.1 would have read text"),
        ("0o17", "the number 15 here; YAML 1.1 would have read text"),
    ],
)
def test_warns_where_yaml_changed(text: str, words: str) -> None:
    """A plain scalar that YAML 1.1 reads otherwise is taken, with a warning that says so."""
    document = parse(f"a: {text}\nb: '{text}'")
    (problem,) = document.problems
    assert (problem.code, problem.severity) == ("KP109", Severity.WARNING)
    assert problem.message == f"{text} is {words}"
    assert problem.hint == f"quote it to say that text is meant: '{text}'"
    assert not document.broken


@pytest.mark.parametrize("text", ["08:30", "2024-1-1", "1.5", "north", "none", "0", "1e", "5-6"])
def test_does_not_warn_without_reason(text: str) -> None:
    """What both versions of YAML read alike is not warned about: no time of day before ten."""
    assert not parse(f"- {text}").problems


def _old(text: str) -> Any:
    loader = yaml.SafeLoader("")
    tag = loader.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    try:
        return loader.construct_object(yaml.ScalarNode(tag, text))  # type: ignore[no-untyped-call]
    except (ValueError, yaml.YAMLError) as error:
        return error


@settings(max_examples=300, deadline=None)
@given(st.text("0123456789+-._:eExobafnT~", min_size=1, max_size=9))
def test_warnings_against_pyyaml(text: str) -> None:
    """A warning comes exactly where PyYAML, a reader of YAML 1.1, finds another value."""
    # A sign before the point and y are in YAML 1.1 and not in PyYAML; 007 is warned of for its
    # zeros.
    if re.match(r"[-+]\.|[yn]\Z", text) or old_meaning(text) == "an octal number":
        return
    try:
        new = meaning(text)
    except NotJsonError:
        return
    old = _old(text)
    assert (type(old) is type(new) and old == new) == (old_meaning(text) is None)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("!!str 1", "1"), ("!!int '12'", 12), ("!!float 1", 1), ("!!bool 'true'", True),
        ("!!null ''", None), ("!!map {}", {}), ("!!seq []", []),
    ],
)  # fmt: skip
def test_core_tags(text: str, value: Any) -> None:
    """The tags of the core schema are taken at their word."""
    document = parse(f"a: {text}")
    assert document.data == {"a": value}
    assert not document.problems


@pytest.mark.parametrize(
    "text",
    ["!!python/object/apply:os.system x", "!include f", "!!binary aGk=", "!!set {}", "!x [1]"],
)
def test_foreign_tags(text: str) -> None:
    """Any other tag is refused, and nothing is made of it but plain data."""
    problem = only(f"a: {text}")
    tag = text.split(maxsplit=1)[0]
    assert (problem.code, problem.place.column, problem.place.length) == ("KP107", 4, len(tag))
    assert tag in problem.message


def test_tag_that_does_not_fit() -> None:
    """A tag that its value does not fit is a problem of that value."""
    assert only("a: !!int x").message == "'x' is no int"
    assert only("a: !!bool 1").message == "'1' is no bool"
    assert only("a: !!float .inf").code == "KP107"


# -- data and positions ---------------------------------------------------------------------------

SAMPLE = """\
version: 1
steps:
  - {name: "é", 'id': 😀x, list: [1, two,  3]}
  - body: &body
      text: |
        two
        lines
      007: yes it is
  - body: *body
    more:
      <<: *body
      own: 5
"""


def test_data(parser: str) -> None:
    """Both parsers give the same data: maps, lists, JSON scalars, aliases followed."""
    document = parse(SAMPLE)
    body = {"text": "two\nlines\n", "007": "yes it is"}
    assert document.data == {
        "version": 1,
        "steps": [
            {"name": "é", "id": "😀x", "list": [1, "two", 3]},
            {"body": body},
            {"body": body, "more": {**body, "own": 5}},
        ],
    }
    assert not document.problems
    assert isinstance(document.data, Map)
    assert isinstance(document.data["steps"], Seq)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize(
    ("trail", "key", "place"),
    [
        (("version",), False, (1, 10, 1)),
        (("version",), True, (1, 1, 7)),
        (("steps",), True, (2, 1, 5)),
        (("steps", 0), False, (3, 5, 1)),
        (("steps", 0, "name"), False, (3, 12, 3)),
        (("steps", 0, "id"), True, (3, 17, 4)),
        (("steps", 0, "id"), False, (3, 23, 2)),
        (("steps", 0, "list", 1), False, (3, 37, 3)),
        (("steps", 1, "body", "text"), False, (5, 13, 1)),
        (("steps", 1, "body", "007"), True, (8, 7, 3)),
        (("steps", 2, "body"), False, (9, 11, 5)),
        (("steps", 2, "body", "text"), True, (5, 7, 4)),
        (("steps", 2, "more", "text"), True, (11, 7, 2)),
        (("steps", 2, "more", "007"), False, (8, 12, 9)),
        (("steps", 0, "list", 9), False, (3, 33, 1)),
        (("steps", 0, "nothing", "here"), False, (3, 5, 1)),
        ((), False, (1, 1, 7)),
    ],
)
def test_positions(
    parser: str, newline: str, trail: tuple[str | int, ...], key: bool, place: tuple[int, int, int]
) -> None:
    """Every key and value is found to the character, whatever ends the lines, by both parsers."""
    document = parse(SAMPLE.replace("\n", newline), "f.yaml")
    problem = document.problem("X1", "", path=trail, key=key)
    found = problem.place
    assert (found.line, found.column, found.length) == place
    assert problem.line == SAMPLE.split("\n")[place[0] - 1]
    assert str(found) == f"f.yaml:{place[0]}:{place[1]}"


@given(st.text("ab\n", max_size=20), st.integers(0, 20))
def test_a_place_is_the_same_however_often_it_is_asked_for(text: str, offset: int) -> None:
    """The first few are counted, and a table tells the others."""
    document = Document("f.yaml", text)
    offset = min(offset, len(text))
    places = {document.place(offset, 1) for _ in range(40)}
    assert document._lines
    assert len(places) == 1


def test_byte_order_mark() -> None:
    """A byte order mark shifts no position."""
    raw = b"\xef\xbb\xbfa: 1\nb: @x\n"
    for document in (parse_bytes(raw, "f"), parse(raw.decode())):
        assert said(document) == [("KP100", 2, 4)]
        assert document.line(1) == "a: 1"
        assert document.offset(("a",)) == 0


def test_length_stays_on_the_line() -> None:
    """What is marked of a value never runs over the end of its line."""
    place = parse("a: 'one\n  two'\n").problem("X1", "", path=("a",)).place
    assert (place.line, place.column, place.length) == (1, 4, 4)


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("007", "007"), ("1.10", "1.10"), ("  1e3   # why", "1e3"), ("&x 007", "007"),
        ("!!float 1.10", "1.10"), ("&x !!float 1.10", "1.10"), ("+5 ", "+5"),
    ],
)  # fmt: skip
def test_spelling(text: str, typed: str) -> None:
    """A scalar is known as it was typed, without the anchor and the tag before it."""
    assert parse(f"a: {text}\n").spelling(("a",)) == typed


def test_spelling_of_an_alias() -> None:
    """What an alias stands for was typed at its anchor, the last one of that name above it."""
    text = "a: &x 007\nb: *x\nc: &x 1.10 # not &x 5\nd: *x\ne: &xy 3\nf: *x\ng: '&x 9'\nh: *x\n"
    document = parse(text)
    assert [document.spelling((key,)) for key in "bdfh"] == ["007", "1.10", "1.10", "1.10"]


def test_trails_are_shown_as_people_write_them() -> None:
    """A path reads `steps[2].body.offers[0].share`."""
    trail = ("steps", 2, "body", "offers", 0, "share")
    assert parse("{}").problem("X1", "", path=trail).path == "steps[2].body.offers[0].share"


def test_lines_outside_the_file_are_empty() -> None:
    """A line that is not there has no text."""
    document = parse("a: 1\n")
    assert [document.line(n) for n in (0, 1, 2, 3)] == ["", "a: 1", "", ""]


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        ("a: 1  # noqa: KT004", {"KT004"}),
        ("a: 1  #noqa:KT004,KP109", {"KT004", "KP109"}),
        ("a: 1  # noqa: KT004 , KT005 for a reason", {"KT004", "KT005"}),
        ("a: 1  # noqa", set()),
        ("a: 1  # noqa: all", set()),
        ("a: 1", set()),
    ],
)
def test_noqa(line: str, codes: set[str]) -> None:
    """A comment `# noqa: CODE, CODE` silences these codes, and never all of them."""
    assert silenced(line) == codes


# -- aliases, merge keys, duplicates --------------------------------------------------------------


def test_merge_keys() -> None:
    """Keys that are written out win over merged ones, earlier sources over later."""
    document = parse("a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc:\n  z: 3\n  <<: [*a, *b]\n  w: 3\n")
    assert document.data["c"] == {"x": 1, "y": 1, "z": 3, "w": 3}
    assert not document.problems


def test_merged_keys_come_first() -> None:
    """What is merged stands before what is written out, since vars are computed in order."""
    document = parse("a: &a {x: 1, y: 2}\nb: {y: 3, own: 4, <<: *a, last: 5}\n")
    assert list(document.data["b"]) == ["x", "y", "own", "last"]
    assert document.data["b"]["y"] == 3


def test_only_a_plain_key_merges() -> None:
    """A quoted '<<' is a key like any other."""
    assert parse("a: {'<<': {b: 1}, \"<<x\": 2}").data == {"a": {"<<": {"b": 1}, "<<x": 2}}


@pytest.mark.parametrize("source", ["1", "[{a: 1}, 2]", "text", "[[{a: 1}]]"])
def test_merge_of_what_is_no_mapping(source: str) -> None:
    """Only mappings can be merged."""
    problem = only(f"x:\n  <<: {source}\n")
    assert (problem.code, problem.place.line, problem.place.column) == ("KP106", 2, 7)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("a: 1\nb: 2\na: 3\n", [("KP111", 3, 1)]),
        ("a: 1\r\nb: 2\r\na: 3\r\n", [("KP111", 3, 1)]),
        ("x: {b: 1, b: 2, 'b': 3}", [("KP111", 1, 11), ("KP111", 1, 17)]),
        ("no: x\n'no': z", [("KP111", 2, 1)]),
        ("😀😀: {é: 1, é: 2}", [("KP111", 1, 12)]),
    ],
)
def test_duplicate_keys(text: str, places: list[tuple[str, int, int]]) -> None:
    """A key that stands twice is an error at the second, which names the place of the first."""
    assert said(parse(text)) == places
    first = re.search(r"line (\d+), column (\d+)", parse(text).problems[0].message)
    assert first
    assert (int(first[1]), int(first[2])) < places[0][1:]


def test_duplicate_keeps_the_first() -> None:
    """Of a key that stands twice the first value is checked on, and the message quotes the key."""
    document = parse("a: 1\na: 2")
    assert document.data == {"a": 1}
    message = "'a' stands twice; the first is on line 1, column 1"
    assert document.problems[0].message == message


@pytest.mark.parametrize("text", ["a: *x", "&x [*x]", "&x {a: *x}", "a: *x\nb: &x 1"])
def test_unknown_anchor(text: str) -> None:
    """An alias needs its anchor above it, and so no value can hold itself."""
    problem = only(text)
    assert problem.code == "KP104"
    assert text[problem.place.column - 1] == "*"


def _laughs(levels: int) -> str:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


def _merged_laughs(levels: int) -> str:
    lines = ["a0: &a0 {k: 1}"]
    lines += [
        f"a{n}: &a{n} {{k{n}: [{','.join([f'*a{n - 1}'] * 9)}], <<: *a{n - 1}}}"
        for n in range(1, levels)
    ]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        _laughs(30),
        _merged_laughs(30),
        f"a: &a {'x' * 1_000_000}\nb: [{','.join(['*a'] * 5000)}]",
        f"a: &a [{'x,' * 5000}]\nb: [{','.join(['*a'] * 5000)}]",
    ],
    ids=["nested", "merged", "long-text", "flat"],
)
def test_billion_laughs(text: str) -> None:
    """Aliases that stand for far more than is written are refused in well under a second."""
    began = time.thread_time()
    problem = only(text)
    assert time.thread_time() - began < 0.5
    assert problem.code == "KP103"
    assert problem.message == "aliases stand for more than 100,000 values"


def test_shared_bodies_are_allowed() -> None:
    """A body of common size may be used by hundreds of steps."""
    body = ", ".join(f"k{n}: {n}" for n in range(80))
    text = f"b: &b {{{body}}}\ns: [{', '.join(['*b'] * 500)}]"
    assert not parse(text).problems


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("\ta: 1", (1, 1), "a tab cannot indent"),
        ("a:\n\tb: 1", (2, 1), "a tab cannot indent"),
        ("a:\n  \tb: 1\n", (2, 3), "a tab cannot indent"),
        ("a: 😀\nb: 😀 `\nc: `x`", (3, 4), "a value cannot begin with a backtick"),
        ("a: @x", (1, 4), "a value cannot begin with '@'"),
        ("a: %x", (1, 4), "a value cannot begin with '%'"),
        ("a: 1\r\nb: @\r\n", (2, 4), "a value cannot begin with '@'"),
        ("a: b: c", (1, 5), "a ':' does not belong here"),
        ("a: - b", (1, 4), "a list cannot begin on the line of its key"),
        ("a: 'x\n\nb: 1", (1, 4), "a quote is opened here and never closed"),
        ('a: "\\q"', (1, 5), "an unknown escape in a double-quoted text"),
        ('a: "\\ud83d"', (1, 7), "an escape for half a character"),
        ("a: [1 2", (1, 8), "the file ends inside brackets"),
        ("a: [1,\n\n", (3, 1), "the file ends inside brackets"),
        ("a: [1}", (1, 6), "a ',' or a closing bracket is missing here"),
        ("a: {b: [}", (1, 9), "a value is missing here"),
        ("a:\n  - 1\n b", (3, 2), "this line does not fit the ones above it"),
        ("- 1\nb: 2", (2, 1), "this line is no item of the list above it"),
        ("a:\n b: 1\n c\nd: 1", (4, 1), "a ':' is missing after this key"),
        ("%YAML 9.9\n---\na", (1, 1), "not valid YAML: found incompatible YAML document"),
    ],
)
def test_syntax_errors(text: str, place: tuple[int, int], message: str) -> None:
    """A syntax error stands at the spot that a person would look at, in words that help."""
    problem = only(text)
    assert (problem.code, (problem.place.line, problem.place.column)) == ("KP100", place)
    assert problem.message == message
    assert problem.hint


def test_open_bracket_is_named() -> None:
    """Where a bracket is not closed, the hint says where it was opened."""
    assert "the bracket stands on line 2" in only("x: 1\na: [1,\n  2 3\nb: 1").hint


@pytest.mark.parametrize(
    ("text", "column", "name"),
    [
        ("a: {{ x.y }}", 4, "x.y"),
        ("a: {{x}}.html", 4, "x"),
        ("- {{ x }}", 3, "x"),
        ("{{ x }}: 1", 1, "x"),
        ("a: [{{ x }}]", 5, "x"),
    ],
)
def test_template_without_dollar(text: str, column: int, name: str) -> None:
    """`{{ x }}` is YAML for a mapping in a mapping: the right form is offered."""
    problem = only(text)
    assert (problem.code, problem.place.column) == ("KP110", column)
    assert problem.message == f"'{{{{ {name} }}}}' is read as a mapping, not as a template"
    assert f"${{{{ {name} }}}}" in problem.hint


@pytest.mark.parametrize(
    ("text", "column"),
    [("? [1, 2]\n: 3", 3), ("? {a: 1}\n: 3", 3), ("{[1]: 2}", 2), ("{ {a: 1}: 2}", 3)],
)
def test_complex_keys(text: str, column: int) -> None:
    """A mapping or a list cannot be a key."""
    problem = only(text)
    assert (problem.code, problem.place.column) == ("KP106", column)


def test_alias_of_a_number_is_no_key() -> None:
    """A key is text: an alias of text may be one, an alias of a number not."""
    assert parse("a: &x b\n*x : 1").data == {"a": "b", "b": 1}
    problem = only("a: &x 5\n*x : 1")
    assert (problem.code, problem.place.line, problem.place.column) == ("KP106", 2, 1)


def test_keys_stay_as_typed() -> None:
    """A plain key is text as it was typed, whatever it looks like as a value."""
    data = parse("007: a\nNO: b\ntrue: c\n~: d\n1.10: e\n2024-01-01: f").data
    assert list(data) == ["007", "NO", "true", "~", "1.10", "2024-01-01"]


@pytest.mark.parametrize(
    ("text", "line"), [("a: 1\n---\nb: 2\n", 2), ("---\na: 1\n...\n---\nb: 2", 4), ("x\n---\n", 2)]
)
def test_second_document(text: str, line: int) -> None:
    """A playbook is one document; a second one is an error where it begins."""
    assert said(parse(text)) == [("KP105", line, 1)]


@pytest.mark.parametrize(
    "text", ["", "\n", "# only\n", "---\n", "--- \n...\n", "\ufeff", "%YAML 1.2\n---\n"]
)
def test_empty_file(text: str) -> None:
    """A file of nothing has no data and no problem of its own."""
    document = parse(text)
    assert (document.data, document.problems) == (None, [])


@pytest.mark.parametrize(
    ("unit", "place"),
    [("[", 101), ("- ", 201), ("{a: ", 401), ("[{a: ", 251)],
    ids=["brackets", "dashes", "braces", "both"],
)
def test_deep_nesting(parser: str, unit: str, place: int) -> None:
    """Endless nesting is refused at the hundredth level, at once, and cannot crash the parser."""
    began = time.thread_time()
    problem = only(unit * 100_000)
    assert time.thread_time() - began < 1
    assert (problem.code, problem.place.line, problem.place.column) == ("KP103", 1, place)


def test_a_hundred_levels_are_allowed() -> None:
    """Nesting up to the bound is read."""
    assert not parse("[" * 100 + "]" * 100).problems


@pytest.mark.parametrize(
    "text",
    [
        "x: 1\ny: {" + "a: 1, " * 3_000 + "}\n",
        "".join(f"%TAG !{n}! x\n" for n in range(60_000)) + "--- a",
        "k: " + "1" * 3_000_000,
        "k: 1" + "_" * 3_000_000,
        "k: !" + "x" * 1_000_000 + " y",
        '"' + "x" * 3_000_000,
        "x" * 3_000_000 + ": 1",
        "? " * 50_000,
        "!a " * 50_000,
        "&a " * 50_000,
    ],
    ids=[
        "duplicates-on-one-line", "directives", "digits", "underscores", "long-tag", "open-quote",
        "long-key", "question-marks", "tags", "anchors",
    ],
)  # fmt: skip
def test_hostile_files(text: str) -> None:
    """No file takes long or makes long messages, and the lines of problems are shared."""
    began = time.thread_time()
    document = parse(text)
    assert time.thread_time() - began < 2
    assert document.problems
    assert all(len(p.message) + len(p.hint) < 400 for p in document.problems)
    assert len({id(p.line) for p in document.problems}) <= 2


# -- characters -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (b"a: \xff\n", (1, 4)),
        ("é: 😀\nb: ".encode() + b"\xe9\n", (2, 4)),
        (b"\xef\xbb\xbfa: \xff", (1, 4)),
        (b"a: 1\r\nb: \xc3", (2, 4)),
        (b"\xff\xfea\x00", (1, 1)),
    ],
)
def test_unreadable_bytes(raw: bytes, place: tuple[int, int]) -> None:
    """A byte that is not UTF-8 is named at its place, counted in characters."""
    document = parse_bytes(raw, "f")
    assert said(document) == [("KP102", *place)]
    assert "is not UTF-8" in document.problems[0].message
    assert document.data is None


@pytest.mark.parametrize("before", [0, 9_000])
@pytest.mark.parametrize("character", ["\x00", "\x07", "\x1b", "\x7f", "\ufffe", "\ud800"])
def test_forbidden_characters(parser: str, character: str, before: int) -> None:
    """A character that YAML does not allow is named at its place, even after a smiley."""
    problem = only("# é\n" * before + f"é: 😀\nb: x{character}y\n")
    place = problem.place
    assert (problem.code, place.line - before, place.column) == ("KP102", 2, 5)
    assert f"U+{ord(character):04X}" in problem.message


def test_json_escapes_in_pairs(parser: str) -> None:
    """JSON's escapes for characters beyond U+FFFF are read, and shift no position."""
    text = '{"a\\uD83D\\uDE00": "x\\ud83d\\ude00y", "b": "\\\\ud83d\\\\ude00", "b": 1}'
    document = parse(text)
    assert document.data == {"a😀": "x😀y", "b": "\\ud83d\\ude00"}
    assert said(document) == [("KP111", 1, text.rindex('"b"') + 1)]


def test_escapes_outside_quotes_are_text() -> None:
    """Where YAML knows no escapes, what looks like one stays as it was typed."""
    text = "a: |\n  \\uDBFF\\udfff\nb: '\\uD83d\\uDe00'\nc: \\ud83d\\ude00\nd: \"\\ud83d\\ude00\"\n"
    assert parse(text).data == {
        "a": "\\uDBFF\\udfff\n",
        "b": "\\uD83d\\uDe00",
        "c": "\\ud83d\\ude00",
        "d": "😀",
    }


def test_private_use_is_left_alone() -> None:
    """Characters that could stand for halves are never mistaken for them."""
    text = 'a: "\ue83d\uee00"\nb: "\\ue83d\\uee00"\nc: "\\ud83d\\ude00"\nd: \ue83d\uee00\n'
    mark = "\ue83d\uee00"
    assert parse(text).data == {"a": mark, "b": mark, "c": "😀", "d": mark}
    full = 'a: "\ue83d\uc83d\ub83d\ua83d"\nb: "\\ud83d\\ude00"'
    assert only(full).message == "an escape for half a character"


# -- files ----------------------------------------------------------------------------------------


def test_read_a_file(tmp_path: Path) -> None:
    """A document knows its file and the folder that it was found in."""
    path = tmp_path / "p.yaml"
    path.write_bytes(b"a: 1\r\n")
    document = read(path)
    assert (document.data, document.file, document.folder) == ({"a": 1}, str(path), tmp_path)


def test_read_standard_input(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A dash is standard input; files beside it are looked up in the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a: 1")))
    document = read("-")
    assert (document.data, document.file, document.folder) == ({"a": 1}, "<stdin>", tmp_path)


@pytest.mark.parametrize("name", ["nowhere.yaml", ".", "bad\0name"])
def test_unreadable_files(tmp_path: Path, name: str) -> None:
    """A file that cannot be read stops the command with its name and the reason."""
    with pytest.raises(RunnerError, match="is a folder" if name == "." else "cannot read"):
        read(str(tmp_path / name))


def test_large_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file beyond the limit is refused before it is parsed."""
    monkeypatch.setattr("runner.playbook.MAX_BYTES", 1024 * 1024)
    assert said(parse_bytes(b" " * (1024 * 1024 + 1), "f")) == [("KP101", 1, 1)]
    assert not parse_bytes(b" " * 1024 * 1024, "f").problems


def test_files_beside() -> None:
    """A file named in a playbook is called by the way that leads to it from here."""
    assert parse("", "folder/p.yaml").beside("b.json") == str(Path("folder") / "b.json")
    assert parse("", "<stdin>").beside("b.json") == "b.json"


def test_broken_means_errors() -> None:
    """Warnings alone leave a document whole."""
    assert not parse("a: NO").broken
    assert parse("a: 1\na: 2").broken


# -- fingerprints ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a: 1\nb: [x, y]", "# why\nb:\n- 'x'\n- \"y\"\na: 1  # one\n", True),
        ("a: {x: 1, y: 2}", '{"a": {"y": 2, "x": 1}}', True),
        ("a: &a {x: 1}\nb: *a", "a: {x: 1}\nb: {x: 1}", True),
        ("a: é", 'a: "\\u00e9"', True),
        ("a: 1", "a: '1'", False),
        ("a: [x, y]", "a: [y, x]", False),
        ("a: 1", "a: 2", False),
        ("a: null", "{}", False),
    ],
)
def test_fingerprint(one: str, other: str, same: bool) -> None:
    """Comments, order of keys, quoting and aliases do not count; content does."""
    assert (parse(one, "a").fingerprint() == parse(other, "b").fingerprint()) is same


def test_fingerprint_of_a_value() -> None:
    """A fingerprint is a SHA-256 in hexadecimal, of any JSON value."""
    assert re.fullmatch("[0-9a-f]{64}", fingerprint({"a": [None, 1.5, "x"]}))


# -- anything at all ------------------------------------------------------------------------------


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield key
            yield from _leaves(part)
    elif isinstance(value, list):
        for part in value:
            yield from _leaves(part)
    else:
        yield value


def _same_to_both(text: str) -> bool:
    """Whether YAML 1.1, in which PyYAML writes, needs no quotes where YAML 1.2 would."""
    try:
        return isinstance(meaning(text), str)
    except NotJsonError:
        return False


@settings(max_examples=150, deadline=None)
@given(VALUES, st.sampled_from([None, 1, 4]), st.booleans())
def test_json_is_read_back(value: Any, indent: int | None, ascii_only: bool) -> None:
    """Whatever is written as JSON is read back equal, characters beyond U+FFFF included."""
    text = json.dumps(value, indent=indent)
    if not ascii_only:
        raw = json.dumps(value, indent=indent, ensure_ascii=False)
        # JSON takes some characters raw that YAML does not, or folds as the end of a line.
        text = text if re.search("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]", raw) else raw
    document = parse(text)
    assert not document.broken
    assert json.dumps(document.data, sort_keys=True) == json.dumps(value, sort_keys=True)


@settings(max_examples=150, deadline=None)
@given(VALUES, st.booleans(), st.booleans(), st.sampled_from([None, '"', "'"]))
def test_yaml_is_read_back(value: Any, flow: bool, raw: bool, style: str | None) -> None:
    """Whatever PyYAML writes is read back equal."""
    if style is None and not all(
        _same_to_both(leaf) for leaf in _leaves(value) if isinstance(leaf, str)
    ):
        style = '"'
    # PyYAML itself does not read back what it folds at these.
    raw = raw and not any(
        re.search("[\x85\u2028\u2029\ufeff]", str(leaf)) for leaf in _leaves(value)
    )
    text = yaml.safe_dump(
        value, default_flow_style=flow, allow_unicode=raw, default_style=style, width=40
    )
    document = parse(text)
    assert not document.broken, (text, document.problems)
    assert json.dumps(document.data, sort_keys=True) == json.dumps(value, sort_keys=True)


def _check_anything(document: Document) -> None:
    json.dumps(document.data)
    for problem in document.problems:
        place = problem.place
        assert document.line(place.line) == problem.line
        assert 1 <= place.column <= len(problem.line) + 1
        assert place.length >= 1
        assert problem.message


SNIPPETS = st.lists(
    st.sampled_from(
        [
            *"[]{}:,-?!&*#|>@`%'\"\n\r\t ~<", ": ", "- ", "\n  ", "a", "b", "1", "&a ", "*a",
            "<<: ", "{{ x }}", "${{ x }}", "---\n", "...\n", "!!int ", ".inf", "007", "\x00",
            "😀", "\ufeff",
            "\\ud83d\\ude00", '"\\ud83d', "\ue83d", "\x85", "\u2028",
        ]
    ),
    max_size=25,
).map("".join)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | SNIPPETS)
def test_any_text(text: str) -> None:
    """No text raises or takes long; what is wrong with it is placed inside it."""
    _check_anything(parse(text))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60) | SNIPPETS.map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes(raw: bytes) -> None:
    """No bytes raise or take long; what is wrong with them is placed inside them."""
    _check_anything(parse_bytes(raw, "f"))
