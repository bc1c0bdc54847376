"""Local landing pages and offers: archives are really unpacked, and their files really change."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from runner.emulator import Emulator

FILES = {
    "index.html": b"<h1>Hello</h1>",
    "css/style.css": b"h1 {}",
    "css/fonts/a.woff": b"\xff\xfe\x00",
    "img/x.png": b"\x89PNG",
}


def archive(files: dict[str, bytes]) -> str:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.fixture
def api() -> Iterator[httpx.Client]:
    with (
        Emulator() as tracker,
        httpx.Client(
            base_url=f"{tracker.url}/admin_api/v1",
            headers={"Api-Key": tracker.key},
            verify=False,
            trust_env=False,
        ) as client,
    ):
        yield client


@pytest.fixture(params=["/landing_pages", "/offers"])
def local(request: pytest.FixtureRequest, api: httpx.Client) -> str:
    """The path of a local entity that holds FILES."""
    made = api.post(request.param, json={"name": "L", "archive": archive(FILES)})
    assert made.status_code == 200
    assert made.json()["archive"] == ""
    assert made.json()["local_path"]
    return f"{request.param}/1"


def names(tree: dict[str, Any]) -> list[Any]:
    return [
        {child["name"]: names(child)} if child["type"] == "dir" else child["name"]
        for child in tree["children"]
    ]


def unpacked(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def test_structure(api: httpx.Client, local: str) -> None:
    """The tree of an archive is shown with folders first, each file with its path and extension."""
    tree = api.get(f"{local}/get_structure").json()
    assert names(tree) == [
        {"css": [{"fonts": ["a.woff"]}, "style.css"]},
        {"img": ["x.png"]},
        "index.html",
    ]
    style = tree["children"][0]["children"][1]
    assert (style["path"], style["ext"], style["type"]) == ("css/style.css", "css", "file")


def test_get_file(api: httpx.Client, local: str) -> None:
    """Text comes as it is, other content as base64; a missing file is 404, a missing path 422."""
    text = api.get(f"{local}/get_file", params={"path": "index.html"})
    assert text.json() == {"data": "<h1>Hello</h1>"}
    font = api.get(f"{local}/get_file", params={"path": "css/fonts/a.woff"}).json()["data"]
    assert base64.b64decode(font) == FILES["css/fonts/a.woff"]
    missing = api.get(f"{local}/get_file", params={"path": "no.html"})
    assert missing.status_code == 404
    assert "no.html" in missing.json()["error"]
    assert api.get(f"{local}/get_file").json() == {"path": ["Path is required"]}


def test_add_update_remove(api: httpx.Client, local: str) -> None:
    """Files are added empty, written in two ways, removed; the download shows it."""
    path = {"path": "js/app.js"}
    assert api.post(f"{local}/add_file", params=path).json() == path
    assert api.post(f"{local}/add_file", params=path).status_code == 422
    sent = {**path, "data": "let a = 'é';"}
    assert api.put(f"{local}/update_file", params=sent).json() == path
    body = {"path": "index.html", "data": base64.b64encode(b"new").decode()}
    assert api.put(f"{local}/update_file", json=body).json() == {"path": "index.html"}
    assert api.put(f"{local}/update_file", json={**body, "data": "?"}).status_code == 422
    assert api.put(f"{local}/update_file", params=path).status_code == 422
    assert api.put(f"{local}/update_file", params={"path": "no", "data": "x"}).status_code == 404
    removed = api.request("DELETE", f"{local}/remove_file", params={"path": "css"})
    assert removed.json() == {"success": True}
    assert api.delete(f"{local}/remove_file", params={"path": "css"}).status_code == 404
    download = api.get(f"{local}/download")
    assert download.headers["content-type"] == "application/octet-stream"
    assert unpacked(download.content) == {
        "index.html": b"new",
        "img/x.png": FILES["img/x.png"],
        "js/app.js": "let a = 'é';".encode(),
    }


def test_archive_replaces_the_tree(api: httpx.Client, local: str) -> None:
    """A new archive on PUT replaces all files; a PUT without one leaves them."""
    api.put(local, json={"notes": "x"})
    assert unpacked(api.get(f"{local}/download").content) == FILES
    api.put(local, json={"archive": archive({"only.html": b"1"})})
    assert unpacked(api.get(f"{local}/download").content) == {"only.html": b"1"}


def test_clone_has_files_of_its_own(api: httpx.Client, local: str) -> None:
    """A clone brings copies of the files, which then change apart."""
    base = local.removesuffix("/1")
    method = "PUT" if base == "/landing_pages" else "POST"
    assert api.request(method, f"{local}/clone").json()["local_path"].endswith("2")
    api.delete(f"{base}/2/remove_file", params={"path": "index.html"})
    assert "index.html" in unpacked(api.get(f"{local}/download").content)


@pytest.mark.parametrize("path", ["../up.html", "a/../../b", "/", ".."])
def test_paths_stay_inside(api: httpx.Client, local: str, path: str) -> None:
    """A path that leads out of the tree is a field error."""
    answer = api.post(f"{local}/add_file", params={"path": path})
    assert (answer.status_code, list(answer.json())) == (422, ["path"])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("not base64!", "base64"),
        (base64.b64encode(b"not a zip").decode(), "zip"),
        (archive({"../up.html": b""}), "inside"),
    ],
    ids=["base64", "zip", "path"],
)
def test_bad_archives(api: httpx.Client, value: str, words: str) -> None:
    """An archive that cannot be unpacked is a field error, and nothing is made."""
    answer = api.post("/landing_pages", json={"name": "L", "archive": value})
    assert answer.status_code == 422
    assert words in answer.json()["archive"][0]
    assert api.get("/landing_pages").json() == []


def test_local_offer_is_recognised(api: httpx.Client) -> None:
    """An offer made of an archive is local unless it says otherwise; without one it is external."""
    local = api.post("/offers", json={"name": "O", "archive": archive(FILES)}).json()
    assert (local["offer_type"], local["action_type"]) == ("local", "local_file")
    plain = api.post("/offers", json={"name": "P"}).json()
    assert (plain["offer_type"], plain["action_type"]) == ("external", "http")
    assert api.get("/offers/2/get_structure").json()["children"] == []
