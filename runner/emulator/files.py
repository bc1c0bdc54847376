"""Local landing pages and offers as trees of files: unpacking, packing and showing zip archives."""

from __future__ import annotations

import base64
import binascii
import io
import zipfile
from pathlib import PurePosixPath
from typing import Any

Files = dict[str, bytes]

MAX_UNPACKED = 64 * 1024 * 1024


def unpack(archive: str) -> Files:
    """Return the files of a base64 zip by path; raises ValueError that ends a sentence about it."""
    try:
        packed = base64.b64decode(archive, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not valid base64") from None
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as opened:
            return _members(opened)
    # NotImplementedError is zipfile's own for a way of packing that it does not know.
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError):
        raise ValueError("is not a valid zip file") from None


def _members(opened: zipfile.ZipFile) -> Files:
    members = [member for member in opened.infolist() if not member.is_dir()]
    if sum(member.file_size for member in members) > MAX_UNPACKED:
        raise ValueError(f"unpacks to more than {MAX_UNPACKED} bytes")
    return {clean_path(member.filename): opened.read(member) for member in members}


def clean_path(path: str) -> str:
    """Return a path below the tree's root; raises ValueError for one that leads out of it."""
    parts = PurePosixPath(path.replace("\\", "/").lstrip("/")).parts
    if not parts or ".." in parts:
        raise ValueError("is not a path inside the archive")
    return "/".join(parts)


def pack(files: Files) -> bytes:
    """Return the files as a zip; the same files give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(files):
            # A fixed date, or two downloads of one tree would differ.
            packed.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), files[path])
    return buffer.getvalue()


def structure(files: Files, name: str) -> dict[str, Any]:
    """Return the tree in the shape EditorFiles of the official specification: folders first."""
    root = _folder(name, "")
    for path in sorted(files):
        folder, parts = root, path.split("/")
        for depth, part in enumerate(parts[:-1], start=1):
            folder = _subfolder(folder, part, "/".join(parts[:depth]))
        extension = PurePosixPath(path).suffix.lstrip(".")
        folder["children"].append(
            {"name": parts[-1], "type": "file", "ext": extension, "path": path, "children": []}
        )
    _sort(root)
    return root


def _folder(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "type": "dir", "ext": "", "path": path, "children": []}


def _subfolder(folder: dict[str, Any], name: str, path: str) -> dict[str, Any]:
    children: list[dict[str, Any]] = folder["children"]
    for child in children:
        if child["type"] == "dir" and child["name"] == name:
            return child
    children.append(_folder(name, path))
    return children[-1]


def _sort(folder: dict[str, Any]) -> None:
    folder["children"].sort(key=lambda child: (child["type"] == "file", child["name"]))
    for child in folder["children"]:
        _sort(child)


def shown(content: bytes) -> str:
    """Return a file's content as text, or as base64 where it is none."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return base64.b64encode(content).decode()
