"""Expressions come to what Jinja2's own compiler makes of them."""

from __future__ import annotations

import copy
import re
import warnings
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import nodes
from jinja2.environment import TemplateExpression
from jinja2.visitor import NodeTransformer

from runner.templating import TemplateError, Templates
from runner.templating.evaluation import Builder, Names
from runner.templating.results import NO_ELSE
from runner.templating.sandbox import Sandbox
from runner.templating.trees import check_names, parse

SCOPE: dict[str, Any] = {
    "a": 3, "b": -2, "zero": 0, "half": 0.5, "s": "Text", "t": "", "n": None, "yes": True,
    "l": [3, 1, 2], "rows": [{"id": 1, "name": "A"}, {"id": 2, "name": "B", "tag": "x"}],
    "d": {"k": 1, "m": {"x": [1, "two"]}, "2": "z"}, "_at": "step",
}  # fmt: skip
FUNCTIONS = {"today": lambda zone="UTC": f"2026-03-04 {zone}", "twice": lambda x: [x, x]}


class _AsFilters(NodeTransformer):
    """What the language has in place of Jinja2's `~`, and what it charges for comparisons."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return nodes.Filter(nodes.List(node.nodes), "_concat", [], [], None, None)

    def visit_CondExpr(self, node: nodes.CondExpr) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        if node.expr2 is None:  # which is an error here, and an empty text to Jinja2
            node.expr2 = nodes.Filter(nodes.Const(None), "_nothing", [], [], None, None)
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        for part in (node, *node.ops):
            if not isinstance(part.expr, nodes.Const):
                part.expr = nodes.Filter(part.expr, "_looked", [], [], None, None)
        return node


class _Compiling(Sandbox):
    """As it must be for Jinja2's compiler to compute what the language does."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:  # noqa: ARG002
        return self.compute(operator, left, right)


def compiled(source: str) -> Any:
    """What Jinja2 makes of the source, or the words for why it cannot."""
    sandbox = _Compiling(FUNCTIONS)
    sandbox.optimized = False  # it would run filters while parsing, outside any budget
    sandbox.filters |= {
        "_concat": sandbox.concat_texts,
        "_looked": sandbox.look,
        "_nothing": lambda _: sandbox.undefined(hint=NO_ELSE),
    }
    tree = _AsFilters().visit(copy.deepcopy(parse(sandbox, source)))
    tree.set_environment(sandbox)
    body: list[nodes.Node] = [nodes.Assign(nodes.Name("result", "store"), tree, lineno=1)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # Python's, on what it is asked to compile
        template = sandbox.from_string(nodes.Template(body, lineno=1))
    whole = TemplateExpression(template, undefined_to_none=False)
    return outcome(lambda: sandbox.run(lambda names: whole(names.scope), SCOPE, source))


def evaluated(source: str) -> Any:
    """What the language makes of it."""
    sandbox = Sandbox(FUNCTIONS)
    part = Builder(sandbox).build(parse(sandbox, source))
    return outcome(lambda: sandbox.run(part, SCOPE, source))


def outcome(run: Any) -> Any:
    """The value with its types, or the words of the error."""
    try:
        return repr(run())
    except TemplateError as error:
        return re.sub("0x[0-9a-f]+", "", error.message), error.hint


ATOMS = st.sampled_from(
    ["a", "b", "zero", "half", "s", "t", "n", "yes", "l", "rows", "d", "missing", "1", "2.5", "'x'",
     "true", "none", "d.k", "d.m.x", "d.nothing", "l[0]", "l[9]", "s[1]", "l[-1]", "d['2']", "d[2]",
     "rows[1].name", "n.x", "[]", "{}", "s.upper()", "d.get('k')", "d.items()", "today()",
     "today(zone='X')", "twice(a)", "range(3)", "range", "s.nothing()", "a()", "()", "today(*l)"]
)  # fmt: skip
FILTERS = st.sampled_from(
    ["length", "upper", "first", "last", "sort", "sum", "join(',')", "join('-', attribute='id')",
     "default('d')", "default(1, true)", "int", "int(default=7)", "string", "list", "unique",
     "map('string')", "map(attribute='name')", "selectattr('id', '==', 2)", "select", "reverse",
     "pluck('id')", "where(id=2)", "replace('x', 'y')", "round(1)", "abs", "max", "tojson"]
)  # fmt: skip
TESTS = st.sampled_from(
    ["defined", "none", "string", "number", "mapping", "in l", "divisibleby(2)", "divisibleby 2",
     "sequence", "true", "even", "odd", "eq 3", "ge(1)"]
)  # fmt: skip


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    signs = st.sampled_from(
        ["+", "-", "*", "/", "//", "%", "**", "~", "and", "or", "==", "!=", "<", "<=", ">", ">=",
         "in", "not in"]
    )  # fmt: skip
    few = st.lists(inner, max_size=3)
    return st.one_of(
        st.tuples(inner, signs, inner).map(lambda p: f"({p[0]}) {p[1]} ({p[2]})"),
        st.tuples(inner, signs, inner, signs, inner).map(" ".join),
        st.tuples(inner, FILTERS).map(lambda p: f"({p[0]}) | {p[1]}"),
        st.tuples(inner, TESTS).map(lambda p: f"({p[0]}) is {p[1]}"),
        st.tuples(inner, TESTS).map(lambda p: f"({p[0]}) is not {p[1]}"),
        st.tuples(inner, inner, inner).map(lambda p: f"({p[0]}) if ({p[1]}) else ({p[2]})"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]}) if ({p[1]})"),
        inner.map(lambda p: f"not ({p})"),
        inner.map(lambda p: f"-({p})"),
        inner.map(lambda p: f"+({p})"),
        few.map(lambda parts: f"[{', '.join(parts)}]"),
        few.map(lambda parts: f"({', '.join([*parts, ''])})" if parts else "()"),
        few.map(lambda parts: "{" + ", ".join(f"'k{n}': {p}" for n, p in enumerate(parts)) + "}"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]})[{p[1]}]"),
        st.tuples(inner, inner, inner).map(lambda p: f"({p[0]})[{p[1]}:{p[2]}]"),
        inner.map(lambda p: f"({p})[::-1]"),
        inner.map(lambda p: f"({p}).name"),
        inner.map(lambda p: f"twice({p})"),
        inner.map(lambda p: f"today(*{p})"),
        inner.map(lambda p: f"today(**({p}))"),
        inner.map(lambda p: f"({p}) | join(**{{'d': '-'}})"),
    )


@given(st.recursive(ATOMS, _larger, max_leaves=8))
@example("1 < a < 5 < zero < missing")
@example("1 < zero < missing")
@example("a if zero else b if yes")
@example("('a' if n) == 'x'")
@example("('a' if n) | upper")
@example("s ~ a ~ half ~ yes ~ n ~ l")
@example("zero and missing or a")
@example("l[1:]")
@example("d[1:]")
@example("{'a': 1, 'a': 2}")
@example("{[1]: 2}")
@example("rows | selectattr('tag') | map(attribute='name') | list")
@example("2 ** 10 ** 3")
@example("a[range]")
@example("'x' * 3 ~ [1] * 2")
def test_values_are_what_jinja2_makes_of_them(source: str) -> None:
    """Any expression: the same value of the same type, or the same words for what is wrong."""
    value, wanted = evaluated(source), compiled(source)
    if "**(" in source and isinstance(value, tuple):  # Python's own words name what was called
        assert isinstance(wanted, tuple)
    else:
        assert value == wanted


def test_the_parts_of_the_grammar_are_all_there() -> None:
    """Whatever Jinja2 may read in an expression has a function that makes it."""
    for kind in ["Const", "Name", "List", "Tuple", "Dict", "Getattr", "Getitem", "Slice", "And", "Or", "Not", "Neg", "Pos", "Concat", "CondExpr", "Compare", "Call", "Filter", "Test"]:  # fmt: skip
        assert issubclass(getattr(nodes, kind), nodes.Node)
        assert hasattr(Builder, f"_{kind.lower()}"), kind


def test_names_in_scope_go_before_functions() -> None:
    """An item that is called as a function is, is the item."""
    expression = Templates(FUNCTIONS).expression("twice ~ ''")
    assert expression.evaluate({"twice": 7}) == "7"


def test_a_context_is_made_once_and_for_those_that_ask() -> None:
    """It holds the names in scope, and the functions behind them."""
    names = Names(Sandbox(FUNCTIONS), SCOPE)
    assert names.context is names.context
    assert names.context.resolve("a") == 3
    assert names.context.resolve("today") is FUNCTIONS["today"]


@pytest.mark.parametrize("source", ["today(zone=a, zone=b)", "l | join(d='-', d='+')"])
def test_an_argument_that_is_given_twice(source: str) -> None:
    """It is a mistake that is found without evaluating anything."""
    with pytest.raises(TemplateError, match="argument '.*' is given twice"):
        check_names(parse(Sandbox(FUNCTIONS), source), {"filter": {"join": None},
                                                        "test": {}, "function": FUNCTIONS})  # fmt: skip


def test_an_argument_that_is_given_twice_at_last() -> None:
    """What `**` gives may not be there already."""
    with pytest.raises(TemplateError, match="the argument 'zone' is given twice"):
        Templates(FUNCTIONS).expression("today(zone='X', **{'zone': 'Y'})").evaluate({})


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("a | default(missing.x)", 3),
        ("zero | default([] | first)", 0),
        ("n | d(missing)", None),
        ("a | default(missing, true)", 3),
        ("d.nothing | default(a)", 3),
        ("t | default(s, true)", "Text"),
        ("zero | default(s, boolean=true)", "Text"),
    ],
)
def test_what_is_there_needs_no_default(source: str, value: Any) -> None:
    """What would be in its place is computed only where it is needed, and may else be missing."""
    assert Templates(FUNCTIONS).expression(source).evaluate(SCOPE) == value


def test_a_default_that_is_needed_must_be_there() -> None:
    """Where it is asked for, what is wrong with it is told."""
    for source in ("d.nothing | default(missing.x)", "zero | default(missing, true)"):
        with pytest.raises(TemplateError, match="there is no 'missing'"):
            Templates(FUNCTIONS).expression(source).evaluate(SCOPE)
