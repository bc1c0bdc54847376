"""An expression, what it refers to, and what goes wrong with it; words for values in messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from runner.model import Json

# Characters of an expression that messages show.
MOST_SHOWN = 80


class TemplateError(Exception):
    """An expression that cannot be read or has no value: what is wrong, and what to do.

    `trail` leads to the part of the value that was rendered, and so to the expression.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.trail: tuple[str | int, ...] = ()


class Reference(NamedTuple):
    """A name that an expression uses, with the keys behind it as far as they are known.

    `keys` ends before the first part in brackets that is text or computed: what stands in
    brackets is looked up at run time and not checked beforehand. `guarded` is set where the
    expression says itself what holds when the value is missing (`default`, `is defined`), and
    `chosen` where an `if` in it asks about the same step: whether that was skipped, say.
    """

    root: str
    keys: tuple[str | int, ...] = ()
    guarded: bool = False
    chosen: bool = False

    def __str__(self) -> str:
        text = self.root
        for key in self.keys:
            text += f"[{key}]" if isinstance(key, int) else f".{key}"
        return text


class Expression:
    """One expression: its source, what it refers to, and its value in a scope."""

    __slots__ = ("_items", "_run", "references", "source")

    def __init__(
        self,
        source: str,
        references: Sequence[Reference],
        run: Callable[[Mapping[str, Any]], Json],
        items: Callable[[Mapping[str, Any]], Sequence[int]] | None = None,
    ) -> None:
        self.source = source
        self.references = tuple(references)
        self._run = run
        self._items = items or run

    def evaluate(self, scope: Mapping[str, Any]) -> Json:
        """The value, a JSON value always. Raises TemplateError."""
        return self._run(scope)

    def items(self, scope: Mapping[str, Any]) -> Json | Sequence[int]:
        """The value to go through once: numbers that are counted need not be there all at once.

        Raises TemplateError.
        """
        return self._items(scope)


# What is there before a playbook's first step.
GIVEN = frozenset({"inputs", "vars", "run", "tracker"})
_READS = re.compile(r"\b(?:base64file|csv|file|json_file)\s*\(")


def reads_files(source: str) -> bool:
    """Whether an expression calls what reads a file."""
    return _READS.search(source) is not None


class Lenience(NamedTuple):
    """Which expressions that cannot be evaluated are no mistake, but not known.

    Those on `answers` of trackers, which may not be yet what they will be; in a playbook that is
    `included` its inputs may be such. Of `files` none is what it will be.
    """

    answers: bool = False
    files: bool = False
    included: bool = False

    def hides(self, expression: Expression) -> bool:
        """Whether the expression is not known, whatever it gives."""
        return self.files and reads_files(expression.source)

    def excuses(self, expression: Expression, scope: Mapping[str, Any]) -> bool:
        """Whether it is no mistake that the expression cannot be evaluated.

        In the scope `_given` are the names of items that no answer had a part in.
        """
        if not self.answers:
            return False
        given = GIVEN | scope.get("_given", frozenset())
        return self.included or any(part.root not in given for part in expression.references)


def nearest(name: str, known: Sequence[str]) -> str | None:
    """The known name that was most likely meant, or `None`."""
    folded = {word.lower().replace("_", ""): word for word in known}
    plain = name.lower().replace("_", "").replace("-", "")
    if plain in folded:
        return folded[plain]
    import difflib  # noqa: PLC0415  (for a wrong name only)

    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return close[0] if close else None


def meant(name: str, known: Sequence[str]) -> str:
    """A tail for a message, `; did you mean 'x'?`, or nothing where no known name comes near."""
    near = nearest(name, known)
    return f"; did you mean '{near}'?" if near else ""


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
