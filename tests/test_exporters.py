"""What a report becomes: JUnit, Markdown, annotations and a summary, from any report there is."""

from __future__ import annotations

import io
import json
import re
import tracemalloc
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Command, Emulator, Fault, Start, steps

from runner.errors import ExitCode, RunnerError
from runner.exporters import (
    FORMATS,
    Surroundings,
    append_job_summary,
    export,
    read_envelopes,
    write_all,
)
from runner.exporters.calls import Calls
from runner.exporters.excerpts import Excerpts

PLAYBOOK = """\
version: 1
inputs: {pin: {type: string, secret: true, default: first-secret}}
steps:
  - name: list
    resource: offer
    operation: getAll
  - name: buyer
    resource: user
    operation: create
    body:
      login: b
      new_password: second-secret
      token: "third-secret"   # a note
      api_key: |
        fourth-secret
      password: ${{ inputs.pin }}
      other: {secret: plain,-secret, x: "y"}
  - name: after
    resource: offer

    operation: getAll
"""
TRAILER = '{"run":"r1","trailer":true,"count":1,"head":"00","exit_code":1,"not_run":4}\n'


def envelope(seq: int = 1, outcome: str = "done", **more: Any) -> dict[str, Any]:
    """An envelope; `outcome` is done, failed, expectation, unknown or skipped."""
    good = outcome == "done"
    error = {
        "type": "expectation" if outcome == "expectation" else "invalid",
        "message": f"no good: {seq}", "hint": "right it", "stack": None, "status": 422,
        "response": {"alias": ["taken"]},
    }  # fmt: skip
    body: dict[str, Any] = {
        "run": "r1", "seq": seq, "step": "buyer", "index": None, "tracker": "main",
        "source": "p.yaml:7:5", "resource": "campaign", "operation": "create",
        "request": {"url": "https://t.example/admin_api/v1/campaigns", "method": "POST",
                    "headers": {"Api-Key": "***"}, "body": {"name": f"Campaign {seq}"}},
        "status": 200 if good else 422, "success": good, "skipped": None,
        "data": {"id": seq} if good else None, "count": None, "error": None if good else error,
        "attempts": 1, "started_at": f"2026-03-04T12:00:{seq % 60:02}.250Z", "duration_ms": 500.5,
    }  # fmt: skip
    if outcome == "unknown":
        body |= {"success": None, "status": None}
    if outcome == "skipped":
        body |= {"success": True, "skipped": "when: x is false", "request": None, "error": None,
                 "status": None}  # fmt: skip
    return body | more


def report(*envelopes: dict[str, Any], end: str = TRAILER) -> list[bytes]:
    """The lines of a report."""
    lines = [json.dumps(each, ensure_ascii=True) + "\n" for each in envelopes]
    return [line.encode() for line in [*lines, *([end] if end else [])]]


def exported(name: str, lines: list[bytes], folder: Path = Path("/nowhere"), **environ: str) -> str:
    stream = io.StringIO()
    FORMATS[name](read_envelopes(lines), stream, Surroundings(folder, environ))
    return stream.getvalue()


MIXED = [
    envelope(1),
    envelope(2, "failed"),
    envelope(3, "expectation", status=200, index=0),
    envelope(4, "unknown", index=[0, 2]),
    envelope(5, "skipped"),
]


# -- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "lines",
    [
        [],
        report(end=TRAILER),
        report({"step": "old"}, end=""),
        report(
            envelope(new_field={"x": [1]}, error="text", index={}, request=[], data=float("nan"))
        ),
        report(envelope(step=7, source=None, status="200", started_at=5, duration_ms=None)),
        report(envelope(1, "failed", error=None, started_at="2026-03-04 12:00", source="p.yaml")),
        report(envelope(seq=2**70, data={"id": 2**64, "rows": {}}, duration_ms=-1, status=True)),
    ],
    ids=["empty", "trailer only", "old", "strange", "mistyped", "bare", "huge numbers"],
)
def test_any_report_is_read(name: str, lines: list[bytes]) -> None:
    """Reports with fields missing, unknown or of the wrong type become every format."""
    assert exported(name, lines) or name == "github"


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in {"junit", "github"}])
def test_truncated_last_line(name: str) -> None:
    """A last line that is cut off is passed over, and the reader is told which it was."""
    text = exported(name, [*report(envelope(1), end=""), b'{"run":"r1","seq":2,"st'])
    assert "ine 2 is cut off" in text
    assert "has no end" in text


def test_trailer_is_no_envelope() -> None:
    """The trailer is no call, and what it tells of the run is kept."""
    reader = read_envelopes(report(envelope()))
    assert len(list(reader)) == 1
    assert reader.trailer is not None
    assert reader.trailer["not_run"] == 4
    assert "4 not run" in exported("terminal", report(envelope()))


def test_steps_that_were_not_run_are_named() -> None:
    """What the run did not come to is in every format for people, and a case of its own in JUnit."""
    end = TRAILER.replace('"not_run":4', '"not_run":30,"missed":["c","<d>",%s"z"]' % ('"e",' * 22))
    lines = report(envelope(1, "failed"), end=end)
    assert f"\nNot run: c, <d>{', e' * 18}, and 10 more\n" in exported("terminal", lines)
    assert "Not run\\: c, \\<d\\>, e" in exported("markdown", lines)
    assert "<p>Not run: c, &lt;d&gt;, e" in exported("html", lines)
    (suite,) = junit(lines)
    cases = [case for case in suite.findall("testcase") if case.find("skipped") is not None]
    assert [case.get("name") for case in cases] == ["c", "<d>", *["e"] * 22, "z"]
    assert {case.get("classname") for case in cases} == {"p/step"}
    assert (suite.get("tests"), suite.get("skipped")) == ("26", "25")
    for odd in ('"missed":7', '"missed":[1,null]', '"missed":[]'):
        end = TRAILER.replace('"exit_code":1,"not_run":4', f'"exit_code":0,{odd}')
        plain = report(envelope(1), end=end)
        assert "ot run" not in exported("terminal", plain)
        assert len(junit(plain)[0].findall("testcase")) == 1


@pytest.mark.parametrize(
    ("step", "index", "key", "pattern"),
    [
        ("a", None, "a", "a"),
        ("a", 3, "a[3]", "a[]"),
        ("a.b", 3, "a[3].b", "a[].b"),
        ("a.b", 3, "a.b[3]", "a.b[]"),
        ("a.b.c", [0, 12], "a[0].b.c[12]", "a[].b.c[]"),
        ("steps[0]", 0, "steps[0][0]", "steps[0][]"),
        ("steps[2].steps[2]", [2, 2], "steps[2][2].steps[2][2]", "steps[2][].steps[2][]"),
        ("steps[1].steps[0]", 1, "steps[1].steps[0][1]", "steps[1].steps[0][]"),
    ],
)
def test_calls_are_named_as_the_console_names_them(
    step: str, index: Any, key: str, pattern: str
) -> None:
    """Each iteration stands where its loop is; what all calls of a step have is the pattern."""
    call = Calls()(envelope(step=step, index=index, key=key))
    assert (call.key, call.pattern) == (key, pattern)
    assert f'name="{key}"' in exported("junit", report(envelope(step=step, index=index, key=key)))


def test_a_report_without_keys() -> None:
    """An old report is read as it was: the iterations come last."""
    call = Calls()(envelope(step="a.b", index=[0, 2]))
    assert (call.key, call.pattern) == ("a.b[0][2]", "a.b[][]")


def test_what_is_no_report_is_told() -> None:
    """A file that is no report is refused, rather than turned into an empty page."""
    with pytest.raises(RunnerError, match="not a report"):
        exported("junit", [b"version: 1\n", b"steps: []\n"])


@pytest.mark.parametrize(("more", "word"), [({}, "succeeded"), ({"hash": "0"}, "unfinished")])
def test_no_end(more: dict[str, str], word: str) -> None:
    """A chained report without its trailer is unfinished; an old report never had one."""
    lines = report(envelope(**more), end="")
    assert f"p.yaml: {word}" in exported("terminal", lines)
    assert f"p.yaml: {word}\n" in exported("markdown", lines)
    assert word.capitalize() in exported("html", lines)
    types = [error.get("type") for error in junit(lines).findall(".//error")]
    assert types == (["unfinished"] if more else [])


def test_a_spoilt_line_is_passed_over() -> None:
    """A line in the midst that cannot be read costs that line only, and is told."""
    lines = [*report(envelope(1), end=""), b"{]\n", *report(envelope(3))]
    reader = read_envelopes(lines)
    assert [each["seq"] for each in reader] == [1, 3]
    assert reader.warnings == ["line 2 is no envelope and was passed over"]


def test_warnings_are_bounded() -> None:
    """Of very many lines that are no envelopes the first are named; blank lines are none."""
    lines = [*report(envelope(1)), *[b"\n"] * 9, *[b"{]\n"] * 99]
    reader = read_envelopes(lines)
    assert len(list(reader)) == 1
    assert len(reader.warnings) == 20
    assert reader.warnings[0] == "line 12 is no envelope and was passed over"


@pytest.mark.parametrize(
    ("outcome", "exit_code", "word"),
    [("done", 0, "succeeded"), ("done", 130, "interrupted"), ("done", 4, "failed"),
     ("failed", 130, "failed"), ("unknown", 5, "in doubt")],
)  # fmt: skip
def test_verdict(outcome: str, exit_code: int, word: str) -> None:
    """The verdict is that of the calls, and else what the exit code in the trailer says."""
    end = TRAILER.replace('"exit_code":1', f'"exit_code":{exit_code}')
    lines = report(envelope(1, outcome), end=end)
    assert f"p.yaml: {word}, 1 call on main in 500 ms" in exported("terminal", lines)


def test_what_was_not_sent_has_not_failed() -> None:
    """A call that was about to leave when the run was to end was not run, and not skipped."""
    error = {
        "type": "interrupted",
        "message": "the run was asked to stop",
        "hint": "",
        "status": None,
    }
    stopped = envelope(2, "failed", error=error, attempts=0, status=None, request=None)
    under_way = envelope(3, "failed", error=error, attempts=1, status=None)
    end = TRAILER.replace('"exit_code":1,"not_run":4', '"exit_code":130,"not_run":1')
    lines = report(envelope(1), stopped, envelope(4, "skipped"), end=end)
    text = exported("terminal", lines)
    assert "p.yaml: interrupted, 3 calls" in text
    assert "run r1: 1 succeeded, 1 changed, 1 skipped, 1 not run\n" in text
    assert [case.get("message") for case in junit(lines).findall(".//skipped")] == [
        "the run was asked to stop", "when: x is false",
    ]  # fmt: skip
    assert "1 failed" in exported("terminal", report(stopped, under_way, end=end))


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(41.4, "41 ms"), (3200, "3.2 s"), (125_000, "2 min 5 s"), (7_200_000, "2 h"),
     (3_840_000, "1 h 4 min")],
)  # fmt: skip
def test_durations(milliseconds: float, text: str) -> None:
    """How long a run took is told in the units that people use."""
    lines = report(envelope(1, duration_ms=milliseconds))
    assert f"on main in {text}\n" in exported("terminal", lines)


def test_changes_of_unknown_operations() -> None:
    """Of operations that the catalogue does not know, all but GET count as changes."""
    request = {"method": "GET", "url": "https://t.example/x"}
    lines = report(
        envelope(1, operation="gone"),
        envelope(2, resource="gone", request=request),
        envelope(3, resource="stats", operation="getAll"),
    )
    assert "3 succeeded, 1 changed" in exported("terminal", lines)


@pytest.mark.parametrize("name", FORMATS)
def test_memory_does_not_grow(name: str) -> None:
    """Ten times the envelopes take no more memory, failures among them."""

    def many(count: int) -> Iterator[bytes]:
        lines = report(
            *(envelope(i, "failed" if i % 9 == 0 else "done") for i in range(1, 99)), end=""
        )
        return (lines[i % len(lines)] for i in range(count))

    class Sink(io.TextIOBase):
        def write(self, text: str) -> int:
            return len(text)

    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            FORMATS[name](read_envelopes(many(count)), Sink(), Surroundings(Path("/nowhere")))  # type: ignore[arg-type]
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(50)  # what is imported and cached
    assert peak(4000) < peak(1000) * 1.1 + 50_000


# -- JUnit ----------------------------------------------------------------------------------------

# As Jenkins' and the surefire schema have it: attributes that are known, and those required.
JUNIT: dict[str, tuple[set[str], set[str], set[str]]] = {
    "testsuites": (
        {"name", "time", "tests", "failures", "errors", "disabled"}, set(), {"testsuite"},
    ),
    "testsuite": (
        {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname", "id",
         "package", "file"},
        {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname"},
        {"properties", "testcase", "system-out", "system-err"},
    ),
    "properties": (set(), set(), {"property"}),
    "property": ({"name", "value"}, {"name", "value"}, set()),
    "testcase": (
        {"name", "classname", "time", "file", "line", "status", "assertions"},
        {"name", "classname", "time"},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "skipped": ({"message"}, set(), set()),
    "error": ({"type", "message"}, {"type"}, set()),
    "failure": ({"type", "message"}, {"type"}, set()),
}  # fmt: skip


def junit(lines: list[bytes]) -> ET.Element:
    """The JUnit XML of a report, held against the rules above; its counts must be right."""
    root = ET.fromstring(exported("junit", lines))
    assert root.tag == "testsuites"
    for element in root.iter():
        known, required, children = JUNIT[element.tag]
        assert required <= set(element.attrib) <= known, element.attrib
        assert {child.tag for child in element} <= children
        if "time" in element.attrib:
            assert re.fullmatch(r"\d+\.\d{3}", element.attrib["time"])
    for suite in root:
        found = {
            "tests": len(suite.findall("testcase")),
            "failures": len(suite.findall("testcase/failure")),
            "errors": len(suite.findall("testcase/error")),
            "skipped": len(suite.findall("testcase/skipped")),
        }
        assert {key: int(suite.attrib[key]) for key in found} == found
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.attrib["timestamp"])
    for key in ("tests", "failures", "errors"):
        assert int(root.attrib[key]) == sum(int(suite.attrib[key]) for suite in root)
    return root


def test_junit() -> None:
    """Each call is a case with its place; conditions fail, all else that went wrong is an error."""
    cases = junit(report(*MIXED)).findall(".//testcase")
    assert [case.attrib["name"] for case in cases] == [
        "buyer", "buyer", "buyer[0]", "buyer[0][2]", "buyer",
    ]  # fmt: skip
    assert [[(child.tag, child.get("type")) for child in case] for case in cases] == [
        [], [("error", "invalid")], [("failure", "expectation")], [("error", "unknown")],
        [("skipped", None)],
    ]  # fmt: skip
    assert cases[0].attrib == {
        "classname": "p/campaign.create", "name": "buyer", "time": "0.500", "file": "p.yaml",
        "line": "7",
    }  # fmt: skip
    told = cases[1][0].text or ""
    for words in ("no good: 2", "right it", "POST https://t.example", "Campaign 2", "taken"):
        assert words in told


def test_junit_has_a_suite_for_each_run() -> None:
    """Reports that were joined become one suite for each run."""
    lines = [*report(envelope(1), envelope(2)), *report(envelope(1, "failed", run="r2"))]
    assert [suite.attrib["tests"] for suite in junit(lines)] == ["2", "1"]


@pytest.mark.parametrize(("exit_code", "kind"), [(130, "interrupted"), (5, "failed"), (0, None)])
def test_junit_of_a_run_that_came_to_no_good_end(exit_code: int, kind: str | None) -> None:
    """Where no call failed and the run did not succeed, a case says so: CI must not take it for that."""
    end = TRAILER.replace('"exit_code":1', f'"exit_code":{exit_code}')
    errors = junit(report(envelope(1), end=end)).findall(".//error")
    assert [error.get("type") for error in errors] == ([kind] if kind else [])


def test_junit_takes_any_text() -> None:
    """Markup, control characters and lone surrogates in answers leave the XML well-formed."""
    nasty = "]]></failure><x a=\"'&\x00\x1b[31m\ud800\ufffe\n\tü𐍈"
    case = junit(report(envelope(1, "failed", step=nasty, error={"message": nasty, "type": nasty})))
    element = case[0].find("testcase/error")
    assert element is not None
    assert element.get("message") == nasty.translate(
        {0: 0xFFFD, 0x1B: 0xFFFD, 0xD800: 0xFFFD, 0xFFFE: 0xFFFD}
    )


def test_junit_cuts_long_answers() -> None:
    """Of a very long answer the beginning is given, with how much is missing."""
    error = {"type": "not_json", "message": "a page", "response": "x" * 50_000}
    text = exported("junit", report(envelope(1, "failed", error=error)))
    assert len(text) < 12_000
    assert "42,000 characters more" in text


# -- Markdown and GitHub --------------------------------------------------------------------------


def test_markdown(tmp_path: Path) -> None:
    """The summary has the verdict, the counts, the first failure in its playbook, and changes."""
    (tmp_path / "p.yaml").write_text(PLAYBOOK)
    text = exported("markdown", report(*MIXED), tmp_path)
    assert text.startswith("## ❓ p.yaml: in doubt\n")
    assert "| succeeded | changed | failed | unknown | skipped | not run |" in text
    assert "| 1 | 2 | 2 | 1 | 1 | 4 |" in text
    assert "### First failure: buyer" in text
    assert " 7 |   - name: buyer\n   |     ^\n" in text
    assert "- buyer (campaign.create) id 1" in text


def test_markdown_takes_any_text() -> None:
    """What a tracker answers is text in the summary: no markup, link, mention, table or code."""
    nasty = "<script>| @team #1 [x](http://y) www.z.example `a` **b** &lt;\n# h\n```\n- x"
    text = exported("markdown", report(envelope(1, "failed", step=nasty, error={"message": nasty})))
    table = next(line for line in text.splitlines() if line.startswith("| \\<script"))
    assert table.replace("\\|", "").count("|") == 6
    for bare in ("<script", "@team", "[x]", "http:", "www.z", "`a`", "**b", "&lt;"):
        assert re.search(rf"(?<!\\){re.escape(bare)}", table) is None, bare
    assert "\n# h" not in text.split("```")[0]


def test_markdown_is_bounded() -> None:
    """Of thousands of failures and changes the first are named, and the rest are counted."""
    many = [envelope(i, "failed" if i % 2 else "done") for i in range(1, 3001)]
    text = exported("markdown", report(*many))
    assert len(text) < 60_000
    assert "1,450 more" in text
    assert "1,400 more" in text


def test_github() -> None:
    """Each step that failed is one annotation on its line, with how often it failed."""
    failures = [envelope(1, "failed"), envelope(2, "failed", index=3), envelope(3)]
    other = envelope(4, "unknown", source="a,b:c.yaml:1:2", error={"message": "50%\nx"})
    assert exported("github", report(*failures, other)).splitlines() == [
        "::error file=p.yaml,line=7,col=5,title=buyer campaign.create failed::"
        "no good: 1 (right it) and 1 time more",
        "::error file=a%2Cb%3Ac.yaml,line=1,col=2,title=buyer campaign.create unknown::50%25%0Ax",
    ]


def test_github_at_the_line_that_it_is_about(tmp_path: Path) -> None:
    """A condition that does not hold, a field that is refused; else the step."""
    (tmp_path / "p.yaml").write_text(
        "version: 1\nsteps:\n  - resource: offer\n    operation: create\n    body:\n"
        "      name: x\n      notes: y\n    expect:\n      - ${{ data.id == 5 }}\n",
        encoding="utf-8",
    )
    cases: list[tuple[dict[str, Any], str]] = [
        ({"type": "expectation", "message": "data.id == 5 is false (line 9)"}, "line=9,col=9"),
        ({"type": "invalid", "message": "no", "response": {"notes": ["bad"]}}, "line=7,col=14"),
        ({"type": "invalid", "message": "no", "response": None}, "line=3,col=5"),
        ({"type": 5, "message": {"a": 1}, "response": 7}, "line=3,col=5"),
    ]
    for error, place in cases:
        lines = report(envelope(1, "failed", source="p.yaml:3:5", error=error))
        assert f"file=p.yaml,{place}," in exported("github", lines, tmp_path)


def test_github_paths(tmp_path: Path) -> None:
    """Paths are told as seen from the top of the repository."""
    lines = report(envelope(1, "failed"), envelope(2, "failed", source="/elsewhere/q.yaml:1:1"))
    text = exported("github", lines, tmp_path / "sub", GITHUB_WORKSPACE=str(tmp_path))
    assert "file=sub/p.yaml," in text
    assert "file=/elsewhere/q.yaml," in text


def test_job_summary(tmp_path: Path) -> None:
    """The summary is appended where GitHub asks for it, and nowhere else."""
    path, summary = tmp_path / "r.jsonl", tmp_path / "summary.md"
    path.write_bytes(b"".join(report(envelope())))
    assert not append_job_summary(path, Surroundings(tmp_path))
    summary.write_text("before\n")
    there = Surroundings(tmp_path, {"GITHUB_STEP_SUMMARY": str(summary)})
    assert append_job_summary(path, there)
    assert summary.read_text().startswith("before\n## ")


# -- the terminal, and files ----------------------------------------------------------------------


def test_terminal(tmp_path: Path) -> None:
    """What failed is named, the first of it drawn, all counted; nothing drives the terminal."""
    (tmp_path / "p.yaml").write_text(PLAYBOOK)
    text = exported("terminal", report(*MIXED, envelope(6, "failed", step="\x1b[2J")), tmp_path)
    lines = text.splitlines()
    assert lines[0] == "FAILED   buyer  campaign.create  422"
    assert lines[3:5] == ["         7 |   - name: buyer", "           |     ^"]
    assert "UNKNOWN  buyer[0][2]  campaign.create" in lines
    assert lines[-1] == "run r1: 1 succeeded, 2 changed, 3 failed, 1 unknown, 1 skipped, 4 not run"
    assert "\x1b" not in text


def test_excerpts_hide_secrets(tmp_path: Path) -> None:
    """What fields such as `password` hold is not shown, nor what is above the steps."""
    (tmp_path / "p.yaml").write_text(PLAYBOOK)
    excerpts = Excerpts(tmp_path)
    shown = "\n".join(
        text
        for line in range(4, 20)
        if (excerpt := excerpts.at("p.yaml", line, 5))
        for text in excerpt.lines
    )
    assert "-secret" not in shown
    assert "      token: ***" in shown
    assert "password: ${{ inputs.pin }}" in shown
    assert "login: b" in shown
    last = excerpts.at("p.yaml", 18, 5)
    assert last is not None
    assert last.lines[-1] == "    operation: getAll"


@pytest.mark.parametrize(
    "file", ["../p.yaml", "p.txt", "missing.yaml", "folder.yaml", "p\0.yaml", "bytes.yaml"]
)
def test_only_playbooks_are_read(file: str, tmp_path: Path) -> None:
    """A report cannot have a file shown that is no playbook below the current folder."""
    below = tmp_path / "below"
    (below / "folder.yaml").mkdir(parents=True)
    (tmp_path / "p.yaml").write_text(PLAYBOOK)
    (below / "p.txt").write_text(PLAYBOOK)
    (below / "bytes.yaml").write_bytes(b"\xff\xfe\n" * 9)
    assert Excerpts(below).at(file, 1, 1) is None
    (below / "link.yaml").symlink_to(tmp_path / "p.yaml")
    assert Excerpts(below).at("link.yaml", 1, 1) is None
    assert Excerpts(tmp_path).at("p.yaml", 4, 5) is not None
    assert Excerpts(tmp_path).at("p.yaml", 99, 5) is None


def test_export_of_what_is_not_there(tmp_path: Path) -> None:
    """A report that is missing, or a place that cannot be written, is told in words."""
    with pytest.raises(RunnerError, match="cannot turn"):
        export("html", tmp_path / "none.jsonl", io.StringIO(), Surroundings(tmp_path))
    (tmp_path / "r.jsonl").write_bytes(b"")
    with pytest.raises(RunnerError, match="cannot write"):
        write_all({"html": str(tmp_path)}, tmp_path / "r.jsonl", Surroundings(tmp_path))


# -- the command ----------------------------------------------------------------------------------


@pytest.fixture
def made(folder: Path, cli: Command, start: Start, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """A real report, r.jsonl, of a run in which a step failed."""
    tracker = start(Fault("status", match="GET .*/campaigns", status=500, times=None))
    monkeypatch.setenv("KEITARO_URL", tracker.url)
    monkeypatch.setenv("KEITARO_API_KEY", tracker.key)
    (folder / "p.yaml").write_text(
        steps(
            "{name: a, resource: offer, operation: getAll}",
            "{name: b, resource: campaign, operation: getAll, retry: 0}",
            "{name: c, resource: offer, operation: getAll}",
        )
    )
    assert cli("run", "p.yaml", "--report", "r.jsonl", "--quiet").code == 1
    return tracker


@pytest.mark.usefixtures("made")
def test_report(folder: Path, cli: Command) -> None:
    """All forms are written in one go; annotations go to stdout, the conversation to stderr."""
    said = cli(
        "report", "r.jsonl", "--html", "o.html", "--junit", "o.xml", "--markdown", "o.md",
        "--github",
    )  # fmt: skip
    assert said.code == 0
    assert said.out.startswith("::error file=p.yaml,line=4,col=5,")
    assert said.err.splitlines() == ["wrote o.html", "wrote o.xml", "wrote o.md"]
    assert (folder / "o.html").read_text().startswith("<!doctype html>")
    assert ET.parse(folder / "o.xml").getroot().attrib["errors"] == "1"
    assert "❌ p.yaml: failed" in (folder / "o.md").read_text()


@pytest.mark.usefixtures("made")
def test_report_from_stdin(folder: Path, cli: Command) -> None:
    """A report comes from standard input and goes to stdout; without options it is a summary."""
    text = (folder / "r.jsonl").read_text()
    assert cli("report", "-", "--junit", "-", stdin=text).out.startswith("<?xml")
    said = cli("report", "-", stdin=text)
    assert said.out.splitlines()[-1].endswith("1 succeeded, 1 failed, 1 not run")


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["none.jsonl"], "there is no report none.jsonl"),
        (["p.yaml"], "this is not a report"),
        (["r.jsonl", "--junit", "-", "--html", "-"], "only one form"),
        (["r.jsonl", "--html", "none/o.html"], "cannot write none/o.html"),
        (["verify"], "name one report"),
        (["r.jsonl", "r.jsonl"], "name one report"),
        (["r.jsonl", "--head", "0"], "--head goes with verify"),
        (["verify", "r.jsonl", "--github"], "leave the options out"),
    ],
)
def test_report_used_wrongly(cli: Command, args: list[str], words: str) -> None:
    """What cannot be done is said in words, with the exit code for usage."""
    said = cli("report", *args)
    assert said.code == ExitCode.USAGE
    assert words in said.err
