"""The guide and the README: every snippet is validated and run, every stated result computed.

An HTML comment before a fence says what the snippet is:

| comment | the snippet |
|---|---|
| none | is a playbook of its own, and runs |
| `steps` | is a list of steps, and runs; `steps, not run` is validated only |
| `part` | is a part of a playbook besides its steps |
| `file NAME` | lies there when the snippets after it are run |
| `wrong CODE` | is refused with this code |
| `warns CODE` | runs, with this warning |
| `inputs file`, `trackers file` | is one |

Inputs that steps use and nothing declares are declared here, with the values of VALUES.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from runner import inputs
from runner.catalogue import Catalogue, bundled
from runner.cli.commands import group
from runner.emulator import Emulator, Fault, sample_seed
from runner.emulator.faults import KINDS
from runner.playbook import parse
from runner.templating import Templates
from runner.templating.filters import METHODS
from runner.templating.functions import NAMES, standard
from runner.trackers import Trackers

ROOT = Path(__file__).parent.parent
GUIDE = ROOT / "playbooks" / "README.md"
README = ROOT / "README.md"

# What the inputs of snippets stand for, on the sample tracker.
VALUES: Mapping[str, Any] = {
    "country": "DE",
    "countries": ["DE", "FR"],
    "group_id": None,
    "mode": "test",
    "offer_id": 3,
    "stream_id": 2,
}
EXTRA_FILES = {
    "data/semicolons.csv": "name;payout\nQuiz;4,50\n",
    "data/shares.json": '{"main": 60, "rest": 40}',
}

_FENCE = re.compile(
    r"(?:^<!-- (?P<mark>[^>]*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Snippet:
    """A fenced block: where it begins, what its comment says, and its text."""

    file: Path
    line: int
    mark: str
    language: str
    text: str

    @property
    def kind(self) -> str:
        """The first word of its comment."""
        return self.mark.split(" ", 1)[0].rstrip(",")

    @property
    def rest(self) -> str:
        """The words after it."""
        return self.mark.partition(" ")[2]

    @property
    def playbook(self) -> str:
        """The snippet as a whole playbook."""
        if self.text.startswith("- "):
            used = dict.fromkeys(re.findall(r"inputs\.(\w+)", self.text))
            declared = {name: {"default": VALUES[name]} for name in used}
            steps = "".join(f"  {line}\n" if line else "\n" for line in self.text.splitlines())
            return f"version: 1\ninputs: {json.dumps(declared)}\nsteps:\n{steps}"
        if self.kind == "part":
            step = "{resource: offer, operation: getAll}"
            return f"version: 1\n{self.text}\nsteps: [{step}]\n"
        return self.text


def snippets_of(file: Path) -> list[Snippet]:
    text = file.read_text(encoding="utf-8")
    return [
        Snippet(
            file,
            text.count("\n", 0, found.start("text")),
            found["mark"] or "",
            found["language"],
            found["text"],
        )
        for found in _FENCE.finditer(text)
    ]


def _is_trackers_file(snippet: Snippet) -> bool:
    return "trackers:" in snippet.text and "steps:" not in snippet.text


ALL = [*snippets_of(GUIDE), *snippets_of(README)]
YAML = [s for s in ALL if s.language == "yaml"]
TRACKERS = [s for s in YAML if _is_trackers_file(s)]
PLAYBOOKS = [s for s in YAML if not _is_trackers_file(s)]
RUNNING = [s for s in PLAYBOOKS if s.kind in {"", "steps", "warns"} and "not run" not in s.mark]
WARNING = [s for s in YAML if s.kind == "warns"]
QUIET = [s for s in PLAYBOOKS if s.kind in {"", "steps", "part"}]
WRONG = [s for s in YAML if s.kind == "wrong"]


def where(value: Any) -> str:
    return f"{value.file.parent.name}-{value.line}" if isinstance(value, Snippet) else str(value)


Command = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the guide's files, which commands are started in."""
    shutil.copytree(ROOT / "playbooks" / "data", tmp_path / "data")
    files = {s.rest: s.text for s in ALL if s.kind == "file"}
    for name, text in {**EXTRA_FILES, **files}.items():
        target = tmp_path / name
        target.parent.mkdir(exist_ok=True)
        target.write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEITARO_STATE_DIR", str(tmp_path / "state"))
    return tmp_path


def invoke(*arguments: str, **env: str) -> Result:
    return CliRunner().invoke(group, arguments, env=env)


def problems(folder: Path, snippet: Snippet) -> list[dict[str, Any]]:
    file = folder / "snippet.yaml"
    file.write_text(snippet.playbook, encoding="utf-8")
    result = invoke("validate", "--format=json", str(file))
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


# --- snippets -----------------------------------------------------------------------------------


@pytest.mark.parametrize("snippet", QUIET, ids=where)
def test_snippet_has_no_problems(snippet: Snippet, folder: Path) -> None:
    """A snippet that is shown as right has neither an error nor a warning."""
    assert problems(folder, snippet) == []


@pytest.mark.parametrize("snippet", RUNNING, ids=where)
def test_snippet_runs(snippet: Snippet, folder: Path) -> None:
    """What is shown as right really works, on a tracker with two campaigns and their traffic."""
    file = folder / "snippet.yaml"
    file.write_text(snippet.playbook, encoding="utf-8")
    needed = re.findall(r"^  (\w+): \{type: \w+\}$", snippet.playbook, re.MULTILINE)
    given = [f"--input={name}={VALUES[name]}" for name in needed]
    with Emulator(seed=sample_seed()) as tracker:
        env = {"KEITARO_URL": tracker.url, "KEITARO_API_KEY": tracker.key}
        result = invoke("run", str(file), "--yes", *given, **env)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("snippet", WRONG, ids=where)
def test_wrong_snippet(snippet: Snippet, folder: Path) -> None:
    """What is shown as wrong is refused, with the code that the guide names."""
    found = problems(folder, snippet)
    assert [p["code"] for p in found if p["severity"] == "error"] == [snippet.rest]


@pytest.mark.parametrize("snippet", WARNING, ids=where)
def test_warning_snippet(snippet: Snippet, folder: Path) -> None:
    """What is shown as a trap is warned of, with the code that the guide names."""
    found = problems(folder, snippet)
    assert {(p["severity"], p["code"]) for p in found} == {("warning", snippet.rest)}


def test_inputs_file(folder: Path) -> None:
    """The file of inputs gives the inputs that the guide declares their values."""
    (part,) = [s for s in YAML if s.kind == "part" and "inputs:" in s.text]
    (values,) = [s for s in YAML if s.mark == "inputs file"]
    declared = parse(part.playbook, "part.yaml").data["inputs"]
    given = inputs.read_file(values.text, "values.yaml")
    found = inputs.resolve(
        declared,
        texts={"offer_id": "7"},
        values=given,
        environ={"BUYER_PASSWORD": "canary"},
        secrets={},
    )
    assert found.secrets == ("canary",)
    assert {name: found.values[name] for name in ("country", "payout", "countries", "note")} == {
        "country": "FR",
        "payout": 14,
        "countries": ["FR", "BE"],
        "note": None,
    }


@pytest.mark.parametrize("snippet", TRACKERS, ids=where)
def test_trackers_file(snippet: Snippet, tmp_path: Path) -> None:
    """A file of trackers is read, and its default has the key of its variable."""
    file = tmp_path / "trackers.yaml"
    file.write_text(snippet.text, encoding="utf-8")
    found = Trackers(file, {"MAIN_KEY": "f" * 32}).get()
    assert (found.name, found.key) == ("main", "f" * 32)


def test_every_snippet_is_tested() -> None:
    """No yaml block goes by another mark, and no step or playbook hides in another language."""
    kinds = {"", "steps", "part", "file", "wrong", "warns", "inputs", "trackers"}
    assert {s.kind for s in YAML if s.file == GUIDE} <= kinds
    assert all(s.language in {"yaml", "yml", "sh", "text", "json", "console"} for s in ALL)
    assert not [s for s in ALL if s.language != "yaml" and "operation:" in s.text.split("|")[0]]
    assert GUIDE.read_text(encoding="utf-8").count("<!--") == sum(bool(s.mark) for s in ALL)
    assert len(YAML) > 40


# --- tables -------------------------------------------------------------------------------------

_ROW = re.compile(r"^(?P<example>.+?) +-> (?P<rest>.+)$", re.MULTILINE)
_SCOPE = {
    "rows": [{"id": 1, "name": "DE", "share": 60}, {"id": 2, "name": "FR", "share": 40}],
    "m": {"b": 2, "a": 1},
    "n": None,
}


def functions_table() -> list[tuple[str, Any]]:
    """Each example of the table, with the result that it states."""
    section = GUIDE.read_text(encoding="utf-8").partition("## Functions and filters")[2]
    table = _FENCE.search(section)
    assert table is not None
    decoder = json.JSONDecoder()
    lines = [line for line in table["text"].splitlines() if line and not line.startswith("-- ")]
    found = [_ROW.match(line) for line in lines]
    assert all(found)
    return [(row["example"], decoder.raw_decode(row["rest"])[0]) for row in found if row]


@pytest.fixture
def templates(folder: Path) -> Templates:
    noon = datetime(2026, 3, 4, 12, tzinfo=UTC)
    return Templates(standard(folder, folder, lambda: noon))


@pytest.mark.parametrize(("example", "stated"), functions_table(), ids=where)
def test_functions_table(example: str, stated: Any, templates: Templates) -> None:
    """Each example gives what the table says."""
    found = templates.expression(example).evaluate(_SCOPE)
    assert json.dumps(found) == json.dumps(stated)


def test_functions_table_is_complete(templates: Templates) -> None:
    """Every function, filter, test and method of the language stands in the table, by example."""
    examples = "\n".join(example for example, _ in functions_table())
    methods = {name for known in METHODS.values() for name in known}
    sandbox = templates.sandbox
    for known, form in (
        (sandbox.filters, r"\| (\w+)"),
        (sandbox.tests, r" is (\w+)"),
        (methods, r"\.(\w+)\("),
        (NAMES, r"^(\w+)\("),
    ):
        shown = set(re.findall(form, examples, re.MULTILINE))
        # What begins with _ is the sandbox's own, and tests by sign (==) are operators.
        missing = {name for name in known if name.isidentifier() and name[0] != "_"} - shown
        assert missing == set()


def rows(title: str) -> list[list[str]]:
    """The cells of all tables in a section."""
    section = (
        GUIDE.read_text(encoding="utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    )
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([\w.]+)`", cell)


def test_operations_table() -> None:
    """The guide names every resource, each with all its operations and no others."""
    catalogue = Catalogue()
    known = set(catalogue.names)
    stated: dict[str, list[str]] = {}
    for cells in rows("Resources and operations"):
        names = quoted(cells[0])
        if names and set(names) <= known and names[0] not in stated:
            stated |= dict.fromkeys(names, cells[1].split())
    assert set(stated) == known
    for name, operations in stated.items():
        found = catalogue.resource(name)
        assert found is not None
        assert sorted(operations) == sorted(found.operations)


def test_params_table() -> None:
    """Every operation with parameters stands in the guide, with the names of all of them."""
    catalogue = Catalogue()
    stated: dict[str, set[str]] = {}
    for cells in rows("Resources and operations"):
        for name in quoted(cells[0]):
            if "." in name and name not in stated:
                stated[name] = set(quoted(cells[1]))
    for resource in catalogue.names:
        if resource == "api":
            continue
        found = catalogue.resource(resource)
        assert found is not None
        for name, operation in found.operations.items():
            twin = f"landing.{name}" if resource == "offer" else ""
            row = stated.get(f"{resource}.{name}", stated.get(twin, set()))
            assert set(operation.parameters) <= row, f"{resource}.{name}"


def test_bodies_table() -> None:
    """Every field in the table of bodies is one, and those that are needed are in bold."""
    catalogue = Catalogue()
    checked = 0
    for cells in rows("Resources and operations"):
        names = quoted(cells[0])
        if "range" not in cells[-1] and "**" not in cells[-1]:
            continue
        fields = re.sub(r"\([^)]*\)", "", cells[1])
        needed = set(re.findall(r"\*\*(\w+)\*\*", fields))
        for name in names[-1:] if cells[0].startswith("in ") else names:
            if cells[0].startswith("in "):
                write = catalogue.operation("stream", "create")
                assert write is not None
                assert write.body is not None
                schema = write.body["properties"][names[0]]["items"]
            else:
                resource, _, operation = name.partition(".")
                default = "getAll" if resource == "stats" else "create"
                write = catalogue.operation(resource, operation or default)
                assert write is not None
                assert write.body is not None
                schema = write.body
            assert set(re.findall(r"\w+", fields)) <= set(schema["properties"]), name
            assert needed == set(schema.get("required", ())), name
            checked += 1
    assert checked >= 19


def test_step_keys_table() -> None:
    """Every key of a step stands in the table, with the kinds of step that may have it."""
    language = Catalogue().language
    kinds = ("call", "block", "set", "include")
    stated: dict[str, set[str]] = {}
    for cells in rows("Keys of a step"):
        for key in quoted(cells[0]):
            stated[key] = set(kinds) if cells[1] == "all" else set(cells[1].split(", "))
    wanted = {key: set(kinds) for key in language["common"]}
    for kind in kinds:
        for key in set(language[kind]["properties"]) - set(language["common"]):
            wanted.setdefault(key, set()).add(kind)
    assert stated == wanted


def test_links_lead_somewhere() -> None:
    """Each link within the guide names one of its headings."""
    text = GUIDE.read_text(encoding="utf-8")
    titles = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors


def test_every_lint_rule_is_in_the_guide() -> None:
    """The table of lint rules is that of the codes which `explain` knows."""
    problems = json.loads((bundled("schemas") / "problems.json").read_bytes())["codes"]
    told = dict(re.findall(r"^\| (KT\d+) \| (.+?) \| ", GUIDE.read_text("utf-8"), re.M))
    assert told == {c: about["title"] for c, about in problems.items() if c.startswith("KT")}


def test_what_the_readme_says_of_the_emulator() -> None:
    """Its seed and its faults can be read, and the kinds of faults are all there."""
    samples = [json.loads(s.text) for s in snippets_of(README) if s.language == "json"]
    seed, faults = samples[-2:]
    tracker = Emulator(seed=seed)
    for fault in faults:
        tracker.fault(Fault.from_dict(fault))
    assert [row["name"] for row in tracker.state.rows("streams")] == ["All"]
    told = README.read_text(encoding="utf-8").split("The kinds are ", 1)[1].split(";", 1)[0]
    assert set(re.findall(r"`(\w+)`", told)) == set(KINDS)
