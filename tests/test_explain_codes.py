"""The codes of problems: each is explained, with examples that hold, and no other is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Command

from runner.catalogue import Catalogue, bundled
from runner.cli.topics import explain, keys
from runner.cli.topics.examples import example
from runner.cli.topics.layout import Page
from runner.errors import ExitCode
from runner.model import Severity
from runner.playbook import parse, read
from runner.templating.filters import FILTERS, METHODS, PLAIN_TESTS
from runner.templating.functions import NAMES
from runner.validation import Rules, check
from runner.validation.notes import _CODES

CATALOGUE = Catalogue()
GUIDE = bundled("playbooks") / "README.md"
OPERATIONS = [
    operation
    for name in CATALOGUE.names
    if (resource := CATALOGUE.resource(name))
    for operation in resource.operations.values()
]
PROBLEMS: dict[str, Any] = json.loads((bundled("schemas") / "problems.json").read_bytes())
CODES: dict[str, Any] = PROBLEMS["codes"]
SAMPLES: dict[str, Any] = json.loads((bundled("schemas") / "examples.json").read_bytes())
SOURCES = [
    path.read_text(encoding="utf-8")
    for path in (bundled("schemas").parent / "runner").rglob("*.py")
    if "emulator" not in path.parts
]
# What no snippet can show: the size of a file, and what depends on a tracker (test_preflight).
WITHOUT_EXAMPLES = {"KP101", "KP502", "KP503", "KP504"}
ON_A_TRACKER = {"KP501"}
SHOWN = sorted(CODES.keys() - WITHOUT_EXAMPLES - ON_A_TRACKER)


def _emitted() -> set[str]:
    """The codes that the sources name, and those that they put together from a family."""
    found: set[str] = set()
    for source in SOURCES:
        found |= set(re.findall(r'"(K[PT]\d{3})"', source))
        families = re.findall(r'"(KP\d)"', source)
        found |= {family + last for family in families for last in [*_CODES.values(), "04"]}
    return found


def _codes_of(lines: list[str], folder: Path) -> set[str]:
    """The codes that validating an example gives."""
    text = "\n".join(lines) + "\n"
    if text.startswith("- "):
        text = "version: 1\nsteps:\n" + "".join(f"  {line}\n" for line in lines)
    path = folder / "playbook.yaml"
    path.write_text(text, encoding="utf-8")
    return {problem.code for problem in check(read(path), Rules(Catalogue()))}


def test_every_code_is_explained_and_no_other():
    """The codes that the sources emit are exactly those that have an entry."""
    assert _emitted() == set(CODES)


def test_codes_stand_in_order():
    """The list reads in the order of the codes."""
    assert list(CODES) == sorted(CODES)


@pytest.mark.parametrize("code", CODES)
def test_entries_are_complete(code):
    """Each code has a title, a severity, two to six sentences, and examples where it can."""
    entry = CODES[code]
    sentences = re.findall(r"[.?!](?= |$)", entry["explanation"])

    assert entry["title"][0].isupper()
    assert not entry["title"].endswith(".")
    assert entry["severity"] in {severity.value for severity in Severity}
    assert 2 <= len(sentences) <= 6
    assert ("bad" in entry, "good" in entry) == ((code not in WITHOUT_EXAMPLES,) * 2)


@pytest.mark.parametrize("code", SHOWN)
def test_the_bad_example_has_the_problem(code, tmp_path):
    """What is shown as wrong produces its code."""
    assert code in _codes_of(CODES[code]["bad"], tmp_path)


@pytest.mark.parametrize("code", [code for code in SHOWN if "good" in CODES[code]])
def test_the_good_example_has_no_problem_at_all(code, tmp_path):
    """What is shown as right has neither this problem nor another."""
    assert _codes_of(CODES[code]["good"], tmp_path) == set()


@pytest.mark.parametrize("code", SHOWN)
def test_the_severity_is_that_of_the_example(code, tmp_path):
    """The severity that is stated is the one that the example gets."""
    _codes_of(CODES[code]["bad"], tmp_path)
    problems = check(read(tmp_path / "playbook.yaml"), Rules(Catalogue()))

    assert {p.severity.value for p in problems if p.code == code} == {CODES[code]["severity"]}


def test_every_exit_code_is_explained():
    """The exit codes of the command are exactly those that are explained."""
    assert list(PROBLEMS["exit_codes"]) == [str(int(code)) for code in ExitCode]


# -- the command ----------------------------------------------------------------------------------


def _page(topic: str, width: int = 80) -> str:
    page = Page(width)
    explain(topic, CATALOGUE, page)
    return str(page)


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_page(code):
    """The page of a code has its title, its explanation and its examples."""
    text = _page(code.lower())

    assert text.startswith(f"{code}: {CODES[code]['title']} ({CODES[code]['severity']})")
    assert CODES[code]["explanation"].split()[-1] in text
    assert ("not like this:" in text) is ("bad" in CODES[code])


def test_a_control_character_in_an_example_is_shown_and_not_sent_to_the_terminal():
    """What would ring the bell stands there as an escape."""
    assert "\a" not in _page("KP102")
    assert r"\x07" in _page("KP102")


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_every_operation_has_a_page_with_all_that_it_takes(operation):
    """Request, parameters, every field of the body and every note are on the page."""
    text = _page(str(operation))
    flat = " ".join(text.split())

    assert f"{operation.method} /admin_api/v1{operation.path}" in flat
    for name in (*(operation.body or {}).get("properties", {}), *operation.parameters):
        assert name in flat
    for note in (operation.description, *operation.notes):
        assert " ".join(note.split()) in flat


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_every_example_is_a_playbook_without_a_problem(operation):
    """The step that a page shows can be copied: it is valid, and lint minds nothing either."""
    text = example(operation)

    assert [(p.code, p.message) for p in check(parse(text), Rules(CATALOGUE))] == []
    assert f"operation: {operation.name}" in text
    assert "\n".join(f"  {line}" for line in text.splitlines()) in _page(str(operation))


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_every_field_of_every_body_has_a_page(operation):
    """Fields are reached by their path, those in lists and mappings too, with their description."""
    for path, schema in _fields(operation.body or {}):
        flat = " ".join(_page(f"{operation}.{path}").split())

        assert flat.startswith(f"{operation}.{path}: ")
        assert " ".join(schema["description"].split()) in flat


KEYS = keys.known(CATALOGUE)


@pytest.mark.parametrize("name", KEYS)
def test_every_key_of_a_playbook_has_a_page(name):
    """Each key is described for every place where it may stand, and none is a resource."""
    flat = " ".join(_page(name).split())

    for schema in KEYS[name].values():
        assert " ".join(schema["description"].split()) in flat
    assert CATALOGUE.resource(name) is None


@pytest.mark.parametrize("name", SAMPLES["keys"])
def test_every_example_of_a_key_holds(name, tmp_path):
    """The lines that a page shows use the key, and there is nothing to say against them."""
    lines = SAMPLES["keys"][name]
    assert any(re.match(rf".*\b{name}:", line) for line in lines)
    assert "\n".join(f"  {line}" for line in lines) in _page(name)
    text = "\n".join(lines) + "\n"
    if not lines[0].startswith("- "):
        text = "version: 1\n" + text
        text += "" if "steps:" in text else "steps:\n  - {resource: offer, operation: getAll}\n"
    else:
        text = "version: 1\ninputs:\n  country: {type: string}\n  with_offers: {type: boolean}\nsteps:\n"
        text += "".join(f"  {line}\n" for line in lines)
    (tmp_path / "bodies").mkdir()
    (tmp_path / "bodies" / "campaign.json").write_text('{"name": "Launch"}')
    (tmp_path / "offers.csv").write_text("id,name\n5,Tea\n")
    (tmp_path / "buyer.yaml").write_text(
        "version: 1\ninputs:\n  login: {type: string}\nsteps:\n  - {resource: offer, operation: getAll}\n"
    )
    path = tmp_path / "playbook.yaml"
    path.write_text(text, encoding="utf-8")
    assert [p.message for p in check(read(path), Rules(CATALOGUE))] == []


def _fields(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    inner = schema.get("items", schema) if "items" in schema else schema
    for name, part in inner.get("properties", {}).items():
        yield f"{path}{name}", part
        yield from _fields(part, f"{path}{name}.")


@pytest.mark.parametrize(
    ("topic", "shown"),
    [
        ("stream.create.filters", ("list of mappings", "name  text; required", "accept, reject")),
        ("stream.update.offers.offer_id", ("whole number; required", "The id of an offer")),
        ("campaign.create.group_id", ("group of type campaigns", "Sent as text")),
        ("campaign.create.type", ("one of position, weight; default position",)),
        ("user.create.new_password", ("secret", "'secret: true'")),
        ("group.getAll.type", ("one of campaigns, offers", "required")),
        ("group.getAll.params.type", ("one of campaigns, offers", "required")),
        ("stats.getAll.body.range", ("interval  one of today",)),
        ("stats.getAll.metrics", ("clicks", "Visits.")),
        ("stats.getAll.filters.operator", ("IN_LIST", "list")),
        ("conversion.getAll.columns", ("postback_datetime",)),
        ("stats", ("getAll", "clicks", "ts_id", "7_days_ago", "IN_LIST")),
        ("campaign", ("create", "cleanArchive")),
        ("campaign.create", ("looked for by alias",)),
        ("campaign.delete", ("archive", "destroys")),
        ("campaign.cleanArchive", ("empties the whole archive",)),
        ("click.clean", ("without campaign_id it wipes",)),
        ("stream.create", ("never repeated by itself",)),
        ("landing.download", ("save: landing.zip", "bytes of a file")),
        ("exit-codes", ("5 in doubt", "130 interrupted")),
        ("for_each", ("of any step: list or text", "once for each", "example: - for_each")),
        ("timeout", ("of defaults: number or text", "of a call:", "500ms, 30s or 5m")),
        ("save", ("its keys: to text; required", "columns list of texts")),
        ("steps", ("keys of a call: resource, operation, id",)),
    ],
)
def test_pages_say_what_matters(topic, shown):
    """Types, enums, defaults, references, secrets, bounds and names are all there."""
    flat = " ".join(_page(topic).split())

    for words in shown:
        assert " ".join(words.split()) in flat


@pytest.mark.parametrize(
    ("topic", "hint"),
    [
        ("campaigns", "'campaign'"),
        ("campaigns.create", "'campaign.create'"),
        ("campaing", "'campaign'"),
        ("campaign.list", "'campaign.getAll'"),
        ("campaign.updat", "'update'"),
        ("campaign.create.nme", "'campaign.create.name'"),
        ("stream.create.filters.mod", "'stream.create.filters.mode'"),
        ("campaign.create.name.first", "has no fields"),
        ("campaign.get.name", "no fields"),
        ("postback", "field `postbacks`"),
        ("conversion.create", "postback address"),
        ("KT099", "KT009"),
        ("exit-code-s", "'exit-codes'"),
        ("qqqqqqqq", "lists the topics"),
    ],
)
def test_an_unknown_topic_gets_the_nearest_one(cli, topic, hint):
    """The command ends with 2, says nothing on stdout, and offers what was probably meant."""
    said = cli("explain", topic)

    assert (said.code, said.out) == (ExitCode.USAGE, "")
    assert hint in said.err


def test_without_a_topic_all_of_them_are_listed(cli):
    """Every resource, every code and the exit codes are on the list."""
    said = cli("explain")

    assert said.code == ExitCode.OK
    for name in (*CATALOGUE.names, *CODES, "exit-codes"):
        assert f"  {name} " in said.out
    assert set(KEYS) <= set(re.findall(r"\w+", said.out))


@pytest.mark.parametrize("columns", ["60", "80", "300"])
def test_pages_are_as_wide_as_the_terminal_and_never_very_wide(cli, monkeypatch, columns):
    """Text is broken at the terminal's width, at most at 100, and carries no colour."""
    monkeypatch.setenv("COLUMNS", columns)
    said = cli("explain", "stream.create")
    text = said.out.split("example:")[0]

    assert max(map(len, text.splitlines())) <= min(int(columns), 100)
    assert max(map(len, text.splitlines())) > min(int(columns), 100) - 25
    assert "\x1b" not in said.out


def test_all_that_expressions_may_use_has_a_page() -> None:
    """Each filter, test, method and function, with the examples of the guide, whatever it is."""
    for kind, names in (
        ("filter", FILTERS),
        ("test", PLAIN_TESTS),
        ("method", {name for methods in METHODS.values() for name in methods}),
        ("function", (*NAMES, "range")),
    ):
        for name in names:
            said = _page(name)
            assert f"{name}, a {kind} of expressions" in said
            assert re.search(rf"\b{name}\b.* -> ", said)
    assert _page("functions") == _page("filters")
    assert _page("filters").count(" -> ") == sum(
        " -> " in line for line in GUIDE.read_text(encoding="utf-8").splitlines()
    )


def test_examples_are_for_operations_that_exist():
    """A sample for an operation that the catalogue lacks would never be seen."""
    assert SAMPLES["operations"].keys() <= {str(operation) for operation in OPERATIONS}


@pytest.mark.parametrize(
    ("topic", "hint"),
    [
        ("offer.payout_value", "did you mean 'offer.create.payout_value'?"),
        ("offer.payout", "did you mean 'offer.create.payout_value'?"),
        ("offer.create.payout", "did you mean 'offer.create.payout_value'?"),
        ("campaign.creat", "did you mean 'create'?"),
        ("campaign.update.nmae", "did you mean 'campaign.update.name'?"),
    ],
)
def test_topics_that_are_nearly_right(cli: Command, topic: str, hint: str) -> None:
    """A field without its operation, or by the name that people have for it, is led to."""
    said = cli("explain", topic)
    assert said.code == 2
    assert hint in said.err
