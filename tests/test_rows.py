"""Rows of CSV files: made one by one, they say what reading the whole file says."""

from __future__ import annotations

import csv
import io
import json
import tempfile
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import Command, Run, Start, steps
from hypothesis import given
from hypothesis import strategies as st

from runner.templating import Rows

_MOST = 64 * 1024 * 1024


def _rows(raw: bytes, name: str = "f", delimiter: str = ",", most: int = _MOST) -> Rows:
    with io.BytesIO(raw) as file:
        return Rows(file, name, delimiter, most=most)


_CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=8)


@given(
    rows=st.lists(st.lists(_CELLS, min_size=2, max_size=2), max_size=8),
    delimiter=st.sampled_from(",;\t|"),
    ending=st.sampled_from(["\n", "\r\n"]),
    bom=st.booleans(),
)
def test_any_file_reads_as_a_whole_one_does(
    rows: list[list[str]], delimiter: str, ending: str, bom: bool
) -> None:
    """Whatever the cells hold: quotes, delimiters, line breaks, characters of any alphabet."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=ending, quoting=csv.QUOTE_ALL)
    writer.writerows([["a", "б"], *rows])
    raw = out.getvalue().encode("utf-8-sig" if bom else "utf-8")
    found = _rows(raw, "file.csv", delimiter)
    expected = [dict(zip(["a", "б"], row, strict=True)) for row in rows]
    assert list(found) == expected
    assert len(found) == len(expected)
    assert found[1:] == expected[1:]
    assert [found[-1 - number] for number in range(len(expected))] == expected[::-1]
    with pytest.raises(IndexError):
        found[len(expected)]


def test_lines_without_cells_are_passed_over() -> None:
    """Between rows, and at the end."""
    assert list(_rows(b"a\n\n1\n\r\n2\n\n")) == [{"a": "1"}, {"a": "2"}]
    assert list(_rows(b"a,b\n1,2")) == [{"a": "1", "b": "2"}]
    assert list(_rows(b"a,b\n")) == list(_rows(b"")) == []


def _large(rows: int) -> bytes:
    return b"id,note\n" + b"".join(
        b'%d,"note of\n%d"\n%b' % (n, n, b"\n" * (n % 3)) for n in range(rows)
    )


def test_of_a_large_file_a_copy_is_gone_through(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the disk, where nobody else sees it: what becomes of the file makes no difference."""
    count = 60_000
    (folder / "big.csv").write_bytes(_large(count))
    copies = folder / "copies"
    copies.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(copies))
    with (folder / "big.csv").open("rb") as file:
        rows = Rows(file, "big.csv", most=_MOST)
    (folder / "big.csv").write_bytes(b"id\n1\n")
    assert len(rows) == count
    assert rows[0] == {"id": "0", "note": "note of\n0"}
    assert rows[-1] == {"id": str(count - 1), "note": f"note of\n{count - 1}"}
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(rows.__getitem__, range(0, count, 7))
        assert [row["id"] for row in found] == [str(n) for n in range(0, count, 7)]
    assert list(copies.iterdir()) == []


def test_what_a_large_file_takes_does_not_grow_with_it() -> None:
    """The copy is the disk's; four bytes are kept to a row."""
    raw, peaks = _large(200_000), []
    for part in (raw[: len(raw) // 4], raw):
        # A last row that is cut through is not the question here.
        whole = io.BytesIO(part[: part.rindex(b'"\n') + 2])
        tracemalloc.start()
        rows = Rows(whole, "f", most=_MOST)
        assert len(rows) > 40_000
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 2_000_000


@pytest.mark.parametrize("size", [1_000, 2_000_000])
def test_files_that_are_too_large(size: int) -> None:
    """Before there is a copy, or while it is made."""
    with pytest.raises(ValueError, match="larger than"):
        _rows(b"a\n" + b"1\n" * size, most=size)


def test_without_room_for_a_copy(
    monkeypatch: pytest.MonkeyPatch, folder: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """The file is kept in memory then: none can be made, or the disk is full half-way."""
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "none"))
    assert len(_rows(_large(60_000))) == 60_000
    with pytest.raises(ValueError, match="larger than"):
        _rows(_large(60_000), most=1_100_000)

    class Full(io.FileIO):
        def write(self, data: bytes) -> int:  # type: ignore[override]
            if self.tell() > 1_100_000:
                raise OSError(28, "No space left on device")
            return super().write(data[:500_000])

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Full(folder / "copy", "w+b"))
    rows = _rows(_large(60_000))
    assert (len(rows), rows[59_999]["id"]) == (60_000, "59999")
    del rows
    assert not recwarn.list


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"\n", "must begin with a line of column names"),
        (b"a,a\n1,2\n", "each once"),
        (b"a, \n1,2\n", "must begin"),
        (b"a,b\n1,2\n1\n", "'f', line 3: cells: 1, columns: 2"),
        (b'a,b\n"x\ny",2\n1,2,3\n', "'f', line 4: cells: 3"),
        (b'a\n"x\n', "'f', line 2"),
        (b"a\n\xff\n", "'f' is not UTF-8 text"),
    ],
)
def test_what_is_wrong_is_said_at_the_beginning(raw: bytes, why: str) -> None:
    """Before the first row is used."""
    with pytest.raises(ValueError, match=why):
        _rows(raw)


@pytest.mark.parametrize(
    "source",
    [
        "csv('rows.csv')",
        'csv("rows.csv")',
        "csv('semi.csv', ';')",
        "csv('semi.csv', delimiter=';')",
        "csv(inputs.file)",
        "csv('rows.csv') | list",
    ],
)
def test_loops_over_the_rows_of_a_file(
    source: str, run_playbook: Run, start: Start, folder: Path
) -> None:
    """In whichever way it is named, each row is an item; what a loop gives has its place."""
    (folder / "rows.csv").write_text("name,note\nTea,x\nCoffee,y\n", encoding="utf-8")
    (folder / "semi.csv").write_text("name;note\nTea;x\nCoffee;y\n", encoding="utf-8")
    text = f"""
version: 1
inputs: {{file: {{default: rows.csv}}}}
steps:
  - name: each
    for_each: {json.dumps(f"${{{{ {source} }}}}")}
    resource: offer
    operation: create
    body: {{name: "${{{{ item.name }}}}", notes: "${{{{ item.note }}}} ${{{{ index }}}}"}}
outputs:
  names: ${{{{ steps.each.results | pluck('data.name') }}}}
"""
    came = run_playbook(text, tracker=start())
    bodies = [e["request"]["body"] for e in came.envelopes]
    assert bodies == [{"name": "Tea", "notes": "x 0"}, {"name": "Coffee", "notes": "y 1"}]
    assert came.summary.outputs["names"] == ["Tea", "Coffee"]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("csv('none.csv')", "cannot read 'none.csv'"),
        ("csv('../up.csv')", "outside the playbook's folder"),
        ("csv(inputs.rows, 'ab')", "a delimiter is one character"),
        ("csv(inputs.bad)", "'bad.csv', line 2: cells: 1"),
        ("csv(inputs.file)", "a file is named by a text"),
    ],
)
def test_a_file_that_cannot_be_gone_through(
    source: str, why: str, run_playbook: Run, start: Start, folder: Path
) -> None:
    """The step fails with what is wrong, before anything of it is sent."""
    (folder / "rows.csv").write_text("name\nTea\n", encoding="utf-8")
    (folder / "bad.csv").write_text("name,note\nTea\n", encoding="utf-8")
    text = f"""
version: 1
inputs: {{file: {{default: 5}}, rows: {{default: rows.csv}}, bad: {{default: bad.csv}}}}
steps:
  - for_each: {json.dumps(f"${{{{ {source} }}}}")}
    resource: offer
    operation: create
    body: {{name: "${{{{ item.name }}}}"}}
"""
    came = run_playbook(text, tracker=start())
    assert why in came.errors()[0]
    assert came.calls == []


def test_what_lies_outside_is_not_looked_at(folder: Path, cli: Command) -> None:
    """Not a word of it is shown: a playbook that somebody proposes must not read keys in CI."""
    inner = folder / "inner"
    inner.mkdir()
    (folder / "token.txt").write_text("sk-live-canary\n")
    (inner / "link.csv").symlink_to(folder / "token.txt")
    places = ["../token.txt", str(folder / "token.txt"), "link.csv", "/proc/self/environ"]
    text = steps(
        *(f"{{for_each: \"${{{{ csv('{place}') }}}}\", set: {{a: '${{{{ item.zz }}}}'}}}}"
          for place in places)
    )  # fmt: skip
    (inner / "p.yaml").write_text(text)
    said = cli("validate", "inner/p.yaml")
    assert "canary" not in said.out + said.err
    assert "columns" not in said.out + said.err


def test_files_that_the_run_writes_itself(folder: Path, cli: Command) -> None:
    """What lies there is an earlier run's, whoever of the playbooks writes it."""
    (folder / "list.csv").write_text("old\n1\n")
    saves = "{set: {a: 1}, save: {to: list.csv, value: '${{ values }}'}}"
    reads = "{for_each: \"${{ csv('list.csv') }}\", set: {a: '${{ item.new }}'}, name: reads}"
    (folder / "saves.yaml").write_text(steps(saves))
    (folder / "reads.yaml").write_text(steps(reads))
    (folder / "one.yaml").write_text(steps(saves, reads))
    (folder / "two.yaml").write_text(steps("{include: saves.yaml}", reads))
    (folder / "three.yaml").write_text(steps(saves, "{include: reads.yaml}"))
    for name in ("one", "two", "three"):
        assert "no problems" in cli("validate", f"{name}.yaml").err, name
    assert "has no 'new'" in cli("validate", "reads.yaml").out


def test_a_file_that_a_run_would_miss(folder: Path, cli: Command) -> None:
    """It may come to be before the run, and not while it is under way: nothing is sent."""
    loop = "{for_each: \"${{ csv('none.csv') }}\", name: each, set: {a: '${{ item.a }}'}%s}"
    make = "{resource: group, operation: create, body: {name: G, type: offers}}"
    (folder / "p.yaml").write_text(steps(make, loop % ""))
    assert "0 errors, 1 warning" in cli("validate", "p.yaml").err
    said = cli("run", "p.yaml", "--emulator")
    assert said.code == 3
    assert "error KP214: there is no file 'none.csv'" in said.err
    unrelated = "{set: {a: 1}, name: s, save: {to: other.json, value: '${{ values }}'}}"
    for wrong in (
        steps(unrelated, loop % ""),
        steps("{set: {a: \"${{ file('none.txt') }}\"}, name: s}"),
        steps(make.replace("name: G", "name: \"${{ file('none.txt') | trim }}\"")),
    ):
        (folder / "p.yaml").write_text(wrong)
        assert cli("run", "p.yaml", "--emulator").code == 3, wrong
    # Where it may not be needed, or the run may write it, that is for the run to find out.
    use = ["inputs: {use: {default: false}}"]
    saved = "{set: {a: 1}, name: s, save: {to: %s, value: '${{ [values] }}'}}"
    for text in (
        steps(make, loop % ", when: '${{ inputs.use }}'", head=use),
        steps(make, "{when: '${{ inputs.use }}', steps: [%s]}" % (loop % ""), head=use),
        steps("{set: {a: \"${{ file('no') if inputs.use else '' }}\"}, name: s}", head=use),
        steps("{for_each: [], name: e, set: {a: \"${{ file('no') }}\"}}"),
        steps('{name: e, set: {a: "${{ \'see csv(\\"none.csv\\")\' }}"}}'),
        steps(saved % "none.csv", loop % ""),
        steps(saved % "'${{ \"none\" }}.csv'", loop % ""),
    ):  # fmt: skip
        (folder / "p.yaml").write_text(text)
        said = cli("run", "p.yaml", "--emulator")
        assert said.code == 0, said
        (folder / "none.csv").unlink(missing_ok=True)
