"""JSON Schema checks: a quick yes from a compiled predicate, an exact no from jsonschema.

Nearly every value is valid, and for those jsonschema's careful walk is the larger part of
checking a playbook, its import the larger part of starting. So each schema is compiled to a
plain predicate first; only a value that it turns down, or a schema with a keyword that it does
not know, goes to jsonschema, whose word is final. A test holds the two to the same verdicts.

With `templated`, a leaf that is one whole expression fits everywhere, and a text with
expressions in it counts as text of unknown content.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from runner.model import Json
from runner.shapes.mismatch import Mismatch, translate
from runner.shapes.quick import Predicate, UnknownKeywordError, compile_schema

__all__ = ["Mismatch", "Shape"]


class Shape:
    """A schema, ready to check values."""

    def __init__(self, schema: Mapping[str, Json], *, templated: bool = False) -> None:
        self.schema = schema
        self.templated = templated

    @cached_property
    def _quick(self) -> Predicate | None:
        try:
            return compile_schema(self.schema, templated=self.templated)
        except UnknownKeywordError:
            return None

    @cached_property
    def _validator(self) -> Any:
        from runner.shapes.exact import validator  # noqa: PLC0415  (jsonschema: 80 ms)

        return validator(self.schema, templated=self.templated)

    def fits(self, value: Json) -> bool:
        """Whether the value is valid."""
        quick = self._quick
        return bool(quick and quick(value)) or self._validator.is_valid(value)

    def mismatches(self, value: Json) -> list[Mismatch]:
        """All that is wrong with the value, in document order; empty where nothing is."""
        quick = self._quick
        if quick is not None and quick(value):
            return []
        found: list[Mismatch] = []
        for error in self._validator.iter_errors(value):
            found += translate(error)
        mistyped = {mismatch.trail for mismatch in found if mismatch.keyword == "type"}
        # What a value of another type does wrong besides is no news.
        return [m for m in found if m.keyword == "type" or m.trail not in mistyped]
