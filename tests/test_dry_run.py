"""A dry run reads, and shows what it would change: nothing that changes anything leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Command, Run, Start, calls, steps

from runner.changes import changes
from runner.errors import RunnerError
from runner.model import Request
from runner.session import Options, Session
from runner.trackers import Trackers

CREATE = "name: make, resource: offer, operation: create, body: {name: Tea}"
SEED = {"offers": [{"id": 1, "name": "Tea"}, {"id": 2, "name": "Coffee"}]}
AFTER = "{name: after, resource: offer, operation: update, id: 1, body: {notes: %s}}"


def _sent(envelope: dict[str, Any]) -> str:
    """What a call that was held back would send."""
    request = envelope["request"]
    path = request["url"].partition("/admin_api/v1")[2]
    body = "" if request["body"] is None else f" {json.dumps(request['body'])}"
    return f"{request['method']} {path}{body}"


def test_reads_are_made_and_writes_are_shown(run_playbook: Run, start: Start) -> None:
    """The answer to a read is used in what would be sent; the envelope says that it was not."""
    tracker = start(seed=SEED)
    text = steps(
        "{name: all, resource: offer, operation: getAll}",
        '{name: note, for_each: "${{ steps.all.data }}", resource: offer, operation: update,'
        ' id: "${{ item.id }}", body: {notes: "was ${{ item.name }}"}}',
        "{name: drop, resource: offer, operation: delete, id: 2}",
    )
    came = run_playbook(text, tracker=tracker, dry=True)
    assert came.calls == ["GET /offers", "GET /offers/1", "GET /offers/2"]
    assert [_sent(e) for e in came.envelopes[1:]] == [
        'PUT /offers/1 {"notes": "was Tea"}',
        'PUT /offers/2 {"notes": "was Coffee"}',
        "DELETE /offers/2/archive",
    ]
    held = came.envelopes[1]
    assert (held["skipped"], held["success"], held["attempts"]) == ("dry run", True, 0)
    summary = came.summary
    assert (summary.succeeded, summary.held, summary.held_destroys) == (1, 3, 1)
    assert (summary.changed, summary.exit_code) == (0, 0)


@pytest.mark.parametrize(
    "expression",
    [
        "steps.make.data",
        "steps.make.data.id",
        "steps.make.data['id']",
        "steps.make.data[0]",
        "steps.make.status",
        "steps.make.data.id + 1",
        "-steps.make.data.id",
        "steps.make.data.id ~ 'x'",
        "steps.make.data.id == 1",
        "1 == steps.make.data",
        "steps.make.data.id > 1",
        "steps.make.data is defined",
        "steps.make.data.id is defined",
        "steps.make.data | default(5)",
        "steps.make.data.id | default(5)",
        "steps.make.data | length",
        "steps.make.data | tojson",
        "[steps.make.data] | tojson",
        "steps.make.data | string | upper",
        "'a' in steps.make.data",
        "steps.make.data in [1]",
        "not steps.make.data",
        "steps.make.data and true",
        "steps.make.data.id in {'a': 1}",
        "steps.kept['values'].id in {'a': 1}",
        "steps.make.request.body.name | upper",
        "steps.make.attempts",
        "1 if steps.make.data else 2",
        "range(steps.make.data) | list",
        "{'a': steps.make.data}",
        "[steps.make.data]",
        "steps.each.results | pluck('data.id')",
        "steps.each.results | map(attribute='data') | list",
        "(steps.each.results | first).data.id",
        "steps.each.results[0].data",
        "steps.kept['values'].id",
        "steps.kept['values'].id + 1",
        "steps.kept['values'].text | upper",
        "[steps.kept['values'].id, 1] | tojson",
        "[steps.kept['values'].id] | join('-')",
        "{'a': steps.kept['values'].id} | tojson",
    ],
)
def test_what_is_not_known_is_shown_as_it_is_written(
    expression: str, run_playbook: Run, start: Start
) -> None:
    """Nothing is computed from the answer to a call that was not made, however it is used."""
    text = steps(
        f"{{{CREATE}}}",
        "{name: each, for_each: [1, 2], resource: offer, operation: create, body: {name: Tea}}",
        '{name: kept, set: {id: "${{ steps.make.data.id }}", text: "n ${{ steps.make.status }}"}}',
        AFTER % json.dumps(f"${{{{ {expression} | string }}}}".replace(" | string }}", " }}")),
    )
    came = run_playbook(text, tracker=start(seed=SEED), dry=True)
    assert came.calls == []
    shown = came.of("after")["request"]["body"]["notes"]
    assert "${{ " in json.dumps(shown)
    assert not any(word in json.dumps(shown) for word in ("UNKNOWN", "object at", "Unknown("))
    assert came.summary.exit_code == 0


def test_what_a_change_would_change(
    cli: Command, folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what is there already each field is read, and shown with what it would hold."""
    tracker = start(seed={"offers": [{"id": 1, "name": "Tea", "payout_value": 5, "notes": ""}]})
    monkeypatch.setenv("KEITARO_URL", tracker.url)
    monkeypatch.setenv("KEITARO_API_KEY", tracker.key)
    fields = "{name: Tea, payout_value: 5, notes: new}"
    text = steps(
        f"{{name: a, resource: offer, operation: update, id: 1, body: {fields}}}",
        "{name: b, resource: offer, operation: update, id: 9, body: {notes: new}}",
    )
    (folder / "p.yaml").write_text(text, encoding="utf-8")
    said = cli("run", "p.yaml", "--dry-run", "--report", "r.jsonl", "--markdown", "r.md")
    assert said.code == 0
    lines = [line.strip() for line in said.err.splitlines()]
    assert lines[3:6] == ['name: "Tea", as it is', "payout_value: 5, as it is", 'notes: "" → "new"']
    assert lines[8:10] == ['{"notes": "new"}', "(what is there now cannot be read)"]
    assert calls(tracker) == ["GET /offers/1", "GET /offers/9"]
    first, second, _ = map(json.loads, (folder / "r.jsonl").read_text("utf-8").splitlines())
    assert first["now"] == {"name": "Tea", "payout_value": 5, "notes": ""}
    assert second["now"] is None
    assert 'notes: "" → "new"' in (folder / "r.md").read_text("utf-8")


def test_of_what_is_long_the_differences_are_shown() -> None:
    """Not two texts that begin alike; and what is left out, which is lost."""
    now = [{"offer_id": n, "share": "50", "state": "active", "cap": 0, "x": ""} for n in (1, 2)]
    value = [{"offer_id": 1, "share": 50, "state": "active"}, {"offer_id": 3, "share": 50, "cap": 5},
             {"offer_id": 4, "share": 0}]  # fmt: skip
    assert list(changes("offers", now, value)) == [
        "offers[1].offer_id: 2 → 3",
        "offers[1].cap: 0 → 5",
        'offers[1].state: "active", left out',
        'offers[2]: {"offer_id": 4, "share": 0}, new',
    ]
    (gone,) = changes("offers", now, value[:1])
    assert gone.startswith('offers[1]: {"offer_id": 2, ')
    assert gone.endswith(", left out")
    (same,) = changes("offers", now, [{**item, "share": 50} for item in now])
    assert same.endswith(", as it is")
    (line,) = changes("notes", "n" * 300 + "old", "n" * 300 + "new")
    assert line == f'notes: …{"n" * 20}old" → …{"n" * 20}new"'
    assert list(changes("n", {"a": 1}, {"a": 2})) == ['n: {"a": 1} → {"a": 2}']
    assert list(changes("n", {"a": 1}, {})) == ['n: {"a": 1} → {}']
    assert list(changes("n", list(range(99)), [*range(1, 99), 0]))[-1] == "n: … (87 more)"


def test_what_the_tracker_keeps_for_itself_is_no_change(run_playbook: Run, start: Start) -> None:
    """Ids and times of nested things come back or do not; parameters that are left out are lost."""
    ties = [{"offer_id": 1, "share": 100, "state": "active"}]
    parameters = {f"sub_id_{n}": {"name": f"s{n}", "placeholder": "{x}"} for n in (1, 2)}
    tracker = start(seed={
        "offers": [{"id": 1, "name": "Tea"}], "campaigns": [{"id": 1, "name": "C", "alias": "c",
                                                             "parameters": parameters}],
        "streams": [{"id": 1, "campaign_id": 1, "name": "S", "offers": ties}],
    })  # fmt: skip
    one = json.dumps({"parameters": {"sub_id_1": parameters["sub_id_1"]}})
    text = steps(
        f"{{resource: stream, operation: update, id: 1, body: {json.dumps({'offers': ties})}}}",
        f"{{resource: campaign, operation: update, id: 1, body: {one}}}",
        "{resource: campaign, operation: update, id: 1, body: {parameters: {}}}",
    )
    came = run_playbook(text, tracker=tracker, dry=True)
    shown = [
        [line for name, value in e["request"]["body"].items()
         for line in changes(name, e["now"][name], value)]
        for e in came.envelopes
    ]  # fmt: skip
    assert shown[0][0].endswith(", as it is")
    assert len(shown[1]) == 1
    assert "as it is" not in shown[1][0] + shown[2][0]


def test_what_is_read_and_written_back_is_no_change(run_playbook: Run, start: Start) -> None:
    """With the ids and times that come along, and nothing in place of nothing."""
    ties = [{"offer_id": 1, "share": 100, "state": "active"}]
    filters = [{"name": "bot", "mode": "accept", "payload": None}]
    tracker = start(seed={
        "offers": [{"id": 1, "name": "Tea", "notes": ""}],
        "streams": [{"id": 1, "campaign_id": 1, "name": "S", "offers": ties, "filters": filters}],
    })  # fmt: skip
    text = steps(
        "{name: s, resource: stream, operation: get, id: 1}",
        "{name: back, resource: stream, operation: update, id: 1, body: {offers: "
        "'${{ steps.s.data.offers }}', filters: '${{ steps.s.data.filters }}'}}",
        "{name: none, resource: offer, operation: update, id: 1, body: {notes: null}}",
    )
    came = run_playbook(text, tracker=tracker, dry=True)
    for envelope in came.envelopes[1:]:
        for name, value in envelope["request"]["body"].items():
            (line,) = changes(name, envelope["now"][name], value)
            assert line.endswith(", as it is")


def test_what_is_known_beside_it_is_computed(run_playbook: Run, start: Start) -> None:
    """Each part of a body is as known as it can be; a text shows its known parts."""
    note = '"${{ inputs.geo }}-${{ steps.make.data.id }}-${{ 1 + 1 }}"'
    text = steps(f"{{{CREATE}}}", AFTER % note, head=["inputs: {geo: {default: DE}}"])
    came = run_playbook(text, tracker=start(seed=SEED), dry=True)
    assert _sent(came.of("after")) == ('PUT /offers/1 {"notes": "DE-${{ steps.make.data.id }}-2"}')


def test_ids_and_parameters_that_are_not_known(run_playbook: Run, start: Start) -> None:
    """They stand in the address as they are written; a read that needs one is not made."""
    text = steps(
        f"{{{CREATE}}}",
        '{name: look, resource: offer, operation: get, id: "${{ steps.make.data.id }}"}',
        "{name: list, resource: stream, operation: getAll,"
        ' params: {campaign_id: "${{ steps.make.data.id }}"}}',
    )
    came = run_playbook(text, tracker=start(seed=SEED), dry=True)
    assert came.calls == []
    assert _sent(came.of("look")) == "GET /offers/${{ steps.make.data.id }}"
    assert came.of("look")["skipped"] == "dry run; needs ${{ steps.make.data.id }}"
    assert _sent(came.of("list")) == "GET /campaigns/${{ steps.make.data.id }}/streams"
    assert came.summary.held_reads == 2


def test_conditions_and_items_that_are_not_known(run_playbook: Run, start: Start) -> None:
    """What may be skipped, or done several times, is shown once, with the word on which."""
    text = steps(
        f"{{{CREATE}}}",
        '{name: perhaps, when: "${{ steps.make.data.state == 1 }}", resource: offer,'
        " operation: delete, id: 1}",
        "{name: many, for_each: \"${{ steps.make.data['rows'] }}\", resource: offer,"
        ' operation: update, id: "${{ item.id }}", body: {notes: "${{ index }}"}}',
        '{name: never, when: "${{ steps.make.skipped is not none }}", resource: offer,'
        " operation: delete, id: 2}",
        '{name: block, for_each: "${{ steps.many.results }}", steps: [{name: in, resource: offer,'
        ' operation: delete, id: "${{ item.data.id }}"}]}',
    )
    came = run_playbook(text, tracker=start(seed=SEED), dry=True)
    assert came.calls == []
    assert [(e["step"], e["skipped"]) for e in came.envelopes] == [
        ("make", "dry run"),
        ("perhaps", "dry run; if steps.make.data.state == 1"),
        ("many", "dry run; for each of ${{ steps.make.data['rows'] }}"),
        ("never", "when: steps.make.skipped is not none is false"),
        ("block.in", "dry run; for each of ${{ steps.many.results }}"),
    ]
    assert _sent(came.of("many")) == 'PUT /offers/${{ item.id }} {"notes": "${{ index }}"}'
    assert came.summary.exit_code == 0


def test_what_is_read_afterwards_may_lack_what_was_not_made(
    run_playbook: Run, start: Start
) -> None:
    """Neither expectations nor expressions fail for that; before the first write they do."""
    asks = [
        "{name: all, resource: offer, operation: getAll, "
        'expect: ["${{ (data | length) > 5 }}"], until: "${{ (data | length) > 5 }}", every: 1ms}',
        "{name: use, resource: offer, operation: update, id: 1,"
        " body: {notes: \"${{ (steps.all.data | one(name='New')).id }}\"}}",
        "{name: none, for_each: \"${{ [steps.all.data | one(name='New')] }}\", resource: offer,"
        ' operation: delete, id: "${{ item.id }}"}',
    ]
    came = run_playbook(steps(f"{{{CREATE}}}", *asks), tracker=start(seed=SEED), dry=True)
    assert came.errors() == []
    assert came.calls == ["GET /offers"]
    shown = came.of("use")["request"]["body"]["notes"]
    assert shown == "${{ (steps.all.data | one(name='New')).id }}"
    assert "one(name='New')" in came.of("none")["skipped"]
    failed = run_playbook(steps(*asks), tracker=start(seed=SEED), dry=True)
    assert "(data | length) > 5 is false" in failed.errors()[0]


def test_included_playbooks_are_gone_through(run_playbook: Run, start: Start, folder: Path) -> None:
    """What they are given may be unknown, whatever type they declare; so may what they give."""
    inner = steps(
        '{name: rename, resource: offer, operation: update, id: "${{ inputs.id }}",'
        ' body: {name: "${{ inputs.name }}"}}',
        head=["inputs: {id: {type: integer}, name: {type: string, default: Tea}}",
              'outputs: {new: "${{ steps.rename.data.id }}", name: "${{ inputs.name }}"}'],
    )  # fmt: skip
    (folder / "inner.yaml").write_text(inner, encoding="utf-8")
    text = steps(
        f"{{{CREATE}}}",
        '{name: sub, include: inner.yaml, inputs: {id: "${{ steps.make.data.id }}"}}',
        '{name: end, resource: offer, operation: delete, id: "${{ steps.sub.outputs.new }}"}',
        head=[
            'outputs: {new: "${{ steps.sub.outputs.new }}", name: "${{ steps.sub.outputs.name }}"}'
        ],
    )
    came = run_playbook(text, tracker=start(seed=SEED), dry=True)
    assert _sent(came.of("sub.rename")) == 'PUT /offers/${{ inputs.id }} {"name": "Tea"}'
    assert _sent(came.of("end")).startswith("DELETE /offers/${{ ")
    assert came.summary.outputs["name"] == "Tea"
    assert str(came.summary.outputs["new"]).startswith("${{ ")


def test_a_tracker_that_is_not_known(run_playbook: Run, start: Start) -> None:
    """Where a call would go may hang on an answer too."""
    text = steps(
        f"{{{CREATE}}}",
        "{name: there, tracker: \"${{ steps.make.data['where'] }}\", resource: offer,"
        " operation: delete, id: 1}",
    )
    came = run_playbook(text, tracker=start(seed=SEED), dry=True)
    assert came.of("there")["skipped"].startswith("dry run; needs ${{ steps.make.data")
    assert came.summary.held == 2
    assert came.calls == []


def _dry(run_playbook: Run, start: Start, *lines: str) -> Any:
    return run_playbook(steps(f"{{{CREATE}}}", *lines), tracker=start(seed=SEED), dry=True)


def test_a_loop_keeps_the_items_that_are_known(run_playbook: Run, start: Start) -> None:
    """A condition of it that is not known does not hide them, nor does one item among others."""
    came = _dry(
        run_playbook,
        start,
        '{name: a, for_each: [1, 2], when: "${{ steps.make.data.state == 1 }}", resource: offer,'
        ' operation: delete, id: "${{ item }}"}',
        '{name: b, for_each: [2, "${{ steps.make.data.id }}"], resource: offer,'
        ' operation: delete, id: "${{ item }}"}',
        '{name: c, for_each: [1], concurrency: "${{ steps.make.data.id }}", resource: offer,'
        ' operation: delete, id: "${{ item }}"}',
    )
    assert [(e["step"], _sent(e), e["skipped"]) for e in came.envelopes[1:]] == [
        ("a", "DELETE /offers/1/archive", "dry run; if steps.make.data.state == 1"),
        ("a", "DELETE /offers/2/archive", "dry run; if steps.make.data.state == 1"),
        ("b", "DELETE /offers/2/archive", "dry run"),
        ("b", "DELETE /offers/${{ item }}/archive", "dry run"),
        ("c", "DELETE /offers/1/archive", "dry run"),
    ]
    assert came.summary.held_open


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{for_each: \"${{ {'a': 1} }}\", resource: offer, operation: delete, id: 5}", "no list"),
        (AFTER % '"${{ 1 / 0 }}"', "division by zero"),
        (AFTER % "\"${{ inputs.word | int }}\"", "int"),
        ('{when: "${{ inputs.word }}", resource: offer, operation: delete, id: 5}', "neither true"),
        ("{for_each: \"${{ csv(inputs.file) }}\", resource: offer, operation: delete, id: 5}", "none"),
        ('{resource: offer, operation: update, id: "${{ steps.make.data.id }}",'
         ' body: {payout_value: "${{ [1] }}", notes: "${{ 5 }}"}}', "body.payout_value"),
    ],
)  # fmt: skip
def test_what_no_answer_can_make_right_fails(
    line: str, why: str, run_playbook: Run, start: Start, folder: Path
) -> None:
    """Though something was held back before: a mistake that hangs on nothing of it is one."""
    (folder / "none.csv").write_text("a,b\nnone\n", encoding="utf-8")
    text = steps(
        f"{{{CREATE}}}", line, head=["inputs: {word: {default: tea}, file: {default: none.csv}}"]
    )
    came = run_playbook(text, tracker=start(seed=SEED), dry=True)
    assert len(came.errors()) == 1, came.envelopes
    assert why in came.errors()[0]


def test_files_that_would_have_been_saved(run_playbook: Run, start: Start) -> None:
    """Reading one is no mistake: it is not there yet."""
    text = steps(
        "{name: all, resource: offer, operation: getAll, save: all.json}",
        "{name: each, for_each: \"${{ json_file('all.json') }}\", resource: offer,"
        ' operation: delete, id: "${{ item.id }}"}',
    )
    came = run_playbook(text, tracker=start(seed=SEED), dry=True)
    assert came.errors() == []
    assert came.of("each")["skipped"] == "dry run; for each of ${{ json_file('all.json') }}"


def test_a_secret_of_which_parts_are_not_known(
    run_playbook: Run, start: Start, folder: Path
) -> None:
    """None of its parts is shown."""
    (folder / "pw.txt").write_text("topsecret", encoding="utf-8")
    inner = steps(
        '{name: up, resource: offer, operation: update, id: 1, body: {notes: "${{ inputs.pw }}"}}',
        head=["inputs: {pw: {type: string, secret: true}}"],
    )
    (folder / "inner.yaml").write_text(inner, encoding="utf-8")
    came = _dry(
        run_playbook,
        start,
        "{include: inner.yaml, inputs: {pw: \"${{ file('pw.txt') }}-${{ steps.make.data.id }}\"}}",
    )
    assert "topsecret" not in "".join(came.lines)


def test_inputs_that_are_not_known_as_a_whole(
    run_playbook: Run, start: Start, folder: Path
) -> None:
    """Each of them is not known then."""
    inner = steps(
        '{name: up, resource: offer, operation: update, id: "${{ inputs.id }}", body: {}}',
        head=["inputs: {id: {type: integer}}"],
    )
    (folder / "inner.yaml").write_text(inner, encoding="utf-8")
    line = "{name: in, include: inner.yaml, inputs: \"${{ steps.make.data['all'] }}\"}"
    came = _dry(run_playbook, start, line)
    assert _sent(came.of("in.up")) == "PUT /offers/${{ inputs.id }} {}"


def test_what_hangs_on_a_step_that_may_be_skipped(run_playbook: Run, start: Start) -> None:
    """Neither that it was skipped nor what it gave is certain for the steps after it."""
    when = 'when: "${{ steps.make.data.state == 1 }}"'
    came = _dry(
        run_playbook,
        start,
        f"{{name: perhaps, {when}, resource: offer, operation: update, id: 1, body: {{notes: a}}}}",
        f"{{name: s, {when}, set: {{mode: new}}}}",
        '{name: other, when: "${{ steps.perhaps.skipped is not none }}", resource: offer,'
        " operation: delete, id: 1}",
        "{name: use, resource: offer, operation: update, id: 1,"
        " body: {notes: \"${{ steps.s['values'].mode | default('old') }}\"}}",
    )
    assert came.of("other")["skipped"] == "dry run; if steps.perhaps.skipped is not none"
    assert came.of("use")["request"]["body"]["notes"].startswith("${{ steps.s['values'].mode")


def test_a_file_of_an_earlier_run_is_not_taken(
    run_playbook: Run, start: Start, folder: Path
) -> None:
    """What this run would save is another one."""
    (folder / "all.json").write_text('[{"id": 999}]', encoding="utf-8")
    text = steps(
        "{name: all, resource: offer, operation: getAll, save: all.json}",
        "{name: each, for_each: \"${{ json_file('all.json') }}\", resource: offer,"
        ' operation: delete, id: "${{ item.id }}"}',
        "{name: some, when: \"${{ json_file('all.json') == [] }}\", resource: offer,"
        " operation: delete, id: 1}",
        "{name: again, resource: offer, operation: getAll,"
        " expect: [\"${{ data == json_file('all.json') }}\"]}",
    )
    came = run_playbook(text, tracker=start(seed=SEED), dry=True)
    assert _sent(came.of("each")) == "DELETE /offers/${{ item.id }}/archive"
    assert came.of("some")["skipped"] == "dry run; if json_file('all.json') == []"
    assert came.of("again")["as_of_now"] is True
    assert came.errors() == []


def test_what_a_read_needs_tells_no_part_of_a_text(run_playbook: Run, start: Start) -> None:
    """The rest of it may be a secret, which the address hides by its parameter's name."""
    came = _dry(
        run_playbook,
        start,
        "{name: r, resource: api, operation: get, params: {path: /offers,"
        ' token: "topsecret-${{ steps.make.data.id }}"}}',
    )
    assert came.of("r")["skipped"] == "dry run; needs ${{ steps.make.data.id }}"
    assert "topsecret" not in "".join(came.lines)


def test_inputs_of_an_included_playbook_may_be_of_now(
    run_playbook: Run, start: Start, folder: Path
) -> None:
    """What it computes from them is excused, as what is computed from answers is."""
    inner = steps(
        '{name: up, resource: offer, operation: update, id: "${{ vars.new.id }}", body: {}}',
        head=["inputs: {offers: {type: array}}",
              "vars: {new: \"${{ inputs.offers | one(name='New') }}\"}"],
    )  # fmt: skip
    (folder / "inner.yaml").write_text(inner, encoding="utf-8")
    came = _dry(
        run_playbook,
        start,
        "{name: all, resource: offer, operation: getAll}",
        '{name: in, include: inner.yaml, inputs: {offers: "${{ steps.all.data }}"}}',
    )
    assert came.errors() == []
    assert _sent(came.of("in.up")) == "PUT /offers/${{ vars.new.id }} {}"


def test_a_whole_path_that_is_computed(run_playbook: Run, start: Start) -> None:
    """It is shown as it is written; and an id that is none is a mistake all the same."""
    came = _dry(
        run_playbook,
        start,
        "{name: p, resource: api, operation: put,"
        " params: {path: \"${{ '/offers/' ~ steps.make.data.id }}\"}, body: {}}",
        '{name: m, for_each: [{id: "${{ steps.make.data.id }}"}], resource: offer,'
        ' operation: delete, id: "${{ item }}"}',
    )
    assert _sent(came.of("p")) == "PUT ${{ '/offers/' ~ steps.make.data.id }} {}"
    assert "whole number" in came.errors()[0]


def test_a_time_limit_that_is_not_known(run_playbook: Run, start: Start) -> None:
    """The call is shown all the same."""
    line = (
        '{name: t, resource: offer, operation: delete, id: 1, timeout: "${{ steps.make.status }}"}'
    )
    assert _sent(_dry(run_playbook, start, line).of("t")) == "DELETE /offers/1/archive"


def test_addresses_of_which_parts_are_not_known(run_playbook: Run, start: Start) -> None:
    """Whole paths begin with one slash; of a list each item that is known stays."""
    came = _dry(
        run_playbook,
        start,
        '{name: p, resource: api, operation: post, params: {path: "/offers/${{ steps.make.data.id }}"},'
        " body: {}}",
        "{name: q, resource: api, operation: get, params: {path: /offers,"
        ' ids: [1, "${{ steps.make.data.id }}"]}}',
    )
    assert _sent(came.of("p")) == "POST /offers/${{ steps.make.data.id }} {}"
    assert _sent(came.of("q")) == "GET /offers?ids=1&ids=${{ steps.make.data.id }}"


def test_reads_after_a_call_that_was_held_back_are_told(run_playbook: Run, start: Start) -> None:
    """Their answer is of now, and what they expect is not judged."""
    line = '{name: r, resource: offer, operation: getAll, expect: ["${{ data == [] }}"]}'
    came = run_playbook(steps(line, f"{{{CREATE}}}"), tracker=start(), dry=True)
    assert "as_of_now" not in came.of("r")
    assert _dry(run_playbook, start, line).of("r")["as_of_now"] is True


def test_nothing_is_saved(run_playbook: Run, start: Start, folder: Path) -> None:
    """Files are changes too."""
    text = steps(
        "{name: all, resource: offer, operation: getAll, save: all.json}",
        "{name: kept, set: {a: 1}, save: kept.json}",
    )
    came = run_playbook(text, tracker=start(seed=SEED), dry=True)
    assert came.summary.succeeded == 1
    assert sorted(path.name for path in folder.iterdir()) == ["playbook.yaml"]


def test_a_real_mistake_is_still_one(run_playbook: Run, start: Start) -> None:
    """A body that does not fit once it is computed fails, as does a tracker that says no."""
    text = steps(
        "{name: all, resource: offer, operation: getAll}",
        '{name: bad, resource: offer, operation: update, id: "${{ steps.all.data[0].name }}",'
        ' body: {payout_value: "${{ steps.all.data }}"}}',
    )
    came = run_playbook(text, tracker=start(seed=SEED), dry=True)
    assert came.summary.failed == 1
    assert came.of("bad")["error"]["type"] == "invalid_body"


def test_whoever_asks_no_change_leaves(start: Start) -> None:
    """The way to the tracker is closed to everything but reads, whatever the engine does."""
    tracker = start(seed=SEED)
    environ = {"KEITARO_URL": tracker.url, "KEITARO_API_KEY": tracker.key}
    with Session(Trackers(None, environ), Options(dry=True), environ=environ) as session:
        here = session.find(None)
        assert here.send(Request("GET", f"{here.api}/offers", changes=False)).status == 200
        with pytest.raises(RunnerError, match="about to change"):
            here.send(Request("DELETE", f"{here.api}/offers/1"))
    assert calls(tracker) == ["GET /offers"]


PLAYBOOK = steps(
    f"{{{CREATE}}}", "{name: drop, resource: offer, operation: delete, id: 1}", head=["name: two"]
)


@pytest.fixture
def dry(cli: Command, start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the playbook dry through the command line."""
    tracker = start(seed=SEED)
    monkeypatch.setenv("KEITARO_URL", tracker.url)
    monkeypatch.setenv("KEITARO_API_KEY", tracker.key)
    (folder / "two.yaml").write_text(PLAYBOOK, encoding="utf-8")

    def run(*options: str) -> Any:
        said = cli("run", "two.yaml", "--dry-run", *options)
        assert calls(tracker) == []
        return said

    return run


def test_what_a_person_reads(dry: Callable[..., Any], folder: Path) -> None:
    """Each call with its request; nobody is asked to agree, and there is no run to go on with."""
    said = dry()
    assert said.code == 0
    lines = said.err.splitlines()
    assert [line.split("http")[0].rstrip() for line in lines[:6]] == [
        "two.yaml on default (",
        "would    make  offer.create",
        "         POST",
        '         {"name": "Tea"}',
        "would    drop  offer.delete",
        "         DELETE",
    ]
    assert "2 would change something, 1 of them would destroy; a dry run: nothing was" in said.err
    assert [path.name for path in folder.iterdir()] == ["two.yaml"]


def test_what_would_be_destroyed_is_never_cut(
    cli: Command, folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes first, whatever else there is, and each item has its name."""
    tracker = start(seed=SEED)
    monkeypatch.setenv("KEITARO_URL", tracker.url)
    monkeypatch.setenv("KEITARO_API_KEY", tracker.key)
    text = steps(
        "{for_each: '${{ range(80) }}', resource: offer, operation: create, body: {name: x}}",
        "{name: gone, for_each: [{id: 1, name: Tea}], resource: offer, operation: delete, "
        "id: '${{ item.id }}'}",
    )
    (folder / "p.yaml").write_text(text, encoding="utf-8")
    cli("run", "p.yaml", "--dry-run", "--markdown=r.md", "--quiet")
    page = (folder / "r.md").read_text(encoding="utf-8")
    first, rest = page.split("### What would be sent")
    assert "gone[0] (Tea)  offer.delete" in first
    assert "| held back | would destroy |" in first
    assert "… and 30 more" in rest


def test_a_long_loop_shows_its_first_bodies(
    cli: Command, folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them with -v; what a change would change is shown of each item."""
    tracker = start(seed={"offers": [{"id": 1, "name": "Tea", "notes": ""}]})
    monkeypatch.setenv("KEITARO_URL", tracker.url)
    monkeypatch.setenv("KEITARO_API_KEY", tracker.key)
    made = "{name: each, for_each: [1, 2, 3, 4, 5], resource: offer, operation: create, "
    made += "body: {name: 'O${{ item }}'}}"
    (folder / "p.yaml").write_text(steps(made), encoding="utf-8")
    said = cli("run", "p.yaml", "--dry-run").err
    assert said.count('{"name": "O') == 3
    assert said.count("(-v shows its body too)") == 2
    assert cli("run", "p.yaml", "--dry-run", "-v").err.count('{"name": "O') == 5
    changed = made.replace("create, body: {name", "update, id: 1, body: {notes")
    (folder / "p.yaml").write_text(steps(changed), encoding="utf-8")
    assert cli("run", "p.yaml", "--dry-run").err.count("notes: ") == 5


def test_forms_of_its_report(dry: Callable[..., Any], folder: Path) -> None:
    """What a reviewer sees is what would be sent."""
    dry("--report=r.jsonl", "--markdown=r.md", "--html=r.html", "--junit=r.xml")
    text = (folder / "r.md").read_text(encoding="utf-8")
    assert "two.yaml: dry run" in text
    assert '{"name": "Tea"}' in text
    assert "| held back |" in text
    assert "nothing was changed" in (folder / "r.html").read_text(encoding="utf-8")
    assert 'message="dry run"' in (folder / "r.xml").read_text(encoding="utf-8")


@pytest.mark.parametrize("other", ["--resume", "--outputs=o.json"])
def test_it_does_not_go_with(other: str, cli: Command, folder: Path) -> None:
    """What goes on with a run that has changed something, and what has nothing to write."""
    (folder / "two.yaml").write_text(PLAYBOOK, encoding="utf-8")
    said = cli("run", "two.yaml", "--dry-run", other)
    assert said.code == 2
    assert "dry" in said.err
    assert [path.name for path in folder.iterdir()] == ["two.yaml"]


def test_too_many_that_destroy(dry: Callable[..., Any]) -> None:
    """What a run would refuse is refused."""
    said = dry("--max-destroy=0")
    assert said.code != 0
    assert "may destroy 0" in said.err


@pytest.mark.parametrize(("items", "certain"), [
    ("[{n: '5'}, {n: x}]", True),
    ("\"${{ inputs.rows }}\"", True),
    ("\"${{ steps.made.data.rows | default(inputs.rows) }}\"", False),
])  # fmt: skip
def test_what_is_wrong_whatever_was_answered_is_an_error(
    run_playbook: Run, items: str, certain: bool
) -> None:
    """The items of a loop that no answer had a part in are what they will be."""
    text = f"""
version: 1
inputs: {{rows: {{type: array, default: [{{n: '5'}}, {{n: x}}]}}}}
steps:
  - {{name: made, resource: group, operation: create, body: {{name: A, type: offers}}}}
  - name: each
    for_each: {items}
    as: outer
    steps:
      - for_each: ["${{{{ outer.n }}}}"]
        resource: offer
        operation: create
        body: {{name: "n${{{{ index }}}}", payout_value: "${{{{ outer.n | float }}}}"}}
"""
    ran = run_playbook(text, dry=True)
    failed = [e for e in ran.envelopes if e["success"] is False]
    assert [e["error"]["type"] for e in failed] == (["template"] if certain else [])
