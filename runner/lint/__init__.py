"""What Keitaro accepts and should not, told before it is sent; names no resource, sends nothing.

Rules about a body are data: `schemas/lint.json` says which rule looks at which field of which
operation, and the schemas' own `x-replaces` and `x-secret` say the rest. Rules about a step or
about the document as a whole are functions in the tables below. A value that is an expression is
passed over: what it will be is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from runner.catalogue import Catalogue, Operation
from runner.lint import countries, lists, periods, repeats, reports, secrets, streams
from runner.lint.finding import Body, Finding, Memory, Rule
from runner.lint.hooks import Hooks, Node, visit
from runner.lint.steps import Visit, steps_of
from runner.model import Problem
from runner.playbook import Document, Map

__all__ = ["Linter", "hide_secrets"]

hide_secrets = secrets.hide

# The rules that a field of a body can have, by the name that the data gives them.
FIELD_RULES: dict[str, Rule] = {
    "shares": lists.shares,
    "unique": lists.unique,
    "x-replaces": lists.replaces,
    "country": countries.country,
    "countries": countries.countries,
    "stated": streams.stated,
    "single": streams.single,
    "name": reports.name,
    "operator": reports.operator,
    "interval": reports.interval,
    "compared": reports.compared,
    "period": periods.period,
    "dialects": reports.dialects,
    "bounded": reports.bounded,
    "x-secret": secrets.field,
}

# The rules about a step, whatever its body.
STEP_RULES: tuple[Callable[[Visit, Operation | None], Iterator[Finding]], ...] = (
    repeats.doubled,
    secrets.of_step,
)


class Linter:
    """Lints documents; made once, whatever their number."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._hooks = Hooks(FIELD_RULES)

    def check(
        self, document: Document, read_body: Callable[[str], Document | None]
    ) -> list[Problem]:
        """All that lint finds in a document; `read_body` reads a file that a step names."""
        data = document.data
        if not isinstance(data, Map):
            return []
        found = [_problem(document, finding) for finding in secrets.of_document(document)]
        memory = Memory(self._catalogue, suspicious=secrets.may_hold_key(document.text))
        for visited in steps_of(data):
            operation = self._operation(visited.step)
            for rule in STEP_RULES:
                found += [_problem(document, finding) for finding in rule(visited, operation)]
            if operation is not None:
                found += self._body(document, visited, operation, memory, read_body)
        return found

    def _operation(self, step: Map) -> Operation | None:
        resource, name = step.get("resource"), step.get("operation")
        if not isinstance(resource, str) or not isinstance(name, str):
            return None
        return self._catalogue.operation(resource, name)

    def _body(
        self,
        document: Document,
        visited: Visit,
        operation: Operation,
        memory: Memory,
        read_body: Callable[[str], Document | None],
    ) -> Iterator[Problem]:
        node = self._hooks.of(operation)
        if node is None and not memory.suspicious:
            return
        step, trail = visited.step, (*visited.trail, "body")
        if "body" in step:
            value = step["body"]
        elif isinstance(step.get("body_file"), str):
            inner = read_body(step["body_file"])
            if inner is None:
                return
            document, value, trail = inner, inner.data, ()
        else:
            return
        body = Body(visited, operation, document, trail, memory)
        for finding in _look(node, value, body):
            yield _problem(document, finding)


def _look(node: Node | None, value: object, body: Body) -> Iterator[Finding]:
    if node is not None:
        yield from visit(node, value, body.trail, body)
    if body.memory.suspicious:
        yield from secrets.in_body(value, body)


def _problem(document: Document, finding: Finding) -> Problem:
    return document.problem(
        finding.code,
        finding.message,
        finding.hint,
        path=finding.path,
        key=finding.key,
        severity=finding.severity,
    )
