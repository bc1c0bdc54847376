"""What a dry run does not know: stands for a value, and lets nothing be computed from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from runner.model import Json


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


def told(value: Any) -> Json:
    """The value as JSON, with what is not known as it is written."""
    if isinstance(value, Unknown):
        return value.source
    if isinstance(value, Mapping):
        return {key: told(part) for key, part in value.items()}
    return [told(part) for part in value] if isinstance(value, list) else value
