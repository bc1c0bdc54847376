"""Shapes: the quick verdict and the exact one are the same, and what is wrong is said in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from runner.catalogue import Catalogue, bundled
from runner.shapes import Mismatch, Shape
from runner.shapes.exact import validator
from runner.shapes.quick import UnknownKeywordError, compile_schema

EXPRESSIONS = [
    "${{ a }}", "x ${{ a }}", "${{ a }}${{ b }}", "$${{ a }}", "${{ a", "{{ a }}", " ${{ a }}",
]  # fmt: skip
TEXTS = st.sampled_from(
    ["", "a", "x" * 300, "5", "007", "DE", "2026-01-31", "s", "regular", "/offers/5", *EXPRESSIONS]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 200)
    | st.sampled_from([0.5, 5.0, -1.0, 1e20, 10**20])
    | TEXTS
)
JSONS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["a", "id", "name"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def _schemas() -> Iterator[tuple[str, Any]]:
    catalogue = Catalogue()
    for name in catalogue.names:
        resource = catalogue.resource(name)
        assert resource
        for operation in resource.operations.values():
            if operation.body is not None:
                yield f"{operation}.body", operation.body
            for parameter in operation.parameters.values():
                yield f"{operation}.{parameter.name}", parameter.schema
    for name, part in json.loads((bundled("schemas") / "language.json").read_bytes()).items():
        if isinstance(part, dict) and "type" in part:
            yield f"language.{name}", part


@cache
def schemas() -> list[tuple[str, Any]]:
    """Every schema once, however many operations use it."""
    distinct = {json.dumps(schema): (name, schema) for name, schema in _schemas()}
    return list(distinct.values())


def values(schema: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that nearly fit a schema: each part right, of another kind, missing or unknown."""
    right: list[st.SearchStrategy[Any]] = []
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    right += [st.sampled_from(schema["enum"])] if "enum" in schema else []
    right += [values(form, depth) for form in schema.get("anyOf", [])]
    if "object" in kinds or "properties" in schema:
        parts = schema.get("properties", {}) if depth < 3 else {}
        right.append(
            st.fixed_dictionaries(
                {},
                optional={
                    **{key: values(part, depth + 1) for key, part in [*parts.items()][:8]},
                    **{key: values(parts[key], depth + 1) for key in schema.get("required", [])
                       if key in parts},
                    "unknown_key": LEAVES,
                },
            )
        )  # fmt: skip
    if "array" in kinds:
        items = schema.get("items", {})
        right.append(st.lists(values(items, depth + 1) if depth < 3 else LEAVES, max_size=3))
    if {"integer", "number"} & {*kinds}:
        bounds = [schema[word] for word in ("minimum", "maximum", "exclusiveMinimum")
                  if word in schema]  # fmt: skip
        near = [bound + more for bound in bounds for more in (-1, 0, 1)]
        right.append(st.sampled_from([*near, 0, 7]))
    right += [TEXTS] if "string" in kinds else []
    right += [st.booleans()] if "boolean" in kinds else []
    right += [st.none()] if "null" in kinds else []
    # Mostly what is right: a value that is wrong at once says little about the rest.
    return st.one_of(*right, *right, *right, JSONS)


CASES = st.sampled_from(range(len(schemas()))).flatmap(
    lambda at: st.tuples(st.just(schemas()[at][0]), st.just(schemas()[at][1]), _values_at(at))
)


@cache
def _values_at(at: int) -> st.SearchStrategy[Any]:
    return values(schemas()[at][1])


@settings(max_examples=300, deadline=None)
@given(CASES, st.booleans())
def test_quick_and_exact_agree(case: tuple[str, Any, Any], templated: bool) -> None:
    """For every schema of the catalogue both ways to check give the same verdict."""
    name, schema, value = case
    exact = validator(schema, templated=templated).is_valid(value)
    assert compile_schema(schema, templated=templated)(value) == exact, name
    shape = Shape(schema, templated=templated)
    assert shape.fits(value) == exact
    assert (shape.mismatches(value) == []) == exact
    if not templated:
        assert exact == Draft202012Validator(schema).is_valid(value)


def test_every_schema_has_its_quick_way() -> None:
    """No schema of the catalogue uses a keyword that sends every value to the slow way."""
    for _, schema in schemas():
        for templated in (True, False):
            compile_schema(schema, templated=templated)


FORMS = {
    "leaf": {"type": "string", "enum": ["a"], "minLength": 1},
    "number": {"type": ["integer", "null"], "minimum": 3, "maximum": 5},
    "more": {"type": "number", "exclusiveMinimum": 0},
    "untyped": {"pattern": "^a", "maxLength": 3},
    "forms": {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]},
    "typed-forms": {"type": ["string", "object"], "anyOf": [{"type": "object"}, {"type": "null"}]},
    "map": {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 1},
    "closed": {"properties": {"a": {"type": "boolean"}}, "additionalProperties": False},
    "list": {"type": "array", "minItems": 1, "items": {"type": "string"}},
    "nothing": False,
    "anything": True,
    "empty": {},
    "unknown": {"type": "array", "uniqueItems": True},
    "odd-enum": {"enum": [1, None]},
    "one-of": {"oneOf": [{"type": "integer"}, {"minimum": 3}]},
}


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(FORMS)), st.integers(2, 6) | JSONS, st.booleans())
def test_every_keyword_agrees(name: str, value: Any, templated: bool) -> None:
    """Keywords agree one by one; one that the quick way does not know is left to the exact one."""
    schema: Any = FORMS[name]
    exact = validator(schema, templated=templated).is_valid(value)
    assert Shape(schema, templated=templated).fits(value) == exact
    if name in {"unknown", "odd-enum", "one-of"}:
        with pytest.raises(UnknownKeywordError):
            compile_schema(schema, templated=templated)
    else:
        assert compile_schema(schema, templated=templated)(value) == exact


@pytest.mark.parametrize(
    ("schema", "value", "fits"),
    [
        ({"type": "integer"}, "${{ a }}", True),
        ({"type": "integer"}, "x ${{ a }}", False),
        ({"type": "integer"}, "$${{ a }}", False),
        ({"type": "string", "enum": ["a"]}, "x ${{ a }}", True),
        ({"type": "string", "pattern": "^a$"}, "${{ a }}", True),
        ({"type": "array", "items": {"type": "integer"}}, "${{ a }}", True),
        ({"type": "array", "items": {"type": "integer"}}, ["${{ a }}", 1], True),
        ({"type": "array", "items": {"type": "integer"}}, ["x${{ a }}"], False),
        ({"type": "object", "required": ["a"]}, "${{ a }}", True),
        ({"type": "object", "required": ["a"]}, {"${{ a }}": 1}, False),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "x ${{ a }}", False),
    ],
)
def test_templated_values(schema: Any, value: Any, fits: bool) -> None:
    """One whole expression fits everywhere; text with an expression in it is text."""
    assert Shape(schema, templated=True).fits(value) is fits
    assert not Shape(schema).fits(value) or schema.get("type") == "string"


# -- messages -------------------------------------------------------------------------------------

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 5, "description": "The name."},
        "share": {"type": "integer", "minimum": 0, "maximum": 100},
        "price": {"type": ["number", "null"]},
        "state": {"type": "string", "enum": ["active", "disabled"]},
        "bind": {"type": ["string", "null"], "pattern": "^s$", "x-says": "must be s or null"},
        "rate": {"type": "number", "exclusiveMinimum": 0},
        "tags": {"type": "array", "minItems": 1, "items": {"type": "string"}},
        "more": {"type": "object", "minProperties": 1},
        "form": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "code": {"type": "string", "pattern": "^[a-z]+$"},
        "once": {"type": "array", "uniqueItems": True, "maxItems": 2},
    },
    "required": ["name"],
    "additionalProperties": False,
}


def wrong(value: Any, schema: Any = SCHEMA) -> Mismatch:
    (mismatch,) = Shape(schema).mismatches(value)
    return mismatch


@pytest.mark.parametrize(
    ("more", "trail", "message", "hint"),
    [
        ({"name": 5}, ("name",), "must be text, is a number", ""),
        ({"name": ""}, ("name",), "must not be empty", ""),
        ({"name": "abcdef"}, ("name",), "must be at most 5 characters long", ""),
        ({"share": -1}, ("share",), "must be at least 0", ""),
        ({"share": 101}, ("share",), "must be at most 100", ""),
        ({"share": 1.5}, ("share",), "must be a whole number, is a number", ""),
        ({"share": True}, ("share",), "must be a whole number, is true", ""),
        ({"share": None}, ("share",), "must be a whole number, is null", ""),
        ({"price": []}, ("price",), "must be a number or null, is a list of 0", ""),
        ({"state": "actve"}, ("state",), "'actve' is not one of active, disabled",
         "did you mean 'active'?"),
        ({"state": "x"}, ("state",), "'x' is not one of active, disabled", ""),
        ({"state": 5}, ("state",), "must be text, is a number", ""),
        ({"bind": "x"}, ("bind",), "must be s or null", ""),
        ({"bind": 5}, ("bind",), "must be text or null, is a number", "must be s or null"),
        ({"rate": 0}, ("rate",), "must be more than 0", ""),
        ({"tags": []}, ("tags",), "must hold at least 1", ""),
        ({"tags": ["a", 5]}, ("tags", 1), "must be text, is a number", ""),
        ({"tags": {}}, ("tags",), "must be a list, is a mapping", ""),
        ({"more": {}}, ("more",), "must hold at least 1", ""),
        ({"form": "x"}, ("form",), "has none of the forms that are known here", ""),
        ({"code": "5"}, ("code",), "does not look as it should (^[a-z]+$)", ""),
        ({"once": [{"a": 1}, {"a": 1}]}, ("once",),
         "[{'a': 1}, {'a': 1}] has non-unique elements", ""),
    ],
)  # fmt: skip
def test_messages(more: Any, trail: tuple[str | int, ...], message: str, hint: str) -> None:
    """What is wrong is said in words, at the value that is wrong."""
    found = wrong({"name": "a", **more})
    assert (found.trail, found.message, found.hint, found.key) == (trail, message, hint, False)


@pytest.mark.parametrize(
    ("schema", "value", "hint"),
    [
        ({"type": "integer"}, "5", "| int"),
        ({"type": "integer"}, " -12 ", "| int"),
        ({"type": ["integer", "null"]}, "007", "| int"),
        ({"type": "number"}, "5", "| int"),
        ({"type": "number"}, "1.50", "| float"),
        ({"type": "number"}, ".5e3", "| float"),
        ({"type": "integer", "x-says": "a share"}, "5", "| int"),
        ({"type": "integer", "x-says": "a share"}, "five", ""),
        ({"type": "integer"}, "1.5", ""),
        ({"type": "integer"}, "", ""),
        ({"type": "number"}, "12,50", ""),
        ({"type": "boolean"}, "1", ""),
        ({"type": "array"}, "1", ""),
    ],
)
def test_numbers_in_quotes(schema: Any, value: str, hint: str) -> None:
    """A text that looks like the number that is wanted comes with the ways to make it one."""
    found = wrong(value, schema)
    full = f"take the quotes off, or add {hint} to the expression (values from CSV are text)"
    assert found.hint == (full if hint else schema.get("x-says", ""))


def test_unknown_keys() -> None:
    """Every unknown key is named, at the key, with the nearest name or all that are known."""
    found = Shape(SCHEMA).mismatches({"name": "a", "stat": 1, "zzz": 2})
    assert [(m.trail, m.message, m.key) for m in found] == [
        (("stat",), "unknown key 'stat'", True),
        (("zzz",), "unknown key 'zzz'", True),
    ]
    assert found[0].hint == "did you mean 'state'?"
    assert found[1].hint.startswith("the keys here are name, share")
    closed = {"type": "object", "additionalProperties": False}
    assert wrong({"a": 1}, closed).hint == "no keys are known here"
    many = {"properties": {f"k{n}": {} for n in range(30)}, "additionalProperties": False}
    assert wrong({"zzz": 1}, many).hint.endswith("k19, …")


def test_missing_keys() -> None:
    """A missing key is told with what it means."""
    found = wrong({})
    assert (found.message, found.hint, found.key) == (
        "'name' is missing",
        "add it: The name.",
        True,
    )
    assert wrong({}, {"required": ["x'y"]}).keyword == "required"
    two = Shape({"required": ["a", "b"]}).mismatches({})
    assert [(m.expected, m.hint) for m in two] == [("a", "add it"), ("b", "add it")]


def test_a_wrong_type_is_all_there_is() -> None:
    """What a value of another type does wrong besides is not told."""
    schema = {"type": "string", "enum": ["a"], "minLength": 3}
    assert [m.keyword for m in Shape(schema).mismatches(5)] == ["type"]


def test_everything_wrong_is_told_at_once() -> None:
    """All mismatches come together, in the order of the document's parts."""
    found = Shape(SCHEMA).mismatches({"name": "", "share": 101, "tags": [1, "a", 2]})
    assert {m.trail for m in found} == {("name",), ("share",), ("tags", 0), ("tags", 2)}


def test_schemas_are_compiled_once() -> None:
    """A shape keeps what it was compiled to, and a schema that fits needs no exact check."""
    shape = Shape({"type": "integer"})
    assert shape.fits(5)
    assert "_validator" not in vars(shape)
    assert not shape.fits("x")
    assert shape._quick is shape._quick
