"""jsonschema's validator, taught about expressions; imported only when a value was turned down."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.validators import extend

from runner.model import Json
from runner.templating.text import OPEN, is_whole

# Keywords that look into a leaf, and so cannot judge one whose content is not known yet.
_LEAF_KEYWORDS = (
    "enum", "const", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "multipleOf", "minLength", "maxLength", "format",
)  # fmt: skip

_Keyword = Callable[[Any, Any, Any, Any], Iterator[Any]]


def validator(schema: Mapping[str, Json], *, templated: bool) -> Any:
    """A validator of the schema; with `templated` one that leaves expressions open."""
    kind: Any = _TEMPLATED if templated else Draft202012Validator
    return kind(schema)


def _is_open(value: Any) -> bool:
    return isinstance(value, str) and OPEN in value


def _unless_open(keyword: _Keyword) -> _Keyword:
    def check(validator: Any, expected: Any, instance: Any, schema: Any) -> Iterator[Any]:
        if not _is_open(instance):
            yield from keyword(validator, expected, instance, schema) or ()

    return check


def _type(validator: Any, expected: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if not (_is_open(instance) and is_whole(instance)):
        yield from Draft202012Validator.VALIDATORS["type"](validator, expected, instance, schema)


_TEMPLATED: Any = extend(  # type: ignore[no-untyped-call]  # the stubs leave it untyped
    Draft202012Validator,
    {
        "type": _type,
        **{name: _unless_open(Draft202012Validator.VALIDATORS[name]) for name in _LEAF_KEYWORDS},
    },
)
