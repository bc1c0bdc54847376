"""`cache: true`: what is asked once, and when it is asked anew."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Command, Run, Start, calls, run_stubbed, steps

from runner.emulator import Fault
from runner.model import Reply, Request

LIST = "{resource: offer, operation: getAll, cache: true}"
PUT = "{resource: offer, operation: update, id: 1, body: {name: New}}"
SEED = {"offers": [{"id": 1, "name": "Old"}, {"id": 2, "name": "Two"}]}


def asked(ran: Any) -> list[bool]:
    """Of each envelope, whether its answer was an earlier one."""
    return [envelope.get("cached", False) for envelope in ran.envelopes]


def test_the_same_is_asked_once(run_playbook: Run, start: Start) -> None:
    """The answer is the same, and so is the request that is shown; nothing was sent."""
    ran = run_playbook(steps(LIST, LIST.replace("{", "{name: again, ")), tracker=start(seed=SEED))
    one, two = ran.envelopes
    assert ran.calls == ["GET /offers"]
    assert asked(ran) == [False, True]
    assert (two["attempts"], two["success"], two["status"], two["count"]) == (0, True, 200, 2)
    assert (one["data"], one["request"]) == (two["data"], two["request"])
    assert "cached" not in one


@pytest.mark.parametrize(
    ("between", "sent"),
    [
        (PUT, 2),  # a change of the same
        ("{resource: group, operation: create, body: {name: G, type: offers}}", 2),  # of something else
        ("{resource: offer, operation: delete, id: 2}", 2),
        ("{resource: offer, operation: update, id: 99, body: {name: X}, on_error: continue}", 2),
        ("{resource: offer, operation: get, id: 1}", 1),  # no change
        ("{set: {x: 1}, name: s}", 1),
    ],
)  # fmt: skip
def test_a_change_ends_it(run_playbook: Run, start: Start, between: str, sent: int) -> None:
    """After any call that may have changed something, what is asked is asked anew."""
    ran = run_playbook(steps(LIST, between, LIST), tracker=start(seed=SEED))
    assert ran.calls.count("GET /offers") == sent
    assert ran.envelopes[-1].get("cached", False) is (sent == 1)
    if between == PUT:
        assert {row["name"] for row in ran.envelopes[-1]["data"]} == {"New", "Two"}


def test_other_questions(run_playbook: Run, start: Start) -> None:
    """Other ids, parameters and bodies are other questions; so is one without cache."""
    one = "{resource: offer, operation: get, id: 1, cache: true}"
    groups = "{resource: group, operation: getAll, cache: true, params: {type: offers}}"
    ran = run_playbook(
        steps(
            one, one.replace("1", "2"), one, one.replace(", cache: true", ""),
            groups, groups.replace("offers", "campaigns"), groups,
        ),
        tracker=start(seed=SEED),
    )  # fmt: skip
    assert asked(ran) == [False, False, True, False, False, False, True]


def test_other_trackers(run_playbook: Run, start: Start) -> None:
    """What one tracker answered says nothing of another, nor does a change on that."""
    one, two = start(seed=SEED), start(seed={"offers": []})
    there = LIST.replace("}", ", tracker: there}")
    ran = run_playbook(
        steps(LIST, there, PUT.replace("id: 1", "id: 7, tracker: there, on_error: continue"),
              LIST, there),
        tracker=one, others={"there": two},
    )  # fmt: skip
    assert asked(ran) == [False, False, False, True, False]
    assert [len(e["data"]) for e in ran.envelopes if e["operation"] == "getAll"] == [2, 0, 2, 0]


def test_a_failure_is_not_kept(run_playbook: Run, start: Start) -> None:
    """Only a success is an answer."""
    tracker = start(Fault("status", status=500, match="GET"), seed=SEED)
    failing = LIST.replace("}", ", on_error: continue, retry: false}")
    ran = run_playbook(steps(failing, LIST, LIST), tracker=tracker)
    assert [e["success"] for e in ran.envelopes] == [False, True, True]
    assert asked(ran) == [False, False, True]


def test_conditions_are_asked_each_time(run_playbook: Run, start: Start) -> None:
    """What a step expects and saves goes for an earlier answer too."""
    wrong = LIST.replace("}", ", expect: '${{ data | length == 9 }}', save: out.json}")
    ran = run_playbook(steps(LIST, wrong), tracker=start(seed=SEED))
    assert asked(ran) == [False, True]
    assert ran.envelopes[1]["error"]["type"] == "expectation"
    assert not Path("out.json").exists()


def test_loops_and_includes(run_playbook: Run, start: Start, folder: Path) -> None:
    """All of a run shares what was answered: iterations, also at a time, and included playbooks."""
    (folder / "child.yaml").write_text(f"version: 1\nsteps:\n  - {LIST}\n")
    many = f"{{for_each: [1, 2, 3, 4, 5], concurrency: 5, steps: [{LIST}]}}"
    tracker = start(Fault("delay", seconds=0.05, times=None), seed=SEED)
    ran = run_playbook(steps(many, "{include: child.yaml}"), tracker=tracker)
    assert ran.calls == ["GET /offers"]
    assert sorted(asked(ran)) == [False, True, True, True, True, True]


def test_a_change_while_it_is_asked(folder: Path) -> None:
    """An answer that a change overtook is not given again."""
    changed, listed = threading.Event(), threading.Event()
    sent = []

    def send(request: Request) -> Reply:
        sent.append(request.method)
        if request.method == "PUT":
            assert listed.wait(5)
            changed.set()
        elif sent.count("GET") == 1:
            listed.set()
            assert changed.wait(5)
        return Reply(200, {}, b"[]" if request.method == "GET" else b"{}")

    each = f"{{for_each: [1, 2], concurrency: 2, steps: [{{when: '${{{{ item == 1 }}}}', {LIST[1:]}, " \
        f"{{when: '${{{{ item == 2 }}}}', {PUT[1:]}]}}"  # fmt: skip
    run_stubbed(folder, steps(each, LIST), send)
    assert sent.count("GET") == 2


def test_an_answer_from_amid_a_change(folder: Path) -> None:
    """What was asked for while a change was under way may be from before it."""
    began, listed = threading.Event(), threading.Event()
    sent = []

    def send(request: Request) -> Reply:
        sent.append(request.method)
        if request.method == "PUT":
            began.set()
            assert listed.wait(5)
            time.sleep(0.05)  # until the answer is kept
        elif sent.count("GET") == 1:
            assert began.wait(5)
            listed.set()
        return Reply(200, {}, b"[]" if request.method == "GET" else b"{}")

    each = f"{{for_each: [1, 2], concurrency: 2, steps: [{{when: '${{{{ item == 1 }}}}', {LIST[1:]}, " \
        f"{{when: '${{{{ item == 2 }}}}', {PUT[1:]}]}}"  # fmt: skip
    run_stubbed(folder, steps(each, LIST), send)
    assert sent.count("GET") == 2


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (PUT.replace("}}", "}, cache: true}"), "offer.update changes something"),
        (LIST.replace("}", ", until: true}"), "'cache' does not go with until"),
        (LIST.replace("true", "maybe"), "cache"),
    ],
)
def test_where_it_does_not_go(folder: Path, cli: Command, step: str, said: str) -> None:
    """With what changes something, and with until, it is refused before anything is sent."""
    (folder / "p.yaml").write_text(steps(step))
    refused = cli("validate", "p.yaml")
    assert refused.code == 3
    assert said in refused.out
    assert refused.out.count("error") == 1


def test_going_on(
    folder: Path, cli: Command, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that goes on has its earlier answers from the journal, and asks anew for what is left."""
    tracker = start(Fault("status", status=400, match="PUT"), seed=SEED)
    monkeypatch.setenv("KEITARO_URL", tracker.url)
    monkeypatch.setenv("KEITARO_API_KEY", tracker.key)
    (folder / "p.yaml").write_text(steps(LIST, LIST, PUT, LIST, LIST))
    assert cli("run", "p.yaml").code == 1
    again = cli("run", "p.yaml", "--resume", "--report", "r.jsonl", "-v")
    assert again.code == 0, again.err
    assert again.err.count("not sent: the run had the answer already") == 1
    assert calls(tracker) == ["GET /offers", "PUT /offers/1", "PUT /offers/1", "GET /offers"]
    *lines, _ = [json.loads(line) for line in Path("r.jsonl").read_text().splitlines()]
    assert [line.get("cached", False) for line in lines] == [False, True, False, False, False, True]
