"""The end of a run in words: what became of it, the first failure drawn, how to go on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from runner.errors import RunnerError
from runner.masking import Masker
from runner.model import Finished, Json, Summary
from runner.playbook import Document, read
from runner.report.drawing import Paint, clean, draw_spot
from runner.report.lines import body_lines, outcome_of, request_line
from runner.spots import find_spot

MOST_ANSWERED = 12  # lines of the tracker's answer to the call that failed
MOST_OUTPUT = 200  # characters of one output
MOST_ON_A_LINE = 100  # characters of an answer that is not spread over lines
MOST_NAMED = 8  # files that were saved, and steps that were not run
MOST_APART = 3  # iterations of a loop that are listed one by one

_ENTRY = re.compile(r"(?P<key>\S+) (?P<what>\([^()]+\))(?: id (?P<id>.*))?")


class Closing:
    """The summary of one run, as lines."""

    def __init__(self, summary: Summary, paint: Paint) -> None:
        self._summary = summary
        self._paint = paint

    def lines(
        self,
        first: Finished | None,
        document: Document | None,
        resume: str,
        seconds: float | None,
        saved: Sequence[str] = (),
    ) -> Iterator[str]:
        """All that is said, from the verdict to the command that goes on with the run."""
        summary = self._summary
        yield ""
        yield self._verdict(seconds)
        if summary.exit_code != 0:
            yield from self._list("done:", summary.written, summary.changed)
        yield from self._list(
            "unknown, look at the tracker before you run again:", summary.doubtful, summary.unknown
        )
        if saved:
            yield f"saved: {_named(saved, len(saved))}"
        if summary.missed:
            yield f"not run: {_named(summary.missed, max(summary.not_run, len(summary.missed)))}"
        if first is not None:
            yield from self._failure(first, document)
        if summary.outputs:
            yield "outputs:"
            yield from (f"  {name}: {_short(value)}" for name, value in summary.outputs.items())
        if resume:
            yield ""
            yield f"to go on: {resume}"

    def _verdict(self, seconds: float | None) -> str:
        summary = self._summary
        counts = [
            (summary.succeeded, "succeeded", "green"),
            (summary.changed, "changed", "cyan"),
            (summary.held, "would change something", "cyan"),
            (summary.held_destroys, "of them would destroy", "red"),
            (summary.held_reads, "to be read after that", "cyan"),
            (summary.failed, "failed", "red"),
            (summary.unknown, "unknown", "magenta"),
            (summary.skipped, "skipped", "yellow"),
            (summary.not_run, "not run", "yellow"),
            (summary.restored, "restored", "blue"),
        ]
        shown = [self._paint(f"{n} {word}", colour) for n, word, colour in counts if n]
        end = " (interrupted)" if summary.interrupted else ""
        if summary.dry:
            open_ = ", some of it hanging on what is not known yet" if summary.held_open else ""
            end += f"{open_}; a dry run: nothing was changed"
        time = f" in {seconds:.1f} s" if seconds is not None and seconds >= 1 else ""
        return f"run {summary.run}: " + (", ".join(shown) or "no calls") + time + end

    def _list(self, title: str, entries: list[str], count: int) -> Iterator[str]:
        if entries:
            yield title
            yield from (f"  {clean(entry)}" for entry in _folded(entries))
            if count > len(entries):
                yield f"  … and {count - len(entries)} more, which the report names"

    def _failure(self, finished: Finished, document: Document | None) -> Iterator[str]:
        envelope = finished.envelope
        error = envelope["error"] or {"type": "unknown", "message": "no answer came", "hint": ""}
        outcome = outcome_of(envelope)
        colour = "red" if outcome == "failed" else "magenta"
        place, line = find_spot(envelope, lambda file: _document(file, document))
        word = self._paint(outcome, colour)
        yield ""
        yield f"{place}: {word}: {clean(error['message'])}"
        yield from draw_spot(place, line, self._paint, colour)
        if error["hint"]:
            yield f"  {self._paint('=', 'cyan')} {clean(error['hint'])}"
        yield from self._exchange(finished.key, envelope)

    def _exchange(self, key: str, envelope: Mapping[str, Any]) -> Iterator[str]:
        yield f"  {self._name('step')} {clean(key)}"
        if envelope["request"] is None:
            return
        tries = f" ({envelope['attempts']} tries)" if envelope["attempts"] > 1 else ""
        yield f"  {self._name('request')} {clean(request_line(envelope))}{tries}"
        status = envelope["status"] or "none"
        answer = (envelope["error"] or {}).get("response")
        lines = [] if answer is None else list(body_lines(answer, MOST_ANSWERED))
        if answer is not None and len(_text(answer)) <= MOST_ON_A_LINE:
            lines = [clean(_text(answer))]
        short = f"  {lines.pop()}" if len(lines) == 1 else ""
        yield f"  {self._name('answer')} {status}{short}"
        yield from (f"  {' ' * 8} {line}" for line in lines)

    def _name(self, name: str) -> str:
        return self._paint(f"{name:<8}", "bright_black")


def masked(summary: Summary, masker: Masker) -> Summary:
    """The summary without secrets: its texts and outputs come from before the masking."""
    return replace(
        summary,
        written=[masker.text(entry) for entry in summary.written],
        doubtful=[masker.text(entry) for entry in summary.doubtful],
        missed=[masker.text(entry) for entry in summary.missed],
        outputs=masker.json(dict(summary.outputs)),
        first_failure=masker.json(summary.first_failure),
    )


def _named(names: Sequence[str], count: int) -> str:
    """The first of so many."""
    shown = names[:MOST_NAMED]
    more = f", and {count - len(shown)} more" if count > len(shown) else ""
    return ", ".join(map(clean, shown)) + more


def _folded(entries: list[str]) -> Iterator[str]:
    """The entries, with the iterations of a loop in one line where they are many."""
    groups: dict[str, list[str]] = {}
    for entry in entries:
        found = _ENTRY.fullmatch(entry)
        name = re.sub(r"\[\d+\]", "[…]", found["key"]) + f" {found['what']}" if found else entry
        groups.setdefault(name, []).append(entry)
    for name, group in groups.items():
        if len(group) <= MOST_APART:
            yield from group
            continue
        matches = [found for entry in group if (found := _ENTRY.fullmatch(entry))]
        ids = _ranges([found["id"] for found in matches if found["id"] is not None])
        yield f"{name} {len(group)} times" + (f", id {ids}" if ids else "")


def _ranges(ids: Sequence[str]) -> str:
    """The ids in their order, with those that follow on each other as a range: `4, 7-31`."""
    runs: list[list[str]] = []
    for each in ids:
        last = runs[-1][-1] if runs else ""
        if last.isdecimal() and each.isdecimal() and int(each) == int(last) + 1:
            runs[-1].append(each)
        else:
            runs.append([each])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ", ".join(run) for run in runs)


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _short(value: Json) -> str:
    text = _text(value)
    return clean(text[:MOST_OUTPUT]) + ("…" if len(text) > MOST_OUTPUT else "")


def _document(file: str, document: Document | None) -> Document | None:
    if document is not None and document.file == file:
        return document
    try:
        return None if file.startswith("<") else read(file)
    except RunnerError:  # included, and gone since
        return None
