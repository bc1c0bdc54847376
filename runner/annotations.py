"""Workflow commands of GitHub Actions, which it draws on the lines of files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def annotation(level: str, properties: Mapping[str, object], message: str) -> str:
    """The command that has GitHub show a message; `level` is `error`, `warning` or `notice`."""
    head = ",".join(f"{name}={_escape(str(text), head=True)}" for name, text in properties.items())
    return f"::{level} {head}::{_escape(message)}"


def from_the_top(file: str, folder: Path, environ: Mapping[str, str]) -> str:
    """The path as seen from the top of the repository, which is what GitHub goes by."""
    top = environ.get("GITHUB_WORKSPACE")
    if not top or file.startswith("<"):
        return file
    path = (folder / file).resolve()
    root = Path(top).resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else file


def _escape(text: str, *, head: bool = False) -> str:
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if head else text
