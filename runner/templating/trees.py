"""The tree of an expression: parsed, checked for names and for depth."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.parser import Parser

from runner.templating.expressions import TemplateError, nearest
from runner.templating.filters import METHODS

# Far beyond what anyone writes. Jinja2's parser takes a dozen frames of Python's stack for a
# bracket, and evaluating two for a level; an expression passes here or never.
MAX_BRACKETS = 40
MAX_DEPTH = 60

_TEXT = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
# Operators of other languages.
_MEANT = {
    "=": "== to compare", "&&": "'and'", "&": "'and'", "||": "'or'", "===": "==", "!==": "!=",
    "!": "'not'", "?": "A if CONDITION else B", "<>": "!=",
}  # fmt: skip
_FOREIGN = re.compile(r"&&|&|\|\||===|!==|<>|\?|!(?!=)|(?<![=!<>])=(?!=)")
_SYNTAX_HINT = "see the section on expressions in the language guide"
# Where the name of a filter or of a test is an argument: of which filter, and at what place.
_NAMING = {
    "map": ("filter", 0),
    "select": ("test", 0),
    "reject": ("test", 0),
    "selectattr": ("test", 1),
    "rejectattr": ("test", 1),
}


def parse(environment: Environment, source: str) -> nodes.Expr:
    """The tree of an expression. Raises TemplateError."""
    _check_brackets(source)
    try:
        parser = Parser(environment, source, state="variable")
        tree = parser.parse_expression()
        if not parser.stream.eos:
            raise TemplateError(
                f"'{parser.stream.current.value}' does not belong after the expression",
                _hint(str(parser.stream.current.value)),
            )
    except TemplateSyntaxError as error:
        found = _FOREIGN.search(_TEXT.sub("", source))
        hint = _hint(found[0]) if found else _SYNTAX_HINT
        raise TemplateError(plain_words(error.message or "cannot be read"), hint) from error
    except RecursionError as error:
        raise _too_deep() from error
    _check_depth(tree)
    return tree


def _hint(word: str) -> str:
    """What may have been meant by a word that other languages have in its place."""
    meant = _MEANT.get(word)
    return f"write {meant}" if meant else "join parts with ~, or check the operator before it"


def _check_brackets(source: str) -> None:
    depth = 0
    for character in re.findall(r"[(\[{)\]}]", _TEXT.sub("", source)):
        depth += 1 if character in "([{" else -1
        if depth > MAX_BRACKETS:
            raise _too_deep()
    if depth > 0:
        raise TemplateError("a bracket is opened and never closed", "close it before the '}}'")


def _check_depth(tree: nodes.Node) -> None:
    level: list[nodes.Node] = [tree]
    for _ in range(MAX_DEPTH):
        level = [part for node in level for part in node.iter_child_nodes()]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> TemplateError:
    return TemplateError(
        "the expression is nested too deeply", "compute parts of it in vars or in a set step"
    )


def check_names(tree: nodes.Node, known: Mapping[str, Collection[str]]) -> None:
    """Refuse a filter, test, function or method that is not listed. Raises TemplateError."""
    methods = {name: None for listed in METHODS.values() for name in listed}
    for node in _all(tree):
        if isinstance(node, nodes.Call | nodes.Filter | nodes.Test):
            _check_arguments(node)
        if isinstance(node, nodes.Filter | nodes.Test):
            kind = "filter" if isinstance(node, nodes.Filter) else "test"
            check_known(kind, node.name, known[kind])
            _check_named(node, known)
        elif isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name):
            check_known("function", node.node.name, known["function"])
        elif isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr):
            check_known("method", node.node.attr, methods)
        elif isinstance(node, nodes.Name) and node.name == "self":
            raise TemplateError("there is no 'self' here", "the name means something to Jinja2")
        elif isinstance(node, nodes.Const) and _SURROGATE.search(str(node.value)):
            raise TemplateError("a text holds half a character", "write the whole character")


def _check_arguments(node: nodes.Call | nodes.Filter | nodes.Test) -> None:
    names = [str(part.key) for part in node.kwargs if isinstance(part, nodes.Keyword)]
    for name in names:
        if names.count(name) > 1:
            raise TemplateError(f"the argument '{name}' is given twice", "leave one of them out")


def _check_named(node: nodes.Filter | nodes.Test, known: Mapping[str, Collection[str]]) -> None:
    if isinstance(node, nodes.Test) or node.name not in _NAMING:
        return
    kind, place = _NAMING[node.name]
    named = node.args[place] if len(node.args) > place else None
    if isinstance(named, nodes.Const):
        check_known(kind, str(named.value), known[kind])


def _all(tree: nodes.Node) -> list[nodes.Node]:
    found = [tree]
    for node in found:
        found += node.iter_child_nodes()
    return found


def check_known(kind: str, name: str, known: Collection[str]) -> None:
    """Refuse a name that is not listed, with the nearest that is. Raises TemplateError."""
    if name in known and not name.startswith("_"):
        return
    names = sorted(word for word in known if not word.startswith("_"))
    near = nearest(name, names)
    raise TemplateError(
        f"there is no {kind} '{name}'",
        f"did you mean '{near}'?" if near else f"the {kind}s are {', '.join(names)}",
    )


_TYPES = {
    "NoneType": "null", "str": "text", "int": "a number", "float": "a number",
    "bool": "true or false", "list": "a list", "tuple": "a list", "generator": "a list",
    "dict": "a mapping", "slice": "a slice",
}  # fmt: skip


def plain_words(message: str) -> str:
    """Jinja2's and Python's words about a mistake, without words that mean nothing here."""
    message = re.sub(r"'(\w+)'", lambda found: _TYPES.get(found[1], found[0]), message)
    return (
        message.replace("end of print statement", "end of the expression")
        .replace("expected token 'end of the expression', got", "the expression should end before")
        .replace("instances of ", "")
        .replace("template", "expression")
    )
