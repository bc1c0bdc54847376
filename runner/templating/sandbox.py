"""Jinja2 for expressions, with nothing but JSON to reach and a bound on all it may take.

Attributes are keys of mappings, never attributes of Python objects, so that there is no way
out; filters, tests, methods and functions are those listed here; what is made and looked through
is charged to a budget, so that an expression ends in bounded time and memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from jinja2 import Environment, StrictUndefined, UndefinedError, nodes
from jinja2 import TemplateError as JinjaError
from jinja2.sandbox import SandboxedEnvironment
from jinja2.tests import TESTS

from runner.model import Json
from runner.templating.arithmetic import MAX_REPEAT, check_operands
from runner.templating.budget import CALL_COST, LOOKUP_COST, Budget, OverBudgetError
from runner.templating.evaluation import COMPARISONS, Builder, Names, Part
from runner.templating.expressions import (
    MOST_SHOWN,
    Expression,
    Reference,
    TemplateError,
    describe,
    meant,
)
from runner.templating.filters import DEEP, FILTERS, METHODS, PLAIN_TESTS
from runner.templating.quick import explain
from runner.templating.references import find_references
from runner.templating.results import Plain, counted
from runner.templating.texts import text_of
from runner.templating.trees import check_names, parse, plain_words
from runner.templating.unknown import refuse_unknown, refuse_unknown_below


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
            return f"{holder} has no '{name}'{meant(name, [*map(str, self._undefined_obj)])}"
        return f"{holder} has no '{name}'"


_NOTHING: Any = StrictUndefined()._undefined_obj

# A playbook is read when it is checked, and again when it is planned.
_MOST_READ = 16_384
_SYNTAX = Environment()
_TESTS = frozenset(PLAIN_TESTS)


@lru_cache(_MOST_READ)
def _read(source: str, functions: frozenset[str]) -> tuple[nodes.Expr, tuple[Reference, ...]]:
    """The tree of an expression, which nobody changes, and what it refers to.

    Raises TemplateError, for names that are not known too.
    """
    tree = parse(_SYNTAX, source)
    references = tuple(find_references(tree))
    check_names(tree, {"filter": FILTERS, "test": _TESTS, "function": functions})
    return tree, references


class Sandbox(SandboxedEnvironment):
    """What expressions may reach, and what it costs them: the environment of their evaluation."""

    def __init__(self, functions: Mapping[str, Callable[..., Any]]) -> None:
        super().__init__(undefined=_Missing, autoescape=False, cache_size=0)
        self.budget = Budget()
        self.filters = {name: self._charged(name, run) for name, run in FILTERS.items()}
        tests: Mapping[str, Any] = TESTS
        self.tests = {name: self._charged_test(tests[name]) for name in PLAIN_TESTS}
        self.globals = {"range": self._range, **functions}
        self._functions = frozenset(self.globals)
        self._callable = {id(value) for value in self.globals.values()}

    def expression(self, source: str) -> Expression:
        """Parse an expression; it is made ready when first evaluated. Raises TemplateError."""
        tree, references = _read(source, self._functions)
        return Expression(source, references, _Ready(self, tree, source, references))

    def run(
        self,
        part: Part,
        scope: Mapping[str, Any],
        source: str,
        references: Sequence[Reference] = (),
    ) -> Json:
        """The value of an expression that is ready, a JSON value. Raises TemplateError."""
        self.budget.open(source)
        shown = source.strip()[:MOST_SHOWN]
        try:
            return Plain(self.budget).value(part(Names(self, scope)))
        except UndefinedError as error:
            said = explain(error.message or "", scope, references, self.globals)
            raise said or TemplateError(f"{shown}: {error.message}", _GUARD_HINT) from error
        except OverBudgetError as error:
            raise TemplateError(f"{shown}: {error}", _BOUND_HINT) from error
        except (RecursionError, MemoryError) as error:
            raise TemplateError(f"{shown}: this is too large or too deep", _BOUND_HINT) from error
        except (
            JinjaError,
            TypeError,
            ValueError,
            ArithmeticError,
            AttributeError,
            LookupError,
            RuntimeError,
        ) as error:
            # What filters make of a list with something unknown in it is no mistake.
            refuse_unknown_below(scope, references)
            raise TemplateError(f"{shown}: {plain_words(str(error))}") from error
        finally:
            self.budget.close()

    def sides(self, source: str, scope: Mapping[str, Any]) -> str:
        """The values around the comparison that makes a condition false, or an empty text."""
        tree: nodes.Node = _read(source, self._functions)[0]
        while isinstance(tree, nodes.And):
            tree = tree.left if self._value(tree.left, source, scope) is False else tree.right
        if not isinstance(tree, nodes.Compare):
            return ""
        left = self._value(tree.expr, source, scope)
        for part in tree.ops:
            right = self._value(part.expr, source, scope)
            if not COMPARISONS[part.op](left, right):
                return f"the left side is {_show(left)}, the right side {_show(right)}"
            left = right
        return ""

    def _value(self, tree: nodes.Expr, source: str, scope: Mapping[str, Any]) -> Json:
        return _Ready(self, tree, source, find_references(tree))(scope)

    # -- what an expression may reach ---------------------------------------------------------

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A key of a mapping, a listed method of a text or a mapping; nothing else."""
        self.budget.charge(LOOKUP_COST)
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        methods = METHODS.get(type(obj)) or (METHODS[dict] if isinstance(obj, dict) else None)
        if methods and attribute in methods:
            return _Bound(self.budget, methods[attribute], obj)
        return self._lacking(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """A key of a mapping, an item or a slice of a list or a text; nothing else."""
        self.budget.charge(LOOKUP_COST)
        if isinstance(obj, dict):
            name = str(argument) if isinstance(argument, int) else argument
            if isinstance(name, str) and name in obj:
                return obj[name]
        elif isinstance(obj, list | tuple | str) and isinstance(argument, slice):
            part = obj[argument]
            self.budget.charge_made(part)
            return part
        elif isinstance(obj, list | tuple | str) and _is_index(argument, len(obj)):
            return obj[argument]
        return self._lacking(obj, describe(argument) if callable(argument) else str(argument))

    def _lacking(self, obj: Any, name: str) -> Any:
        refuse_unknown(obj)
        # What is missing first is what the message must be about.
        return obj if isinstance(obj, StrictUndefined) else self.undefined(obj=obj, name=name)

    def is_safe_callable(self, obj: Any) -> bool:
        """Only the functions of the language and the listed methods can be called."""
        return isinstance(obj, _Bound) or id(obj) in self._callable

    def call(__self, __context: Any, __obj: Any, *args: Any, **options: Any) -> Any:  # noqa: N805  (Jinja2's names)
        """Call a function or a method of the language; nothing else."""
        if isinstance(__obj, StrictUndefined):
            str(__obj)  # raises, with the reason
        refuse_unknown(__obj, *args, *options.values())
        if not __self.is_safe_callable(__obj):
            raise TypeError(f"{describe(__obj)} cannot be called")
        __self.budget.charge(CALL_COST)
        value = __context.call(__obj, *args, **options)
        if isinstance(value, str) and not isinstance(__obj, _Bound):
            # A file may be larger than what expressions make, but not many times over.
            __self.budget.charge(len(value) // 16)
        else:
            __self.budget.charge_made(value)
        return value

    def compute(self, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic, with a bound on what it makes."""
        refuse_unknown(left, right)
        if not (isinstance(left, StrictUndefined) or isinstance(right, StrictUndefined)):
            check_operands(operator, left, right)
        value = self.binop_table[operator](left, right)
        self.budget.charge_made(value)
        return value

    # -- what it costs ------------------------------------------------------------------------

    def _charged(self, name: str, run: Callable[..., Any]) -> Callable[..., Any]:
        deep = name in DEEP

        def charged(*args: Any, **options: Any) -> Any:
            self.budget.charge(CALL_COST)
            refuse_unknown(*args, *options.values())
            if deep:
                self.budget.charge_deep(*args, *options.values())
            value = run(*args, **options)
            if hasattr(value, "__next__"):
                return _pairs(list(counted(self.budget, value, LOOKUP_COST)))
            self.budget.charge_made(value)
            return _pairs(value)

        # Jinja2 marks on the function itself whether it wants its environment.
        charged.__dict__.update(getattr(run, "__dict__", {}))
        return charged

    def _charged_test(self, run: Callable[..., Any]) -> Callable[..., Any]:
        def charged(value: Any, *args: Any) -> Any:
            self.budget.charge(CALL_COST)
            refuse_unknown(value, *args)
            if args:
                self.budget.charge_looks(value, *args)
            return run(value, *args)

        return charged

    def look(self, value: Any) -> Any:
        """A side of a comparison, once it is charged for."""
        self.budget.charge_looks(value)
        return value

    def concat_texts(self, parts: list[Any]) -> str:
        """What `~` gives: the parts as text, one after the other."""
        refuse_unknown(*parts)
        texts = [text_of(part) for part in parts]
        self.budget.charge(sum(map(len, texts)))
        return "".join(texts)

    def _range(self, *args: int) -> list[int]:
        numbers = range(*args)
        if len(numbers) > MAX_REPEAT:
            raise OverBudgetError(f"this counts more than {MAX_REPEAT:,}")
        return list(numbers)


class _Ready:
    """An expression that is made ready when it is first needed: checking never pays for it."""

    __slots__ = ("_part", "_references", "_sandbox", "_source", "_tree")

    def __init__(
        self, sandbox: Sandbox, tree: nodes.Expr, source: str, references: Sequence[Reference]
    ) -> None:
        self._sandbox = sandbox
        self._tree = tree
        self._source = source
        self._references = references
        self._part: Part | None = None

    def __call__(self, scope: Mapping[str, Any]) -> Json:
        part = self._part
        if part is None:
            part = self._part = Builder(self._sandbox).build(self._tree)
        return self._sandbox.run(part, scope, self._source, self._references)


class _Bound:
    """A listed method of a text or a mapping, with its result charged."""

    __slots__ = ("_budget", "_method", "_owner")

    def __init__(self, budget: Budget, method: Callable[..., Any], owner: Any) -> None:
        self._budget = budget
        self._method = method
        self._owner = owner

    def __call__(self, *args: Any, **options: Any) -> Any:
        value = self._method(self._owner, *args, **options)
        if isinstance(self._owner, str) and isinstance(value, list):
            self._budget.charge(self._budget.size(value))  # the parts are new texts
        return value


def _pairs(value: Any) -> Any:
    """What a filter gives, its pairs as lists: to be compared and added to as any list."""
    if type(value) is list and value and isinstance(value[0], tuple):
        return [list(part) if isinstance(part, tuple) else part for part in value]
    return value


def _is_index(argument: Any, length: int) -> bool:
    whole = isinstance(argument, int) and not isinstance(argument, bool)
    return whole and -length <= argument < length


_GUARD_HINT = "guard it with when, or say what holds then with default"
_BOUND_HINT = "work on less at a time, or prepare the data outside the playbook"


def _show(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}…"
