"""Turn a playbook document into a plan; never touches the network.

A plan is made of a document that has no errors: everything in it is compiled and looked up, so
that running it does no more than render, send and judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.catalogue import Operation
from runner.errors import ExitCode, RunnerError
from runner.inputs import Inputs
from runner.model import Json, Place
from runner.playbook import Document, Map, Trail, read
from runner.shapes import Shape
from runner.templating import Expression, Renderer, TemplateError, Templates, compile_value
from runner.templating.text import split_text
from runner.validation import Rules
from runner.validation.notes import is_respelled
from runner.wire import Convert, wire_converter

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_REFERENCE = re.compile(r"\bsteps\s*(?:\.\s*|\[\s*['\"])([A-Za-z_]\w*)")


@dataclass(frozen=True, slots=True)
class Condition:
    """An expression that must give true or false, with the place to point at where it does not."""

    source: str
    expression: Expression | None
    constant: bool
    place: Place


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the API, compiled.

    `key` is the step's name, or its place in the list where it has none; `kept` says that a
    later step refers to it, so that its envelope must be kept.
    """

    key: str
    name: str | None
    place: Place
    operation: Operation
    entity: Renderer | None
    params: Renderer
    body: Renderer | None
    shape: Shape | None
    parameter_shapes: Mapping[str, Shape]
    convert: Convert | None
    when: Condition | None
    expect: tuple[Condition, ...]
    on_error: str
    timeout: Renderer | None
    tracker: Renderer | None
    kept: bool

    @property
    def title(self) -> str:
        """The step as lists show it: its name, and what it asks for."""
        return f"{self.key}  {self.operation}"


@dataclass(frozen=True, slots=True)
class Plan:
    """A playbook that can run: its steps in order, its inputs, its vars still to be computed."""

    name: str
    file: str
    fingerprint: str
    steps: tuple[Call, ...]
    inputs: Inputs
    variables: Mapping[str, Renderer]
    document: Document = field(repr=False)
    templates: Templates = field(repr=False)


def build(document: Document, rules: Rules, inputs: Inputs) -> Plan:
    """The plan of a document that `validation.check` found no error in."""
    templates = Templates()
    data = document.data
    return Plan(
        name=str(data.get("name") or document.file),
        file=document.file,
        fingerprint=document.fingerprint(),
        steps=tuple(_Builder(document, rules, templates).calls()),
        inputs=inputs,
        variables={
            name: compile_value(value, templates)
            for name, value in (data.get("vars") or {}).items()
        },
        document=document,
        templates=templates,
    )


class _Builder:
    """Compiles the steps of one document."""

    def __init__(self, document: Document, rules: Rules, templates: Templates) -> None:
        self._document = document
        self._rules = rules
        self._templates = templates
        self._defaults = document.data.get("defaults") or {}
        self._referenced = frozenset(_REFERENCE.findall(document.text))

    def calls(self) -> Iterator[Call]:
        """The steps, in order."""
        for index, step in enumerate(self._document.data["steps"]):
            yield self._call(step, ("steps", index))

    def _call(self, step: Map, trail: Trail) -> Call:
        operation = self._rules.catalogue.operation(step["resource"], step["operation"])
        if operation is None:
            raise TypeError("a plan was asked of a document that was not checked")
        name = step.get("name")
        body_shape = operation.body and self._rules.shape(
            (str(operation), "body"), operation.body, templated=False
        )
        timeout = step.get("timeout", self._defaults.get("timeout"))
        tracker = step.get("tracker", self._defaults.get("tracker"))
        return Call(
            key=name or f"steps[{trail[1]}]",
            name=name,
            place=self._document.place(self._document.offset(trail)),
            operation=operation,
            entity=self._compile(step["id"]) if "id" in step else None,
            params=self._compile(step.get("params") or {}),
            body=self._body(step, trail, operation),
            shape=body_shape or None,
            parameter_shapes={
                key: self._rules.shape((str(operation), f"params.{key}"), p.schema, templated=False)
                for key, p in operation.parameters.items()
            },
            convert=wire_converter(operation.body),
            when=self._condition(step["when"], (*trail, "when")) if "when" in step else None,
            expect=tuple(self._expect(step, trail)),
            on_error=step.get("on_error", self._defaults.get("on_error", "stop")),
            timeout=None if timeout is None else self._compile(timeout),
            tracker=None if tracker is None else self._compile(tracker),
            kept=name in self._referenced,
        )

    def _compile(self, value: Json) -> Renderer:
        return compile_value(value, self._templates)

    def _expect(self, step: Map, trail: Trail) -> Iterator[Condition]:
        expected = step.get("expect", [])
        if not isinstance(expected, list):
            yield self._condition(expected, (*trail, "expect"))
            return
        for index, value in enumerate(expected):
            yield self._condition(value, (*trail, "expect", index))

    def _condition(self, value: Json, trail: Trail) -> Condition:
        place = self._document.place(self._document.offset(trail))
        if isinstance(value, bool):
            return Condition(str(value).lower(), None, value, place)
        source = split_text(value)[0].text.strip()
        return Condition(source, self._templates.expression(source), False, place)

    def _body(self, step: Map, trail: Trail, operation: Operation) -> Renderer | None:
        if operation.body is None or not ("body" in step or "body_file" in step):
            return None
        templated = step.get("raw") is not True
        shape = self._rules.shape((str(operation), "body"), operation.body, templated=templated)
        if "body" in step:
            body = _respelled(step["body"], self._document, (*trail, "body"), shape)
        else:
            document = self._read_body(step["body_file"])
            body = _respelled(document.data, document, (), shape)
        return self._compile(body) if templated else _Raw(body)

    def _read_body(self, name: str) -> Document:
        folder = self._document.folder
        document = read(folder / name if folder else name)
        if document.broken:
            first = document.problems[0]
            raise RunnerError(f"{first.place}: {first.message}", first.hint, code=ExitCode.INVALID)
        return document


class _Raw:
    """A body that is sent as it is written, expressions and all."""

    __slots__ = ("_body",)

    def __init__(self, body: Json) -> None:
        self._body = body

    def render(self, scope: Mapping[str, Json]) -> Json:  # noqa: ARG002
        return self._body


def _respelled(body: Json, document: Document, trail: Trail, shape: Shape) -> Json:
    """The body with numbers turned to the text as typed where the API wants text."""
    for mismatch in shape.mismatches(body):
        path = (*trail, *mismatch.trail)
        if is_respelled(mismatch, document, path):
            body = _replaced(body, mismatch.trail, document.spelling(path))
    return body


def _replaced(value: Json, trail: Trail, new: Json) -> Json:
    """A copy of a value with one part replaced; the document itself is never changed."""
    if not trail:
        return new
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[trail[0]] = _replaced(value[trail[0]], trail[1:], new)
    return copy


def seconds(value: Json) -> float:
    """A time as seconds: a number, or a text such as `500ms`, `30s`, `5m`. Raises TemplateError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)", value) if isinstance(value, str) else None
    amount = float(found[1]) * _SECONDS[found[2]] if found else value
    if isinstance(amount, bool) or not isinstance(amount, int | float) or amount <= 0:
        raise TemplateError(f"{value!r} is no time", "write seconds, or a time such as 30s or 5m")
    return float(amount)
