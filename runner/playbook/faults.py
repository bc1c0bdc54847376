"""What libyaml says of a broken file, put into words that help."""

from __future__ import annotations

from typing import Any

import yaml

from runner.playbook.document import Document

# What libyaml's terse words most often mean, with what to do.
_SYNTAX = (
    (
        "found character that cannot start any token",
        "\t",
        "a tab cannot indent",
        "indent with spaces",
    ),
    (
        "found character that cannot start any token",
        "`",
        "a value cannot begin with a backtick",
        "quote the value",
    ),
    (
        "found character that cannot start any token",
        "@",
        "a value cannot begin with '@'",
        "quote the value",
    ),
    (
        "found character that cannot start any token",
        "%",
        "a value cannot begin with '%'",
        "quote the value",
    ),
    (
        "mapping values are not allowed",
        "",
        "a ':' does not belong here",
        "quote the value if the colon is part of it, or check the indentation of this line and the "
        "one above",
    ),
    (
        "did not find expected key",
        "",
        "this line does not fit the ones above it",
        "check its indentation, and the quotes and brackets before it",
    ),
    (
        "did not find expected '-' indicator",
        "",
        "this line is no item of the list above it",
        "begin it with '- ', or check its indentation",
    ),
    (
        "could not find expected ':'",
        "",
        "a ':' is missing after this key",
        "write 'key: value', or quote the text if it goes on over several lines",
    ),
    (
        "found unexpected end of stream",
        "",
        "a quote is opened here and never closed",
        "close the quote",
    ),
    (
        "did not find expected ',' or",
        "",
        "a ',' or a closing bracket is missing here",
        "close the bracket, or put a comma between the items",
    ),
    (
        "did not find expected node content",
        "",
        "a value is missing here",
        "write one, or take the bracket or comma out",
    ),
    (
        "found unknown escape character",
        "",
        "an unknown escape in a double-quoted text",
        "write the backslash twice, or use single quotes",
    ),
)


def note_syntax(document: Document, error: yaml.MarkedYAMLError) -> None:
    """Note a syntax error at the spot that a person would look at."""
    mark = error.problem_mark or error.context_mark
    at = min(mark.index if mark else 0, len(document.text))
    context = error.context_mark
    what = error.problem or "the YAML cannot be read"
    if "end of stream" in what and context is not None:
        at = context.index
    near = document.text[at : at + 1]
    message, hint = next(
        (
            (said, advice)
            for words, character, said, advice in _SYNTAX
            if words in what and character in {"", near}
        ),
        (f"not valid YAML: {what}", "correct this spot"),
    )
    if document.text[document.text.rfind("\n", 0, at) + 1 : at + 1].lstrip(" ").startswith("\t"):
        message, hint = "a tab cannot indent", "indent with spaces"
    document.note("KP100", message, hint, offset=at, length=1)


def note_character(document: Document, error: Any) -> None:
    """Note a character that YAML does not allow."""
    # libyaml reports a position in bytes here; the character itself is found again instead.
    wanted = error.character if isinstance(error.character, int) else ord(error.character)
    at = max(document.text.find(chr(wanted)), 0)
    document.note(
        "KP102",
        f"the character U+{wanted:04X} is not allowed in YAML",
        "take it out, or write it as an escape in double quotes",
        offset=at,
        length=1,
    )
