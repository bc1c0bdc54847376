"""A report as one HTML page without outside resources; what trackers said is data in it."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from base64 import b64encode
from datetime import UTC, datetime
from html import escape
from pathlib import Path, PurePath
from string import Template
from typing import IO, Any, TextIO

from runner.exporters.calls import (
    NO_END,
    OUTCOMES,
    Call,
    Calls,
    Totals,
    duration_text,
    not_run,
    plural,
    text_of,
)
from runner.exporters.details import BLOCK, Details, dump
from runner.exporters.excerpts import Excerpt, Excerpts
from runner.exporters.reading import Reader
from runner.exporters.surroundings import Surroundings
from runner.trackers import API

# Calls beyond this are counted and, but for failures, not listed: a browser has its limits.
MOST_ROWS = 200_000
MOST_ROWS_AT_ALL = 220_000
MOST_EXCERPTS = 300
_LONGEST_RESULT = 160

_ASSETS = Path(__file__).parent / "assets"
_SCRIPTS = ("data.js", "timeline.js", "json.js", "detail.js", "list.js", "main.js")
_TITLES = {
    "succeeded": "Succeeded",
    "failed": "Failed",
    "in doubt": "In doubt",
    "interrupted": "Interrupted",
    "unfinished": "Unfinished",
    "dry run": "Dry run: nothing was changed",
}


def write(reader: Reader, stream: TextIO, surroundings: Surroundings) -> None:
    """The verdict first, then the first failure in its playbook, the timeline, and every call.

    Long bodies are cut, the sooner the longer the report, so that the page stays usable; it says
    so. Holds neither the report nor the page in memory.
    """
    totals, calls = Totals(), Calls()
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="backslashreplace") as rows,
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="backslashreplace") as bodies,
    ):
        index, details = _Index(rows), Details(bodies)
        for envelope in reader:
            call = calls(envelope)
            totals.add(call)
            if index.add(call):
                details.add(call)
        details.close()
        _write_page(stream, index, details, (totals, reader, surroundings))
        shutil.copyfileobj(_rewound(bodies), stream)
    stream.write(f"<script>{_script()}</script>\n</body>\n</html>\n")


class _Index:
    """A short row for each call, in a file; names that occur again are numbered."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream
        self.count = 0
        self.base: float | None = None  # what the rows' beginnings are counted from
        self.names: dict[str, dict[str, int]] = {
            "steps": {},
            "whats": {},
            "sources": {},
            "trackers": {},
        }
        self.places: dict[str, tuple[str, int, int]] = {}

    def add(self, call: Call) -> bool:
        """Write a call's row; false where the page lists it no more."""
        trouble = call.outcome in {"failed", "unknown"}
        if self.count >= (MOST_ROWS_AT_ALL if trouble else MOST_ROWS):
            return False
        if self.base is None:
            self.base = call.started
        since = None if call.started is None else call.started - (self.base or 0)
        row = [
            self._number("steps", call.pattern),
            _plain(call.envelope.get("index")),
            self._number("whats", call.what),
            OUTCOMES.index(call.outcome),
            call.status or 0,
            None if since is None else round(since * 1000),
            round(call.duration, 1),
            int(call.changed),
            _told(call)[:_LONGEST_RESULT],
            self._number("sources", call.source),
            _plain(call.envelope.get("seq")),
            self._number("trackers", text_of(call.envelope.get("tracker"))),
        ]
        self.stream.write(("," if self.count else "") + "\n" + dump(row))
        if call.file and len(self.places) < MOST_EXCERPTS:
            self.places.setdefault(call.source, (call.file, call.line, call.column))
        self.count += 1
        return True

    def _number(self, kind: str, name: str) -> int:
        names = self.names[kind]
        return names.setdefault(name, len(names))


def _told(call: Call) -> str:
    """What came of a call, or would: in a few words, with the item that it is about."""
    told = call.message or call.result
    if call.held:
        path = text_of(call.request.get("url")).split(API, 1)[-1]
        word = "destroys" if call.destroys else "sends"
        told = f"{word} {text_of(call.request.get('method'))} {path}"
    item = text_of(call.envelope.get("item"))
    return f"{item}: {told}" if item and told else item or told


def _plain(value: Any) -> Any:
    """A number or a list of numbers; nothing where it is anything else."""
    parts = value if isinstance(value, list) else [value]
    return value if all(isinstance(part, int) for part in parts) else None


def _write_page(
    stream: TextIO,
    index: _Index,
    details: Details,
    about: tuple[Totals, Reader, Surroundings],
) -> None:
    totals, reader, surroundings = about
    excerpts = Excerpts(surroundings.folder)
    style = (_ASSETS / "page.css").read_text(encoding="utf-8")
    page = Template((_ASSETS / "page.html").read_text(encoding="utf-8"))
    verdict = totals.verdict(reader)
    stream.write(
        page.substitute(
            policy=_policy(style),
            style=style,
            kind=verdict.replace(" ", "-"),
            title=escape(f"{PurePath(totals.playbook).name}: {verdict}"),
            verdict=_TITLES[verdict],
            playbook=escape(totals.playbook),
            facts=_facts(totals),
            counts=_counts(totals, reader),
            notes="".join(f"<p>{escape(note)}</p>" for note in _notes(index, details, about)),
            failure=_failure(totals.first, excerpts),
        )
    )
    shown = {
        str(index.names["sources"][source]): excerpt._asdict()
        for source, place in index.places.items()
        if (excerpt := excerpts.at(*place)) is not None
    }
    head = {
        **{kind: list(names) for kind, names in index.names.items()},
        "headers": list(details.headers),
        "excerpts": shown,
        "base": round((index.base or 0) * 1000),
        "block": BLOCK,
    }
    stream.write('<script type="application/json" id="index">\n' + dump(head)[:-1] + ',"rows":[')
    shutil.copyfileobj(_rewound(index.stream), stream)
    stream.write("\n]}</script>\n")


def _facts(totals: Totals) -> str:
    began = "" if totals.began is None else f"{datetime.fromtimestamp(totals.began, UTC):%F %T} UTC"
    facts = [
        ("Duration", duration_text(totals.seconds)),
        ("Calls", f"{totals.calls:,}"),
        ("Tracker" if len(totals.trackers) < 2 else "Trackers", ", ".join(totals.trackers)),
        ("Began", began),
        ("Run", ", ".join(totals.runs)),
    ]
    return "".join(
        f"<div><dt>{name}</dt><dd>{escape(text)}</dd></div>" for name, text in facts if text
    )


def _counts(totals: Totals, reader: Reader) -> str:
    return "".join(
        f'<li class="{word.replace(" ", "-")}"><b>{number:,}</b> {word}</li>'
        for word, number in totals.counts(reader)
        if number
    )


def _notes(
    index: _Index, details: Details, about: tuple[Totals, Reader, Surroundings]
) -> list[str]:
    totals, reader, _ = about
    notes = [f"{warning[0].upper()}{warning[1:]}." for warning in reader.warnings]
    if not reader.has_end:
        notes.append(NO_END)
    if missed := not_run(reader):
        notes.append(f"{missed}.")
    if index.count < totals.calls:
        notes.append(
            f"Listed are {index.count:,} of {totals.calls:,} calls; the counts are of all."
        )
    if details.cut:
        notes.append(
            f"In {plural(details.cut, 'call')} texts of more than {details.shortest:,} characters "
            "are cut, so that the page stays usable; the report has the whole of them."
        )
    if details.dropped:
        notes.append(
            f"Of {plural(details.dropped, 'call')} that went well the page has only a row, so "
            "that it stays usable; the report has all of them."
        )
    return notes


def _failure(call: Call | None, excerpts: Excerpts) -> str:
    if call is None:
        return ""
    excerpt = excerpts.at(call.file, call.line, call.column)
    answer = "no answer" if call.status is None else f"status {call.status}"
    sent = f"{call.request.get('method')} {call.request.get('url')} · {answer}"
    kind = "failed" if call.outcome == "failed" else "unknown"
    return (
        f'<section class="first {kind}" aria-labelledby="first-title">'
        f'<h2 id="first-title">First failure: <code>{escape(call.key)}</code></h2>'
        f'<p class="message">{escape(call.message or call.outcome)}</p>'
        + (f'<p class="hint">{escape(call.hint)}</p>' if call.hint else "")
        + (f'<p class="sent"><code>{escape(sent)}</code></p>' if call.request else "")
        + f'<p class="place">{escape(call.source)}</p>'
        + (_drawn(excerpt) if excerpt else "")
        + '<p><button type="button" id="show-first" hidden>Show this call</button></p></section>\n'
    )


def _drawn(excerpt: Excerpt) -> str:
    lines = []
    for number, text in enumerate(excerpt.lines, excerpt.start):
        here = number == excerpt.line
        lines.append(f'<span class="{"line here" if here else "line"}"><i>{number}</i>')
        lines.append(f"{escape(text)}\n</span>")
        if here:
            lines.append(f'<span class="line caret"><i></i>{" " * (excerpt.column - 1)}^\n</span>')
    return f'<pre class="source" tabindex="0">{"".join(lines)}</pre>'


def _policy(style: str) -> str:
    """Nothing is loaded from anywhere, and only these very texts act as script and style."""
    return (
        f"default-src 'none'; script-src '{_digest(_script())}'; style-src '{_digest(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _script() -> str:
    parts = [(_ASSETS / name).read_text(encoding="utf-8") for name in _SCRIPTS]
    return '\n(() => {\n"use strict";\n' + "\n".join(parts) + "})();\n"


def _digest(text: str) -> str:
    return "sha256-" + b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _rewound(stream: IO[str]) -> IO[str]:
    stream.seek(0)
    return stream
