"""The tree of an expression as functions: each part takes the names in scope and gives its value.

Jinja2 itself writes a module of Python for each expression and has it compiled, which takes half a
millisecond; most expressions are evaluated once. What a value comes to is the same.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from jinja2 import Undefined, nodes
from jinja2.runtime import Context, new_context

from runner.templating.results import NO_ELSE
from runner.templating.unknown import Unknown

if TYPE_CHECKING:
    from runner.templating.sandbox import Sandbox

COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "lteq": operator.le,
    "gt": operator.gt, "gteq": operator.ge, "in": lambda one, other: one in other,
    "notin": lambda one, other: one not in other,
}  # fmt: skip
_SLICED = (list, tuple, str)


class Names:
    """The names of one evaluation, and what Jinja2's own functions want to have in their place."""

    __slots__ = ("_context", "_sandbox", "scope")

    def __init__(self, sandbox: Sandbox, scope: Mapping[str, Any]) -> None:
        self.scope = scope
        self._sandbox = sandbox
        self._context: Context | None = None

    @property
    def context(self) -> Context:
        """The same as a context, which is made for those that ask."""
        if self._context is None:
            sandbox = self._sandbox
            self._context = new_context(
                sandbox, None, {}, dict(self.scope), shared=False, globals=sandbox.globals
            )
        return self._context


Part = Callable[[Names], Any]


class Builder:
    """Makes functions of trees; what they call is the sandbox's, which charges for it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def build(self, tree: nodes.Node) -> Part:
        """The tree as a function, which raises whatever Jinja2, Python or the sandbox do."""
        if isinstance(tree, nodes.BinExpr) and not isinstance(tree, nodes.And | nodes.Or):
            return self._arithmetic(tree)
        made: Part = getattr(self, f"_{type(tree).__name__.lower()}")(tree)
        return made

    # -- values -----------------------------------------------------------------------------------

    def _const(self, tree: nodes.Const) -> Part:
        value = tree.value
        return lambda _: value

    def _name(self, tree: nodes.Name) -> Part:
        name, sandbox = tree.name, self._sandbox
        functions = sandbox.globals

        def run(names: Names) -> Any:
            if name in names.scope:
                return names.scope[name]
            return functions[name] if name in functions else sandbox.undefined(name=name)

        return run

    def _list(self, tree: nodes.List) -> Part:
        parts = self._all(tree.items)
        return lambda names: [part(names) for part in parts]

    def _tuple(self, tree: nodes.Tuple) -> Part:
        parts = self._all(tree.items)
        return lambda names: tuple([part(names) for part in parts])

    def _dict(self, tree: nodes.Dict) -> Part:
        pairs = [(self.build(pair.key), self.build(pair.value)) for pair in tree.items]
        return lambda names: {key(names): value(names) for key, value in pairs}

    def _all(self, trees: list[nodes.Expr]) -> list[Part]:
        return [self.build(tree) for tree in trees]

    # -- parts of values --------------------------------------------------------------------------

    def _getattr(self, tree: nodes.Getattr) -> Part:
        holder, name, get = self.build(tree.node), tree.attr, self._sandbox.getattr
        return lambda names: get(holder(names), name)

    def _getitem(self, tree: nodes.Getitem) -> Part:
        holder, key, get = self.build(tree.node), self.build(tree.arg), self._sandbox.getitem

        def run(names: Names) -> Any:
            return get(holder(names), key(names))

        def cut(names: Names) -> Any:
            value, part = holder(names), key(names)
            return get(value, part) if isinstance(value, _SLICED) else value[part]

        return cut if isinstance(tree.arg, nodes.Slice) else run

    def _slice(self, tree: nodes.Slice) -> Part:
        ends = [end and self.build(end) for end in (tree.start, tree.stop, tree.step)]
        return lambda names: slice(*[end and end(names) for end in ends])

    # -- operators --------------------------------------------------------------------------------

    def _and(self, tree: nodes.And) -> Part:
        left, right = self.build(tree.left), self.build(tree.right)
        return lambda names: left(names) and right(names)

    def _or(self, tree: nodes.Or) -> Part:
        left, right = self.build(tree.left), self.build(tree.right)
        return lambda names: left(names) or right(names)

    def _not(self, tree: nodes.Not) -> Part:
        part = self.build(tree.node)
        return lambda names: not part(names)

    def _neg(self, tree: nodes.Neg) -> Part:
        part = self.build(tree.node)
        return lambda names: -part(names)

    def _pos(self, tree: nodes.Pos) -> Part:
        part = self.build(tree.node)
        return lambda names: +part(names)

    def _arithmetic(self, tree: nodes.BinExpr) -> Part:
        left, right = self.build(tree.left), self.build(tree.right)
        sign, work = tree.operator, self._sandbox.compute
        return lambda names: work(sign, left(names), right(names))

    def _concat(self, tree: nodes.Concat) -> Part:
        parts, join = self._all(tree.nodes), self._sandbox.concat_texts
        return lambda names: join([part(names) for part in parts])

    def _condexpr(self, tree: nodes.CondExpr) -> Part:
        test, then = self.build(tree.test), self.build(tree.expr1)
        if tree.expr2 is None:
            nothing = self._sandbox.undefined(hint=NO_ELSE)
            return lambda names: then(names) if test(names) else nothing
        otherwise = self.build(tree.expr2)
        return lambda names: then(names) if test(names) else otherwise(names)

    def _compare(self, tree: nodes.Compare) -> Part:
        first = self._looked(tree.expr)
        rest = [(COMPARISONS[part.op], self._looked(part.expr)) for part in tree.ops]

        def run(names: Names) -> Any:
            left, holds = first(names), None
            for compare, part in rest:
                right = part(names)
                holds = compare(left, right)
                if not holds:
                    break
                left = right
            return holds

        return run

    def _looked(self, tree: nodes.Expr) -> Part:
        """A side of a comparison, for which looking through it is charged."""
        part, look = self.build(tree), self._sandbox.look
        return part if isinstance(tree, nodes.Const) else lambda names: look(part(names))

    # -- what is called ---------------------------------------------------------------------------

    def _call(self, tree: nodes.Call) -> Part:
        what, given, call = self.build(tree.node), self._given(tree), self._sandbox.call

        def run(names: Names) -> Any:
            called = what(names)
            args, options = given(names)
            return call(names.context, called, *args, **options)

        return run

    def _filter(self, tree: nodes.Filter) -> Part:
        if tree.name in {"default", "d"}:
            return self._default(tree)
        return self._applied(tree, self._sandbox.call_filter, self._sandbox.filters)

    def _default(self, tree: nodes.Filter) -> Part:
        value, given = self.build(tree.node), self._given(tree)  # type: ignore[arg-type]
        name, apply = tree.name, self._sandbox.call_filter
        only_missing = len(tree.args) == 1 and not (tree.kwargs or tree.dyn_args or tree.dyn_kwargs)

        def run(names: Names) -> Any:
            """What is there is taken without asking what would be in its place."""
            there = value(names)
            known = not isinstance(there, Undefined | Unknown)
            if known and (only_missing or there):
                return there
            args, options = given(names)
            return apply(name, there, args, options)

        return run

    def _test(self, tree: nodes.Test) -> Part:
        return self._applied(tree, self._sandbox.call_test, self._sandbox.tests)

    def _applied(
        self, tree: nodes.Filter | nodes.Test, apply: Callable[..., Any], known: Mapping[str, Any]
    ) -> Part:
        name = tree.name
        value, given = self.build(tree.node), self._given(tree)  # type: ignore[arg-type]
        wanted = getattr(known[name], "jinja_pass_arg", None)
        in_context = wanted is not None and wanted.name == "context"

        def run(names: Names) -> Any:
            on = value(names)
            args, options = given(names)
            return apply(name, on, args, options, names.context if in_context else None)

        return run

    def _given(
        self, tree: nodes.Call | nodes.Filter | nodes.Test
    ) -> Callable[[Names], tuple[list[Any], dict[str, Any]]]:
        """The arguments of a call, by place and by name."""
        parts = self._all(tree.args)
        named = {str(part.key): self.build(part.value) for part in tree.kwargs}
        more = None if tree.dyn_args is None else self.build(tree.dyn_args)
        others = None if tree.dyn_kwargs is None else self.build(tree.dyn_kwargs)

        def give(names: Names) -> tuple[list[Any], dict[str, Any]]:
            args = [part(names) for part in parts]
            options = {name: part(names) for name, part in named.items()}
            if more is not None:
                args = [*args, *more(names)]
            if others is not None:
                further = others(names)
                for name in options.keys() & further if isinstance(further, dict) else ():
                    raise TypeError(f"the argument '{name}' is given twice")
                options = {**options, **further}
            return args, options

        return give
