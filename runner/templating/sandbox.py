"""Jinja2 for expressions, with nothing but JSON to reach and a bound on all it may take.

Attributes are keys of mappings, never attributes of Python objects, so that there is no way
out; filters, tests, methods and functions are those listed here; every result is charged to a
budget, so that an expression ends in bounded time and memory.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from types import GeneratorType
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, UndefinedError, nodes
from jinja2.environment import TemplateExpression
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.parser import Parser
from jinja2.sandbox import SandboxedEnvironment
from jinja2.tests import TESTS

from runner.model import Json
from runner.templating.expressions import (
    Expression,
    TemplateError,
    describe,
    nearest,
)
from runner.templating.filters import METHODS, OWN_FILTERS, PLAIN_FILTERS, PLAIN_TESTS
from runner.templating.references import find_references

# What one evaluation may produce, in characters, items and calls. A call counts as CALL_COST.
BUDGET = 16_000_000
CALL_COST = 32
MAX_REPEAT = 100_000
MAX_BITS = 4_096


class OverBudgetError(Exception):
    """An expression that would take more than an expression may."""


class _Missing(StrictUndefined):
    """A missing value: any use of it but `default` and `is defined` is an error with a hint."""

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        name = str(self._undefined_name)
        if self._undefined_obj is _NOTHING:
            return f"there is no '{name}' here"
        holder = describe(self._undefined_obj)
        if isinstance(self._undefined_obj, dict):
            near = nearest(name, list(self._undefined_obj))
            return f"{holder} has no '{name}'" + (f"; did you mean '{near}'?" if near else "")
        return f"{holder} has no '{name}'"


_NOTHING: Any = StrictUndefined()._undefined_obj


class Sandbox(SandboxedEnvironment):
    """The environment that expressions are parsed and evaluated in."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})
    intercepted_unops = frozenset()

    def __init__(self, functions: Mapping[str, Callable[..., Any]]) -> None:
        # Unoptimised: constant folding would run filters while parsing, outside any budget.
        super().__init__(undefined=_Missing, optimized=False, autoescape=False, cache_size=0)
        self._local = threading.local()
        self.filters = {name: self._charged(FILTERS[name]) for name in PLAIN_FILTERS}
        self.filters |= {name: self._charged(run) for name, run in OWN_FILTERS.items()}
        self.tests = {name: TESTS[name] for name in PLAIN_TESTS}
        self.globals = {"range": self._range, **functions}
        self._callable = {id(value) for value in self.globals.values()}

    def expression(self, source: str) -> Expression:
        """Parse an expression; it is compiled when first evaluated. Raises TemplateError."""
        try:
            parser = Parser(self, source, state="variable")
            tree = parser.parse_expression()
            if not parser.stream.eos:
                token = parser.stream.current
                raise TemplateError(
                    f"'{token.value}' does not belong after the expression",
                    "join parts with ~, or check the operator before it",
                )
            tree.set_environment(self)
            references = find_references(tree)
            self._check_names(tree)
        except TemplateSyntaxError as error:
            raise TemplateError(_plain(error.message or "cannot be read"), _SYNTAX_HINT) from error
        except RecursionError as error:
            raise TemplateError("the expression is nested too deeply", "split it") from error
        return Expression(source, references, _Compiled(self, tree, source))

    def run(self, compiled: TemplateExpression, scope: Mapping[str, Any], source: str) -> Json:
        """The value of a compiled expression, a JSON value. Raises TemplateError."""
        self._local.left = BUDGET
        try:
            return self._plain_value(compiled(scope))
        except TemplateError:
            raise
        except UndefinedError as error:
            raise TemplateError(
                f"{source.strip()}: {error.message}",
                "guard it with when, or say what holds then with default",
            ) from error
        except OverBudgetError as error:
            raise TemplateError(f"{source.strip()[:80]}: {error}", _BOUND_HINT) from error
        except (SecurityError, RecursionError, MemoryError) as error:
            raise TemplateError(f"{source.strip()[:80]}: not allowed: {error}") from error
        except (
            TypeError,
            ValueError,
            KeyError,
            ArithmeticError,
            AttributeError,
            LookupError,
        ) as error:
            raise TemplateError(f"{source.strip()[:80]}: {_plain(str(error))}") from error

    def sides(self, source: str, scope: Mapping[str, Any]) -> str:
        """The values around the comparison that makes a condition false, or an empty text."""
        tree: nodes.Node = Parser(self, source, state="variable").parse_expression()
        while isinstance(tree, nodes.And):
            tree = tree.left if self._value(tree.left, source, scope) is False else tree.right
        if not isinstance(tree, nodes.Compare):
            return ""
        left = self._value(tree.expr, source, scope)
        right = self._value(tree.ops[0].expr, source, scope)
        return f"the left side is {_show(left)}, the right side {_show(right)}"

    def _value(self, tree: nodes.Expr, source: str, scope: Mapping[str, Any]) -> Json:
        tree.set_environment(self)
        return _Compiled(self, tree, source)(scope)

    # -- what an expression may reach ---------------------------------------------------------

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A key of a mapping, an item of a list, a listed method of a text; nothing else."""
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        methods = METHODS.get(type(obj)) or (METHODS[dict] if isinstance(obj, dict) else None)
        if methods and attribute in methods:
            return _Bound(self, methods[attribute], obj)
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """A key of a mapping, an item or a slice of a list or a text; nothing else."""
        if isinstance(obj, dict):
            name = str(argument) if isinstance(argument, int) else argument
            if isinstance(name, str) and name in obj:
                return obj[name]
        elif isinstance(obj, list | tuple | str) and isinstance(argument, int | slice):
            try:
                return obj[argument]
            except IndexError:
                return self.undefined(obj=obj, name=str(argument))
        elif isinstance(obj, list) and isinstance(argument, str) and argument.isdigit():
            return self.getitem(obj, int(argument))
        return self.undefined(obj=obj, name=str(argument))

    def is_safe_callable(self, obj: Any) -> bool:
        """Only the functions of the language and the listed methods can be called."""
        return isinstance(obj, _Bound) or id(obj) in self._callable

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:  # noqa: ARG002
        """Arithmetic, with a bound on what it makes."""
        if isinstance(left, StrictUndefined) or isinstance(right, StrictUndefined):
            return self.binop_table[operator](left, right)
        if isinstance(left, bool) or isinstance(right, bool):
            raise TypeError(f"'{operator}' does not go with true and false")
        if operator == "*":
            _check_product(left, right)
        elif operator == "**":
            _check_power(left, right)
        elif operator == "%" and isinstance(left, str):
            raise TypeError("'%' does not format text; use the filter format")
        elif operator == "+" and isinstance(left, str) != isinstance(right, str):
            raise TypeError(
                f"'+' does not join {describe(left)} and {describe(right)}; '~' joins as text"
            )
        value = self.binop_table[operator](left, right)
        if isinstance(value, str | list):
            self.charge(len(value))
        return value

    def charge(self, cost: int) -> None:
        """Take from the budget of the running evaluation. Raises OverBudgetError."""
        left = getattr(self._local, "left", BUDGET) - cost - CALL_COST
        self._local.left = left
        if left < 0:
            raise OverBudgetError("this takes more than an expression may")

    def _charged(self, run: Callable[..., Any]) -> Callable[..., Any]:
        def charged(*args: Any, **options: Any) -> Any:
            value = run(*args, **options)
            self.charge(len(value) if isinstance(value, str | list | dict) else 1)
            return value

        # Jinja2 marks on the function itself whether it wants its environment.
        charged.__dict__.update(getattr(run, "__dict__", {}))
        return charged

    def _range(self, *args: int) -> list[int]:
        numbers = range(*args)
        self.charge(len(numbers))
        return list(numbers)

    def _plain_value(self, value: Any, depth: int = 0) -> Json:
        """Whatever an expression gave, as JSON: generators become lists, Markup text."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return str(value)
        if isinstance(value, StrictUndefined):
            str(value)  # raises, with the reason
        if depth > 100:
            raise TypeError("the value is nested too deeply")
        if isinstance(value, dict):
            return {str(k): self._plain_value(v, depth + 1) for k, v in value.items()}
        if isinstance(value, list | tuple | set | GeneratorType) or hasattr(value, "__next__"):
            return [self._plain_value(part, depth + 1) for part in self._counted(value)]
        raise TypeError("this is a function, not a value: call it, with ()")

    def _counted(self, items: Any) -> Any:
        for item in items:
            self.charge(1)
            yield item

    def _check_names(self, tree: nodes.Node) -> None:
        kinds = (nodes.Filter, nodes.Test, nodes.Call)
        for found in [tree, *tree.find_all(kinds)]:
            if isinstance(found, nodes.Filter):
                _check_known("filter", found.name, self.filters)
            elif isinstance(found, nodes.Test):
                _check_known("test", found.name, self.tests)
            elif isinstance(found, nodes.Call) and isinstance(found.node, nodes.Name):
                _check_known("function", found.node.name, self.globals)
            elif isinstance(found, nodes.Call) and isinstance(found.node, nodes.Getattr):
                _check_known("method", found.node.attr, _METHOD_NAMES)


_METHOD_NAMES = {name: None for methods in METHODS.values() for name in methods}


def _check_known(kind: str, name: str, known: Mapping[str, Any]) -> None:
    if name not in known:
        near = nearest(name, list(known))
        raise TemplateError(
            f"there is no {kind} '{name}'",
            f"did you mean '{near}'?" if near else f"the {kind}s are {', '.join(sorted(known))}",
        )


class _Compiled:
    """An expression that is compiled when it is first needed: checking never pays for it."""

    __slots__ = ("_ready", "_sandbox", "_source", "_tree")

    def __init__(self, sandbox: Sandbox, tree: nodes.Expr, source: str) -> None:
        self._sandbox = sandbox
        self._tree = tree
        self._source = source
        self._ready: TemplateExpression | None = None

    def __call__(self, scope: Mapping[str, Any]) -> Json:
        ready = self._ready
        if ready is None:
            ready = self._ready = self._compile()
        return self._sandbox.run(ready, scope, self._source)

    def _compile(self) -> TemplateExpression:
        # As Jinja2's own compile_expression does, from the tree that is there already.
        body: list[nodes.Node] = [nodes.Assign(nodes.Name("result", "store"), self._tree, lineno=1)]
        template = self._sandbox.from_string(nodes.Template(body, lineno=1))
        return TemplateExpression(template, undefined_to_none=False)


class _Bound:
    """A listed method of a text or a mapping, with its result charged."""

    __slots__ = ("_method", "_owner", "_sandbox")

    def __init__(self, sandbox: Sandbox, method: Callable[..., Any], owner: Any) -> None:
        self._sandbox = sandbox
        self._method = method
        self._owner = owner

    def __call__(self, *args: Any) -> Any:
        value = self._method(self._owner, *args)
        self._sandbox.charge(len(value) if isinstance(value, str | list) else 1)
        return value


_SYNTAX_HINT = "see the section on expressions in the language guide"
_BOUND_HINT = "work on less at a time, or prepare the data outside the playbook"


def _show(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}…"


def _plain(message: str) -> str:
    """Jinja2's and Python's words about a mistake, without words that mean nothing here."""
    return (
        message.replace("end of print statement", "end of the expression")
        .replace("expected token 'end of the expression', got", "the expression should end before")
        .replace("template", "expression")
    )


def _check_product(left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int):
        if left.bit_length() + right.bit_length() > MAX_BITS:
            raise OverBudgetError("the number is too large")
        return
    for items, times in ((left, right), (right, left)):
        if isinstance(items, str | list | tuple) and isinstance(times, int):
            if len(items) * times > MAX_REPEAT:
                raise OverBudgetError(f"this repeats to more than {MAX_REPEAT:,}")
            return


def _check_power(left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() * right > MAX_BITS:
        raise OverBudgetError("the number is too large")
