"""The keys of a playbook: what `language.json` says of each, wherever it may stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runner.catalogue import STEP_KINDS, Catalogue
from runner.cli.topics.examples import of_key
from runner.cli.topics.fields import kind_of, rows
from runner.cli.topics.layout import Page

# The parts of the language in the order of the guide, and the key whose value each describes.
_PARTS = {
    "playbook": "a playbook",
    "input": "an input",
    "defaults": "defaults",
    "common": "any step",
    "call": "a call",
    "block": "a block",
    "set": "a set step",
    "include": "an include",
    "save": "save",
}
_BELOW = {"inputs": "input", "defaults": "defaults", "save": "save"}


def known(catalogue: Catalogue) -> Mapping[str, Mapping[str, Any]]:
    """Every key, with what may be said of it for each part of the language that it stands in."""
    found: dict[str, dict[str, Any]] = {}
    for part in _PARTS:
        for name, schema in _own(part, catalogue).items():
            found.setdefault(name, {})[part] = schema
    return found


def _own(part: str, catalogue: Catalogue) -> Mapping[str, Any]:
    language = catalogue.language
    if part == "common":
        return dict(language[part])
    common = language["common"] if part in STEP_KINDS else {}
    return {k: v for k, v in language[part]["properties"].items() if k not in common}


def key(name: str, catalogue: Catalogue, page: Page) -> None:
    """Explain one key, once for each part of the language that it stands in."""
    for number, (part, schema) in enumerate(known(catalogue)[name].items()):
        if number:
            page.blank()
        needed = name in catalogue.language[part].get("required", ()) if part != "common" else False
        page.text(f"{name}, of {_PARTS[part]}: {kind_of(schema, required=needed)}")
        page.blank()
        page.text(schema["description"])
        if "x-says" in schema:
            page.text(f"It {schema['x-says']}.")
    if name in _BELOW:
        page.heading("its keys")
        page.entries(rows(catalogue.language[_BELOW[name]]))
    elif name == "steps":
        for part, title, keys in listed(catalogue):
            if part in {"common", *STEP_KINDS}:
                page.heading(f"keys of {title}")
                page.text(keys, 2)
    if lines := of_key(name):
        page.heading("example")
        page.example(lines)


def listed(catalogue: Catalogue) -> Iterator[tuple[str, str, str]]:
    """Each part of the language, what it is called, and its keys."""
    for part, title in _PARTS.items():
        yield part, title, ", ".join(_own(part, catalogue))
