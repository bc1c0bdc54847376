"""Where a step stands in a run, and how conditions and values are computed there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.execution.outside import StepError
from runner.masking import is_sensitive
from runner.model import Json
from runner.planning import Condition, Step
from runner.planning.times import seconds
from runner.playbook import show_trail
from runner.templating import Renderer, TemplateError, items_of, refuse_unknown

Scope = dict[str, Any]
_LONGEST_WORD = 200


@dataclass(frozen=True, slots=True)
class At:
    """A step's place in the run.

    `label` is the same for each iteration, `key` unlike any other's, `indexes` the iterations
    of the loops around it, the outermost first; `top` is the number of the playbook's step that
    it is, or is in, and 0 below `finally`; `shown` says which item the innermost loop is at, and
    `tolerated` whether the run goes on where it fails.
    """

    label: str = ""
    key: str = ""
    indexes: tuple[int, ...] = ()
    top: int = 0
    shown: str = ""
    tolerated: bool = False

    def step(self, own: str, *, tolerated: bool = False) -> At:
        """The place of a step below this one."""
        label, key = (f"{self.label}.{own}", f"{self.key}.{own}") if self.label else (own, own)
        lenient = self.tolerated or tolerated
        return At(label, key, self.indexes, self.top, self.shown, lenient)

    def of(self, step: Step) -> At:
        """The place of a step below this one, with what becomes of its failures."""
        return self.step(step.label, tolerated=step.on_error == "continue")

    def item(self, index: int, item: Json) -> At:
        """The place of one iteration of this step, which is about that item."""
        key = f"{self.key}[{index}]"
        indexes = (*self.indexes, index)
        return At(self.label, key, indexes, self.top, _in_a_word(item), self.tolerated)

    def items_from(self, first: int, count: int) -> list[str]:
        """The iterations from one on, as one entry; none where all `count` of them were begun."""
        if first >= count:
            return []
        last = f" to {self.key}[{count - 1}]" if first < count - 1 else ""
        return [f"{self.key}[{first}]{last}"]

    @property
    def index(self) -> Json:
        """The iteration as envelopes show it: null, a number, or a list where loops nest."""
        if not self.indexes:
            return None
        return self.indexes[0] if len(self.indexes) == 1 else list(self.indexes)


def _in_a_word(item: Json) -> str:
    """What people call an item: itself, its name, or the first of its fields that is a word.

    Whole, since part of a secret could not be told from other text; so not where it is long.
    """
    if isinstance(item, Mapping) and "attempts" in item:  # what a call gave
        item = item.get("data")
    if isinstance(item, Mapping):
        open_ = [part for key, part in item.items() if not is_sensitive(key)]
        item = next(filter(_is_word, (item.get("name"), *open_)), "")
    text = str(item) if _is_word(item) else ""
    return text if len(text) <= _LONGEST_WORD else ""


def _is_word(value: Json) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and value != ""


def no_value(what: str, error: TemplateError) -> StepError:
    """The failure of a step for want of a value, with the part of it that has none."""
    return StepError("template", f"{show_trail((what, *error.trail))}: {error.message}", error.hint)


def render(renderer: Renderer, scope: Mapping[str, Any], what: str) -> Json:
    """A value. Raises StepError that names what it was for."""
    try:
        value = renderer.render(scope)
    except TemplateError as error:
        raise no_value(what, error) from error
    refuse_unknown(value)
    return value


def render_items(renderer: Renderer, scope: Mapping[str, Any], what: str) -> Json | Sequence[int]:
    """A value to go through once, which need not be there all at once. Raises StepError."""
    try:
        items = items_of(renderer, scope)
    except TemplateError as error:
        raise no_value(what, error) from error
    refuse_unknown(items)
    return items


def render_seconds(renderer: Renderer, scope: Mapping[str, Any], what: str) -> float:
    """A time in seconds. Raises StepError."""
    try:
        return seconds(render(renderer, scope, what))
    except ValueError as error:
        raise StepError(
            "template", f"{what}: {error}", "write seconds, or a time such as 30s or 5m"
        ) from error


def holds(condition: Condition, scope: Mapping[str, Any]) -> bool:
    """Whether a condition holds. Raises StepError where it gives neither true nor false."""
    if condition.expression is None:
        return condition.constant
    try:
        value = condition.expression.evaluate(scope)
    except TemplateError as error:
        raise StepError("template", f"{condition.source}: {error.message}", error.hint) from error
    refuse_unknown(value)
    if not isinstance(value, bool):
        raise StepError(
            "template",
            f"the condition {condition.source} gives {value!r:.80}, neither true nor false",
            "compare it with something, or ask for its length",
        )
    return value


def all_of(outcomes: Collection[bool | None]) -> bool | None:
    """The success of several together: a failure is one, else what is unknown stays so."""
    if False in outcomes:
        return False
    return None if None in outcomes else True


def both(one: bool | None, other: bool | None) -> bool | None:
    """The success of two together."""
    return all_of((one, other))
