"""What a dry run does not know: stands for a value, and lets nothing be computed from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, cast

from runner.model import Json
from runner.templating.expressions import Reference


class UnknownError(Exception):
    """A value is needed that only a call gives which is not made; `source` is how it is written."""

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self.source = source


class Unknown:
    """A value that is not known, such as `${{ steps.make.data }}` where nothing was made.

    It can be handed on as it is. Whatever else is done with it raises UnknownError.
    """

    __slots__ = ("source",)

    def __init__(self, source: str) -> None:
        self.source = source

    def __repr__(self) -> str:
        return f"Unknown({self.source!r})"

    def _is_needed(self, *_: object) -> NoReturn:
        raise UnknownError(self.source)

    __getitem__ = __contains__ = __iter__ = __len__ = __bool__ = __index__ = _is_needed
    __str__ = __format__ = __int__ = __float__ = __call__ = _is_needed
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _is_needed
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _is_needed
    __hash__ = _is_needed  # which `in` of a mapping goes by


def written(source: str) -> Unknown:
    """The value of an expression that cannot be had, as the expression is written."""
    return Unknown(f"${{{{ {source.strip()} }}}}")


def refuse_unknown(*values: Any) -> None:
    """Raise UnknownError where one of the values is not known."""
    for value in values:
        if type(value) is Unknown:
            raise UnknownError(value.source)


def refuse_unknown_below(scope: Mapping[str, Any], references: Iterable[Reference]) -> None:
    """Raise UnknownError where one of the references leads to something that is not all known."""
    for reference in references:
        value: Any = scope.get(reference.root)
        for key in reference.keys:
            if not isinstance(value, Mapping | list):
                break
            try:
                value = cast("Any", value)[key]
            except (LookupError, TypeError):
                break
        if source := first_unknown(value):
            raise UnknownError(source)


def first_unknown(value: Any) -> str:
    """How the first part of a value is written that is not known; empty where all is."""
    if isinstance(value, Unknown):
        return value.source
    if not isinstance(value, Mapping | list):
        return ""
    parts = value.values() if isinstance(value, Mapping) else value
    return next((found for part in parts if (found := first_unknown(part))), "")


def told(value: Any) -> Json:
    """The value as JSON, with what is not known as it is written."""
    if isinstance(value, Unknown):
        return value.source
    if isinstance(value, Mapping):
        return {key: told(part) for key, part in value.items()}
    return [told(part) for part in value] if isinstance(value, list) else value
