"""Expressions that are a path, a comparison of two sides, or a count, without Jinja2."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

from runner.model import Json
from runner.templating.arithmetic import MAX_REPEAT
from runner.templating.expressions import Expression, Reference, TemplateError, describe, nearest

# What a path may not begin with.
_WORDS = frozenset(
    ("and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False", "None")
)
_DOTTED = (
    r"[A-Za-z_]\w*"
    r"(?:\.[A-Za-z_]\w*|\.\d{1,9}|\[-?\d{1,9}\]|\['[^'\\]*'\]|\[\"[^\"\\]*\"\])*"
)
_PATH = re.compile(rf"\s*({_DOTTED})\s*\Z", re.ASCII)
_PART = re.compile(r"\.(\w+)|\[(-?\d+)\]|\['([^']*)'\]|\[\"([^\"]*)\"\]", re.ASCII)

_TEXT = r"'[^'\\\n]*'|\"[^\"\\\n]*\""
_WRITTEN = rf"-?(?:0|[1-9]\d{{0,14}})(?:\.\d{{1,15}})?|{_TEXT}"
_SIDE = rf"({_WRITTEN})|({_DOTTED})(?:\s*\|\s*(length))?"
_COMPARISON = re.compile(rf"\s*(?:{_SIDE})\s*([=!<>]=|[<>])\s*(?:{_SIDE})\s*\Z", re.ASCII)
_BOUND = rf"\s*(-?(?:0|[1-9]\d{{0,14}})|{_DOTTED})\s*"
_COUNT = re.compile(rf"\s*range\s*\({_BOUND}(?:,{_BOUND})?(?:,{_BOUND})?\)\s*\Z", re.ASCII)
_ROWS = re.compile(
    rf"\s*csv\s*\(\s*(?:({_TEXT})|({_DOTTED}))\s*(?:,\s*(?:delimiter\s*=\s*)?({_TEXT})\s*)?\)\s*\Z",
    re.ASCII,
)
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt,
    "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_CONSTANTS: Mapping[str, Json] = {
    "true": True, "True": True, "false": False, "False": False, "none": None, "None": None
}  # fmt: skip
_SCALARS = frozenset({str, int, float, bool, type(None)})

Keys = tuple[str | int, ...]
Run = Callable[[Mapping[str, Any]], Json]


def path(source: str) -> Expression | None:
    """The expression, where it is `steps.x.data.id` and its like, and nothing more."""
    found = _PATH.match(source)
    if found is None or _root(found[1]) in _WORDS:
        return None
    reference, keys = _read_path(found[1])
    root = reference.root
    return Expression(source, (reference,), lambda scope: _resolve(scope, root, keys))


def comparison(source: str, careful: Callable[[str], Expression]) -> Expression | None:
    """The expression, where it compares paths, their lengths, numbers and texts with each other.

    Only what is certain is answered here: where a side is missing, or is no scalar, the
    expression that `careful` gives has the answer, or the words for what is wrong.
    """
    found = _COMPARISON.match(source)
    if found is None:
        return None
    one, other = _side(*found.group(1, 2, 3)), _side(*found.group(5, 6, 7))
    if one is None or other is None:
        return None
    (left, *named), (right, *also) = one, other
    compare = _OPERATORS[found[4]]

    def run(scope: Mapping[str, Any]) -> Json:
        try:
            first, second = left(scope), right(scope)
            if type(first) in _SCALARS and type(second) in _SCALARS:
                return compare(first, second)
        except (TemplateError, TypeError):
            pass  # which the careful way says in full
        return careful(source).evaluate(scope)

    return Expression(source, [part for part in (*named, *also) if part is not None], run)


def count(source: str, careful: Callable[[str], Expression]) -> Expression | None:
    """The expression, where it is `range(…)` of paths and whole numbers, and nothing more.

    As `comparison` does, it leaves to `careful` what is not certain.
    """
    found = _COUNT.match(source)
    sides = [_side(*_split(text), None) for text in found.groups() if text] if found else []
    if not sides or None in sides:
        return None
    bounds = [side for side in sides if side is not None]

    def items(scope: Mapping[str, Any]) -> Any:
        if "range" not in scope:  # which somebody may call an item of theirs
            try:
                values = [bound(scope) for bound, _ in bounds]
                numbers = range(*values) if all(type(v) is int for v in values) else None
                if numbers is not None and len(numbers) <= MAX_REPEAT:
                    return numbers
            except (TemplateError, ValueError, OverflowError):
                pass  # which the careful way says in full
        return careful(source).evaluate(scope)

    references = [reference for _, reference in bounds if reference is not None]
    return Expression(source, references, lambda scope: list(items(scope)), items)


def rows(
    source: str, careful: Callable[[str], Expression], read: Callable[[str, str], Sequence[Json]]
) -> Expression | None:
    """The expression, where it is `csv(…)` of a file that is named, and nothing more.

    To be gone through once the rows need not be there all at once. All else is for `careful`.
    """
    found = _ROWS.match(source)
    side = _side(found[1], found[2], None) if found else None
    if found is None or side is None:
        return None
    name, reference = side
    delimiter = found[3][1:-1] if found[3] else ","

    def items(scope: Mapping[str, Any]) -> Any:
        if "csv" not in scope:  # which somebody may call an item of theirs
            try:
                return read(name(scope), delimiter)
            except (TemplateError, ValueError, TypeError):
                pass  # which the careful way says in full
        return careful(source).evaluate(scope)

    def run(scope: Mapping[str, Any]) -> Json:
        return careful(source).evaluate(scope)

    return Expression(source, [reference] if reference else [], run, items)


def named_rows(source: str) -> tuple[str, str] | None:
    """The file and the delimiter of an expression that is `csv(…)`, where they are written out."""
    found = _ROWS.match(source)
    if found is None or not found[1] or found[1][0] not in "'\"":
        return None
    return found[1][1:-1], found[3][1:-1] if found[3] else ","


def _split(text: str) -> tuple[str | None, str | None]:
    """What is written, or else a path."""
    return (text, None) if text.lstrip("-").isdigit() else (None, text)


def _side(written: str | None, dotted: str | None, length: str | None) -> tuple[Run, Any] | None:
    """What gives one side of a comparison its value, and what it refers to."""
    if written is not None:
        return _constant(written[1:-1] if written[0] in "'\"" else json.loads(written)), None
    if dotted is None:
        return None
    if _root(dotted) in _WORDS:
        if dotted not in _CONSTANTS or length:
            return None
        return _constant(_CONSTANTS[dotted]), None
    reference, keys = _read_path(dotted)
    name = reference.root
    if length:
        return (lambda scope: _length(_resolve(scope, name, keys))), reference
    return (lambda scope: _resolve(scope, name, keys)), reference


def _constant(value: Json) -> Run:
    return lambda _scope: value


def _length(value: Json) -> int:
    if isinstance(value, list | dict | str):
        return len(value)
    raise TypeError("it has no length")


def _root(dotted: str) -> str:
    return dotted.partition(".")[0].partition("[")[0]


def _read_path(text: str) -> tuple[Reference, Keys]:
    """A dotted path as a reference, and all of its keys."""
    root = _root(text)
    keys: list[str | int] = []
    known: list[str | int] = []
    checked = True
    for dotted, number, single, double in _PART.findall(text[len(root) :]):
        key: str | int
        if number or dotted.isdigit():
            key = int(number or dotted)
        else:
            key = dotted or single or double
            checked = checked and bool(dotted)
        keys.append(key)
        if checked:
            known.append(key)
    return Reference(root, tuple(known)), tuple(keys)


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
                parts = "item" if isinstance(value, list) else "character"
                parts += "s" * (len(value) != 1)
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
