"""What `explain` knows: each topic's text, made of the same data that validation goes by."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from runner.catalogue import Catalogue
from runner.cli.topics import codes, fields, functions, keys, operations
from runner.cli.topics.layout import Page
from runner.templating.expressions import nearest

__all__ = ["UnknownTopicError", "contents", "explain", "names"]

_CODE = re.compile(r"[A-Z]{2}\d{3}", re.IGNORECASE)
EXIT_CODES = "exit-codes"


class UnknownTopicError(Exception):
    """There is no such topic; the hint says which one was meant, or how to find it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def explain(topic: str, catalogue: Catalogue, page: Page) -> None:
    """Write a topic onto a page. Raises UnknownTopicError."""
    if topic.lower() in {EXIT_CODES, "exit-code", "exit_codes", "exitcodes"}:
        codes.exit_codes(page)
    elif _CODE.fullmatch(topic):
        _problem(topic.upper(), page)
    elif topic in {functions.ALL, "functions", "tests", "expressions"}:
        functions.every(page)
    elif topic in keys.known(catalogue):
        keys.key(topic, catalogue, page)
        if topic in functions.known():
            page.blank()
            functions.one(topic, page)
    elif topic in functions.known() and catalogue.resource(topic) is None:
        functions.one(topic, page)
    else:
        _of_catalogue(topic, catalogue, page)


def _problem(code: str, page: Page) -> None:
    known = codes.known()
    if code not in known:
        near = nearest(code, list(known))
        raise UnknownTopicError(
            f"there is no code {code}", f"did you mean {near}?" if near else "explain lists them"
        )
    codes.problem(code, page)


def _of_catalogue(topic: str, catalogue: Catalogue, page: Page) -> None:
    name, *rest = topic.split(".")
    resource = catalogue.resource(name)
    if resource is None:
        raise _unknown(topic, name, catalogue)
    if not rest:
        operations.resource(resource, catalogue, page)
        return
    operation = resource.operations.get(rest[0])
    if operation is None:
        raise _unknown_operation(name, rest[0], list(resource.operations), catalogue)
    if len(rest) == 1:
        operations.operation(operation, catalogue, page)
        return
    try:
        fields.field(operation, rest[1:], catalogue, page)
    except KeyError as error:
        path, known = error.args
        above = ".".join([name, rest[0], *path[:-1]])
        offer = f"{above} has {', '.join(known)}" if known else f"{above} has no fields"
        body = (operation.body or {}) if len(path) == 1 else {}
        near = body.get("x-meant", {}).get(path[-1]) or nearest(str(path[-1]), known)
        hint = f"did you mean '{above}.{near}'?" if near else offer
        raise UnknownTopicError(f"{topic} is not known", hint) from error


def _unknown(topic: str, name: str, catalogue: Catalogue) -> UnknownTopicError:
    index = catalogue.index
    if topic in index["elsewhere"] or name in index["elsewhere"]:
        where = index["elsewhere"].get(topic) or index["elsewhere"][name]
        return UnknownTopicError(f"the Admin API has no '{topic}'", where)
    right = index["wrong_names"].get(name)
    if right:
        rest = topic.removeprefix(name)
        return UnknownTopicError(f"there is no topic '{topic}'", f"did you mean '{right}{rest}'?")
    return UnknownTopicError(
        f"there is no topic '{topic}'",
        _hint(topic, list(names(catalogue)), "keitaro-runner explain lists the topics"),
    )


def _unknown_operation(
    resource: str, name: str, known: list[str], catalogue: Catalogue
) -> UnknownTopicError:
    index = catalogue.index
    message = f"{resource} has no operation '{name}'"
    if f"{resource}.{name}" in index["elsewhere"]:
        return UnknownTopicError(message, index["elsewhere"][f"{resource}.{name}"])
    wrong = index["wrong_operations"].get(name)
    if wrong in known:
        return UnknownTopicError(message, f"did you mean '{resource}.{wrong}'?")
    of_body = _with_field(resource, name, known, catalogue)
    if of_body:
        return UnknownTopicError(message, f"did you mean '{of_body}'?")
    return UnknownTopicError(message, _hint(name, known, f"it has {', '.join(known)}"))


def _with_field(resource: str, name: str, known: list[str], catalogue: Catalogue) -> str:
    """The topic of a field that the body of one of the operations has."""
    for operation in known:
        found: Any = catalogue.operation(resource, operation)
        body = found.body or {}
        meant = body.get("x-meant", {}).get(name, name)
        if meant in body.get("properties", {}):
            return f"{resource}.{operation}.{meant}"
    return ""


def _hint(word: str, known: Iterable[str], otherwise: str) -> str:
    near = nearest(word, list(known))
    return f"did you mean '{near}'?" if near else otherwise


def names(catalogue: Catalogue) -> Iterable[str]:
    """Every topic but the operations and their fields."""
    yield from catalogue.names
    yield from keys.known(catalogue)
    yield from functions.known()
    yield from codes.known()
    yield from (functions.ALL, EXIT_CODES)


def contents(catalogue: Catalogue, page: Page) -> None:
    """The list of topics."""
    page.text("keitaro-runner explain TOPIC, where TOPIC is one of these:")
    page.heading("resources, and RESOURCE.OPERATION, and RESOURCE.OPERATION.FIELD")
    rows: list[tuple[str, str]] = []
    for name in catalogue.names:
        resource: Any = catalogue.resource(name)
        rows.append((name, ", ".join(resource.operations)))
    page.table(rows)
    page.heading("keys of a playbook")
    page.table([(title, words) for _, title, words in keys.listed(catalogue)])
    page.heading("codes of problems")
    page.table([(code, entry["title"]) for code, entry in codes.known().items()])
    page.heading("the rest")
    page.table(
        [
            (
                functions.ALL,
                "What expressions may use, by example; the name of each is a topic too.",
            ),
            (EXIT_CODES, "What the command says to the shell."),
        ]
    )
