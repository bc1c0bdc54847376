"""The codes of problems, and the exit codes: what `problems.json` says of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from runner.catalogue import bundled
from runner.cli.topics.layout import Page
from runner.errors import CatalogueError


@cache
def _content() -> Mapping[str, Any]:
    try:
        content: dict[str, Any] = json.loads((bundled("schemas") / "problems.json").read_bytes())
    except (OSError, ValueError) as error:
        raise CatalogueError(
            f"cannot read the bundled file problems.json: {error}", "install keitaro-runner again"
        ) from error
    return content


def known() -> Mapping[str, Any]:
    """Every code with its title, severity, explanation and examples."""
    codes: Mapping[str, Any] = _content()["codes"]
    return codes


def problem(code: str, page: Page) -> None:
    """What a code means, why it matters, what is wrong and what is right."""
    entry = known()[code]
    page.text(f"{code}: {entry['title']} ({entry['severity']})")
    page.blank()
    page.text(entry["explanation"])
    for word, title in (("bad", "not like this"), ("good", "but like this")):
        if word in entry:
            page.heading(title)
            page.example(entry[word])
    if entry["severity"] == "warning" or code.startswith("KT"):
        page.heading("silence it on its line")
        page.example([f"# noqa: {code}"])


def exit_codes(page: Page) -> None:
    """What the command says to the shell."""
    page.text("The exit codes of keitaro-runner:")
    page.blank()
    page.table(
        [
            (f"{number} {entry['title']}", entry["explanation"])
            for number, entry in _content()["exit_codes"].items()
        ]
    )
