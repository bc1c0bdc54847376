"""What leaves: paths that cannot lead elsewhere, queries, bodies in the types of the API."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.catalogue import Catalogue, Operation, Parameter
from runner.model import Effect
from runner.wire import (
    PathError,
    build_path,
    path_part_trouble,
    raw_path_trouble,
    wire_converter,
)


def operation(path: str, /, **where: str) -> Operation:
    parameters = {name: Parameter(name, place, {}) for name, place in where.items()}
    return Operation("thing", "get", "GET", path, "", Effect.READS, True, parameters)


ONE = operation("/things/{id}")
TWO = operation("/things/{id}/files/{name}", name="path", kind="query")
RAW = operation("{path}", path="raw")


# -- parts of a path ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (5, "/things/5"),
        (0, "/things/0"),
        ("5", "/things/5"),
        ("007", "/things/007"),
        ("a-b_c.d~e", "/things/a-b_c.d~e"),
        ("...", "/things/..."),
        ("a:b;c=d&e", "/things/a%3Ab%3Bc%3Dd%26e"),
        ("{name}", "/things/%7Bname%7D"),
        ("é😀", "/things/%C3%A9%F0%9F%98%80"),
    ],
)
def test_ids(value: Any, path: str) -> None:
    """An id becomes one part of the path, quoted."""
    assert build_path(ONE, value, {}) == path


@pytest.mark.parametrize(
    ("value", "trouble"),
    [
        (None, "is null"),
        ("", "is empty"),
        (" ", "is empty"),
        ("\u00a0", "is empty"),
        (".", "cannot be '.'"),
        ("..", "cannot be '..'"),
        ("a/b", "cannot be 'a/b'"),
        ("/", "cannot be '/'"),
        ("a\\b", "cannot be 'a\\\\b'"),
        ("a?b", "cannot be 'a?b'"),
        ("a#b", "cannot be 'a#b'"),
        ("%2e%2e", "cannot be '%2e%2e'"),
        ("a b", "cannot be 'a b'"),
        ("5\n", "cannot be '5\\n'"),
        ("\x00", "holds characters that do not print"),
        ("a\u200bb", "holds characters that do not print"),
        ("\ud800", "holds characters that do not print"),
        (-1, "must not be negative"),
        (True, "must be a whole number or a text"),
        (1.5, "must be a whole number or a text"),
        ([], "must be a whole number or a text"),
        ({}, "must be a whole number or a text"),
    ],
)
def test_refused_ids(value: Any, trouble: str) -> None:
    """What would change the path, or name the whole collection, never becomes part of it."""
    assert path_part_trouble(value) == trouble
    with pytest.raises(PathError) as caught:
        build_path(ONE, value, {})
    assert str(caught.value) == f"the id {trouble}"
    with pytest.raises(PathError) as caught:
        build_path(TWO, 5, {"name": value})
    assert str(caught.value) == f"params.name {trouble}"


ANY_JSON = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text())
TRICKY = st.text(st.sampled_from("a5./\\?#%{}&=; \n\t\x00é２e"), max_size=6)


@settings(max_examples=250, deadline=None)
@given(ANY_JSON | TRICKY, ANY_JSON | TRICKY)
def test_no_id_changes_the_path(entity: Any, name: Any) -> None:
    """Whatever the values are, a path that is built has the parts of its pattern, and no others."""
    try:
        path = build_path(TWO, entity, {"name": name})
    except PathError:
        return
    parts = path.split("/")
    assert [parts[at] for at in (0, 1, 3)] == ["", "things", "files"]
    assert len(parts) == 5
    assert [unquote(parts[2]), unquote(parts[4])] == [str(entity), str(name)]
    assert not {"", ".", ".."} & {unquote(part) for part in parts[1:]}
    assert path.isascii()
    assert not set("?#\\ ") & set(path)


@pytest.mark.parametrize("name", Catalogue().names)
def test_every_operation_guards_its_path(name: str) -> None:
    """No operation of the catalogue can be sent with an empty part in its path."""
    resource = Catalogue().resource(name)
    assert resource
    for found in resource.operations.values():
        wanted = {n: "x" for n, p in found.parameters.items() if p.where == "path"}
        raw = {n: "/x" for n, p in found.parameters.items() if p.where == "raw"}
        assert "{" not in build_path(found, 5, {**wanted, **raw})
        for missing in wanted:
            with pytest.raises(PathError):
                build_path(found, 5, {**wanted, missing: ""})
        if found.needs_id:
            with pytest.raises(PathError):
                build_path(found, None, wanted)


# -- whole paths ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("/offers", "/offers"),
        ("/campaigns/5/streams", "/campaigns/5/streams"),
        ("/a?b=c&d=e", "/a?b=c&d=e"),
        ("/a%20b", "/a%20b"),
        ("/é", "/%C3%A9"),
        ("/a<b>", "/a%3Cb%3E"),
        ("/a?x=/../y", "/a?x=/../y"),
    ],
)
def test_whole_paths(value: str, path: str) -> None:
    """A whole path leaves as it is written, quoted where it must be."""
    assert build_path(RAW, None, {"path": value}) == path


@pytest.mark.parametrize(
    "value",
    [
        None, 5, "", "/", "offers", "//evil.example/x", "/a//b", "/a/", "/a/../b", "/..", "/./a",
        "/%2e%2e/a", "/%2E/a", "/a/.%2e", "/a%2fb", "/a%5Cb", "\\a", "/a\\b", "/a#b", "/a b",
        "/a\nb", "/a\x00", "http://evil.example/", "/\ud800",
    ],
)  # fmt: skip
def test_refused_whole_paths(value: Any) -> None:
    """A whole path stays below the API: no empty part, no dots, in no spelling."""
    assert raw_path_trouble(value)
    with pytest.raises(PathError, match=r"^params\.path "):
        build_path(RAW, None, {"path": value})


@settings(max_examples=200, deadline=None)
@given(TRICKY.map(lambda text: f"/{text}") | st.text())
def test_any_whole_path(value: str) -> None:
    """Whatever a whole path is, it cannot lead above or beside the API."""
    try:
        path = build_path(RAW, None, {"path": value})
    except PathError:
        return
    split = urlsplit(f"https://tracker.example/admin_api/v1{path}")
    assert (split.netloc, split.fragment) == ("tracker.example", "")
    decoded = unquote(split.path).split("/")
    assert len(decoded) == len(split.path.split("/"))
    assert not {".", ".."} & set(decoded)


# -- queries --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "query"),
    [
        ("a b&c=d", [("kind", "a b&c=d")]),
        ("", [("kind", "")]),
        (5, [("kind", "5")]),
        (1.5, [("kind", "1.5")]),
        (True, [("kind", "true")]),
        (False, [("kind", "false")]),
        (["a", 5, True], [("kind", "a"), ("kind", "5"), ("kind", "true")]),
        (None, []),
        ([], []),
    ],
)
def test_queries(value: Any, query: list[tuple[str, str]]) -> None:
    """Params go into the query, lists item by item; null leaves a parameter out."""
    path = build_path(TWO, 5, {"name": "x", "kind": value})
    split = urlsplit(path)
    assert split.path == "/things/5/files/x"
    assert parse_qsl(split.query, keep_blank_values=True) == query
    assert path.endswith("?") is False


@pytest.mark.parametrize("value", [{}, {"a": 1}, [None], [[1]], [{"a": 1}]])
def test_refused_queries(value: Any) -> None:
    """What has no spelling in a query is refused, not sent in Python's."""
    with pytest.raises(PathError, match=r"^params\.kind.* must be text, a number, or true or"):
        build_path(TWO, 5, {"name": "x", "kind": value})


def test_unknown_params_are_queries() -> None:
    """Params that the catalogue does not know go into the query, after one that is there."""
    assert build_path(RAW, None, {"path": "/a", "x": 1}) == "/a?x=1"
    assert build_path(RAW, None, {"path": "/a?b=1", "x": 1}) == "/a?b=1&x=1"
    assert build_path(RAW, None, {"path": "/a?b=1", "x": []}) == "/a?b=1"


# -- bodies ---------------------------------------------------------------------------------------

SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": ["integer", "string"], "x-sent-as": "string"},
        "flag": {"type": ["integer", "boolean"], "x-sent-as": "integer"},
        "plain": {"type": "integer"},
        "rows": {
            "type": "array",
            "items": {"type": "object", "properties": {"id": {"x-sent-as": "string"}}},
        },
        "ids": {"type": "array", "items": {"x-sent-as": "string"}},
    },
}


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({"id": 5}, {"id": "5"}),
        ({"id": 5.0}, {"id": "5"}),
        ({"id": 0.15}, {"id": "0.15"}),
        ({"id": "007"}, {"id": "007"}),
        ({"id": None}, {"id": None}),
        ({"id": True}, {"id": True}),
        ({"flag": True}, {"flag": 1}),
        ({"flag": False}, {"flag": 0}),
        ({"flag": 1}, {"flag": 1}),
        ({"flag": None}, {"flag": None}),
        ({"plain": 5, "other": 6}, {"plain": 5, "other": 6}),
        ({"rows": [{"id": 5, "x": 1}, {}, None]}, {"rows": [{"id": "5", "x": 1}, {}, None]}),
        ({"rows": {"id": 5}}, {"rows": {"id": 5}}),
        ({"ids": [1, "2", None]}, {"ids": ["1", "2", None]}),
        ({"ids": 5}, {"ids": 5}),
        ([1], [1]),
        (None, None),
    ],
)
def test_bodies(body: Any, sent: Any) -> None:
    """A body leaves in the types that the API declares; what is of another shape is left alone."""
    convert = wire_converter(SCHEMA)
    assert convert
    before = repr(body)
    found = convert(body)
    assert repr(found) == repr(sent)
    assert repr(body) == before


@pytest.mark.parametrize(
    "schema", [None, True, {}, {"type": "integer"}, {"properties": {"a": {}}}, {"x-sent-as": "?"}]
)
def test_nothing_to_convert(schema: Any) -> None:
    """A schema that declares no other types costs nothing."""
    assert wire_converter(schema) is None


def test_catalogue_bodies() -> None:
    """The catalogue's own words are obeyed: a group's id leaves as text, a switch as 0 or 1."""
    catalogue = Catalogue()
    create = catalogue.operation("campaign", "create")
    costs = catalogue.operation("click", "updateCosts")
    assert create
    assert costs
    send = wire_converter(create.body)
    spread = wire_converter(costs.body)
    assert send
    assert spread
    assert send({"name": "x", "group_id": 5}) == {"name": "x", "group_id": "5"}
    assert spread({"only_campaign_uniques": True}) == {"only_campaign_uniques": 1}
