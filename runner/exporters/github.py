"""Annotations for GitHub: each failure at the line of the playbook that it is about."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TextIO

from runner.annotations import annotation, from_the_top
from runner.exporters.calls import FAILED, UNKNOWN, Call, Calls, plural
from runner.exporters.excerpts import playbook_text
from runner.exporters.reading import Reader
from runner.exporters.surroundings import Surroundings
from runner.playbook import Document, parse
from runner.spots import Open, find_spot

# GitHub shows the first ten of a step, and of a job fifty; the log shows all.
MOST = 50


@dataclass(slots=True)
class _Spot:
    """A step that failed: its first failure, and how many there were."""

    first: Call
    count: int = 0


def write(reader: Reader, stream: TextIO, surroundings: Surroundings) -> None:
    """A workflow command for each step that failed; iterations of a loop are told as one."""
    spots: dict[str, _Spot] = {}
    calls = Calls()
    for envelope in reader:
        call = calls(envelope)
        if call.outcome in {FAILED, UNKNOWN} and (call.source in spots or len(spots) < MOST):
            spots.setdefault(call.source, _Spot(call)).count += 1
    open_ = _opener(surroundings)
    for spot in spots.values():
        stream.write(_command(spot, surroundings, open_) + "\n")


def _opener(surroundings: Surroundings) -> Open:
    """What gives the playbooks that a report names, each read once."""

    @cache
    def open_(file: str) -> Document | None:
        text = playbook_text(surroundings.folder, file)
        return None if text is None else parse(text, file)

    return open_


def _command(spot: _Spot, surroundings: Surroundings, open_: Open) -> str:
    call = spot.first
    properties: dict[str, object] = {}
    if call.file:
        told = {"type": call.error_type, "message": call.message}
        error = {**told, "response": call.error.get("response")}
        place, _ = find_spot({"source": call.source, "error": error}, open_)
        file = from_the_top(call.file, surroundings.folder, surroundings.environ)
        properties = {"file": file, "line": place.line, "col": place.column}
    properties["title"] = f"{call.key} {call.what} {call.outcome}"
    more = spot.count - 1
    parts = [
        call.message or call.outcome,
        f"({call.hint})" if call.hint else "",
        f"and {plural(more, 'time')} more" if more else "",
    ]
    return annotation("error", properties, " ".join(part for part in parts if part))
