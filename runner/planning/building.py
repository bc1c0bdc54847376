"""A document that has no errors to a plan: expressions compiled, operations looked up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from runner.catalogue import Operation
from runner.errors import ExitCode, RunnerError
from runner.inputs import Inputs
from runner.model import Json
from runner.planning.plan import (
    Block,
    Call,
    Condition,
    Include,
    Loop,
    Needs,
    Plan,
    Save,
    SetValues,
    Step,
    Until,
    Work,
    kept,
)
from runner.playbook import Document, Map, Trail, read
from runner.shapes import Shape
from runner.templating import (
    Constant,
    Lenience,
    Renderer,
    TemplateError,
    Templates,
    Unknown,
    compile_value,
)
from runner.templating.functions import row_reader, standard
from runner.templating.text import OPEN, split_text
from runner.validation import Rules
from runner.validation.files import file_trouble
from runner.validation.notes import is_respelled
from runner.validation.steps import kind_of
from runner.wire import wire_converter

DEFAULT_RETRIES = 4
DEFAULT_ATTEMPTS = 12
DEFAULT_EVERY = 5


def build(document: Document, rules: Rules, inputs: Inputs, started: datetime) -> Plan:
    """The plan of a document that `validation.check` found no error in.

    Raises RunnerError where a file that the playbook names can no longer be read.
    """
    return _plan(document, rules, inputs, started, document.folder)


def _plan(
    document: Document, rules: Rules, inputs: Inputs, started: datetime, root: Path | None
) -> Plan:
    functions = standard(document.folder, root, lambda: started)
    templates = Templates(functions, row_reader(document.folder, root))
    builder = _Builder(document, rules, templates, started, root)
    data = document.data
    steps = builder.steps(data["steps"], ("steps",))
    last = builder.steps(data.get("finally") or [], ("finally",))
    variables, outputs = builder.renderers(data.get("vars")), builder.renderers(data.get("outputs"))
    return Plan(
        name=str(data.get("name") or document.file),
        file=document.file,
        fingerprint=document.fingerprint(),
        steps=steps,
        last=last,
        inputs=inputs,
        variables=variables,
        outputs=outputs,
        started=started,
        kept=kept(templates.references(), (*steps, *last)),
        document=document,
        templates=templates,
    )


class _Builder:
    """Compiles the steps of one document."""

    def __init__(
        self,
        document: Document,
        rules: Rules,
        templates: Templates,
        started: datetime,
        root: Path | None,
    ) -> None:
        self._document = document
        self._rules = rules
        self._templates = templates
        self._started = started
        self._root = root
        self._known: dict[str, Needs] = {}
        self._defaults = document.data.get("defaults") or {}

    def renderers(self, values: Mapping[str, Json] | None) -> dict[str, Renderer]:
        """A renderer for each of the named values."""
        return {name: self._compile(value) for name, value in (values or {}).items()}

    def steps(self, steps: Iterable[Map], trail: Trail) -> tuple[Step, ...]:
        """The steps of a list, in order."""
        return tuple(self._step(step, (*trail, index)) for index, step in enumerate(steps))

    def _step(self, step: Map, trail: Trail) -> Step:
        name = step.get("name")
        label = name or f"{trail[-2]}[{trail[-1]}]"
        loop = self._loop(step) if "for_each" in step else None
        when = self._condition(step["when"], (*trail, "when")) if "when" in step else None
        return Step(
            label=label,
            name=name,
            place=self._document.place(self._document.offset(trail), 1),
            when=when,
            when_each=loop is not None and _asks_about(when, {loop.name, "index"}),
            loop=loop,
            on_error=step.get("on_error", self._defaults.get("on_error", "stop")),
            work=self._work(step, trail),
        )

    def _work(self, step: Map, trail: Trail) -> Work:
        kind = kind_of(step)
        if kind == "block":
            return Block(self.steps(step["steps"], (*trail, "steps")))
        if kind == "include":
            return self._include(step)
        if kind == "set":
            values = self._compile(step["set"])
            return SetValues(values, self._expect(step, trail), self._save(step))
        return self._call(step, trail)

    def _loop(self, step: Map) -> Loop:
        return Loop(
            items=self._compile(step["for_each"]),
            name=step.get("as", "item"),
            concurrency=self._compile(step.get("concurrency", 1)),
        )

    def _include(self, step: Map) -> Include:
        document = self._read(step["include"])
        plan = _plan(document, self._rules, Inputs({}), self._started, self._root)
        return Include(
            plan=plan,
            declared=document.data.get("inputs") or {},
            inputs=self._compile(step.get("inputs") or {}),
            tracker=self._optional(step.get("tracker")),
        )

    def _call(self, step: Map, trail: Trail) -> Call:
        operation = self._rules.catalogue.operation(step["resource"], step["operation"])
        if operation is None:
            raise TypeError("a plan was asked of a document that was not checked")
        return Call(
            operation=operation,
            entity=self._optional(step.get("id")),
            params=self._params(step, trail, operation),
            body=self._body(step, trail, operation),
            body_fields=_fields(step.get("body")),
            needs=self._needs(operation),
            expect=self._expect(step, trail),
            until=self._until(step, trail),
            retries=self._retries(step),
            timeout=self._optional(step.get("timeout", self._defaults.get("timeout"))),
            tracker=self._optional(step.get("tracker", self._defaults.get("tracker"))),
            save=self._save(step),
            cache=step.get("cache") is True,
        )

    def _params(self, step: Map, trail: Trail, operation: Operation) -> Renderer:
        params = step.get("params") or {}
        if params and isinstance(params, Map):
            properties = {name: p.schema for name, p in operation.parameters.items()}
            key, schema = (str(operation), "params"), {"properties": properties}
            shape = self._rules.shape(key, schema)
            params = _respelled(params, self._document, (*trail, "params"), shape)
        return self._compile(params)

    def _needs(self, operation: Operation) -> Needs:
        """What every call of an operation is checked against; made once an operation."""
        key = str(operation)
        if key not in self._known:
            shape = self._rules.shape
            self._known[key] = Needs(
                body=None
                if operation.body is None
                else shape((key, "body"), operation.body, templated=False),
                params={
                    name: shape((key, f"params.{name}"), parameter.schema, templated=False)
                    for name, parameter in operation.parameters.items()
                },
                convert=wire_converter(operation.body),
                shown_by=self._shown_by(operation),
            )
        return self._known[key]

    def _shown_by(self, operation: Operation) -> Operation | None:
        if operation.body is None or not operation.needs_id:
            return None
        reads = self._rules.catalogue.operation(operation.resource, "get")
        return reads if reads is not None and reads.path == operation.path else None

    def _retries(self, step: Map) -> int:
        given = step.get("retry", self._defaults.get("retry", DEFAULT_RETRIES))
        return DEFAULT_RETRIES if given is True else int(given)

    def _compile(self, value: Json) -> Renderer:
        return compile_value(value, self._templates)

    def _optional(self, value: Json) -> Renderer | None:
        return None if value is None else self._compile(value)

    # -- conditions and what follows the answer ---------------------------------------------------

    def _expect(self, step: Map, trail: Trail) -> tuple[Condition, ...]:
        expected = step.get("expect", [])
        if not isinstance(expected, list):
            return (self._condition(expected, (*trail, "expect")),)
        return tuple(self._condition(v, (*trail, "expect", n)) for n, v in enumerate(expected))

    def _condition(self, value: Json, trail: Trail) -> Condition:
        place = self._document.place(self._document.offset(trail), 1)
        if isinstance(value, bool):
            return Condition(str(value).lower(), None, value, place)
        source = split_text(value)[0].text
        return Condition(source.strip(), self._templates.expression(source), False, place)

    def _until(self, step: Map, trail: Trail) -> Until | None:
        if "until" not in step:
            return None
        return Until(
            self._condition(step["until"], (*trail, "until")),
            self._compile(step.get("every", DEFAULT_EVERY)),
            step.get("attempts", DEFAULT_ATTEMPTS),
        )

    def _save(self, step: Map) -> Save | None:
        if "save" not in step:
            return None
        save = step["save"]
        if isinstance(save, str):
            save = {"to": save}
        return Save(
            to=self._compile(save["to"]),
            value=self._compile(save["value"]) if "value" in save else None,
            form=save.get("format"),
            columns=tuple(save.get("columns", ())),
        )

    # -- bodies ---------------------------------------------------------------------------------

    def _body(self, step: Map, trail: Trail, operation: Operation) -> Renderer | None:
        if operation.body is None or not ("body" in step or "body_file" in step):
            return None
        raw = step.get("raw") is True
        shape = self._rules.shape((str(operation), "body"), operation.body, templated=not raw)
        if "body" in step:
            body = _respelled(step["body"], self._document, (*trail, "body"), shape)
        elif OPEN in step["body_file"]:
            if not raw:  # what that file refers to is seen when it is read
                self._templates.expression("steps")
            return _BodyFile(self._compile(step["body_file"]), self, shape, raw=raw)
        else:
            body = self._file_body(step["body_file"], shape)
        return Constant(body) if raw else self._compile(body)

    def _file_body(self, name: str, shape: Shape) -> Json:
        document = self._read(name, body=True)
        return _respelled(document.data, document, (), shape)

    def late_body(self, name: Json, shape: Shape, *, raw: bool) -> Renderer:
        """The body in a file whose name is known only while the playbook runs."""
        folder = self._document.folder or Path.cwd()
        trouble = file_trouble(folder, str(name), self._root)
        if trouble:
            raise TemplateError(*trouble)
        try:
            body = self._file_body(str(name), shape)
        except RunnerError as error:
            raise TemplateError(error.message, error.hint) from error
        return Constant(body) if raw else self._compile(body)

    def _read(self, name: str, *, body: bool = False) -> Document:
        folder = self._document.folder
        path = folder / name if folder else name
        document = read(path, self._document.beside(name), body=body)
        if document.broken:
            first = document.problems[0]
            raise RunnerError(f"{first.place}: {first.message}", first.hint, code=ExitCode.INVALID)
        return document


class _BodyFile:
    """A body from a file whose name is an expression."""

    __slots__ = ("_builder", "_name", "_raw", "_shape")

    def __init__(self, name: Renderer, builder: _Builder, shape: Shape, *, raw: bool) -> None:
        self._name = name
        self._builder = builder
        self._shape = shape
        self._raw = raw

    def render(self, scope: Mapping[str, Any]) -> Json:
        name = self._name.render(scope)
        return self._builder.late_body(name, self._shape, raw=self._raw).render(scope)

    def sketch(self, scope: Mapping[str, Any], lenience: Lenience) -> Json:
        name = self._name.sketch(scope, lenience)
        if isinstance(name, Unknown):
            return name
        body = self._builder.late_body(name, self._shape, raw=self._raw)
        return body.sketch(scope, lenience)


def _fields(body: Json) -> frozenset[str]:
    return frozenset(body) if isinstance(body, Mapping) else frozenset()


def _asks_about(when: Condition | None, names: set[str]) -> bool:
    if when is None or when.expression is None:
        return False
    return any(reference.root in names for reference in when.expression.references)


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
