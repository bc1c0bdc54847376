"""Inputs: where each value comes from, how text becomes it, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.errors import ExitCode, RunnerError
from runner.inputs import Inputs, missing_secrets, read_file, resolve
from runner.shapes import Shape


def give(declared: Any, **given: Mapping[str, Any]) -> Inputs:
    sources: dict[str, Any] = {"texts": {}, "values": {}, "environ": {}, "secrets": {}}
    return resolve(declared, **{**sources, **given})


HINT = "give inputs with --input NAME=VALUE or --inputs FILE"


def refused(declared: Any, hint: str = HINT, **given: Mapping[str, Any]) -> str:
    with pytest.raises(RunnerError) as caught:
        give(declared, **given)
    assert caught.value.code is ExitCode.USAGE
    assert caught.value.hint.startswith(hint)
    return str(caught.value)


def _secret(declared: Any, **given: Mapping[str, Any]) -> str:
    return refused(declared, "give a secret with", **given)


# -- where values come from -----------------------------------------------------------------------

SPEC = {"a": {"type": "string", "env": "A", "default": "default"}}


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ({"texts": {"a": "text"}, "values": {"a": "file"}, "environ": {"A": "env"}}, "text"),
        ({"values": {"a": "file"}, "secrets": {"a": "asked"}, "environ": {"A": "env"}}, "file"),
        ({"secrets": {"a": "asked"}, "environ": {"A": "env"}}, "asked"),
        ({"environ": {"A": "env"}}, "env"),
        ({"environ": {"A": ""}}, "default"),
        ({"environ": {"a": "other"}}, "default"),
        ({}, "default"),
        ({"values": {"a": None}}, None),
        ({"texts": {"a": ""}}, ""),
    ],
)
def test_sources(given: dict[str, Any], value: Any) -> None:
    """The command line wins over the file, that over the prompt, environment and default."""
    assert give(SPEC, **given).values == {"a": value}


def test_nothing_declared() -> None:
    """A playbook without inputs takes none."""
    assert give(None).values == {}
    assert refused(None, values={"a": 1}) == "the playbook has no input 'a'; it declares none"


def test_missing_values() -> None:
    """An input without a value is named with what it means and the variable that would give it."""
    spec = {"a": {"description": "the country", "env": "A"}, "b": {}, "c": {"required": False}}
    assert refused(spec) == (
        "the input 'a' (the country) has no value: set A; the input 'b' has no value"
    )
    assert give({"c": {"required": False}}).values == {"c": None}
    assert give({"c": {"default": None}}).values == {"c": None}


def test_unknown_inputs() -> None:
    """An input that nobody declared is named with the nearest that is, or all of them."""
    spec = {"country": {"default": 1}, "offer": {"default": 2}}
    assert "no input 'contry'; did you mean 'country'?" in refused(spec, texts={"contry": "x"})
    assert "no input 'zzz'; it declares country, offer" in refused(spec, values={"zzz": 1})


def test_everything_is_told_at_once() -> None:
    """All that is wrong with the inputs is in one message."""
    message = refused({"a": {}, "b": {"type": "integer"}}, texts={"b": "x", "c": "y"})
    assert [part.split()[0] for part in message.split("; ")] == ["the", "it", "the", "the"]


def test_inputs_hide_their_values() -> None:
    """What shows of inputs in a traceback are their names."""
    assert repr(give({"a": {"default": "hidden"}})) == "Inputs(a)"


# -- text to values -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (None, "007", "007"),
        ("string", "5", "5"),
        ("string", "null", "null"),
        ("integer", "5", 5),
        ("integer", "-5", -5),
        ("integer", "1e3", 1000),
        ("number", "1.50", 1.5),
        ("number", "5", 5),
        ("boolean", "true", True),
        ("boolean", "false", False),
        ("array", "[1, 2]", [1, 2]),
        ("array", "a, b,,c ", ["a", "b", "c"]),
        ("array", "5", ["5"]),
        ("array", "1,2", ["1", "2"]),
        ("array", "", []),
        ("object", '{"a": 1}', {"a": 1}),
    ],
)
def test_text_is_read_as_declared(kind: str | None, text: str, value: Any) -> None:
    """Text becomes a value of the declared type, and stays text where no type is declared."""
    spec = {} if kind is None else {"type": kind}
    found = give({"a": spec}, texts={"a": text}).values["a"]
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("integer", "x", "must be of type integer, and is text"),
        ("integer", "1.5", "must be of type integer, and is a number"),
        ("integer", "007", "must be of type integer, and is text"),
        ("integer", "true", "must be of type integer, and is true"),
        ("integer", "9" * 5000, "must be of type integer, and is text"),
        ("number", "NaN", "must be of type number, and is text"),
        ("number", "-Infinity", "must be of type number, and is text"),
        ("number", "1e999", "must be of type number, and is text"),
        ("number", "[" * 100_000, "must be of type number, and is text"),
        ("boolean", "yes", "must be of type boolean, and is text: write true or false"),
        ("boolean", "1", "must be of type boolean, and is a number: write true or false"),
        ("array", "[1,", "must be JSON, an array"),
        ("array", '{"a": 1}', "must be of type array, and is a mapping: write a list, as in JSON"),
        ("object", "x", "must be JSON, an object"),
        ("object", "[]", "must be of type object, and is a list of 0"),
    ],
)
def test_text_that_does_not_fit(kind: str, text: str, message: str) -> None:
    """Text that is no value of the declared type is refused, whatever JSON makes of it."""
    assert refused({"a": {"type": kind}}, texts={"a": text}) == f"the input 'a' {message}"


@pytest.mark.parametrize(
    ("spec", "value", "message"),
    [
        ({"type": "string"}, 5, "must be of type string, and is a number"),
        ({"type": "integer"}, "5", "must be of type integer, and is text"),
        ({"enum": ["a", "b"]}, "c", "must be one of a, b"),
        ({"enum": [1, 2]}, 3, "must be one of 1, 2"),
        ({"pattern": "^[A-Z]{2}$"}, "de", "does not match ^[A-Z]{2}$"),
        ({"pattern": "["}, "x", "the pattern of the input 'a' is no regular expression"),
    ],
)
def test_values_are_checked(spec: Any, value: Any, message: str) -> None:
    """Type, enum and pattern hold for values from a file as well."""
    assert message in refused({"a": spec}, values={"a": value})


def test_values_that_fit() -> None:
    """A value that fits is taken as it is."""
    spec = {"a": {"type": "string", "enum": ["DE", "AT"], "pattern": "^[A-Z]{2}$"}}
    assert give(spec, texts={"a": "AT"}).values == {"a": "AT"}


@pytest.mark.parametrize(
    ("items", "text", "value"),
    [("integer", "1, 2", [1, 2]), ("number", "1.5", [1.5]), ("boolean", "true,false", [True, False]),
     ("string", "1,2", ["1", "2"]), ("integer", "[3]", [3])],
)  # fmt: skip
def test_items_are_read_as_declared(items: str, text: str, value: Any) -> None:
    """Ids that are typed one after the other are numbers, where that is said."""
    declared = {"a": {"type": "array", "items": items}}
    assert give(declared, texts={"a": text}).values == {"a": value}
    assert give(declared, values={"a": value}).values == {"a": value}


@pytest.mark.parametrize("given", [{"texts": {"a": "1,x"}}, {"values": {"a": [1, "x"]}}])
def test_items_that_do_not_fit(given: Any) -> None:
    """Which kind they must be is said, and what one of them is."""
    spec = {"type": "array", "items": "integer"}
    assert refused({"a": spec}, **given).endswith("must be of type integer, and one is text")
    secret = refused(
        {"a": {**spec, "secret": True}}, values={"a": ["x"]}, hint="give a secret with"
    )
    assert secret.endswith("and one is not")


def test_null() -> None:
    """Null is no value: only an input that nobody must give may have it, from a file or as typed."""
    needed, free = {"type": "integer"}, {"type": "integer", "required": False}
    for source in ({"values": {"a": None}}, {"texts": {"a": "null"}}):
        assert give({"a": free}, **source).values == {"a": None}
        assert "must be of type integer, and is null" in refused({"a": needed}, **source)


def _outcome(declared: Any, text: str) -> tuple[Any, str]:
    try:
        return give(declared, texts={"a": text}).values["a"], ""
    except RunnerError as error:
        return None, str(error)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["string", "integer", "number", "boolean", "array", "object"]), st.text())
def test_any_text(kind: str, text: str) -> None:
    """Any text gives a JSON value of the declared type, or a message."""
    declared = {"a": {"type": kind}}
    value, message = _outcome(declared, text)
    assert message or Shape(declared["a"]).fits(value)
    assert not message or "the input 'a'" in message
    json.dumps(value, allow_nan=False)


# -- secrets --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "hidden"),
    [
        ("s3cret", ("s3cret",)),
        (12345, ("12345",)),
        (1.5, ("1.5",)),
        (["a", {"k": ["b", 7]}], ("a", "b", "7")),
        ({"user": "u", "password": "p"}, ("u", "p")),
        ([], ()),
        ("", ()),
        (True, ()),
        (None, ()),
    ],
)
def test_secret_values(value: Any, hidden: tuple[str, ...]) -> None:
    """All texts and numbers within a secret value are hidden, whatever its type."""
    spec = {"a": {"secret": True}, "b": {}}
    found = give(spec, values={"a": value, "b": "open"})
    assert found.secrets == hidden
    assert found.values["a"] == value


def test_secret_defaults_are_hidden() -> None:
    """A secret that comes from the environment or from its default is hidden too."""
    spec = {"a": {"secret": True, "env": "A"}, "b": {"secret": True, "default": "bb"}}
    assert give(spec, environ={"A": "aa"}).secrets == ("aa", "bb")


def test_secrets_never_come_from_the_command_line() -> None:
    """A secret on the command line is refused, and not repeated in the message."""
    message = _secret({"a": {"secret": True, "env": "A"}}, texts={"a": "s3cret"})
    assert "may not stand on the command line" in message
    assert message.endswith(": set A")
    assert "s3cret" not in message


def test_messages_hide_secrets() -> None:
    """What is wrong with a secret is told without what kind of value it is."""
    spec = {"a": {"secret": True, "type": "integer"}}
    assert _secret(spec, secrets={"a": "s3cret"}) == (
        "the input 'a' must be of type integer, and is a value"
    )
    enum = {"a": {"secret": True, "enum": ["x", "y"]}}
    assert "s3cret" not in _secret(enum, values={"a": "s3cret"})


def test_missing_secrets() -> None:
    """Asked for are secrets alone, and only those that nothing else gives a value."""
    spec: dict[str, Any] = {
        "open": {},
        "asked": {"secret": True},
        "given": {"secret": True},
        "set": {"secret": True, "env": "SET"},
        "unset": {"secret": True, "env": "UNSET"},
        "default": {"secret": True, "default": "x"},
        "optional": {"secret": True, "required": False},
        "broken": None,
    }
    environ = {"SET": "x", "UNSET": ""}
    assert missing_secrets(spec, {"given": "x"}, environ) == ["asked", "unset"]
    assert missing_secrets(None, {}, {}) == []


# -- files ----------------------------------------------------------------------------------------


def test_read_file() -> None:
    """A file of inputs is a mapping, in YAML or JSON; an empty one gives nothing."""
    assert read_file("a: 1\nb: [x]\n", "f") == {"a": 1, "b": ["x"]}
    assert read_file('{"a": 1}', "f") == {"a": 1}
    assert read_file("# nothing\n", "f") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "f: a file of inputs is a mapping"),
        ("text", "f: a file of inputs is a mapping"),
        ("a: 1\na: 2", "f:2:1: 'a' stands twice"),
        ("when: NO\na: [", "f:2:5: the file ends inside brackets"),
    ],
)
def test_unreadable_files(text: str, message: str) -> None:
    """What is wrong with a file of inputs is told with its place; a warning is not what it is."""
    with pytest.raises(RunnerError) as caught:
        read_file(text, "f")
    assert str(caught.value).startswith(message)


def test_warnings_do_not_stop() -> None:
    """A warning in a file of inputs keeps nothing from running."""
    assert read_file("country: NO\n", "f") == {"country": "NO"}
