"""The values of a playbook's inputs: from the command line, a file, the environment, defaults."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from runner.errors import ExitCode, RunnerError
from runner.model import Json, Severity
from runner.playbook import Map, parse
from runner.shapes import Shape
from runner.templating.expressions import describe, meant

# How a value of a type is written, where it could be thought to be written in another way.
_WRITTEN = {"boolean": ": write true or false", "array": ": write a list, as in JSON"}


class Inputs(NamedTuple):
    """The values by name, and those among them that must never be shown."""

    values: Mapping[str, Json]
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Inputs({', '.join(self.values)})"


def resolve(
    declared: Mapping[str, Any] | None,
    *,
    texts: Mapping[str, str],
    values: Mapping[str, Json],
    environ: Mapping[str, str],
    secrets: Mapping[str, str],
) -> Inputs:
    """Each declared input's value: `texts` as typed, over `values`, over env, over the default.

    `texts` come from the command line and are read as the declared type; `secrets` were asked
    for at a prompt. Raises RunnerError that names everything that is wrong or missing.
    """
    declared = declared or {}
    trouble = [_unknown(name, declared) for name in [*texts, *values] if name not in declared]
    secret = not trouble
    found: dict[str, Json] = {}
    hidden: list[str] = []
    for name, raw in declared.items():
        spec = raw if isinstance(raw, Mapping) else {}
        try:
            value = found[name] = _value(name, spec, texts, values, environ, secrets)
        except _InputError as error:
            trouble.append(str(error))
            secret = secret and bool(spec.get("secret"))
            continue
        if spec.get("secret"):
            hidden += _texts(value)
    if trouble:
        raise RunnerError(
            "; ".join(trouble),
            "give a secret with --inputs FILE (- reads standard input) or its variable, "
            "or type it at a terminal"
            if secret
            else "give inputs with --input NAME=VALUE or --inputs FILE",
            code=ExitCode.USAGE,
        )
    return Inputs(found, tuple(hidden))


def read_file(text: str, file: str) -> Mapping[str, Json]:
    """The values in a file of inputs, YAML or JSON. Raises RunnerError."""
    document = parse(text, file, body=True)
    if document.broken:
        first = next(p for p in document.problems if p.severity is Severity.ERROR)
        raise RunnerError(f"{first.place}: {first.message}", first.hint)
    if document.data is None:
        return {}
    if not isinstance(document.data, Map):
        raise RunnerError(f"{file}: a file of inputs is a mapping", "write 'name: value' lines")
    return document.data


def missing_secrets(
    declared: Mapping[str, Any] | None, values: Mapping[str, Json], environ: Mapping[str, str]
) -> list[str]:
    """The secret inputs that nothing gives a value, which a terminal may be asked for."""
    return [
        name
        for name, spec in (declared or {}).items()
        if isinstance(spec, Mapping)
        and spec.get("secret")
        and name not in values
        and "default" not in spec
        and not environ.get(spec.get("env", ""))
        and spec.get("required", True)
    ]


def _texts(value: Json) -> list[str]:
    """All that a secret value would show as; true, false and null give nothing away."""
    if isinstance(value, Mapping):
        return [text for part in value.values() for text in _texts(part)]
    if isinstance(value, list):
        return [text for part in value for text in _texts(part)]
    if value is None or isinstance(value, bool) or value == "":
        return []
    return [value if isinstance(value, str) else json.dumps(value)]


class _InputError(ValueError):
    """One input that is missing or wrong; the message is for a person."""


def _unknown(name: str, declared: Mapping[str, Any]) -> str:
    known = meant(name, list(declared))
    if not known:
        known = f"; it declares {', '.join(declared)}" if declared else "; it declares none"
    return f"the playbook has no input '{name}'{known}"


def _value(
    name: str,
    spec: Mapping[str, Any],
    texts: Mapping[str, str],
    values: Mapping[str, Json],
    environ: Mapping[str, str],
    secrets: Mapping[str, str],
) -> Json:
    if name in texts:
        if spec.get("secret"):
            raise _InputError(
                f"the input '{name}' is secret and may not stand on the command line, where ps and "
                f"logs show it{_other_way(spec)}"
            )
        return _checked(name, spec, _read_text(name, spec, texts[name]))
    if name in values:
        return _checked(name, spec, values[name])
    if name in secrets:
        return _checked(name, spec, _read_text(name, spec, secrets[name]))
    if environ.get(spec.get("env", "")):
        return _checked(name, spec, _read_text(name, spec, environ[spec["env"]]))
    if "default" in spec:
        return spec["default"]
    if spec.get("required") is False:
        return None
    about = f" ({spec['description']})" if spec.get("description") else ""
    raise _InputError(f"the input '{name}'{about} has no value{_other_way(spec)}")


def _other_way(spec: Mapping[str, Any]) -> str:
    return f": set {spec['env']}" if spec.get("env") else ""


def _read_text(name: str, spec: Mapping[str, Any], text: str) -> Json:
    """A text as the declared type; without a type it stays text."""
    kind = spec.get("type", "string")
    if kind == "string":
        return text
    value = _json_or_text(text)
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind in {"integer", "number", "boolean"} or isinstance(value, list | dict):
        return value
    if kind == "array" and not text.lstrip().startswith(("[", "{")):
        parts = [part.strip() for part in text.split(",") if part.strip()]
        return parts if spec.get("items", "string") == "string" else [*map(_json_or_text, parts)]
    raise _InputError(f"the input '{name}' must be JSON, an {kind}")


def _json_or_text(text: str) -> Json:
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return text
    return text if isinstance(value, float) and not math.isfinite(value) else value


def _no_constant(name: str) -> Json:
    raise ValueError(f"{name} is no number that JSON can carry")


def _checked(name: str, spec: Mapping[str, Any], value: Json) -> Json:
    shown = "a value" if spec.get("secret") else describe(value)
    if value is None and ("default" in spec or spec.get("required") is False):
        return None  # nobody had to give one
    if spec.get("type") and not Shape({"type": spec["type"]}).fits(value):
        how = _WRITTEN.get(spec["type"], "")
        raise _InputError(f"the input '{name}' must be of type {spec['type']}, and is {shown}{how}")
    kind = spec.get("items")
    if kind and isinstance(value, list):
        odd = next((item for item in value if not Shape({"type": kind}).fits(item)), None)
        if odd is not None or None in value:
            shown = "one is not" if spec.get("secret") else f"one is {describe(odd)}"
            raise _InputError(
                f"the items of the input '{name}' must be of type {kind}, and {shown}"
            )
    if spec.get("enum") and value not in spec["enum"]:
        allowed = ", ".join(map(str, spec["enum"]))
        raise _InputError(f"the input '{name}' must be one of {allowed}")
    pattern = spec.get("pattern")
    if pattern and isinstance(value, str) and not _matches(name, pattern, value):
        raise _InputError(f"the input '{name}' does not match {pattern}")
    return value


def _matches(name: str, pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is not None
    except re.error as error:
        raise _InputError(
            f"the pattern of the input '{name}' is no regular expression: {error}"
        ) from error
