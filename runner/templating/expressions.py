"""Expressions: a dotted path is resolved here, everything else by Jinja2 in its sandbox.

A path takes half a microsecond, a compiled Jinja2 expression ten, and Jinja2's import fifty
milliseconds: most expressions are paths, so a playbook of paths never loads it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.model import Json

if TYPE_CHECKING:
    from runner.templating.sandbox import Sandbox

# The longest expression worth writing in a playbook; the bound on memory rests on it too.
MAX_LENGTH = 4_000

# What a path may not name.
_WORDS = frozenset(
    ("and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False", "None")
)
_PATH = re.compile(
    r"\s*([A-Za-z_]\w*)((?:\.[A-Za-z_]\w*|\.\d{1,9}|\[-?\d{1,9}\]|\['[^'\\]*'\]|\[\"[^\"\\]*\"\])*)\s*\Z",
    re.ASCII,
)
_PART = re.compile(r"\.(\w+)|\[(-?\d+)\]|\['([^']*)'\]|\[\"([^\"]*)\"\]", re.ASCII)


class TemplateError(Exception):
    """An expression that cannot be read or has no value: what is wrong, and what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Reference:
    """A name that an expression uses, with the keys behind it as far as they are known.

    `keys` ends before the first part in brackets that is text or computed: what stands in
    brackets is looked up at run time and not checked beforehand. `guarded` is set where the
    expression says itself what holds when the value is missing (`default`, `is defined`).
    """

    root: str
    keys: tuple[str | int, ...] = ()
    guarded: bool = False

    def __str__(self) -> str:
        text = self.root
        for key in self.keys:
            text += f"[{key}]" if isinstance(key, int) else f".{key}"
        return text


class Expression:
    """One expression: its source, what it refers to, and its value in a scope."""

    __slots__ = ("_run", "references", "source")

    def __init__(
        self,
        source: str,
        references: Sequence[Reference],
        run: Callable[[Mapping[str, Any]], Json],
    ) -> None:
        self.source = source
        self.references = tuple(references)
        self._run = run

    def evaluate(self, scope: Mapping[str, Any]) -> Json:
        """The value, a JSON value always. Raises TemplateError."""
        return self._run(scope)


class Templates:
    """Expressions by their source, each parsed once; holds the sandbox, made when first needed.

    `functions` are the names that may be called (see `runner.templating.functions`).
    """

    def __init__(self, functions: Mapping[str, Callable[..., Any]] | None = None) -> None:
        self._functions = dict(functions or {})
        self._known: dict[str, Expression] = {}
        self._sandbox: Sandbox | None = None

    def expression(self, source: str) -> Expression:
        """The expression of that source. Raises TemplateError where it cannot be read."""
        found = self._known.get(source)
        if found is None:
            found = self._known[source] = _path(source) or self._parse(source)
        return found

    def references(self) -> Iterator[Reference]:
        """What all the expressions so far refer to."""
        for expression in self._known.values():
            yield from expression.references

    def sides(self, source: str, scope: Mapping[str, Any]) -> str:
        """Both sides of a comparison, in words, for the message of a condition that is false.

        Empty where the expression is no comparison.
        """
        return self.sandbox.sides(source, scope)

    @property
    def sandbox(self) -> Sandbox:
        """The Jinja2 environment behind everything that is no path."""
        if self._sandbox is None:
            from runner.templating.sandbox import Sandbox  # noqa: PLC0415  (50 ms)

            self._sandbox = Sandbox(self._functions)
        return self._sandbox

    def _parse(self, source: str) -> Expression:
        if not source.strip():
            raise TemplateError("the expression is empty", "write a name, such as inputs.country")
        if len(source) > MAX_LENGTH:
            raise TemplateError(
                f"the expression is longer than {MAX_LENGTH:,} characters",
                "compute parts of it in vars or in a set step",
            )
        return self.sandbox.expression(source)


def _path(source: str) -> Expression | None:
    found = _PATH.match(source)
    if found is None or found.group(1) in _WORDS:
        return None
    root = found.group(1)
    keys: list[str | int] = []
    checked = True
    known: list[str | int] = []
    for dotted, number, single, double in _PART.findall(found.group(2)):
        key: str | int
        if number or dotted.isdigit():
            key = int(number or dotted)
        else:
            key = dotted or single or double
            checked = checked and bool(dotted)
        keys.append(key)
        if checked:
            known.append(key)
    path = tuple(keys)
    return Expression(
        source, (Reference(root, tuple(known)),), lambda scope: _resolve(scope, root, path)
    )


def _resolve(scope: Mapping[str, Any], root: str, path: tuple[str | int, ...]) -> Json:
    try:
        value = scope[root]
        for key in path:
            # A number after a dot is an index of a list, and a key of a mapping.
            value = value[str(key) if type(key) is int and isinstance(value, dict) else key]
    except (KeyError, IndexError, TypeError):
        raise missing(scope, root, path) from None
    return value


def missing(scope: Mapping[str, Any], root: str, path: tuple[str | int, ...] = ()) -> TemplateError:
    """Why a path has no value: the first part that fails, what is there, the nearest name."""
    if root not in scope:
        return TemplateError(f"there is no '{root}' here", _offer(root, list(scope)))
    value, shown = scope[root], root
    for key in path:
        after = f"{shown}[{key}]" if isinstance(key, int) else f"{shown}.{key}"
        if isinstance(value, Mapping):
            name = str(key)
            if name not in value:
                return TemplateError(f"{shown} has no '{name}'", _offer(name, [*map(str, value)]))
            value = value[name]
        elif isinstance(value, list | str) and isinstance(key, int):
            if not -len(value) <= key < len(value):
                parts = "items" if isinstance(value, list) else "characters"
                return TemplateError(
                    f"{shown} has {len(value)} {parts}, so there is no {after}",
                    "guard it with when, or say what holds then with default",
                )
            value = value[key]
        else:
            return TemplateError(
                f"{shown} is {describe(value)}, so it has no '{key}'", _advice(value)
            )
        shown = after
    return TemplateError(f"{shown} cannot be read here")


def explain(
    message: str, scope: Mapping[str, Any], references: Sequence[Reference], known: Container[str]
) -> TemplateError | None:
    """The full story of what Jinja2 says is missing, where it is one of the references."""
    for reference in references:
        root, keys = reference.root, reference.keys
        if root in known and root not in scope:
            continue
        try:
            _resolve(scope, root, keys)
        except TemplateError as error:
            # Another part may be missing too, and never have been asked for.
            name = re.search(r" no '(.*?)'", error.message)
            if name is None or name.group() in message:
                return error
    return None


def _advice(value: Json) -> str:
    if value is None:
        return "guard it with when, or say what holds then with default"
    if isinstance(value, list):
        return "take one item, such as [0], or use for_each"
    return "take this part of the path out"


def _offer(name: str, known: Sequence[str]) -> str:
    near = nearest(name, known)
    if near:
        return f"did you mean '{near}'?"
    shown = sorted(word for word in known if not word.startswith("_"))[:12]
    return f"there is {', '.join(shown)}" if shown else ""


def nearest(name: str, known: Sequence[str]) -> str | None:
    """The known name that was most likely meant, or `None`."""
    folded = {word.lower().replace("_", ""): word for word in known}
    plain = name.lower().replace("_", "").replace("-", "")
    if plain in folded:
        return folded[plain]
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return close[0] if close else None


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    ((int, float), "a number"),
    (str, "text"),
    (Mapping, "a mapping"),
    ((tuple, Iterator), "a list"),
)


def describe(value: Json) -> str:
    """What kind of value this is, with an article, for messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return next((words for kinds, words in _KINDS if isinstance(value, kinds)), "a function")
