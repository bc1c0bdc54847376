"""Which steps wait for which, and what comes of letting the others overlap."""

from __future__ import annotations

import json
import random
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import (
    CATALOGUE,
    ROOT,
    Command,
    HeldClock,
    Run,
    Start,
    calls,
    plan_of,
    run_stubbed,
    steps,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.emulator import Emulator, Fault
from runner.errors import ExitCode
from runner.execution.overlap import Overlap, in_order
from runner.model import Finished, Reply, Request, StepFinished
from runner.planning.order import order_of
from runner.report.turns import InTurn


def waits(folder: Path, *written: str, head: str = "") -> list[dict[int, str]]:
    """What each of the steps waits for, by number from 0, with the reason."""
    path = folder / "playbook.yaml"
    path.write_text(head + steps(*written), encoding="utf-8")
    return [dict(before) for before in order_of(plan_of(path), CATALOGUE).waits]


# -- steps, as flow mappings ----------------------------------------------------------------------

LIST = "{name: list, resource: campaign, operation: getAll}"
MADE = "{name: made, resource: campaign, operation: create, body: {name: A, alias: a}}"
ALSO = "{name: also, resource: campaign, operation: create, body: {name: B, alias: b}}"
OFFER = "{name: offer, resource: offer, operation: create, body: {name: O}}"


def put(entity: Any, field: str = "notes: x", more: str = "", resource: str = "campaign") -> str:
    return f"{{resource: {resource}, operation: update, id: {entity!r}, body: {{{field}}}{more}}}"


def get(entity: Any, more: str = "", resource: str = "campaign") -> str:
    return f"{{resource: {resource}, operation: get, id: {entity!r}{more}}}"


def stream(campaign: Any) -> str:
    return (
        "{resource: stream, operation: create, body: {campaign_id: "
        f"{campaign!r}, type: regular, schema: landings, name: S, action_type: http}}}}"
    )


def of(name: str) -> str:
    """The id of what a step made."""
    return f"${{{{ steps.{name}.data.id }}}}"


# -- what waits for what --------------------------------------------------------------------------

PAIRS: dict[str, tuple[str, str, str | None]] = {
    # the first step, the second, why the second waits
    "reads": (get(5), get(5), None),
    "the same entity": (put(5), get(5), "campaign 5"),
    "read and changed": (get(5), put(5), "campaign 5"),
    "changed twice": (put(5), put(5), "campaign 5"),
    "other entities": (put(5), put(6), None),
    "the same number elsewhere": (put(5, resource="offer"), put(5), None),
    "a list after a change": (put(5), LIST, "campaign"),
    "a change after a list": (LIST, put(5), "campaign"),
    "a list after a create": (MADE, LIST, "campaign"),
    "a create after a list": (LIST, MADE, "campaign"),
    "two creates": (MADE, ALSO, None),
    "a create and another's change": (MADE, put(5), None),
    "the same name twice": (MADE, MADE.replace("made", "twin"), "campaign's names"),
    "a name set free": (put(5, "alias: z"), MADE, "campaign's names"),
    "a name not told": (MADE.replace("alias: a", "alias: '${{ inputs.x }}'"), put(5, "alias: z"),
                        "campaign's names"),
    "names not told": (MADE.replace("alias: a", "alias: '${{ inputs.x }}'"),
                       ALSO.replace("alias: b", "alias: '${{ inputs.y }}'"), None),
    "names of what needs none": (OFFER, OFFER.replace("name: offer", "name: more"), None),
    "an id not told": (put("${{ inputs.x }}"), put(5), "campaign"),
    "ids not told": (put("${{ inputs.x }}"), put("${{ inputs.y }}"), "campaign"),
    "the same id not told": (put("${{ inputs.x }}"), get("${{ inputs.x }}"), "campaign"),
    "all of a list": ('{for_each: [5, 6], resource: campaign, operation: disable, id: "${{ item }}"}',
                      put(7), "campaign"),
    "each of one": ("{for_each: [5, 6], resource: campaign, operation: update, id: 5, body: {notes: x}}",
                    put(7), None),
    "within a block": (f"{{steps: [{put(5)}]}}", put(5), "campaign 5"),
    "within another block": (f"{{steps: [{put(5)}]}}", put(6), None),
    "an entity that is named": (put(5, "group_id: 3"),
                                "{resource: group, operation: update, id: 3, body: {name: G}}", "group 3"),
    "another that is named": (put(5, "group_id: 3"),
                              "{resource: group, operation: update, id: 4, body: {name: G}}", None),
    "all may be named": (put(5).replace("{notes: x}", "'${{ inputs.o }}'"),
                         "{resource: group, operation: update, id: 4, body: {name: G}}", "group"),
    "two reads that name": (put(5, "group_id: 3"), put(6, "group_id: 3"), None),
    "parts of one": (stream(5), stream(5), "a campaign's stream"),
    "parts of others": (stream(5), stream(6), None),
    "parts that are listed": (stream(5), "{resource: stream, operation: getAll, params: {campaign_id: 5}}",
                              "a campaign's stream"),
    "others' parts": (stream(6), "{resource: stream, operation: getAll, params: {campaign_id: 5}}", None),
    "some part that is listed": (put(9, "name: S", resource="stream"),
                                 "{resource: stream, operation: getAll, params: {campaign_id: 5}}",
                                 "a campaign's stream"),
    "parts that are changed": (put(9, "name: S", resource="stream"),
                               put(8, "name: S", resource="stream"), None),
    "parts that are copied": (stream(5), "{resource: campaign, operation: clone, id: 5}", "campaign 5"),
    "all that there is": (put(5), "{resource: stats, operation: getAll, body: {range: {interval: today}, "
                          "measures: [clicks]}}", "campaign"),
    "anything": ("{resource: api, operation: post, params: {path: /x}}", put(5), "campaign"),
    "reads of anything": (get(5), "{resource: api, operation: get, params: {path: /x}}", None),
    "what destroys": (get(4, resource="offer"), "{resource: campaign, operation: delete, id: 5}",
                      "destroys"),
    "after what destroys": ("{resource: campaign, operation: delete, id: 5}", put(4, resource="offer"),
                            None),
    "a guard": (get(5, ", expect: '${{ status == 200 }}'"), put(4, resource="offer"), "expects"),
    "a guard that waits": (get(5, ", until: '${{ status == 200 }}'"), put(4, resource="offer"), "expects"),
    "a guard of reads": (get(5, ", expect: '${{ status == 200 }}'"), get(4, resource="offer"), None),
    "a guard that goes on": (get(5, ", on_error: continue, expect: '${{ status == 200 }}'"),
                             put(4, resource="offer"), None),
    "a guard in a block": (f"{{steps: [{get(5, ', expect: true')}]}}", put(4, resource="offer"), "expects"),
    "a check of a change": (put(5, more=", expect: '${{ status == 200 }}'"), put(4, resource="offer"), None),
    "other trackers": (put(5, more=", tracker: a"), put(5, more=", tracker: b"), None),
    "the same tracker": (put(5, more=", tracker: a"), put(5, more=", tracker: a"), "campaign 5"),
    "the run's own tracker": (put(5, more=", tracker: a"), put(5), "campaign 5"),
    "a tracker not told": (put(5, more=", tracker: a"), put(5, more=", tracker: '${{ inputs.x }}'"),
                           "campaign 5"),
    "the same file": ("{name: a, set: {x: 1}, save: f.json}", "{name: b, set: {x: 1}, save: f.json}",
                      "file f.json"),
    "other files": ("{name: a, set: {x: 1}, save: f.json}", "{name: b, set: {x: 1}, save: g.json}", None),
    "a file that is read": ("{name: a, set: {x: 1}, save: f.json}",
                            "{name: b, set: {x: \"${{ json_file('f.json') }}\"}}", "file"),
    "all steps": (get(5), "{name: b, set: {x: '${{ steps }}'}}", "steps"),
    "a computed step": (get(5), "{name: b, set: {x: \"${{ steps[inputs.x] }}\"}}", "steps"),
    "nothing": ("{name: a, set: {x: 1}}", "{name: b, set: {x: 2}}", None),
}  # fmt: skip
INPUTS = "inputs: {x: {default: 1}, y: {default: 2}, o: {default: {}}}\n"


@pytest.mark.parametrize("case", PAIRS)
def test_pairs(folder: Path, case: str) -> None:
    """Two steps keep their order where they may be about the same, one of them changing it."""
    first, second, why = PAIRS[case]
    (folder / "f.json").write_text("{}")
    found = waits(folder, first, second, head=INPUTS)[1].get(0)
    if why is None:
        assert found is None
    else:
        said = why.removeprefix("a ").replace("campaign's ", "")
        assert found is not None
        assert found.startswith(said), found


def test_references(folder: Path) -> None:
    """A step waits for those that it refers to, anywhere in it, and not for what they wait for."""
    found = waits(
        folder,
        MADE,
        OFFER,
        put(of("made"), f"notes: 'x {of('offer')}'"),
        "{name: late, when: '${{ steps.made.success }}', set: {a: 1}}",
        "{steps: [{for_each: '${{ steps.late.values.a }}', as: x, set: {b: 1}, name: b}]}",
    )
    assert found == [
        {}, {}, {0: "steps.made", 1: "steps.offer"}, {0: "steps.made"}, {3: "steps.late"},
    ]  # fmt: skip


def test_what_steps_make_differs(folder: Path) -> None:
    """Entities that different steps make are different, and may be any that is written out."""
    found = waits(folder, MADE, ALSO, put(of("made")), put(of("also")), put(of("made")), put(7))
    assert found[2:] == [
        {0: "steps.made"}, {1: "steps.also"}, {2: "campaign"}, {3: "campaign", 4: "campaign"},
    ]  # fmt: skip


def test_own_work_that_is_checked_is_no_guard(folder: Path) -> None:
    """A step that reads what the run made itself checks that, and holds up nothing else."""
    found = waits(folder, MADE, get(of("made"), ", expect: '${{ status == 200 }}'"), OFFER)
    assert found == [{}, {0: "steps.made"}, {}]


def test_what_follows_from_others_is_left_out(folder: Path) -> None:
    """Of a chain each names the one before it."""
    found = waits(folder, put(5), put(5), put(5), LIST)
    assert found == [{}, {0: "campaign 5"}, {1: "campaign 5"}, {2: "campaign"}]


def test_includes(folder: Path) -> None:
    """What a playbook that is included touches counts, its `finally` too, and its tracker."""
    child = f"version: 1\nsteps:\n  - {put(5)}\nfinally:\n  - {put(6)}\n"
    (folder / "child.yaml").write_text(child)
    found = waits(
        folder, "{include: child.yaml}", put(5), put(6), put(7),
        "{include: child.yaml, tracker: other}", "{include: child.yaml, tracker: third}",
    )  # fmt: skip
    assert found == [{}, {0: "campaign 5"}, {0: "campaign 6"}, {}, {1: "campaign 5", 2: "campaign 6"},
                     {1: "campaign 5", 2: "campaign 6"}]  # fmt: skip


def test_a_body_in_a_file(folder: Path) -> None:
    """Of a body in a file it is not told what it names."""
    (folder / "body.json").write_text('{"notes": "x"}')
    first = "{resource: campaign, operation: update, id: 5, body_file: body.json}"
    group = "{resource: group, operation: update, id: 3, body: {name: G}}"
    assert waits(folder, first, group)[1] == {0: "group"}


# -- running --------------------------------------------------------------------------------------


def test_steps_overlap(folder: Path) -> None:
    """Steps that wait for none are under way together, never more than asked for."""
    here = threading.Barrier(3)
    most, now, lock = 0, 0, threading.Lock()

    def send(request: Request) -> Reply:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        here.wait(5)
        with lock:
            now -= 1
        return Reply(200, {}, b"{}")

    text = steps(*(get(number) for number in range(1, 7)))
    summary, _ = run_stubbed(folder, text, send, overlap=Overlap(3, [()] * 6))
    assert (summary.succeeded, most) == (6, 3)


def test_a_failure_ends_what_has_not_begun(run_playbook: Run, start: Start) -> None:
    """After a step that fails none is begun; those under way end, and those left are counted."""
    tracker = start(Fault("delay", match="campaigns/1", seconds=0.3), seed=_SEED)
    text = steps(get(1), get(99), *(put(number) for number in (2, 3, 4)), f"{LIST}")
    ran = run_playbook(text, tracker=tracker, jobs=2)
    by_step = {e["step"]: e["success"] for e in ran.envelopes}
    assert by_step["steps[0]"] is True
    assert by_step["steps[1]"] is False
    assert "list" not in by_step
    assert ran.summary.not_run == 6 - len(by_step)
    assert ran.summary.exit_code == 1


def test_on_error_continue(run_playbook: Run) -> None:
    """A step that says to go on holds up nothing by failing."""
    failing = get(99, ", on_error: continue, name: failing")
    ran = run_playbook(steps(failing, get(98, ", on_error: continue"), LIST), jobs=4)
    assert [e["success"] for e in ran.envelopes] == [False, False, True]


def test_finally_comes_last(run_playbook: Run, start: Start) -> None:
    """What stands below `finally` begins when all steps are over."""
    tracker = start(Fault("delay", match="GET /admin_api/v1/offers", seconds=0.2))
    text = steps("{resource: offer, operation: getAll}", LIST)
    ran = run_playbook(
        f"{text}finally:\n  - {{name: last, resource: source, operation: getAll}}\n",
        tracker=tracker, jobs=4,
    )  # fmt: skip
    assert ran.calls[-1] == "GET /traffic_sources"
    assert [e["step"] for e in ran.envelopes] == ["steps[0]", "list", "last"]


def test_an_error_within(folder: Path) -> None:
    """A bug in one step ends the run: those under way end, and none is begun."""
    asked = []

    def send(request: Request) -> Reply:
        asked.append(request.url)
        if request.url.endswith("/2"):
            raise ZeroDivisionError
        return Reply(200, {}, b"{}")

    text = steps(*(get(number) for number in range(1, 9)))
    with pytest.raises(ZeroDivisionError):
        run_stubbed(folder, text, send, overlap=Overlap(2, [()] * 8))
    assert 2 <= len(asked) <= 4


def test_a_run_that_was_broken_off_sends_nothing_more(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for its turn in another thread stays where it is once the run has ended."""
    asleep, over = threading.Event(), threading.Event()
    asked: list[str] = []
    known, join = set(threading.enumerate()), threading.Thread.join

    class Clock(HeldClock):
        def sleep(self, seconds: float) -> None:
            asleep.set()
            assert over.wait(5)
            super().sleep(seconds)

    def interrupted(*_: object) -> None:  # as by a second Ctrl-C
        assert asleep.wait(5)
        raise KeyboardInterrupt

    def send(request: Request) -> Reply:
        asked.append(request.url)
        return Reply(429, {"retry-after": "9"}, b"")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "join", interrupted)
        summary, _ = run_stubbed(
            folder, steps(get(1), get(2)), send, clock=Clock(), overlap=Overlap(2, [()] * 2)
        )
    sent = len(asked)
    over.set()
    for thread in set(threading.enumerate()) - known:
        join(thread, 5)
    assert summary.exit_code == ExitCode.INTERRUPTED
    assert 1 <= sent == len(asked) <= 2


@pytest.mark.parametrize("jobs", [1, 2, 9])
def test_in_order(jobs: int) -> None:
    """Each is called once, after all that it waits for, whatever the number of threads."""
    chance = random.Random(jobs)
    before = [chance.sample(range(n), min(n, chance.randint(0, 3))) for n in range(60)]
    done: list[int] = []

    def work(number: int) -> bool:
        assert set(before[number]) <= set(done)
        done.append(number)
        return True

    in_order(60, Overlap(jobs, before), work)
    assert sorted(done) == list(range(60))


# -- the promise ----------------------------------------------------------------------------------

_CAMPAIGNS = st.sampled_from([1, 2, 3])
_WORK = st.one_of(
    st.builds(lambda n, v: put(n, f"notes: 'n{v}'"), _CAMPAIGNS, st.integers(0, 99)),
    st.builds(get, _CAMPAIGNS),
    st.builds(
        lambda n, v: put(n, f"name: 'o{v}'", resource="offer"), _CAMPAIGNS, st.integers(0, 99)
    ),
    st.builds(lambda n: get(n, resource="offer"), _CAMPAIGNS),
    st.builds(lambda n: f"{{resource: campaign, operation: disable, id: {n}}}", _CAMPAIGNS),
    st.builds(lambda n: f"{{resource: campaign, operation: enable, id: {n}}}", _CAMPAIGNS),
    st.builds(stream, _CAMPAIGNS),
    st.builds(
        lambda n: f"{{resource: stream, operation: getAll, params: {{campaign_id: {n}}}}}",
        _CAMPAIGNS,
    ),
    st.just(LIST.replace("name: list, ", "")),
)
_SEED = {
    "campaigns": [{"id": n, "name": f"C{n}", "alias": f"c{n}"} for n in (1, 2, 3)],
    "offers": [{"id": n, "name": f"O{n}"} for n in (1, 2, 3)],
}
_OF_TIME = ("started_at", "duration_ms", "run")


def _told(ran: Any) -> list[Any]:
    """A report without what differs from run to run: times, and the ids that streams came by."""
    said = []
    for envelope in ran.envelopes:
        kept = {key: _steady(value) for key, value in envelope.items() if key not in _OF_TIME}
        kept["request"]["url"] = kept["request"]["url"].split("/admin_api")[1]
        said.append(kept)
    return said


def _steady(value: Any) -> Any:
    if isinstance(value, list):
        return [_steady(part) for part in value]
    if not isinstance(value, dict):
        return value
    passing = {key for key in value if key.endswith("_at")}
    passing |= {"id"} if "campaign_id" in value else set()
    return {key: None if key in passing else _steady(part) for key, part in value.items()}


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(_WORK, min_size=2, max_size=14), st.integers(2, 8))
def test_a_run_that_overlaps_does_what_one_in_order_does(
    run_playbook: Run, work: list[str], jobs: int
) -> None:
    """The same is written to the same entities in the same order, and the report says the same."""
    with Emulator(seed=_SEED) as one, Emulator(seed=_SEED) as other:
        first = run_playbook(steps(*work), tracker=one)
        second = run_playbook(steps(*work), tracker=other, jobs=jobs)
        for one_told, other_told in zip(_told(first), _told(second), strict=True):
            assert one_told == other_told
        assert _writes(one) == _writes(other)


def _writes(tracker: Emulator) -> dict[str, list[str]]:
    """What each entity, and each campaign's list of streams, was sent, in order."""
    found: dict[str, list[str]] = {}
    for request in tracker.requests:
        if request.method != "GET":
            body = request.body or {}
            about = str(body.get("campaign_id", request.path))
            found.setdefault(about, []).append(f"{request.method} {request.path} {body}")
    return found


# -- the report -----------------------------------------------------------------------------------


def _finished(top: int, seq: int) -> Finished:
    line = json.dumps({"run": "R", "seq": seq, "data": {"seq": seq}}, separators=(",", ":"))
    return Finished(f"k{top}", {"run": "R", "seq": seq, "data": {"seq": seq}}, line, top=top)


def test_in_turn() -> None:
    """What a step gave comes when those before it are over; only the line's own number changes."""
    out: list[Any] = []
    sink = InTurn(out.append, seq=10)
    for event in (
        _finished(2, 1), _finished(3, 2), _finished(1, 3), StepFinished("b", 2), _finished(1, 4),
        StepFinished("a", 1),
    ):  # fmt: skip
        sink(event)
    assert [event.key for event in out] == ["k1", "k1", "k2", "k3"]
    assert [event.envelope["seq"] for event in out] == [11, 12, 13, 14]
    assert [json.loads(event.line) for event in out] == [event.envelope for event in out]
    assert [event.envelope["data"]["seq"] for event in out] == [3, 4, 1, 2]
    sink(_finished(9, 5))
    sink(_finished(7, 6))
    assert len(out) == 4
    sink(_finished(0, 7))
    assert [event.key for event in out[4:]] == ["k7", "k9", "k0"]
    sink.close()
    assert len(out) == 7


SHOP = steps(
    *(f"{{name: n{n}, resource: offer, operation: get, id: {n}}}" for n in range(1, 7)),
    "{name: sum, set: {ids: ['${{ steps.n1.data.id }}', '${{ steps.n6.data.id }}']}}",
)


def test_the_command(
    folder: Path, cli: Command, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`run --jobs` overlaps, and its report is in the order of the playbook, chained and checked."""
    tracker = start(
        *(Fault("delay", match=f"offers/{n}$", seconds=0.3 - 0.05 * n) for n in range(1, 7)),
        seed={"offers": [{"id": n, "name": f"O{n}"} for n in range(1, 7)]},
    )
    monkeypatch.setenv("KEITARO_URL", tracker.url)
    monkeypatch.setenv("KEITARO_API_KEY", tracker.key)
    (folder / "p.yaml").write_text(SHOP)
    said = cli("run", "p.yaml", "--jobs", "6", "--report", "r.jsonl", "--junit", "r.xml")
    assert said.code == 0, said.err
    *lines, trailer = [json.loads(line) for line in Path("r.jsonl").read_text().splitlines()]
    assert [line["seq"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert [line["step"] for line in lines] == ["n1", "n2", "n3", "n4", "n5", "n6"]
    assert trailer["count"] == 6
    assert cli("report", "verify", "r.jsonl").code == 0
    assert len(calls(tracker)) == 6
    refused = cli("run", "p.yaml", "--jobs", "0")
    assert refused.code == 2


def test_going_on(
    folder: Path, cli: Command, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that overlapped goes on as any other, also with the same number of steps at a time."""
    tracker = start(
        Fault("status", match="offers/4$", status=400),
        seed={"offers": [{"id": n, "name": f"O{n}"} for n in range(1, 7)]},
    )
    monkeypatch.setenv("KEITARO_URL", tracker.url)
    monkeypatch.setenv("KEITARO_API_KEY", tracker.key)
    work = [put(n, "name: X", f", name: n{n}", "offer") for n in range(1, 7)]
    (folder / "p.yaml").write_text(steps(*work))
    said = cli("run", "p.yaml", "--jobs", "3", "--report", "r.jsonl")
    assert said.code == 1
    assert "--report r.jsonl --jobs 3" in said.err
    done = len([call for call in calls(tracker) if call.startswith("PUT")])
    again = cli("run", "p.yaml", "--resume", "--jobs", "3", "--report", "r.jsonl")
    assert again.code == 0, again.err
    sent = [call for call in calls(tracker) if call.startswith("PUT")]
    assert len(sent) == 7 > done
    assert sent.count("PUT /offers/4") == 2
    *lines, _ = [json.loads(line) for line in Path("r.jsonl").read_text().splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert sorted({line["step"] for line in lines}) == [f"n{n}" for n in range(1, 7)]


# -- plan -----------------------------------------------------------------------------------------


def test_plan_as_text(folder: Path, cli: Command) -> None:
    """A line a step: its number, name and work, what it waits for and why; `finally` comes last."""
    (folder / "p.yaml").write_text(
        steps(MADE, get(5, ", name: guard, expect: true"), stream(of("made")), put(5),
              "{resource: campaign, operation: delete, id: 7}", "{name: s, set: {x: 1}}")
        + "finally:\n  - {include: child.yaml}\n"
    )  # fmt: skip
    (folder / "child.yaml").write_text(f"version: 1\nsteps:\n  - {LIST}\n")
    said = cli("plan", "p.yaml")
    assert said.code == 0
    assert said.out.splitlines() == [
        "p.yaml: 6 steps, 4 of them one after the other",
        "        1  made      campaign.create",
        "        2  guard     campaign.get",
        "        3  steps[2]  stream.create       after made (steps.made); guard (it guards what comes after)",
        "        4  steps[3]  campaign.update     after guard (it guards what comes after)",
        "        5  steps[4]  campaign.delete     after steps[2] (this one destroys); steps[3] (this one destroys)",
        "        6  s         set",
        "  finally  finally[0]  include child.yaml",
    ] or said.out  # fmt: skip


def test_plan_of_a_wrong_playbook(folder: Path, cli: Command) -> None:
    """A playbook with errors has no plan, and is told what is wrong."""
    (folder / "p.yaml").write_text(steps("{resource: campaign, operation: get}"))
    said = cli("plan", "p.yaml")
    assert (said.code, said.out) == (3, "")
    assert "KP208" in said.err


def test_plan_as_mermaid(folder: Path, cli: Command) -> None:
    """Each step is a node with what it does, each wait an arrow; what Mermaid reads is escaped."""
    (folder / "p.yaml").write_text(steps(MADE, put(of("made")), LIST, "{set: {x: 1}, name: a}"))
    said = cli("plan", "p.yaml", "--format", "mermaid")
    assert said.out.splitlines() == [
        "flowchart TD",
        '  s1["made<br>campaign.create"]',
        '  s2["steps[1]<br>campaign.update"]',
        '  s3["list<br>campaign.getAll"]',
        '  s4["a<br>set"]',
        "  s1 --> s2",
        '  s2 -->|"both touch campaign"| s3',
    ]


@pytest.mark.parametrize("path", sorted((ROOT / "playbooks").glob("*.yaml")), ids=lambda p: p.stem)
def test_samples_have_a_plan(path: Path, cli: Command) -> None:
    """Every sample has a plan, in which each step stands once."""
    said = cli("plan", str(path))
    assert (said.code, said.err) == (0, "")
    rows = [line.split() for line in said.out.splitlines()[1:]]
    assert [row[0] for row in rows] == [str(number) for number in range(1, len(rows) + 1)]


def test_a_body_in_a_file_is_looked_through(run_playbook: Run, folder: Path, start: Start) -> None:
    """What it refers to is waited for; where its name is computed that may be anything."""
    body = {"name": "S", "campaign_id": "${{ steps.a.data.id }}", "type": "regular",
            "schema": "action", "action_type": "http", "action_payload": ""}  # fmt: skip
    (folder / "s.json").write_text(json.dumps(body))
    (folder / "plain.json").write_text(json.dumps({"notes": "n"}))
    made = "{name: a, resource: campaign, operation: create, body: {name: A, alias: a}}"
    stream = "{name: b, resource: stream, operation: create, body_file: %s}"
    for file in ("s.json", "\"${{ 's' ~ '.json' }}\""):
        slow = start(Fault("delay", match="POST .*/campaigns", seconds=0.2))
        ran = run_playbook(steps(made, stream % file), tracker=slow, jobs=4)
        assert [e["success"] for e in ran.envelopes] == [True, True], ran.envelopes
    plain = "{resource: offer, operation: update, id: 7, body_file: plain.json}"
    assert waits(folder, made, plain)[1] == {}


@pytest.mark.parametrize("around", ["", "{name: blk, steps: [%s]}", "{include: part.yaml}"])
def test_what_a_set_guards_waits_for_it(folder: Path, around: str) -> None:
    """Wherever the set stands: nothing that changes something leaves before it was asked."""
    guard = "{name: grd, set: {n: 1}, expect: '${{ values.n > 2 }}'}"
    (folder / "part.yaml").write_text(steps(guard))
    step = around % guard if "%s" in around else around or guard
    assert list(waits(folder, step, OFFER)[1]) == [0]
