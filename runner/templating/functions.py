"""The functions that expressions may call; they read files below the playbook's folder only."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import IO, Any

from runner.model import Json
from runner.templating.rows import Rows, too_large

FILE_READERS = ("base64file", "csv", "file", "json_file")
NAMES = ("base64file", "csv", "days_ago", "file", "json_file", "today")

MAX_FILE = 64 * 1024 * 1024
_MAX_DAYS = 36_525


def standard(
    folder: Path | None, root: Path | None, now: Callable[[], datetime]
) -> dict[str, Callable[..., Any]]:
    """The functions by name.

    Paths are looked up in `folder` and must lie below `root`, the folder of the playbook that
    was started. `now` is when the run began, so that a day does not change half-way.
    """
    read, read_rows = _reader(folder, root), row_reader(folder, root)

    def today(zone: str = "UTC") -> str:
        return _day(now(), 0, zone)

    def days_ago(days: int, zone: str = "UTC") -> str:
        return _day(now(), days, zone)

    return {
        "base64file": lambda name: base64.b64encode(read(name)).decode(),
        "csv": lambda name, delimiter=",": list(read_rows(name, delimiter)),
        "days_ago": days_ago,
        "file": lambda name: _text(read(name), name),
        "json_file": lambda name: _json(_text(read(name), name), name),
        "today": today,
    }


def row_reader(folder: Path | None, root: Path | None) -> Callable[[str, str], Rows]:
    """What gives the rows of a CSV file, each made when it is asked for. Raises ValueError."""
    open_ = _opener(folder, root)

    def read(name: str, delimiter: str) -> Rows:
        with open_(name) as file:
            return Rows(file, name, delimiter, most=MAX_FILE)

    return read


def _reader(folder: Path | None, root: Path | None) -> Callable[[str], bytes]:
    open_ = _opener(folder, root)

    def read(name: str) -> bytes:
        with open_(name) as file:
            raw = file.read(MAX_FILE + 1)
        if len(raw) > MAX_FILE:
            raise too_large(name, MAX_FILE)
        return raw

    return read


def _opener(
    folder: Path | None, root: Path | None
) -> Callable[[str], AbstractContextManager[IO[bytes]]]:
    """What opens a file for reading; whatever is in the way of that is a ValueError."""

    @contextmanager
    def open_(name: str) -> Iterator[IO[bytes]]:
        if not isinstance(name, str) or not name:
            raise ValueError("a file is named by a text")
        target = ((folder or Path.cwd()) / name).resolve()
        if not target.is_relative_to((root or folder or Path.cwd()).resolve()):
            raise ValueError(f"'{name}' lies outside the playbook's folder")
        try:
            with target.open("rb") as file:
                yield file
        except OSError as error:
            raise ValueError(f"cannot read '{name}': {error.strerror}") from error

    return open_


def _text(raw: bytes, name: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"'{name}' is not UTF-8 text") from error


def _json(text: str, name: str) -> Json:
    from runner.playbook import parse  # noqa: PLC0415  (a playbook without data files needs none)

    if name.lower().endswith(".json"):
        try:
            return json.loads(text)
        except ValueError as error:
            raise ValueError(f"'{name}' is not JSON: {error}") from error
    document = parse(text, name)
    if document.broken:
        first = document.problems[0]
        raise ValueError(f"{first.place}: {first.message}")
    return document.data


def _day(now: datetime, days: int, zone: str) -> str:
    if isinstance(days, bool) or not isinstance(days, int) or abs(days) > _MAX_DAYS:
        raise ValueError(f"days_ago takes whole days, at most {_MAX_DAYS:,}")
    return (now.astimezone(_zone(zone)) - timedelta(days=days)).strftime("%Y-%m-%d")


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415  (for few playbooks)

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"'{name}' is no time zone, such as Europe/Madrid") from error
