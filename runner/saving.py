"""Files that a run writes: JSON, CSV, text or raw bytes, whole or not at all."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
import os
import tempfile
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from runner.model import Json
from runner.validation.saving import FORMATS, outside_trouble

_asking = threading.Lock()


def save(
    folder: Path, name: str, form: str | None, value: Json, columns: tuple[str, ...] = ()
) -> Path:
    """Write a value below `folder`, under a temporary name first; give the file's path.

    `form` is `json`, `csv`, `text` or `raw`, by default what the name's ending says, else raw.
    Raises ValueError where the value has not that form, and OSError.
    """
    trouble = outside_trouble(name)
    if trouble:
        raise ValueError(trouble)
    target = folder / name
    if not target.parent.resolve().is_relative_to(folder.resolve()):
        raise ValueError("lies outside the folder that the command is started in")
    form = form or FORMATS.get(PurePosixPath(name).suffix.lower(), "raw")
    content = _FORMS[form](value, columns)
    target.parent.mkdir(parents=True, exist_ok=True)
    _replace(target, content)
    return target


def _replace(target: Path, content: bytes) -> None:
    """Write beside the target and rename: a reader sees the old file or the new one."""
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), 0o644 & ~_umask())
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    with _asking:  # it can only be asked for by setting it, and for all threads
        current = os.umask(0)
        os.umask(current)
    return current


def _json(value: Json, _: tuple[str, ...]) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()


def _text(value: Json, _: tuple[str, ...]) -> bytes:
    if not isinstance(value, str):
        raise ValueError("the value is no text; write it as json, or as an expression in a text")
    return value.encode()


def _raw(value: Json, _: tuple[str, ...]) -> bytes:
    content = value.get("base64") if isinstance(value, Mapping) else None
    if not isinstance(content, str):
        raise ValueError("the value is no download; write it as json, csv or text")
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("the value's base64 cannot be read") from error


def _csv(value: Json, columns: tuple[str, ...]) -> bytes:
    """Rows as CSV with a header; columns in the order given, or in that of their first coming."""
    if not isinstance(value, list) or not all(isinstance(row, Mapping) for row in value):
        raise ValueError("the value is no list of rows; name one, such as ${{ data.rows }}")
    names = columns or tuple(_columns(value))
    if not names:
        return b""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    for row in value:
        writer.writerow([_cell(row.get(name)) for name in names])
    return stream.getvalue().encode()


def _columns(rows: Iterable[Mapping[str, Any]]) -> dict[str, None]:
    return {name: None for row in rows for name in row}


def _cell(value: Json) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


_FORMS = {"json": _json, "csv": _csv, "text": _text, "raw": _raw}
