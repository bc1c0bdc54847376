"""What a parsed expression refers to, and which names it calls; evaluates nothing."""

from __future__ import annotations

from jinja2 import nodes

from runner.templating.expressions import Reference


def find_references(tree: nodes.Expr) -> list[Reference]:
    """The references of an expression, in the order they are written."""
    references: list[Reference] = []
    _walk(tree, references, guarded=False)
    return references


def _choose(node: nodes.CondExpr, found: list[Reference]) -> None:
    """Note what both sides of an `if` refer to, with what it asks about."""
    begin = len(found)
    _walk(node.test, found, guarded=False)
    asked = {(part.root, part.keys[:1]) for part in found[begin:]}
    begin = len(found)
    for part in (node.expr1, node.expr2):
        if part is not None:
            _walk(part, found, guarded=False)
    for at in range(begin, len(found)):
        if (found[at].root, found[at].keys[:1]) in asked:
            found[at] = found[at]._replace(chosen=True)


def _walk(node: nodes.Node, found: list[Reference], *, guarded: bool) -> None:
    chain = _chain(node)
    if chain is not None:
        root, keys, inner = chain
        found.append(Reference(root, keys, guarded))
        for part in inner:
            _walk(part, found, guarded=False)
        return
    if isinstance(node, nodes.CondExpr):
        _choose(node, found)
        return
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name):
        for part in (*node.args, *node.kwargs):
            _walk(part, found, guarded=False)
        return
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr):
        # A method: the reference is to what it is called on.
        for part in (node.node.node, *node.args, *node.kwargs):
            _walk(part, found, guarded=False)
        return
    guards = (isinstance(node, nodes.Filter) and node.name in {"default", "d"}) or (
        isinstance(node, nodes.Test) and node.name in {"defined", "undefined"}
    )
    for index, part in enumerate(node.iter_child_nodes()):
        _walk(part, found, guarded=guards and index == 0)


def _chain(node: nodes.Node) -> tuple[str, tuple[str | int, ...], list[nodes.Node]] | None:
    """`a.b[0].c` as root and keys; keys end where a part is computed or in brackets as text."""
    keys: list[str | int | None] = []
    inner: list[nodes.Node] = []
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        if isinstance(node, nodes.Getattr):
            keys.append(node.attr)
        elif (index := _index(node.arg)) is not None:
            keys.append(index)
        else:
            keys.append(None)
            inner.append(node.arg)
        node = node.node
    if not isinstance(node, nodes.Name):
        return None
    keys.reverse()
    known = keys[: keys.index(None)] if None in keys else keys
    return node.name, tuple(key for key in known if key is not None), inner


def _index(node: nodes.Node) -> int | None:
    """The whole number that an expression is, if it is one: -1 is two nodes to Jinja2."""
    if isinstance(node, nodes.Neg):
        number = _index(node.node)
        return None if number is None else -number
    if not isinstance(node, nodes.Const) or isinstance(node.value, bool):
        return None
    return node.value if isinstance(node.value, int) else None
