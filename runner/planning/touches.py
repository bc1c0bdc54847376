"""What a step reads and changes, as far as its text tells: the ground for the order of steps.

Where the text does not tell, the answer is the one that keeps more order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from runner.catalogue import Catalogue, Operation
from runner.model import Effect, Json
from runner.planning.kinship import Kinship, all_referred
from runner.planning.plan import Block, Call, Include, Plan, SetValues, Step
from runner.playbook import Document, Map
from runner.templating import Reference, TemplateError, Templates, has_expression, split_text
from runner.templating.expressions import reads_files
from runner.templating.text import OPEN, codes_of, is_whole
from runner.validation.checker import read_body

# What stands in place of an entity: each there is and will be, one that cannot be told, a new one.
EVERY, SOME, NEW = "*", "?", "+"
# What stands in place of a resource: whatever the tracker has; files that steps save and read.
ANYTHING, FILES = "*", "file"
UNKNOWN_TRACKER = "?"


class Mode(StrEnum):
    """What a step does to something. The later ones are about parts, and about names."""

    READS = "reads"
    WRITES = "writes"
    ADDS = "adds"  # a part to an entity, which remembers their order
    CHANGES = "changes"  # one of its parts
    ENDS = "ends"  # the entity, and all its parts with it
    TAKES = "takes"  # a name that must be unique
    FREES = "frees"  # one
    RENAMES = "renames"


class Touch(NamedTuple):
    """One thing that a step does to one entity, or to several.

    `entity` is `EVERY`, `SOME`, `NEW`, `=5` where it is written out, `@step` where a step makes
    it, and otherwise the expression that gives it.
    """

    tracker: str
    resource: str
    entity: str
    mode: Mode


class Facts(NamedTuple):
    """What matters of a step. `names` are the steps that it refers to, `*` for all."""

    names: frozenset[str]
    touches: frozenset[Touch]
    guards: bool
    writes: bool
    destroys: bool


def facts_of(plan: Plan, catalogue: Catalogue) -> list[Facts]:
    """What matters of each of a plan's steps; those below `finally` come after all in any case."""
    raw = plan.document.data.get("steps") or []
    made = {step.name: resource for step in plan.steps if (resource := _made_by(step))}
    known = frozenset(step.name for step in plan.steps if step.name)
    reader = _Reader(plan, Kinship(catalogue), known, made, "")
    return [
        _facts(step, reader.names(own), frozenset(reader.touches(own, step)))
        for own, step in zip(raw, plan.steps, strict=True)
    ]


def _facts(step: Step, names: frozenset[str], touches: frozenset[Touch]) -> Facts:
    effects = {call.operation.effect for call in _calls(step)}
    # What a run made itself is checked, and guards nothing else.
    old = any(not touch.entity.startswith("@") for touch in touches)
    return Facts(
        names,
        touches,
        guards=_guards(step) and (old or _judges_values(step)),
        writes=bool(effects - {Effect.READS}),
        destroys=Effect.DESTROYS in effects,
    )


def _made_by(step: Step) -> str | None:
    """The resource of the entity whose id is in a step's answer and was not there before."""
    work = step.work
    if step.loop is not None or not isinstance(work, Call):
        return None
    makes = work.operation.effect is Effect.WRITES and not work.operation.repeatable
    return work.operation.resource if makes else None


def _calls(step: Step) -> Iterator[Call]:
    work = step.work
    if isinstance(work, Call):
        yield work
    elif isinstance(work, Block):
        for inner in work.steps:
            yield from _calls(inner)
    elif isinstance(work, Include):
        for inner in work.plan.all_steps:
            yield from _calls(inner)


def _guards(step: Step) -> bool:
    """Whether a step asks something of the tracker, and ends the run where the answer is no."""
    if step.on_error != "stop":
        return False
    work = step.work
    if isinstance(work, Call):
        asks = bool(work.expect) or work.until is not None
        return asks and work.operation.effect is Effect.READS
    if isinstance(work, SetValues):
        return bool(work.expect)
    if isinstance(work, Block):
        return any(map(_guards, work.steps))
    return isinstance(work, Include) and any(map(_guards, work.plan.steps))


def _judges_values(step: Step) -> bool:
    """Whether a set that guards is in a step: what it asks about may be anything."""
    work = step.work
    if isinstance(work, SetValues):
        return bool(work.expect)
    if isinstance(work, Block):
        return any(map(_judges_values, work.steps))
    return isinstance(work, Include) and any(map(_judges_values, work.plan.steps))


class _Reader:
    """Reads the steps of one playbook. `outer` is the tracker of the step that includes it."""

    def __init__(
        self,
        plan: Plan,
        kinship: Kinship,
        known: frozenset[str],
        made: Mapping[str | None, str],
        outer: str,
    ) -> None:
        self._document: Document = plan.document
        self._templates: Templates = plan.templates
        self._kinship = kinship
        self._known = known
        self._made = made
        self._tracker = outer
        self._default = (plan.document.data.get("defaults") or {}).get("tracker")

    # -- names ----------------------------------------------------------------------------------

    def names(self, step: Map) -> frozenset[str]:
        """The steps of the list that a step refers to."""
        found = set()
        for reference in self._references(step):
            if reference.root == "steps":
                name = str(reference.keys[0]) if reference.keys else EVERY
                found |= {name} & (self._known | {EVERY})
        return frozenset(found)

    def _references(self, value: Json) -> Iterator[Reference]:
        for name in _body_files(value):
            body = None if OPEN in name else read_body(self._document, name)
            if body is None:
                yield Reference("steps")
            else:
                yield from self._references(body.data)
        for source in _sources(value):
            try:
                yield from self._templates.expression(source).references
            except TemplateError:
                yield Reference("steps")

    # -- touches --------------------------------------------------------------------------------

    def touches(self, raw: Map, step: Step) -> Iterator[Touch]:
        """All that a step touches, with what is in it."""
        work = step.work
        yield from self._files(raw)
        if isinstance(work, Call):
            yield from self._call(raw, work.operation)
        elif isinstance(work, Block):
            for part, inner in zip(raw["steps"], work.steps, strict=True):
                yield from self.touches(part, inner)
        elif isinstance(work, Include):
            tracker = self._tracker_of(raw, default=False)
            reader = _Reader(work.plan, self._kinship, frozenset(), {}, tracker)
            data = work.plan.document.data
            for key, steps in (("steps", work.plan.steps), ("finally", work.plan.last)):
                for part, inner in zip(data.get(key) or [], steps, strict=True):
                    yield from reader.touches(part, inner)

    def _files(self, raw: Map) -> Iterator[Touch]:
        save = raw.get("save")
        if save is not None:
            to = save.get("to") if isinstance(save, Map) else save
            yield Touch("", FILES, self._entity(to, FILES), Mode.WRITES)
        own = {key: part for key, part in raw.items() if key != "steps"}
        if "body_file" in raw or any(map(reads_files, _sources(own))):
            yield Touch("", FILES, SOME, Mode.READS)

    def _tracker_of(self, raw: Map, *, default: bool = True) -> str:
        named = raw.get("tracker", self._default if default else None)
        if named is None:
            return self._tracker
        return UNKNOWN_TRACKER if has_expression(str(named)) else str(named)

    def _call(self, raw: Map, operation: Operation) -> Iterator[Touch]:
        tracker = self._tracker_of(raw)
        owners = self._kinship.owners(operation.resource)
        own = dict.fromkeys(owners, SOME)
        for resource, entity, is_owner in self._mentions(raw, operation):
            if is_owner:
                own[resource] = entity
            yield Touch(tracker, resource, entity, Mode.READS)
        entity = self._own_entity(raw, operation)
        mode = Mode.READS if operation.effect is Effect.READS else Mode.WRITES
        if entity != EVERY or not owners or mode is not Mode.READS:
            spread = entity == EVERY and not self._kinship.has_entities(operation.resource)
            yield Touch(tracker, ANYTHING if spread else operation.resource, entity, mode)
        for owner, of in own.items():
            adds = Mode.ADDS if entity == NEW else Mode.CHANGES
            does = adds if mode is Mode.WRITES else mode
            yield Touch(tracker, f"{operation.resource} of {owner}", of, does)
        # Who reads an entity may see its parts, and who clones it copies them.
        with_parts = Mode.ENDS if operation.effect is Effect.DESTROYS else Mode.READS
        for part in () if entity == NEW else self._kinship.parts(operation.resource):
            yield Touch(tracker, f"{part} of {operation.resource}", entity, with_parts)
        yield from self._name(raw, operation, tracker)

    def _own_entity(self, raw: Map, operation: Operation) -> str:
        if operation.needs_id:
            return self._entity(raw.get("id"), operation.resource)
        return NEW if self._kinship.creates(operation) else EVERY

    def _entity(self, value: Json, resource: str) -> str:
        """Which entity an id is, as far as it can be told."""
        if isinstance(value, int | str) and not (isinstance(value, str) and has_expression(value)):
            return f"={value}"
        if not isinstance(value, str) or not is_whole(value):
            return SOME
        source = split_text(value)[0].text.strip()
        found = _MADE.fullmatch(source)
        if found and self._made.get(found[1]) == resource:
            return f"@{found[1]}"
        return source if self._is_settled(value) else SOME

    def _is_settled(self, value: str) -> bool:
        """Whether an expression has one value all through the list of steps."""
        if not self._known:
            return False
        return all(
            reference.root in _LASTING
            or (reference.root == "steps" and str((*reference.keys, "")[0]) in self._known)
            for reference in self._references(value)
        )

    def _name(self, raw: Map, operation: Operation, tracker: str) -> Iterator[Touch]:
        """What a call does to the names of its resource, where these must be unique."""
        key = self._kinship.natural_key(operation.resource)
        if not key or operation.effect is Effect.READS:
            return
        body = raw.get("body")
        fields = body if isinstance(body, Map) else None
        names = f"names of {operation.resource}"
        if operation.natural_key:
            values = [] if fields is None else [fields.get(name) for name in key]
            told = bool(values) and not any(has_expression(str(value)) for value in values)
            yield Touch(tracker, names, f"={values}" if told else SOME, Mode.TAKES)
        elif operation.effect is Effect.DESTROYS:
            yield Touch(tracker, names, SOME, Mode.FREES)
        elif operation.body is None or fields is None or set(fields) & set(key):
            yield Touch(tracker, names, SOME, Mode.RENAMES)

    def _mentions(self, raw: Map, operation: Operation) -> Iterator[tuple[str, str, bool]]:
        """The entities that parameters and body name: resource, entity, whether it is the owner."""
        params = raw.get("params") or {}
        for name, parameter in operation.parameters.items():
            value = params.get(name) if isinstance(params, Map) else SOME_VALUE
            yield from self._referred(value, parameter.schema)
        if operation.body is not None:
            given = raw.get("body", SOME_VALUE if "body_file" in raw else None)
            yield from self._referred(given, operation.body)

    def _referred(self, value: Any, schema: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
        refers = schema.get("x-refers-to")
        if refers and value is not None:
            entity = self._entity(value, refers["resource"])
            yield refers["resource"], entity, bool(refers.get("owner"))
        elif isinstance(value, str) and has_expression(value):
            for resource, owner in all_referred(schema):
                yield resource, SOME, owner
        elif isinstance(value, dict):
            known = schema.get("properties", {})
            for name, part in value.items():
                yield from self._referred(part, known.get(name, {}))
        elif isinstance(value, list):
            for part in value:
                yield from self._referred(part, schema.get("items", {}))


# A value of which nothing is known.
SOME_VALUE = "${{ steps }}"
_LASTING = frozenset({"inputs", "vars", "run", "tracker"})
_MADE = re.compile(r"steps\.(\w+)\.data\.id", re.ASCII)


def _body_files(value: Json) -> Iterator[str]:
    """The files that bodies come from in which expressions are looked for."""
    if isinstance(value, dict):
        if isinstance(value.get("body_file"), str) and value.get("raw") is not True:
            yield value["body_file"]
        for part in value.get("steps") or ():
            yield from _body_files(part)


def _sources(value: Json) -> Iterator[str]:
    """The expressions in a value, as they are written."""
    if isinstance(value, str):
        if has_expression(value):
            yield from codes_of(value)
    elif isinstance(value, dict):
        for key, part in value.items():
            if not (key == "body" and value.get("raw") is True):
                yield from _sources(part)
    elif isinstance(value, list):
        for part in value:
            yield from _sources(part)
