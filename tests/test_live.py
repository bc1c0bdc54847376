"""The live view: what it shows of a run, and that the terminal is as it was when it has gone."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Start, calls, command_line, environment, steps
from rich.cells import cell_len
from rich.console import Console as Terminal

from runner.emulator import Emulator, Fault
from runner.model import (
    CallStarted,
    Event,
    Finished,
    ItemFinished,
    LoopFinished,
    LoopStarted,
    Phase,
    Retrying,
    StepStarted,
)
from runner.report.live import Live
from runner.report.view import MOST_CALLS, View, clock

HIDDEN, SHOWN = b"\x1b[?25l", b"\x1b[?25h"


def finished(key: str, *, success: bool | None = True) -> Finished:
    return Finished(key, {"skipped": None, "success": success})


def shown(*events: tuple[float, Event], now: float, width: int = 80) -> list[str]:
    """What the view shows after events, each at its time."""
    view = View(0.0)
    for moment, event in events:
        view.take(event, moment)
    terminal = Terminal(file=io.StringIO(), width=width, color_system=None, force_terminal=True)
    terminal.print(view.render(now, width), end="")
    text = terminal.file.getvalue()  # type: ignore[attr-defined]
    lines = [line.rstrip() for line in text.splitlines()]
    assert all(cell_len(line) <= width for line in lines)
    return lines


# -- the view ---------------------------------------------------------------------------------


def test_the_step_and_its_call() -> None:
    """The step, the time since the start, and the call under way are shown."""
    head, call = shown(
        (0, StepStarted("a", "campaign", 2, 7)),
        (1, CallStarted("a", "campaign.create", 1)),
        now=3.5,
    )
    assert re.fullmatch(r"step 2 of 7  campaign {20,}0:04", head)
    assert call == "  ⠴ a  campaign.create  2.5 s"


def test_a_loop_has_a_bar() -> None:
    """Where the length is known there is a bar, with the rate and the time that is left."""
    events: list[tuple[float, Event]] = [(0.0, LoopStarted("flows", 30, 1))]
    events += [(n / 2, ItemFinished("flows")) for n in range(1, 11)]
    line = shown(*events, now=5.0)[1]
    assert re.fullmatch(r"  flows\s+━+[╸╺]?━*\s+10/30  2\.0/s  0:10 left", line)


def test_a_loop_that_is_over_has_none() -> None:
    """The bar goes with its loop, and a loop of one item has none."""
    over = [(0.0, LoopStarted("a", 5, 1)), (1.0, LoopFinished("a")), (1.0, LoopStarted("b", 1, 1))]
    assert len(shown(*over, now=2.0)) == 2


def test_the_rate_is_that_of_late() -> None:
    """A loop that slowed down is measured by its last seconds."""
    view = View(0.0)
    view.take(LoopStarted("a", 1000, 1), 0.0)
    for _ in range(500):
        view.take(ItemFinished("a"), 1.0)
    for second in range(1, 40):
        view.render(float(second), 80)
        view.take(ItemFinished("a"), float(second))
    terminal = Terminal(file=io.StringIO(), width=80, color_system=None)
    terminal.print(view.render(40.0, 80))
    assert "1.0/s" in terminal.file.getvalue()  # type: ignore[attr-defined]


def test_calls_in_flight_keep_their_lines() -> None:
    """With concurrency each call has a line of its own, and a gap where one has ended."""
    events: list[tuple[float, Event]] = [(0.0, LoopStarted("a", 9, 3))]
    events += [(0.0, CallStarted(f"a[{n}]", "offer.get", 1)) for n in range(3)]
    events += [(0.1, finished("a[1]"))]
    assert shown(*events, now=0.2)[2:] == ["  ⠹ a[0]  offer.get  0.2 s", "  ·",
                                          "  ⠹ a[2]  offer.get  0.2 s"]  # fmt: skip
    events += [(0.2, CallStarted("a[3]", "offer.get", 1))]
    assert "a[3]" in shown(*events, now=0.2)[3]


def test_many_calls_in_flight() -> None:
    """Of very many calls some are shown, and the others counted."""
    events = [(0.0, CallStarted(f"a[{n}]", "offer.get", 1)) for n in range(12)]
    lines = shown(*events, now=0.2)
    assert len(lines) == MOST_CALLS + 2
    assert lines[-1] == "  … and 4 more"


def test_pauses_and_retries() -> None:
    """A pause counts down with its reason, and the call that follows says which try it is."""
    events: list[tuple[float, Event]] = [
        (0.0, CallStarted("a", "offer.get", 1)),
        (1.0, Retrying("a", 1, 4.0, "too many\x1b[2J [bold]requests")),
    ]
    head, call = shown(*events, now=2.0)
    assert head.endswith("paused 3 s  0:02")
    assert call == "  ‖ a  try 2 in 3.0 s: too many\ufffd[2J [bold]requests"
    assert shown(*events, (5.0, CallStarted("a", "offer.get", 2)), now=6.0)[1] == (
        "  ⠋ a  offer.get  6.0 s  try 2"
    )


def test_failures_are_counted() -> None:
    """What failed and what is unknown is counted in the first line."""
    head = shown((0, finished("a", success=False)), (0, finished("b", success=None)), now=0)[0]
    assert head.split() == ["1", "failed", "1", "unknown", "0:00"]


def test_finally_is_told() -> None:
    """The steps of `finally` are told apart; those of an included playbook are not."""
    assert shown((0, Phase(False, ("clean",))), now=0)[0].startswith("finally")
    assert not shown((0, Phase(False, ("inc.clean",))), now=0)[0].startswith("finally")


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_it_fits_the_terminal(width: int) -> None:
    """Long names and wide characters are cut to the width, and the end of a name is kept."""
    name = "活动" * 30
    lines = shown(
        (0, StepStarted(name, name, 1, 1)),
        (0, LoopStarted(name, 5, 2)),
        (0, CallStarted(f"{name}[3]", "campaign.create", 1)),
        (0, CallStarted(f"{name}[4]", "campaign.create", 1)),
        (0, Retrying(f"{name}[4]", 1, 2.0, "x" * 300)),
        now=0.5,
        width=width,
    )
    assert "[3]" in lines[2]
    assert len(lines) == 4


def test_clock() -> None:
    """Times read as on a watch."""
    assert [clock(s) for s in (0.4, 67, 3723)] == ["0:00", "1:07", "1:02:03"]


# -- on a terminal ----------------------------------------------------------------------------


@contextmanager
def on_terminal(
    *args: str, cwd: Path, tracker: Emulator, columns: int = 80, **more: str
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The command with its stderr on a terminal; gives the process and our end of that."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    known = {"KEITARO_URL": tracker.url, "KEITARO_API_KEY": tracker.key, "COLUMNS": str(columns)}
    with subprocess.Popen(
        command_line(*args), cwd=cwd, env=environment(**known, PYTHONUTF8="1", **more),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True,
    ) as process:  # fmt: skip
        os.close(theirs)
        try:
            yield process, ours
        finally:
            process.kill()
            os.close(ours)


def read(terminal: int, until: bytes = b"") -> bytes:
    """What the terminal shows, up to some words or to its end."""
    seen = b""
    while not (until and until in seen):
        assert select.select([terminal], [], [], 20)[0], seen
        try:
            part = os.read(terminal, 65536)
        except OSError:  # so it is on Linux once the other end is closed
            part = b""
        if not part:
            assert not until, seen
            return seen
        seen += part
    return seen


LOOP = steps(
    "{name: made, for_each: '${{ range(6) }}', concurrency: 3, resource: affiliateNetwork,"
    " operation: create, body: {name: 'n ${{ item }}'}}"
)


def screen(output: bytes, columns: int = 80, rows: int = 60) -> list[str]:
    """What such a terminal shows in the end: text, line feeds, and the few codes that rich uses."""
    lines, row, column = [""] * rows, 0, 0
    for code, text in re.findall(r"(\x1b\[[?\d;]*[A-Za-z]|[\r\n])|([^\x1b\r\n]+)", output.decode()):
        if text:
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
            column += len(text)
        elif code == "\r":
            column = 0
        elif code == "\n":
            row, column = row + 1, 0
        elif code.endswith("A"):
            row -= int(code[2:-1] or 1)
        elif code == "\x1b[2K":
            lines[row] = ""
    return [line.rstrip() for line in lines[: row + 1]]


def test_a_run_on_a_terminal(folder: Path, start: Start) -> None:
    """The view comes with a bar, lines scroll up above it, and in the end only they are left."""
    tracker = start(Fault("delay", seconds=0.3, times=None))
    (folder / "p.yaml").write_text(LOOP)
    with on_terminal("run", "p.yaml", cwd=folder, tracker=tracker) as (process, terminal):
        seen = read(terminal)
        assert process.wait(30) == 0
    assert b"step 1 of 1" in seen
    assert re.search(rb"\d/6", seen)
    assert seen.count(HIDDEN) == seen.count(SHOWN) == 1
    assert seen.index(HIDDEN) < seen.index(SHOWN)
    left = screen(seen)
    assert sum(line.startswith("ok       made[") for line in left) == 6
    assert not any("step 1 of 1" in line or "━" in line for line in left)
    assert any(line.startswith("run ") and "6 changed" in line for line in left)


def test_pauses_on_a_terminal(folder: Path, start: Start) -> None:
    """A pause is shown while it lasts, with the tracker's words, which the terminal cannot obey."""
    words = {"error": "slow \x1b]0;owned\x07 [bold]down"}
    tracker = start(Fault("status", status=429, body=words, headers={"Retry-After": "1"}))
    (folder / "p.yaml").write_text(LOOP)
    with on_terminal("run", "p.yaml", cwd=folder, tracker=tracker, columns=200) as (_, terminal):
        seen = read(terminal)
    assert b"try 2 in " in seen
    assert b"[bold]down" in seen
    assert b"\x1b]0;" not in seen
    assert b"\x07" not in seen


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c(folder: Path, start: Start, times: int) -> None:
    """Ctrl-C ends the run, says how to go on, and gives the terminal back; twice at once."""
    tracker = start(Fault("delay", seconds=0.6, times=None))
    (folder / "p.yaml").write_text(LOOP)
    with on_terminal("run", "p.yaml", cwd=folder, tracker=tracker) as (process, terminal):
        seen = read(terminal, b"made[0]")
        process.send_signal(signal.SIGINT)
        seen += read(terminal, b"once more stops at once")
        if times == 2:
            process.send_signal(signal.SIGINT)
        seen += read(terminal)
        assert process.wait(30) == 130
    assert b"to go on: " in seen
    assert b"Traceback" not in seen
    assert seen.rindex(SHOWN) > seen.rindex(HIDDEN)
    left = screen(seen)
    assert sum("once more stops at once" in line for line in left) == 1
    assert not any("step 1 of 1" in line or "━" in line for line in left)
    done = sum(line.startswith("ok ") for line in left)
    assert done == (3 if times == 1 else 0)


PLAIN = {
    "quiet": (["-q"], {}),
    "switched-off": (["--no-live"], {}),
    "no-color": ([], {"NO_COLOR": "1"}),
    "ci": ([], {"CI": "true"}),
    "dumb": ([], {"TERM": "dumb"}),
}


@pytest.mark.parametrize(("words", "variables"), PLAIN.values(), ids=PLAIN)
def test_no_view(words: list[str], variables: dict[str, str], folder: Path, start: Start) -> None:
    """There is no view when quiet, when switched off, in CI, and where the terminal is dumb."""
    (folder / "p.yaml").write_text(LOOP)
    with on_terminal(
        "run", "p.yaml", *words, cwd=folder, tracker=start(), **variables
    ) as (process, terminal):  # fmt: skip
        seen = read(terminal)
        assert process.wait(30) == 0
    assert HIDDEN not in seen
    assert b"step 1 of 1" not in seen
    if variables:
        assert b"\x1b" not in seen


def test_a_terminal_that_goes(folder: Path, start: Start) -> None:
    """Where the terminal is closed under a run, the run ends as it would have."""
    tracker = start(Fault("delay", seconds=0.3, times=None))
    (folder / "p.yaml").write_text(LOOP)
    ours, theirs = pty.openpty()
    known = {"KEITARO_URL": tracker.url, "KEITARO_API_KEY": tracker.key, "PYTHONUTF8": "1"}
    with subprocess.Popen(
        command_line("run", "p.yaml"), cwd=folder, env=environment(**known), stderr=theirs,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        os.close(theirs)
        read(ours, b"step 1 of 1")
        os.close(ours)
        assert process.wait(30) == 0
    assert len(calls(tracker)) == 6


# -- the drawing thread -----------------------------------------------------------------------


def test_lines_after_the_view() -> None:
    """What is said once the view has gone goes on as it is; what was said before is not lost."""
    stream, after = io.StringIO(), list[str]()
    with Live(stream, after.append) as live:
        live.say("\x1b[32mearly\x1b[0m [bold]")
    live.say("late")
    assert "\x1b[32mearly\x1b[0m [bold]\n" in stream.getvalue()
    assert after == ["late"]


def test_many_lines_cost_little() -> None:
    """Lines are put out together, so that saying one takes no time of the run's."""
    stream = io.StringIO()
    began = time.monotonic()
    with Live(stream, print) as live:
        for number in range(20_000):
            live.say(f"line {number}")
        spent = time.monotonic() - began
    assert stream.getvalue().count("line ") == 20_000
    assert spent < 2
