"""What is measured, one function to a group of figures; each gives rows for the table."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import floors, playbooks
from .measuring import (
    BenchmarkError,
    Server,
    Spread,
    Took,
    environment,
    in_turn,
    ratio,
    run,
    run_for_memory,
    settle,
)
from .peers import PEERS, Peer, hurl_apart
from .server import KEY, PATH

SMALL, LARGE = 3, 300
STEPS_IN_A_TURN = 3
DELAY = 0.02


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: a figure, what it is held against, and how the two compare.

    `least` is the ratio of the fastest rounds of both, `cpu` that of processor time: other work
    on the machine disturbs these less.
    """

    what: str
    figure: str
    beside: str = ""
    ratio: Spread | None = None
    aim: str = ""
    plain: Mapping[str, object] = field(default_factory=dict)
    cpu: Spread | None = None
    least: float | None = None


@dataclass(frozen=True, slots=True)
class Bench:
    """Where things are, and how often to measure."""

    python: Path
    folder: Path
    rounds: int
    peers: Path | None = None
    quick: bool = False

    @property
    def runner(self) -> Path:
        """The installed command."""
        return self.python.with_name("keitaro-runner")

    def at(self, server: Server, name: str) -> tuple[Path, dict[str, str]]:
        """A folder of its own for a tool, and the environment that leads to the server."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder, environment(KEITARO_URL=server.url, KEITARO_API_KEY=KEY)


Figure = Callable[[Bench, Server], Iterator[Row]]


def _runs(
    bench: Bench, server: Server, turns: int, state: str = "state", transport: str = "httpx"
) -> Callable[[], Took]:
    """`run` of so many turns with a report and a journal, checked at the server."""
    folder, _ = bench.at(server, "runner")
    file = playbooks.write(folder / f"turns-{turns}.yaml", playbooks.turns(turns))
    asked = {"POST": turns, "GET": turns, "PUT": turns}
    return _runs_file(bench, server, file, asked, state, transport)


def _runs_file(
    bench: Bench, server: Server, file: Path, asked: Mapping[str, int],
    state: str = "state", transport: str = "httpx",
) -> Callable[[], Took]:  # fmt: skip
    folder, env = bench.at(server, "runner")
    command = [bench.runner, "run", file, "--quiet", "--report", "report.jsonl",
               "--state-dir", state, "--transport", transport]  # fmt: skip

    def task() -> Took:
        shutil.rmtree(folder / state, ignore_errors=True)
        took = run(command, folder, env)
        server.check(asked)
        count = (folder / "report.jsonl").read_bytes().count(b'"success":true')
        if count != sum(asked.values()):
            raise BenchmarkError(f"the report has {count} calls that succeeded")
        return took

    return task


def _scripts(
    bench: Bench, server: Server, script: str, turns: int, asked: Mapping[str, int] | None = None
) -> Callable[[], Took]:
    """A floor, with the same requests."""
    wanted = asked or {"POST": turns, "GET": turns, "PUT": turns}
    folder, env = bench.at(server, "floors")
    text = floors.fill(
        script, URL=server.url + PATH.decode(), PATH=PATH.decode(), KEY=KEY, PORT=server.port,
        TURNS=turns,
    )  # fmt: skip

    def task() -> Took:
        took = run([bench.python, "-c", text], folder, env)
        server.check(wanted)
        return took

    return task


def _code(bench: Bench, server: Server, code: str) -> Callable[[], Took]:
    folder, env = bench.at(server, "floors")
    return lambda: run([bench.python, "-c", code], folder, env)


def _command(bench: Bench, server: Server, *words: str | Path) -> Callable[[], Took]:
    folder, env = bench.at(server, "runner")
    return lambda: run([bench.runner, *words], folder, env)


def _seconds(took: list[Took]) -> list[float]:
    return [one.seconds for one in took]


def _milli(took: list[Took]) -> str:
    return f"{Spread.of([one.seconds * 1e3 for one in took])} ms"


def _compare(
    what: str, found: Mapping[str, list[Took]], failed: Mapping[str, str], mine: str, floor: str,
    aim: float,
) -> Row:  # fmt: skip
    if failed:
        return Row(what, "failed", "; ".join(failed.values()))
    one, other = _seconds(found[mine]), _seconds(found[floor])
    cpu = ratio([took.cpu for took in found[mine]], [took.cpu for took in found[floor]])
    return Row(
        what, _milli(found[mine]), f"{floor}: {_milli(found[floor])}", ratio(one, other),
        f"≤ {aim:g}",
        {"ms": Spread.of(one).median * 1e3, "beside_ms": Spread.of(other).median * 1e3,
         "least_ms": min(one) * 1e3, "beside_least_ms": min(other) * 1e3},
        cpu, min(one) / min(other),
    )  # fmt: skip


# -- the figures ----------------------------------------------------------------------------------


def start_up(bench: Bench, server: Server) -> Iterator[Row]:
    """Each command beside the imports of the libraries that it could not do without."""
    folder, _ = bench.at(server, "runner")
    small = playbooks.write(folder / "small.yaml", playbooks.turns(1))
    rounds = bench.rounds * 2
    for what, mine, name, floor in (
        ("--help", _command(bench, server, "--help"),
         "import click", _code(bench, server, "import click")),
        ("validate, 3 steps", _command(bench, server, "validate", small),
         "import click, yaml, jsonschema", _code(bench, server, "import click, yaml, jsonschema")),
        ("run, 3 steps", _runs(bench, server, 1),
         "those and httpx, and 3 requests", _scripts(bench, server, floors.HTTPX_AND_ALL, 1)),
    ):  # fmt: skip
        found, failed = in_turn(rounds, {what: mine, name: floor})
        yield _compare(what, found, failed, what, name, 1.3)


def in_order(bench: Bench, server: Server) -> Iterator[Row]:
    """300 steps beside the same requests over the bare clients, whole processes and per step."""
    few, many = SMALL // STEPS_IN_A_TURN, LARGE // STEPS_IN_A_TURN
    memory = Path("/dev/shm")
    tasks = {
        "run 3": _runs(bench, server, few),
        "httpx 3": _scripts(bench, server, floors.HTTPX, few),
        "http.client 3": _scripts(bench, server, floors.HTTP_CLIENT, few),
        "run": _runs(bench, server, many),
        "httpx": _scripts(bench, server, floors.HTTPX, many),
        "http.client": _scripts(bench, server, floors.HTTP_CLIENT, many),
        "curl 3": _runs(bench, server, few, transport="curl"),
        "curl": _runs(bench, server, many, transport="curl"),
    }
    if memory.is_dir() and os.access(memory, os.W_OK):
        state = str(memory / f"keitaro-runner-bench-{os.getpid()}")
        tasks["in memory 3"] = _runs(bench, server, few, state)
        tasks["in memory"] = _runs(bench, server, many, state)
    found, failed = in_turn(bench.rounds, tasks)
    if "in memory" in tasks:
        shutil.rmtree(state, ignore_errors=True)
    if failed:
        yield Row("300 steps", "failed", "; ".join(failed.values()))
        return
    yield _compare("300 steps in order", found, {}, "run", "httpx", 1.25)
    yield _compare("300 steps, --transport curl", found, {}, "curl", "httpx", 1.25)
    if "in memory" in found:
        what = "300 steps, journal in memory"
        yield _compare(what, found, {}, "in memory", "httpx", 1.25)
    for name, aim in (("httpx", "≤ 1.25"), ("http.client", "")):
        yield _per_step("per step, 3 to 300", found, "run", name, aim)
    yield _per_step("per step, --transport curl", found, "curl", "httpx", "≤ 1.25")
    if "in memory" in found:
        what = "per step, journal in memory"
        yield _per_step(what, found, "in memory", "httpx", "≤ 1.25")


def answers(bench: Bench, server: Server) -> Iterator[Row]:
    """Bodies and answers of the size that trackers have, beside `httpx.Client` and `.json()`."""
    folder, _ = bench.at(server, "runner")
    for what, write, floor, kind, count in (
        ("300 creates of 14 fields", playbooks.creates, floors.HTTPX_CREATES, "POST", 300),
        (
            "300 creates, 3 fields computed",
            playbooks.computed_creates,
            floors.HTTPX_CREATES,
            "POST",
            300,
        ),
        ("100 lists of 100 campaigns", playbooks.lists, floors.HTTPX_LISTS, "list", 100),
    ):
        file = playbooks.write(folder / f"{write.__name__}.yaml", write(count))
        asked = {kind: count}
        tasks = {"run": _runs_file(bench, server, file, asked),
                 "httpx": _scripts(bench, server, floor, count, asked)}  # fmt: skip
        found, failed = in_turn(bench.rounds, tasks)
        yield replace(_compare(what, found, failed, "run", "httpx", 0), aim="")


def _per_step(
    what: str, found: Mapping[str, list[Took]], mine: str, beside: str, aim: str, *,
    steps: int = LARGE, times: bool = False,
) -> Row:  # fmt: skip
    """A row on what one step more costs; `times` turns the ratio round: how often as long."""
    own, other = (
        [_slopes(found[name], found[f"{name} 3"], count, of) for of in ("seconds", "cpu")]
        for name, count in ((mine, LARGE), (beside, steps))
    )
    plain = {
        "ms": Spread.of(own[0]).median, "beside_ms": Spread.of(other[0]).median,
        "least_ms": _least(found, mine, LARGE), "beside_least_ms": _least(found, beside, steps),
        "cpu_ms": Spread.of(own[1]).median, "beside_cpu_ms": Spread.of(other[1]).median,
    }  # fmt: skip
    least = plain["least_ms"] / plain["beside_least_ms"]
    over, under = (other, own) if times else (own, other)
    return Row(
        what, f"{Spread.of(own[0])} ms", f"{beside}: {Spread.of(other[0])} ms",
        ratio(over[0], under[0]), aim, plain, ratio(over[1], under[1]),
        1 / least if times else least,
    )  # fmt: skip


def _least(found: Mapping[str, list[Took]], name: str, steps: int) -> float:
    few, many = min(_seconds(found[f"{name} 3"])), min(_seconds(found[name]))
    return (many - few) / (steps - SMALL) * 1e3


def _slopes(
    many: list[Took], few: list[Took], steps: int = LARGE, of: str = "seconds"
) -> list[float]:
    """Milliseconds a step, round by round; start-up falls out."""
    base = Spread.of([getattr(one, of) for one in few]).median
    return [(getattr(one, of) - base) / (steps - SMALL) * 1e3 for one in many]


def beside_peers(bench: Bench, server: Server) -> Iterator[Row]:
    """Per step and in whole, beside every peer that is installed."""
    few, many = SMALL // STEPS_IN_A_TURN, LARGE // STEPS_IN_A_TURN
    here = {peer.name: peer for peer in PEERS if peer.find(bench.peers)}
    for peer in PEERS:
        if peer.name not in here:
            yield Row(f"beside {peer.name}", "not installed: skipped")
    tasks = {"run 3": _runs(bench, server, few), "run": _runs(bench, server, many),
             "curl 3": _runs(bench, server, few, transport="curl"),
             "curl": _runs(bench, server, many, transport="curl")}  # fmt: skip
    for name, peer in here.items():
        tasks[f"{name} 3"] = _works(bench, server, peer, few)
        tasks[name] = _works(bench, server, peer, peer.most // STEPS_IN_A_TURN)
    found, failed = in_turn(max(3, bench.rounds // 2), tasks)
    for name, why in failed.items():
        yield Row(f"beside {name}", "failed", why.replace("\n", " ")[-200:])
    if "run" in failed or "run 3" in failed:
        return
    rows = []
    for name, peer in here.items():
        if name not in found or f"{name} 3" not in found:
            continue
        what = f"per step beside {name}"
        row = _per_step(what, found, "run", name, _AIMS.get(name, ""), steps=peer.most, times=True)
        start = Spread.of([one.seconds * 1e3 for one in found[f"{name} 3"]])
        peak = max(took.peak for took in found[name])
        plain = {**row.plain, "beside_3_steps_ms": start.median, "beside_peak_mb": peak}
        beside = f"{row.beside}; 3 steps {start.median:.0f} ms; {peak:.0f} MB"
        rows.append(replace(row, beside=beside, plain=plain))
        what = f"{what}, --transport curl"
        rows.append(_per_step(what, found, "curl", name, _AIMS.get(name, ""), steps=peer.most,
                              times=True))  # fmt: skip
    yield from sorted(rows, key=lambda row: row.least or 0)
    peak = max(took.peak for took in found["run"])
    yield Row("3 steps, whole", f"{_milli(found['run 3'])}; {peak:.0f} MB", "")


_AIMS = {"Respect": "≥ 3", "Newman": "≥ 15", "Ansible": "≥ 500", "Robot Framework": "> 1",
         "pyresttest": "> 1", "Tavern": "> 1", "HttpRunner": "> 1", "Step CI": "≥ 3"}  # fmt: skip


def _works(bench: Bench, server: Server, peer: Peer, turns: int) -> Callable[[], Took]:
    folder, env = bench.at(server, f"{peer.handle}-{turns}")
    program = peer.find(bench.peers)
    if program is None:
        raise BenchmarkError(f"{peer.name} is gone")
    command = [program, *peer.write(folder, server.url + PATH.decode(), turns)]
    env |= {**peer.quiet, "PATH": f"{program.parent}:{env['PATH']}"}

    def task() -> Took:
        server.book()
        shutil.rmtree(folder / "report", ignore_errors=True)  # Hurl adds to what is there
        took = run(command, folder, env)
        server.check({"POST": turns, "GET": turns, "PUT": turns})
        return took

    return task


def validating(bench: Bench, server: Server) -> Iterator[Row]:
    """Long playbooks beside reading the same YAML; whole processes."""
    folder, _ = bench.at(server, "runner")
    least: dict[str, float] = {}
    load = "import sys, yaml; yaml.load(open(sys.argv[1]), yaml.CLoader)"
    for size in (1_000, 10_000) if bench.quick else (1_000, 10_000, 100_000):
        for kind in ("paths", "computed"):
            if kind == "paths":
                parts = playbooks.turns(size // STEPS_IN_A_TURN)
            else:
                parts = playbooks.computed(size)
            file = playbooks.write(folder / f"{kind}-{size}.yaml", parts)
            own, floors_ = bench.at(server, "floors")
            mine, floor = f"validate {size}", "yaml.load with the C loader"
            tasks = {
                mine: _command(bench, server, "validate", file),
                floor: lambda file=file, own=own, env=floors_: run(
                    [bench.python, "-c", load, file], own, env
                ),
            }
            rounds = 1 if size > 10_000 else max(3, bench.rounds // 2)
            found, failed = in_turn(rounds, tasks)
            what = f"validate {size:,} steps, {kind}"
            row = _compare(what, found, failed, mine, floor, 2)
            if not failed:
                took = min(_seconds(found[mine]))
                growth = took / least[kind] if kind in least else None
                least[kind] = took
                peak = found[mine][0].peak
                more = f"; {growth:.1f} × the size before" if growth else ""
                row = replace(
                    row,
                    figure=f"{row.figure}, {peak:.0f} MB{more}",
                    plain={**row.plain, "growth": growth, "peak_mb": peak},
                )
            yield row
            file.unlink()


def in_parallel(bench: Bench, server: Server) -> Iterator[Row]:
    """300 calls at 20 ms an answer, timed at the server, as a share of the ideal."""
    del server
    with Server(DELAY) as slow:
        folder, env = bench.at(slow, "runner")
        apart = playbooks.write(folder / "apart.yaml", playbooks.apart(LARGE))
        for workers, aim in ((10, 0.85), (25, 0.75)):
            loop = playbooks.write(folder / f"loop-{workers}.yaml", playbooks.loop(LARGE, workers))
            script = floors.fill(
                floors.HTTPX_THREADS, URL=slow.url + PATH.decode(), KEY=KEY, WORKERS=workers,
                COUNT=LARGE,
            )  # fmt: skip
            run_ = [bench.runner, "run", "--quiet", "--report", "report.jsonl"]
            commands = {"loop": [*run_, loop], "jobs": [*run_, apart, f"--jobs={workers}"],
                        "httpx": [bench.python, "-c", script]}  # fmt: skip
            hurl = next(peer for peer in PEERS if peer.name == "Hurl").find(bench.peers)
            if hurl:
                address = slow.url + PATH.decode()
                commands["Hurl"] = [hurl, *hurl_apart(folder, address, LARGE, workers)]
            shares = _shares(slow, bench, folder, env, LARGE * DELAY / workers, commands)
            for name, what in (
                ("loop", f"for_each of 300 at 20 ms, concurrency {workers}"),
                ("jobs", f"300 steps at 20 ms, --jobs {workers}"),
            ):
                yield Row(what, f"{shares[name].median:.0%} of the ideal",
                          f"httpx.Client to a thread: {shares['httpx'].median:.0%}", shares[name],
                          f"≥ {aim}" if name == "loop" else "",
                          {"share": shares[name].median,
                           "beside_share": shares["httpx"].median})  # fmt: skip
            if hurl:
                share = shares["Hurl"].median
                yield Row(f"300 steps at 20 ms, --jobs {workers}",
                          f"{shares['jobs'].median:.0%} of the ideal",
                          f"Hurl, 300 files, --jobs {workers}: {share:.0%}", None, "",
                          {"share": shares["jobs"].median, "beside_share": share})  # fmt: skip


def _shares(
    slow: Server, bench: Bench, folder: Path, env: Mapping[str, str], ideal: float,
    commands: Mapping[str, list[str | Path]],
) -> dict[str, Spread]:  # fmt: skip
    """What share of the ideal each command reaches, from the first request to the last answer."""
    found: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(bench.rounds + 1):
        for name, command in commands.items():
            shutil.rmtree(folder / "report", ignore_errors=True)
            settle()
            run(command, folder, env)
            book = slow.check({"GET": LARGE})
            if number:
                found[name].append(ideal / book["seconds"])
    return {name: Spread.of(shares) for name, shares in found.items()}


def memory(bench: Bench, server: Server) -> Iterator[Row]:
    """The peak of a loop, and of reports exported, at two sizes."""
    few, many = 1_000, 10_000 if bench.quick else 100_000
    for kind, write in (
        ("range", playbooks.loop), ("csv", playbooks.csv_loop), ("list", playbooks.list_loop)
    ):  # fmt: skip
        peaks = {}
        for count in (few, many):
            folder, env = bench.at(server, "runner")
            playbooks.write(folder / f"rows-{count}.csv", playbooks.rows(count))
            file = playbooks.write(folder / f"loop-{count}.yaml", write(count))
            took = run_for_memory(
                [bench.runner, "run", file, "--quiet", "--report", "report.jsonl",
                 "--state-dir", "state"], folder, env,
            )  # fmt: skip
            server.check({"GET": count})
            peaks[count] = took
            shutil.rmtree(folder / "state", ignore_errors=True)
            (folder / "report.jsonl").unlink()
        one, other = peaks[many], peaks[few]
        yield Row(f"peak memory, loop of {many:,} ({kind})", f"{one.peak:.1f} MB",
                  f"of {few:,}: {other.peak:.1f} MB", Spread.of([one.peak / other.peak]), "≤ 1.1",
                  {"mb": one.peak, "beside_mb": other.peak,
                   "us_per_item": (one.seconds - other.seconds) / (many - few) * 1e6})  # fmt: skip
    yield from _exports(bench, server)


def _exports(bench: Bench, server: Server) -> Iterator[Row]:
    folder, env = bench.at(server, "runner")
    try:
        run([bench.runner, "report", "--help"], folder, env)
    except BenchmarkError:
        yield Row("peak memory, report exported", "there is no command `report`: skipped")
        return
    few, many = 10_000, 100_000 if bench.quick else 1_000_000
    for form in ("html", "junit"):
        peaks = {}
        for count in (few, many):
            file = playbooks.write(folder / "envelopes.jsonl", playbooks.envelopes(count))
            out = folder / f"exported.{form}"
            try:
                peaks[count] = run_for_memory(
                    [bench.runner, "report", file, f"--{form}", out], folder, env
                )
            except BenchmarkError as error:
                yield Row(f"peak memory, report to {form}", "failed", str(error)[-200:])
                break
            finally:
                file.unlink()
                out.unlink(missing_ok=True)
        else:
            one, other = peaks[many], peaks[few]
            yield Row(f"peak memory, {many:,} envelopes to {form}",
                      f"{one.peak:.1f} MB in {one.seconds:.1f} s",
                      f"{few:,}: {other.peak:.1f} MB", Spread.of([one.peak / other.peak]),
                      "bounded",
                      {"mb": one.peak, "beside_mb": other.peak,
                       "seconds": one.seconds})  # fmt: skip


def syncing(bench: Bench, server: Server) -> Iterator[Row]:
    """What the disk takes to keep a line: over zeros, as in the journal, and at the end of a file."""
    del server
    kept: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(bench.rounds):
        for over_zeros, costs in kept.items():
            costs.append(_line_kept(bench.folder / "synced", over_zeros=over_zeros))
    over, at_end = kept[True], kept[False]
    spread = Spread.of(over)
    share = spread.median * 2 / STEPS_IN_A_TURN
    yield Row(
        "sync of a line in the journal", f"{spread} µs; {share:.0f} µs a step, two of three writing",
        f"a file that grows: {Spread.of(at_end)} µs", ratio(over, at_end), "",
        {"us": spread.median, "beside_us": Spread.of(at_end).median},
    )  # fmt: skip


def _line_kept(file: Path, *, over_zeros: bool, count: int = 100) -> float:
    """Microseconds to write a line and to know it on the disk."""
    line = b"x" * 400 + b"\n"
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    took = 0.0
    try:
        if over_zeros:
            os.pwrite(handle, bytes(len(line) * count), 0)
            os.fsync(handle)
        for number in range(count):
            time.sleep(0.0005)
            began = time.perf_counter()
            os.pwrite(handle, line, len(line) * number)
            (os.fdatasync if over_zeros else os.fsync)(handle)
            took += time.perf_counter() - began
    finally:
        os.close(handle)
        file.unlink()
    return took / count * 1e6


FIGURES: Mapping[str, Figure] = {
    "start": start_up,
    "order": in_order,
    "answers": answers,
    "sync": syncing,
    "parallel": in_parallel,
    "validate": validating,
    "peers": beside_peers,
    "memory": memory,
}
