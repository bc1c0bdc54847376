"""What the trackers have of the ids that are stated: each list, and each id, asked for once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from runner.answers import FailureType, judge
from runner.asking import ask
from runner.catalogue import Operation
from runner.errors import TrackerError
from runner.masking import Masker
from runner.model import Json, Problem, Reach, Request, Severity, Verdict
from runner.preflight.mentions import Mention, Where
from runner.templating.expressions import nearest
from runner.trackers import Trackers
from runner.transport import Transport
from runner.validation import Rules
from runner.wire import PathError, build_path

# The operations that every resource calls the same, where it has them.
_LIST, _ONE, _ARCHIVE = "getAll", "get", "getDeleted"
# Answers after which no other call can succeed.
_HOPELESS = frozenset({FailureType.UNAUTHORIZED.value, FailureType.PAYMENT_REQUIRED.value})
_SHOWN = 8


@dataclass(slots=True)
class _Listing:
    """What a list showed, names by id; `trouble` says why it proves nothing of what is missing."""

    known: dict[str, str] = field(default_factory=dict)
    trouble: str = ""


class Reaches:
    """The trackers that are asked, each opened when it is first needed."""

    def __init__(self, trackers: Trackers, default: str | None) -> None:
        self._trackers = trackers
        self._default = default
        self._stack = ExitStack()
        self._known: dict[str | None, Reach] = {}
        self.masker = Masker(())

    def __enter__(self) -> Reaches:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def find(self, name: str | None) -> Reach:
        """The tracker of that name, `None` for the run's own. Raises RunnerError."""
        key = name or self._default
        if key not in self._known:
            tracker = self._trackers.get(key)
            for secret in tracker.secrets:
                self.masker.add(secret)
            transport = self._stack.enter_context(Transport(tracker))
            self._known[key] = Reach(tracker.name, tracker.url, tracker.api, transport.prepare)
        return self._known[key]


class Lookup:
    """Looks ids up, each list and each id at most once."""

    def __init__(self, rules: Rules, reaches: Reaches) -> None:
        self._catalogue = rules.catalogue
        self._reaches = reaches
        self._listings: dict[tuple[Where, str], _Listing] = {}
        self._singles: dict[tuple[Where, str], Verdict] = {}

    def problem(self, mention: Mention, *, fine: bool) -> Problem | None:
        """What is wrong with an id; `fine` where it may be in the archive."""
        if mention.field != "id":
            return self._unlisted(mention)
        listing = self._listing(mention.where, _LIST)
        if listing is not None and mention.entity in listing.known:
            return None
        if listing is not None and (listing.trouble or not listing.known):
            return self._unproved(mention, listing.trouble or "the list came back empty")
        archive = self._listing(mention.where, _ARCHIVE)
        if archive is not None and mention.entity in archive.known:
            return None if fine else self._archived(mention)
        return self._by_itself(mention, listing or _Listing(), fine=fine)

    def _unlisted(self, mention: Mention) -> Problem | None:
        """What is wrong with a name; nothing where the tracker does not tell."""
        listing = self._listing(mention.where, _LIST, mention.field)
        if listing is None or not listing.known or mention.entity in listing.known:
            return None
        near = nearest(mention.entity, list(listing.known))
        what = f"{self._on(mention)} lists no {mention.where[1]} {mention.entity!r}"
        return self._problem(
            "KP504",
            what,
            f"did you mean '{near}'?" if near else f"there is {', '.join(sorted(listing.known))}",
            mention,
            Severity.WARNING,
        )

    def _by_itself(self, mention: Mention, listing: _Listing, *, fine: bool) -> Problem | None:
        verdict = self._single(mention)
        if verdict is None:
            return self._missing(mention, listing)
        if verdict.success:
            state = verdict.data.get("state") if isinstance(verdict.data, dict) else None
            return self._archived(mention) if state == "deleted" and not fine else None
        if verdict.status == 404:
            return self._missing(mention, listing)
        return self._unproved(mention, verdict.error.message if verdict.error else "")

    # -- asking -----------------------------------------------------------------------------------

    def _listing(self, where: Where, name: str, field: str = "id") -> _Listing | None:
        """What a list shows; `None` where the resource has no list of all."""
        tracker, resource, params = where
        operation = self._catalogue.operation(resource, name)
        if operation is None:
            return None
        choices = _choices(operation, dict(params))
        if choices is None:
            return None
        key = ((tracker, resource, params if operation.parameters else ()), name)
        if key not in self._listings:
            self._listings[key] = self._read(tracker, operation, choices, field)
        return self._listings[key]

    def _read(
        self,
        tracker: str | None,
        operation: Operation,
        choices: list[Mapping[str, Json]],
        field: str,
    ) -> _Listing:
        listing = _Listing()
        for params in choices:
            verdict = self._ask(tracker, operation, None, params)
            if verdict.success:
                listing.known |= _rows(verdict.data, field)
            else:
                listing.trouble = verdict.error.message if verdict.error else "no answer"
        return listing

    def _single(self, mention: Mention) -> Verdict | None:
        tracker, resource, _ = mention.where
        operation = self._catalogue.operation(resource, _ONE)
        if operation is None or not operation.needs_id:
            return None
        key = ((tracker, resource, ()), mention.entity)
        if key not in self._singles:
            self._singles[key] = self._ask(tracker, operation, mention.entity, {})
        return self._singles[key]

    def _ask(
        self, tracker: str | None, operation: Operation, entity: Json, params: Mapping[str, Json]
    ) -> Verdict:
        reach = self._reaches.find(tracker)
        try:
            path = build_path(operation, entity, params)
        except PathError as trouble:
            raise AssertionError(f"{operation}: {trouble}") from trouble
        request = Request(operation.method, reach.api + path, changes=False)
        verdict = judge(operation, ask(operation, reach, request))
        error = verdict.error
        if error is not None and (error.status is None or error.type in _HOPELESS):
            hide = self._reaches.masker.text
            raise TrackerError(f"{reach.name}: {hide(error.message)}", hide(error.hint))
        return verdict

    # -- saying -----------------------------------------------------------------------------------

    def _missing(self, mention: Mention, listing: _Listing) -> Problem:
        what = f"{self._on(mention)} has no {mention.what}"
        hint = _offer(mention.entity, listing.known)
        return self._problem("KP501", what, hint, mention, Severity.ERROR)

    def _archived(self, mention: Mention) -> Problem:
        what = f"{mention.what} is in the archive of {self._on(mention)}"
        hint = "bring it back first, or name another one"
        return self._problem("KP503", what, hint, mention, Severity.WARNING)

    def _unproved(self, mention: Mention, why: str) -> Problem:
        what = (
            f"{mention.what} cannot be checked on {self._on(mention)}: "
            f"{self._reaches.masker.text(why)}"
        )
        hint = "that is no proof that it is missing: the key may not be allowed to see it"
        return self._problem("KP502", what, hint, mention, Severity.WARNING)

    def _problem(
        self, code: str, message: str, hint: str, mention: Mention, severity: Severity
    ) -> Problem:
        return mention.document.problem(code, message, hint, path=mention.path, severity=severity)

    def _on(self, mention: Mention) -> str:
        reach = self._reaches.find(mention.where[0])
        return f"tracker '{reach.name}'"


def _choices(operation: Operation, given: Mapping[str, Json]) -> list[Mapping[str, Json]] | None:
    """The parameters that the list is asked with: once, or once for each kind of entity.

    `None` where it is not a list of all, since it needs the id of something else.
    """
    needed = [p for p in operation.parameters.values() if p.required]
    if not needed:
        return [{}]
    if all(p.name in given for p in needed):
        return [dict(given)]
    words = needed[0].schema.get("enum")
    return [{needed[0].name: word} for word in words] if words and len(needed) == 1 else None


def _rows(data: Json, key: str) -> dict[str, str]:
    """The names of what a list holds, by id or by `key`; some come wrapped in an object."""
    if isinstance(data, dict):
        data = next((part for part in data.values() if isinstance(part, list)), [])
    rows = [row for row in data or () if isinstance(row, dict) and key in row]
    return {str(row[key]): str(row.get("name") or row.get("login") or "") for row in rows}


def _offer(entity: str, known: Mapping[str, str]) -> str:
    """The ids next to the one that is missing, with their names."""
    if not known:
        return "correct it"
    by_nearness: Callable[[str], tuple[int, str]] = lambda other: (  # noqa: E731
        abs(int(other) - int(entity)) if other.isdecimal() else 0,
        other,
    )
    near = sorted(sorted(known, key=by_nearness)[:_SHOWN], key=lambda k: (len(k), k))
    shown = ", ".join(f"{key} ({known[key]})" if known[key] else key for key in near)
    return f"there is {shown}" + (", …" if len(known) > _SHOWN else "")
