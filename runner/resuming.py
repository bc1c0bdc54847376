"""A run's past, ready for the engine: restores what is done, settles what is in doubt.

Parts of answers that were secret are not in the journal: a restored answer holds a mark in their
place, and where a mark would be sent, the value is read from the tracker again.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from runner.answers import judge
from runner.asking import ask
from runner.catalogue import Catalogue, Operation
from runner.changes import same
from runner.doubts import made_by_others, natural_key, question, show, spread
from runner.errors import ExitCode, RunnerError
from runner.execution.past import InDoubt, Past, Restored
from runner.journal import Decision, Done, Doubt, History
from runner.marks import Marks
from runner.masking import MASK
from runner.model import Effect, Fault, Json, Reach, Reply, Request
from runner.passing import SHORTEST
from runner.wire import build_path

Trail = tuple[str | int, ...]

_NAME = "name"
_WORDS = "look at the tracker, then say done, retry or id:NUMBER of it with --in-doubt"


class Memory(Past):
    """The past of a run that is continued."""

    goes_on = True

    def __init__(
        self,
        history: History,
        catalogue: Catalogue,
        find: Callable[[str | None], Reach],
        decisions: Mapping[str, Decision],
        hide: Callable[[str], None],
        *,
        strict: bool = True,
    ) -> None:
        self._hide = hide
        self.seq = history.seq
        self._history = history
        self._catalogue = catalogue
        self.destroyed = sum(map(self._destroys, history.done.values()))
        # The calls in doubt that the run has come to.
        self._come_to: set[str] = set()
        self._find = find
        self._decisions = spread(decisions, history.doubts)
        # Without it, a call that would now send something else is taken for the same.
        self._strict = strict
        self._marks = Marks()
        self._hidden: list[tuple[str, Trail]] = []
        self._known: dict[str, Json] = {}
        # What settled each doubt that the tracker was asked about, before the first call.
        self._settled: dict[str, Json] = {}

    def done(self, key: str) -> Restored | None:
        """What became of a call, its secret parts replaced by marks."""
        done = self._history.done.get(key)
        if done is None:
            return None
        envelope = self._history.envelope(done)
        for trail in done.hidden:
            mark = self._new_mark(key, trail)
            _put(envelope, trail, mark)
            if done.ask_again:  # it is written once more, and shows no mark
                self._hide(mark)
        return Restored(envelope, done.digest if self._strict else "", done.ask_again)

    def _destroys(self, done: Done) -> bool:
        found = self._catalogue.operation(*done.call.split(".")) if done.call else None
        return found is not None and found.effect is Effect.DESTROYS

    def still_in_doubt(self) -> Sequence[str]:
        """The calls in doubt that the run did not come to, and of which nobody said what they did.

        Their step is gone, or the item of their loop.
        """
        words = {key for key, said in self._decisions.items() if said.word != "retry"}
        return [key for key in self._history.doubts if key not in self._come_to | words]

    def has_doubt(self, key: str) -> bool:
        """Whether a call is in doubt, or one of the loop or the block of that key."""
        below = f"{key}[", f"{key}."
        return any(known == key or known.startswith(below) for known in self._history.doubts)

    def doubt(self, key: str) -> InDoubt | None:
        """The doubt about a call, with a person's word on it where there is one."""
        doubt = self._history.doubts.get(key)
        if doubt is None:
            return None
        self._come_to.add(key)
        digest = doubt.digest if self._strict else ""
        decision = self._decisions.get(key)
        if decision is None:
            return InDoubt(digest)
        return InDoubt(digest, decision.word, decision.entity)

    # -- what was hidden ------------------------------------------------------------------------

    def _new_mark(self, key: str, trail: Trail) -> str:
        self._hidden.append((key, trail))
        return self._marks.make(len(self._hidden) - 1)

    def reveal(self, value: Json) -> Json:
        """The value with every mark replaced by what it stands for, read from the tracker.

        Raises RunnerError where that cannot be had, or where an expression has made something
        else of a mark than it would have of the value.
        """
        return self._marks.replace(value, self._read_hidden) if self._hidden else value

    def conceal(self, value: Json) -> Json:
        """The value with every mark as it is in the report and the journal: masked."""
        return self._marks.replace(value, lambda _: MASK) if self._hidden else value

    def _read_hidden(self, number: int) -> Json:
        key, trail = self._hidden[number]
        was: Any = self._history.envelope(self._history.done[key])
        now: Any = {"data": self._answer_again(key, was)}
        try:
            for part in trail:
                if isinstance(was, dict) and was.get("id") != now.get("id"):
                    raise LookupError  # another entity has come into its place
                was, now = was[part], now[part]
        except (LookupError, TypeError, AttributeError) as error:
            raise _lost(key) from error
        if now is None or now == MASK:
            raise _lost(key)
        if isinstance(now, str) and len(now) >= SHORTEST:
            self._hide(now)
        return now

    def _answer_again(self, key: str, was: Mapping[str, Any]) -> Json:
        """What the tracker now says to a read, or of the entity that a write was about."""
        if key not in self._known:
            operation = self._catalogue.operation(was["resource"], was["operation"])
            if operation is None or operation.effect is not Effect.READS:
                self._known[key] = self._entity(key, was)
            else:
                self._known[key] = self._read_again(operation, key, was)
        return self._known[key]

    def _entity(self, key: str, was: Mapping[str, Any]) -> Json:
        data = was["data"]
        entity = data.get("id") if isinstance(data, dict) else None
        operation = self._catalogue.operation(was["resource"], "get")
        if operation is None or not operation.needs_id or entity is None:
            raise _lost(key)
        return self._read(operation, entity, {}, was["tracker"])

    def _read_again(self, operation: Operation, key: str, was: Mapping[str, Any]) -> Json:
        sent = was["request"]
        if MASK in json.dumps([sent["url"], sent["body"]]):
            raise _lost(key)
        reach = self._find(was["tracker"])
        request = Request(sent["method"], sent["url"], sent["body"], changes=False)
        return self._judged(operation, ask(operation, reach, request))

    # -- what is in doubt -----------------------------------------------------------------------

    def look_up(self, key: str, body: Json) -> Mapping[str, Json] | None:
        """The entity with the natural key of the body, the archive included."""
        doubt = self._history.doubts[key]
        operation = self._operation(doubt)
        wanted = natural_key(operation, body)
        then = natural_key(operation, doubt.request.get("body"))
        if key in self._settled and wanted == then:
            return cast("Mapping[str, Json] | None", self._settled[key])
        if then and self._settled.get(key):
            raise LookupError(
                f"what was sent is there ({show(then)}), and would be sent otherwise now"
            )
        if wanted is None:
            raise LookupError(f"{operation} has no natural key to look for")
        made = made_by_others(doubt, self._history, self._settled)
        found = [
            row
            for name in operation.lookups
            for row in self._list(operation, name, body, doubt)
            if all(same(row.get(field), value) for field, value in wanted.items())
            and str(row.get("id")) not in made
        ]
        if len(found) > 1:
            raise LookupError(f"{len(found)} entities have {show(wanted)}")
        return found[0] if found else None

    def fetch(self, key: str, entity: str) -> Json:
        """The entity that a person named, so that later steps have all of its fields.

        Raises RunnerError where it cannot be what the call made.
        """
        if key in self._settled:
            return self._settled[key]
        doubt = self._history.doubts[key]
        if entity in made_by_others(doubt, self._history, self._settled):
            raise RunnerError(
                f"{doubt.call.partition('.')[0]} {entity} is what another call of this run made",
                "name the id of what this call made, or say done or retry",
            )
        operation = self._catalogue.operation(doubt.call.split(".")[0], "get")
        number: Json = int(entity) if entity.isdigit() else entity
        if operation is None or not operation.needs_id:
            return {"id": number}
        found = self._read(operation, number, {}, doubt.tracker)
        for field, value in self._telling(doubt).items():
            if isinstance(found, dict) and not same(found.get(field, value), value):
                raise RunnerError(
                    f"{operation.resource} {entity} has {field} {found[field]!r}, "
                    f"and {key} sent {value!r}",
                    "name the id of what this call made, or say done or retry",
                )
        return found

    def _telling(self, doubt: Doubt) -> Mapping[str, Json]:
        """The fields that were sent by which one entity is told from another."""
        operation, body = self._operation(doubt), doubt.request.get("body")
        known = (operation.body or {}).get("properties", {})
        return {
            field: value
            for field, value in (body if isinstance(body, dict) else {}).items()
            if isinstance(value, str | int)
            and MASK not in str(value)
            and (field in {_NAME, *operation.natural_key} or "x-refers-to" in known.get(field, {}))
        }

    def _list(
        self, create: Operation, name: str, body: Json, doubt: Doubt
    ) -> Iterable[Mapping[str, Any]]:
        operation = self._catalogue.operation(create.resource, name)
        if operation is None:
            return []
        params = {
            parameter: body.get(field)
            for parameter, field in create.lookup_params.items()
            if parameter in operation.parameters
        }
        rows = self._read(operation, None, params, doubt.tracker)
        return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []

    def _operation(self, doubt: Doubt) -> Operation:
        resource, _, name = doubt.call.partition(".")
        operation = self._catalogue.operation(resource, name)
        if operation is None:
            raise RunnerError(
                f"the catalogue no longer has {doubt.call}", "settle it by --in-doubt"
            )
        return operation

    def _read(
        self, operation: Operation, entity: Json, params: Mapping[str, Json], tracker: str
    ) -> Json:
        reach = self._find(tracker or None)
        path = build_path(operation, entity, params)
        request = Request(operation.method, reach.api + path, changes=False)
        return self._judged(operation, ask(operation, reach, request))

    def _judged(self, operation: Operation, outcome: Reply | Fault) -> Json:
        verdict = judge(operation, outcome)
        if verdict.success is not True:
            said = verdict.error.message if verdict.error else ""
            hint = "resume once the tracker answers"
            if verdict.status == 404:
                hint = "name another id with --in-doubt, or say done or retry"
            raise RunnerError(
                f"{operation} was asked to learn what became of a call, and failed: {said}", hint
            )
        return verdict.data

    # -- before the first call ------------------------------------------------------------------

    def check(self) -> None:
        """Settle what is in doubt, as far as the tracker must be asked, before the first call.

        Raises RunnerError where something cannot be settled, or a word is for nothing.
        """
        strange = [key for key in self._decisions if key not in self._history.doubts]
        if strange:
            known = ", ".join(self._history.doubts) or "nothing"
            raise RunnerError(f"{', '.join(strange)} is not in doubt", f"in doubt is: {known}")
        open_ = [d for key, d in self._history.doubts.items() if not self._can_settle(key, d)]
        if open_:
            words = [shlex.quote(f"{open_[0].key}={word}") for word in ("done", "retry", "id:123")]
            raise RunnerError(
                "\n".join(["in doubt: sent, with no answer seen", *map(question, open_)]),
                f"look at the tracker, then resume with --in-doubt {words[0]}, "
                f"{words[1]} or {words[2]}"
                + ("; done and retry may be said of a whole loop" if len(open_) > 1 else ""),
                code=ExitCode.IN_DOUBT,
            )
        trouble: dict[str, str] = {}
        hint = ""
        for key, doubt in self._history.doubts.items():
            try:
                self._settle(key, doubt)
            except (LookupError, RunnerError) as error:
                trouble[key] = str(error)
                hint = hint or getattr(error, "hint", "")
        if trouble:
            lines = ["still in doubt, and nothing was sent"]
            lines += [f"  {key}: {said}" for key, said in trouble.items()]
            raise RunnerError("\n".join(lines), hint or _WORDS, code=ExitCode.IN_DOUBT)

    def _settle(self, key: str, doubt: Doubt) -> None:
        decision = self._decisions.get(key)
        if decision is not None:
            if decision.word == "id":
                self._settled[key] = self.fetch(key, decision.entity)
        elif not self._operation(doubt).repeatable:
            self._settled[key] = self.look_up(key, doubt.request.get("body"))

    def _can_settle(self, key: str, doubt: Doubt) -> bool:
        if key in self._decisions:
            return True
        operation = self._operation(doubt)
        body = doubt.request.get("body")
        return operation.repeatable or natural_key(operation, body) is not None


def _lost(key: str) -> RunnerError:
    return RunnerError(
        f"the answer of {key} held a secret, which is not in the journal and cannot be read again",
        "start the playbook anew, or set the value by hand",
    )


def _put(envelope: dict[str, Any], trail: Trail, value: Json) -> None:
    node: Any = envelope
    for part in trail[:-1]:
        node = node[part]
    node[trail[-1]] = value
