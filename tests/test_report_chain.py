"""The chain through a report: it holds as written, and no change to a report goes unseen."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Command, Start, check_line, steps
from jsonschema import Draft202012Validator

from runner.catalogue import bundled
from runner.chain import FIRST, KEY_VARIABLE, Break, Chain, Follower, Verifier
from runner.emulator import Emulator, Fault
from runner.errors import ExitCode, RunnerError
from runner.model import Summary
from runner.report import JsonLines

KEY = "0123456789abcdef-a-key"
OFFERS = steps(
    "{name: a, resource: offer, operation: getAll}",
    "{name: b, resource: offer, operation: getAll}",
    "{name: c, resource: campaign, operation: getAll}",
)


def chained(count: int = 5, key: str | None = None, *, trailer: bool = True) -> list[bytes]:
    """The lines of a report, with their newlines."""
    stream = io.StringIO()
    report = JsonLines(stream, Chain(key))
    for seq in range(1, count + 1):
        line = json.dumps({"run": "r1", "seq": seq, "name": "Zoë"}, ensure_ascii=False)
        report.write(line)
    if trailer:
        report.close(Summary("r1", not_run=2, missed=["c", "steps[3]"], exit_code=ExitCode.FAILED))
    return [line.encode() for line in stream.getvalue().splitlines(keepends=True)]


def broken(lines: list[bytes], key: str | None = None) -> list[Break]:
    return list(Verifier(key).breaks(lines))


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "keyed"])
def test_a_report_as_written_holds(key: str | None) -> None:
    """Nothing is found in a report as it was written, and its head and count are told."""
    lines, verifier = chained(key=key), Verifier(key)
    assert list(verifier.breaks(lines)) == []
    seen = verifier.verified
    assert (seen.run, seen.count, seen.complete) == ("r1", 5, True)
    assert seen.head == json.loads(lines[-1])["head"] == json.loads(lines[4])["hash"]


def test_hashes_are_what_the_reference_says() -> None:
    """A hash is that of the line's text without it, and `prev` the one before, zeros at first."""
    prev = FIRST
    for line in chained():
        text = re.sub(rb',"hash":"[0-9a-f]{64}"\}\n$', b"}", line)
        fields = json.loads(line)
        assert fields["prev"] == prev
        assert fields["hash"] == hashlib.sha256(text).hexdigest()
        prev = fields["hash"]
    keyed = chained(1, KEY)[0]
    text = re.sub(rb',"hash":"[0-9a-f]{64}"\}\n$', b"}", keyed)
    assert json.loads(keyed)["hash"] == hmac.new(KEY.encode(), text, "sha256").hexdigest()


def test_the_trailer() -> None:
    """The trailer has the count, the head, how the hashes are made, and how the run ended."""
    trailer = json.loads(chained()[-1])
    told = {key: trailer[key] for key in trailer if key not in {"head", "prev", "hash"}}
    assert told == {
        "run": "r1", "trailer": True, "count": 5, "algorithm": "sha256", "exit_code": 1,
        "not_run": 2, "missed": ["c", "steps[3]"],
    }  # fmt: skip
    schema = json.loads((bundled("schemas") / "envelope.schema.json").read_bytes())
    branch = Draft202012Validator({"$ref": "#/$defs/trailer", "$defs": schema["$defs"]})
    branch.validate(trailer)
    assert not branch.is_valid({**trailer, "count": -1})


def test_every_flipped_bit_is_found() -> None:
    """Whichever bit of a report is flipped, verifying finds it at that line, or at the next."""
    whole = b"".join(chained(2))
    for at in range(len(whole)):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << (at % 8)
        found = broken(bytes(flipped).splitlines(keepends=True))
        assert found, (at, whole[max(at - 20, 0) : at + 20])
        assert abs(found[0].line - 1 - whole[:at].count(b"\n")) <= 1


def test_every_truncation_is_found() -> None:
    """Wherever a report is cut off but for its very last newline, verifying finds it."""
    whole = b"".join(chained(2))
    for length in range(len(whole) - 1):
        assert broken(whole[:length].splitlines(keepends=True)), length


def changed(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], lines[2].replace("Zoë".encode(), b"Zoe"), *lines[3:]]


def added(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], b'{"run":"r1","seq":3,"name":"x"}\n', *lines[2:]]


def rehashed(lines: list[bytes]) -> list[bytes]:
    chain = Chain()
    chain.head = json.loads(lines[1])["hash"]
    return [*lines[:2], (chain.link('{"run":"r1","seq":3}') + "\n").encode(), *lines[3:]]


Change = Callable[[list[bytes]], list[bytes]]
CHANGES: dict[str, tuple[Change, int, str]] = {
    "changed": (changed, 3, "was changed"),
    "garbled": (lambda ls: [*ls[:2], b"{]\n", *ls[3:]], 3, "no JSON any more"),
    "rehashed": (rehashed, 4, "does not follow on the line before"),
    "missing": (lambda ls: [*ls[:2], *ls[3:]], 3, "is call 4 and follows on call 2: call 3 mi"),
    "two missing": (lambda ls: [ls[0], *ls[3:]], 2, "calls 2 to 3 missing"),
    "first missing": (lambda ls: ls[1:], 1, "call 1 missing"),
    "added": (added, 3, "carries no hash: it was added"),
    "added blank": (lambda ls: [*ls[:2], b"\n", *ls[2:]], 3, "was changed"),
    "twice": (lambda ls: [*ls[:3], ls[2], *ls[3:]], 4, "moved, or put in again"),
    "swapped": (lambda ls: [ls[0], ls[2], ls[1], *ls[3:]], 2, "call 2 missing, or moved"),
    "cut": (lambda ls: [*ls[:2], ls[2][:40]], 3, "is cut off in its midst"),
    "no trailer": (lambda ls: ls[:5], 5, "no trailer follows"),
    "last missing": (lambda ls: [*ls[:4], ls[5]], 5, "the trailer, and does not follow"),
    "after the end": (lambda ls: [*ls, ls[0]], 7, "comes after the trailer"),
    "empty": (lambda ls: ls[:0], 0, "no trailer follows"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes_are_named(name: str) -> None:
    """A changed, missing, added, moved or cut line is told by its number and by what happened."""
    change, line, words = CHANGES[name]
    first = broken(change(chained()))[0]
    assert first.line == line
    assert words in first.message


def followed(lines: list[bytes], key: str | None = None) -> int:
    """The line that is found in passing."""
    follower = Follower(key)
    for number, line in enumerate(lines, 1):
        if line.strip():
            follower.take(number, line)
        if b'"trailer":true' in line:
            follower.end()
    return follower.broken


# What a run that was killed leaves is no change, nor is a report behind another.
UNSEEN = ("added blank", "cut", "no trailer", "empty", "after the end")


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "keyed"])
@pytest.mark.parametrize("name", CHANGES)
def test_changes_are_found_in_passing(name: str, key: str | None) -> None:
    """Where a report is only read, its first line that does not fit is found all the same."""
    lines = chained(key=key)
    assert followed(lines) == followed(lines * 2) == 0
    change, line, _ = CHANGES[name]
    # Without the key nobody sees what a line should be; what comes after it does not follow on it.
    expected = 0 if name in UNSEEN or (key and name == "changed") else line
    if key and name == "rehashed":  # and one that fits without a key makes the others look wrong
        expected = 1
    assert followed(change(lines)) == expected
    assert followed([*chained(key="x" * 16), *change(lines)]) == (expected and expected + 6)


def test_reports_that_were_joined() -> None:
    """Each is judged by itself, whatever their keys, and a run that was killed begins anew."""
    plain, keyed = chained(), chained(key=KEY)
    for lines in ([*keyed, *plain], [*plain, *keyed], [*plain[:2], *plain], [*keyed[:3], *plain]):
        assert followed(lines) == followed(lines, KEY) == 0
    assert followed([*keyed[:3], *changed(plain)]) == 6
    # With the key at hand a change shows in the line itself.
    assert followed(changed(keyed)) == 0
    assert followed(changed(keyed), KEY) == 3


def test_one_change_is_one_break() -> None:
    """What follows on a changed line is not called broken too."""
    assert [found.line for found in broken(changed(chained()))] == [3]
    assert [found.line for found in broken(added(chained()))] == [3]
    garbled = [*chained()[:2], b"{]\n", *chained()[3:]]
    assert [found.line for found in broken(garbled)] == [3]


def test_a_trailer_that_lies() -> None:
    """A trailer that was made anew for fewer lines does not fit, and a wrong count is told."""
    chain = Chain()
    lines = [(chain.link('{"seq":1}') + "\n").encode()]
    chain.count = 7
    lines.append((chain.trailer("r1") + "\n").encode())
    assert "of 7 lines, and 1 are there" in broken(lines)[0].message


def test_an_old_report_has_no_chain() -> None:
    """A report from before there were chains is told from one that was tampered with."""
    assert "written without a chain" in broken([b'{"run":"r","seq":1}\n'])[0].message


def test_a_key_is_needed() -> None:
    """A keyed report does not verify without its key or with another, nor a plain one with one."""
    lines = chained(key=KEY)
    assert any(KEY_VARIABLE in found.message for found in broken(lines))
    assert broken(lines, KEY + "x")
    assert any("made without a key" in found.message for found in broken(chained(), KEY))


def test_whoever_lacks_the_key_cannot_make_the_chain_anew() -> None:
    """A report whose chain was made anew without the key is found out with it."""
    assert len(broken(chained(3), KEY)) == 4


def test_a_key_that_could_be_guessed() -> None:
    """A short key is refused, and an empty one is none."""
    with pytest.raises(RunnerError, match="fewer than 16"):
        Chain("short")
    assert broken(chained(key="")) == []


def test_without_a_chain_lines_stay_as_they_are() -> None:
    """Without a chain nothing is added to a line, and closing writes nothing."""
    stream = io.StringIO()
    report = JsonLines(stream)
    report.write('{"a":1}')
    report.close(Summary("r1"))
    assert stream.getvalue() == '{"a":1}\n'


# -- runs -----------------------------------------------------------------------------------------


def at(tracker: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEITARO_URL", tracker.url)
    monkeypatch.setenv("KEITARO_API_KEY", tracker.key)


def run(folder: Path, cli: Command, *options: str, text: str = OFFERS) -> Any:
    (folder / "p.yaml").write_text(text)
    return cli("run", "p.yaml", "--report", "r.jsonl", "--quiet", *options)


def test_run_writes_a_chain(
    folder: Path, cli: Command, tracker: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `run` writes verifies; its lines fit the schema and the last is the trailer."""
    at(tracker, monkeypatch)
    assert run(folder, cli).code == 0
    *lines, trailer = (folder / "r.jsonl").read_text().splitlines()
    assert [check_line(line)["seq"] for line in lines] == [1, 2, 3]
    assert json.loads(trailer)["trailer"] is True
    said = cli("report", "verify", "r.jsonl")
    assert said.code == 0
    assert "r.jsonl is whole" in said.out
    assert "3 lines" in said.out


def test_verify_names_the_line(
    folder: Path, cli: Command, tracker: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One changed byte of a report is found at its line, with exit code 1."""
    at(tracker, monkeypatch)
    run(folder, cli)
    text = (folder / "r.jsonl").read_text()
    (folder / "r.jsonl").write_text(text.replace('"step":"b"', '"step":"B"'))
    said = cli("report", "verify", "r.jsonl")
    assert said.code == ExitCode.FAILED
    assert "r.jsonl:2: line 2 was changed" in said.out
    assert "not as it was written" in said.err
    note = "the report is not as it was written: line 2 was changed"
    assert note in cli("report", "r.jsonl").out
    assert note in cli("report", "r.jsonl", "--junit", "o.xml").err
    cli("report", "r.jsonl", "--html", "o.html")
    assert note[1:] in (folder / "o.html").read_text()


def test_verify_tells_a_run_that_died_from_one_that_was_changed(
    folder: Path, cli: Command, tracker: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report that breaks off does so with 1 too, in other words; and a letter is no report."""
    at(tracker, monkeypatch)
    run(folder, cli)
    text = (folder / "r.jsonl").read_text()
    end = text.rindex("\n", 0, -1) + 1
    for torn in (text[:end], text[: end - 20]):
        said = cli("report", "verify", "-", stdin=torn)
        assert said.code == ExitCode.FAILED
        assert "- has no end; what there is of it is as it was written" in said.err
    changed = text.replace('"step":"b"', '"step":"B"')
    said = cli("report", "verify", "-", stdin=changed[:end])
    assert "- is not as it was written" in said.err
    said = cli("report", "verify", "-", stdin="Dear all,\nhello")
    assert (said.code, said.out) == (2, "")
    assert "- is no report" in said.err


def test_verify_from_stdin_with_head(
    folder: Path, cli: Command, tracker: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verify reads standard input; a head that was noted elsewhere must be the report's."""
    at(tracker, monkeypatch)
    run(folder, cli)
    text = (folder / "r.jsonl").read_text()
    head = json.loads(text.splitlines()[-1])["head"]
    assert cli("report", "verify", "-", "--head", head, stdin=text).code == 0
    said = cli("report", "verify", "-", "--head", "0" * 64, stdin=text)
    assert said.code == ExitCode.FAILED
    assert head in said.out


def test_run_with_a_key(
    folder: Path, cli: Command, tracker: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a key in the environment the report needs it, and the key is nowhere in it."""
    at(tracker, monkeypatch)
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    run(folder, cli)
    assert "made with this key" in cli("report", "verify", "r.jsonl").out
    monkeypatch.delenv(KEY_VARIABLE)
    said = cli("report", "verify", "r.jsonl")
    assert said.code == ExitCode.FAILED
    assert KEY_VARIABLE in said.err
    assert said.out == ""
    assert KEY not in (folder / "r.jsonl").read_text()


def test_a_resumed_run_has_one_chain(
    folder: Path, cli: Command, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report of a resumed run holds the earlier lines too, in one chain to one trailer."""
    tracker = start(Fault("status", match="GET .*/campaigns", status=500, times=1))
    at(tracker, monkeypatch)
    text = OFFERS.replace("operation: getAll}\n", "operation: getAll, retry: 0}\n")
    assert run(folder, cli, text=text).code == 1
    assert run(folder, cli, "--resume", text=text).code == 0
    said = cli("report", "verify", "r.jsonl")
    assert said.code == 0, said.out
    lines = (folder / "r.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["count"] == len(lines) - 1 >= 3


def test_trouble_is_not_endless(folder: Path, cli: Command) -> None:
    """Of very many broken lines the first are named, and the rest are counted."""
    (folder / "r.jsonl").write_bytes(b'{"run":"r","seq":1}\n' * 100)
    said = cli("report", "verify", "r.jsonl")
    assert len(said.out.splitlines()) == 21
    assert "81 more" in said.out
