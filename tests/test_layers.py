"""Which room may import which: data flows one way, and the emulator stands apart."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import CATALOGUE, ROOT

PACKAGE = ROOT / "runner"

# From the bottom up: a room imports from the lines above its own, and from its own room.
RANKS = (
    ("errors", "annotations", "stop"),
    ("model",),
    ("compact",),
    ("masking", "catalogue", "playbook", "marks", "chain"),
    ("templating", "trackers"),
    ("shapes", "wire", "spots", "changes"),
    ("lint",),
    ("inputs", "answers", "retries", "journal", "validation", "editor_schema"),
    ("saving", "transport", "doubts", "asking"),
    ("planning",),
    ("execution", "report", "exporters", "preflight", "doctor", "passing"),
    ("runs",),
    ("session",),
    ("resuming", "doctor"),
    ("cli",),
    ("__main__",),
)
RANK = {room: rank for rank, rooms in enumerate(RANKS) for room in rooms}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def room_of(path: Path) -> str:
    """The room that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """The rooms of the package that a file imports from, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            if name.startswith("runner.") and name != "runner.__version__":
                yield name.split(".")[1]


def literals(path: Path) -> Iterator[str]:
    """Every text in a file's code, without docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    told = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.value


def test_every_room_has_a_rank() -> None:
    """A new room is given its place here first, and none is left over."""
    assert {room_of(path) for path in FILES} - {"emulator"} == set(RANK)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    """A file imports from lower rooms and its own; only the command line starts the emulator."""
    room = room_of(path)
    if room == "emulator":
        assert set(imports(path)) <= {"emulator"}
        return
    allowed = {other for other, rank in RANK.items() if rank < RANK[room]} | {room}
    if room == "cli":
        allowed.add("emulator")
    assert set(imports(path)) - allowed == set()


SILENT = [path for path in FILES if room_of(path) not in {"cli", "__main__"}]


@pytest.mark.parametrize("path", SILENT, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_the_command_line_speaks(path: Path) -> None:
    """Nothing else prints, exits, or imports click."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in {
                "print", "exit", "quit", "sys.exit", "os._exit", "sys.stdout.write",
                "sys.stderr.write", "input",
            }  # fmt: skip
        if isinstance(node, ast.Import | ast.ImportFrom):
            assert "click" not in ast.unparse(node).split()


SANS_IO = [path for path in FILES if room_of(path) in {"execution", "planning", "retries", "wire"}]


@pytest.mark.parametrize("path", SANS_IO, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_the_middle_is_handed_what_it_needs(path: Path) -> None:
    """Running opens no socket and no file, reads no clock and no environment."""
    text = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = {alias.name.split(".")[0] for alias in node.names}
            assert not names & {"socket", "httpx", "os", "time", "random", "tempfile", "subprocess"}
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in {"open", "datetime.now", "Path.open"}


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if room_of(path) != "emulator"],
    ids=lambda p: str(p.relative_to(PACKAGE)),
)
def test_no_resource_is_named(path: Path) -> None:
    """The API lives in schemas/: no code names a resource, or one of its operations in full."""
    resources = set(CATALOGUE.names)
    # Words that mean something else besides: a line of an envelope, the beginning of a key's name.
    ours = {"filter", "group", "label", "log", "source", "user", "api", "domain", "click", "avscan"}
    for text in literals(path):
        assert text not in resources - ours, f"{text!r} is a resource"
        head, dot, tail = text.partition(".")
        named = dot and head in resources and CATALOGUE.operation(head, tail)
        assert not named, f"{text!r} is an operation"
