"""Expressions in `${{ }}`: parse, find references, evaluate; knows no step and sends nothing."""

from runner.templating.expressions import Expression, Reference, TemplateError
from runner.templating.rendering import Renderer, as_text, compile_value, items_of
from runner.templating.templates import Templates
from runner.templating.text import has_expression, split_text

__all__ = [
    "Expression",
    "Reference",
    "Renderer",
    "TemplateError",
    "Templates",
    "as_text",
    "compile_value",
    "has_expression",
    "items_of",
    "split_text",
]
