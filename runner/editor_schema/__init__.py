"""The playbook's JSON Schema for editors, built from the catalogue; checks nothing itself.

`python -m runner.editor_schema` writes it to `schemas/playbook.schema.json`.

It is draft-07, which every editor knows, with a few words that yaml-language-server understands
and others pass over (`markdownDescription`, `enumDescriptions`, `errorMessage`, `doNotSuggest`).
What is odd in its form is there for that server:

- A value that may be an expression is `{"type": ["integer", "string"], "pattern": …}`: the pattern
  binds texts only, so completion and hover see one schema and no alternatives.
- Branches ask `{"type": "string", "pattern": "^get$"}` and not `const`: while completing, the
  server takes every constant that merely begins with the text (`get` would also be `getAll`).
- The special comes before the general (branches, then keys): the first description is shown.
- Beside `$ref` stand notes for people only; draft-07 passes over all else.
"""

from __future__ import annotations

import json
from pathlib import Path

from runner.catalogue import bundled
from runner.editor_schema.building import Builder
from runner.editor_schema.values import Schema
from runner.model import Json

NAME = "playbook.schema.json"


def build(folder: Path | None = None) -> Schema:
    """The schema, from the catalogue in `folder`; the bundled one by default."""
    return Builder(folder or bundled("schemas")).build()


def render(schema: Schema) -> str:
    """The schema as it is kept in the repository: what is short on one line."""
    return _lines(schema, "") + "\n"


def _lines(value: Json, indent: str) -> str:
    text = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(text) <= 100 or not isinstance(value, dict | list) or not value:
        return text
    inner = indent + " "
    if isinstance(value, list):
        parts = [_lines(part, inner) for part in value]
        return f"[\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}]"
    pairs = [f"{json.dumps(key)}: {_lines(part, inner)}" for key, part in value.items()]
    return f"{{\n{inner}" + f",\n{inner}".join(pairs) + f"\n{indent}}}"
