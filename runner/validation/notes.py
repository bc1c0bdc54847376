"""Problems noted at their place: mismatches of a schema, and expressions inside a value."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from runner.model import Json, Severity
from runner.playbook import Document, Trail
from runner.shapes import Mismatch, Shape
from runner.templating import Reference, TemplateError, Templates, split_text
from runner.templating.functions import FILE_READERS
from runner.templating.text import (
    OPEN,
    Segment,
    UnclosedError,
    is_whole,
    without_braces,
    without_dollar,
)
from runner.validation.files import Written, file_trouble
from runner.validation.leaves import keys_like, leaves
from runner.validation.names import Names

# A function that reads a file, and the name of that where it is written out.
_FILE = re.compile(rf"\b(?:{'|'.join(FILE_READERS)})\(\s*(['\"])([^'\"\\]+)\1")
# The end of an expression that may be a key.
_KEY = re.compile(r"""}}[^\n{}"']*["']?\s*:\s""")
# An expression that may do without a part of it.
_MAYBE = re.compile(r"\b(?:if|and|or|default|d)\b")
_CODES = {"additionalProperties": "02", "required": "03"}


class Notes:
    """Where the problems of one document are noted.

    `written` knows the files that the run may write, `folder` is where its expressions read files:
    that of the playbook, for the file of a body too.
    """

    def __init__(
        self,
        document: Document,
        templates: Templates,
        written: Written,
        folder: Path | None = None,
    ) -> None:
        self.document = document
        self.templates = templates
        self.written = written
        self._texts: set[tuple[str, int, int]] = set()
        self._may_have_keys = OPEN in document.text and _KEY.search(document.text) is not None
        self.folder = folder or document.folder

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
        self,
        shape: Shape,
        value: Json,
        trail: Trail,
        family: str = "KP2",
        *,
        sent: bool = False,
        hints: Callable[[str], str] | None = None,
    ) -> list[Mismatch]:
        """Note all that a value does wrong by its shape; give what was noted.

        `hints` gives what helps with a key that has no place there, or nothing. With `sent` the
        value goes to the tracker, and a number where text is wanted is taken as it was typed, with
        a warning.
        """
        found = []
        for mismatch in shape.mismatches(value):
            path, hint = (*trail, *mismatch.trail), mismatch.hint
            if is_respelled(mismatch, self.document, path):
                typed = self.document.spelling(path)
                if sent:
                    self._respelled(typed, path)
                    continue
                if set(mismatch.expected) <= {"string", "null"}:
                    hint = f"quote it: '{typed}'"
            if hints and mismatch.keyword == "additionalProperties":
                hint = hints(str(mismatch.trail[-1])) or hint
            found.append(mismatch)
            code = family + _CODES.get(mismatch.keyword, "04")
            self.add(code, mismatch.message, hint, path=path, key=mismatch.key)
        return found

    def written_out(self, values: Mapping[str, Json], trail: Trail, keys: Iterable[str]) -> bool:
        """Note each of the keys whose value is an expression though it is settled before the run.

        A list counts with its items, a mapping by itself alone. Gives whether there was none.
        """
        found = [
            (key, (*trail, key, *inner))
            for key in keys
            if key in values and isinstance(values[key], str | list)
            for text, inner in leaves(values[key], ())
            if OPEN in text and len(inner) < 2
        ]
        for key, path in found:
            self.add(
                "KP204",
                f"'{key}' cannot be an expression",
                "write it out: it is settled before the run",
                path=path,
            )
        return not found

    def _respelled(self, typed: str, path: Trail) -> None:
        problem = self.document.problem(
            "KP405",
            f"{typed} is a number; text is wanted here, and '{typed}' is sent",
            f"quote it: '{typed}'",
            path=path,
            severity=Severity.WARNING,
        )
        # What YAML 1.1 would have made of the number no longer matters.
        self.only_text(path)
        self.document.problems.append(problem)

    def only_text(self, path: Trail) -> None:
        """Have `settle` drop the note that a text could be read as something else.

        A note at the very place of the value is meant, where nothing but a text can stand.
        """
        place = self.document.place(self.document.offset(path))
        self._texts.add((place.file, place.line, place.column))

    def settle(self) -> None:
        """Drop what was noted while reading and is of no matter, now that all is known."""
        if self._texts:
            self.document.problems[:] = [
                problem for problem in self.document.problems
                if problem.code != "KP109"
                or (problem.place.file, problem.place.line, problem.place.column) not in self._texts
            ]  # fmt: skip

    def conditions(self, value: Json, path: Trail, names: Names) -> None:
        """Check one condition, or a list of them."""
        if isinstance(value, list):
            for index, part in enumerate(value):
                self.condition(part, (*path, index), names)
        else:
            self.condition(value, path, names)

    def condition(self, value: Json, path: Trail, names: Names) -> Sequence[Reference]:
        """Check a condition, which must be one expression; give what it refers to."""
        if not isinstance(value, str):
            return ()
        if not is_whole(value) and not _is_unclosed(value):
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
        for path in keys_like(value, trail) if self._may_have_keys else ():
            self.add(
                "KP305",
                f"'{path[-1]}' is a key, and is sent as it stands",
                "write the mapping as one expression: ${{ {(NAME): VALUE} }}; "
                "for the text itself, mark the step 'raw: true'",
                path=path,
                key=True,
            )
        for text, path in leaves(value, trail):
            if OPEN in text:
                self.text(text, path, names)
            self._without_dollar(text, path, names)
            self._without_braces(text, path, names)

    def text(self, text: str, path: Trail, names: Names) -> list[Reference]:
        """Check the expressions inside one text; give what they refer to."""
        try:
            segments = split_text(text)
        except UnclosedError as error:
            offset = self._spot(path, text, error.offset)
            hint = "close it with '}}'"
            if "}}" in text[error.offset :]:
                hint = "a bracket or a quote inside it is opened and not closed"
            self.add("KP301", str(error), hint, path=path, offset=offset, length=3)
            return []
        found: list[Reference] = []
        for segment in segments:
            if segment.code:
                found += self._expression(segment, text, path, names)
        return found

    def _expression(
        self, segment: Segment, text: str, path: Trail, names: Names
    ) -> Sequence[Reference]:
        try:
            expression = self.templates.expression(segment.text)
        except TemplateError as error:
            self.add(
                "KP301",
                error.message,
                error.hint,
                path=path,
                offset=self._spot(path, text, segment.offset),
                length=len(segment.text) + 5,
            )
            return ()
        self._files(segment, text, path, names)
        for reference in expression.references:
            trouble = names.trouble(reference)
            if trouble is not None:
                shown = str(reference)
                at = len(OPEN) + max(expression.source.find(shown), 0)
                code, message, hint, severity = trouble
                self.add(
                    code,
                    message,
                    hint,
                    path=path,
                    offset=self._spot(path, text, segment.offset) + at,
                    length=len(shown),
                    severity=severity,
                )
        return expression.references

    def _files(self, segment: Segment, text: str, path: Trail, names: Names) -> None:
        """Note each file that an expression names and that is not there, nor may come to be.

        No error as a rule: it may be made before the run, or by another playbook. A run that is
        sure to need it does not begin.
        """
        folder = self.folder
        if folder is None or "(" not in segment.text:
            return
        sure = not (names.maybe or _MAYBE.search(segment.text))
        error = sure and self.written.is_last_chance
        for found in _FILE.finditer(segment.text):
            before = segment.text[: found.start()]
            if before.count("'") % 2 or before.count('"') % 2:
                continue  # it stands in a text, and calls nothing
            trouble = file_trouble(folder, found[2], self.written.root)
            if trouble and not self.written.may_hold(found[2]):
                at = self._spot(path, text, segment.offset) + len(OPEN) + found.start(2)
                severity = Severity.ERROR if error else Severity.WARNING
                self.add("KP214", *trouble, path=path, offset=at, length=len(found[2]),
                         severity=severity)  # fmt: skip

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

    def _without_braces(self, text: str, path: Trail, names: Names) -> None:
        """`inputs.x`, `${inputs.x}` or `{inputs.x}` that names something of ours likewise."""
        for offset, shown, inner in without_braces(text):
            expression = self.templates.expression(inner)
            if all(r.keys and names.trouble(r) is None for r in expression.references):
                self.add(
                    "KP305",
                    f"'{shown}' is sent as it stands",
                    f"did you mean ${{{{ {inner} }}}}? For the text itself, mark the step "
                    "'raw: true'",
                    path=path,
                    offset=self._spot(path, text, offset, shown),
                    length=len(shown),
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


def _is_unclosed(text: str) -> bool:
    try:
        split_text(text)
    except UnclosedError:
        return True
    return False


def is_respelled(mismatch: Mismatch, document: Document, path: Trail) -> bool:
    """Whether a mismatch is a plain number where the schema wants text."""
    if mismatch.keyword != "type" or "string" not in mismatch.expected:
        return False
    value = document.value(path)
    return isinstance(value, int | float) and not isinstance(value, bool)
