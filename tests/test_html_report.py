"""The page of a report: what is in the file, and what it does in a browser."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from test_exporters import MIXED, PLAYBOOK, envelope, report

from runner.exporters import FORMATS, Surroundings, read_envelopes
from runner.exporters import details as details_module
from runner.exporters import html as html_module

NASTY = "<script>window.hacked=1</script><img src=x onerror=hacked=1></script><!--\u2028 ]]>"


def page_of(lines: list[bytes] | Iterator[bytes], folder: Path = Path("/nowhere")) -> str:
    stream = io.StringIO()
    FORMATS["html"](read_envelopes(lines), stream, Surroundings(folder))
    return stream.getvalue()


class Tags(HTMLParser):
    """What an HTML parser makes of a page: its tags with attributes, and its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.styles: list[str] = []
        self.feed(text)

    def handle_starttag(  # noqa: D102  (as its parent has it)
        self, tag: str, attrs: list[tuple[str, str | None]]
    ) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:  # noqa: D102  (as its parent has it)
        if self.cdata_elem == "script":
            self.scripts.append((self.tags[-1][1], data))
        elif self.cdata_elem == "style":
            self.styles.append(data)

    def json(self, **attributes: str) -> list[Any]:
        """The data blocks with these attributes, parsed."""
        return [json.loads(text) for had, text in self.scripts if attributes.items() <= had.items()]


# -- the file -------------------------------------------------------------------------------------


def test_nothing_is_loaded_from_anywhere() -> None:
    """The page names no resource, and its policy allows its own script and style and no other."""
    tags = Tags(page_of(report(*MIXED)))
    for tag, attributes in tags.tags:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "a"}
        assert not {"src", "href", "style", "onclick"} & set(attributes), attributes
    assert not re.search(r"@import|url\(", "".join(tags.styles))
    policy = next(a["content"] for _, a in tags.tags if "http-equiv" in a) or ""
    (code,) = [text for had, text in tags.scripts if "type" not in had]
    for text in (code, "".join(tags.styles)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


def test_answers_are_never_markup() -> None:
    """Wherever markup stands in a report, the page has the same tags and no script more."""
    plain = Tags(page_of(report(envelope(1, "failed"), envelope(2))))
    error = {"type": NASTY, "message": NASTY, "hint": NASTY, "response": {NASTY: NASTY}}
    request = {"url": f"javascript:{NASTY}", "method": NASTY, "headers": {NASTY: NASTY}}
    nasty = {"step": NASTY, "source": f"{NASTY}:1:1", "tracker": NASTY, "run": NASTY}
    text = page_of(
        report(
            envelope(1, "failed", error=error, request=request, **nasty),
            envelope(2, data={"id": NASTY, NASTY: NASTY}, resource=NASTY, **{NASTY: NASTY}),
        )
    )
    tags = Tags(text)
    assert [tag for tag, _ in tags.tags] == [tag for tag, _ in plain.tags]
    assert "\u2028" not in text.split("</main>")[1]
    (block,) = tags.json(**{"class": "details"})
    assert block[0]["error"]["response"] == {NASTY: NASTY}
    assert block[1]["data"] == {"id": NASTY, NASTY: NASTY}


def test_without_script_the_verdict_is_there(tmp_path: Path) -> None:
    """Verdict, counts and the first failure in its playbook are in the page itself."""
    (tmp_path / "p.yaml").write_text(PLAYBOOK)
    text = page_of(report(*MIXED), tmp_path).split("<noscript>")[0]
    for words in ("In doubt", "<b>4</b> not run", "First failure: <code>buyer</code>", "right it"):
        assert words in text
    assert '<span class="line here"><i>7</i>  - name: buyer\n</span>' in text
    assert '<span class="line caret"><i></i>    ^\n</span>' in text
    assert "-secret" not in page_of(report(*MIXED), tmp_path)


def test_numbers_stay_what_they_are() -> None:
    """What JavaScript would round or cannot hold is text in the page, and all else a number."""
    data = {"long": 2**53 + 1, "short": 2**53 - 1, "part": 0.1, "text": "1234567890123456"}
    block = Tags(page_of(report(envelope(data=[data, float("inf")])))).json(**{"class": "details"})
    assert block[0][0]["data"] == [{**data, "long": str(2**53 + 1)}, "inf"]


def test_long_bodies_are_cut_and_say_so() -> None:
    """A long body is cut at a limit that the page states, and small ones beside it are whole."""
    text = page_of(report(envelope(1, data=["x" * 100_000]), envelope(2)))
    assert len(text) < 150_000
    assert "In 1 call texts of more than 20,000 characters are cut" in text
    (block,) = Tags(text).json(**{"class": "details"})
    assert block[0]["cut"] == {"data": 100_004}
    assert len(block[0]["data"]) == 20_000
    assert block[1]["data"] == {"id": 2}


def test_the_page_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The more there is, the less is kept of each call; failures keep more, and all is counted."""
    monkeypatch.setattr(details_module, "BUDGETS", ((20_000, 400), (30_000, 100)))
    monkeypatch.setattr(details_module, "OF_FAILURES", ((99_000, 400),))
    monkeypatch.setattr(html_module, "MOST_ROWS", 300)
    monkeypatch.setattr(html_module, "MOST_ROWS_AT_ALL", 310)
    calls = [
        envelope(i, "failed" if i % 40 == 0 else "done", notes="x" * 300) for i in range(1, 901)
    ]
    text = page_of(report(*calls))
    assert "Listed are 310 of 900 calls; the counts are of all." in text
    assert "went well the page has only a row" in text
    assert "<b>878</b> succeeded" in text
    tags = Tags(text)
    (index,) = tags.json(id="index")
    (block,) = tags.json(**{"class": "details"})
    assert len(index["rows"]) == len(block) == 310
    assert block[200] is None
    assert block[-1]["error"]["message"] == "no good: 680"


def test_what_is_no_use_in_a_page() -> None:
    """Texts, headers and depths beyond all reason are cut or left out, and the page stays one."""
    deep: Any = []
    for _ in range(400):
        deep = [deep]
    deeper: Any = deep
    for _ in range(200_000):
        deeper = [deeper]
    assert json.loads(details_module.dump(deeper)) == "nested too deeply to be shown"
    nothing = {"method": ["x" * 9000], "url": "u" * 9000, "headers": {"a": "x" * 5000}}
    rare = [envelope(i, request={"headers": {"n": str(i)}}) for i in range(3, 240)]
    tags = Tags(page_of(report(envelope(1, data=deep), envelope(2, request=nothing), *rare)))
    (index,) = tags.json(id="index")
    (block,) = tags.json(**{"class": "details"})
    assert block[1]["request"]["headers"] is None
    assert block[1]["request"]["url"].endswith("… (5,000 characters more)")
    assert len(index["headers"]) == 200
    assert block[-1]["request"]["headers"] is None


def test_a_page_of_nothing() -> None:
    """A report without calls is a page that says so."""
    assert "Succeeded" in page_of([])


# -- in a browser ---------------------------------------------------------------------------------

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome")
     if (path := Path("/usr/bin") / name).exists()),
    None,
)  # fmt: skip
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium; without one the tests in a browser are skipped."""
    if CHROMIUM is None:
        pytest.skip("no Chromium in /usr/bin: apt-get install chromium")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="no Playwright: pip install 'keitaro-runner[browser]'"
    )
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """Opens the page of a report; any error in it, and any request it makes, fails the test."""
    contexts, trouble = [], []

    def opened(
        lines: list[bytes] | Iterator[bytes], *, width: int = 1280, scheme: str = "light"
    ) -> Any:
        (tmp_path / "p.yaml").write_text(PLAYBOOK)
        file = tmp_path / "page.html"
        file.write_text(page_of(lines, tmp_path), encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("console", lambda message: trouble.append(message.text))
        page.on(
            "request",
            lambda request: None if request.url == file.as_uri() else trouble.append(request.url),
        )
        page.goto(file.as_uri())
        page.wait_for_selector("#calls:not([hidden])")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert trouble == []


def loop(count: int = 60, **more: Any) -> list[dict[str, Any]]:
    """A loop of calls four at a time, with one failure, among other steps."""
    calls = [
        envelope(
            i + 2, "failed" if i == 7 else "done", step="fan", index=i, resource="offer",
            started_at=f"2026-03-04T12:00:{10 + i // 4 % 50:02}.000Z", duration_ms=900 + i, **more,
        )
        for i in range(count)
    ]  # fmt: skip
    return [envelope(1, step="first"), *calls, envelope(count + 2, step="last")]


def keys(page: Any) -> list[str]:
    """The rows that are shown, by the step and iteration that they name."""
    return [str(text) for text in page.locator("#list .key").all_inner_texts()]


def found(page: Any, words: str) -> None:
    """Waits until the page has found so many calls."""
    page.wait_for_function(
        "words => document.getElementById('found').textContent === words", arg=words
    )


def test_markup_shows_as_text(show: Open) -> None:
    """A campaign named `<script>` shows as that text, in its row and opened; nothing runs."""
    body = {"name": NASTY, "url": "javascript:hacked=1"}
    page = show(report(envelope(1, data={"id": NASTY, **body}, step=NASTY), envelope(2, "failed")))
    page.locator("#list .row").first.click()
    assert json.dumps(NASTY, ensure_ascii=False) in page.locator(".json").nth(1).text_content()
    assert page.locator("#list .result").first.text_content() == f"id {NASTY}"
    assert page.locator("#list script, #list img, #list a").count() == 0
    assert page.evaluate("window.hacked") is None


def test_loops_fold(show: Open) -> None:
    """A loop is one row with its counts until it is unfolded, by a click or by key."""
    page = show(report(*loop()))
    assert keys(page) == ["first", "fan × 60", "last"]
    group = page.locator("#list .group button")
    assert group.locator(".result").inner_text() == "1 failed, 59 succeeded"
    group.click()
    assert keys(page)[:4] == ["first", "fan × 60", "fan[0]", "fan[1]"]
    assert group.get_attribute("aria-expanded") == "true"
    group.press("Enter")
    assert keys(page) == ["first", "fan × 60", "last"]
    page.click("#fold")
    assert "fan[0]" in keys(page)


def test_parallel_calls_lie_side_by_side(show: Open) -> None:
    """Calls that ran at once are drawn one below the other, to scale."""
    page = show(report(*loop(8)))
    page.locator("#list .group button").click()
    bars = [page.locator("#list .inside .bar i").nth(i).bounding_box() for i in (0, 3, 4, 7)]
    assert abs(bars[0]["x"] - bars[1]["x"]) < 1
    assert abs(bars[2]["x"] - bars[3]["x"]) < 1
    assert bars[2]["x"] > bars[0]["x"] + bars[0]["width"]
    assert bars[0]["width"] / bars[3]["width"] == pytest.approx(900 / 907, rel=0.02)
    pixel = """() => { const c = document.getElementById('chart'), p = c.getContext('2d');
      const all = p.getImageData(0, 0, c.width, c.height).data, wide = c.width * 4;
      const lane = (n) => all.slice((10 + n * 10) * wide, (11 + n * 10) * wide).some((v) => v);
      return [0, 1, 2, 3].map(lane); }"""
    assert page.evaluate(pixel) == [True] * 4


def test_search(show: Open) -> None:
    """Search finds text in names, requests, answers and errors, marks and case aside."""
    lines = report(*loop(), envelope(99, step="odd", data={"note": 'A "Quoted" <b>Ünïcode</b>'}))
    page = show(lines)
    for text, words, shown in (
        ("campaign 33", "1 of 63 calls", ["fan 1 of 60", "fan[31]"]),
        ('"quoted" <b>ü', "1 of 63 calls", ["odd"]),
        ("right it", "1 of 63 calls", ["fan 1 of 60", "fan[7]"]),
        ("fan[59]", "1 of 63 calls", ["fan 1 of 60", "fan[59]"]),
        ("nowhere to be found", "0 of 63 calls", []),
    ):
        page.fill("#search", text)
        found(page, words)
        assert keys(page) == shown, text
        page.click("#clear" if shown else "#clear-none")
        found(page, "63 calls")
    assert keys(page) == ["first", "fan × 60", "last", "odd"]


def test_filters(show: Open) -> None:
    """Calls are filtered by resource, outcome and status, together with the text."""
    page = show(report(*loop(), *MIXED))
    page.select_option("#outcome", label="failed (3)")
    found(page, "3 of 67 calls")
    page.select_option("#status", "422")
    found(page, "2 of 67 calls")
    page.select_option("#resource", "offer")
    found(page, "1 of 67 calls")
    assert keys(page) == ["fan 1 of 60", "fan[7]"]
    page.fill("#search", "campaign 99")
    found(page, "0 of 67 calls")
    page.click("#clear")
    found(page, "67 calls")
    page.select_option("#outcome", "changed")
    found(page, "63 of 67 calls")


def test_a_call_opened(show: Open) -> None:
    """An opened call shows its error with the hint, request, answer, place, and what is unknown."""
    page = show(report(envelope(1, "failed", shiny="new field"), envelope(2, data=list(range(90)))))
    page.click("#show-first")
    detail = page.locator(".detail").inner_text()
    for words in ("no good: 1", "right it", "https://t.example", '"Campaign 1"', '"taken"',
                  "p.yaml:7:5", "new_password: ***", "shiny", "new field"):  # fmt: skip
        assert words in detail, words
    page.locator("#list .done .row").click()
    more = page.locator(".done .more")
    assert more.inner_text() == "Show all 92 lines"
    assert "89" not in page.locator(".done .json").nth(1).inner_text()
    more.click()
    assert "89" in page.locator(".done .json").nth(1).inner_text()


def test_keys(show: Open) -> None:
    """All is done by keys: slash searches, arrows move, Enter opens, Escape closes."""
    page = show(report(*loop()))
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.locator("#list .row").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    for _ in range(40):
        page.keyboard.press("ArrowDown")
    focused = "document.activeElement.querySelector('.key').textContent"
    assert page.evaluate(focused) == "fan[39]"
    page.keyboard.press("Enter")
    assert page.locator(".detail").count() == 1
    page.keyboard.press("Escape")
    assert page.locator(".detail").count() == 0


def test_light_and_dark(show: Open) -> None:
    """The page is as light or dark as the system, and otherwise once the button is pressed."""
    paper = "getComputedStyle(document.body).backgroundColor"
    bright = show(report(*MIXED)).evaluate(paper)
    page = show(report(*MIXED), scheme="dark")
    assert page.evaluate(paper) != bright
    page.click("#theme")
    assert page.evaluate(paper) == bright
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(29, 31, 33)"


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_no_sideways_scrolling(show: Open, width: int) -> None:
    """At no width is the page wider than the window, whatever long words it holds."""
    long = "x" * 300
    page = show(
        report(
            envelope(1, "failed", step=long, data={long: long}, tracker=long,
                     error={"type": long, "message": long, "hint": long, "response": long}),
            *loop(20),
        ),
        width=width,
    )  # fmt: skip
    page.click("#show-first")
    page.click("#fold")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for row in page.locator("#list .row").all():
        box = row.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


def test_printing(show: Open) -> None:
    """On paper all rows stand one below the other, without the controls."""
    page = show(report(*loop()))
    page.click("#fold")
    drawn = page.locator("#list > li").count()
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#list > li").count() == 63 > drawn
    page.emulate_media(media="print")
    assert not page.locator("#filters").is_visible()
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.locator("#list > li").count() < 63


def test_a_hundred_thousand_calls(show: Open) -> None:
    """A page of 100,000 calls opens within seconds, draws only what is seen, and is searched."""
    template = json.dumps(
        envelope(1, step="fan", index=4711, data={"id": 1, "name": "NAME", "state": "active"})
    )
    bad = json.dumps(envelope(1, "failed", step="fan", index=4711))

    def lines() -> Iterator[bytes]:
        for seq in range(1, 100_001):
            line = bad if seq % 5000 == 0 else template
            yield (
                line.replace('"seq": 1', f'"seq": {seq}', 1)
                .replace("4711", str(seq), 1)
                .replace("NAME", f"Campaign no {seq}", 1)
                .replace(":01.250Z", f":{seq // 1700:02}.{seq % 1000:03}Z", 1)
            ).encode() + b"\n"

    begin = time.perf_counter()
    page = show(lines())
    shown = page.evaluate("performance.now()") / 1000
    assert shown < 30, f"{shown:.1f} s, and {time.perf_counter() - begin:.1f} with the export"
    page.click("#fold")
    assert page.locator("#list > li").count() < 60
    begin = time.perf_counter()
    page.fill("#search", "campaign no 77777")
    found(page, "1 of 100,000 calls")
    assert time.perf_counter() - begin < 20
    assert keys(page) == ["fan 1 of 100,000", "fan[77777]"]
    page.click("#clear")
    found(page, "100,000 calls")
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    page.wait_for_function(
        "() => document.querySelector('#list').textContent.includes('fan[99999]')"
    )
    assert page.locator("#list > li").count() < 60


def test_the_key_is_in_the_row_alone() -> None:
    """What a row says already is not said again in its details."""
    tags = Tags(page_of(report(envelope(key="buyer", settled="yes"))))
    ((call,),) = tags.json(**{"class": "details"})
    assert call["settled"] == "yes"
    assert "key" not in call
