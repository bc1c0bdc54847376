"""Running playbooks against the emulator: what is sent, in what order, and what becomes of it."""

from __future__ import annotations

import json
import re
import threading
import tracemalloc
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import NOON, HeldClock, Run, Start, calls, run_stubbed, steps

from runner.emulator import Emulator, Fault
from runner.errors import ExitCode, RunnerError
from runner.model import Reply, Request
from runner.transport import Limits

OFFERS = {"offers": [{"id": n, "name": f"Offer {n}"} for n in range(1, 6)]}
GROUP = "{name: group, resource: group, operation: create, body: {name: A, type: offers}}"


# -- order and values -------------------------------------------------------------------------


def test_order(run_playbook: Run) -> None:
    """Steps run in the order in which they are written, on one connection after the other."""
    ran = run_playbook(
        steps(
            GROUP,
            "{name: offers, resource: offer, operation: getAll}",
            "{name: groups, resource: group, operation: getAll, params: {type: offers}}",
        )
    )
    assert ran.calls == ["POST /groups", "GET /offers", "GET /groups"]
    assert [e["step"] for e in ran.envelopes] == ["group", "offers", "groups"]
    assert [e["seq"] for e in ran.envelopes] == [1, 2, 3]
    assert ran.summary.exit_code is ExitCode.OK


def test_types_on_the_wire(run_playbook: Run) -> None:
    """A value that is one whole expression keeps its type; anything else is text, never re-read."""
    ran = run_playbook(
        """
version: 1
inputs:
  flag: {type: boolean, default: true}
  none: {required: false}
  map: {type: object, default: {a: [1, "1"]}}
  zip: {type: string, default: "007"}
steps:
  - resource: api
    operation: post
    params: {path: /labels}
    body:
      number: ${{ 6 * 7 }}
      float: ${{ 0.1 }}
      flag: ${{ inputs.flag }}
      none: ${{ inputs.none }}
      map: ${{ inputs.map }}
      list: ${{ [1, 'two'] }}
      zip: ${{ inputs.zip }}
      padded: " ${{ 6 * 7 }}"
      joined: "${{ 1 }}${{ 2 }}"
      literal: $${{ not.ours }}
      macro: "{{ad.name}} {subid} $x"
      "{{ key }}": stays
"""
    )
    (received,) = ran.tracker.requests
    assert received.body == {
        "number": 42,
        "float": 0.1,
        "flag": True,
        "none": None,
        "map": {"a": [1, "1"]},
        "list": [1, "two"],
        "zip": "007",
        "padded": " 42",
        "joined": "12",
        "literal": "${{ not.ours }}",
        "macro": "{{ad.name}} {subid} $x",
        "{{ key }}": "stays",
    }
    assert type(received.body["number"]) is int


def test_text_in_data_is_not_an_expression(run_playbook: Run, start: Start) -> None:
    """What an answer holds is data, even where it looks like an expression."""
    tracker = start(seed={"offers": [{"id": 1, "name": "${{ run.id }}"}]})
    ran = run_playbook(
        steps(
            "{name: offer, resource: offer, operation: get, id: 1}",
            '{resource: offer, operation: update, id: 1, body: {notes: "${{ steps.offer.data.name '
            '}}"}}',
        ),
        tracker=tracker,
    )
    assert ran.tracker.requests[1].body == {"notes": "${{ run.id }}"}


def test_raw_body(run_playbook: Run) -> None:
    """A body marked raw is sent as it stands."""
    ran = run_playbook(
        steps(
            "{resource: offer, operation: create, raw: true, "
            'body: {name: "${{ steps.x }} {{ inputs.y }}"}}'
        )
    )
    assert ran.tracker.requests[0].body == {"name": "${{ steps.x }} {{ inputs.y }}"}


def test_numbers_keep_their_spelling(run_playbook: Run, folder: Path) -> None:
    """Where the API wants text, an unquoted number is sent as it was typed, from files too."""
    (folder / "offer.yaml").write_text("name: 1.10\nnotes: 5${{ run.id[:0] }}\n")
    ran = run_playbook(
        steps(
            "{resource: group, operation: create, body: {name: 007, type: offers}}",
            "{resource: offer, operation: create, body_file: offer.yaml}",
            "{resource: stream, operation: search, params: {query: 007}}",
        )
    )
    assert ran.errors() == []
    group, offer, search = ran.tracker.requests
    assert group.body["name"] == "007"
    assert offer.body["name"] == "1.10"
    assert search.query == {"query": "007"}


def test_body_file_by_expression(run_playbook: Run, folder: Path) -> None:
    """A body file may be named by an expression; it is read, rendered and checked at its turn."""
    (folder / "a.json").write_text('{"name": "Offer ${{ item }}", "payout_value": 1.5}')
    (folder / "b.json").write_text('{"name": ["wrong"]}')
    text = steps(
        "{name: made, for_each: [a, b, c, ../x], on_error: continue, resource: offer, "
        'operation: create, body_file: "${{ item }}.json"}'
    )
    ran = run_playbook(text)
    assert [r.body for r in ran.tracker.requests] == [{"name": "Offer a", "payout_value": 1.5}]
    types = [e["error"] and e["error"]["type"] for e in ran.envelopes]
    assert types == [None, "invalid_body", "template", "template"]
    assert "there is no file 'c.json'" in ran.errors()[1]
    assert "outside the playbook's folder" in ran.errors()[2]


def test_strict_after_rendering(run_playbook: Run) -> None:
    """What could not be judged before the run is judged once rendered, and then not sent."""
    ran = run_playbook(
        "version: 1\nvars: {word: many, share: 300, what: {}}\n"
        + steps(
            '{name: type, resource: offer, operation: create, body: {name: "${{ vars.what }}"}, '
            "on_error: continue}",
            "{name: range, resource: stream, operation: update, id: 1, on_error: continue, "
            'body: {offers: [{offer_id: 1, share: "${{ vars.share }}"}]}}',
            "{name: params, resource: stream, operation: getAll, on_error: continue, "
            'params: {campaign_id: "${{ vars.word }}"}}',
            "{name: whole, resource: stream, operation: getAll, "
            'params: "${{ vars.what }}", on_error: continue}',
            "{name: unknown, resource: stream, operation: getAll, "
            "params: \"${{ {'campaign_id': 1, 'x': 2} }}\", on_error: continue}",
        ).removeprefix("version: 1\n")
    )
    assert ran.calls == []
    found = [(e["step"], e["error"]["type"]) for e in ran.envelopes]
    assert found == [
        ("type", "invalid_body"),
        ("range", "invalid_body"),
        ("params", "invalid_params"),
        ("whole", "invalid_params"),
        ("unknown", "invalid_params"),
    ]
    assert ran.errors() == [
        "body.name must be text, is a mapping",
        "body.offers[0].share must be at most 100",
        "params.campaign_id must be a whole number, is text",
        "stream.getAll needs params.campaign_id",
        "stream.getAll has no parameter 'x'",
    ]
    assert all(e["request"] is None and e["attempts"] == 0 for e in ran.envelopes)


ODD_IDS = {
    "empty": "''",
    "blank": "'  '",
    "null": "none",
    "false": "false",
    "zero-length": "'' | trim",
    "float": "1.5",
    "negative": "-5",
    "list": "[5]",
    "mapping": "{'id': 5}",
    "slash": "'5/clone'",
    "up": "'..'",
    "query": "'5?x=1'",
    "fragment": "'5#'",
    "encoded": "'%2e%2e'",
    "newline": "'5\\n'",
    "missing-field": "steps.offers.data[0]['nothing']",
    "past-the-end": "steps.offers.data[7].id",
}


@pytest.mark.parametrize("expression", ODD_IDS.values(), ids=ODD_IDS)
def test_odd_ids_never_leave(run_playbook: Run, start: Start, expression: str) -> None:
    """An id that is empty, null or no single part of a path is never sent: no DELETE /offers/."""
    ran = run_playbook(
        "version: 1\nsteps:\n"
        "  - {name: offers, resource: offer, operation: getAll}\n"
        "  - name: gone\n    resource: offer\n    operation: delete\n"
        f'    id: "${{{{ {expression} }}}}"\n'.replace("\\", "\\\\"),
        tracker=start(seed=OFFERS),
    )
    assert ran.calls == ["GET /offers"]
    gone = ran.of("gone")
    assert gone["success"] is False
    assert gone["request"] is None
    assert gone["error"]["type"] in {"invalid_id", "template"}
    assert ran.summary.exit_code is ExitCode.FAILED


def test_ids_that_are_text(run_playbook: Run) -> None:
    """An id that is one part of a path is sent, quoted as paths want it."""
    ran = run_playbook(steps("{resource: offer, operation: get, id: a&b=c}"))
    assert ran.only["request"]["url"].endswith("/offers/a%26b%3Dc")
    assert ran.calls == ["GET /offers/a&b=c"]


# -- for_each ---------------------------------------------------------------------------------


def test_for_each(run_playbook: Run, start: Start) -> None:
    """A step runs once for each item; its results are a list of envelopes in that order."""
    ran = run_playbook(
        """
version: 1
steps:
  - name: read
    for_each: [3, 1, 2]
    resource: offer
    operation: get
    id: ${{ item }}
  - name: seen
    set: {names: "${{ steps.read.results | pluck('data.name') }}", n: "${{ steps.read.count }}"}
outputs: {names: "${{ steps.seen.values.names }}", n: "${{ steps.seen.values.n }}"}
""",
        tracker=start(seed=OFFERS),
    )
    assert ran.calls == ["GET /offers/3", "GET /offers/1", "GET /offers/2"]
    assert [e["index"] for e in ran.envelopes] == [0, 1, 2]
    assert ran.summary.outputs == {"names": ["Offer 3", "Offer 1", "Offer 2"], "n": 3}


def test_for_each_over_nothing(run_playbook: Run) -> None:
    """An empty list is no failure: the step has no results."""
    ran = run_playbook(
        "version: 1\nsteps:\n"
        "  - {name: none, for_each: [], resource: offer, operation: getAll}\n"
        "  - {name: sum, set: {n: '${{ steps.none.results | length }}'}}\n"
        "outputs: {n: '${{ steps.sum.values.n }}'}\n"
    )
    assert (ran.calls, ran.summary.outputs) == ([], {"n": 0})
    assert ran.summary.exit_code is ExitCode.OK


def test_nested_loops(run_playbook: Run, start: Start) -> None:
    """Loops nest through blocks; an envelope tells the iteration of each, the outermost first."""
    ran = run_playbook(
        """
version: 1
steps:
  - name: outer
    for_each: [1, 2]
    as: campaign
    steps:
      - name: inner
        for_each: [3, 4]
        as: offer
        resource: offer
        operation: update
        id: ${{ offer }}
        body: {notes: "${{ campaign }}-${{ offer }}-${{ index }}"}
      - name: after
        resource: offer
        operation: get
        id: ${{ campaign }}
""",
        tracker=start(seed=OFFERS),
    )
    assert [r.body["notes"] for r in ran.tracker.requests if r.body] == [
        "1-3-0", "1-4-1", "2-3-0", "2-4-1",
    ]  # fmt: skip
    assert [e["key"] for e in ran.envelopes] == [
        "outer[0].inner[0]", "outer[0].inner[1]", "outer[0].after",
        "outer[1].inner[0]", "outer[1].inner[1]", "outer[1].after",
    ]  # fmt: skip
    assert [(e["step"], e["index"]) for e in ran.envelopes] == [
        ("outer.inner", [0, 0]),
        ("outer.inner", [0, 1]),
        ("outer.after", 0),
        ("outer.inner", [1, 0]),
        ("outer.inner", [1, 1]),
        ("outer.after", 1),
    ]


def test_for_each_over_no_list(run_playbook: Run) -> None:
    """What is no list fails the step, before anything of it is sent."""
    ran = run_playbook(
        "version: 1\nvars: {word: DE}\nsteps:\n"
        "  - {for_each: '${{ vars.word }}', resource: offer, operation: getAll}\n"
    )
    assert ran.calls == []
    assert ran.errors() == ["for_each: 'DE' is no list"]


def test_when_per_item_or_whole(run_playbook: Run, start: Start) -> None:
    """A condition that asks about the item is asked for each; any other once for the whole step."""
    ran = run_playbook(
        """
version: 1
inputs: {go: {type: boolean, default: false}}
steps:
  - name: odd
    for_each: [1, 2, 3]
    when: ${{ item % 2 == 1 }}
    resource: offer
    operation: get
    id: ${{ item }}
  - name: later
    for_each: [1, 2, 3]
    when: ${{ index > 1 }}
    resource: offer
    operation: get
    id: ${{ item }}
  - name: whole
    for_each: ${{ [1, 2, 3] }}
    when: ${{ inputs.go }}
    resource: offer
    operation: get
    id: ${{ item }}
outputs:
  odd: ${{ steps.odd.results | pluck('skipped') }}
  whole: ${{ [steps.whole.skipped, steps.whole.results] }}
""",
        tracker=start(seed=OFFERS),
    )
    assert ran.calls == ["GET /offers/1", "GET /offers/3", "GET /offers/3"]
    skipped = [(e["step"], e["index"]) for e in ran.envelopes if e["skipped"]]
    assert skipped == [("odd", 1), ("later", 0), ("later", 1), ("whole", None)]
    assert ran.summary.outputs["odd"] == [None, "when: item % 2 == 1 is false", None]
    assert ran.summary.outputs["whole"] == ["when: inputs.go is false", []]


def test_conditions_are_true_or_false(run_playbook: Run) -> None:
    """Nothing is truthy: a condition that gives a number fails the step."""
    ran = run_playbook(
        "version: 1\nvars: {n: 1}\nsteps:\n"
        "  - {resource: offer, operation: getAll, when: '${{ vars.n }}'}\n"
    )
    assert ran.calls == []
    assert ran.errors() == ["the condition vars.n gives 1, neither true nor false"]


class _Gauge:
    """A stub tracker that knows how many requests it has at a time, and waits for company."""

    def __init__(self, expected: int) -> None:
        self._lock = threading.Lock()
        self._full = threading.Barrier(expected, timeout=5)
        self.now = self.most = self.total = 0

    def send(self, _: Request) -> Reply:
        with self._lock:
            self.now += 1
            self.total += 1
            self.most = max(self.most, self.now)
        self._full.wait()
        with self._lock:
            self.now -= 1
        return Reply(200, {}, b"[]")


def test_concurrency_is_bounded(folder: Path) -> None:
    """Exactly as many calls are in flight as asked for: never more, and no fewer."""
    gauge = _Gauge(4)
    text = steps(
        "{for_each: '${{ range(20) }}', concurrency: 4, resource: offer, operation: getAll}"
    )
    summary, envelopes = run_stubbed(folder, text, gauge.send)
    assert (gauge.most, gauge.total) == (4, 20)
    assert sorted(e["index"] for e in envelopes) == list(range(20))
    assert [e["seq"] for e in envelopes] == list(range(1, 21))
    assert summary.succeeded == 20


def test_concurrent_on_real_http(run_playbook: Run, start: Start) -> None:
    """Several calls at a time overlap on the wire, and results keep the order of the input."""
    tracker = start(Fault("delay", seconds=0.05, times=None), seed=OFFERS)
    ran = run_playbook(
        "version: 1\nsteps:\n"
        "  - name: read\n    for_each: [5, 4, 3, 2, 1, 5, 4, 3]\n    concurrency: 4\n"
        "    resource: offer\n    operation: get\n    id: ${{ item }}\n"
        "outputs: {ids: \"${{ steps.read.results | pluck('data.id') }}\"}\n",
        tracker=tracker,
    )
    assert ran.summary.outputs == {"ids": [5, 4, 3, 2, 1, 5, 4, 3]}
    moments = []
    for envelope in ran.envelopes:
        begun = envelope["started_at"]
        moments.append((begun, 1))
        moments.append((_later(begun, envelope["duration_ms"] - 1), -1))
    flying = most = 0
    for _, step in sorted(moments):
        flying += step
        most = max(most, flying)
    assert 2 <= most <= 4


def _later(stamp: str, milliseconds: float) -> str:
    moment = NOON.fromisoformat(stamp) + timedelta(milliseconds=milliseconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_concurrency_by_expression(run_playbook: Run) -> None:
    """The bound may be computed; one out of range fails the step."""
    text = (
        "version: 1\ninputs: {n: {type: integer}}\nsteps:\n"
        "  - {for_each: [1, 2], concurrency: '${{ inputs.n }}', resource: offer, "
        "operation: getAll}\n"
    )
    assert len(run_playbook(text, {"n": 2}).calls) == 2
    failed = run_playbook(text, {"n": 65})
    assert (failed.calls, failed.errors()) == ([], ["concurrency: 65 is not from 1 to 64"])


@pytest.mark.parametrize("workers", [1, 3])
def test_a_failing_item_stops_the_loop(run_playbook: Run, start: Start, workers: int) -> None:
    """After a failure no further item is begun, unless on_error says to go on."""
    text = (
        "version: 1\nsteps:\n"
        "  - {{name: each, for_each: '${{{{ range(400, 500) }}}}', concurrency: {}, "
        "resource: offer, operation: get, id: '${{{{ item }}}}', on_error: {}}}\n"
        "  - {{name: after, resource: offer, operation: getAll}}\n"
    )
    stopped = run_playbook(text.format(workers, "stop"))
    assert len(stopped.calls) <= workers * 2
    assert "GET /offers" not in stopped.calls
    assert stopped.summary.not_run == len(stopped.summary.missed) == 2
    first, last = stopped.summary.missed
    assert re.fullmatch(r"each\[[1-6]\] to each\[99\]", first)
    assert last == "after"
    on = run_playbook(text.format(workers, "continue"))
    assert len(on.calls) == 101
    assert on.calls[-1] == "GET /offers"
    assert on.summary.exit_code is ExitCode.FAILED


# -- blocks, set, include ---------------------------------------------------------------------


def test_block(run_playbook: Run, start: Start) -> None:
    """A block runs under one condition; its steps are read from outside below its name."""
    text = """
version: 1
inputs: {{go: {{type: boolean, default: {}}}}}
steps:
  - name: both
    when: ${{{{ inputs.go }}}}
    steps:
      - {{name: one, resource: offer, operation: get, id: 1}}
      - {{name: two, resource: offer, operation: get, id: "${{{{ steps.one.data.id + 1 }}}}"}}
outputs:
  name: ${{{{ steps.both.steps.two.data.name | default('none') }}}}
  skipped: ${{{{ steps.both.skipped }}}}
"""
    ran = run_playbook(text.format("true"), tracker=start(seed=OFFERS))
    assert ran.calls == ["GET /offers/1", "GET /offers/2"]
    assert ran.summary.outputs == {"name": "Offer 2", "skipped": None}
    skipped = run_playbook(text.format("false"))
    assert skipped.calls == []
    assert skipped.only["skipped"] == "when: inputs.go is false"


def test_what_a_block_gives_is_all_of_it(run_playbook: Run, start: Start) -> None:
    """Loops and blocks inside of it, however deep, though nothing names them one by one."""
    text = """
version: 1
steps:
  - name: outer
    steps:
      - {name: numbers, for_each: [1, 2], set: {n: "${{ item }}"}}
      - name: inner
        for_each: [a, b]
        as: letter
        steps:
          - {name: deep, for_each: [3, 4, 5], set: {n: "${{ letter }}${{ item }}"}}
      - name: nested
        steps:
          - {name: calls, for_each: [1, 1], resource: offer, operation: get, id: "${{ item }}"}
  - name: unused
    steps: [{name: unread, for_each: [1], set: {n: 1}}]
outputs:
  numbers: ${{ steps.outer.steps.numbers.results | pluck('values.n') }}
  deep: "${{ steps.outer.steps.inner.results | pluck('steps.deep.results') | flatten
           | pluck('values.n') }}"
  calls: ${{ steps.outer.steps.nested.steps.calls.results | pluck('data.name') }}
"""
    ran = run_playbook(text, tracker=start(seed={"offers": [{"id": 1, "name": "Tea"}]}))
    assert ran.summary.outputs == {
        "numbers": [1, 2],
        "deep": ["a3", "a4", "a5", "b3", "b4", "b5"],
        "calls": ["Tea", "Tea"],
    }


def test_block_stops_inside(run_playbook: Run) -> None:
    """A failure inside a block ends the block, and the run goes on where the block says so."""
    ran = run_playbook(
        """
version: 1
steps:
  - name: both
    on_error: continue
    steps:
      - {name: one, resource: offer, operation: get, id: 404}
      - {name: two, resource: offer, operation: getAll}
  - {name: after, when: "${{ steps.both.success }}", resource: group, operation: getAll,
     params: {type: offers}}
  - {name: last, resource: campaign, operation: getAll}
"""
    )
    assert ran.calls == ["GET /offers/404", "GET /campaigns"]
    assert ran.of("after")["skipped"] == "when: steps.both.success is false"


def test_set(run_playbook: Run) -> None:
    """Values are computed without a call, types kept, and without an envelope."""
    ran = run_playbook(
        "version: 1\nsteps:\n"
        "  - {name: sum, set: {n: '${{ 1 + 1 }}', deep: {list: ['${{ 2 }}']}}}\n"
        "outputs: {all: '${{ steps.sum.values }}'}\n"
    )
    assert (ran.calls, ran.lines) == ([], [])
    assert ran.summary.outputs == {"all": {"n": 2, "deep": {"list": [2]}}}


CHILD = """
version: 1
inputs:
  name: {type: string}
  times: {type: integer, default: 1}
vars: {full: "${{ inputs.name }}!"}
steps:
  - name: made
    resource: group
    operation: create
    body: {name: "${{ vars.full }}", type: offers}
outputs:
  id: ${{ steps.made.data.id }}
  tracker: ${{ tracker.name }}
"""


def test_include(run_playbook: Run, folder: Path) -> None:
    """An included playbook sees its own inputs and steps alone, and gives its outputs back."""
    (folder / "parts").mkdir()
    (folder / "parts" / "child.yaml").write_text(CHILD)
    ran = run_playbook(
        """
version: 1
vars: {full: outer}
steps:
  - {name: made, resource: offer, operation: create, body: {name: Outer}}
  - name: child
    for_each: [A, B]
    include: parts/child.yaml
    inputs: {name: "${{ item }}"}
outputs:
  ids: ${{ steps.child.results | pluck('outputs.id') }}
  own: ${{ steps.made.data.name }}
"""
    )
    assert [r.body["name"] for r in ran.tracker.requests] == ["Outer", "A!", "B!"]
    assert ran.summary.outputs == {"ids": [1, 2], "own": "Outer"}
    inner = ran.envelopes[1]
    assert (inner["step"], inner["index"]) == ("child.made", 0)
    assert inner["source"].endswith("child.yaml:8:5")


def test_include_with_wrong_inputs(run_playbook: Run, folder: Path) -> None:
    """Inputs that turn out wrong when rendered fail the include step, and nothing is sent."""
    (folder / "child.yaml").write_text(CHILD)
    ran = run_playbook(
        "version: 1\nsteps:\n  - {name: child, include: child.yaml, "
        "inputs: {name: A, times: \"${{ 'many' }}\"}}\n"
    )
    assert ran.calls == []
    assert ran.errors() == ["the input 'times' must be of type integer, and is text"]
    assert ran.only["error"]["type"] == "inputs"


def test_trackers(run_playbook: Run, start: Start, folder: Path) -> None:
    """A step or an include may go to another tracker, with that tracker's key."""
    (folder / "child.yaml").write_text(CHILD)
    spare = start(key="s" * 32)
    ran = run_playbook(
        """
version: 1
steps:
  - {name: here, resource: offer, operation: getAll}
  - {name: there, resource: offer, operation: getAll, tracker: spare}
  - {name: child, include: child.yaml, tracker: spare, inputs: {name: A}}
  - {name: named, for_each: [spare, default], tracker: "${{ item }}", resource: campaign,
     operation: getAll}
outputs: {tracker: "${{ steps.child.outputs.tracker }}", own: "${{ tracker.name }}"}
""",
        others={"spare": spare},
    )
    assert ran.calls == ["GET /offers", "GET /campaigns"]
    assert calls(spare) == ["GET /offers", "POST /groups", "GET /campaigns"]
    assert {r.headers["api-key"] for r in spare.requests} == {"s" * 32}
    assert {r.headers["api-key"] for r in ran.tracker.requests} == {ran.tracker.key}
    assert [e["tracker"] for e in ran.envelopes] == [
        "default", "spare", "spare", "spare", "default",
    ]  # fmt: skip
    assert ran.summary.outputs == {"tracker": "spare", "own": "default"}
    assert not any(key in line for line in ran.lines for key in ("s" * 32, ran.tracker.key))


def test_a_tracker_that_is_not_there(run_playbook: Run) -> None:
    """A tracker that nobody declared fails the step with words, and nothing is sent."""
    ran = run_playbook(
        steps(
            "{resource: offer, operation: getAll, tracker: spare}",
            "{resource: offer, operation: getAll}",
        )
    )
    assert (ran.calls, ran.errors()) == ([], ["there is no tracker 'spare'"])


# -- until, expect, timeout -------------------------------------------------------------------


def test_until(run_playbook: Run, start: Start) -> None:
    """A read is repeated, a pause between, until the condition holds; one envelope tells."""
    clock = HeldClock()
    ran = run_playbook(
        steps(
            "{resource: offer, operation: getAll, until: '${{ data | length > 0 }}', every: 10s,"
            " attempts: 9}"
        ),
        tracker=start(Fault("status", status=200, body=[], times=3), seed=OFFERS),
        clock=clock,
    )
    assert clock.slept == [10, 10, 10]
    assert ran.only["success"] is True
    assert (ran.only["attempts"], ran.only["count"]) == (4, 5)


def test_until_gives_up(run_playbook: Run) -> None:
    """After the last attempt the step fails, and both sides of the condition are shown."""
    clock = HeldClock()
    ran = run_playbook(
        steps(
            "{resource: offer, operation: getAll, until: '${{ data | length == 2 }}', every: 500ms,"
            " attempts: 3}"
        ),
        clock=clock,
    )
    assert (len(ran.calls), clock.slept) == (3, [0.5, 0.5])
    assert ran.only["error"]["type"] == "until"
    assert ran.errors() == [
        "after 3 attempts data | length == 2 is false (line 3): "
        "the left side is 0, the right side 2"
    ]


def test_until_stops_at_a_failure(run_playbook: Run, start: Start) -> None:
    """A call that fails while waiting fails the step as it is."""
    tracker = start(Fault("status", status=403, after=1), seed=OFFERS)
    ran = run_playbook(
        steps("{resource: offer, operation: getAll, until: '${{ data == [] }}', every: 1s}"),
        tracker=tracker,
        clock=HeldClock(),
    )
    assert len(ran.calls) == 2
    assert ran.only["error"]["type"] == "forbidden"


def test_expect_shows_both_sides(run_playbook: Run, start: Start) -> None:
    """Every condition that is false is shown with its line and both its sides."""
    ran = run_playbook(
        """
version: 1
steps:
  - name: offer
    resource: offer
    operation: get
    id: 1
    expect:
      - ${{ data.name == 'Tea' }}
      - ${{ status == 200 }}
      - ${{ data.name | length > 10 }}
      - ${{ envelope.attempts in [2, 3] }}
      - false
""",
        tracker=start(seed=OFFERS),
    )
    (message,) = ran.errors()
    assert message.split("; ") == [
        'data.name == \'Tea\' is false (line 9): the left side is "Offer 1", the right side "Tea"',
        "data.name | length > 10 is false (line 11): the left side is 7, the right side 10",
        "envelope.attempts in [2, 3] is false (line 12): the left side is 1, the right side [2, 3]",
        "false is false (line 13)",
    ]
    assert ran.only["data"]["id"] == 1
    assert (ran.only["error"]["type"], ran.only["error"]["hint"]) == ("expectation", "")
    assert ran.summary.exit_code is ExitCode.FAILED


def test_expectation_that_cannot_be_computed(run_playbook: Run, start: Start) -> None:
    """A condition that breaks fails the step too, and what was done stays in the summary."""
    ran = run_playbook(
        steps(
            "{resource: group, operation: create, body: {name: A, type: offers}, "
            "expect: \"${{ data['nothing'] > 1 }}\"}"
        )
    )
    assert ran.only["success"] is False
    assert "nothing" in ran.errors()[0]
    assert ran.summary.changed == 1
    assert ran.summary.written == ["steps[0] (group.create) id 1"]


def test_timeout(run_playbook: Run, start: Start) -> None:
    """A step's timeout goes before the defaults'."""
    tracker = start(Fault("silent", times=None))
    ran = run_playbook(
        "version: 1\ndefaults: {timeout: 60s, retry: 0}\nsteps:\n"
        "  - {resource: offer, operation: getAll, timeout: 50ms}\n",
        tracker=tracker,
    )
    assert ran.only["error"]["type"] == "timeout"
    assert "0.05 s" in ran.errors()[0]
    ran = run_playbook(
        "version: 1\ndefaults: {timeout: 40ms, retry: 0}\nsteps:\n"
        "  - {resource: offer, operation: getAll}\n",
        tracker=tracker,
    )
    assert "0.04 s" in ran.errors()[0]


# -- finally, outputs, vars -------------------------------------------------------------------


def test_finally_after_a_failure(run_playbook: Run) -> None:
    """The last steps run whatever happened, to the end of their own failures."""
    ran = run_playbook(
        """
version: 1
steps:
  - {name: made, resource: group, operation: create, body: {name: A, type: offers}}
  - {name: broken, resource: offer, operation: get, id: 404}
  - {name: never, resource: offer, operation: getAll}
finally:
  - {name: gone, resource: group, operation: delete, id: "${{ steps.made.data.id | default(0) }}"}
  - {name: unknown, when: "${{ steps.never.success | default(false) }}", resource: offer,
     operation: getAll}
outputs: {id: "${{ steps.made.data.id }}"}
"""
    )
    assert ran.calls == ["POST /groups", "GET /offers/404", "DELETE /groups/1/delete"]
    assert ran.summary.exit_code is ExitCode.FAILED
    assert (ran.summary.not_run, ran.summary.missed) == (1, ["never"])
    assert ran.summary.outputs == {}
    assert ran.summary.first_failure is not None
    assert ran.summary.first_failure["step"] == "broken"


def test_finally_refers_to_what_did_not_run(run_playbook: Run) -> None:
    """A reference to a step that never ran fails with words, not with a traceback."""
    ran = run_playbook(
        """
version: 1
steps:
  - {resource: offer, operation: get, id: 404}
  - {name: made, resource: group, operation: create, body: {name: A, type: offers}}
finally:
  - {name: gone, resource: group, operation: delete, id: "${{ steps.made.data.id }}"}
"""
    )
    assert ran.calls == ["GET /offers/404"]
    assert ran.of("gone")["error"]["type"] == "template"
    assert "made" in ran.of("gone")["error"]["message"]


def test_defaults(run_playbook: Run, start: Start) -> None:
    """Defaults hold for every step that does not say otherwise."""
    ran = run_playbook(
        """
version: 1
defaults: {on_error: continue, retry: 1}
steps:
  - {name: a, resource: offer, operation: get, id: 404}
  - {name: b, resource: offer, operation: getAll}
  - {name: c, resource: offer, operation: getAll, retry: 0, on_error: stop}
  - {name: d, resource: offer, operation: getAll}
""",
        tracker=start(Fault("status", match="/offers$", status=503, times=3)),
        clock=HeldClock(),
    )
    assert [(e["step"], e["attempts"]) for e in ran.envelopes] == [("a", 1), ("b", 2), ("c", 1)]


def test_vars_in_order(run_playbook: Run) -> None:
    """A var may use inputs and the vars above it."""
    ran = run_playbook(
        "version: 1\ninputs: {a: {type: integer, default: 1}}\n"
        "vars: {b: '${{ inputs.a + 1 }}', c: '${{ vars.b * 10 }}'}\n"
        "steps:\n  - {name: s, set: {x: '${{ vars.c }}'}}\n"
        "outputs: {x: '${{ steps.s.values.x }}'}\n"
    )
    assert ran.summary.outputs == {"x": 20}


def test_a_var_that_breaks(run_playbook: Run) -> None:
    """A var that cannot be computed keeps the run from starting."""
    with pytest.raises(RunnerError, match=r"vars\.b: "):
        run_playbook("version: 1\nvars: {b: '${{ 1 / 0 }}'}\nsteps:\n  - {set: {x: 1}, name: x}\n")


def test_days_go_by_the_start_of_the_run(run_playbook: Run) -> None:
    """today() is the day on which the run began, in the zone that is asked for."""
    ran = run_playbook(
        "version: 1\nsteps:\n  - {name: s, set: {a: '${{ today() }}', b: '${{ days_ago(4) }}'}}\n"
        "outputs: {all: '${{ steps.s.values }}'}\n"
    )
    assert ran.summary.outputs == {"all": {"a": "2026-03-04", "b": "2026-02-28"}}


# -- faults -----------------------------------------------------------------------------------

READ = "{name: it, resource: offer, operation: get, id: 1, timeout: 200ms, retry: 0}"
UPDATE = (
    "{name: it, resource: offer, operation: update, id: 1, body: {name: New}, timeout: 200ms,"
    " retry: 0}"
)
CREATE = (
    "{name: it, resource: campaign, operation: create, body: {name: N, alias: n}, timeout: 200ms,"
    " retry: 0}"
)
DELETE = "{name: it, resource: offer, operation: delete, id: 1, timeout: 200ms, retry: 0}"

# What each fault amounts to: `error.type`, then `success` for a read, an update and a create.
FAULTS: dict[str, tuple[Fault, str | None, bool | None, bool | None, bool | None]] = {
    "delay": (Fault("delay", seconds=5), "timeout", False, None, None),
    "400": (Fault("status", status=400), "bad_request", False, False, False),
    "401": (Fault("status", status=401), "unauthorized", False, False, False),
    "402": (Fault("status", status=402), "payment_required", False, False, False),
    "403": (Fault("status", status=403), "forbidden", False, False, False),
    "404": (Fault("status", status=404, body="Not found"), "not_found", False, False, False),
    "406": (Fault("status", status=406, body={"name": ["taken"]}), "invalid", False, False, False),
    "422": (Fault("status", status=422, body={"name": ["taken"]}), "invalid", False, False, False),
    "429": (Fault("status", status=429), "rate_limited", False, False, False),
    "500": (Fault("status", status=500, effect=True), "server_error", False, False, False),
    "502": (Fault("status", status=502, effect=True), "gateway", False, None, None),
    "503": (Fault("status", status=503), "gateway", False, False, False),
    "504": (Fault("status", status=504, effect=True), "gateway", False, None, None),
    "524": (Fault("status", status=524, effect=True), "gateway", False, None, None),
    "cloudflare": (
        Fault("status", status=403, headers={"cf-mitigated": "challenge"}, body="<html>wait"),
        "cloudflare", False, False, False,
    ),
    "200-error": (
        Fault("status", status=200, body={"error": "no"}), "rejected", False, False, False,
    ),
    "reset_before": (Fault("reset_before"), "connection_lost", False, None, None),
    "reset_after": (Fault("reset_after"), "connection_lost", False, None, None),
    "truncate": (Fault("truncate"), "connection_lost", False, None, None),
    "cut_json": (Fault("cut_json"), "not_json", False, None, None),
    "html": (Fault("html"), "not_json", False, False, False),
    "empty": (Fault("empty"), "empty", False, True, None),
    "wrong_type": (Fault("wrong_type"), "wrong_type", False, None, None),
    "slow_drip": (Fault("slow_drip", seconds=0.02), "timeout", False, None, None),
    "huge": (Fault("huge", size=2_000_000), "too_large", False, None, None),
    "gzip_bomb": (Fault("gzip_bomb", size=50_000_000), "too_large", False, None, None),
    "redirect": (Fault("redirect", location="https://x.example/"), "redirect", False, False, False),
    "silent": (Fault("silent"), "timeout", False, None, None),
    "no_length_close": (Fault("no_length_close"), None, True, True, True),
}  # fmt: skip

UNUSABLE = {"unauthorized", "payment_required", "cloudflare"}
SEED = {**OFFERS, "campaigns": [{"id": 9, "name": "Old", "alias": "old"}]}


@pytest.mark.parametrize("kind", ["read", "update", "create"])
@pytest.mark.parametrize("name", FAULTS)
def test_faults(run_playbook: Run, start: Start, name: str, kind: str) -> None:
    """Every answer that is not what it should be is an envelope with the right success and type."""
    fault, error, *successes = FAULTS[name]
    number = ["read", "update", "create"].index(kind)
    success = successes[number]
    step = [READ, UPDATE, CREATE][number]
    if error != "timeout":  # which a busy machine must not come to by itself
        step = step.replace("200ms", "20s")
    ran = run_playbook(
        steps(step),
        tracker=start(fault, seed=SEED),
        limits=Limits(body=1_000_000, patience=1.5),
    )
    envelope = ran.only
    assert (envelope["success"], (envelope["error"] or {}).get("type")) == (
        success,
        None if success else error,
    )
    assert ran.summary.exit_code == (
        0 if success else 5 if success is None else 4 if error in UNUSABLE else 1
    )
    assert (envelope["data"] is None) == (success is not True or name == "empty")
    if not success:
        # Where the tracker says which fields are wrong, its own words are the advice.
        assert envelope["error"]["hint"] or error in {"invalid", "bad_request", "rejected"}
        assert (ran.summary.failed, ran.summary.unknown) == (success is False, success is None)
    if success is False and ran.tracker.requests[0].effect:
        assert name == "500"


@pytest.mark.parametrize(
    ("name", "success"),
    [("reset_after", None), ("empty", True), ("html", False), ("wrong_type", True), ("404", False)],
)
def test_faults_of_a_destroy(
    run_playbook: Run, start: Start, name: str, success: bool | None
) -> None:
    """A delete needs no answer, but a page or a refusal says that nothing was done."""
    ran = run_playbook(steps(DELETE), tracker=start(FAULTS[name][0], seed=SEED))
    assert ran.only["success"] is success


@pytest.mark.parametrize("step", [READ, CREATE], ids=["read", "create"])
def test_connection_refused(run_playbook: Run, step: str) -> None:
    """Where nothing listens nothing was done, and the tracker counts as unreachable."""
    gone = Emulator()
    with gone:
        pass
    ran = run_playbook(steps(step), tracker=gone)
    assert ran.only["success"] is False
    assert ran.only["error"]["type"] == "connection_refused"
    assert ran.summary.exit_code is ExitCode.UNREACHABLE


def test_the_raw_text_is_kept(run_playbook: Run, start: Start) -> None:
    """What is not JSON is kept as it came, cut at a stated length."""
    tracker = start(Fault("status", status=200, body="Notice: oops " + "x" * 100_000))
    ran = run_playbook(steps("{resource: offer, operation: getAll}"), tracker=tracker)
    response = ran.only["error"]["response"]
    assert response.startswith("Notice: oops xxx")
    assert response.endswith("more characters]")
    assert len(response) < 70_000


def test_unknown_goes_before_failed(run_playbook: Run, start: Start) -> None:
    """A run in which a write is in doubt ends with 5, whatever else failed."""
    ran = run_playbook(
        steps(
            "{name: a, resource: offer, operation: get, id: 404, on_error: continue}",
            "{name: b, resource: campaign, operation: create, body: {name: N, alias: n}, "
            "on_error: continue}",
            "{name: c, resource: offer, operation: getAll}",
        ),
        tracker=start(Fault("reset_after", match="POST")),
    )
    assert ran.summary.exit_code is ExitCode.IN_DOUBT
    assert [e["success"] for e in ran.envelopes] == [False, None, True]
    assert ran.summary.doubtful == ["b (campaign.create)"]


# -- secrets ----------------------------------------------------------------------------------


def test_secrets_are_masked(run_playbook: Run) -> None:
    """A secret is sent as it is and shown nowhere, whatever it is wrapped in."""
    secret = 'p&ss "w\\rd'
    ran = run_playbook(
        """
version: 1
inputs: {password: {type: string, secret: true, env: BUYER}}
steps:
  - name: user
    resource: user
    operation: create
    body: {login: buyer, type: USER, new_password: "${{ inputs.password }}",
           new_password_confirmation: "${{ inputs.password }}"}
  - {name: seen, resource: stream, operation: search, params: {query: "x${{ inputs.password }}"}}
  - {name: failed, resource: offer, operation: get, id: "${{ inputs.password }}",
     on_error: continue}
  - {name: said, resource: offer, operation: getAll,
     expect: "${{ inputs.password == 'guess' }}"}
""",
        environ={"BUYER": secret},
    )
    assert ran.tracker.requests[0].body["new_password"] == secret
    assert ran.tracker.requests[1].query == {"query": f"x{secret}"}
    everything = "\n".join(ran.lines) + repr(ran.summary)
    for form in (secret, json.dumps(secret)[1:-1], "p%26ss", "ss+%22w", ran.tracker.key):
        assert form not in everything
    assert "***" in ran.of("user")["request"]["body"]["new_password"]
    assert "***" in ran.of("said")["error"]["message"]


def test_secrets_of_an_included_playbook(run_playbook: Run, folder: Path) -> None:
    """What an included playbook declares secret is hidden from then on."""
    (folder / "child.yaml").write_text(
        "version: 1\ninputs: {word: {type: string, secret: true}}\nsteps:\n"
        "  - {resource: group, operation: create, body: {name: '${{ inputs.word }}', type: offers}}"
    )
    ran = run_playbook(
        "version: 1\nsteps:\n"
        "  - {include: child.yaml, inputs: {word: \"${{ 'hunter' ~ '2222' }}\"}}\n"
    )
    assert ran.tracker.requests[0].body["name"] == "hunter2222"
    assert "hunter2222" not in ran.lines[0]


# -- memory -----------------------------------------------------------------------------------


def _peak(folder: Path, count: int) -> int:
    """Bytes at the peak of a loop, above what there was when it began to send."""
    answer = json.dumps({"id": 1, "name": "x" * 1000, "state": "active"}).encode()
    before: list[int] = []

    def send(_: Request) -> Reply:
        if not before:
            tracemalloc.reset_peak()
            before.append(tracemalloc.get_traced_memory()[0])
        return Reply(200, {"content-type": "application/json"}, answer)

    text = steps(
        f"{{for_each: '${{{{ range({count}) }}}}', resource: offer, operation: get, "
        "id: '${{ item }}', when: '${{ item >= 0 }}'}"
    )
    tracemalloc.start()
    try:
        summary, _ = run_stubbed(folder, text, send, keep=False)
        assert summary.succeeded == count
        return tracemalloc.get_traced_memory()[1] - before[0]
    finally:
        tracemalloc.stop()


def test_memory_stays_flat(folder: Path) -> None:
    """A loop over ten times as many items needs no more memory while it runs."""
    _peak(folder, 50)
    few, many = _peak(folder, 1_000), _peak(folder, 10_000)
    # Three bytes an item are allowed for the allocator; one object kept would be fifty and more.
    assert many < few * 1.3 + 27_000


GUARD = """
version: 1
inputs: {most: {type: integer, default: 2}}
steps:
  - {name: all, resource: offer, operation: getAll}
  - name: guard
    on_error: %s
    set: {ids: "${{ steps.all.data | pluck('id') }}"}
    expect: ["${{ values.ids | length <= inputs.most }}", "${{ values.ids != [] }}"]
  - {name: after, for_each: "${{ steps.guard.values.ids | default([]) }}", resource: offer,
     operation: update, id: "${{ item }}", body: {notes: x}}
"""


@pytest.mark.parametrize(("offers", "said"), [
    (1, ""), (2, ""), (3, "values.ids | length <= inputs.most is false (line 9): the left side is 3"),
    (0, "values.ids != [] is false"),
])  # fmt: skip
@pytest.mark.parametrize("dry", [False, True])
def test_a_set_that_guards(
    run_playbook: Run, start: Start, offers: int, said: str, dry: bool
) -> None:
    """Where computed values are not what is expected, nothing that comes after is sent."""
    seed = {"offers": [{"id": n + 1, "name": f"O{n}"} for n in range(offers)]}
    ran = run_playbook(GUARD % "stop", tracker=start(seed=seed), dry=dry)
    (guard,) = [e for e in ran.envelopes if e["step"] == "guard"] or [None]
    assert (guard is not None) is bool(said)
    if guard is not None:
        assert guard["error"]["type"] == "expectation"
        assert said in guard["error"]["message"]
        assert ran.calls == ["GET /offers"]
        assert ran.summary.missed == ["after"]
    elif not dry:
        assert len(ran.calls) == 1 + offers


def test_a_guard_that_is_passed_over(run_playbook: Run, start: Start) -> None:
    """A failure that the run passes over says so, and is not the first where another ended it."""
    text = GUARD % "continue" + "  - {name: bad, resource: offer, operation: get, id: 99}\n"
    ran = run_playbook(text, tracker=start(seed={"offers": []}))
    assert [(e["step"], e.get("tolerated")) for e in ran.envelopes if not e["success"]] == [
        ("guard", True), ("bad", None),
    ]  # fmt: skip
    assert ran.summary.first_failure is not None
    assert ran.summary.first_failure["step"] == "bad"
    inside = (
        text.replace("  - {name: bad", "  - on_error: continue\n    steps: [{name: bad") + "]\n"
    )
    inside = inside.replace("id: 99}\n]", "id: 99}]")
    ran = run_playbook(inside, tracker=start(seed={"offers": []}))
    assert [e.get("tolerated") for e in ran.envelopes if not e["success"]] == [True, True]


def test_what_was_not_run_inside_is_named(run_playbook: Run) -> None:
    """Below a block that fails, whether or not the run goes on, and at the end."""
    bad = "{name: bad, resource: offer, operation: get, id: 99}"
    ran = run_playbook(
        steps(f"{{name: one, on_error: continue, steps: [{bad}, {{name: never, set: {{a: 1}}}}]}}")
        + f"finally: [{bad}, {{resource: offer, operation: getAll}}]\n"
    )
    assert ran.summary.missed == ["one.never", "finally[1]"]
    assert ran.summary.not_run == 2
