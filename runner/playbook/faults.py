"""What libyaml says of a broken file, put into words that help."""

from __future__ import annotations

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
        "block sequence entries are not allowed",
        "",
        "a list cannot begin on the line of its key",
        "put '- ' on a line of its own below the key, or quote the value if it begins with '-'",
    ),
    (
        "found invalid Unicode character escape",
        "",
        "an escape for half a character",
        "write both halves (\\ud83d\\ude00), or the character itself",
    ),
    (
        "found unknown escape character",
        "",
        "an unknown escape in a double-quoted text",
        "write the backslash twice, or use single quotes",
    ),
)


def depth_limit(error: yaml.MarkedYAMLError) -> int | None:
    """Where libyaml found more levels than it takes (1,000, since PyYAML 6.0.4), as an offset."""
    mark = error.problem_mark
    return mark.index if mark and "maximum nesting depth" in (error.problem or "") else None


def note_syntax(document: Document, error: yaml.MarkedYAMLError) -> None:
    """Note a syntax error at the spot that a person would look at."""
    mark = error.problem_mark or error.context_mark
    at = min(mark.index if mark else 0, len(document.text))
    context = error.context_mark
    what = error.problem or "the YAML cannot be read"
    if "end of stream" in what and context is not None:
        at = context.index
    if document.text.startswith("{{", at) and document.text.startswith("$", at - 1):
        _note_unquoted(document, at - 1)
        return
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
    if context is not None and document.text[context.index : context.index + 1] in {"[", "{"}:
        hint += f"; the bracket stands on line {document.place(context.index).line}"
    if what.startswith(("did not find expected ','", "did not find expected node content")) and (
        not document.text[at:].strip()
    ):
        message = "the file ends inside brackets"
    document.note("KP100", message, hint, offset=at, length=1)


def _note_unquoted(document: Document, at: int) -> None:
    """Note an expression that stands bare inside brackets, where YAML reads its braces."""
    end = document.text.find("}}", at)
    length = end + 2 - at if 0 <= end - at < 200 else 3
    whole = document.text[at : at + length] if length > 3 else "${{ … }}"
    document.note(
        "KP100",
        "an expression inside { } or [ ] must be quoted",
        f"write '{whole}'" if '"' in whole else f'write "{whole}"',
        offset=at,
        length=length,
    )


def note_character(document: Document, character: int | str) -> None:
    """Note a character that YAML does not allow."""
    # libyaml reports a position in bytes here; the character itself is found again instead.
    wanted = character if isinstance(character, int) else ord(character)
    at = max(document.text.find(chr(wanted)), 0)
    document.note(
        "KP102",
        f"the character U+{wanted:04X} is not allowed in YAML",
        "take it out, or write it as an escape in double quotes",
        offset=at,
        length=1,
    )


def note_surrogate(document: Document, at: int) -> None:
    """Note half a character, which no UTF-8 file can hold."""
    document.note(
        "KP102",
        f"U+{ord(document.text[at]):04X} is half a character",
        "write the whole character",
        offset=at,
        length=1,
    )
