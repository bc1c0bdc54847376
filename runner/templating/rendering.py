"""Data with expressions in it to data: compiled once, rendered as often as needed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from runner.model import Json
from runner.templating.expressions import Expression, Lenience, TemplateError, describe
from runner.templating.templates import Templates
from runner.templating.text import OPEN, UnclosedError, split_text
from runner.templating.unknown import Unknown, UnknownError, refuse_unknown, written


def sketched(expression: Expression, scope: Mapping[str, Any], lenience: Lenience) -> Json:
    """The value of an expression, or an `Unknown` that says how it is written.

    That is so too where it cannot be evaluated and is excused. Raises TemplateError.
    """
    if lenience.hides(expression):
        return written(expression.source)
    try:
        value = expression.evaluate(scope)
    except UnknownError:
        return written(expression.source)
    except TemplateError:
        if lenience.excuses(expression, scope):
            return written(expression.source)
        raise
    return written(expression.source) if isinstance(value, Unknown) else value


class Renderer(Protocol):
    """Something that has a value in a scope."""

    def render(self, scope: Mapping[str, Any]) -> Json:
        """The value. Raises TemplateError, and UnknownError where it cannot be known."""
        ...

    def sketch(self, scope: Mapping[str, Any], lenience: Lenience) -> Json:
        """As `render`, with an `Unknown` for each part that is not known, as `sketched` has it."""
        ...


class Constant:
    """A value without expressions, or whose expressions are not to be read."""

    __slots__ = ("value",)

    def __init__(self, value: Json) -> None:
        self.value = value

    def render(self, scope: Mapping[str, Any]) -> Json:  # noqa: ARG002
        """The value."""
        return self.value

    def sketch(self, scope: Mapping[str, Any], lenience: Lenience) -> Json:  # noqa: ARG002
        """The value."""
        return self.value


class _Whole:
    """A value that is one expression keeps its type: an id stays a number."""

    __slots__ = ("expression",)

    def __init__(self, expression: Expression) -> None:
        self.expression = expression

    def render(self, scope: Mapping[str, Any]) -> Json:
        return self.expression.evaluate(scope)

    def sketch(self, scope: Mapping[str, Any], lenience: Lenience) -> Json:
        return sketched(self.expression, scope, lenience)


def roots_of(renderer: Renderer) -> frozenset[str] | None:
    """The names that a value is made of, where it is one expression or none; else `None`."""
    if isinstance(renderer, Constant):
        return frozenset()
    if isinstance(renderer, _Whole):
        return frozenset(part.root for part in renderer.expression.references)
    return None


class _Mixed:
    """Text with expressions in it is text, and is never parsed again."""

    __slots__ = ("parts",)

    def __init__(self, parts: list[str | Expression]) -> None:
        self.parts = parts

    def render(self, scope: Mapping[str, Any]) -> Json:
        return "".join(
            part if isinstance(part, str) else as_text(part.evaluate(scope), part.source)
            for part in self.parts
        )

    def sketch(self, scope: Mapping[str, Any], lenience: Lenience) -> Json:
        parts, known = [], True
        for part in self.parts:
            if isinstance(part, str):
                parts.append(part)
                continue
            value = sketched(part, scope, lenience)
            known = known and not isinstance(value, Unknown)
            parts.append(
                value.source if isinstance(value, Unknown) else as_text(value, part.source)
            )
        return "".join(parts) if known else Unknown("".join(parts))


class _Mapping:
    __slots__ = ("items",)

    def __init__(self, items: list[tuple[str, Renderer]]) -> None:
        self.items = items

    def render(self, scope: Mapping[str, Any]) -> Json:
        at = ""
        try:
            return {(at := key): part.render(scope) for key, part in self.items}
        except TemplateError as error:
            error.trail = (at, *error.trail)
            raise

    def sketch(self, scope: Mapping[str, Any], lenience: Lenience) -> Json:
        at = ""
        try:
            return {(at := key): part.sketch(scope, lenience) for key, part in self.items}
        except TemplateError as error:
            error.trail = (at, *error.trail)
            raise


class _List:
    __slots__ = ("items",)

    def __init__(self, items: list[Renderer]) -> None:
        self.items = items

    def render(self, scope: Mapping[str, Any]) -> Json:
        done: list[Json] = []
        try:
            for part in self.items:
                done.append(part.render(scope))
        except TemplateError as error:
            error.trail = (len(done), *error.trail)
            raise
        return done

    def sketch(self, scope: Mapping[str, Any], lenience: Lenience) -> Json:
        done: list[Json] = []
        try:
            for part in self.items:
                done.append(part.sketch(scope, lenience))
        except TemplateError as error:
            error.trail = (len(done), *error.trail)
            raise
        return done


def items_of(renderer: Renderer, scope: Mapping[str, Any]) -> Json | Sequence[int]:
    """The value to go through once, as `Expression.items` gives it. Raises TemplateError."""
    if isinstance(renderer, _Whole):
        return renderer.expression.items(scope)
    return renderer.render(scope)


def compile_value(value: Json, templates: Templates) -> Renderer:
    """A renderer for any JSON value. Raises TemplateError where an expression cannot be read."""
    if isinstance(value, str):
        return _compile_text(value, templates) if OPEN in value else Constant(value)
    if _is_constant(value):
        return Constant(_plain(value))
    if isinstance(value, dict):
        return _Mapping([(key, compile_value(part, templates)) for key, part in value.items()])
    return _List([compile_value(part, templates) for part in value])


def _is_constant(value: Json) -> bool:
    """Whether there is no expression in a value; loops cost less than generators."""
    if isinstance(value, str):
        return OPEN not in value
    if isinstance(value, dict):
        for part in value.values():
            if isinstance(part, str | dict | list) and not _is_constant(part):
                return False
    elif isinstance(value, list):
        for part in value:
            if isinstance(part, str | dict | list) and not _is_constant(part):
                return False
    return True


def _plain(value: Json) -> Json:
    """The value in plain mappings and lists."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return value


def _compile_text(text: str, templates: Templates) -> Renderer:
    try:
        segments = split_text(text)
    except UnclosedError as error:
        raise TemplateError(str(error), "close it with '}}', and check the quotes in it") from error
    if len(segments) == 1:
        only = segments[0]
        return _Whole(templates.expression(only.text)) if only.code else Constant(only.text)
    return _Mixed([templates.expression(s.text) if s.code else s.text for s in segments])


def as_text(value: Json, source: str = "") -> str:
    """A value inside a text. Raises TemplateError for null, lists and mappings.

    Those have no spelling that could not surprise: what to write is for the playbook to say.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    refuse_unknown(value)
    where = f"{source.strip()} is {describe(value)}"
    if value is None:
        raise TemplateError(f"{where}, inside a text", "say what to write: | default('', true)")
    raise TemplateError(f"{where}, inside a text", "join its items, or write | tojson")
