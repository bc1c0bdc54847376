"""Going on with a run that ended before its end: what is restored, asked, refused and taken."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Command, Said, Start, calls, check_line, steps

from runner.catalogue import Catalogue
from runner.emulator import Emulator, Fault
from runner.journal import Lock, Store
from runner.playbook import parse
from runner.validation import Rules, check

HEAD = "version: 1\nname: it\n"
BROKEN = Fault("status", match="PUT", status=500)
LOST = "POST .*/{}$"


class Place:
    """A folder with a playbook, and the tracker it runs on."""

    def __init__(self, folder: Path, tracker: Emulator, cli: Command) -> None:
        self.folder = folder
        self.tracker = tracker
        self._cli = cli
        self._seen = 0

    def write(self, text: str, name: str = "playbook.yaml") -> None:
        """A file beside the playbook, by default the playbook itself."""
        (self.folder / name).write_text(text, encoding="utf-8")

    def run(self, *args: str) -> Said:
        """Run the playbook from its beginning, with a report."""
        return self._cli("run", "playbook.yaml", "--report", "report.jsonl", "--yes", *args)

    def resume(self, *args: str) -> Said:
        """Go on with the latest run."""
        return self.run("--resume", *args)

    def first(self, text: str, code: int = 1, *faults: Fault) -> Said:
        """The first part of a run, which ends with that code."""
        self.write(text)
        for fault in faults or (BROKEN,):
            self.tracker.fault(fault)
        said = self.run()
        assert said.code == code, said.err
        self.tracker.clear_faults()
        self.new_calls()
        return said

    def new_calls(self) -> list[str]:
        """What arrived since this was asked last."""
        found = calls(self.tracker)[self._seen :]
        self._seen += len(found)
        return found

    def drop(self, table: str, key: int) -> None:
        """Have somebody delete an entity on the tracker."""
        rows = self.tracker.state.tables[table]
        row = rows.get(key)
        assert row is not None
        rows.remove(row)

    @property
    def bodies(self) -> list[Any]:
        """The bodies of all writes."""
        return [r.body for r in self.tracker.requests if r.method != "GET"]

    @property
    def report(self) -> list[dict[str, Any]]:
        """The report's envelopes; their numbers rise."""
        envelopes = [check_line(line) for line in self.lines]
        numbers = [e["seq"] for e in envelopes]
        assert numbers == list(range(1, len(numbers) + 1))
        return envelopes

    @property
    def lines(self) -> list[str]:
        """The report's lines, without its trailer."""
        text = (self.folder / "report.jsonl").read_text(encoding="utf-8")
        return [line for line in text.splitlines() if '"trailer":true' not in line]

    @property
    def store(self) -> Store:
        """The state folder."""
        return Store(self.folder / ".keitaro")

    @property
    def journal(self) -> Path:
        """The latest run's journal."""
        return self.store.runs()[-1].journal

    def written(self) -> str:
        """All that lies in the folder, but for the playbooks."""
        files = [p for p in self.folder.rglob("*") if p.is_file() and p.suffix != ".yaml"]
        return "\n".join(p.read_text(encoding="utf-8", errors="replace") for p in files)


@pytest.fixture
def place(
    folder: Path, start: Start, cli: Command, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Place]:
    """A factory of places, each with a tracker that the environment names."""

    def make(seed: Any = None) -> Place:
        tracker = start(seed=seed)
        monkeypatch.setenv("KEITARO_URL", tracker.url)
        monkeypatch.setenv("KEITARO_API_KEY", tracker.key)
        return Place(folder, tracker, cli)

    return make


Make = Callable[..., Place]

OFFERS = {"offers": [{"id": n, "name": f"Offer {n}"} for n in range(1, 6)]}
THREE = (
    HEAD
    + """
steps:
  - {name: group, resource: group, operation: create, body: {name: G, type: offers}}
  - {name: offer, resource: offer, operation: create, retry: 0,
     body: {name: "In ${{ steps.group.data.id }}", group_id: "${{ steps.group.data.id }}"}}
  - {name: note, resource: offer, operation: update, retry: 0, id: "${{ steps.offer.data.id }}",
     body: {notes: "${{ steps.group.data.name }}/${{ steps.offer.data.name }}"}}
"""
)


# -- what is restored -------------------------------------------------------------------------


def test_outputs_are_restored(place: Make) -> None:
    """What is done is not sent again, and gives to later steps what it gave."""
    it = place()
    it.first(THREE)
    said = it.resume()
    assert (said.code, it.new_calls()) == (0, ["PUT /offers/1"])
    assert it.bodies[-1] == {"notes": "G/In 1"}


def test_reads_are_restored(place: Make) -> None:
    """What was read is what it was, though the tracker has moved on: loops go on over the same."""
    it = place(OFFERS)
    it.first(
        HEAD
        + """
steps:
  - {name: offers, resource: offer, operation: getAll}
  - {name: each, for_each: "${{ steps.offers.data }}", resource: offer, operation: update,
     retry: 0, id: "${{ item.id }}", body: {notes: "was ${{ item.name }}"}}
""",
        1,
        Fault("status", match="PUT .*/3$", status=500),
    )
    it.tracker.state.tables["offers"].change(
        it.tracker.state.tables["offers"].get(4), {"name": "Other"}
    )
    it.tracker.state.tables["offers"].insert({"name": "New", "state": "active"})
    assert it.resume().code == 0
    assert it.new_calls() == ["PUT /offers/3", "PUT /offers/4", "PUT /offers/5"]
    assert it.bodies[-2] == {"notes": "was Offer 4"}


@pytest.mark.parametrize("workers", [1, 3])
def test_loops_go_on(place: Make, workers: int) -> None:
    """A loop goes on at the iterations that are not done, with as many at a time as before."""
    it = place(OFFERS)
    it.first(
        HEAD
        + f"""
steps:
  - {{name: each, for_each: [1, 2, 3, 4, 5], concurrency: {workers}, on_error: continue, retry: 0,
     resource: offer, operation: update, id: "${{{{ item }}}}", body: {{notes: "n${{{{ index }}}}"}}}}
  - {{name: sum, set: {{ids: "${{{{ steps.each.results | pluck('data.id') }}}}"}}}}
  - {{name: last, resource: offer, operation: update, id: 1,
     body: {{notes: "ids ${{{{ steps.sum.values.ids | join(',') }}}}"}}}}
""",
        1,
        Fault("status", match="PUT .*/(2|4)$", status=500, times=2),
    )
    assert it.resume().code == 0
    assert sorted(it.new_calls()) == ["PUT /offers/1", "PUT /offers/2", "PUT /offers/4"]
    assert it.bodies[-1] == {"notes": "ids 1,2,3,4,5"}


def test_skipped_stays_skipped(place: Make) -> None:
    """What a condition passed over is passed over again, and says so once."""
    it = place(OFFERS)
    it.first(
        HEAD
        + """
inputs: {go: {type: boolean, default: false}}
steps:
  - {name: never, when: "${{ inputs.go }}", resource: offer, operation: delete, id: 1}
  - {name: note, resource: offer, operation: update, retry: 0, id: 2, body: {notes: x}}
"""
    )
    assert it.resume().code == 0
    assert it.new_calls() == ["PUT /offers/2"]
    assert [(e["step"], e["success"]) for e in it.report] == [
        ("never", True), ("note", False), ("note", True),
    ]  # fmt: skip


def test_the_report_is_whole(place: Make) -> None:
    """A report written on resuming holds all envelopes of all parts, each once, in order."""
    it = place()
    it.first(THREE)
    before = it.lines
    assert it.resume().code == 0
    assert it.lines[: len(before)] == before
    assert [e["step"] for e in it.report] == ["group", "offer", "note", "note"]
    assert len({e["run"] for e in it.report}) == 1


def test_nothing_that_was_said_changes(place: Make) -> None:
    """A report has the same lines after resuming, whatever is in them: half a character too."""
    it = place()
    it.first(
        HEAD
        + """
steps:
  - {name: odd, resource: api, operation: get, params: {path: /offers}}
  - {name: note, resource: offer, operation: create, retry: 0, on_error: continue,
     body: {name: "${{ steps.odd.data.name }}"}}
  - {name: fails, resource: offer, operation: get, id: 99}
""",
        1,
        Fault("status", status=200, match="GET .*/offers$", body={"name": "\ud83d ок"}),
    )
    before = it.lines
    assert it.report[1]["error"]["type"] == "protocol"
    assert it.resume().code == 1
    assert it.lines[: len(before)] == before


def test_time_and_chance_are_those_of_the_first_time(place: Make) -> None:
    """The run's id, when it began and today's date are the same in every part."""
    it = place(OFFERS)
    it.first(
        HEAD
        + """
vars: {about: "${{ run.id }} ${{ run.started_at }} ${{ today() }}"}
steps:
  - {name: one, resource: group, operation: create, body: {name: "${{ vars.about }}", type: offers}}
  - {name: two, resource: offer, operation: update, retry: 0, id: 1,
     body: {notes: "${{ vars.about }}"}}
"""
    )
    assert it.resume().code == 0
    assert it.bodies[0]["name"] == it.bodies[-1]["notes"]


def test_what_was_drawn_by_chance(place: Make) -> None:
    """What was drawn by chance is not drawn anew: a done step would send what it sent."""
    it = place(OFFERS)
    it.first(
        HEAD
        + """
steps:
  - {name: each, for_each: "${{ range(5) }}", concurrency: 2, resource: group, operation: create,
     body: {name: "${{ item }}-${{ range(1000) | random }}", type: offers}}
  - {name: note, resource: offer, operation: update, retry: 0, id: 1,
     body: {notes: "${{ range(1000) | random }}!"}}
"""
    )
    before = it.bodies[-1]
    assert it.resume().code == 0
    assert it.new_calls() == ["PUT /offers/1"]
    assert it.bodies[-1] == before


def test_blocks_and_includes(place: Make) -> None:
    """Steps in blocks and included playbooks are restored too, with what the include gave."""
    it = place(OFFERS)
    it.write(
        HEAD
        + """
inputs: {name: {type: string}}
steps:
  - {name: made, resource: group, operation: create, body: {name: "${{ inputs.name }}", type: offers}}
outputs: {id: "${{ steps.made.data.id }}"}
""",
        "child.yaml",
    )
    it.first(
        HEAD
        + """
steps:
  - name: both
    for_each: [A, B]
    steps:
      - {name: child, include: child.yaml, inputs: {name: "${{ item }}"}}
      - {name: note, resource: offer, operation: update, retry: 0, id: 1,
         body: {notes: "id ${{ steps.child.outputs.id }}"}}
""",
        1,
        Fault("status", match="PUT", status=500, after=1),
    )
    assert it.resume().code == 0
    assert it.new_calls() == ["PUT /offers/1"]
    assert it.bodies[-1] == {"notes": "id 2"}


# -- finally ----------------------------------------------------------------------------------

FINALLY = (
    THREE
    + """
finally:
  - {name: last, resource: group, operation: create, body: {name: "F${{ run.id }}", type: offers}}
"""
)


def test_finally_runs_again_after_a_failure(place: Make) -> None:
    """What ran after a failure runs at the end of the next part too, since steps came between."""
    it = place()
    it.first(FINALLY.replace('operation: create, body: {name: "F', 'operation: create, on_error: '
                             'continue, body: {name: "F'))  # fmt: skip
    it.drop("groups", 2)
    it.resume()
    assert it.new_calls() == ["PUT /offers/1", "POST /groups"]


def test_finally_is_not_repeated_after_success(place: Make) -> None:
    """Where the steps had succeeded, what `finally` did is done."""
    it = place(OFFERS)
    it.first(
        HEAD
        + """
steps: [{name: group, resource: group, operation: create, body: {name: G, type: offers}}]
finally:
  - {name: one, resource: group, operation: create, body: {name: F, type: offers}}
  - {name: two, resource: offer, operation: update, retry: 0, id: 1, body: {notes: x}}
"""
    )
    assert it.resume().code == 0
    assert it.new_calls() == ["PUT /offers/1"]


def test_finally_counts_for_its_own_part_only(place: Make) -> None:
    """What `finally` did after a failure does not stand in for what it must do in the end."""
    it = place(OFFERS)
    it.first(
        HEAD
        + """
steps: [{name: note, resource: offer, operation: update, retry: 0, id: 1, body: {notes: x}}]
finally:
  - {name: one, resource: offer, operation: update, retry: 0, id: 2, body: {notes: y}}
  - {name: two, resource: offer, operation: update, retry: 0, id: 3, body: {notes: z}}
""",
        1,
        Fault("status", match="PUT .*/1$", status=500),
    )
    it.tracker.fault(Fault("status", match="PUT .*/2$", status=500))
    assert it.resume().code == 1
    assert it.new_calls() == ["PUT /offers/1", "PUT /offers/2"]
    assert it.resume().code == 0
    assert it.new_calls() == ["PUT /offers/2", "PUT /offers/3"]


def test_finally_of_an_included_playbook(place: Make) -> None:
    """An included playbook's `finally` runs again after its steps, like the run's own."""
    it = place(OFFERS)
    it.write(
        HEAD
        + """
steps: [{name: note, resource: offer, operation: update, retry: 0, id: 1, body: {notes: x}}]
finally: [{name: one, resource: offer, operation: update, id: 2, body: {notes: y}}]
""",
        "child.yaml",
    )
    it.first(HEAD + "steps: [{name: child, include: child.yaml}]\n", 1,
             Fault("status", match="PUT .*/1$", status=500))  # fmt: skip
    assert it.resume().code == 0
    assert it.new_calls() == ["PUT /offers/1", "PUT /offers/2"]


# -- conditions that failed after a create --------------------------------------------------------


def test_a_create_whose_condition_failed(place: Make) -> None:
    """A create is not sent again because its `expect` was false: only the condition is asked."""
    it = place()
    text = (
        HEAD
        + """
steps:
  - {name: made, resource: campaign, operation: create, body: {name: N, alias: n},
     expect: ["${{ data.name == 'M' }}"]}
  - {name: next, resource: campaign, operation: update, id: "${{ steps.made.data.id }}",
     body: {notes: x}}
"""
    )
    it.first(text, 1, Fault("delay", match="nothing"))
    assert it.resume().code == 1
    assert it.new_calls() == []
    assert [e["error"]["type"] for e in it.report] == ["expectation"] * 2
    it.write(text.replace("'M'", "'N'"))
    refused = it.resume()
    assert refused.code == 3
    assert "made changed after it ran" in refused.err
    assert it.resume("--accept-changes").code == 0
    assert it.new_calls() == ["PUT /campaigns/1"]


def test_what_was_waited_for_in_vain_is_waited_for_again(place: Make) -> None:
    """The call of an `until` that did not hold is made again, and the run does not pass it over."""
    it = place()
    text = (
        HEAD
        + """
steps:
  - {name: made, resource: campaign, operation: create, body: {name: N, alias: n}}
  - {name: waits, resource: campaign, operation: update, id: 1, body: {notes: new},
     until: "${{ data.notes == 'old' }}", every: 1ms, attempts: 2}
"""
    )
    it.first(text, 1, Fault("delay", match="nothing"))
    assert it.resume().code == 1
    assert it.new_calls() == ["PUT /campaigns/1"] * 2
    assert [e["error"] and e["error"]["type"] for e in it.report] == [None, "until", "until"]


def test_a_condition_asked_again_shows_no_marks(place: Make) -> None:
    """What an answer hid is hidden as before where its condition is asked once more."""
    it = place()
    it.first(
        HEAD
        + """
steps:
  - {name: made, resource: campaign, operation: create, body: {name: N, alias: n},
     expect: ["${{ data.name == 'M' }}"]}
""",
        1,
        Fault("delay", match="nothing"),
    )
    it.resume()
    one, two = it.report
    assert one["data"] == two["data"]
    assert two["data"]["token"] == "***"
    assert "\\udb" not in it.written()
    assert not any(ord(char) > 0x10FE00 for char in it.written())


# -- secrets of answers ---------------------------------------------------------------------------

TOKEN = (
    HEAD
    + """
steps:
  - {name: made, resource: campaign, operation: create, body: {name: N, alias: n}}
  - {name: one, resource: offer, operation: update, id: 1,
     body: {notes: "t=${{ steps.made.data.token }}"}}
  - {name: two, resource: offer, operation: update, retry: 0, id: 2,
     body: {notes: "${{ steps.made.data.token }}"}}
"""
)
SECOND = Fault("status", match="PUT .*/2$", status=500)


def test_a_secret_is_read_again(place: Make) -> None:
    """A token that an answer held is read from the tracker again, and is written down nowhere."""
    it = place(OFFERS)
    it.first(TOKEN, 1, SECOND)
    token = it.tracker.state.rows("campaigns")[0]["token"]
    assert it.bodies[1] == {"notes": f"t={token}"}
    said = it.resume()
    assert said.code == 0
    assert it.new_calls() == ["GET /campaigns/1", "PUT /offers/2"]
    assert it.bodies[-1] == {"notes": token}
    assert token not in it.written() + said.out + said.err


def test_a_secret_is_read_only_where_it_is_sent(place: Make) -> None:
    """What is done and passed a token on needs none, even where its owner is gone by now."""
    it = place(OFFERS)
    it.first(TOKEN.replace('"${{ steps.made.data.token }}"}', "x}"), 1, SECOND)
    it.drop("campaigns", 1)
    assert it.resume().code == 0
    assert it.new_calls() == ["PUT /offers/2"]


def test_a_secret_that_is_gone(place: Make) -> None:
    """Where the token cannot be read again the step fails and says so: nothing wrong is sent."""
    it = place(OFFERS)
    it.first(TOKEN, 1, SECOND)
    it.drop("campaigns", 1)
    assert it.resume().code == 1
    assert it.new_calls() == ["GET /campaigns/1"]
    assert it.report[-1]["error"]["type"] == "hidden"


@pytest.mark.parametrize("expression", ["[:5]", " | upper | replace('X', 'Y')", " | reverse"])
def test_a_secret_that_is_altered(place: Make, expression: str) -> None:
    """What an expression makes of a token that is not there is never sent for what it should be."""
    it = place(OFFERS)
    it.first(TOKEN.replace('notes: "${{ steps.made.data.token }}"',
                           f'notes: "${{{{ (steps.made.data.token){expression} }}}}"'), 1, SECOND)  # fmt: skip
    assert it.resume().code in (0, 1)
    sent = [b["notes"] for b in it.bodies if b and "notes" in b]
    assert not any(ord(char) > 0x10FE00 for text in sent for char in text)


def test_secrets_of_a_list(place: Make) -> None:
    """A token out of a list is read again with the list, and taken from the same entity only."""
    it = place({**OFFERS, "campaigns": [{"name": n, "alias": n, "token": f"tok{n * 9}"}
                                        for n in "ABC"]})  # fmt: skip
    text = (
        HEAD
        + """
steps:
  - {name: all, resource: campaign, operation: getAll}
  - {name: each, for_each: "${{ steps.all.data }}", resource: offer, operation: update, retry: 0,
     id: "${{ item.id }}", body: {notes: "${{ item.token }}"}}
"""
    )
    it.first(text, 1, SECOND)
    it.tracker.fault(Fault("status", match="PUT .*/3$", status=500))
    assert it.resume().code == 1
    assert it.new_calls() == ["GET /campaigns", "PUT /offers/2", "PUT /offers/3"]
    assert it.bodies[-1] == {"notes": "tokCCCCCCCCC"}
    assert "tokA" not in it.written()
    it.drop("campaigns", 1)
    assert it.resume().code == 1
    assert it.new_calls() == ["GET /campaigns"]
    assert it.report[-1]["error"]["type"] == "hidden"


def test_secrets_of_loops(place: Make) -> None:
    """Tokens that iterations made are hidden wherever later steps pass them on, however many."""
    it = place(OFFERS)
    it.first(
        HEAD
        + """
steps:
  - {name: made, for_each: "${{ range(80) }}", resource: campaign, operation: create,
     body: {name: "N${{ item }}", alias: "n${{ item }}"}}
  - {name: each, for_each: "${{ steps.made.results }}", resource: offer, operation: update, id: 1,
     body: {notes: "${{ item.data.token }} and ${{ steps.made.results[3].data.token }}"}}
  - {name: two, resource: offer, operation: update, retry: 0, id: 2,
     body: {notes: "${{ steps.made.results[79].data.token }}"}}
""",
        1,
        SECOND,
    )
    tokens = [row["token"] for row in it.tracker.state.rows("campaigns")]
    written = it.written()
    assert [token for token in tokens if token in written] == []
    assert it.resume().code == 0
    assert it.bodies[-1] == {"notes": tokens[-1]}
    assert tokens[-1] not in it.written()


def test_saved_values_are_whole(place: Make) -> None:
    """What a `set` saves on resuming is what it would have saved, not what stands in for it."""
    it = place(OFFERS)
    it.first(
        HEAD
        + """
steps:
  - {name: made, resource: campaign, operation: create, body: {name: N, alias: n}}
  - {name: two, resource: offer, operation: update, retry: 0, id: 2, body: {notes: x}}
  - {name: kept, set: {token: "${{ steps.made.data.token }}"}, save: {to: kept.json}}
""",
        1,
        SECOND,
    )
    assert it.resume().code == 0
    token = it.tracker.state.rows("campaigns")[0]["token"]
    assert json.loads((it.folder / "kept.json").read_text()) == {"token": token}


# -- what changed ---------------------------------------------------------------------------------


def test_comments_and_order_do_not_count(place: Make) -> None:
    """Comments, the order of keys, quotes and the file's path are no change."""
    it = place()
    it.first(THREE)
    text = THREE.replace("{name: G, type: offers}", "{type: 'offers', name: \"G\"}")
    it.write(text.replace("steps:\n", "# a comment\nsteps:\n\n") + "# the end\n")
    assert it.resume().code == 0
    assert it.new_calls() == ["PUT /offers/1"]


def test_a_later_change_is_taken(place: Make) -> None:
    """A step that has done nothing yet may change, and may change again after it failed anew."""
    it = place()
    it.first(THREE + "  - {name: more, resource: offer, operation: get, id: 99, retry: 0}\n")
    it.write(THREE + "  - {name: more, resource: offer, operation: get, id: 98, retry: 0}\n"
             "  - {name: other, resource: offer, operation: getAll}\n")  # fmt: skip
    assert it.resume().code == 1
    assert it.new_calls() == ["PUT /offers/1", "GET /offers/98"]
    # What was taken counts as what the run is made of, from then on.
    assert it.resume().code == 1
    assert it.new_calls() == ["GET /offers/98"]


def test_no_new_run_begins_while_one_like_it_is_in_doubt(place: Make) -> None:
    """Starting anew might do it twice: it must be meant. With other inputs it is another matter."""
    it = place()
    text = THREE.replace("steps:", "inputs: {n: {type: integer, default: 1}}\nsteps:")
    it.first(text, 5, Fault("reset_after", match="/groups"))
    (known,) = [run.id for run in it.store.states() if run.state == "in doubt"]
    for _ in range(2):
        said = it.run("--report", "other.jsonl")
        assert (said.code, it.new_calls()) == (5, [])
        assert f"the earlier run {known} of this playbook left calls in doubt" in said.err
        assert "begin anew all the same, with --anew" in said.err
    assert not (it.folder / "other.jsonl").exists()
    it.drop("groups", 1)
    said = it.run("--input", "n=2")
    assert (
        f"note: an earlier run of this playbook left calls in doubt: --resume {known}" in said.err
    )
    assert said.code == 0
    it.drop("groups", 2)
    it.drop("offers", 1)
    assert it.run("--anew").code == 0


def test_a_run_that_did_nothing_is_not_the_one_to_go_on_with(place: Make) -> None:
    """A second run that failed at its first step leaves the first to be resumed."""
    it = place()
    it.first(THREE)
    known = it.store.states()[0].id
    said = it.run()
    assert "to go on" not in said.err  # the name is taken: nothing was done
    assert [run.state for run in it.store.states()] == ["failed", "failed"]
    assert it.store.find(None, None).id == known
    assert f"--resume {known} goes on with it" in it.run().err
    assert it.resume().code == 0
    assert [row["name"] for row in it.tracker.state.rows("groups")] == ["G"]


def test_a_run_is_not_gone_on_with_once_another_came_later(place: Make) -> None:
    """What the first has still to do may have been done by the second."""
    it = place()
    it.first(THREE)
    first = it.store.states()[0].id
    it.drop("groups", 1)
    it.drop("offers", 1)
    assert it.run().code == 0
    later = it.store.states()[-1].id
    said = it.run("--resume", first)
    assert said.code == 3
    assert f"the run {later} of this playbook came later than {first}" in said.err
    assert it.run("--resume", first, "--accept-changes").code != 3


def test_another_run_of_the_playbook_is_told_of(place: Make) -> None:
    """Where one is under way, who starts another hears of it."""
    it = place()
    it.first(THREE)
    (run,) = it.store.runs()
    with Lock(run.lock, run.id):
        assert f"note: another run of this playbook is under way: {run.id}" in it.run().err


def test_a_new_run_tells_of_one_that_did_a_part(place: Make) -> None:
    """Starting anew would do once more what a run had done before it failed."""
    it = place()
    it.first(THREE)
    known = it.store.states()[0].id
    said = it.run()
    assert f"failed with some of it done: --resume {known} goes on with it" in said.err


def test_a_new_run_says_nothing_of_one_that_did_nothing(place: Make) -> None:
    """Neither where the run before failed before it changed anything, nor where it was whole."""
    it = place(OFFERS)
    it.write(HEAD + "steps: [{resource: offer, operation: get, id: 99}]\n")
    assert it.run().code == 1
    assert "note:" not in it.run().err
    it.write(HEAD + "steps: [{resource: offer, operation: getAll}]\n")
    assert it.run().code == 0
    assert "note:" not in it.run().err


def test_the_last_attempt_counts(place: Make) -> None:
    """What failed and went well when the run went on is no failure in what CI and people read."""
    it = place()
    it.first(THREE)
    assert it.resume("--junit", "r.xml", "--markdown", "r.md").code == 0
    assert [e["success"] for e in it.report if e["step"] == "note"] == [False, True]
    assert re.search(r'tests="3" failures="0" errors="0"', (it.folder / "r.xml").read_text())
    assert "failed" not in (it.folder / "r.md").read_text()
    told = it._cli("report", "report.jsonl")
    assert "3 succeeded" in told.out
    assert "1 call was made again later in the run: only the last time counts" in told.out


def test_a_report_of_a_run_by_its_id(place: Make, cli: Command, tmp_path: Path) -> None:
    """Who kept no report has one made of the journal, of a run that died as well."""
    it = place()
    it.first(THREE)
    run = it.store.states()[0].id
    kept = cli("report", "report.jsonl", "--markdown", "-").out
    assert cli("report", run, "--markdown", "-").out == kept
    assert "1 failed" in cli("report", run).out
    records = it.journal.read_bytes().splitlines(keepends=True)
    it.journal.write_bytes(b"".join(records[:-1]))
    died = cli("report", run)
    assert "The report has no end" in died.out
    it.folder.joinpath(".keitaro").rename(tmp_path / "elsewhere")
    assert cli("report", run).code == 2
    assert cli("report", run, "--state-dir", str(tmp_path / "elsewhere")).code == 0
    assert "verify the report" in cli("report", "verify", run).err


def test_a_run_that_names_many_steps_at_its_end(place: Make, cli: Command) -> None:
    """What was not run is in the journal too, however many steps: its report says the same."""
    it = place()
    later = [f"  - {{name: s{n:0200}, resource: offer, operation: getAll}}" for n in range(300)]
    text = [
        HEAD + "steps:",
        "  - {name: made, resource: group, operation: create, body: {name: A, type: offers}}",
        "  - {name: gone, resource: offer, operation: get, id: 99}",
        *later,
    ]
    it.write("\n".join(text) + "\n")
    first = it.run("--report", "report.jsonl")
    assert re.search(r"^not run: s0+, .*, s0+7, and 292 more$", first.err, re.MULTILINE)
    state = it.store.states()[0]
    for form in ("--markdown", "--junit"):
        kept = cli("report", "report.jsonl", form, "-").out
        assert cli("report", state.id, form, "-").out == kept
        assert "s0000" in kept
    assert f"--resume {state.id} goes on with it" in it.run().err


def test_a_step_that_failed_may_be_corrected(place: Make) -> None:
    """What a tracker turned down has done nothing: it is corrected, and the run goes on."""
    it = place()
    it.first(THREE, 1, Fault("status", match="PUT", status=422, body={"notes": ["is wrong"]}))
    it.write(THREE.replace("notes: ", "state: active, notes: "))
    assert it.resume().code == 0
    assert it.new_calls() == ["PUT /offers/1"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: G,", "name: H,", "group changed"),
        ("- {name: group", "- {name: grouped", "group, offer changed"),
        ("retry: 0,\n     body: {name: \"In", "retry: 1,\n     body: {name: \"In", "offer changed"),
    ],
    ids=["body", "name", "another-key"],
)  # fmt: skip
def test_a_change_of_what_is_done_is_refused(place: Make, old: str, new: str, said: str) -> None:
    """A step that has run may not change; --accept-changes goes on all the same."""
    it = place()
    it.first(THREE)
    changed = THREE.replace(old, new).replace("steps.group.", "steps.grouped."
                                              if "grouped" in new else "steps.group.")  # fmt: skip
    it.write(changed)
    refused = it.resume()
    assert (refused.code, it.new_calls()) == (3, [])
    assert said in refused.err
    assert "--accept-changes" in refused.err
    if "grouped" not in new:
        assert it.resume("--accept-changes").code == 0
        assert it.new_calls() == ["PUT /offers/1"]


def test_order_counts(place: Make) -> None:
    """Steps that have run may not change places."""
    it = place(OFFERS)
    lines = [
        "  - {name: a, resource: offer, operation: getAll}\n",
        "  - {name: b, resource: group, operation: create, body: {name: G, type: offers}}\n",
        "  - {name: c, resource: offer, operation: update, retry: 0, id: 1, body: {notes: x}}\n",
    ]
    it.first(HEAD + "steps:\n" + "".join(lines))
    it.write(HEAD + "steps:\n" + lines[1] + lines[0] + lines[2])
    refused = it.resume()
    assert (refused.code, "order of steps" in refused.err) == (3, True)


def test_changed_data_files(place: Make) -> None:
    """A file that a done step read may not have changed, where that changes what it sent."""
    it = place(OFFERS)
    it.write("name\nA\nB\n", "names.csv")
    text = (
        HEAD
        + """
steps:
  - {name: each, for_each: "${{ csv('names.csv') }}", resource: group, operation: create,
     body: {name: "${{ item.name }}", type: offers}}
  - {name: note, resource: offer, operation: update, retry: 0, id: 1, body: {notes: x}}
"""
    )
    it.first(text)
    it.write("name\nA\nC\n", "names.csv")
    refused = it.resume()
    assert (refused.code, it.new_calls()) == (1, [])
    assert "what each[1] would send now is not what it sent" in refused.err
    it.write("name\nA\nB\nC\n", "names.csv")
    assert it.resume().code == 0
    assert it.new_calls() == ["POST /groups", "PUT /offers/1"]


def test_inputs_are_remembered(place: Make) -> None:
    """Inputs need not be given again, and given again they must be the same."""
    it = place(OFFERS)
    text = (
        HEAD
        + """
inputs: {name: {type: string}, n: {type: integer, default: 1}}
steps:
  - {name: group, resource: group, operation: create, body: {name: "${{ inputs.name }}", type: offers}}
  - {name: note, resource: offer, operation: update, retry: 0, id: "${{ inputs.n }}",
     body: {notes: "${{ inputs.name }}"}}
"""
    )
    it.write(text)
    it.tracker.fault(Fault("status", match="PUT", status=500, times=2))
    assert it.run("--input", "name=N", "--input", "n=2").code == 1
    other = it.resume("--input", "name=M")
    assert (other.code, "the input name is not what" in other.err) == (2, True)
    assert it.resume("--input", "name=N").code == 1
    it.new_calls()
    assert it.resume().code == 0
    assert it.new_calls() == ["PUT /offers/2"]
    assert it.bodies[-1] == {"notes": "N"}


def test_secret_inputs_are_asked_for_again(place: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret input is not in the journal: it must be given again."""
    it = place(OFFERS)
    it.write(
        HEAD
        + """
inputs: {word: {type: string, secret: true, env: WORD}}
steps:
  - {name: group, resource: group, operation: create, body: {name: "${{ inputs.word }}", type: offers}}
  - {name: note, resource: offer, operation: update, retry: 0, id: 1, body: {notes: "${{ inputs.word }}"}}
"""
    )
    it.tracker.fault(BROKEN)
    monkeypatch.setenv("WORD", "hunter2222")
    assert it.run().code == 1
    monkeypatch.delenv("WORD")
    missing = it.resume()
    assert (missing.code, "set WORD" in missing.err) == (2, True)
    monkeypatch.setenv("WORD", "hunter2222")
    assert it.resume().code == 0
    assert it.bodies[-1] == {"notes": "hunter2222"}
    assert "hunter2222" not in it.written()


def test_an_open_input_that_holds_a_secret(place: Make) -> None:
    """An input that is not marked secret and holds the key all the same is not written down."""
    it = place(OFFERS)
    it.write(
        HEAD
        + """
inputs: {note: {type: string}}
steps: [{name: note, resource: offer, operation: update, retry: 0, id: 1,
         body: {notes: "${{ inputs.note }}"}}]
"""
    )
    it.tracker.fault(BROKEN)
    assert it.run("--input", f"note=the key is {it.tracker.key}").code == 1
    assert it.tracker.key not in it.written()
    assert "note" not in json.loads(it.journal.read_text().splitlines()[0])["inputs"]


def test_another_tracker_is_refused(
    place: Make, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run goes on where it was begun, and nowhere else."""
    it = place()
    it.first(THREE)
    other = start()
    monkeypatch.setenv("KEITARO_URL", other.url)
    refused = it.resume()
    assert (refused.code, calls(other)) == (2, [])
    assert f"begun on {it.tracker.url}" in refused.err


# -- in doubt -------------------------------------------------------------------------------------

CREATES = {
    "campaign": ("campaigns", "{name: N, alias: n}"),
    "group": ("groups", "{name: N, type: offers}"),
    "affiliateNetwork": ("affiliate_networks", "{name: N}"),
    "domain": ("domains", "{name: n.example}"),
    "user": ("users", "{login: n, type: USER, new_password: secret12, "
                      "new_password_confirmation: secret12}"),
}  # fmt: skip
AFTER = "  - {name: after, set: {id: '${{ steps.made.data.id }}'}}\n"


def _lost(it: Place, resource: str, kind: str = "reset_after") -> None:
    path, body = CREATES[resource]
    it.first(
        f"{HEAD}steps:\n  - {{name: made, resource: {resource}, operation: create, body: {body}}}\n"
        "  - {name: seen, resource: offer, operation: update, id: 1, "
        "body: {notes: 'id ${{ steps.made.data.id }}'}}\n",
        5,
        Fault(kind, match=LOST.format(path)),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("resource", CREATES)
@pytest.mark.parametrize("kind", ["reset_after", "reset_before"])
def test_a_create_in_doubt_is_looked_up(place: Make, resource: str, kind: str) -> None:
    """A create in doubt is looked for by its natural key: found, or else sent."""
    it = place(OFFERS)
    table, _ = CREATES[resource]
    before = len(it.tracker.state.rows(table))
    _lost(it, resource, kind)
    assert it.resume().code == 0
    assert len(it.tracker.state.rows(table)) == before + 1
    sent = [call for call in it.new_calls() if call.startswith("POST")]
    assert len(sent) == (kind == "reset_before")
    made = next(e for e in it.report if e["step"] == "made" and e["success"])
    row = it.tracker.state.rows(table)[-1]
    assert made["data"]["id"] == row["id"]
    assert made["settled"] == ("looked for and not found, so sent" if sent
                               else "found by its natural key")  # fmt: skip
    assert it.bodies[-1] == {"notes": f"id {row['id']}"}


def test_the_archive_is_searched(place: Make) -> None:
    """An entity that somebody archived meanwhile was made all the same."""
    it = place(OFFERS)
    _lost(it, "campaign")
    table = it.tracker.state.tables["campaigns"]
    table.change(table.get(1), {"state": "deleted"})
    assert it.resume().code == 0
    assert [r["alias"] for r in it.tracker.state.rows("campaigns")] == ["n"]


def test_groups_of_another_type(place: Make) -> None:
    """A group of the same name and another type is another group."""
    it = place({**OFFERS, "groups": [{"name": "N", "type": "campaigns"}]})
    _lost(it, "group", "reset_before")
    assert it.resume().code == 0
    assert [(g["name"], g["type"]) for g in it.tracker.state.rows("groups")] == [
        ("N", "campaigns"), ("N", "offers"),
    ]  # fmt: skip


def test_several_with_the_same_key(place: Make) -> None:
    """Where two have the same key nobody can tell: exit code 5, and a person decides."""
    it = place(OFFERS)
    _lost(it, "domain")
    table = it.tracker.state.tables["domains"]
    table.insert({**table.get(1), "id": 7})
    said = it.resume()
    assert said.code == 5
    assert "2 entities have name n.example" in said.err
    assert it.resume("--in-doubt", "made=id:1").code == 0
    assert it.new_calls()[-1] == "PUT /offers/1"


STREAM = (
    HEAD
    + """
steps:
  - {name: campaign, resource: campaign, operation: create, body: {name: N, alias: n}}
  - name: per
    for_each: [A, B]
    steps:
      - {name: flow, resource: stream, operation: create, body: {campaign_id:
         "${{ steps.campaign.data.id }}", type: regular, schema: redirect, action_type: http,
         name: "${{ item }}", collect_clicks: true}}
      - {name: tune, resource: stream, operation: update, id: "${{ steps.flow.data.id }}",
         body: {comments: "of ${{ steps.flow.data.name }}"}}
"""
)


def _flow_lost(it: Place, kind: str = "reset_after") -> None:
    it.first(STREAM, 5, Fault(kind, match="POST .*/streams$", after=1))  # type: ignore[arg-type]


def test_without_a_natural_key_a_person_is_asked(place: Make) -> None:
    """What can neither be repeated nor looked up stops the run, and says what to look at."""
    it = place()
    _flow_lost(it)
    said = it.resume()
    assert (said.code, it.new_calls()) == (5, [])
    assert "per[1].flow: stream.create, POST" in said.err
    assert '"name": "B"' in said.err
    assert "--in-doubt 'per[1].flow=done'" in said.err  # quoted, since brackets mean much to shells
    assert [run.state for run in it.store.states()] == ["in doubt"]
    assert it.store.states()[0].doubts == ("per[1].flow",)


def test_retry(place: Make) -> None:
    """`retry` sends it again."""
    it = place()
    _flow_lost(it, "reset_before")
    assert it.resume("--in-doubt", "per[1].flow=retry").code == 0
    assert it.new_calls() == ["POST /streams", "PUT /streams/2"]


def test_id(place: Make) -> None:
    """`id:N` takes what the tracker says of that entity for the answer."""
    it = place()
    _flow_lost(it)
    assert it.resume("--in-doubt", "per[1].flow=id:2").code == 0
    assert it.new_calls() == ["GET /streams/2", "PUT /streams/2"]
    assert it.bodies[-1] == {"comments": "of B"}
    settled = next(e for e in it.report if "settled" in e)
    assert (settled["settled"], settled["data"]["id"], settled["attempts"]) == ("taken as id", 2, 0)


@pytest.mark.parametrize(
    ("entity", "told"),
    [
        (1, "stream 1 is what another call of this run made"),
        (3, "has campaign_id 2, and per[1].flow sent 1"),
        (4, "has name 'A', and per[1].flow sent 'B'"),
    ],
)
def test_id_of_another(place: Make, entity: int, told: str) -> None:
    """An entity that cannot be what the call made is not taken for it, whoever says so."""
    it = place()
    _flow_lost(it)
    streams = it.tracker.state.tables["streams"]
    streams.insert({**streams.get(2), "id": 3, "campaign_id": 2})
    streams.insert({**streams.get(2), "id": 4, "name": "A"})
    said = it.resume("--in-doubt", f"per[1].flow=id:{entity}")
    assert (said.code, it.new_calls()) == (5, [f"GET /streams/{entity}"][: entity > 1])
    assert told in said.err
    assert it.store.states()[0].doubts == ("per[1].flow",)


@pytest.mark.parametrize("key", ["per", "per[1]", "per[1].flow"])
def test_a_word_on_a_loop(place: Make, key: str) -> None:
    """What is said of a loop, or of one of its items, is said of each call in it that is in doubt."""
    it = place()
    _flow_lost(it, "reset_before")
    assert it.resume("--in-doubt", f"{key}=retry").code == 0
    assert it.new_calls() == ["POST /streams", "PUT /streams/2"]


def test_id_of_nothing(place: Make) -> None:
    """An id that the tracker does not have settles nothing."""
    it = place()
    _flow_lost(it)
    said = it.resume("--in-doubt", "per[1].flow=id:99")
    assert said.code == 5
    assert it.store.states()[0].doubts == ("per[1].flow",)


def test_done(place: Make) -> None:
    """`done` takes it for done; later steps that need its answer say that there is none."""
    it = place()
    _flow_lost(it)
    said = it.resume("--in-doubt", "per[1].flow=done")
    assert (said.code, it.new_calls()) == (1, [])
    assert it.report[-1]["error"]["type"] == "template"
    assert it.store.states()[0].state == "failed"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("per[0].flow=done", "per[0].flow is not in doubt"),
        ("flow=done", "in doubt is: per[1].flow"),
        ("per=id:2", "per is not in doubt"),
        ("per[1].flow=maybe", "cannot be read"),
        ("per[1].flow=id:", "cannot be read"),
        ("per[1].flow", "cannot be read"),
    ],
)
def test_wrong_words(place: Make, word: str, said: str) -> None:
    """A word on what is not in doubt, or that is none, is refused before anything is sent."""
    it = place()
    _flow_lost(it)
    refused = it.resume("--in-doubt", word)
    assert (refused.code, it.new_calls()) == (2, [])
    assert said in refused.err


def test_words_go_with_resume(place: Make) -> None:
    """A word on a doubt means nothing in a run that begins."""
    it = place()
    it.write(THREE)
    assert it.run("--in-doubt", "offer=done").code == 2
    assert it.run("--accept-changes").code == 2
    assert it.new_calls() == []


def test_a_delete_in_doubt(place: Make) -> None:
    """A delete in doubt is repeated, and one that finds nothing left was done."""
    it = place({"groups": [{"id": 1, "name": "G", "type": "offers"}]})
    it.first(
        HEAD + "steps: [{name: gone, resource: group, operation: delete, id: 1, retry: 0}]\n",
        5,
        Fault("reset_after", match="DELETE"),
    )
    assert it.resume().code == 0
    assert it.new_calls() == ["DELETE /groups/1/delete"]
    assert it.report[-1]["settled"] == "sent again"
    assert it.report[-1]["success"] is True


def test_in_doubt_and_changed(place: Make) -> None:
    """A call in doubt that would now be another is not taken for the same."""
    it = place(OFFERS)
    it.write("n\n", "name.txt")
    it.first(
        HEAD
        + """
steps: [{name: made, resource: group, operation: create,
         body: {name: "${{ file('name.txt') | trim }}", type: offers}}]
""",
        5,
        Fault("reset_after", match="POST"),
    )
    it.write("m\n", "name.txt")
    said = it.resume()
    assert (said.code, it.new_calls()) == (1, ["GET /groups"])
    assert it.store.states()[0].doubts == ("made",)
    it.write("n\n", "name.txt")
    assert it.resume().code == 0


def test_all_doubts_are_settled_before_anything_is_sent(place: Make) -> None:
    """A word that cannot be right stops all of a loop, however many of it are under way at once."""
    it = place(OFFERS)
    text = (
        HEAD
        + """
steps:
  - {name: each, for_each: [1, 2, 3, 4, 5, 6, 7, 8], concurrency: 3, on_error: continue,
     resource: offer, operation: create, body: {name: "New ${{ item }}"}}
"""
    )
    it.first(text, 5, Fault("reset_after", match="POST", times=3))
    doubts = it.store.states()[0].doubts
    assert len(doubts) == 3
    said = it.resume(*(f"--in-doubt={key}={word}" for key, word in
                       zip(doubts, ("id:1", "done", "id:999"), strict=True)))  # fmt: skip
    assert said.code == 5
    assert f"{doubts[0]}: offer 1 has name" in said.err
    assert f"{doubts[2]}: offer.get was asked" in said.err
    assert it.new_calls() == ["GET /offers/1", "GET /offers/999"]
    assert it.store.states()[0].doubts == doubts


MADE = "{name: made, resource: campaign, operation: create, body: {name: N, alias: n}%s}"
FIRST = "{name: first, resource: offer, operation: update, id: 1, body: {notes: x}}"


@pytest.mark.parametrize("how", ["shorter", "gone"])
def test_a_doubt_that_the_run_does_not_come_to(place: Make, how: str) -> None:
    """A loop that is shorter now, a step that is gone: that the rest is done is no success."""
    it = place(OFFERS)
    it.write("alias\na\nb\n", "r.csv")
    loop = (
        "{name: made, for_each: \"${{ csv('r.csv') }}\", resource: campaign, operation: create, "
        "body: {name: N, alias: '${{ item.alias }}'}}"
    )
    it.first(steps(FIRST, loop), 5, Fault("reset_after", match="POST", after=1))
    if how == "shorter":
        it.write("alias\na\n", "r.csv")
    else:
        it.write(steps(FIRST))
    said = it.resume("--accept-changes")
    assert said.code == 5
    assert "made[1] is as much in doubt as before" in said.err
    trailer = json.loads((it.folder / "report.jsonl").read_text().splitlines()[-1])
    assert trailer["exit_code"] == 5
    assert [call for call in it.new_calls() if not call.startswith("GET")] == []
    assert it.store.states()[0].state == "in doubt"
    assert it.resume("--accept-changes", "--in-doubt", "made[1]=done").code == 0


def test_a_doubt_whose_condition_is_false_now(place: Make) -> None:
    """It held when the call was sent, and what became of that is found out."""
    it = place(OFFERS)
    look = "{name: look, resource: offer, operation: get, id: 9, on_error: continue, retry: 0}"
    when = MADE % ", when: '${{ not steps.look.success }}'"
    it.first(steps(look, when), 5, Fault("reset_after", match="POST"))
    it.tracker.state.tables["offers"].insert({**it.tracker.state.rows("offers")[0], "id": 9})
    said = it.resume()
    assert said.code == 0
    assert it.report[-1]["settled"] == "found by its natural key"
    assert it.store.states()[0].state == "done"


@pytest.mark.parametrize("inside", ["", "steps"])
def test_a_doubt_below_a_condition_that_is_false_now(place: Make, inside: str) -> None:
    """The loop, or the block, was begun when it held: it is gone on with."""
    it = place(OFFERS)
    look = "{name: look, resource: offer, operation: get, id: 9, on_error: continue, retry: 0}"
    when = ", when: '${{ not steps.look.success }}'"
    made = MADE.replace("alias: n", "alias: 'a${{ item }}'") % ""
    loop = made.replace("{name: made", "{name: made, for_each: [1, 2]")
    text = f"{{name: block{when}, steps: [{loop}]}}" if inside else loop[:-1] + when + "}"
    it.first(steps(look, text), 5, Fault("reset_after", match="POST", after=1))
    it.tracker.state.tables["offers"].insert({**it.tracker.state.rows("offers")[0], "id": 9})
    assert it.resume().code == 0
    assert [row["alias"] for row in it.tracker.state.rows("campaigns")] == ["a1", "a2"]
    assert it.store.states()[0].state == "done"


def test_what_another_call_made_is_not_found(place: Make) -> None:
    """By its natural key there is one, and it is that of the call before: this one is sent."""
    it = place(OFFERS)
    loop = "{name: made, for_each: [1, 2], resource: affiliateNetwork, operation: create, body: {name: Net}}"
    it.first(steps(loop), 5, Fault("reset_before", match="POST", after=1))
    said = it.resume()
    assert said.code == 1  # the tracker takes no second one of that name, and says so
    assert "POST /affiliate_networks" in it.new_calls()


def test_another_key_than_the_one_in_doubt(place: Make) -> None:
    """What was sent is there: a playbook that would now make another is asked about."""
    it = place(OFFERS)
    it.first(steps(MADE % ""), 5, Fault("reset_after", match="POST"))
    it.write(steps(MADE.replace("alias: n", "alias: m") % ""))
    said = it.resume("--accept-changes")
    assert said.code == 5
    assert "what was sent is there (alias n), and would be sent otherwise now" in said.err
    assert [row["alias"] for row in it.tracker.state.rows("campaigns")] == ["n"]


def test_what_one_call_made_no_other_did(place: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """An id is a word on one call; and a name that holds a secret says nothing against it."""
    it = place(OFFERS)
    loop = "{name: o, for_each: [1, 2], on_error: continue, resource: offer, operation: create, "
    body = "body: {name: 'same-${{ inputs.word }}'}}"
    head = ["inputs: {word: {type: string, secret: true, env: WORD}}"]
    monkeypatch.setenv("WORD", "hush-hush")
    it.first(steps(loop + body, head=head), 5, Fault("reset_after", match="POST", times=2))
    ids = [row["id"] for row in it.tracker.state.rows("offers")][-2:]
    said = it.resume("--in-doubt", f"o[0]=id:{ids[0]}", "--in-doubt", f"o[1]=id:{ids[0]}")
    assert said.code == 5
    assert f"o[1]: offer {ids[0]} is what another call of this run made" in said.err
    said = it.resume("--in-doubt", f"o[0]=id:{ids[0]}", "--in-doubt", f"o[1]=id:{ids[1]}")
    assert said.code == 0, said.err


def test_a_lookup_that_fails(place: Make) -> None:
    """Where the tracker cannot be asked now, the doubt stays."""
    it = place(OFFERS)
    _lost(it, "campaign")
    it.tracker.fault(Fault("status", match="GET", status=500))
    said = it.resume()
    assert said.code == 5
    assert "asked to learn what became of a call" in said.err
    assert it.resume().code == 0
    assert [r["alias"] for r in it.tracker.state.rows("campaigns")] == ["n"]


# -- the state folder -----------------------------------------------------------------------------


def test_a_torn_last_line(place: Make) -> None:
    """A last line that was not written whole is cut off; what came before it holds."""
    it = place()
    it.first(THREE)
    with it.journal.open("ab") as file:
        file.write(b'{"record":"outcome","key":"no')
    assert it.resume().code == 0
    assert it.new_calls() == ["PUT /offers/1"]
    assert all(json.loads(line) for line in it.journal.read_text().splitlines())


@pytest.mark.parametrize("damage", [b"\x00" * 30, b"{}", b"[1]", b'{"record": "out'])
def test_a_damaged_line(place: Make, damage: bytes) -> None:
    """A journal that is damaged in its midst is refused, with the line, and nothing is sent."""
    it = place()
    it.first(THREE)
    lines = it.journal.read_bytes().split(b"\n")
    lines[2] = damage
    it.journal.write_bytes(b"\n".join(lines))
    said = it.resume()
    assert (said.code, it.new_calls()) == (2, [])
    assert "line 3, is damaged" in said.err
    assert it.store.states()[0].state.startswith("damaged")


def test_a_run_that_came_to_nothing(place: Make) -> None:
    """A run that was killed before its first record stands in nobody's way."""
    it = place()
    it.first(THREE)
    later = it.folder / ".keitaro/runs/29990101-000000-abcdef"
    later.mkdir()
    for content in (b"", b'{"record":"run","fi'):
        (later / "journal.jsonl").write_bytes(content)
        assert len(it.store.states()) == 1
    assert it.resume().code == 0
    assert it.new_calls() == ["PUT /offers/1"]


def test_a_living_owner(place: Make) -> None:
    """Two processes never go on with the same run; who has it is said."""
    it = place()
    it.first(THREE)
    folder = it.store.runs()[-1]
    size = folder.journal.stat().st_size
    report = (it.folder / "report.jsonl").read_bytes()
    with Lock(folder.lock, folder.id):
        said = it.resume()
        assert [run.state for run in it.store.states()] == ["running"]
    assert (said.code, it.new_calls()) == (2, [])
    assert f"by process {os.getpid()} on " in said.err
    assert folder.journal.stat().st_size == size
    assert (it.folder / "report.jsonl").read_bytes() == report


def test_a_dead_owner(place: Make) -> None:
    """What a dead owner left in the lock keeps nobody out."""
    it = place()
    it.first(THREE)
    it.store.runs()[-1].lock.write_text('{"pid": 1, "host": "elsewhere", "since": "1999"}')
    assert it.resume().code == 0


def test_what_another_process_did_meanwhile(place: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The past is read once the lock is held: what the owner before did is not done again."""
    it = place()
    it.first(THREE)
    enter = Lock.__enter__

    def slow(self: Lock) -> Lock:
        """Wait for the lock, while another process goes on with the run to its end."""
        monkeypatch.setattr(Lock, "__enter__", enter)
        assert it.resume().code == 0
        return enter(self)

    monkeypatch.setattr(Lock, "__enter__", slow)
    said = it.resume()
    assert (said.code, "is complete" in said.err) == (2, True)
    assert it.new_calls() == ["PUT /offers/1"]


def test_asking_does_not_lock_out(place: Make) -> None:
    """Who asks for the state of runs holds the lock for a moment, which a run waits out."""
    it = place()
    it.first(THREE)
    handle = os.open(it.store.runs()[-1].lock, os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX)
    threading.Timer(0.03, os.close, [handle]).start()
    assert it.resume().code == 0


def test_states(place: Make, cli: Command) -> None:
    """`runs` tells the state of each run, the oldest first."""
    it = place(OFFERS)
    it.write(HEAD + "steps: [{resource: offer, operation: getAll}]\n")
    assert it.run().code == 0
    it.first(THREE)
    _flow_lost(it)
    it.run("--anew")
    records = it.journal.read_text().splitlines()
    it.journal.write_text("\n".join(records[:-1]) + "\n")
    listed = json.loads(cli("runs", "--format", "json").out)
    assert sorted(run["state"] for run in listed) == ["died", "done", "failed", "in doubt"]
    assert [run["started"] for run in listed] == sorted(run["started"] for run in listed)
    assert next(run["calls"] for run in listed if run["state"] == "failed") == 2
    text = cli("runs").out
    assert "in doubt: per[1].flow" in text
    assert len(text.splitlines()) == 4


def test_nothing_to_resume(place: Make, cli: Command) -> None:
    """Without a run that is not complete there is nothing to go on with."""
    it = place(OFFERS)
    assert it.resume().code == 2
    it.write(HEAD + "steps: [{resource: offer, operation: getAll}]\n")
    assert it.run().code == 0
    assert "no run to resume" in it.resume().err
    named = it.run("--resume", it.store.runs()[0].id)
    assert (named.code, "is complete" in named.err) == (2, True)
    for wrong in ("20200101-000000-000000", "../../etc"):
        assert cli("run", "playbook.yaml", f"--resume={wrong}").code == 2


def test_resume_by_name_and_by_playbook(place: Make, cli: Command) -> None:
    """The latest run of this playbook is meant, or the one that is named."""
    it = place(OFFERS)
    it.first(THREE)
    first = it.store.runs()[0].id
    it.write(THREE, "other.yaml")
    it.tracker.fault(BROKEN)
    it.drop("groups", 1)
    assert cli("run", "other.yaml").code == 1
    it.new_calls()
    said = cli("run", "--resume", first, "playbook.yaml")
    assert said.code == 0
    assert it.new_calls() == ["PUT /offers/6"]
    assert f"run {first}" in said.err
    assert cli("run", "--resume").code == 0
    assert it.new_calls() == ["PUT /offers/7"]
    assert len(cli("runs").out.splitlines()) == len(cli("runs", ".").out.splitlines()) == 2
    (own,) = cli("runs", "playbook.yaml").out.splitlines()
    assert own.startswith(first)
    assert own.endswith(" on default")
    it.write(THREE, "new.yaml")
    assert "no runs of new.yaml in" in cli("runs", "new.yaml").err
    lost = cli("runs", "nowhere.yaml")
    assert (lost.code, lost.out) == (2, "")
    assert "there is no nowhere.yaml" in lost.err


def test_the_command_to_go_on_with_works(place: Make, cli: Command) -> None:
    """What a failed run says to type goes on with it, wherever its state is kept."""
    it = place()
    it.write(THREE, "my playbook.yaml")
    it.tracker.fault(BROKEN)
    said = cli("run", "my playbook.yaml", "--state-dir", "my state")
    assert said.code == 1
    line = next(line for line in said.err.splitlines() if "--resume" in line)
    words = shlex.split(line[line.index("keitaro-runner") :])
    assert cli(*words[1:]).code == 0


def test_destroys_of_earlier_parts_count_from_the_first_call(place: Make) -> None:
    """However many are under way at once, and whichever of them come first."""
    it = place({"offers": [{"id": n, "name": f"O{n}"} for n in range(1, 41)]})
    it.write(steps(
        "{name: gone, for_each: '${{ range(1, 41) }}', when: '${{ item > 0 }}', concurrency: 16, "
        "resource: offer, operation: delete, id: '${{ item }}'}"
    ))  # fmt: skip
    assert it.run("--max-destroy", "10").code == 1
    for _ in range(2):
        assert it.resume("--max-destroy", "10").code == 1
    archived = [row for row in it.tracker.state.rows("offers") if row["state"] == "deleted"]
    assert len(archived) == 10


def test_destroys_of_all_parts_count(place: Make) -> None:
    """What a run may destroy is for all of its parts together."""
    it = place(OFFERS)
    it.write(
        HEAD
        + """
vars: {more: [4, 5]}
steps:
  - {name: one, for_each: [1, 2], resource: offer, operation: delete, id: "${{ item }}"}
  - {name: note, resource: offer, operation: update, retry: 0, id: 3, body: {notes: x}}
  - {name: two, for_each: "${{ vars.more }}", resource: offer, operation: delete, id: "${{ item }}"}
"""
    )
    it.tracker.fault(BROKEN)
    assert it.run("--max-destroy", "3").code == 1
    it.new_calls()
    said = it.resume("--max-destroy", "3")
    assert (said.code, it.new_calls()) == (1, ["PUT /offers/3"])
    assert "would destroy 4, and may destroy 3" in said.err
    assert it.resume("--max-destroy", "4").code == 0
    assert len(it.new_calls()) == 2


def test_a_run_of_another_version(place: Make) -> None:
    """What another version wrote down cannot be compared, which is told, and not that it changed."""
    it = place()
    it.first(THREE)
    text = it.journal.read_text()
    it.journal.write_text(text.replace('"version":2', '"version":1', 1))
    said = it.resume()
    assert said.code == 3
    assert "was begun by another version of keitaro-runner" in said.err
    assert it.resume("--accept-changes").code == 0


def test_a_step_called_as_steps_without_a_name_are() -> None:
    """The keys of its calls would be those of others."""
    rules = Rules(Catalogue())
    for name in ("steps", "finally"):
        text = HEAD + f"steps: [{{name: {name}, set: {{a: 1}}}}]\n"
        (problem,) = check(parse(text, "p.yaml"), rules)
        assert (problem.code, "not be 'steps'" in problem.message) == ("KP204", True)


def test_a_mark_makes_no_other_fingerprint(place: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was hidden is not asked for again, whatever else is in the body, and in the secret."""
    it = place()
    text = (
        HEAD
        + """
steps:
  - {name: made, resource: campaign, operation: create, body: {name: A, alias: a}}
  - {name: sent, resource: group, operation: create,
     body: {name: "Gr\u00fcn ${{ steps.made.data.token }}", type: offers}}
  - {name: bad, resource: offer, operation: get, id: 99}
"""
    )
    monkeypatch.setattr(it.tracker.state, "token", lambda *_: "abcnullnullnull1")
    it.first(text, 1, Fault("status", match="GET .*/offers/99", status=404))
    said = it.resume()
    assert it.new_calls() == ["GET /offers/99"], said.err


@pytest.mark.parametrize("option", [("--inputs", "given.yaml"), ("--insecure",)])
def test_what_the_next_part_needs_is_in_the_command(
    place: Make, folder: Path, option: tuple[str, ...]
) -> None:
    """A file of inputs may hold secrets, which the journal has not."""
    it = place()
    (folder / "given.yaml").write_text("n: 2\n")
    it.write(THREE.replace("steps:", "inputs: {n: {type: integer, default: 1}}\nsteps:"))
    it.tracker.fault(BROKEN)
    assert " ".join(option) in it.run(*option).err.splitlines()[-1]


def test_what_is_asked_to_settle_a_doubt_is_asked_again(place: Make) -> None:
    """Trouble that passes keeps no run from going on: it is a question, and does no harm."""
    it = place()
    it.first(THREE, 5, Fault("reset_after", match="/groups"))
    it.tracker.fault(Fault("status", match="GET .*/groups", status=503, times=2))
    assert it.resume().code == 0
    assert it.new_calls()[:3] == ["GET /groups"] * 3


def test_a_question_shows_first_what_tells_one_from_another(place: Make) -> None:
    """Of a long body the names and what it belongs to."""
    it = place()
    _flow_lost(it)
    line = next(line for line in it.resume().err.splitlines() if "per[1].flow" in line)
    assert line.index('"campaign_id"') < line.index('"type"')


def test_stdout_is_no_file(place: Make) -> None:
    """`-` may be the name of a folder, too."""
    it = place(OFFERS)
    (it.folder / "-").mkdir()
    it.write(HEAD + "steps: [{resource: offer, operation: getAll}]\n")
    assert it.run("--junit", "-").out.startswith("<?xml")


def test_a_whole_run_that_changed_nothing_ends_the_matter(place: Make) -> None:
    """What an earlier run had left undone was done, or was there: nobody is told of it any more."""
    it = place()
    it.first(THREE)
    assert "goes on with it" in it.run().err
    it.write(HEAD + "steps: [{resource: offer, operation: getAll}]\n")
    it.run()
    assert "note:" not in it.run().err
