"""Which tracker a name means: its address, its key and how to reach it; sends nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import NoReturn

from runner.errors import RunnerError
from runner.trackers import checks
from runner.trackers.file import TrackersFile, read
from runner.trackers.tracker import API, TIMEOUT, TRANSPORTS, Tracker

__all__ = ["API", "DEFAULT", "TIMEOUT", "TRANSPORTS", "Tracker", "Trackers", "find"]

DEFAULT = "default"
_USUAL = "trackers.yaml"  # the name that `init` gives the file


class Trackers:
    """The trackers that a run can name, each looked up, and its key read, when first asked for.

    They come from a trackers file and from the variables KEITARO_URL and KEITARO_API_KEY, which
    together make the tracker `default`. With no name given it is the file's `default:` or its only
    tracker, and that of the variables where the file names several and no default: who gives a
    file means it, while variables may be left over from elsewhere.
    `stand_ins` are taken in place of all these, where there are any, the run's own as `default`.
    `transport` goes for all of them, before what the file says of one; KEITARO_TRANSPORT goes for
    those of which nobody says anything.
    """

    def __init__(
        self,
        file: Path | None,
        environ: Mapping[str, str],
        *,
        insecure: bool = False,
        transport: str | None = None,
        stand_ins: Mapping[str, Tracker] | None = None,
    ) -> None:
        self._stand_ins = stand_ins or {}
        self._environ = environ
        self._transport = transport
        self._insecure = insecure
        self._file: TrackersFile | None = read(file) if file else None
        self._known: dict[str, Tracker] = {}
        self._lock = RLock()

    @property
    def names(self) -> list[str]:
        """The names that `get` takes, in the order of the file."""
        if self._stand_ins:
            return list(self._stand_ins)
        names = list(self._file.entries) if self._file else []
        return [*names, DEFAULT] if self._has_variables and DEFAULT not in names else names

    @property
    def default(self) -> str | None:
        """The name that `get(None)` stands for, or `None` where nothing says so."""
        if self._stand_ins:
            return DEFAULT
        entries = list(self._file.entries) if self._file else []
        named = self._file.default if self._file else None
        named = named or (entries[0] if len(entries) == 1 else None)
        return named or (DEFAULT if self._has_variables else None)

    def get(self, name: str | None = None) -> Tracker:
        """The tracker of that name, or the default one; `RunnerError` says what is missing."""
        # A `for_each` asks from several threads, and a key's command must not run twice.
        with self._lock:
            key = name or ""
            if key not in self._known:
                self._known[key] = self._carried(self._find(name))
            return self._known[key]

    @property
    def _has_variables(self) -> bool:
        return bool(self._environ.get("KEITARO_URL"))

    def _find(self, name: str | None) -> Tracker:
        chosen = name or self.default
        if chosen is None:
            self._undecided()
        if chosen in self._stand_ins:
            return self._stand_ins[chosen]
        if self._file and chosen in self._file.entries:
            return self._file.entries[chosen].tracker(self._environ, self._insecure)
        if chosen == DEFAULT and self._has_variables and not self._stand_ins:
            return _from_variables(self._environ, self._insecure)
        raise RunnerError(
            f"there is no tracker '{chosen}'{checks.nearest(chosen, self.names)}",
            f"known: {', '.join(self.names)}"
            if self.names
            else "set KEITARO_URL and KEITARO_API_KEY, or name it in a trackers file",
        )

    def _carried(self, tracker: Tracker) -> Tracker:
        named = self._transport or tracker.transport or self._environ.get("KEITARO_TRANSPORT")
        if named and named not in TRANSPORTS:
            raise RunnerError(
                f"KEITARO_TRANSPORT names no transport: {named!r}",
                f"it must be {' or '.join(TRANSPORTS)}",
            )
        return replace(tracker, transport=named or TRANSPORTS[0])

    def _undecided(self) -> NoReturn:
        if self._file:
            raise RunnerError(
                f"{self._file.path} names several trackers and no default",
                f"choose one of {', '.join(self._file.entries)}, or add a line 'default: NAME'",
            )
        raise RunnerError(
            "no tracker is named: KEITARO_URL is not set, and no trackers file is given",
            f"add --trackers {_USUAL}, which lies here"
            if Path(_USUAL).is_file()
            else f"set KEITARO_URL and KEITARO_API_KEY, or write a {_USUAL} and name it with "
            "--trackers",
        )


def find(
    name: str | None, file: Path | None, environ: Mapping[str, str], *, insecure: bool = False
) -> Tracker:
    """The tracker of that name, or the default one, as `Trackers.get` chooses it."""
    return Trackers(file, environ, insecure=insecure).get(name)


def _from_variables(environ: Mapping[str, str], insecure: bool) -> Tracker:
    url = checks.check_url(environ["KEITARO_URL"], "KEITARO_URL", insecure=insecure, resolve=None)
    if "KEITARO_API_KEY" not in environ:
        raise RunnerError(
            "KEITARO_API_KEY is not set, though KEITARO_URL is",
            "set it to a key of that tracker (in the panel: user, API keys)",
        )
    key = checks.check_key(environ["KEITARO_API_KEY"], "KEITARO_API_KEY")
    return Tracker(DEFAULT, url, key, insecure=insecure, proxy=checks.proxy_for(url, None, environ))
