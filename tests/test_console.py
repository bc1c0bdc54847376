"""What a person reads of a run: lines at each verbosity, and the end of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Command, Start, calls, command_line, environment, spawn, steps

from runner.cli.output import say
from runner.emulator import Emulator, Fault
from runner.errors import ExitCode
from runner.masking import Masker
from runner.model import Finished, LoopStarted, Place, Retrying, Summary
from runner.playbook import parse
from runner.report.closing import Closing, _ranges, masked
from runner.report.console import Console
from runner.report.drawing import clean, draw_spot, no_paint
from runner.report.lines import MOST_LINES, MOST_WIDE, body_lines
from runner.spots import find_spot

PLAYBOOK = """\
version: 1
steps:
  - name: one
    resource: campaign
    operation: create
    body: {name: A, alias: taken}
    expect:
      - ${{ data.id > 5 }}
  - name: block
    steps:
      - name: inner
        resource: offer
        operation: create
        body:
          name: 活动
          values: {deep: 1}
"""


def envelope(**change: Any) -> dict[str, Any]:
    """A call that failed, with something changed about it."""
    return {
        "run": "r", "seq": 1, "step": "one", "index": None, "tracker": "default",
        "source": "p.yaml:3:5", "resource": "campaign", "operation": "create",
        "request": {"url": "https://t.example/campaigns", "method": "POST",
                    "headers": {"Api-Key": "***"}, "body": {"name": "A"}},
        "status": 422, "success": False, "skipped": None, "data": None, "count": None,
        "error": {"type": "invalid", "message": "not accepted", "hint": "right it", "stack": None,
                  "status": 422, "response": {"alias": ["taken"]}},
        "attempts": 1, "started_at": "2026-03-04T12:00:00.000Z", "duration_ms": 5, **change,
    }  # fmt: skip


def said(event: Any, **options: Any) -> list[str]:
    lines: list[str] = []
    Console(lines.append, **options)(event)
    return lines


# -- lines ------------------------------------------------------------------------------------


def test_tries_are_told() -> None:
    """A call that took several tries says so."""
    ok = envelope(success=True, error=None, status=200, attempts=3)
    assert said(Finished("one", ok))[0].endswith("5 ms  3 tries")


@pytest.mark.parametrize(("attempts", "mark"), [(0, "stopped"), (1, "FAILED ")])
def test_what_was_about_to_leave_has_not_failed(attempts: int, mark: str) -> None:
    """A call that the run's end kept from leaving went not wrong; one that was under way is over."""
    error = {"type": "interrupted", "message": "the run was asked to stop", "hint": ""}
    call = envelope(error=error, status=None, attempts=attempts)
    assert said(Finished("one", call))[0].startswith(f"{mark}  one")
    assert bool(said(Finished("one", call), quiet=True)) is bool(attempts)


def test_a_loop_over_nothing_is_told() -> None:
    """It makes no call, and may be what a mistake looks like."""
    assert said(LoopStarted("each", 0, 1)) == ["skipped  each  no items"]
    assert said(LoopStarted("each", 0, 1), quiet=True) == said(LoopStarted("each", 2, 1)) == []


def test_verbose() -> None:
    """-v says where a call is written, what was asked for, and how a doubt was settled."""
    ok = envelope(success=True, error=None, status=200, settled="sent again")
    assert said(Finished("one", ok), verbosity=1)[1:] == [
        "         p.yaml:3:5  POST https://t.example/campaigns",
        "         was in doubt: sent again",
    ]
    failed = said(Finished("one", envelope()), verbosity=1)
    assert failed[-1] == "         POST https://t.example/campaigns"


def test_verbose_retries() -> None:
    """-v says what is tried again, and when; otherwise that is the live view's."""
    event = Retrying("one", 1, 2.25, "too many\x1b[31m")
    assert said(event, verbosity=1) == ["retry    one  again in 2.2 s: too many\ufffd[31m"]
    assert said(event) == said(event, quiet=True, verbosity=1) == []


def test_very_verbose() -> None:
    """-vv shows what was sent and what came back, as masked as the envelope is."""
    lines = [line.strip() for line in said(Finished("one", envelope()), verbosity=2)]
    assert "> POST https://t.example/campaigns" in lines
    assert "> Api-Key: ***" in lines
    assert '>   "name": "A"' in lines
    assert lines[lines.index("< 422") + 1 :] == ["< {", '<   "alias": [', '<     "taken"', "<   ]",
                                                "< }"]  # fmt: skip


def test_very_verbose_of_what_was_not_sent() -> None:
    """Where nothing was sent there is nothing to show."""
    lines = said(Finished("one", envelope(request=None, status=None)), verbosity=2)
    assert not [line for line in lines if line.strip().startswith((">", "<"))]


def test_long_bodies_are_cut() -> None:
    """A long body is cut, by lines and by characters, with a word on what is left out."""
    many = list(body_lines(list(range(1000))))
    assert len(many) == MOST_LINES + 1
    assert many[-1] == "… (962 more lines)"
    (wide,) = body_lines("x" * (MOST_WIDE + 7))
    assert wide.endswith("x… (7 more characters)")


@pytest.mark.parametrize(
    "text", ["a\x1b[2Jb", "a\x9b31mb", "a\x07b", "a\u202eb", "a\x7fb"],
    ids=["escape", "c1", "bell", "bidi", "delete"],
)  # fmt: skip
def test_nothing_reaches_the_terminal_that_it_obeys(text: str) -> None:
    """No character of an answer moves the cursor, rings, colours or turns a line around."""
    assert clean(text).isprintable()
    error = {**envelope()["error"], "message": text, "hint": text, "response": {text: text}}
    event = Finished("one", envelope(error=error, data={"id": text}))
    for verbosity in range(3):
        assert all(line.isprintable() for line in said(event, verbosity=verbosity))
    summary = Summary("r", failed=1, written=[text], outputs={"a": text})
    summary.exit_code = ExitCode.FAILED
    lines = Closing(summary, no_paint).lines(event, None, "", None)
    assert all(line.isprintable() for line in lines)


def test_lines_stay_lines() -> None:
    """A line break in an answer makes no second line."""
    assert clean("a\r\nb\tc") == "a  b c"


# -- the end ----------------------------------------------------------------------------------


def closing(summary: Summary, first: dict[str, Any] | None = None, **more: Any) -> list[str]:
    event = Finished("one", first) if first else None
    given = {"document": None, "resume": "", "seconds": None, **more}
    return list(Closing(summary, no_paint).lines(event, *given.values()))


def test_summary_counts_all() -> None:
    """The summary counts what was restored too, how long it took, and that it was interrupted."""
    summary = Summary("r", succeeded=2, restored=3, interrupted=True)
    assert closing(summary, seconds=12.34)[1] == (
        "run r: 2 succeeded, 3 restored in 12.3 s (interrupted)"
    )


def test_outputs_are_told() -> None:
    """The outputs of the playbook end the summary, long ones cut; then how to go on."""
    lines = closing(Summary("r", outputs={"id": 7, "name": "x" * 500}), resume="do it")
    assert lines[2:4] == ["outputs:", "  id: 7"]
    assert len(lines[4]) < 220
    assert lines[-1] == "to go on: do it"


def test_loops_are_folded() -> None:
    """Many iterations of one step are one line with their ids; a few stand each by itself."""
    written = [*(f"a[{n}].b (offer.create) id {n}" for n in range(9)), "c (group.create) id 1",
               *(f"d[{n}] (bot.add)" for n in range(4))]  # fmt: skip
    summary = Summary("r", written=written, changed=20)
    summary.exit_code = ExitCode.FAILED
    assert closing(summary)[2:] == [
        "done:",
        "  a[…].b (offer.create) 9 times, id 0-8",
        "  c (group.create) id 1",
        "  d[…] (bot.add) 4 times",
        "  … and 6 more, which the report names",
    ]


def test_summary_is_masked() -> None:
    """Outputs and ids hide what is secret."""
    summary = Summary("r", written=["a id s3cret"], outputs={"key": "s3cret"})
    shown = masked(summary, Masker(["s3cret"]))
    assert "s3cret" not in repr(shown)
    assert shown.outputs == {"key": "***"}


def test_first_failure_is_drawn() -> None:
    """The first failure is drawn where it was written, with the request, the answer, the advice."""
    document = parse(PLAYBOOK, "p.yaml")
    lines = closing(Summary("r", failed=1), envelope(), document=document)
    assert lines[3:] == [
        "p.yaml:6:28: failed: not accepted",
        "  6 |     body: {name: A, alias: taken}",
        "    |                            ^^^^^",
        "  = right it",
        "  step     one",
        "  request  POST https://t.example/campaigns",
        '  answer   422  {"alias": ["taken"]}',
    ]


def test_long_answers_take_lines() -> None:
    """An answer that does not fit on a line is spread over some, and cut."""
    error = {**envelope()["error"], "response": [f"row {n}" for n in range(90)]}
    lines = closing(Summary("r", failed=1), envelope(error=error, attempts=4))
    assert "  request  POST https://t.example/campaigns (4 tries)" in lines
    assert lines[-1].strip() == "… (80 more lines)"


def test_unknown_without_an_answer() -> None:
    """Of a write whose answer never came, that is said."""
    unknown = envelope(success=None, status=None, error=None)
    lines = closing(Summary("r", unknown=1), unknown)
    assert "p.yaml:3:5: unknown: no answer came" in lines
    assert lines[-1] == "  answer   none"


@pytest.mark.parametrize(
    ("change", "spot"),
    [
        ({"error": {"message": "no", "response": "text"}}, "name: one"),
        ({"error": {"message": "data.id > 5 is false", "response": None}}, "${{ data.id > 5 }}"),
        ({"source": "p.yaml:11:9", "error": {"message": "no", "response": {"name": []}}}, "活动"),
        ({"source": "p.yaml:11:9", "error": {"message": "no",
                                             "response": {"values": {"deep": ["bad"]}}}}, "1"),
        ({"source": "p.yaml:1:1", "error": {"message": "no", "response": None}}, "version: 1"),
        ({"source": "p.yaml:11:9", "error": {"type": "invalid_body", "message":
          "body.values.deep must be text, is a number; and 2 more"}}, "1"),
        ({"source": "p.yaml:11:9", "error": {"type": "invalid_body", "message":
          "body.values.other[2] must be text"}}, "name: inner"),
    ],
    ids=["step", "condition", "field", "deep-field", "elsewhere", "computed", "computed-in-whole"],
)  # fmt: skip
def test_spot(change: dict[str, Any], spot: str) -> None:
    """What is drawn is the field or the condition that a failure is about, else the step."""
    place, line = find_spot(envelope(**change), lambda file: parse(PLAYBOOK, file))
    assert line[place.column - 1 : place.column - 1 + place.length] == spot


COMPUTED = """\
version: 1
name: computed
steps:
  - name: one
    resource: campaign
    operation: create
    when: ${{ vars.wanted == 'x' }}
    expect: ["${{ data.a.b == 1 }}", "${{ data.a.b == 11 }}"]
    body:
      name: "A ${{ steps.a.data.list | join('-') }} and ${{ steps.a.data.list }} ${{ item }}"
      notes: |
        long
        ${{ steps.a.data.count + 1 }} and
        ${{ steps.a.data.deep.x.y }}
      raw: '${{ is left open'
      like: "${{ steps.a.data.list_of_all }} ${{ steps.a.data.list }} $${{ steps.a.data }}
        ${{ steps.a.data }}"
      folded: "${{ steps.a
        .data.gone }}"
      id: ${{ item }}
      a.b: ${{ one }}
      a: 5
      again: {deep: ["${{ steps.a.data.count }}", "is ${{ steps.a.data[9].id }}"]}
"""


@pytest.mark.parametrize(
    ("message", "spot"),
    [
        ("body.name: steps.a.data.list is a list of 2, inside a text", "${{ steps.a.data.list }}"),
        ("body.name: steps.a.data.list | join('-'): it has no length",
         "${{ steps.a.data.list | join('-') }}"),
        ("body.name: steps.a.data is null, so it has no 'list'",
         "${{ steps.a.data.list | join('-') }}"),
        ("body.name: item is a list of 2, inside a text", "${{ item }}"),
        ("body.name: steps.b has 1 item, so there is no steps.b[3]",
         "\"A ${{ steps.a.data.list | join('-') }} and ${{ steps.a.data.list }} ${{ item }}\""),
        ("body.notes: steps.a.data.deep has no 'x'", "${{ steps.a.data.deep.x.y }}"),
        ("body.notes: steps.a.data.count + 1: text and a number", "${{ steps.a.data.count + 1 }}"),
        ("body.like: steps.a.data has no 'list'", "${{ steps.a.data.list }}"),
        ("body.like: steps.a.data is a mapping, inside a text", "${{ steps.a.data }}"),
        ("body.folded: steps.a has no 'data'", '"${{ steps.a'),
        ("body.again.deep[1]: steps.a.data has 1 item, so there is no steps.a.data[9]",
         "${{ steps.a.data[9].id }}"),
        ("body.again.deep[7]: no", "name: one"),
        ("body.a.b: one is no number", "${{ one }}"),
        ("data.a.b == 1: data.a is null, so it has no 'b'", '"${{ data.a.b == 1 }}"'),
        ("data.a.b == 11: data.a is null, so it has no 'b'", '"${{ data.a.b == 11 }}"'),
        ("the condition ${{ vars.wanted == 'x' }} gives 1, neither true nor false",
         "${{ vars.wanted == 'x' }}"),
        ("body: nobody knows what is wrong", "name: one"),
        ("body.name", "name: one"),
        ("for_each: 5 is no list", "name: one"),
    ],
)  # fmt: skip
def test_spot_of_an_expression(message: str, spot: str) -> None:
    """What has no value is drawn where it stands, be it in the midst of a text."""
    error = {"type": "template", "message": message, "response": None}
    failed = envelope(source="p.yaml:4:5", error=error)
    place, line = find_spot(failed, lambda file: parse(COMPUTED, file))
    assert line[place.column - 1 : place.column - 1 + place.length] == spot


def test_spot_of_a_condition_that_begins_like_another() -> None:
    """The longest one that a message tells of is meant."""
    for wanted in ("data.a.b == 1", "data.a.b == 11"):
        error = {"type": "expectation", "message": f"{wanted} is false", "response": None}
        failed = envelope(source="p.yaml:4:5", error=error)
        place, line = find_spot(failed, lambda file: parse(COMPUTED, file))
        assert line[place.column - 1 :].startswith(f'"${{{{ {wanted} }}}}"')


def test_a_long_message_is_looked_through_in_no_time() -> None:
    """A message may hold whatever an answer does."""
    error = {"type": "template", "message": f"body.name: {'a' * 500_000}", "response": None}
    failed = envelope(source="p.yaml:4:5", error=error)
    began = time.monotonic()
    find_spot(failed, lambda file: parse(COMPUTED, file))
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("step", ["one", "[a, b]", "5"])
def test_spot_in_a_file_that_is_another_by_now(step: str) -> None:
    """What stands there need not be a step any more."""
    failed = envelope(source="p.yaml:3:5", error={"type": "template", "message": "body: no"})
    place, _ = find_spot(failed, lambda file: parse(f"version: 1\nsteps:\n  - {step}\n", file))
    assert str(place) == "p.yaml:3:5"


def test_spot_in_a_file_that_is_gone() -> None:
    """Where the file cannot be read any more, the place is told and nothing drawn."""
    place, line = find_spot(envelope(source="gone.yaml:4:2"), lambda _: None)
    assert (str(place), line) == ("gone.yaml:4:2", "")
    assert draw_spot(place, line, no_paint, "red") == []


def test_carets_stand_below_wide_characters() -> None:
    """A Chinese character takes two columns of a terminal, an accent that combines none."""
    _, caret = draw_spot(Place("p", 1, 4, 2), "活e\u0301动作x", no_paint, "red")
    assert caret == "    |    ^^^^"


# -- whole runs -------------------------------------------------------------------------------


@pytest.fixture
def tracker(start: Start, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    tracker = start()
    monkeypatch.setenv("KEITARO_URL", tracker.url)
    monkeypatch.setenv("KEITARO_API_KEY", tracker.key)
    return tracker


def test_a_run_at_full_length(cli: Command, folder: Path, tracker: Emulator) -> None:
    """-vv shows bodies and never the key; the summary draws what failed and says how to go on."""
    one = "resource: campaign, operation: create, body: {name: A, alias: a}"
    (folder / "p.yaml").write_text(steps(f"{{name: one, {one}}}", f"{{name: two, {one}}}"))
    ran = cli("run", "p.yaml", "-vv")
    assert ran.code == ExitCode.FAILED
    assert tracker.key not in ran.err
    assert '> {\n         >   "name": "A",' in ran.err
    last = ran.err.splitlines()[-1]
    assert last.startswith("to go on: keitaro-runner run p.yaml --resume ")
    assert re.search(r"^p.yaml:4:\d+: failed: ", ran.err, re.MULTILINE)


def test_secret_outputs_are_hidden(
    cli: Command, folder: Path, tracker: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An output that is a secret input is not shown at the end."""
    monkeypatch.setenv("WORD", "canary-1234")
    (folder / "p.yaml").write_text(
        steps(
            "{resource: offer, operation: getAll}",
            head=[
                "inputs: {word: {secret: true, env: WORD}}",
                'outputs: {a: "${{ inputs.word }}"}',
            ],
        )
    )
    ran = cli("run", "p.yaml")
    assert "outputs:\n  a: ***" in ran.err
    assert "canary" not in ran.err


@pytest.mark.parametrize("words", [["run", "p.yaml"], ["validate", "w.yaml"], ["--help"]])
def test_closed_pipes(words: list[str], folder: Path, tracker: Emulator) -> None:
    """Where nobody reads what is said there is no traceback, and a run goes on to its end."""
    (folder / "p.yaml").write_text(
        steps("{for_each: '${{ range(20) }}', resource: offer, operation: getAll}")
    )
    (folder / "w.yaml").write_text(steps("{resource: nope, operation: getAll}"))
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        command_line(*words), cwd=folder, env=environment(), stdout=writing, stderr=writing,
        timeout=30, check=False,
    )  # fmt: skip
    os.close(writing)
    assert done.returncode in {0, 1, 3}
    if words[0] == "run":
        assert done.returncode == 0
        assert len(calls(tracker)) == 20


def test_saying_into_a_closed_stream_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be said is lost."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        say("one")
        say("two")


def test_no_rich_without_a_terminal(folder: Path, tracker: Emulator) -> None:
    """A run whose stderr is a pipe does not import what draws."""
    (folder / "p.yaml").write_text(steps("{resource: offer, operation: getAll}"))
    code = (
        "import sys\nfrom runner.cli import main\nsys.argv = ['x', 'run', 'p.yaml']\n"
        "try:\n    main()\nexcept SystemExit:\n    print('rich' in sys.modules)"
    )
    done = subprocess.run(
        [*command_line()[:1], "-c", code], cwd=folder, env=environment(), capture_output=True,
        text=True, timeout=30, check=True,
    )  # fmt: skip
    assert done.stdout == "False\n"


def test_github_is_told(folder: Path, start: Start) -> None:
    """In a GitHub job a failure is an annotation at its line, and the job gets a summary."""
    tracker = start(Fault("status", status=500, body="<script>"))
    (folder / "p.yaml").write_text(steps("{name: one, resource: offer, operation: getAll}"))
    ran = spawn(
        "run", "p.yaml", "--report", "-", cwd=folder, KEITARO_URL=tracker.url,
        KEITARO_API_KEY=tracker.key, GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY="summary.md",
        CI="true",
    )  # fmt: skip
    assert ran.code == ExitCode.FAILED
    assert "::error file=p.yaml,line=3,col=5" in ran.err
    assert [json.loads(line) for line in ran.out.splitlines()]
    assert "failed" in (folder / "summary.md").read_text()


def test_elsewhere_github_is_not_told(folder: Path, tracker: Emulator) -> None:
    """Outside of GitHub there are no annotations."""
    (folder / "p.yaml").write_text(steps("{resource: offer, operation: get, id: 9}"))
    assert "::error" not in spawn("run", "p.yaml", cwd=folder).err


@pytest.mark.parametrize(
    ("ids", "told"),
    [
        (["4", "5", "6", "9"], "4-6, 9"),
        (["4", "5"], "4, 5"),
        (["9", "8", "7"], "9, 8, 7"),
        (["main", "main2", "1", "2", "3"], "main, main2, 1-3"),
        ([], ""),
    ],
)
def test_ids_that_follow_on_each_other(ids: list[str], told: str) -> None:
    """Many ids are told as ranges, in the order in which they came."""
    assert _ranges(ids) == told


def test_items_of_loops_are_called_by_their_names(
    cli: Command, folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Next to its number, what the item is called; neither a secret nor a part of one shows."""
    tracker = start()
    (folder / "p.yaml").write_text(
        """\
version: 1
inputs: {key: {type: string, secret: true, env: OTHER_KEY}}
steps:
  - {name: a, for_each: [Tea, 7], resource: offer, operation: create, body: {name: x}}
  - name: b
    for_each:
      - {id: 1, name: Mint}
      - {password: sesame, code: DE}
      - ["no word"]
      - {text: "a long name that goes on and on and on and on"}
      - {text: "${{ inputs.key }}"}
    steps: [{name: c, resource: offer, operation: create, body: {name: x}}]
  - name: d
    for_each: ${{ steps.a.results }}
    resource: offer
    operation: create
    body: {name: x}
  - {name: e, for_each: [{on: true, n: 3}, [true]], resource: offer, operation: create, body: {name: x}}
""",
        encoding="utf-8",
    )
    monkeypatch.setenv("KEITARO_URL", tracker.url)
    monkeypatch.setenv("KEITARO_API_KEY", tracker.key)
    monkeypatch.setenv("OTHER_KEY", "s" * 64)
    lines = cli("run", "p.yaml").err.splitlines()
    named = [line.removeprefix("ok").split("  offer")[0].strip() for line in lines]
    assert [line for line in named if line[:2] in {"a[", "b[", "d[", "e["}] == [
        "a[0] (Tea)",
        "a[1] (7)",
        "b[0].c (Mint)",
        "b[1].c (DE)",
        "b[2].c",
        "b[3].c (a long name that goes on and on and on a…)",
        "b[4].c (***)",
        "d[0] (x)",
        "d[1] (x)",
        "e[0] (3)",
        "e[1]",
    ]
