"""Problems noted at their place: mismatches of a schema, and expressions inside a value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from runner.model import Json, Severity
from runner.playbook import Document, Trail
from runner.shapes import Mismatch, Shape
from runner.templating import Expression, Reference, TemplateError, Templates, split_text
from runner.templating.text import OPEN, Segment, UnclosedError, is_whole, without_dollar
from runner.validation.names import Names

_CODES = {"additionalProperties": "02", "required": "03"}


class Notes:
    """Where the problems of one document are noted."""

    def __init__(self, document: Document, templates: Templates) -> None:
        self.document = document
        self.templates = templates

    def add(
        self,
        code: str,
        message: str,
        hint: str = "",
        *,
        path: Trail = (),
        key: bool = False,
        offset: int | None = None,
        length: int | None = None,
        severity: Severity = Severity.ERROR,
    ) -> None:
        """Note a problem at a path of the document, or at an offset where that says more."""
        self.document.problems.append(
            self.document.problem(
                code,
                message,
                hint,
                path=path,
                key=key,
                offset=offset,
                length=length,
                severity=severity,
            )
        )

    def mismatches(
        self, shape: Shape, value: Json, trail: Trail, family: str = "KP2"
    ) -> list[Mismatch]:
        """Note all that a value does wrong by its shape; give what was noted."""
        found = []
        for mismatch in shape.mismatches(value):
            if self._respelled(mismatch, trail):
                continue
            found.append(mismatch)
            code = family + _CODES.get(mismatch.keyword, "04")
            self.add(
                code,
                mismatch.message,
                mismatch.hint,
                path=(*trail, *mismatch.trail),
                key=mismatch.key,
            )
        return found

    def _respelled(self, mismatch: Mismatch, trail: Trail) -> bool:
        """A number where text is wanted is taken as it was typed, with a warning."""
        path = (*trail, *mismatch.trail)
        if not is_respelled(mismatch, self.document, path):
            return False
        typed = self.document.spelling(path)
        self.add(
            "KP405",
            f"{typed} is a number; text is wanted here, and '{typed}' is sent",
            f"quote it: '{typed}'",
            path=path,
            severity=Severity.WARNING,
        )
        return True

    def condition(self, value: Json, path: Trail, names: Names) -> Sequence[Reference]:
        """Check a condition, which must be one expression; give what it refers to."""
        if not isinstance(value, str):
            return ()
        if not is_whole(value):
            inner = value.strip()
            hint = "put all of it into one ${{ … }}"
            if OPEN not in inner:
                hint = f"write it as ${{{{ {inner} }}}}"
            self.add(
                "KP306", "a condition is one expression, and gives true or false", hint, path=path
            )
        if OPEN not in value:
            return ()
        return self.text(value, path, names)

    def expressions(self, value: Json, trail: Trail, names: Names) -> None:
        """Check every expression inside a value: its syntax, and what it refers to."""
        for text, path in leaves(value, trail):
            if OPEN in text:
                self.text(text, path, names)
            self._without_dollar(text, path, names)

    def text(self, text: str, path: Trail, names: Names) -> list[Reference]:
        """Check the expressions inside one text; give what they refer to."""
        try:
            segments = split_text(text)
        except UnclosedError as error:
            offset = self._spot(path, text, error.offset)
            self.add("KP301", str(error), "close it with '}}'", path=path, offset=offset, length=3)
            return []
        found: list[Reference] = []
        for segment in segments:
            if segment.code:
                found += self._expression(segment, text, path, names)
        return found

    def _expression(
        self, segment: Segment, text: str, path: Trail, names: Names
    ) -> Sequence[Reference]:
        offset = self._spot(path, text, segment.offset)
        try:
            expression = self.templates.expression(segment.text)
        except TemplateError as error:
            self.add(
                "KP301",
                error.message,
                error.hint,
                path=path,
                offset=offset,
                length=len(segment.text) + 5,
            )
            return ()
        self._references(expression, path, offset + len(OPEN), names)
        return expression.references

    def _references(self, expression: Expression, path: Trail, offset: int, names: Names) -> None:
        for reference in expression.references:
            trouble = names.trouble(reference)
            if trouble is None:
                continue
            code, message, hint, severity = trouble
            shown = str(reference)
            at = max(expression.source.find(shown), 0)
            self.add(
                code,
                message,
                hint,
                path=path,
                offset=offset + at,
                length=len(shown),
                severity=severity,
            )

    def _without_dollar(self, text: str, path: Trail, names: Names) -> None:
        """`{{ inputs.x }}` that names something of ours was meant as an expression."""
        for offset, inner in without_dollar(text):
            try:
                references = self.templates.expression(inner).references
            except TemplateError:
                continue
            ours = [r for r in references if r.root in {"inputs", "vars", "steps"} and r.keys]
            if ours and all(names.trouble(reference) is None for reference in ours):
                self.add(
                    "KP305",
                    f"'{{{{{inner}}}}}' is sent as it stands",
                    f"did you mean ${{{{{inner}}}}}? For the text itself, mark the step "
                    "'raw: true'",
                    path=path,
                    offset=self._spot(path, text, offset, "{{"),
                    length=len(inner) + 4,
                )

    def _spot(self, path: Trail, text: str, offset: int, mark: str = OPEN) -> int:
        """Where in the source the expression stands that begins at `offset` of the value.

        Quotes, escapes and folded lines set value and source apart, so that marks are counted.
        """
        start = self.document.offset(path)
        nth = text.count(mark, 0, offset)
        at = start - 1
        for _ in range(nth + 1):
            at = self.document.text.find(mark, at + 1)
            if at < 0:
                return start
        return at


def is_respelled(mismatch: Mismatch, document: Document, path: Trail) -> bool:
    """Whether a mismatch is a plain number where the schema wants text."""
    if mismatch.keyword != "type" or "string" not in mismatch.expected:
        return False
    value: Any = document.data
    for part in path:
        value = value[part]
    return isinstance(value, int | float) and not isinstance(value, bool)


def leaves(value: Json, trail: Trail) -> Iterator[tuple[str, Trail]]:
    """Every text inside a value that has a brace in it, with its path."""
    if isinstance(value, str):
        if "{{" in value:
            yield value, trail
    elif isinstance(value, dict):
        for key, part in value.items():
            if type(part) is not int:
                yield from leaves(part, (*trail, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from leaves(part, (*trail, index))
