"""The files of local landing pages and offers: archives taken in, and the six file operations."""

from __future__ import annotations

import base64
import binascii

from runner.emulator import files
from runner.emulator.answers import ErrorAnswer, InvalidError, Reply
from runner.emulator.entities.crud import Entity, copy_of, find
from runner.emulator.routing import Call, Handler, Route, reads
from runner.emulator.state import Row

_BINARY = "application/octet-stream"


def take_archive(values: Row) -> Row:
    """Check `archive` (a base64 zip, by the official specification); raises InvalidError."""
    if values.get("archive"):
        try:
            files.unpack(values["archive"])
        except ValueError as problem:
            raise InvalidError.of("archive", f"Archive {problem}") from None
    return values


def unpack_archive(table: str, call: Call, row: Row) -> None:
    """Replace the entity's tree by the archive of this call, and say where it is kept."""
    archive, row["archive"] = row.get("archive"), ""
    if not archive:
        return
    call.state.files[table, row["id"]] = files.unpack(archive)
    row["local_path"] = f"lander/{table}_{row['id']}"
    row["preview_path"] = f"/lander/{table}_{row['id']}/index.html"


def copy_with_files(entity: Entity, call: Call, original: Row) -> Row:
    """Copy an entity together with its tree."""
    row = copy_of(entity, call, original)
    tree = call.state.files.get((entity.table, original["id"]))
    if tree is not None:
        call.state.files[entity.table, row["id"]] = dict(tree)
        row["local_path"] = f"lander/{entity.table}_{row['id']}"
        row["preview_path"] = f"/lander/{entity.table}_{row['id']}/index.html"
    return row


def _tree(entity: Entity, call: Call) -> files.Files:
    row = find(entity, call)
    return call.state.files.setdefault((entity.table, row["id"]), {})


def _path(call: Call) -> str:
    given = call.query.get("path") or call.body.get("path") or call.required("path", status=406)
    try:
        return files.clean_path(str(given))
    except ValueError as problem:
        raise InvalidError.of("path", f"Path {problem}") from None


def _existing(tree: files.Files, path: str) -> str:
    if path not in tree:
        raise ErrorAnswer(404, f"File {path} not found")
    return path


def _structure(entity: Entity) -> Handler:
    return lambda call: files.structure(_tree(entity, call), find(entity, call)["name"])


def _get_file(entity: Entity) -> Handler:
    def handler(call: Call) -> Row:
        tree = _tree(entity, call)
        return {"data": files.shown(tree[_existing(tree, _path(call))])}

    return handler


def _add_file(entity: Entity) -> Handler:
    def handler(call: Call) -> Row:
        tree, path = _tree(entity, call), _path(call)
        if path in tree:
            raise InvalidError.of("path", "Path has already used")
        tree[path] = b""
        call.state.touch()
        return {"path": path}

    return handler


def _update_file(entity: Entity) -> Handler:
    def handler(call: Call) -> Row:
        tree = _tree(entity, call)
        path = _existing(tree, _path(call))
        tree[path] = _content(call)
        call.state.touch()
        return {"path": path}

    return handler


def _content(call: Call) -> bytes:
    """Return the new content: plain in the query (2022), or base64 in a JSON body (one client)."""
    if "data" in call.query:
        return call.query["data"].encode()
    if "data" not in call.body:
        raise InvalidError.of("data", "Data is required")
    try:
        return base64.b64decode(str(call.body["data"]), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidError.of("data", "Data is not valid base64") from None


def _remove_file(entity: Entity) -> Handler:
    def handler(call: Call) -> Row:
        tree, path = _tree(entity, call), _path(call)
        gone = [name for name in tree if name == path or name.startswith(f"{path}/")]
        if not gone:
            raise ErrorAnswer(404, f"File {path} not found")
        for name in gone:
            del tree[name]
        call.state.touch()
        return {"success": True}

    return handler


def _download(entity: Entity) -> Handler:
    def handler(call: Call) -> Reply:
        packed = files.pack(_tree(entity, call))
        name = f'attachment; filename="{entity.table}_{call.key}.zip"'
        return Reply(200, packed, _BINARY, (("Content-Disposition", name),))

    return handler


def file_routes(entity: Entity) -> list[Route]:
    """Return the file operations of one entity."""
    base = f"/{entity.table}/{{id}}"
    return [
        reads("GET", f"{base}/get_structure", _structure(entity)),
        reads("GET", f"{base}/get_file", _get_file(entity)),
        reads("GET", f"{base}/download", _download(entity)),
        Route("POST", f"{base}/add_file", _add_file(entity)),
        Route("PUT", f"{base}/update_file", _update_file(entity)),
        Route("DELETE", f"{base}/remove_file", _remove_file(entity)),
    ]
