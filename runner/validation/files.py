"""Which files a playbook may read: those below its own folder."""

from __future__ import annotations

from pathlib import Path


def file_trouble(folder: Path, name: str, root: Path | None = None) -> tuple[str, str] | None:
    """Why a file named in a playbook cannot be read: message and hint; `None` where it can.

    The name is looked up in `folder`, and must lie below `root`, the folder of the playbook that
    was started, which is `folder` itself where nothing is included.
    """
    try:
        target = (folder / name).resolve()
        inside = target.is_relative_to((root or folder).resolve())
        exists = inside and target.is_file()
    except (OSError, ValueError):
        return f"'{name}' is no path", "name a file beside the playbook"
    if not inside:
        return (
            f"'{name}' lies outside the playbook's folder",
            "a playbook reads files below its own folder only: put it there",
        )
    if not exists:
        return f"there is no file '{name}'", f"it is looked for in {folder}"
    return None
