"""The trackers file: YAML to entries with their places, keys read only when they are needed."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.errors import RunnerError
from runner.trackers import checks
from runner.trackers.tracker import TRANSPORTS, Tracker

if TYPE_CHECKING:
    from yaml.nodes import Node

COMMAND_TIMEOUT = 60.0  # seconds: long enough to type the passphrase of a password store
FILE_LIMIT = 1 << 20

_FIELDS = ("url", "key", "resolve", "ca_file", "timeout", "user_agent", "insecure", "transport")
_LOOKS_LIKE_KEY = re.compile(r"[0-9a-fA-F]{32}")


class _Spot(NamedTuple):
    """A value in the trackers file, and how to name it in an error."""

    file: Path
    label: str
    node: Node

    def wrong(self, message: str, hint: str = "") -> RunnerError:
        return RunnerError(f"{self} {message}", hint)

    def __str__(self) -> str:
        return f"{self.file}:{self.node.start_mark.line + 1} {self.label}"

    def is_a(self, kind: str) -> bool:
        """Whether the value is a `scalar`, a `sequence` or a `mapping`."""
        return getattr(self.node, "id", None) == kind

    def text(self) -> str:
        if not self.is_a("scalar") or not self.node.value:
            raise self.wrong("must be text")
        return str(self.node.value)

    def texts(self) -> list[str]:
        if not self.is_a("sequence") or not self.node.value:
            raise self.wrong("must be a list of words", "such as [pass, show, keitaro]")
        return [_Spot(self.file, self.label, part).text() for part in self.node.value]

    def pairs(self, known: tuple[str, ...] = ()) -> dict[str, _Spot]:
        """The mapping's values by key; with `known`, any other key is refused."""
        if not self.is_a("mapping"):
            raise self.wrong("must be a mapping", "of the form 'name: value'")
        found: dict[str, _Spot] = {}
        for key, value in self.node.value:
            name = _Spot(self.file, f"a key in {self.label}", key).text()
            spot = _Spot(self.file, f"{self.label}.{name}".removeprefix("the file."), value)
            if name in found:
                raise spot.wrong("is there twice")
            if known and name not in known:
                raise spot.wrong(
                    f"is not known{checks.nearest(name, list(known))}", f"known: {', '.join(known)}"
                )
            found[name] = spot
        return found


class Entry(NamedTuple):
    """One tracker of the file, its key not read yet."""

    name: str
    spot: _Spot
    fields: Mapping[str, _Spot]

    def tracker(self, environ: Mapping[str, str], insecure: bool) -> Tracker:
        """The tracker, its key read now; `RunnerError` names the place of what is wrong."""
        for needed in ("url", "key"):
            if needed not in self.fields:
                raise self.spot.wrong(f"has no {needed}", f"add '{needed}:' to it")
        options = {
            name: read(self.fields[name]) for name, read in _READERS.items() if name in self.fields
        }
        open_to_all = insecure or options.get("insecure", False)
        resolve = options.get("resolve")
        place = self.fields["url"]
        url = checks.check_url(place.text(), str(place), insecure=open_to_all, resolve=resolve)
        options |= {"insecure": open_to_all, "proxy": checks.proxy_for(url, resolve, environ)}
        return Tracker(self.name, url, _key(self.fields["key"], environ), **options)


class TrackersFile(NamedTuple):
    """A trackers file that was read: `default` names one of `entries`, or is `None`."""

    path: Path
    default: str | None
    entries: Mapping[str, Entry]


def read(path: Path) -> TrackersFile:
    """The file, its structure checked throughout, so that a mistake shows before it is needed."""
    top = _Spot(path, "the file", _compose(path)).pairs(("default", "trackers"))
    if "trackers" not in top:
        raise RunnerError(f"{path} has no 'trackers'", "write 'trackers: {NAME: {url: …, key: …}}'")
    entries = {
        name: Entry(name, spot, spot.pairs(_FIELDS))
        for name, spot in top["trackers"].pairs().items()
    }
    if not entries:
        raise top["trackers"].wrong("names no tracker")
    default = top["default"].text() if "default" in top else None
    if default is not None and default not in entries:
        raise top["default"].wrong(
            f"names no tracker of this file{checks.nearest(default, list(entries))}",
            f"known: {', '.join(entries)}",
        )
    return TrackersFile(path, default, entries)


def _compose(path: Path) -> Node:
    import yaml  # noqa: PLC0415 (a run by variables alone needs none)

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        text = path.read_bytes()
        if len(text) > FILE_LIMIT:
            raise RunnerError(f"{path} is too large to be a trackers file")
        node: Node | None = yaml.compose(text, loader)
    except OSError as error:
        raise RunnerError(f"cannot read {path}: {error.strerror}", "is the path right?") from None
    except (yaml.YAMLError, RecursionError) as error:
        mark, what = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        line = f":{mark.line + 1}" if mark else ""
        raise RunnerError(f"{path}{line} is not YAML: {what or 'unreadable'}") from None
    if node is None:
        raise RunnerError(f"{path} is empty", "write 'trackers: {NAME: {url: …, key: …}}'")
    return node


# --- the values of an entry -------------------------------------------------------------------


def _address(spot: _Spot) -> str:
    try:
        return str(ipaddress.ip_address(spot.text()))
    except ValueError:
        raise spot.wrong("is not an IP address", "write the address alone: 203.0.113.7") from None


def _seconds(spot: _Spot) -> float:
    try:
        seconds = float(spot.text())
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86400:
        raise spot.wrong("is not a number of seconds", "write timeout: 60")
    return seconds


def _flag(spot: _Spot) -> bool:
    if spot.text() not in ("true", "false"):
        raise spot.wrong("must be true or false")
    return spot.text() == "true"


def _transport(spot: _Spot) -> str:
    if spot.text() not in TRANSPORTS:
        raise spot.wrong(f"must be {' or '.join(TRANSPORTS)}")
    return spot.text()


def _header(spot: _Spot) -> str:
    text = spot.text()
    if not (text.isascii() and text.isprintable()):
        raise spot.wrong("holds characters that a header cannot carry")
    return text


def _path(spot: _Spot) -> Path:
    """A path, relative to the trackers file, that must be there."""
    path = spot.file.parent / Path(spot.text()).expanduser()
    if not path.is_file():
        raise spot.wrong(f"is not a file: {path}", "paths count from the trackers file's folder")
    return path


_READERS: Mapping[str, Callable[[_Spot], Any]] = {
    "resolve": _address,
    "timeout": _seconds,
    "insecure": _flag,
    "user_agent": _header,
    "ca_file": _path,
    "transport": _transport,
}


def _key(spot: _Spot, environ: Mapping[str, str]) -> str:
    if spot.is_a("scalar"):
        raise spot.wrong(
            "holds a key in the clear; files like this end up in git and in backups",
            "write key: {env: NAME}, key: {file: PATH} or key: {command: [WORD, …]}",
        )
    sources = spot.pairs()
    # Unknown names are not echoed: `key: {3f2a…}` is a mapping too, and its name is the key.
    if len(sources) != 1 or not set(sources) <= set(_SOURCES):
        raise spot.wrong("must name one source", f"one of {', '.join(_SOURCES)}")
    kind, source = next(iter(sources.items()))
    return checks.check_key(_SOURCES[kind](source, environ), str(source))


def _key_of_variable(spot: _Spot, environ: Mapping[str, str]) -> str:
    name = spot.text()
    if _LOOKS_LIKE_KEY.fullmatch(name):
        raise spot.wrong("holds what looks like a key", "write the name of a variable instead")
    if name not in environ:
        raise spot.wrong(f"is not set in the environment: {name}", f"export {name}=…")
    return environ[name]


def _key_of_file(spot: _Spot, _environ: Mapping[str, str]) -> str:
    path = _path(spot)
    try:
        return path.read_bytes()[:FILE_LIMIT].decode("ascii", "replace").rstrip("\r\n")
    except OSError as error:
        raise spot.wrong(f"cannot be read: {error.strerror}") from None


def _key_of_command(spot: _Spot, environ: Mapping[str, str]) -> str:
    """What the command prints. No shell sees it; what it says on stderr may hold secrets."""
    import subprocess  # noqa: PLC0415 (few trackers files need it)

    words = spot.texts()
    by_hand = f"run it by hand to see why: {words[0]} …"
    try:
        done = subprocess.run(
            words,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_TIMEOUT,
            check=False,
        )
    except OSError as error:
        raise spot.wrong(f"cannot be run: {error.strerror}", by_hand) from None
    except subprocess.TimeoutExpired:
        raise spot.wrong(f"took longer than {COMMAND_TIMEOUT:g} s", by_hand) from None
    if done.returncode:
        raise spot.wrong(f"failed with exit code {done.returncode}", by_hand)
    return done.stdout.decode("ascii", "replace").rstrip("\r\n")


_SOURCES: Mapping[str, Callable[[_Spot, Mapping[str, str]], str]] = {
    "env": _key_of_variable,
    "file": _key_of_file,
    "command": _key_of_command,
}
