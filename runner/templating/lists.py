"""The filters that work on lists and mappings, bounded where Jinja2's own are not."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jinja2 import Undefined, pass_context, pass_environment
from jinja2.filters import FILTERS

from runner.templating.budget import CALL_COST, ITEM_COST, LOOKUP_COST
from runner.templating.expressions import describe, meant
from runner.templating.texts import MAX_TEXT, text_of, width_of

MAX_BATCH = 100_000
_MOST_NAMES = 1_000  # of fields, among which one is looked for that was misspelt


@pass_environment
def _join(environment: Any, value: Iterable[Any], glue: str = "", attribute: str = "") -> str:
    items = [_walk(environment, item, str(attribute)) for item in value] if attribute else [*value]
    environment.budget.charge(LOOKUP_COST * len(items))
    parts = [item if isinstance(item, str) else text_of(item) for item in items]
    glue = text_of(glue)
    if sum(map(len, parts)) + len(glue) * len(parts) > MAX_TEXT:
        raise ValueError("join would make a text that is too long")
    return glue.join(parts)


def _round(value: float, precision: int = 0, method: str = "common") -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"round takes a number, not {describe(value)}")
    if not -20 <= precision <= 20:
        raise ValueError("round takes a precision from -20 to 20")
    rounded: float = FILTERS["round"](value, precision, method)
    return rounded


@pass_environment
def _batch(environment: Any, value: Iterable[Any], size: int, fill: Any = None) -> list[list[Any]]:
    size = max(width_of(size, MAX_BATCH), 1)
    items = list(value)
    environment.budget.charge(CALL_COST * (len(items) // size + 1) + ITEM_COST * len(items))
    rows = [items[at : at + size] for at in range(0, len(items), size)]
    if fill is not None and rows:
        environment.budget.charge(ITEM_COST * size)
        rows[-1] += [fill] * (size - len(rows[-1]))
    return rows


def _merge(value: Any, other: Any) -> Any:
    """Two mappings, the second winning, or two lists one after the other."""
    if isinstance(value, Mapping) and isinstance(other, Mapping):
        return {**value, **other}
    if isinstance(value, list) and isinstance(other, list):
        return [*value, *other]
    raise TypeError(
        f"merge takes two mappings or two lists, not {describe(value)} and {describe(other)}"
    )


@pass_environment
def _flatten(environment: Any, value: Iterable[Any]) -> list[Any]:
    """The items of all lists in a list, one after the other."""
    found: list[Any] = []
    for items in value:
        if not isinstance(items, list | tuple):
            raise TypeError(f"flatten takes a list of lists, and one is {describe(items)}")
        environment.budget.charge(CALL_COST + ITEM_COST * len(items))
        found += items
    return found


@pass_environment
def _where(environment: Any, value: Iterable[Any], **wanted: Any) -> list[Any]:
    """The items whose fields all equal what is wanted.

    Raises ValueError where none could: a field that no item has, or a text where all have numbers.
    """
    items = list(value)
    fitting = _fitting(environment, items, wanted)
    return [item for item, fits in zip(items, fitting, strict=True) if fits]


def _fitting(environment: Any, items: list[Any], wanted: Mapping[str, Any]) -> list[bool]:
    """For each item, whether it fits. Raises ValueError where none ever could."""
    found = [_fits(environment, item, wanted) for item in items]
    if items and not any(found):
        for key, content in wanted.items():
            environment.budget.charge(CALL_COST * len(items))
            _check_findable(items, key, content)
    return found


def _check_findable(items: list[Any], key: str, wanted: Any) -> None:
    held = [item[key] for item in items if key in item]
    if not held:
        known = list(dict.fromkeys(str(name) for item in items[:100] for name in item))
        raise ValueError(f"no item has '{key}'{meant(key, known)}")
    kinds, kind = {_kind(part) for part in held if part is not None}, _kind(wanted)
    if kind and len(kinds) == 1 and None not in kinds and kind not in kinds:
        raise ValueError(f"'{key}' is a {kinds.pop()} in each item, and {wanted!r} is a {kind}")


def _kind(value: Any) -> str | None:
    if isinstance(value, str):
        return "text"
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else None


@pass_environment
def _omit(environment: Any, value: Any, *names: Any) -> Any:
    """A mapping without these fields, or a list of mappings, each without them."""
    out = _field_names("omit", names)
    return _each(environment, value, lambda item: {k: v for k, v in item.items() if k not in out})


@pass_environment
def _pick(environment: Any, value: Any, *names: Any) -> Any:
    """A mapping with these fields alone, or a list of such; each field must be there."""
    wanted = _field_names("pick", names)

    def picked(item: Mapping[str, Any]) -> dict[str, Any]:
        for name in wanted:
            if name not in item:
                hint = meant(name, list(item)[:_MOST_NAMES])
                raise ValueError(f"pick: an item has no '{name}'{hint}")
        return {name: item[name] for name in wanted}

    return _each(environment, value, picked)


def _field_names(what: str, names: Iterable[Any]) -> dict[str, None]:
    """The names that a filter was given, one by one or in a list."""
    all_ = [name for part in names for name in (part if isinstance(part, list) else [part])]
    for name in all_:
        if not isinstance(name, str):
            raise TypeError(f"{what} takes the names of fields, and one is {describe(name)}")
    return dict.fromkeys(all_)


def _each(environment: Any, value: Any, change: Callable[[Any], Any]) -> Any:
    found = []
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, Mapping):
            raise TypeError(f"this takes a mapping, or a list of mappings, not {describe(item)}")
        environment.budget.charge(CALL_COST + ITEM_COST * len(item))
        found.append(change(item))
    return found if isinstance(value, list) else found[0]


@pass_environment
def _replace_where(
    environment: Any, value: Iterable[Any], changes: Mapping[str, Any], **wanted: Any
) -> list[Any]:
    """All items, those that fit with the changes merged in: for arrays that are replaced whole."""
    if not isinstance(changes, Mapping):
        raise TypeError(f"the changes must be a mapping, not {describe(changes)}")
    items = list(value)
    fitting = _fitting(environment, items, wanted)
    for at, item in enumerate(items):
        if fitting[at]:
            items[at] = {**item, **changes}
            environment.budget.charge_made(items[at])
    return items


def _fits(environment: Any, item: Any, wanted: Mapping[str, Any]) -> bool:
    environment.budget.charge(CALL_COST)
    if not isinstance(item, Mapping):
        raise TypeError(f"an item is {describe(item)}, not a mapping")
    for key, value in wanted.items():
        if key not in item:
            return False
        environment.budget.charge_looks(item[key], value)
        if item[key] != value:
            return False
    return True


@pass_environment
def _pluck(environment: Any, value: Iterable[Any], path: str) -> list[Any]:
    """One field of every item; a dotted path leads deeper."""
    return [_walk(environment, item, str(path)) for item in value]


def _walk(environment: Any, item: Any, path: str) -> Any:
    for key in path.split("."):
        item = environment.getitem(item, int(key) if key.isdecimal() else key)
    return item


def _keyed(name: str, place: int, wanted: type | tuple[type, ...] = (str, int, float)) -> Any:
    """Jinja2's filter, for items that go by a text or a number.

    Comparing lists could take as long as they are long, for each two of them. `place` is that of
    the argument `attribute`.
    """
    run = FILTERS[name]

    @pass_environment
    def filtered(environment: Any, value: Iterable[Any], *args: Any, **options: Any) -> Any:
        items = list(value)
        environment.budget.charge(LOOKUP_COST * len(items))
        attribute = options.get("attribute", args[place] if len(args) > place else None)
        paths = [] if attribute is None else str(attribute).split(",")
        for item in items:
            for key in [_walk(environment, item, path) for path in paths] or [item]:
                if isinstance(key, Undefined):
                    if name != "groupby":  # it may say itself what holds then
                        str(key)  # raises, with the reason
                elif not isinstance(key, wanted):
                    kinds = "numbers" if str not in _all(wanted) else "texts and numbers"
                    raise TypeError(f"{name} goes by {kinds}, and one is {describe(key)}")
        return run(environment, items, *args, **options)

    return filtered


def _all(kinds: type | tuple[type, ...]) -> tuple[type, ...]:
    return kinds if isinstance(kinds, tuple) else (kinds,)


@pass_environment
def _dictsort(environment: Any, value: Any, *args: Any, **options: Any) -> Any:
    if not isinstance(value, Mapping):
        raise TypeError(f"dictsort takes a mapping, not {describe(value)}")
    environment.budget.charge(LOOKUP_COST * len(value))
    by = options.get("by", args[1] if len(args) > 1 else "key")
    for part in value.values() if by == "value" else ():
        if isinstance(part, list | tuple | dict):
            raise TypeError(f"dictsort goes by texts and numbers, and one is {describe(part)}")
    return FILTERS["dictsort"](value, *args, **options)


@pass_context
def _random(context: Any, value: Iterable[Any]) -> Any:
    """One of the items by chance: the same one whenever the same run computes it again.

    So a run that is continued draws what it drew at first.
    """
    items = list(value)
    if not items:
        raise ValueError("random takes a list that is not empty")
    # Seeding takes ten times as long as a call of another filter.
    context.environment.budget.charge(10 * CALL_COST + ITEM_COST * len(items))
    drawn = context.environment.budget.next_draw()
    seed = f"{(context.get('run') or {}).get('id')}:{context.get('_at')}:{drawn}"
    return random.Random(seed).choice(items)


@pass_environment
def _one(environment: Any, value: Iterable[Any], **wanted: Any) -> Any:
    """The one item whose fields equal what is wanted; that there is no other is made sure of."""
    found = _where(environment, value, **wanted)
    if len(found) == 1:
        return found[0]
    if not wanted:
        raise ValueError(f"one: the list has {len(found) or 'no'} items")
    said = ", ".join(f"{field} {content!r}" for field, content in wanted.items())
    raise ValueError(
        f"one: {len(found)} items have {said}" if found else f"one: no item has {said}"
    )


LIST_FILTERS: dict[str, Callable[..., Any]] = {
    "batch": _batch,
    "dictsort": _dictsort,
    "flatten": _flatten,
    "groupby": _keyed("groupby", 0),
    "join": _join,
    "max": _keyed("max", 1),
    "merge": _merge,
    "one": _one,
    "random": _random,
    "min": _keyed("min", 1),
    "omit": _omit,
    "pick": _pick,
    "pluck": _pluck,
    "replace_where": _replace_where,
    "round": _round,
    "sort": _keyed("sort", 2),
    "sum": _keyed("sum", 0, (int, float)),
    "unique": _keyed("unique", 1),
    "where": _where,
}
