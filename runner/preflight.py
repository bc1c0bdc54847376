"""Ids that a playbook states, looked up on its trackers before the run; only ever reads.

Keitaro takes ids that do not exist: a stream with a made-up offer is created, takes traffic and
sends it nowhere. So each id that is written out, or is the value of an input, is looked for in the
list of its resource, one call a list; what no list shows is asked for once by itself, since a
limited key sees only a part.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from runner.answers import FailureType, judge
from runner.catalogue import Operation
from runner.errors import TrackerError
from runner.lint import hide_secrets
from runner.lint.steps import Visit, steps_of
from runner.masking import Masker
from runner.model import Json, Problem, Reach, Request, Severity, Verdict
from runner.playbook import Document, Map, Trail
from runner.templating.text import OPEN
from runner.trackers import Trackers
from runner.transport import Transport
from runner.validation import Rules
from runner.validation.checker import is_silenced, read_body
from runner.wire import PathError, build_path

# The operations that every resource calls the same, where it has them.
_LIST, _ONE, _ARCHIVE, _BRING_BACK = "getAll", "get", "getDeleted", "restore"
# Answers after which no other call can succeed.
_HOPELESS = frozenset({FailureType.UNAUTHORIZED.value, FailureType.PAYMENT_REQUIRED.value})
_SHOWN = 8
_INPUT = re.compile(r"\$\{\{\s*inputs\.([a-z][a-z0-9_]*)\s*\}\}\s*\Z")

Params = tuple[tuple[str, Json], ...]
# Which list an id is looked up in: the tracker's name, the resource, the list's parameters.
Where = tuple[str | None, str, Params]


@dataclass(frozen=True, slots=True)
class Mention:
    """An id that is stated, and where; `brings_back` says that an archived one is meant."""

    where: Where
    entity: str
    document: Document = field(repr=False)
    path: Trail
    brings_back: bool = False

    @property
    def what(self) -> str:
        """The entity in words, with the input that its id is from."""
        found = _input_of(self.document.value(self.path))
        words = f"{self.where[1]} {self.entity}"
        return f"{words} (inputs.{found})" if found else words


@dataclass(slots=True)
class _Listing:
    """What a list showed, names by id; `trouble` says why it proves nothing of what is missing."""

    known: dict[str, str] = field(default_factory=dict)
    trouble: str = ""


def check(
    documents: Iterable[Document],
    rules: Rules,
    trackers: Trackers,
    tracker: str | None,
    values: Mapping[str, Json] | None = None,
) -> list[Problem]:
    """The problems of all ids that documents without errors state; `tracker` is the run's own.

    `values` are those of inputs, as far as they are not the defaults. Raises RunnerError where a
    tracker cannot be reached or refuses the key.
    """
    documents = list(documents)
    mentions = [m for document in documents for m in find_mentions(document, rules, values)]
    with _Reaches(trackers, tracker) as reaches:
        lookup = _Lookup(rules, reaches)
        back = {(m.where[:2], m.entity) for m in mentions if m.brings_back}
        found = (lookup.problem(m, fine=(m.where[:2], m.entity) in back) for m in mentions)
        # A playbook that several others include states its ids once.
        problems = {p: None for p in found if p is not None and not is_silenced(p)}
    # A line is shown with its secrets hidden, which lint has found in the documents.
    known = [problem for document in documents for problem in document.problems]
    return sorted(hide_secrets([*known, *problems])[len(known) :], key=lambda p: p.place)


# -- what a playbook states --------------------------------------------------------------------


def find_mentions(
    document: Document,
    rules: Rules,
    values: Mapping[str, Json] | None = None,
    tracker: str | None = None,
) -> Iterator[Mention]:
    """Every id that a playbook and those that it includes state, with the tracker it is on."""
    if not isinstance(document.data, Map):
        return
    values = {**_defaults(document.data), **(values or {})}
    own = (document.data.get("defaults") or {}).get("tracker", tracker)
    for visited in steps_of(document.data):
        name = visited.step.get("tracker", own)
        if isinstance(name, str) and OPEN in name:
            continue
        if "include" in visited.step:
            inner = _included(visited.step, document, rules)
            if inner is not None:
                given = visited.step.get("inputs")
                known = {k: _known(v, values) for k, v in given.items()} if given else {}
                yield from find_mentions(inner, rules, known, visited.step.get("tracker", tracker))
            continue
        operation = _operation(visited.step, rules)
        if operation is not None:
            yield from _of_call(document, visited, operation, name, values)


def _defaults(playbook: Map) -> Mapping[str, Json]:
    declared = playbook.get("inputs") or {}
    return {name: spec["default"] for name, spec in declared.items() if "default" in (spec or {})}


def _known(value: Json, values: Mapping[str, Json]) -> Json:
    """The value, that of an input where it is one and nothing more."""
    name = _input_of(value)
    return value if name is None else values.get(name)


def _input_of(value: Json) -> str | None:
    """The input that a value is, where it is one and nothing more."""
    found = _INPUT.match(value.strip()) if isinstance(value, str) else None
    return found[1] if found else None


def _included(step: Map, document: Document, rules: Rules) -> Document | None:
    if document.folder is None:
        return None
    return rules.included.get((document.folder / step["include"]).resolve())


def _operation(step: Map, rules: Rules) -> Operation | None:
    resource, name = step.get("resource"), step.get("operation")
    if not isinstance(resource, str) or not isinstance(name, str):
        return None
    return rules.catalogue.operation(resource, name)


def _of_call(
    document: Document,
    visited: Visit,
    operation: Operation,
    tracker: str | None,
    values: Mapping[str, Json],
) -> Iterator[Mention]:
    step, trail = visited.step, visited.trail
    if operation.needs_id and _is_id(entity := _known(step.get("id"), values)):
        where: Where = (tracker, operation.resource, ())
        back = operation.name == _BRING_BACK
        yield Mention(where, str(entity), document, (*trail, "id"), back)
    referred = _Referred(tracker, values)
    params = step.get("params")
    for name, value in params.items() if isinstance(params, Map) else ():
        if name in operation.parameters:
            schema = operation.parameters[name].schema
            yield from referred.mentions(value, schema, document, (*trail, "params", name))
    body: Json = step.get("body")
    at: Trail = (*trail, "body")
    if isinstance(step.get("body_file"), str):
        inner = read_body(document, step["body_file"])
        document, body, at = (inner, inner.data, ()) if inner else (document, None, at)
    yield from referred.mentions(body, operation.body or {}, document, at)


class _Referred:
    """Finds what a value refers to by id, as the schema tells which fields do."""

    def __init__(self, tracker: str | None, values: Mapping[str, Json]) -> None:
        self._tracker = tracker
        self._values = values

    def mentions(
        self, value: Json, schema: Mapping[str, Any], document: Document, trail: Trail
    ) -> Iterator[Mention]:
        refers = schema.get("x-refers-to")
        if refers and _is_id(entity := _known(value, self._values)):
            params = tuple(refers.get("params", {}).items())
            where = (self._tracker, refers["resource"], params)
            yield Mention(where, str(entity), document, trail)
        if isinstance(value, dict):
            known = schema.get("properties", {})
            for name, part in value.items():
                yield from self.mentions(part, known.get(name, {}), document, (*trail, name))
        elif isinstance(value, list):
            for index, part in enumerate(value):
                yield from self.mentions(part, schema.get("items", {}), document, (*trail, index))


def _is_id(value: Json) -> bool:
    """Whether this is an id as written; 0 and null stand for none."""
    if isinstance(value, str):
        return value.isdecimal() and int(value) > 0
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


# -- what the trackers have --------------------------------------------------------------------


class _Reaches:
    """The trackers that are asked, each opened when it is first needed."""

    def __init__(self, trackers: Trackers, default: str | None) -> None:
        self._trackers = trackers
        self._default = default
        self._stack = ExitStack()
        self._known: dict[str | None, Reach] = {}
        self.masker = Masker(())

    def __enter__(self) -> _Reaches:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def find(self, name: str | None) -> Reach:
        key = name or self._default
        if key not in self._known:
            tracker = self._trackers.get(key)
            for secret in tracker.secrets:
                self.masker.add(secret)
            transport = self._stack.enter_context(Transport(tracker))
            self._known[key] = Reach(tracker.name, tracker.url, tracker.api, transport.send)
        return self._known[key]


class _Lookup:
    """Looks ids up, each list and each id at most once."""

    def __init__(self, rules: Rules, reaches: _Reaches) -> None:
        self._catalogue = rules.catalogue
        self._reaches = reaches
        self._listings: dict[tuple[Where, str], _Listing] = {}
        self._singles: dict[tuple[Where, str], Verdict] = {}

    def problem(self, mention: Mention, *, fine: bool) -> Problem | None:
        """What is wrong with an id; `fine` where it may be in the archive."""
        listing = self._listing(mention.where, _LIST)
        if listing is not None and mention.entity in listing.known:
            return None
        if listing is not None and (listing.trouble or not listing.known):
            return self._unproved(mention, listing.trouble or "the list came back empty")
        archive = self._listing(mention.where, _ARCHIVE)
        if archive is not None and mention.entity in archive.known:
            return None if fine else self._archived(mention)
        return self._by_itself(mention, listing or _Listing(), fine=fine)

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

    def _listing(self, where: Where, name: str) -> _Listing | None:
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
            self._listings[key] = self._read(tracker, operation, choices)
        return self._listings[key]

    def _read(
        self, tracker: str | None, operation: Operation, choices: list[Mapping[str, Json]]
    ) -> _Listing:
        listing = _Listing()
        for params in choices:
            verdict = self._ask(tracker, operation, None, params)
            if verdict.success:
                listing.known |= _rows(verdict.data)
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
        verdict = judge(operation, reach.send(Request(operation.method, reach.api + path)))
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


def _rows(data: Json) -> dict[str, str]:
    """The names of what a list holds, by id; some lists come wrapped in an object."""
    if isinstance(data, dict):
        data = next((part for part in data.values() if isinstance(part, list)), [])
    rows = [row for row in data or () if isinstance(row, dict) and "id" in row]
    return {str(row["id"]): str(row.get("name") or row.get("login") or "") for row in rows}


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
