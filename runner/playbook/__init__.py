"""YAML to a document that knows its places; reads files, judges nothing but the YAML itself."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from runner.errors import RunnerError
from runner.playbook.document import Document, Map, Seq, Trail, fingerprint, show_trail
from runner.playbook.events import scalar_ends
from runner.playbook.faults import depth_limit, note_character, note_surrogate, note_syntax
from runner.playbook.many import Many
from runner.playbook.reader import Reader, StopReading

__all__ = [
    "Document",
    "Many",
    "Map",
    "Seq",
    "Trail",
    "fingerprint",
    "parse",
    "parse_bytes",
    "read",
    "show_trail",
]

MAX_BYTES = 64 * 1024 * 1024


_ENDS = (".yaml", ".yml")  # of a playbook's name


def read(path: Path | str, shown: str | None = None, *, body: bool = False) -> Document:
    """Read a playbook from a file, or from standard input where the path is `-`.

    `shown` is what messages call the file, by default the path as it was given. A `body` is no
    playbook, whatever it looks like: all lists in it are lists. Raises RunnerError where the file
    cannot be read at all.
    """
    if str(path) == "-":
        document = parse_bytes(sys.stdin.buffer.read(MAX_BYTES + 1), "<stdin>")
        document.folder = Path.cwd()
        return document
    name = shown or str(path)
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        if isinstance(error, IsADirectoryError):
            raise RunnerError(f"{name} is a folder", "name a playbook in it") from error
        reason = getattr(error, "strerror", None) or str(error)
        meant = (
            next((f"{path}{end}" for end in _ENDS if Path(f"{path}{end}").is_file()), None)
            if isinstance(error, FileNotFoundError)
            else None
        )
        hint = f"did you mean {meant}?" if meant else "check the path"
        raise RunnerError(f"cannot read {name}: {reason}", hint) from error
    document = parse_bytes(raw, name, body=body)
    document.folder = Path(path).resolve().parent
    return document


def parse_bytes(raw: bytes, file: str, *, body: bool = False) -> Document:
    """Read a playbook from bytes: UTF-8, with or without a byte order mark."""
    if len(raw) > MAX_BYTES:
        document = Document(file, "")
        size = f"{MAX_BYTES // 1024 // 1024} MiB"
        document.note("KP101", f"the file is larger than {size}", "split it into several playbooks")
        return document
    try:
        return parse(raw.decode("utf-8-sig"), file, body=body)
    except UnicodeDecodeError as error:
        document = Document(file, raw.decode("utf-8-sig", errors="replace"))
        document.note(
            "KP102",
            f"byte 0x{error.object[error.start]:02x} is not UTF-8",
            "save the file as UTF-8",
            offset=len(error.object[: error.start].decode(errors="replace")),
            length=1,
        )
        return document


def parse(text: str, file: str = "<text>", *, body: bool = False) -> Document:
    """Read a playbook from text. What is wrong with the YAML is in the document's problems."""
    return _parse(text, file, None, body=body)


def _parse(text: str, file: str, until: int | None, *, body: bool) -> Document:
    # A mark that an editor left would shift all columns of the first line by one.
    document = Document(file, text.removeprefix("\ufeff"), _ends=scalar_ends)
    try:
        document.data = Reader(document, until, body=body).read()
    except yaml.MarkedYAMLError as error:
        too_deep = until is None and depth_limit(error)
        if too_deep:
            # libyaml looks ahead, and gives up before it has told of the levels that are too many
            # for us: up to there the text is read once more.
            return _parse(text, file, too_deep, body=body)
        note_syntax(document, error)
    except yaml.reader.ReaderError as error:
        note_character(document, error.character)
    except UnicodeEncodeError as error:
        note_surrogate(document, error.start)
    except StopReading:
        document.data = None
    return document
