"""The one command: `python -m tests.benchmarks`, from the repository's folder."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .figures import FIGURES, Bench, Row
from .measuring import BenchmarkError, Server, environment
from .peers import PEERS

_HEAD = (
    "| | keitaro-runner | beside | ratio | of the fastest | of CPU time | aim |\n"
    "|---|---|---|---|---|---|---|"
)
_ROOT = Path(__file__).parents[2]


def main() -> int:
    """Measure what is asked for, and print it."""
    asked = _arguments()
    asked.work.mkdir(parents=True, exist_ok=True)
    peers = asked.peers
    if asked.install_peers:
        peers = peers or asked.work / "peers"
        for peer in PEERS:
            if not peer.find(peers):
                _say(f"{peer.name}: {peer.install(peers) or 'installed'}")
    python = asked.python or _install(asked.work)
    facts = _facts(python)
    rows: list[tuple[str, Row]] = []
    with tempfile.TemporaryDirectory(dir=asked.work, prefix="run-") as folder, Server() as server:
        bench = Bench(python, Path(folder), asked.rounds, peers, quick=asked.quick)
        facts["server_us"] = round(server.speed(), 1)
        _say("; ".join(f"{name}: {value}" for name, value in facts.items()) + "\n")
        _say(_HEAD)
        for name in asked.only or FIGURES:
            try:
                for row in FIGURES[name](bench, server):
                    rows.append((name, row))
                    _say(_line(row))
            except BenchmarkError as error:
                _say(f"| {name} | failed: {error} | | | | | |")
                server.book()
    if asked.json:
        asked.json.write_text(json.dumps(_plain(facts, rows), ensure_ascii=False, indent=2) + "\n")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=main.__doc__)
    add = parser.add_argument
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    add("--only", nargs="+", choices=FIGURES, help="which groups of figures")
    add("--rounds", type=int, default=9, help="how often each is measured (default: 9)")
    add("--quick", action="store_true", help="leave out the largest sizes")
    add("--json", type=Path, metavar="FILE", help="write the figures here too")
    add("--peers", type=Path, metavar="DIR", help="where peers are installed, a folder to each")
    add("--install-peers", action="store_true", help="install the peers that are missing")
    add("--python", type=Path, help="of an environment that has keitaro-runner installed")
    add("--work", type=Path, metavar="DIR", default=cache / "keitaro-runner-benchmarks",
        help="where the wheel, environments and generated files go")  # fmt: skip
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _install(work: Path) -> Path:
    """A wheel of what is in the repository, installed in a new environment, byte-compiled."""
    source, wheels, venv = (work / name for name in ("source", "wheels", "venv"))
    for folder in (source, wheels, venv):
        shutil.rmtree(folder, ignore_errors=True)
    for name in _files():
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_ROOT / name, target)
    pip = [str(venv / "bin/python"), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    _call([sys.executable, "-m", "venv", str(venv)])
    _call([*pip, "wheel", "--no-deps", "--wheel-dir", str(wheels), str(source)])
    _call([*pip, "install", "--compile", *(f"{w}[curl]" for w in wheels.glob("*.whl"))])
    return venv / "bin/python"


def _files() -> Iterable[str]:
    """What the repository holds, changes that are not committed included."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    found = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True).stdout
    return (name for name in found.split("\0") if name and (_ROOT / name).is_file())


def _call(command: list[str]) -> None:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:4])} failed: {done.stderr[-600:]}")


def _facts(python: Path) -> dict[str, Any]:
    code = (
        "import platform; from importlib.metadata import version as v; "
        "print(platform.python_version(), v('keitaro-runner'), v('httpx'))"
    )
    done = subprocess.run(
        [python, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    version, runner, httpx = done.stdout.split()
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{os.cpu_count()} × {_processor()}",
        "system": f"{platform.system()} {platform.machine()}",
        "python": version,
        "keitaro_runner": runner,
        "httpx": httpx,
        "load": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "CPU")


def _line(row: Row) -> str:
    ratio, cpu = (str(spread) if spread else "" for spread in (row.ratio, row.cpu))
    least = f"{row.least:.3g}" if row.least else ""
    cells = [row.what, row.figure, row.beside, ratio, least, cpu, row.aim]
    return f"| {' | '.join(cells)} |"


def _plain(facts: dict[str, Any], rows: list[tuple[str, Row]]) -> dict[str, Any]:
    figures = [
        {
            "group": group, "what": row.what, "figure": row.figure, "beside": row.beside,
            "ratio": row.ratio.plain() if row.ratio else None,
            "least_ratio": row.least,
            "cpu_ratio": row.cpu.plain() if row.cpu else None, "aim": row.aim, **row.plain,
        }
        for group, row in rows
    ]  # fmt: skip
    return {**facts, "figures": figures}


if __name__ == "__main__":
    sys.exit(main())
