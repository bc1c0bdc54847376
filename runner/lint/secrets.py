"""Keys and passwords that stand in the file: found, and hidden wherever the line is shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from runner.catalogue import Operation
from runner.lint.finding import Body, Finding, is_open
from runner.lint.steps import Visit
from runner.model import Json, Place, Problem
from runner.playbook import Document, Map, Trail

CODE = "KT013"

# Keitaro's API keys, as are many others, are 32 hexadecimal digits.
_KEY = re.compile(r"(?<![0-9A-Za-z])[0-9a-fA-F]{32}(?![0-9A-Za-z])")
_NAMED = re.compile(
    r"(?:^|_)(?:password|passwd|pwd|passphrase|secret|api_?key|private_key|access_key|"
    r"(?:access|auth|api|bearer)_token)$"
)
# Names that now and then hold something harmless, such as a sort key: the value must look random.
_PERHAPS_NAMED = re.compile(r"(?:^|_)(?:key|token)$")
_RANDOM = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[0-9A-Za-z_+/=.-]{16,}")
_PLACEHOLDER = re.compile(r"\{\w+\}|<.*>")
_STEP_KEYS = ("set", "inputs", "params")
_HINT = (
    "declare an input with 'secret: true' and 'env: NAME', and write ${{ inputs.… }} here; "
    "a key that was ever shared must be replaced"
)


def may_hold_key(text: str) -> bool:
    """Whether a document holds something of the form of an API key at all."""
    return _KEY.search(text) is not None


def field(_said: Json, value: Json, trail: Trail, _body: Body) -> Iterator[Finding]:
    """A field that the catalogue calls secret, with its value written out."""
    if isinstance(value, str | int) and not isinstance(value, bool) and _is_written(value):
        yield _finding(str(trail[-1]), trail)


def of_document(document: Document) -> Iterator[Finding]:
    """Secrets among the vars and the defaults of the inputs."""
    data = document.data
    yield from _named(data.get("vars"), ("vars",))
    inputs = data.get("inputs")
    for name, declared in inputs.items() if isinstance(inputs, Map) else ():
        # A default of an input that is marked secret is refused already.
        if isinstance(declared, Map) and not declared.get("secret") and "default" in declared:
            yield from _value(name, declared["default"], ("inputs", name, "default"))


def of_step(visited: Visit, operation: Operation | None) -> Iterator[Finding]:
    """Secrets in what a step computes, hands to an include, or sends beside the body."""
    step = visited.step
    for key in _STEP_KEYS:
        if key in step:
            yield from _named(step[key], (*visited.trail, key))
    if operation is not None and operation.open_query and isinstance(step.get("body"), Map):
        yield from _named(step["body"], (*visited.trail, "body"))


def in_body(value: Json, body: Body) -> Iterator[Finding]:
    """Keys in the parts of a body that the catalogue does not describe."""
    if not body.operation.open_query:
        yield from _undescribed(value, body.operation.body or {}, body.trail)


def _undescribed(value: Json, schema: Any, trail: Trail) -> Iterator[Finding]:
    if isinstance(value, dict):
        known = schema.get("properties", {})
        for name, part in value.items():
            yield from _undescribed(part, known.get(name, {}), (*trail, name))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _undescribed(part, schema.get("items", {}), (*trail, index))
    elif "type" not in schema and isinstance(value, str) and _KEY.fullmatch(value):
        yield _finding(str(trail[-1]), trail)


def _named(value: Json, trail: Trail) -> Iterator[Finding]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _value(name, part, (*trail, name))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _value("", part, (*trail, index))


def _value(name: str, value: Json, trail: Trail) -> Iterator[Finding]:
    if isinstance(value, dict | list):
        yield from _named(value, trail)
    elif isinstance(value, str | int) and not isinstance(value, bool) and _is_written(value):
        text, plain = str(value), name.lower().replace("-", "_")
        if (
            _KEY.fullmatch(text)
            or _NAMED.search(plain)
            or (_PERHAPS_NAMED.search(plain) and _RANDOM.fullmatch(text))
        ):
            yield _finding(name or "an item", trail)


def _is_written(value: str | int) -> bool:
    """Whether this is a value and not an expression, a macro, or an empty place for one."""
    text = str(value)
    return any(map(str.isalnum, text)) and not is_open(text) and not _PLACEHOLDER.search(text)


def _finding(name: str, trail: Trail) -> Finding:
    return Finding(CODE, f"'{name}' is a secret, and it stands in the file", _HINT, trail)


def hide(problems: Iterable[Problem]) -> list[Problem]:
    """The problems with what was found to be a secret hidden, in their lines and in their words."""
    known = list(problems)
    spots: dict[tuple[str, int], dict[Place, str]] = {}
    lines: dict[tuple[str, int], str] = {}
    for problem in known:
        if problem.code == CODE:
            place, key = problem.place, (problem.place.file, problem.place.line)
            begin, end = place.column - 1, place.column - 1 + place.length
            spots.setdefault(key, {})[place] = problem.line[begin:end].strip("'\"")
            line = lines.get(key, problem.line)
            lines[key] = line[:begin] + "*" * place.length + line[end:]
    if not spots:
        return known
    return [_hidden(problem, spots, lines) for problem in known]


def _hidden(
    problem: Problem,
    spots: dict[tuple[str, int], dict[Place, str]],
    lines: dict[tuple[str, int], str],
) -> Problem:
    key = (problem.place.file, problem.place.line)
    if key not in spots:
        return problem
    message, hint = problem.message, problem.hint
    secret = spots[key].get(problem.place)
    if secret and problem.code != CODE:
        message, hint = message.replace(secret, "***"), hint.replace(secret, "***")
    return problem._replace(line=lines[key], message=message, hint=hint)
