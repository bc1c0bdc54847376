"""The command line: what it says where, its exit codes, and what it does not do."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from conftest import (
    ROOT,
    Command,
    Said,
    Start,
    calls,
    check_report,
    command_line,
    environment,
    spawn,
    steps,
)

from runner import __version__
from runner.cli.commands import group
from runner.cli.output import painter
from runner.emulator import Emulator, Fault
from runner.errors import ExitCode
from runner.report.console import no_paint

READ = steps("{name: offers, resource: offer, operation: getAll}")
WRONG = steps("{name: offers, resource: offers, operation: get}")
COMMANDS = group.list_commands(click.Context(group))


@pytest.fixture
def playbook(folder: Path) -> Path:
    path = folder / "p.yaml"
    path.write_text(READ)
    return path


@pytest.fixture
def tracker(start: Start, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """An empty tracker, which the environment names."""
    tracker = start()
    monkeypatch.setenv("KEITARO_URL", tracker.url)
    monkeypatch.setenv("KEITARO_API_KEY", tracker.key)
    return tracker


# -- help and usage ---------------------------------------------------------------------------


def test_version(cli: Command) -> None:
    """--version says name and version."""
    assert cli("--version") == Said(0, f"keitaro-runner {__version__}\n", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_help(cli: Command, name: str) -> None:
    """Every command has help, a line in the group's help, and a line in the README."""
    said = cli(name, "--help")
    assert said.code == 0
    assert said.err == ""
    assert said.out.startswith(f"Usage: keitaro-runner {name} ")
    options = [line for line in said.out.splitlines() if re.match(r"  -", line)]
    assert options
    assert re.search(rf"^  {name}  +\S", cli("--help").out, re.MULTILINE)
    assert f"| `{name}` |" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_described(name: str) -> None:
    """No option is left without a word on what it does."""
    command = group.get_command(click.Context(group), name)
    assert command is not None
    options = [p for p in command.params if isinstance(p, click.Option)]
    assert [o.name for o in options if not o.help] == []


def test_exit_codes_are_told(cli: Command) -> None:
    """README and help name every exit code."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    said = " ".join(cli("--help").out.split())
    for code in ExitCode:
        assert f"| {code.value} |" in readme
        assert re.search(rf"\b{code.value} \w", said)


def test_nothing_at_all(cli: Command) -> None:
    """Without a command the help is shown."""
    said = cli()
    assert "Usage: keitaro-runner" in said.out + said.err
    assert said.code in {0, 2}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rnu"], "Did you mean 'run'?"),
        (["frobnicate"], "there is no command 'frobnicate'."),
        (["run", "p.yaml", "--reprot", "x"], "--reprot"),
        (["run", "a.yaml", "b.yaml"], "b.yaml"),
        (["validate"], "PLAYBOOK"),
        (["validate", "p.yaml", "--format", "xml"], "xml"),
        (["run", "p.yaml", "--input", "country"], "NAME=VALUE"),
        (["run", "p.yaml", "--emulator", "--tracker", "x"], "--emulator"),
        (["run", "p.yaml", "--trackers", "nothere.yaml"], "nothere.yaml"),
        (["run", "nothere.yaml", "--emulator"], "cannot read nothere.yaml: No such file"),
        (["validate", "nothere.yaml"], "cannot read nothere.yaml: No such file"),
        (["validate", "p"], "did you mean p.yaml?"),
        (["p.yaml"], "To run a playbook: keitaro-runner run p.yaml"),
        (["run", ".", "--emulator"], ". is a folder"),
        (["emulate", "--port", "99999"], "99999"),
        (["emulate", "--dialect", "8"], "8"),
        (["schema", "pizza"], "pizza"),
        (["run", "p.yaml", "--inputs", "nothere.yaml", "--emulator"], "cannot read nothere.yaml"),
        (["run", "p.yaml", "--input", "x=1", "--emulator"], "has no input 'x'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_usage(cli: Command, playbook: Path, words: list[str], message: str) -> None:
    """Wrong usage is exit code 2, with what is wrong on stderr and nothing on stdout."""
    said = cli(*words)
    assert said.code == ExitCode.USAGE
    assert message in said.err
    assert said.out == ""
    assert "Traceback" not in said.err


# -- validate ---------------------------------------------------------------------------------


def test_validate(cli: Command, playbook: Path, folder: Path) -> None:
    """Problems go to stdout, the verdict to stderr; an error means 3, warnings alone mean 0."""
    assert cli("validate", "p.yaml") == Said(0, "", "1 playbook, no problems\n")
    (folder / "w.yaml").write_text(WRONG)
    said = cli("validate", "p.yaml", "w.yaml")
    assert said.code == ExitCode.INVALID
    assert said.out.startswith("w.yaml:3:30: error KP206: there is no resource 'offers'\n")
    assert said.err == "2 playbooks, 2 errors, 0 warnings\n"
    (folder / "u.yaml").write_text(
        steps("{resource: group, operation: create, body: {name: 007, type: offers}}")
    )
    assert cli("validate", "u.yaml").code == 0
    assert cli("validate", "u.yaml", "--strict").code == ExitCode.INVALID


def test_validate_folders(cli: Command, folder: Path) -> None:
    """A folder stands for the playbooks in it, at any depth; one without any is a mistake."""
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "one.yml").write_text(WRONG)
    (folder / "a" / "b" / "two.yaml").write_text(WRONG)
    for other in ("notes.txt", "trackers.yaml", ".github/check.yml", ".hidden.yaml"):
        (folder / "a" / other).parent.mkdir(exist_ok=True)
        (folder / "a" / other).write_text("no: playbook")
    said = cli("validate", "a")
    assert said.err == "2 playbooks, 4 errors, 0 warnings\n"
    assert re.findall(r"^(\S+?):3:30:", said.out, re.MULTILINE) == ["a/b/two.yaml", "a/one.yml"]
    (folder / "empty").mkdir()
    empty = cli("validate", "empty")
    assert (empty.code, empty.out) == (ExitCode.USAGE, "")
    assert "no playbook lies in empty" in empty.err


def test_validate_stdin(cli: Command) -> None:
    """`-` is standard input."""
    said = cli("validate", "-", stdin=WRONG)
    assert said.out.startswith("<stdin>:3:30: error KP206")
    assert cli("validate", "-", stdin=READ).code == 0


def test_validate_json(cli: Command, folder: Path) -> None:
    """As JSON every problem is an object with its place; without problems an empty list."""
    (folder / "w.yaml").write_text(WRONG)
    said = cli("validate", "w.yaml", "--format", "json")
    first = json.loads(said.out)[0]
    assert first == {
        "code": "KP206",
        "severity": "error",
        "file": "w.yaml",
        "line": 3,
        "column": 30,
        "length": 6,
        "path": "steps[0].resource",
        "message": "there is no resource 'offers'",
        "hint": "did you mean 'offer'?",
        "source": "  - {name: offers, resource: offers, operation: get}",
    }
    assert json.loads(cli("validate", "-", "--format", "json", stdin=READ).out) == []


def test_validate_github(cli: Command, folder: Path) -> None:
    """For GitHub every problem is an annotation, with what would end it early escaped."""
    (folder / "50%,a:b.yaml").write_text(WRONG)
    said = cli("validate", "50%,a:b.yaml", "--format", "github")
    assert said.out.splitlines()[0] == (
        "::error file=50%25%2Ca%3Ab.yaml,line=3,col=30,endColumn=36,title=KP206::"
        "there is no resource 'offers' (did you mean 'offer'?)"
    )
    assert all(line.startswith("::") for line in said.out.splitlines())


def test_validate_needs_no_tracker(cli: Command, playbook: Path) -> None:
    """Nothing is sent and no tracker is needed."""
    assert cli("validate", "p.yaml").code == 0


# -- run --------------------------------------------------------------------------------------


def test_run(cli: Command, playbook: Path, tracker: Emulator, folder: Path) -> None:
    """The conversation goes to stderr, the report to its file, and nothing to stdout."""
    said = cli("run", "p.yaml", "--report", "r.jsonl")
    assert (said.code, said.out) == (0, "")
    assert "offers  offer.getAll  200" in said.err
    (envelope,) = check_report((folder / "r.jsonl").read_text())
    assert envelope["step"] == "offers"
    assert calls(tracker) == ["GET /offers"]


def test_report_on_stdout(cli: Command, playbook: Path, tracker: Emulator) -> None:
    """With `--report -` stdout holds the report and nothing else."""
    said = cli("run", "p.yaml", "--report", "-", "--quiet")
    assert [e["step"] for e in said.envelopes] == ["offers"]
    assert said.err == ""


def test_playbook_on_stdin(cli: Command, tracker: Emulator) -> None:
    """A playbook may come from standard input."""
    said = cli("run", "-", stdin=READ)
    assert said.code == 0
    assert calls(tracker) == ["GET /offers"]


@pytest.mark.parametrize("text", [WRONG, "version: [", "", "- x", READ + "steps: []\n"])
def test_nothing_is_sent_from_an_invalid_playbook(
    cli: Command, folder: Path, tracker: Emulator, text: str
) -> None:
    """An invalid playbook ends with 3: no request, and no report in the place of an older one."""
    (folder / "w.yaml").write_text(text)
    (folder / "r.jsonl").write_text("older")
    said = cli("run", "w.yaml", "--report", "r.jsonl")
    assert said.code == ExitCode.INVALID
    assert "nothing was sent" in said.err
    assert calls(tracker) == []
    assert (folder / "r.jsonl").read_text() == "older"


@pytest.mark.parametrize("place", ["nothere/r.jsonl", "."])
def test_unwritable_report(cli: Command, playbook: Path, tracker: Emulator, place: str) -> None:
    """A report that cannot be written is a mistake that is told before anything is sent."""
    said = cli("run", "p.yaml", "--report", place)
    assert said.code == ExitCode.USAGE
    assert f"cannot write {place}" in said.err
    assert calls(tracker) == []


def test_report_into_a_closed_pipe(playbook: Path, folder: Path, tracker: Emulator) -> None:
    """Where nobody reads the report any more the run ends without a traceback."""
    (folder / "many.yaml").write_text(
        steps("{for_each: '${{ range(50) }}', resource: offer, operation: getAll}")
    )
    reading, writing = os.pipe()
    os.close(reading)
    with subprocess.Popen(
        command_line("run", "many.yaml", "--report", "-"),
        cwd=folder,
        env=environment(),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(writing)
        _, err = process.communicate(timeout=30)
    assert process.returncode not in {0, -signal.SIGPIPE}
    assert "Traceback" not in err
    assert "Exception ignored" not in err
    assert len(calls(tracker)) < 50


ADDRESSES = {
    "none": ({}, "KEITARO_URL"),
    "no-key": ({"KEITARO_URL": "https://t.example"}, "KEITARO_API_KEY is not set"),
    "empty-key": ({"KEITARO_URL": "https://t.example", "KEITARO_API_KEY": ""}, "KEITARO_API_KEY"),
    "key-of-two-lines": (
        {"KEITARO_URL": "https://t.example", "KEITARO_API_KEY": "a\nb"}, "KEITARO_API_KEY",
    ),
    "no-scheme": (
        {"KEITARO_URL": "t.example.com", "KEITARO_API_KEY": "k"}, "https://t.example.com",
    ),
    "plain-http": ({"KEITARO_URL": "http://t.example.com", "KEITARO_API_KEY": "k"}, "plain http"),
    "no-host": ({"KEITARO_URL": "https://", "KEITARO_API_KEY": "k"}, "KEITARO_URL"),
    "spaces": ({"KEITARO_URL": "https://t exa.com", "KEITARO_API_KEY": "k"}, "KEITARO_URL"),
    "other-scheme": ({"KEITARO_URL": "ftp://t.example", "KEITARO_API_KEY": "k"}, "KEITARO_URL"),
}  # fmt: skip


@pytest.mark.parametrize(("given", "message"), ADDRESSES.values(), ids=ADDRESSES)
def test_credentials(
    cli: Command,
    playbook: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, str],
    message: str,
) -> None:
    """A missing or malformed address or key is told before anything is sent."""
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    said = cli("run", "p.yaml")
    assert said.code in {ExitCode.USAGE, ExitCode.UNREACHABLE}
    assert message in said.err
    assert "  = " in said.err
    assert said.out == ""


def exits(cli: Command, text: str, *words: str, folder: Path) -> int:
    (folder / "p.yaml").write_text(text)
    return cli("run", "p.yaml", *words).code


def test_exit_codes(
    cli: Command, folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each way to end has its code."""

    def against(text: str, *faults: Fault, key: str | None = None) -> int:
        tracker = start(*faults)
        monkeypatch.setenv("KEITARO_URL", tracker.url)
        monkeypatch.setenv("KEITARO_API_KEY", key or tracker.key)
        return exits(cli, text, folder=folder)

    create = steps("{resource: campaign, operation: create, body: {name: N, alias: n}}")
    assert against(READ) == 0
    assert against(steps("{resource: offer, operation: get, id: 404}")) == 1
    assert exits(cli, READ, "--nope", folder=folder) == 2
    assert against(WRONG) == 3
    assert against(READ, key="wrong") == 4
    assert against(READ, Fault("status", status=402)) == 4
    assert against(create, Fault("reset_after")) == 5
    gone = Emulator()
    with gone:
        pass
    monkeypatch.setenv("KEITARO_URL", gone.url)
    assert exits(cli, create.replace("}}", "}, retry: 0}"), folder=folder) == 4


# -- inputs -----------------------------------------------------------------------------------

INPUTS = """
version: 1
inputs:
  country: {type: string, default: DE}
  ids: {type: array, required: false}
  n: {type: integer, required: false, enum: [1, 2]}
  mail: {type: string, required: false, pattern: "@"}
  word: {type: string, secret: true, required: false, env: WORD}
steps:
  - resource: api
    operation: post
    params: {path: /x}
    body: {all: "${{ [inputs.country, inputs.ids, inputs.n, inputs.word] }}"}
"""


def sent(cli: Command, folder: Path, tracker: Emulator, *words: str, stdin: str = "") -> Any:
    (folder / "i.yaml").write_text(INPUTS)
    said = cli("run", "i.yaml", *words, stdin=stdin)
    received = tracker.requests[-1].body if tracker.requests else None
    return received["all"] if received else said.err


def test_inputs(
    cli: Command, folder: Path, tracker: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inputs come from options, over a file, over the environment, over their defaults."""
    assert sent(cli, folder, tracker) == ["DE", None, None, None]
    assert sent(cli, folder, tracker, "--input", "country=007", "--input", "ids=1,2",
                "--input", "n=2") == ["007", ["1", "2"], 2, None]  # fmt: skip
    (folder / "in.yaml").write_text("country: FR\nids: [1]\nword: hunter2222\n")
    assert sent(cli, folder, tracker, "--inputs", "in.yaml", "--input", "country=US") == [
        "US", [1], None, "hunter2222",
    ]  # fmt: skip
    assert sent(cli, folder, tracker, "--inputs", "-", stdin='{"n": 1}') == [
        "DE", None, 1, None,
    ]  # fmt: skip
    monkeypatch.setenv("WORD", "from the environment")
    assert sent(cli, folder, tracker)[3] == "from the environment"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--input", "contry=DE"], "did you mean 'country'?"),
        (["--input", "n=two"], "must be of type integer, and is text"),
        (["--input", "n=3"], "must be one of 1, 2"),
        (["--input", "mail=x"], "does not match @"),
        (["--input", "word=hunter2"], "is secret and may not stand on the command line"),
        (["--input", "ids={}"], "must be of type array"),
        (["--inputs", "list.yaml"], "a file of inputs is a mapping"),
        (["--inputs", "broken.yaml"], "broken.yaml:1:"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_inputs(
    cli: Command, folder: Path, tracker: Emulator, words: list[str], message: str
) -> None:
    """A wrong input is told, with what would be right, and nothing is sent."""
    (folder / "list.yaml").write_text("[1]")
    (folder / "broken.yaml").write_text("a: [")
    (folder / "i.yaml").write_text(INPUTS)
    said = cli("run", "i.yaml", *words)
    assert said.code in {ExitCode.USAGE, ExitCode.INVALID}
    assert message in said.err
    assert "hunter2" not in said.err
    assert calls(tracker) == []


def test_missing_inputs_are_told_at_once(cli: Command, folder: Path, tracker: Emulator) -> None:
    """Every input without a value is named, with its description and its variable."""
    (folder / "i.yaml").write_text(
        "version: 1\ninputs:\n  a: {description: the first}\n  b: {env: BEE}\n"
        "steps:\n  - {resource: offer, operation: getAll}\n"
    )
    said = cli("run", "i.yaml")
    assert said.code == ExitCode.USAGE
    assert "'a' (the first) has no value; the input 'b' has no value: set BEE" in said.err


SECRET = """
version: 1
inputs: {password: {type: string, secret: true}}
steps:
  - {name: u, resource: user, operation: create, body: {login: b, type: USER,
     new_password: "${{ inputs.password }}", new_password_confirmation: "${{ inputs.password }}"}}
"""


def test_a_terminal_is_asked_for_secrets(folder: Path, tracker: Emulator) -> None:
    """On a terminal a missing secret is asked for, and what is typed is shown nowhere."""
    (folder / "s.yaml").write_text(SECRET)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command_line("run", "s.yaml", "--report", "r.jsonl"),
        cwd=folder,
        env=environment(),
        stdin=theirs,
        stderr=theirs,
        stdout=subprocess.PIPE,
        start_new_session=True,
        close_fds=True,
    ) as process:
        os.close(theirs)
        shown = b"".join(_until(ours, b"password (not shown):"))
        os.write(ours, b"hunter2222\n")
        shown += b"".join(_until(ours, b"succeeded"))
        process.communicate(timeout=30)
    os.close(ours)
    assert process.returncode == 0
    assert tracker.requests[0].body["new_password"] == "hunter2222"
    assert b"hunter2222" not in shown
    assert "hunter2222" not in (folder / "r.jsonl").read_text()
    assert b"\x1b[" in shown


def _until(terminal: int, words: bytes) -> Iterator[bytes]:
    """What a terminal shows, up to these words."""
    seen = b""
    while words not in seen:
        assert select.select([terminal], [], [], 20)[0], seen
        part = os.read(terminal, 4096)
        seen += part
        yield part


def test_without_a_terminal_nobody_is_asked(cli: Command, folder: Path, tracker: Emulator) -> None:
    """Elsewhere a missing secret is an error."""
    (folder / "s.yaml").write_text(SECRET)
    said = cli("run", "s.yaml", stdin="hunter2222\n")
    assert said.code == ExitCode.USAGE
    assert "'password' has no value" in said.err
    assert calls(tracker) == []


# -- trackers ---------------------------------------------------------------------------------


def test_tracker_of_a_file(
    cli: Command, playbook: Path, folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tracker is chosen by its name in the file."""
    one, two = start(), start(key="t" * 32)
    monkeypatch.setenv("ONE", one.key)
    monkeypatch.setenv("TWO", two.key)
    (folder / "t.yaml").write_text(
        f"default: one\ntrackers:\n  one: {{url: '{one.url}', key: {{env: ONE}}}}\n"
        f"  two: {{url: '{two.url}', key: {{env: TWO}}}}\n"
    )
    assert cli("run", "p.yaml", "--trackers", "t.yaml", "--tracker", "two").code == 0
    assert (calls(one), calls(two)) == ([], ["GET /offers"])
    assert cli("run", "p.yaml", "--trackers", "t.yaml").code == 0
    assert calls(one) == ["GET /offers"]
    wrong = cli("run", "p.yaml", "--trackers", "t.yaml", "--tracker", "tow")
    assert wrong.code == ExitCode.USAGE
    assert "did you mean 'two'?" in wrong.err


@pytest.mark.parametrize(
    ("later", "said"),
    [
        ("tracker: tow", "p.yaml:4:5: there is no tracker 'tow', did you mean 'two'?"),
        ("tracker: '${{ inputs.to }}'", "p.yaml:4:5: there is no tracker 'three'"),
        ("tracker: two", "key.env is not set in the environment: TWO"),
        ("tracker: tow, when: '${{ false }}'", "there is no tracker 'tow'"),
        ("tracker: two, when: '${{ inputs.to == 1 }}'", ""),
    ],
)
def test_trackers_are_looked_at_before_anything_is_sent(
    cli: Command,
    folder: Path,
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    later: str,
    said: str,
) -> None:
    """A tracker that a later step names is known, and has its key, before the first one runs."""
    one = start()
    monkeypatch.setenv("ONE", one.key)
    (folder / "t.yaml").write_text(
        f"default: one\ntrackers:\n  one: {{url: '{one.url}', key: {{env: ONE}}}}\n"
        f"  two: {{url: '{one.url}', key: {{env: TWO}}}}\n"
    )
    (folder / "p.yaml").write_text(
        "version: 1\nsteps:\n  - {resource: offer, operation: getAll}\n"
        f"  - {{resource: offer, operation: getAll, {later}}}\n"
        "inputs: {to: {type: string, default: three}}\n"
    )
    done = cli("run", "p.yaml", "--trackers", "t.yaml")
    assert done.code == (ExitCode.USAGE if said else ExitCode.OK), done.err
    assert said in done.err
    assert calls(one) == ([] if said else ["GET /offers"])


# -- colour -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "terminal", "coloured"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"CI": "true"}, True, False),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_colour(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], terminal: bool, coloured: bool
) -> None:
    """There is colour on a terminal, and none in a pipe, in CI, or where NO_COLOR is set."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    assert (painter() is not no_paint) == coloured


def test_no_colour_in_a_pipe(folder: Path) -> None:
    """What goes into a pipe holds no escape sequences."""
    (folder / "w.yaml").write_text(WRONG)
    said = spawn("validate", "w.yaml", cwd=folder)
    assert said.code == ExitCode.INVALID
    assert "\x1b" not in said.out + said.err


# -- emulate and schema -----------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_emulate(folder: Path, number: int) -> None:
    """It says how to use it, answers until it is stopped, and then ends well."""
    playbook = folder / "p.yaml"
    playbook.write_text(READ)
    (folder / "seed.json").write_text('{"offers": [{"id": 1, "name": "Tea"}]}')
    with subprocess.Popen(
        command_line("emulate", "--api-key", "mine" * 8, "--seed", "seed.json"),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        variables = dict(line.removeprefix("export ").strip().split("=", 1) for line in lines)
        assert variables["KEITARO_API_KEY"] == "mine" * 8
        said = spawn("run", "p.yaml", "--report", "-", cwd=folder, **variables)
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert (said.code, process.returncode) == (0, 0)
    assert said.envelopes[0]["data"][0]["name"] == "Tea"
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("option", "content"),
    [("--seed", "{"), ("--seed", '{"pizzas": []}'), ("--faults", '[{"kind": "gremlin"}]'),
     ("--faults", "[5]")],
)  # fmt: skip
def test_emulate_with_a_wrong_file(
    cli: Command, folder: Path, monkeypatch: pytest.MonkeyPatch, option: str, content: str
) -> None:
    """A seed or faults that cannot be read are told, with exit code 2."""
    (folder / "f.json").write_text(content)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    said = cli("emulate", option, "f.json")
    assert said.code == ExitCode.USAGE
    assert "the emulator cannot start" in said.err


@pytest.mark.parametrize("name", ["playbook", "envelope"])
def test_schema(cli: Command, name: str) -> None:
    """A bundled schema is printed as it is."""
    said = cli("schema", name)
    assert said.code == 0
    assert json.loads(said.out) == json.loads(
        (ROOT / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8")
    )


def test_further_forms_of_the_report(
    cli: Command, playbook: Path, tracker: Emulator, folder: Path
) -> None:
    """`run` writes a page, JUnit and Markdown beside the report, or without one."""
    said = cli("run", "p.yaml", "--html", "r.html", "--junit", "r.xml", "--markdown", "r.md")
    assert said.code == 0
    assert "<html" in (folder / "r.html").read_text("utf-8")
    assert "<testcase" in (folder / "r.xml").read_text("utf-8")
    assert "## ✅ p.yaml: succeeded" in (folder / "r.md").read_text("utf-8")
    assert said.err.endswith("wrote r.html, r.xml, r.md\n")
    assert cli("run", "p.yaml", "--html", "r.html", "--quiet").err == ""
    said = cli("run", "p.yaml", "--html", "r.html", "--markdown", "-")
    assert "## ✅ p.yaml: succeeded" in said.out
    assert said.err.endswith("wrote r.html\n")


def test_several_trackers_on_the_emulator(cli: Command, folder: Path) -> None:
    """Each tracker that a playbook names is one of its own, for a migration to be rehearsed on."""
    (folder / "p.yaml").write_text(
        "version: 1\nsteps:\n"
        "  - {name: a, tracker: one, resource: group, operation: create, "
        "body: {name: New, type: offers}}\n"
        "  - {name: b, tracker: '${{ inputs.to }}', resource: group, operation: create, "
        "body: {name: New, type: offers}}\n"
        "  - {name: own, resource: group, operation: create, body: {name: New, type: offers}}\n"
        "  - {name: again, tracker: one, resource: group, operation: getAll, "
        "params: {type: offers}, expect: [\"${{ 'New' in data | pluck('name') }}\"]}\n"
        "inputs: {to: {type: string, default: two}}\n"
    )
    said = cli("run", "p.yaml", "--emulator", "--report", "r.jsonl")
    assert said.code == 0, said.err
    lines = (folder / "r.jsonl").read_text().splitlines()[:-1]
    assert [json.loads(line)["tracker"] for line in lines] == ["one", "two", "default", "one"]


def test_outputs_for_programs(
    cli: Command, folder: Path, tracker: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a playbook gives back is written as JSON, without secrets; nothing is an empty object."""
    (folder / "p.yaml").write_text(
        "version: 1\nsteps:\n  - {name: g, resource: group, operation: create, "
        "body: {name: Größe, type: offers}}\noutputs:\n  group: {id: '${{ steps.g.data.id }}', "
        "name: '${{ steps.g.data.name }}'}\n  key: '${{ inputs.key }}'\n"
        "inputs: {key: {type: string, secret: true, env: SECRET}}\n"
    )
    monkeypatch.setenv("SECRET", "correct horse")
    said = cli("run", "p.yaml", "--outputs", "o.json")
    again = cli("run", "p.yaml", "--outputs", "-")
    assert said.code == 0
    found = json.loads((folder / "o.json").read_text("utf-8"))
    assert found["group"]["name"] == "Größe"
    assert isinstance(found["group"]["id"], int)
    assert found["key"] == "***"
    assert (again.code, json.loads(again.out)) == (1, {})  # the name is taken
    both = cli("run", "p.yaml", "--outputs", "-", "--report", "-")
    assert (both.code, "only one of" in both.err) == (2, True)
    assert cli("run", "p.yaml", "--outputs", "no/o.json").code == 2


def test_files_that_were_saved_are_named(cli: Command, folder: Path, tracker: Emulator) -> None:
    """The summary names what steps wrote, each file once, and says where no call was made."""
    (folder / "p.yaml").write_text(
        "version: 1\nsteps:\n  - {set: {a: 1}, save: a.json}\n"
        "  - {for_each: [1, 2], set: {a: 2}, save: out/b.json}\n"
    )
    said = cli("run", "p.yaml")
    assert said.code == 0
    assert "no calls\nsaved: a.json, out/b.json\n" in said.err


@pytest.mark.parametrize("text", ["fast", "0", "-1", "5/h", "/s", "5/"])
def test_a_rate_that_is_none(cli: Command, playbook: Path, text: str) -> None:
    """A rate that says no calls a second is wrong usage, and the message shows how to write it."""
    said = cli("run", "p.yaml", f"--rate={text}", "--emulator")
    assert said.code == 2
    assert "90/m" in said.err


@pytest.mark.parametrize("text", ["500", "500.5", "500/s", "60000/m"])
def test_a_rate(cli: Command, playbook: Path, text: str) -> None:
    """A rate is calls a second, or a minute."""
    assert cli("run", "p.yaml", f"--rate={text}", "--emulator").code == 0


def test_a_folder_holds_more_than_playbooks(cli: Command, folder: Path) -> None:
    """Bodies and inputs are passed over; what cannot be read is not, nor a playbook of old habits."""
    place = folder / "books"
    place.mkdir()
    (place / "p.yaml").write_text(steps("{resource: offer, operation: getAll}"))
    (place / "body.yaml").write_text("name: Tea")
    (place / "rows.yml").write_text("[1, 2]")
    (place / "folder.yaml").mkdir()
    (place / "gone.yaml").symlink_to(folder / "nowhere.yaml")
    assert cli("validate", "books").err == "1 playbook, no problems\n"
    (place / "no-version.yaml").write_text("steps: []")
    (place / "broken.yaml").write_text("a: [")
    said = cli("validate", "--strict", "books")
    assert (said.code, said.err.split(",")[0]) == (3, "3 playbooks")
    (place / "body.yaml").replace(folder / "body.yaml")
    assert cli("validate", "--playbooks-only", "body.yaml").err == "0 playbooks, no problems\n"


@pytest.mark.parametrize("closed", ["stdin", "stdout", "stderr"])
def test_a_stream_that_is_closed(closed: str, folder: Path) -> None:
    """Whoever closes one wants nothing of it; what is written to files is whole."""
    (folder / "p.yaml").write_text(steps("{resource: offer, operation: getAll}"))
    number = ("stdin", "stdout", "stderr").index(closed)
    words = " ".join(command_line("run", "p.yaml", "--emulator", "--junit", "j.xml"))
    done = subprocess.run(
        ["sh", "-c", f"{words} {number}>&-"], cwd=folder, env=environment(), check=False,
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert (done.returncode, "bug" in done.stderr) == (0, False)
    assert (folder / "j.xml").read_text().endswith("</testsuites>\n")


def test_one_form_at_most_goes_to_stdout(cli: Command, playbook: Path, tracker: Emulator) -> None:
    """Two would run into each other."""
    said = cli("run", "p.yaml", "--html", "-", "--junit", "-")
    assert (said.code, said.out) == (2, "")
    assert "can go to stdout" in said.err
    assert calls(tracker) == []


def test_outputs_of_a_run_that_fails(cli: Command, folder: Path, tracker: Emulator,
                                     monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """What an earlier run gave back is not written over with nothing."""
    monkeypatch.setenv("KEITARO_URL", tracker.url)
    monkeypatch.setenv("KEITARO_API_KEY", tracker.key)
    (folder / "p.yaml").write_text(steps("{resource: offer, operation: get, id: 9}"))
    (folder / "o.json").write_text("kept")
    said = cli("run", "p.yaml", "--outputs", "o.json")
    assert said.code == 1
    assert "o.json is left as it is" in said.err
    assert (folder / "o.json").read_text() == "kept"
    assert cli("run", "p.yaml", "--outputs", "-").out == "{}\n"


def test_a_job_of_github_is_told_of_mistakes(
    cli: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `run` too, with the file as seen from the top of the repository."""
    monkeypatch.setenv("GITHUB_WORKSPACE", str(folder))
    inner = folder / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    (inner / "p.yaml").write_text(steps("{resource: offers, operation: getAll}"))
    expected = "::error file=inner/p.yaml,line=3,col=16,endColumn=22,title=KP206::"
    assert cli("validate", "--format", "github", "p.yaml").out.startswith(expected)
    assert "::error" not in cli("run", "p.yaml").err
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert f"\n{expected}" in cli("run", "p.yaml").err


def test_a_key_that_no_runner_would_take(cli: Command) -> None:
    """The emulator does not start with a key that would be refused where it is to be used."""
    said = cli("emulate", "--api-key", "k1")
    assert (said.code, said.out) == (2, "")
    assert "--api-key has fewer than 4 characters" in said.err
