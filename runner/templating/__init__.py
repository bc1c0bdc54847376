"""Expressions in `${{ }}`: parse, find references, evaluate; knows no step and sends nothing."""

from runner.templating.expressions import Expression, Lenience, Reference, TemplateError
from runner.templating.rendering import (
    Constant,
    Renderer,
    as_text,
    compile_value,
    items_of,
    roots_of,
)
from runner.templating.rows import Rows
from runner.templating.templates import Templates
from runner.templating.text import has_expression, split_text
from runner.templating.unknown import Unknown, UnknownError, first_unknown, refuse_unknown, told

__all__ = [
    "Constant",
    "Expression",
    "Lenience",
    "Reference",
    "Renderer",
    "Rows",
    "TemplateError",
    "Templates",
    "Unknown",
    "UnknownError",
    "as_text",
    "compile_value",
    "first_unknown",
    "has_expression",
    "items_of",
    "refuse_unknown",
    "roots_of",
    "split_text",
    "told",
]
