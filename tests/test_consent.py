"""Steps that destroy: what must be agreed to, by whom, and how many there may be."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import Command, Said, Start, calls, command_line, environment, steps

from runner.emulator import Emulator

OFFERS = {"offers": [{"id": n, "name": f"Offer {n}"} for n in range(1, 31)],
          "campaigns": [{"id": 1, "name": "C", "alias": "c"}]}  # fmt: skip
DELETE = "{name: gone, resource: offer, operation: delete, id: 1}"
READ = "{name: all, resource: offer, operation: getAll}"
UNBOUNDED = {
    "campaign-archive": "{name: wipe, resource: campaign, operation: cleanArchive}",
    "clicks": "{name: wipe, resource: click, operation: clean, body: {start_date: 2026-01-01, "
    "end_date: 2026-01-02, timezone: UTC}}",
    "bots": "{name: wipe, resource: bot, operation: delete}",
    "log": "{name: wipe, resource: log, operation: delete, params: {type: system}}",
}


@pytest.fixture
def tracker(start: Start, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """A tracker with offers, which the environment names."""
    tracker = start(seed=OFFERS)
    monkeypatch.setenv("KEITARO_URL", tracker.url)
    monkeypatch.setenv("KEITARO_API_KEY", tracker.key)
    return tracker


@pytest.fixture
def run(folder: Path, cli: Command, tracker: Emulator) -> Command:
    """Runs steps, without a terminal."""

    def go(text: str, *args: str) -> Said:
        (folder / "p.yaml").write_text(text)
        return cli("run", "p.yaml", *args)

    return go


# -- without a terminal ---------------------------------------------------------------------------


def test_refused_without_a_terminal(run: Command, tracker: Emulator) -> None:
    """Where nobody can be asked nothing is sent, and what would be destroyed is said."""
    said = run(steps(READ, DELETE))
    assert (said.code, calls(tracker)) == (2, [])
    assert re.search(r"gone  offer.delete; the tracker archives it \(p.yaml:4:5\)", said.err)
    assert "add --yes" in said.err


@pytest.mark.parametrize("yes", ["--yes", "--yes=gone"])
def test_yes(run: Command, tracker: Emulator, yes: str) -> None:
    """`--yes` agrees to all, `--yes=STEP` to that one."""
    assert run(steps(DELETE), yes).code == 0
    assert calls(tracker) == ["DELETE /offers/1/archive"]


def test_each_must_be_agreed_to(run: Command, tracker: Emulator) -> None:
    """Agreeing to one step is no agreement to another."""
    said = run(steps(DELETE, DELETE.replace("gone", "more")), "--yes=gone")
    assert (said.code, calls(tracker)) == (2, [])
    assert "more  offer.delete" in said.err
    assert "gone  offer.delete" not in said.err


def test_who_agrees_to_what_is_not_there_is_told(run: Command, tracker: Emulator) -> None:
    """A name that is none of a step that destroys was meant for another, and nothing is sent."""
    said = run(steps(DELETE), "--yes=gon")
    assert "--yes=gon: no step of that name destroys anything\n  = these do: --yes=gone" in said.err
    assert "leave it out" in run(steps(READ), "--yes=gone").err
    assert run(steps(READ), "--yes").code == 0
    assert calls(tracker) == ["GET /offers"]


def test_the_tracker_is_named(run: Command, tracker: Emulator) -> None:
    """Who is to agree sees where it will be done."""
    assert f"this playbook destroys, on default ({tracker.url}):" in run(steps(DELETE)).err


def test_each_step_is_told_with_its_own_tracker(
    run: Command, folder: Path, tracker: Emulator, start: Start
) -> None:
    """Who agrees, looks on or reads what was done sees where: not the run's tracker for all."""
    other = start(seed=OFFERS)
    entries = {
        name: {"url": at.url, "key": {"env": "KEITARO_API_KEY"}}
        for name, at in (("old", tracker), ("new", other))
    }
    (folder / "trackers.yaml").write_text(json.dumps({"trackers": entries}))
    away = DELETE.replace("{name: gone", "{name: away, tracker: new")
    asked = "--trackers=trackers.yaml", "--tracker=old"
    said = run(steps(READ, DELETE, away), *asked)
    assert "this playbook destroys:\n" in said.err
    assert re.search(rf"  gone  offer.delete; .*, on old \({tracker.url}\)\n", said.err)
    assert re.search(rf"  away  offer.delete; .*, on new \({other.url}\)\n", said.err)
    said = run(steps(READ, away), *asked, "--yes", "--markdown=r.md", "--report=r.jsonl")
    assert said.err.startswith(f"p.yaml on old ({tracker.url}), new ({other.url})\n")
    assert "away  offer.delete on new  200" in said.err
    assert "all  offer.getAll  200" in said.err
    assert "- away (offer.delete on new)" in (folder / "r.md").read_text().replace("\\", "")
    broken = away.replace("id: 1", "id: 99").replace("away", "lost")
    said = run(steps(away.replace("id: 1", "id: 2"), broken), *asked, "--yes")
    assert said.err.startswith(f"p.yaml on new ({other.url})\nnote: no step runs on old, since all")
    assert "\n  away (offer.delete on new) id 2\n" in said.err
    computed = away.replace("new", '"${{ steps.all.data[0].name }}"')
    assert (
        "on a tracker that is known once the run comes to it"
        in run(steps(READ, computed), *asked).err
    )


EACH = "{name: b, for_each: %s, resource: offer, operation: delete, id: '${{ item }}'}"
INNER = EACH.replace("name: b", "name: c") % "[2, 3, 4]"


@pytest.mark.parametrize(("second", "words", "each"), [
    ("{name: b, resource: offer, operation: delete, id: 2}", "", ""),
    (EACH % "[2, 3]", " 3", " once for each of 2 items"),
    (EACH % "'${{ range(inputs.many) }}'", " 6", " once for each of 5 items"),
    (EACH % "'${{ inputs.ids }}'", " 3", " once for each of 2 items"),
    (f"{{name: b, for_each: [1, 2], as: outer, steps: [{INNER}]}}", " 7",
     " once for each of 3 items"),
    (f"{{name: b, when: '${{{{ inputs.many > 2 }}}}', steps: [{INNER}]}}", " up to 20",
     " once for each of 3 items"),
    (EACH % "'${{ steps.all.data | pluck(\"id\") }}'", " up to 20", " once for each item"),
    (EACH % "'${{ vars.some }}'", " up to 20", " once for each item"),
    (EACH % "'${{ inputs.ids[7] }}'", " up to 20", " once for each item"),
    (EACH.replace("resource", "when: '${{ item > 2 }}', resource") % "[2, 3]", " up to 20",
     " once for each item"),
])  # fmt: skip
def test_how_much_is_destroyed_is_told(run: Command, second: str, words: str, each: str) -> None:
    """Where the number is not that of the steps it is told, or the bound if nobody knows it."""
    head = ("inputs:\n  many: {type: integer, default: 5}\n  ids: {type: array, default: [4, 5]}\n"
            "vars: {some: [6]}\n")  # fmt: skip
    said = run(head + steps(READ, DELETE, second))
    assert f"this playbook destroys{words}, on default" in said.err, said.err
    assert f"  offer.delete{each}; " in said.err


@pytest.mark.parametrize("items", ["'${{ range(1, 900) }}'", str([*range(1, 900)])])
def test_a_loop_that_is_known_to_destroy_too_much_is_refused_beforehand(
    run: Command, tracker: Emulator, items: str
) -> None:
    """What can be known is said before anything is sent, and not when the loop begins."""
    said = run(steps(READ, EACH % items), "--yes")
    assert (said.code, calls(tracker)) == (2, [])
    assert "this playbook destroys 899, and may destroy 20" in said.err


@pytest.mark.parametrize("kind", UNBOUNDED)
@pytest.mark.parametrize("args", [[], ["--yes"], ["--yes=other"]], ids=["none", "all", "other"])
def test_what_has_no_bound_must_be_named(
    run: Command, tracker: Emulator, kind: str, args: list[str]
) -> None:
    """A step that nothing limits is not agreed to along with others."""
    said = run(steps(UNBOUNDED[kind]), *args)
    assert (said.code, calls(tracker)) == (2, [])
    assert "--yes=wipe" in said.err
    assert re.search("the step wipe (empties|wipes) ", said.err)


@pytest.mark.parametrize("kind", UNBOUNDED)
def test_what_has_no_bound_may_be_named(run: Command, tracker: Emulator, kind: str) -> None:
    """Named, it is done."""
    said = run(steps(UNBOUNDED[kind]), "--yes=wipe")
    assert (said.code, len(calls(tracker))) == (0, 1), said.err


def test_below_blocks_and_includes(run: Command, tracker: Emulator, folder: Path) -> None:
    """Steps below others are named by the way to them; loops and `finally` count too."""
    (folder / "child.yaml").write_text(steps(UNBOUNDED["bots"]))
    text = steps("{name: block, steps: [{name: child, include: child.yaml}]}") + (
        "finally: [{name: last, for_each: [1, 2], resource: offer, operation: delete, "
        "id: '${{ item }}'}]\n"
    )
    assert "--yes=block.child.wipe" in run(text, "--yes").err
    said = run(text, "--yes=block.child.wipe")
    assert "last  offer.delete once for each of 2 items" in said.err
    assert calls(tracker) == []
    assert run(text, "--yes=block.child.wipe", "--yes").code == 0
    assert len(calls(tracker)) == 3


CLEAN = (
    "{{name: wipe, resource: click, operation: clean, body: {{campaign_id: {0}, "
    "start_date: 2026-01-01, end_date: 2026-01-02, timezone: UTC}}}}"
)


def test_a_bound_is_enough(run: Command, tracker: Emulator) -> None:
    """What would be unbounded but for a field of its body is not, where the field is there."""
    assert run(steps(CLEAN.format(1)), "--yes").code == 0
    assert len(calls(tracker)) == 1


@pytest.mark.parametrize("value", ["none", "''", "[] | first | default(none)", "0"])
def test_a_bound_that_comes_to_nothing(run: Command, tracker: Emulator, value: str) -> None:
    """A bound that is there and comes out empty is none: nothing is sent."""
    said = run(steps(CLEAN.format(f'"${{{{ {value} }}}}"')), "--yes")
    assert (said.code, calls(tracker)) == (1, []), said.err


def test_destroying_nothing_needs_no_consent(run: Command, tracker: Emulator) -> None:
    """A playbook that destroys nothing is run without a question, and so is the emulator's."""
    assert run(steps(READ)).code == 0
    assert run(steps(DELETE), "--emulator").code == 0
    assert calls(tracker) == ["GET /offers"]


# -- on a terminal --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "code", "sent"),
    [(b"y\n", 0, 1), (b"n\n", 2, 0), (b"\n", 2, 0), (b"\x04", 130, 0), (b"\x03", 130, 0)],
    ids=["yes", "no", "nothing", "end", "ctrl-c"],
)
def test_a_terminal_is_asked(
    folder: Path, tracker: Emulator, answer: bytes, code: int, sent: int
) -> None:
    """On a terminal a person sees what would be destroyed, and only a yes goes on."""
    (folder / "p.yaml").write_text(steps(DELETE))
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command_line("run", "p.yaml"), cwd=folder, env=environment(), stdin=theirs,
        stdout=theirs, stderr=theirs, start_new_session=True, close_fds=True,
        preexec_fn=lambda: _own_terminal(theirs),
    ) as process:  # fmt: skip
        os.close(theirs)
        shown = _read_until(ours, b"go on? [y/N]")
        assert b"gone  offer.delete; the tracker archives it" in shown
        _answer(ours, answer)
        assert process.wait(20) == code
    os.close(ours)
    assert len(calls(tracker)) == sent


def _own_terminal(terminal: int) -> None:
    import fcntl
    import termios

    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


def _read_until(terminal: int, words: bytes) -> bytes:
    shown = b""
    while words not in shown:
        assert select.select([terminal], [], [], 20)[0], shown
        shown += os.read(terminal, 4096)
    return shown


def _answer(terminal: int, keys: bytes) -> None:
    """Press keys until the other side is closed, which Linux tells as an error.

    Once more where nothing comes of it: what is pressed while a terminal changes its mode is lost.
    """
    for _ in range(10):
        os.write(terminal, keys)
        with suppress(OSError):
            while select.select([terminal], [], [], 3)[0]:
                if not os.read(terminal, 4096):
                    return
            continue
        return
    pytest.fail(f"{keys!r} is no answer")


# -- how many -------------------------------------------------------------------------------------

LOOP = "{{name: gone, for_each: {0}, resource: offer, operation: delete, id: '${{{{ item }}}}'}}"
# Ids of so many offers, which nobody knows before they are read.
READ_IDS = "\"${{{{ steps.all.data[:{0}] | pluck('id') }}}}\""


def test_too_many_are_refused_beforehand(run: Command, tracker: Emulator) -> None:
    """What is known to destroy more than it may sends nothing at all."""
    said = run(steps("{resource: offer, operation: getAll}", DELETE, DELETE.replace("gone", "too")),
               "--yes", "--max-destroy=1")  # fmt: skip
    assert (said.code, calls(tracker)) == (2, [])
    assert "this playbook destroys 2, and may destroy 1" in said.err


@pytest.mark.parametrize(("most", "sent"), [(None, 20), (3, 3), (0, 0)])
def test_a_loop_that_fits(run: Command, tracker: Emulator, most: int | None, sent: int) -> None:
    """A run destroys as many as it may, by default 20."""
    text = steps(LOOP.format(f'"${{{{ range(1, {sent + 1}) }}}}"'))
    args = [] if most is None else [f"--max-destroy={most}"]
    assert run(text, "--yes", *args).code == 0
    assert len(calls(tracker)) == sent


@pytest.mark.parametrize(("most", "count"), [(None, 21), (3, 4), (0, 1)])
def test_a_loop_too_long_is_refused_before_its_first(
    run: Command, tracker: Emulator, most: int | None, count: int
) -> None:
    """A loop that turns out to destroy too much does not begin."""
    text = steps(READ, LOOP.format(READ_IDS.format(count)))
    args = [] if most is None else [f"--max-destroy={most}"]
    said = run(text, "--yes", *args)
    assert (said.code, calls(tracker)) == (1, ["GET /offers"])
    assert (
        f"would destroy {count}, and may destroy {most or (20 if most is None else 0)}" in said.err
    )
    assert "if that is meant, allow more with --max-destroy" in said.err
    # Nobody lifts the limit by copying a line.
    line = next(line for line in said.err.splitlines() if line.startswith("to go on:"))
    assert f"--max-destroy {count}" not in line


def test_a_block_counts_for_each_of_its_items(run: Command, tracker: Emulator) -> None:
    """What a block destroys counts as often as it runs."""
    inner = "steps: [{name: a, resource: offer, operation: delete, id: '${{ item }}'}, " \
            "{name: b, resource: offer, operation: delete, id: '${{ item + 10 }}'}]"  # fmt: skip
    known = steps(f"{{name: both, for_each: [1, 2, 3], {inner}}}")
    assert run(known, "--yes", "--max-destroy=5").code == 2
    assert calls(tracker) == []
    text = steps(READ, f"{{name: both, for_each: {READ_IDS.format(3)}, {inner}}}")
    assert run(text, "--yes", "--max-destroy=5").code == 1
    assert calls(tracker) == ["GET /offers"]
    assert run(text, "--yes", "--max-destroy=6").code == 0


@pytest.mark.parametrize("workers", [1, 4])
def test_what_cannot_be_known_is_counted(run: Command, tracker: Emulator, workers: int) -> None:
    """Where conditions decide, the run stops at the one too many: exactly as many are destroyed."""
    text = steps(
        "{name: gone, for_each: '${{ range(1, 30) }}', when: '${{ item % 2 == 0 }}', "
        f"concurrency: {workers}, resource: offer, operation: delete, id: '${{{{ item }}}}'}}"
    )
    said = run(text, "--yes", "--max-destroy=5")
    assert (said.code, len(calls(tracker))) == (1, 5)
    assert "this run has destroyed 5, all that it may, and would go on" in said.err
    archived = [row for row in tracker.state.rows("offers") if row["state"] == "deleted"]
    assert len(archived) == 5


ALL = LOOP.format(READ_IDS.format(3))[:-1] + ", on_error: continue}"
ASKING = ALL.replace("resource", "when: '${{ item > 0 }}', resource")


@pytest.mark.parametrize(("loop", "destroyed"), [(ALL, 0), (ASKING, 2)], ids=["known", "counted"])
def test_once_it_is_too_much_nothing_goes_on(
    run: Command, tracker: Emulator, loop: str, destroyed: int
) -> None:
    """Not even where failures are passed over: the limit ends the run, but for `finally`."""
    read = READ.replace("name: all, ", "")
    block = f"{{name: block, on_error: continue, steps: [{loop}, {read}]}}"
    more = "{name: more, resource: offer, operation: delete, id: 20, on_error: continue}"
    said = run(steps(READ, block, more, read) + f"finally: [{read}]\n", "--yes", "--max-destroy=2")
    assert said.code == 1
    assert len(calls(tracker)) == destroyed + 2
    assert calls(tracker)[-1] == "GET /offers"


def test_steps_count_together(run: Command, tracker: Emulator) -> None:
    """The number is for the whole run, not for each step."""
    text = steps(LOOP.format("[1, 2]"), LOOP.format("[3, 4]").replace("gone", "more"))
    said = run(text, "--yes", "--max-destroy=3")
    assert (said.code, calls(tracker)) == (2, [])
    ids = READ_IDS.format(4).replace("[:4]", "[2:4]")
    text = steps(READ, LOOP.format("[1, 2]"), LOOP.format(ids).replace("gone", "more"))
    said = run(text, "--yes", "--max-destroy=3")
    assert (said.code, len(calls(tracker))) == (1, 3)
