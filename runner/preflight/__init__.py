"""Ids that a playbook states, looked up on its trackers before the run; only ever reads.

Keitaro takes ids that do not exist: a stream with a made-up offer is created, takes traffic and
sends it nowhere. So each id that is written out, or is the value of an input, is looked for in the
list of its resource, one call a list; what no list shows is asked for once by itself, since a
limited key sees only a part. It takes filters and actions that it does not know as well, so their
names are held against its lists of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runner.lint import hide_secrets
from runner.model import Json, Problem
from runner.playbook import Document
from runner.preflight.lookup import Lookup, Reaches
from runner.preflight.mentions import find_mentions
from runner.trackers import Trackers
from runner.validation import Rules
from runner.validation.checker import is_silenced

__all__ = ["check"]


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
    with Reaches(trackers, tracker) as reaches:
        lookup = Lookup(rules, reaches)
        back = {(m.where[:2], m.entity) for m in mentions if m.brings_back}
        found = (lookup.problem(m, fine=(m.where[:2], m.entity) in back) for m in mentions)
        # A playbook that several others include states its ids once.
        problems = {p: None for p in found if p is not None and not is_silenced(p)}
    # A line is shown with its secrets hidden, which lint has found in the documents.
    known = [problem for document in documents for problem in document.problems]
    return sorted(hide_secrets([*known, *problems])[len(known) :], key=lambda p: p.place)
