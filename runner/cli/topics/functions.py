"""What expressions may use: the guide's table of functions, filters, tests and methods."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

from runner.catalogue import bundled
from runner.cli.topics.layout import Page

ALL = "filters"
_SECTION = "\n## Functions and filters\n"
_FENCE = "```"
_GROUP = re.compile(r"-- (.+?) -+$")
# What an example is about, as it is written there: `x | filter`, `x is test`, `x.method(`, `f(`.
_FORMS = {
    "filter": re.compile(r"\| (\w+)"),
    "test": re.compile(r" is (\w+)"),
    "method": re.compile(r"\.(\w+)\("),
    "function": re.compile(r"^(\w+)\("),
}


class _Group(NamedTuple):
    title: str
    lines: list[str]


@cache
def _section() -> tuple[str, list[_Group]]:
    """What the guide says before the table, and the groups of its lines."""
    text = (bundled("playbooks") / "README.md").read_text(encoding="utf-8")
    intro, _, rest = text.partition(_SECTION)[2].partition(_FENCE)
    groups: list[_Group] = []
    for line in rest.partition(_FENCE)[0].splitlines()[1:]:
        if found := _GROUP.match(line):
            groups.append(_Group(found[1], []))
        elif line:
            groups[-1].lines.append(line)
    return " ".join(intro.split()), groups


@cache
def known() -> Mapping[str, Mapping[str, list[str]]]:
    """Every name, with the examples of each kind of thing that it is: the first is all about it."""
    found: dict[str, dict[str, list[str]]] = {}
    for group in _section()[1]:
        for line in group.lines:
            for kind, name in _names(line):
                lines = found.setdefault(name, {}).setdefault(kind, [])
                if line not in lines:
                    lines.append(line)
    return found


def _names(line: str) -> Iterator[tuple[str, str]]:
    example = line.partition(" -> ")[0]
    for kind, form in _FORMS.items():
        for name in form.findall(example):
            yield kind, name


def one(name: str, page: Page) -> None:
    """Explain one name, once for each kind of thing that it is."""
    for number, (kind, lines) in enumerate(known()[name].items()):
        if number:
            page.blank()
        page.text(f"{name}, a {kind} of expressions")
        page.blank()
        page.example(lines)
    page.blank()
    page.text(_about())


def every(page: Page) -> None:
    """The whole table."""
    page.text(_about())
    for title, lines in _section()[1]:
        page.heading(title)
        page.example(lines)


def _about() -> str:
    """The names that the examples share."""
    return _section()[0].replace("Below, ", "In these examples ").replace("`", "")
