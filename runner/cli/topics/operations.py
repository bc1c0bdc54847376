"""Resources and operations: the call, what it does, what it takes, and a step that makes it."""

from __future__ import annotations

from collections.abc import Iterator

from runner.catalogue import Catalogue, Operation, Resource
from runner.cli.topics import fields
from runner.cli.topics.examples import example
from runner.cli.topics.layout import Page
from runner.model import Effect

_EFFECTS = {
    Effect.READS: "only reads",
    Effect.WRITES: "changes the tracker",
    Effect.DESTROYS: "destroys: asks first, and needs --yes where nobody can be asked",
}


def resource(found: Resource, catalogue: Catalogue, page: Page) -> None:
    """A resource with its operations, and the names that its only operation takes."""
    page.text(f"{found.name}: {found.description}")
    page.heading("operations")
    page.table([(name, each.description) for name, each in found.operations.items()])
    if len(found.operations) == 1:
        fields.report_names(next(iter(found.operations.values())), catalogue, page)
    page.heading("more")
    page.text(f"keitaro-runner explain {found.name}.{next(iter(found.operations))}", 2)


def operation(found: Operation, catalogue: Catalogue, page: Page) -> None:
    """One operation: all that a step with it may hold, and an example."""
    page.text(f"{found}: {found.description}")
    page.heading("call")
    page.table(_call(found))
    if found.needs_id or found.parameters:
        page.heading("parameters")
        page.entries(_parameters(found))
    if found.body is not None:
        page.heading("body" if found.body_required else "body, may be left out")
        page.entries(fields.rows(found.body))
        if not found.body.get("properties"):
            page.text(found.body.get("description", ""), 2)
    if found.notes:
        page.heading("notes")
        page.items(found.notes)
    fields.report_names(found, catalogue, page)
    page.heading("example")
    page.example(example(found).splitlines())


def _call(found: Operation) -> Iterator[tuple[str, str]]:
    yield "request", f"{found.method} /admin_api/v1{found.path}"
    yield "effect", _EFFECTS[found.effect]
    if found.archives:
        yield "archive", "what is deleted goes to the archive, not for good"
    if found.unbounded:
        field = found.unbounded.get("unless_body")
        yield "no bound", (f"without {field} it " if field else "") + found.unbounded["says"]
    if found.effect is not Effect.READS:
        yield "in doubt", _in_doubt(found)
    if found.downloads:
        yield "answer", "bytes of a file: keep them with save"


def _in_doubt(found: Operation) -> str:
    if found.repeatable:
        return "repeated, since doing it twice does no more than once"
    if found.natural_key:
        return f"looked for by {' and '.join(found.natural_key)}, which is unique"
    return "never repeated by itself: nothing says whether it was done"


def _parameters(found: Operation) -> Iterator[tuple[str, str, str]]:
    if found.needs_id:
        yield "id", "whole number or text; required", "The entity's id, a key of the step itself."
    for parameter in found.parameters.values():
        kind = fields.kind_of(parameter.schema, required=parameter.required)
        yield f"params.{parameter.name}", kind, parameter.description
