"""Files that a run writes: their forms, and that they are whole or not there at all."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from conftest import Run, Start, steps

from runner.emulator import Fault
from runner.saving import save
from runner.templating import Rows

ROWS = [
    {"id": 1, "name": "Tea, green", "country": ["DE"], "payout": 1.5},
    {"id": 2, "name": 'say "x"', "state": None, "on": True},
]


def test_json(folder: Path) -> None:
    """JSON is written as people read it, in UTF-8."""
    save(folder, "a.json", None, {"name": "Größe"})
    assert (folder / "a.json").read_bytes() == '{\n  "name": "Größe"\n}\n'.encode()


def test_csv_columns(folder: Path) -> None:
    """CSV columns come in the order of their first coming, or as they are named."""
    save(folder, "a.csv", None, ROWS)
    assert (folder / "a.csv").read_text() == (
        'id,name,country,payout,state,on\n1,"Tea, green","[""DE""]",1.5,,\n2,"say ""x""",,,,true\n'
    )
    save(folder, "a.csv", None, ROWS, ("name", "id", "nothing"))
    assert (folder / "a.csv").read_text() == ('name,id,nothing\n"Tea, green",1,\n"say ""x""",2,\n')
    save(folder, "a.csv", None, [], ("id", "name"))
    assert (folder / "a.csv").read_text() == "id,name\n"
    save(folder, "a.csv", None, [])
    with (folder / "a.csv").open("rb") as file:
        assert list(Rows(file, "a.csv", most=9)) == []


def test_text_and_raw(folder: Path) -> None:
    """Text is written as it is, a download as its bytes."""
    save(folder, "a.txt", None, "two\nlines")
    assert (folder / "a.txt").read_bytes() == b"two\nlines"
    content = bytes(range(256))
    save(folder, "a.bin", None, {"base64": base64.b64encode(content).decode()})
    assert (folder / "a.bin").read_bytes() == content


def test_format_goes_before_the_ending(folder: Path) -> None:
    """`format` decides where it is given, the file's ending elsewhere."""
    save(folder, "a.csv", "json", [1])
    assert json.loads((folder / "a.csv").read_text()) == [1]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("a.csv", {"id": 1}, "no list of rows"),
        ("a.csv", [1], "no list of rows"),
        ("a.txt", 5, "no text"),
        ("a.zip", {"id": 1}, "no download"),
        ("a.zip", {"base64": "%"}, "cannot be read"),
    ],
)
def test_wrong_form(folder: Path, name: str, value: Any, message: str) -> None:
    """A value of another form is refused with words, and leaves nothing behind."""
    with pytest.raises(ValueError, match=message):
        save(folder, name, None, value)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["../a.csv", "/tmp/a.csv", "a/../../b.csv", "C:\\a.csv", "..\\a.csv", "", ".", "a\0b"]
)
def test_outside(folder: Path, name: str) -> None:
    """Nothing is written outside the folder that the command was started in."""
    inner = folder / "inner"
    inner.mkdir()
    with pytest.raises(ValueError, match=r"lies outside|names no file"):
        save(inner, name, "json", 1)
    assert list(folder.rglob("*")) == [inner]


def test_outside_through_a_link(folder: Path) -> None:
    """A link does not lead out of the folder either."""
    inner, elsewhere = folder / "inner", folder / "elsewhere"
    inner.mkdir()
    elsewhere.mkdir()
    (inner / "link").symlink_to(elsewhere)
    with pytest.raises(ValueError, match="lies outside"):
        save(inner, "link/a.json", None, 1)
    assert list(elsewhere.iterdir()) == []


def test_whole_or_not_at_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was there stays as it was where writing fails, and no other is left."""
    (folder / "a.json").write_text("old")

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(OSError, match="No space left"):
        save(folder, "a.json", None, 1)
    assert [(p.name, p.read_text()) for p in folder.iterdir()] == [("a.json", "old")]


def test_mode_and_folders(folder: Path) -> None:
    """Folders are made as needed, and the file is as readable as any other."""
    mask = os.umask(0o027)
    try:
        save(folder, "a/b/c.json", None, 1)
    finally:
        os.umask(mask)
    assert stat.S_IMODE((folder / "a/b/c.json").stat().st_mode) == 0o640


# -- in a run ---------------------------------------------------------------------------------

OFFERS = {"offers": [{"id": 1, "name": "Tea"}, {"id": 2, "name": "Coffee"}]}


def test_saved_by_a_step(run_playbook: Run, start: Start, folder: Path) -> None:
    """A step saves its data, or a value of its own, to a file that may be computed."""
    run_playbook(
        """
version: 1
steps:
  - {resource: offer, operation: getAll, save: {to: out/offers.csv, columns: [id, name]}}
  - {resource: offer, operation: getAll,
     save: {to: "out/${{ run.id | length }}.json", value: "${{ data | pluck('name') }}"}}
  - {name: sum, set: {n: 1}, save: sum.json}
  - {name: part, set: {n: 1, rows: [{a: 1}]}, save: {to: part.csv, value: "${{ values.rows }}"}}
""",
        tracker=start(seed=OFFERS),
    )
    assert (folder / "out/offers.csv").read_text() == "id,name\n1,Tea\n2,Coffee\n"
    (found,) = (folder / "out").glob("*.json")
    assert json.loads(found.read_text()) == ["Tea", "Coffee"]
    assert json.loads((folder / "sum.json").read_text()) == {"n": 1}
    assert (folder / "part.csv").read_text() == "a\n1\n"


def test_download(run_playbook: Run, start: Start, folder: Path) -> None:
    """A download is saved as the bytes that came."""
    content = b"PK\x03\x04" + bytes(range(256))
    tracker = start(
        Fault("status", status=200, body=content, headers={"content-type": "application/zip"})
    )
    ran = run_playbook(
        steps("{resource: landing, operation: download, id: 1, save: landing.zip}"),
        tracker=tracker,
    )
    assert ran.errors() == []
    assert (folder / "landing.zip").read_bytes() == content
    assert ran.only["data"]["bytes"] == len(content)


def test_nothing_is_saved_of_a_failure(run_playbook: Run, folder: Path) -> None:
    """A step that failed saves nothing."""
    run_playbook(steps("{resource: offer, operation: get, id: 404, save: a.json}"))
    assert not (folder / "a.json").exists()


@pytest.mark.parametrize("name", ["../out.json", "/tmp/out.json", ""])
def test_computed_name_outside(run_playbook: Run, folder: Path, name: str) -> None:
    """A name that turns out to lie outside fails the step, which says that the call was done."""
    ran = run_playbook(
        f"version: 1\nvars: {{to: '{name}'}}\nsteps:\n"
        "  - {resource: group, operation: create, body: {name: A, type: offers}, "
        "save: {to: '${{ vars.to }}', format: json}}\n"
    )
    error = ran.only["error"]
    assert (ran.only["success"], error["type"]) == (False, "save")
    assert error["hint"] == "the call itself succeeded"
    assert ran.only["data"]["id"] == 1
    assert ran.summary.changed == 1


def test_unwritable(run_playbook: Run, folder: Path) -> None:
    """A file that cannot be written fails the step with the system's reason."""
    (folder / "taken").write_text("a file where a folder should be")
    ran = run_playbook(steps("{resource: offer, operation: getAll, save: taken/a.json}"))
    assert ran.only["error"]["type"] == "save"
    assert ran.errors()[0].startswith("cannot write taken/a.json: ")
