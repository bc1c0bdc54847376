"""The walk over a plan: steps, loops, blocks and includes, each with the names that hold there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from runner import inputs
from runner.errors import RunnerError
from runner.execution.calls import Caller
from runner.execution.dry import Dry, inherited, value_of_doubtful, value_of_held, why_held
from runner.execution.envelopes import Value, blank, fail, outcome, why
from runner.execution.includes import given_inputs
from runner.execution.loops import each
from runner.execution.outside import Outside, StepError, stamp
from runner.execution.overlap import ONE_BY_ONE, Overlap, in_order
from runner.execution.requests import find_tracker
from runner.execution.scope import At, Scope, all_of, both
from runner.execution.shelf import Shelf
from runner.execution.tally import SHIELDED, Tally
from runner.model import (
    ItemFinished,
    Json,
    LoopFinished,
    LoopStarted,
    Phase,
    StepFinished,
    StepStarted,
    Summary,
)
from runner.planning import Block, Call, Include, Loop, Plan, SetValues, Step, destroys
from runner.templating import Renderer, Unknown, UnknownError, told


def run(plan: Plan, outside: Outside, run_id: str, overlap: Overlap = ONE_BY_ONE) -> Summary:
    """Run a plan, its steps one by one or as `overlap` allows; tell of it as it goes.

    Failures of steps are envelopes, and counted in the summary; so is what breaks the run off, its
    `crash`, which ends the calls under way. Raises RunnerError where its tracker cannot be found.
    """
    here = outside.find(None)
    tally = Tally(run_id, here.name, outside)
    about = {"id": run_id, "started_at": stamp(plan.started)}
    scope: Scope = {"run": about, "tracker": {"name": here.name, "url": here.url}}
    engine = _Playbook(
        plan, outside, tally, scope, plan.inputs, tracker=None, outer=At(), shelf=Shelf()
    )
    try:
        engine.run(overlap)
        tally.show()
    except KeyboardInterrupt:
        tally.summary.interrupted = True
        tally.break_off("stopped")
    except Exception as error:  # noqa: BLE001  (what was done must be told before it is raised)
        tally.summary.crash = error
        tally.break_off("the run broke off")
    tally.summary.outputs = told(engine.outputs) if outside.dry else engine.outputs
    return tally.close()


class _Playbook:
    """One playbook being run: the one that was started, or one that is included."""

    def __init__(
        self,
        plan: Plan,
        outside: Outside,
        tally: Tally,
        scope: Scope,
        given: inputs.Inputs,
        *,
        tracker: str | None,
        outer: At,
        shelf: Shelf,
    ) -> None:
        self._plan = plan
        self._shelf = shelf
        self._outside = outside
        self._tally = tally
        self._tracker = tracker
        self._outer = outer
        self._dry = Dry(outside, tally, included=bool(outer.label))
        self._caller = Caller(outside, plan.templates, tally, shelf, self._dry)
        self._scope: Scope = {**scope, "inputs": dict(given.values), "vars": {}, "steps": {}}
        self.outputs: dict[str, Json] = {}

    def run(self, overlap: Overlap | None = None) -> bool | None:
        """Run the steps, then `finally`, then compute the outputs; give the success of all.

        `overlap` is for the playbook that was started.
        """
        self._compute_vars()
        if overlap is not None:
            success = self._top(overlap)
        else:
            success = self._list(self._plan.steps, self._scope, self._outer)
        success = both(success, self._last(success))
        if success:
            self._compute_outputs()
        return success

    def _last(self, success: bool | None) -> bool | None:
        """Run `finally`, which no request to stop cuts short."""
        if not self._plan.last:
            return True
        keys = (self._outer.step(step.label).key for step in self._plan.last)
        self._tally.emit(Phase(success, tuple(keys)))
        before = SHIELDED.set(True)
        try:
            return self._list(self._plan.last, self._scope, self._outer)
        finally:
            SHIELDED.reset(before)

    def _is_stopping(self) -> bool:
        return self._outside.stopping() and not self._tally.shielded

    def _goes_on(self, step: Step, value: Value) -> bool:
        """Whether what comes after a step is run: it succeeded, or says that it need not.

        Once more was about to be destroyed than may be, only `finally` goes on.
        """
        limited = self._tally.summary.would_destroy is not None and not self._tally.shielded
        return value["success"] is True or (step.on_error == "continue" and not limited)

    def _compute_vars(self) -> None:
        for name, renderer in self._plan.variables.items():
            self._scope["vars"][name] = self._own(renderer, f"vars.{name}")

    def _compute_outputs(self) -> None:
        for name, renderer in self._plan.outputs.items():
            self.outputs[name] = self._own(renderer, f"outputs.{name}")

    def _own(self, renderer: Renderer, what: str) -> Json:
        """A value of the playbook itself. Raises RunnerError."""
        try:
            return self._dry.value(renderer, self._scope, what)
        except StepError as error:
            failure = error.failure
            raise RunnerError(f"{self._plan.file}: {failure.message}", failure.hint) from error

    # -- steps ----------------------------------------------------------------------------------

    def _list(self, steps: Sequence[Step], scope: Scope, outer: At) -> bool | None:
        """Run steps in order, up to one that fails and does not say to go on."""
        outcomes: set[bool | None] = set()
        begun = 0
        for step in steps:
            if self._is_stopping():
                self._tally.summary.interrupted = True
                outcomes.add(None)
                break
            begun += 1
            value = self._step(step, scope, outer.of(step))
            if step.name and self._plan.keeps(step.name):
                scope["steps"][step.name] = value
            outcomes.add(value["success"])
            if not self._goes_on(step, value):
                break
        self._tally.miss([outer.step(step.label).key for step in steps[begun:]])
        return all_of(outcomes)

    def _top(self, overlap: Overlap) -> bool | None:
        """Run the steps of the playbook that was started, as many at a time as may be."""
        steps = self._plan.steps
        outcomes: set[bool | None] = set()
        begun: set[int] = set()

        def work(number: int) -> bool:
            if self._is_stopping():
                self._tally.summary.interrupted = True
                outcomes.add(None)
                return False
            begun.add(number)
            step = steps[number]
            at = At(top=number + 1).of(step)
            self._tally.emit(StepStarted(at.key, step.label, number + 1, len(steps)))
            value = self._step(step, self._scope, at)
            self._tally.emit(StepFinished(at.key, number + 1))
            if self._plan.keeps(step.name):
                self._scope["steps"][step.name] = value
            outcomes.add(value["success"])
            return self._goes_on(step, value)

        try:
            in_order(len(steps), overlap, work)
        finally:
            self._tally.miss([step.label for n, step in enumerate(steps) if n not in begun])
        return all_of(outcomes)

    def _step(self, step: Step, scope: Scope, at: At) -> Value:
        if step.loop is None:
            return self._once(step, scope, at)
        self._tally.show()
        try:
            known = step.when_each or self._outside.past.has_doubt(at.key)
            inner = scope if known else self._dry.admitted(step, scope)
            if inner is None:
                self._skip(step, at, why(step))
                return {"results": [], "count": 0, **outcome(True, why(step))}
            items = self._dry.items(step.loop, inner)
            if isinstance(items, Unknown):
                return self._one_for_all(step, step.loop, inner, at, items)
            workers = self._dry.workers(step.loop, inner)
            self._check_destroys(step, len(items))
        except StepError as error:
            return {"results": [], "count": 0, **self._failed(step, at, error)}
        value = self._loop(step, inner, at, items, workers)
        return value if inner is scope else value_of_doubtful(value, at)

    def _one_for_all(self, step: Step, loop: Loop, scope: Scope, at: At, items: Unknown) -> Value:
        """What a dry run shows of a loop over items that are not known."""
        value = self._once(step, self._dry.for_all(loop, scope, items), at)
        results = Unknown(f"${{{{ steps.{at.label}.results }}}}")
        return {"results": results, "count": results, **outcome(value["success"])}

    def _check_destroys(self, step: Step, count: int) -> None:
        """A loop that is known to destroy too much is refused before its first item."""
        each_time = 0 if step.when_each else destroys(step.work, {})
        if each_time:
            self._tally.take_destroy(self._outside.most_destroyed, each_time * count, only_ask=True)

    def _loop(self, step: Step, scope: Scope, at: At, items: Sequence[Json], workers: int) -> Value:
        name = step.loop.name if step.loop else "item"
        kept = self._plan.keeps_whole(step.name)
        results: list[Value | None] = [None] * len(items) if kept else []
        outcomes: set[bool | None] = set()
        more = self._dry.given(step.loop, scope) if step.loop else {}
        reached = -1

        def work(index: int) -> bool:
            nonlocal reached
            if self._is_stopping():
                self._tally.summary.interrupted = True
                outcomes.add(None)
                return False
            reached = max(reached, index)
            inner = {**scope, **more, name: items[index], "index": index}
            value = self._once(step, inner, at.item(index, items[index]))
            self._tally.emit(ItemFinished(at.key))
            if kept:
                results[index] = value
            outcomes.add(value["success"])
            return self._goes_on(step, value)

        self._tally.emit(LoopStarted(at.key, len(items), workers))
        each(len(items), workers, work)
        self._tally.emit(LoopFinished(at.key))
        self._tally.miss(at.items_from(reached + 1, len(items)))
        done = [value for value in results if value is not None]
        return {"results": done, "count": len(items), **outcome(all_of(outcomes))}

    def _once(self, step: Step, scope: Scope, at: At) -> Value:
        """One step without its loop, or one iteration of it."""
        past = self._outside.past.done(at.key)
        if past is not None and past.envelope["skipped"] is not None:
            self._tally.restore(at)
            return past.envelope
        # Read by what draws by chance, so that it draws the same again when the run goes on.
        scope = {**scope, "_at": at.key}
        try:
            # For what was sent before it held then, and what became of that must be known.
            known = past is not None or self._outside.past.has_doubt(at.key)
            asks = not known and (step.loop is None or step.when_each)
            inner = self._dry.admitted(step, scope) if asks else scope
            if inner is None:
                return self._skip(step, at, why(step))
            value = self._work(step, inner, at)
            return value if inner is scope else value_of_doubtful(value, at)
        except (StepError, UnknownError) as error:
            if self._dry.is_failure(error):
                return self._failed(step, at, error)
            source = error.source if isinstance(error, UnknownError) else str(error)
            return value_of_held(self._skip(step, at, why_held(scope, source)), at)

    def _work(self, step: Step, scope: Scope, at: At) -> Value:
        work = step.work
        if isinstance(work, Call):
            return self._call(step, work, scope, at)
        if isinstance(work, SetValues):
            return self._set(work, scope)
        if isinstance(work, Block):
            return self._block(step, work, scope, at)
        if isinstance(work, Include):
            return self._include(work, scope, at)
        assert_never(work)

    # -- what steps do --------------------------------------------------------------------------

    def _call(self, step: Step, call: Call, scope: Scope, at: At) -> Value:
        elapsed = self._tally.elapsed
        began = elapsed()
        envelope = self._blank(step, at)
        digest, restored = "", False
        self._tally.begin(at, call, envelope)
        try:
            digest, restored = self._caller.make(call, at, scope, envelope, self._tracker)
        except StepError as error:
            fail(envelope, error)
        if restored:
            self._tally.restore(at)
            return envelope
        envelope["duration_ms"] = round((elapsed() - began) * 1000, 3)
        self._tally.finish(at, call, envelope, digest)
        return envelope if envelope["skipped"] is None else value_of_held(envelope, at)

    def _set(self, work: SetValues, scope: Scope) -> Value:
        self._tally.show()
        values = self._dry.value(work.values, scope, "set")
        self._caller.set(work, scope, values)
        return {"values": values, **outcome(True)}

    def _block(self, step: Step, block: Block, scope: Scope, at: At) -> Value:
        inner = {**scope, "steps": dict(scope["steps"])}
        success = self._list(block.steps, inner, at)
        own = {s.name: inner["steps"][s.name] for s in block.steps if s.name in inner["steps"]}
        return {"steps": own if self._plan.keeps_whole(step.name) else {}, **outcome(success)}

    def _include(self, work: Include, scope: Scope, at: At) -> Value:
        given = given_inputs(work, self._dry.value(work.inputs, scope, "inputs"), self._outside)
        tracker, reach = find_tracker(work.tracker, scope, self._outside, self._tracker)
        here = {"name": reach.name, "url": reach.url}
        inner = {"run": scope["run"], "tracker": here, **inherited(scope)}
        playbook = _Playbook(
            work.plan, self._outside, self._tally, inner, given,
            tracker=tracker, outer=at, shelf=self._shelf,
        )  # fmt: skip
        try:
            success = playbook.run()
        except RunnerError as error:
            raise StepError("template", error.message, error.hint) from error
        return {"outputs": playbook.outputs, **outcome(success)}

    # -- envelopes ------------------------------------------------------------------------------

    def _skip(self, step: Step, at: At, reason: str) -> Value:
        envelope = self._blank(step, at)
        envelope["skipped"] = reason
        envelope["success"] = True
        self._tally.finish(at, step.work, envelope)
        return envelope

    def _failed(self, step: Step, at: At, error: StepError) -> Value:
        envelope = self._blank(step, at)
        fail(envelope, error)
        self._tally.finish(at, step.work, envelope)
        return envelope

    def _blank(self, step: Step, at: At) -> Value:
        run, tracker = self._tally.summary.run, self._scope["tracker"]["name"]
        return blank(step, at, run, tracker, stamp(self._outside.clock.now()))
