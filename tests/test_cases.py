"""Playbooks in `cases/`, each with what it must lead to; `--update-cases` writes that anew.

A folder holds `playbook.yaml` and whatever it names. Without a `case.yaml` the playbook is
validated, and `expected.txt` holds what is printed and the exit code. With one it is run:
`args` beside it, `seed` and `faults` for the tracker; `expected.txt` holds the console and the
exit code, `envelopes.jsonl` what the report says, without what changes from run to run.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import NOON, Command, Said, Start, check_report

from runner.emulator import Fault

CASES = Path(__file__).parent / "cases"
WRONG = sorted(p.name for p in CASES.iterdir() if not (p / "case.yaml").exists())
RUNS = sorted(p.name for p in CASES.iterdir() if (p / "case.yaml").exists())

_VOLATILE = (
    (re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}"), "RUN"),
    (re.compile(r"\d+ ms"), "N ms"),
    (re.compile(r"127\.0\.0\.1:\d+"), "TRACKER"),
    (re.compile(r"was lost: [A-Za-z ]+"), "was lost: WHY"),  # each transport has its own words
)


@pytest.fixture
def case(request: pytest.FixtureRequest, folder: Path) -> Path:
    """A copy of the case's folder, to run in."""
    shutil.copytree(CASES / request.param, folder, dirs_exist_ok=True)
    return folder


@pytest.mark.parametrize("case", WRONG, indirect=True)
def test_validate(case: Path, request: pytest.FixtureRequest, cli: Command) -> None:
    """A playbook's mistakes are found, each at its place and in these words."""
    said = cli("validate", "playbook.yaml")
    _compare(request, "expected.txt", _console(said.out + said.err, said, case))


@pytest.mark.parametrize("case", RUNS, indirect=True)
def test_run(case: Path, request: pytest.FixtureRequest, start: Start, cli: Command,
             monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """A playbook leads to these calls, these lines on the console and this exit code."""
    about = yaml.safe_load((case / "case.yaml").read_text(encoding="utf-8")) or {}
    faults = [Fault.from_dict(raw) for raw in about.get("faults", [])]
    tracker = start(*faults, seed=about.get("seed"), clock=lambda: NOON)
    monkeypatch.setenv("KEITARO_URL", tracker.url)
    monkeypatch.setenv("KEITARO_API_KEY", tracker.key)
    said = cli("run", "playbook.yaml", "--report", "report.jsonl", *about.get("args", []))
    _compare(request, "expected.txt", _console(said.out + said.err, said, case))
    envelopes = check_report((case / "report.jsonl").read_text(encoding="utf-8"))
    shown = [json.dumps(_essence(envelope), ensure_ascii=False) for envelope in envelopes]
    _compare(request, "envelopes.jsonl", "".join(f"{line}\n" for line in shown))


def _essence(envelope: dict[str, Any]) -> dict[str, Any]:
    """What of an envelope is the same in every run."""
    request, error = envelope["request"], envelope["error"]
    kept = {
        key: envelope[key]
        for key in ("step", "index", "status", "success", "skipped", "count", "attempts")
        if envelope[key] is not None
    }
    if envelope["success"] is None:
        kept["success"] = None
    if request is not None:
        path = request["url"].split("/admin_api/v1", 1)[1]
        kept["request"] = f"{request['method']} {path}"
        kept["body"] = request["body"]
    if error is not None:
        kept["error"] = {"type": error["type"], "message": _masked(error["message"])}
    return kept


def _console(text: str, said: Said, folder: Path) -> str:
    text = _masked(text.replace(str(folder), "FOLDER"))
    return f"{text.rstrip()}\nexit code {said.code}\n"


def _masked(text: str) -> str:
    for pattern, word in _VOLATILE:
        text = pattern.sub(word, text)
    return text


def _compare(request: pytest.FixtureRequest, name: str, found: str) -> None:
    expected = CASES / request.node.callspec.params["case"] / name
    if request.config.getoption("--update-cases"):
        expected.write_text(found, encoding="utf-8")
    assert found == expected.read_text(encoding="utf-8")
