"""All expressions of a playbook: the simple ones are resolved here, all others by Jinja2.

A path takes half a microsecond. What Jinja2 has parsed takes three or more, parsing it two hundred,
and Jinja2's import fifty milliseconds: most expressions are paths and comparisons of them, and a
playbook that has no others never loads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runner.model import Json
from runner.templating.expressions import Expression, Reference, TemplateError
from runner.templating.quick import comparison, count, path, rows

if TYPE_CHECKING:
    from runner.templating.sandbox import Sandbox

# The longest expression worth writing in a playbook; the bound on memory rests on it too.
MAX_LENGTH = 4_000


class Templates:
    """Expressions by their source, each parsed once; holds the sandbox, made when first needed.

    `functions` are the names that may be called, `read_rows` what gives the rows of a CSV file one
    by one (see `runner.templating.functions`).
    """

    def __init__(
        self,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        read_rows: Callable[[str, str], Sequence[Json]] | None = None,
    ) -> None:
        self._functions = dict(functions or {})
        self._read_rows = read_rows
        self._known: dict[str, Expression] = {}
        self._parsed: dict[str, Expression] = {}
        self._sandbox: Sandbox | None = None

    def expression(self, source: str) -> Expression:
        """The expression of that source. Raises TemplateError where it cannot be read."""
        found = self._known.get(source)
        if found is None:
            found = self._known[source] = self._make(source)
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

    def _make(self, source: str) -> Expression:
        if len(source) > MAX_LENGTH:
            raise TemplateError(
                f"the expression is longer than {MAX_LENGTH:,} characters",
                "compute parts of it in vars or in a set step",
            )
        found = path(source) or comparison(source, self._careful) or count(source, self._careful)
        if found is None and self._read_rows is not None:
            found = rows(source, self._careful, self._read_rows)
        return found or self._parse(source)

    def _careful(self, source: str) -> Expression:
        """What Jinja2 makes of a source that was resolved here as far as that goes."""
        if source not in self._parsed:
            self._parsed[source] = self._parse(source)
        return self._parsed[source]

    def _parse(self, source: str) -> Expression:
        if not source.strip():
            raise TemplateError("the expression is empty", "write a name, such as inputs.country")
        return self.sandbox.expression(source)
