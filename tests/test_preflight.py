"""Preflight: the ids that a playbook states are looked up, in few calls that only read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Command, Start, calls, steps

from runner import preflight
from runner.catalogue import Catalogue, bundled
from runner.emulator import Emulator, Fault, Rights, sample_seed
from runner.errors import ExitCode, TrackerError
from runner.model import Problem
from runner.playbook import read
from runner.trackers import Trackers
from runner.validation import Rules, check

STREAM = (
    "{resource: stream, operation: create, body: {campaign_id: %s, type: regular, "
    "schema: landings, action_type: http, name: a, collect_clicks: true, offers: "
    "[{offer_id: %s, share: 100}], landings: [{landing_id: %s, share: 100}]}}"
)
CAMPAIGN = (
    "{resource: campaign, operation: create, body: {name: a, alias: a, group_id: %s, "
    "traffic_source_id: %s, domain_id: %s}}"
)


@pytest.fixture
def tracker(start: Start) -> Emulator:
    """The sample tracker, without its traffic."""
    return start(seed={**sample_seed(), "generate": {"days": 0, "clicks": 0}})


def _environ(tracker: Emulator, key: str = "") -> dict[str, str]:
    return {"KEITARO_URL": tracker.url, "KEITARO_API_KEY": key or tracker.key}


def _look_up(folder: Path, tracker: Emulator, text: str, key: str = "") -> list[Problem]:
    """The problems that looking a valid playbook's ids up gives."""
    path = folder / "playbook.yaml"
    path.write_text(text, encoding="utf-8")
    document, rules = read(path), Rules(Catalogue())
    assert [p for p in check(document, rules) if p.severity.value == "error"] == []
    return preflight.check([document], rules, Trackers(None, _environ(tracker, key)), None)


def _found(problems: list[Problem]) -> list[tuple[str, str]]:
    return [(problem.code, problem.path) for problem in problems]


def test_ids_that_exist_give_no_problem_and_one_call_a_list(folder, tracker):
    """However many ids of a resource are stated, its list is read once; groups by their type."""
    text = steps(
        STREAM % (1, 1, 1),
        STREAM % (2, 2, 2),
        STREAM % (3, 3, 1),
        CAMPAIGN % (1, 1, 1),
        CAMPAIGN % ("'2'", 2, 1),
        "{resource: offer, operation: update, id: 1, body: {group_id: 3}}",
        "{resource: stream, operation: getAll, params: {campaign_id: 2}}",
    )

    assert _look_up(folder, tracker, text) == []
    assert sorted(calls(tracker)) == [
        *("GET /campaigns", "GET /domains", "GET /groups", "GET /groups"),
        *("GET /landing_pages", "GET /offers", "GET /streams_actions", "GET /traffic_sources"),
    ]


@pytest.mark.parametrize(
    ("step", "path", "says"),
    [
        (STREAM % (99, 1, 1), "body.campaign_id", "campaign 99"),
        (STREAM % (1, 99, 1), "body.offers[0].offer_id", "offer 99"),
        (STREAM % (1, 1, 99), "body.landings[0].landing_id", "landing 99"),
        (CAMPAIGN % (99, 1, 1), "body.group_id", "group 99"),
        (CAMPAIGN % (3, 1, 1), "body.group_id", "group 3"),
        (CAMPAIGN % (1, 99, 1), "body.traffic_source_id", "source 99"),
        (CAMPAIGN % (1, 1, 99), "body.domain_id", "domain 99"),
        ("{resource: offer, operation: delete, id: 99}", "id", "offer 99"),
        ("{resource: offer, operation: delete, id: '99'}", "id", "offer 99"),
        ("{resource: group, operation: delete, id: 99}", "id", "group 99"),
        ("{resource: stream, operation: disable, id: 99}", "id", "stream 99"),
        ("{resource: user, operation: delete, id: 99}", "id", "user 99"),
        (
            "{resource: stream, operation: getAll, params: {campaign_id: 99}}",
            "params.campaign_id",
            "campaign 99",
        ),
        (
            "{resource: click, operation: updateCosts, body: {campaign_ids: [1, 99], costs: []}}",
            "body.campaign_ids[1]",
            "campaign 99",
        ),
    ],
)
def test_an_id_that_does_not_exist_is_an_error_at_its_place(folder, tracker, step, path, says):
    """Whether in the body, the params or the step's own id; a group must be of the right type."""
    (problem,) = _look_up(folder, tracker, steps(step))

    assert (problem.code, problem.path) == ("KP501", f"steps[0].{path}")
    assert says in problem.message
    assert problem.line.strip()
    assert all(call.startswith("GET ") for call in calls(tracker))


def test_the_hint_lists_what_there_is(folder, tracker):
    """The ids next to the wrong one come with their names."""
    (problem,) = _look_up(folder, tracker, steps("{resource: offer, operation: get, id: 4}"))

    assert "1 (Slim Tea DE), 2 (Slim Tea FR), 3 (Quiz Leads)" in problem.hint


def test_a_secret_on_the_line_is_not_shown(folder, tracker):
    """The source line of a missing id is shown without the password beside it."""
    body = "{new_password: swordfish, new_password_confirmation: swordfish} # noqa: KT013"
    step = "{resource: user, operation: update, id: 99, body: %s"
    (problem,) = _look_up(folder, tracker, steps(step % body.replace("} #", "}} #")))

    assert problem.code == "KP501"
    assert "swordfish" not in str(problem)
    assert "new_password: *********" in problem.line


def test_expressions_zero_and_null_are_not_looked_up(folder, tracker):
    """What is not stated cannot be looked up, and 0 and null stand for none."""
    text = steps(
        "{resource: offer, operation: get, id: '${{ 99 }}'}",
        "{resource: campaign, operation: update, id: '${{ 99 }}', "
        "body: {domain_id: null, traffic_source_id: 0}}",
    )

    assert _look_up(folder, tracker, text) == []
    assert calls(tracker) == []


def test_every_part_of_a_playbook_is_looked_through(folder, tracker):
    """Blocks, finally, included playbooks and files of bodies state ids too."""
    (folder / "inner.yaml").write_text(steps("{resource: offer, operation: get, id: 91}"))
    (folder / "body.yaml").write_text("alternative_offer_id: 92\n")
    text = steps(
        "{include: inner.yaml}",
        "{resource: offer, operation: update, id: 1, body_file: body.yaml}",
        "{steps: [{resource: offer, operation: get, id: 93}]}",
    )
    text += "finally:\n  - {resource: offer, operation: get, id: 94}\n"
    problems = _look_up(folder, tracker, text)

    assert sorted(p.message.split()[-1] for p in problems) == ["91", "92", "93", "94"]
    assert {Path(p.place.file).name for p in problems} == {
        *("inner.yaml", "body.yaml", "playbook.yaml"),
    }


def test_ids_from_inputs_are_looked_up(cli: Command, folder, tracker, monkeypatch):
    """The value that a run is given, the default without one, also through an include."""
    (folder / "inner.yaml").write_text(
        "version: 1\nname: inner\ninputs:\n  offer_id: {type: integer}\n  other: {type: integer, default: 92}\n"
        "steps:\n  - {resource: offer, operation: get, id: '${{ inputs.offer_id }}'}\n"
        "  - {resource: offer, operation: get, id: '${{ inputs.other }}'}\n"
    )
    text = (
        "version: 1\nname: outer\ninputs:\n  offer: {type: integer, default: 91}\n  none: {type: integer}\n"
        "steps:\n  - {include: inner.yaml, inputs: {offer_id: '${{ inputs.offer }}'}}\n"
        "  - {resource: campaign, operation: update, id: '${{ inputs.none }}', body: {group_id: '${{inputs.offer}}'}}\n"
    )
    problems = _look_up(folder, tracker, text)
    assert sorted(p.message.split(" has no ")[1] for p in problems) == [
        *("group 91 (inputs.offer)", "offer 91 (inputs.offer_id)", "offer 92 (inputs.other)"),
    ]
    _write(folder, tracker, monkeypatch, text)
    said = cli("run", "playbook.yaml", "--preflight", "--input", "offer=1", "--input", "none=94")
    assert said.code == ExitCode.INVALID
    assert "has no campaign 94 (inputs.none)" in said.err
    assert "offer 92 (inputs.other)" in said.err
    assert "offer 1 " not in said.err
    (line,) = [line for line in said.err.splitlines() if "campaign, operation" in line]
    assert line.strip().startswith("8 |")


def test_an_empty_list_is_no_proof(folder, start):
    """A key that sees nothing cannot tell what is missing: that is a warning."""
    (problem,) = _look_up(folder, start(), steps("{resource: offer, operation: get, id: 5}"))

    assert (problem.code, problem.severity.value) == ("KP502", "warning")
    assert "empty" in problem.message


def test_a_list_that_is_refused_is_no_proof(folder, tracker):
    """403 for the list is a warning for each of its ids, and other lists are read all the same."""
    tracker.grant("b" * 32, Rights(resources=frozenset({"landing_pages"})))
    text = steps(
        "{resource: offer, operation: get, id: 1}", "{resource: landing, operation: get, id: 99}"
    )
    problems = _look_up(folder, tracker, text, key="b" * 32)

    assert _found(problems) == [("KP502", "steps[0].id"), ("KP501", "steps[1].id")]


def test_what_a_list_leaves_out_is_asked_for_by_itself(folder, tracker):
    """A list may be cut short: an id that answers for itself is there."""
    tracker.fault(
        Fault("status", match="GET .*/offers$", status=200, body=[{"id": 1, "name": "a"}])
    )

    assert _look_up(folder, tracker, steps("{resource: offer, operation: get, id: 2}")) == []
    assert calls(tracker)[-1] == "GET /offers/2"


def test_what_is_archived_is_a_warning_unless_it_is_brought_back(folder, start):
    """The archive is looked at for what the list lacks; a step that restores it is fine."""
    seed = {"offers": [{"id": 1, "name": "a"}, {"id": 2, "name": "b", "state": "deleted"}]}
    use = "{resource: offer, operation: get, id: 2}"
    back = "{resource: offer, operation: restore, id: 2}"

    assert _found(_look_up(folder, start(seed=seed), steps(use))) == [("KP503", "steps[0].id")]
    assert _look_up(folder, start(seed=seed), steps(back, use)) == []


def test_an_archive_without_a_list_is_seen_by_the_state(folder, start):
    """Archived networks answer for themselves and in no list."""
    seed = {
        "affiliate_networks": [
            {"id": 1, "name": "a"},
            {"id": 2, "name": "b", "state": "deleted"},
        ]
    }
    use = "{resource: affiliateNetwork, operation: get, id: 2}"

    assert _found(_look_up(folder, start(seed=seed), steps(use))) == [("KP503", "steps[0].id")]


def test_ids_are_looked_up_on_the_tracker_that_the_step_names(folder, start, monkeypatch):
    """Steps, defaults and includes may name another tracker; one that is computed is not asked."""
    here, other = (start(seed={"offers": [{"id": n, "name": "a"}]}) for n in (1, 2))
    monkeypatch.setenv("OTHER_KEY", other.key)
    file = folder / "trackers.yaml"
    named = {"here": (here.url, "KEITARO_API_KEY"), "other": (other.url, "OTHER_KEY")}
    entries = {name: {"url": url, "key": {"env": key}} for name, (url, key) in named.items()}
    file.write_text(json.dumps({"default": "here", "trackers": entries}))
    get = "{resource: offer, operation: get, id: %s%s}"
    (folder / "inner.yaml").write_text(steps(get % (2, ""), get % (3, "")))
    path = folder / "playbook.yaml"
    path.write_text(
        steps(
            get % (1, ""),
            get % (2, ", tracker: other"),
            get % (9, ", tracker: '${{ run.id }}'"),
            "{include: inner.yaml, tracker: other}",
        )
    )
    document, rules = read(path), Rules(Catalogue())
    check(document, rules)
    environ = {**_environ(here), "OTHER_KEY": other.key}
    problems = preflight.check([document], rules, Trackers(file, environ), None)

    assert [p.message for p in problems] == ["tracker 'other' has no offer 3"]


@pytest.mark.parametrize("key", ["z" * 32])
def test_a_tracker_that_refuses_the_key_ends_it(folder, tracker, key):
    """No id can be looked up then: it is the tracker's trouble and not the playbook's."""
    with pytest.raises(TrackerError) as raised:
        _look_up(folder, tracker, steps("{resource: offer, operation: get, id: 1}"), key)

    assert raised.value.code is ExitCode.UNREACHABLE
    assert key not in str(raised.value)


def test_a_tracker_that_is_not_there_ends_it(folder, tracker):
    """A connection that is refused leads to the exit code for it."""
    tracker.stop()
    with pytest.raises(TrackerError):
        _look_up(folder, tracker, steps("{resource: offer, operation: get, id: 1}"))


# -- the commands ---------------------------------------------------------------------------------


def _write(folder: Path, tracker: Emulator, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    for name, value in _environ(tracker).items():
        monkeypatch.setenv(name, value)
    (folder / "playbook.yaml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("command", ["validate", "run"])
def test_a_missing_id_keeps_a_playbook_from_running(
    cli: Command, folder, tracker, monkeypatch, command
):
    """Both commands end with 3 and say where, and nothing has been written."""
    _write(folder, tracker, monkeypatch, steps(STREAM % (1, 99, 1)))
    said = cli(command, "playbook.yaml", "--preflight")

    assert said.code == ExitCode.INVALID
    assert "KP501" in said.out + said.err
    assert all(call.startswith("GET ") for call in calls(tracker))


def test_run_goes_on_where_all_ids_exist(cli: Command, folder, tracker, monkeypatch):
    """After looking them up the playbook runs."""
    _write(folder, tracker, monkeypatch, steps(STREAM % (1, 1, 1)))

    assert cli("run", "playbook.yaml", "--preflight").code == ExitCode.OK
    assert calls(tracker)[-1] == "POST /streams"


def test_a_warning_does_not_keep_it_from_running(cli: Command, folder, start, monkeypatch):
    """What cannot be checked is said, and the run begins; strict validation ends with 3."""
    empty = start(seed={"campaigns": [{"id": 1, "name": "a", "alias": "a"}]})
    _write(folder, empty, monkeypatch, steps(STREAM % (1, 5, 5)))

    assert cli("validate", "playbook.yaml", "--preflight").code == ExitCode.OK
    assert cli("validate", "playbook.yaml", "--preflight", "--strict").code == ExitCode.INVALID
    assert cli("run", "playbook.yaml", "--preflight").code == ExitCode.OK


@pytest.mark.parametrize("command", ["validate", "run"])
def test_nothing_is_sent_for_an_invalid_playbook(
    cli: Command, folder, tracker, monkeypatch, command
):
    """An error in the playbook comes first."""
    bad = "{resource: offer, operation: create, body: {}}"
    _write(folder, tracker, monkeypatch, steps("{resource: offer, operation: get, id: 9}", bad))

    assert cli(command, "playbook.yaml", "--preflight").code == ExitCode.INVALID
    assert calls(tracker) == []


def test_options_of_the_tracker_need_preflight(cli: Command, folder):
    """Validating alone asks no tracker, so naming one is a mistake."""
    (folder / "playbook.yaml").write_text(steps("{resource: offer, operation: getAll}"))

    assert cli("validate", "playbook.yaml", "--tracker", "x").code == ExitCode.USAGE


def test_the_examples_of_the_codes_hold(folder, tracker):
    """What `explain KP501` shows as wrong is missing on the sample tracker, the other is not."""
    entry = json.loads((bundled("schemas") / "problems.json").read_bytes())["codes"]["KP501"]
    bad, good = (
        "version: 1\nsteps:\n" + "".join(f"  {line}\n" for line in entry[word])
        for word in ("bad", "good")
    )

    assert [p.code for p in _look_up(folder, tracker, bad)] == ["KP501"]
    assert _look_up(folder, tracker, good) == []


FILTERED = (
    "{resource: stream, operation: create, body: {campaign_id: 1, type: regular, schema: redirect, "
    "action_type: %s, name: a, collect_clicks: true, filters: [{name: %s, mode: accept}]}}"
)


def test_names_that_the_tracker_does_not_list(folder, tracker):
    """A filter or an action that is misspelt is a warning, with the one that was meant."""
    text = steps(FILTERED % ("htpp", "contry"), FILTERED % ("http", "country"))
    problems = _look_up(folder, tracker, text)
    assert _found(problems) == [
        ("KP504", "steps[0].body.action_type"),
        ("KP504", "steps[0].body.filters[0].name"),
    ]
    assert [p.hint for p in problems] == ["did you mean 'http'?", "did you mean 'country'?"]
    assert "lists no filter 'contry'" in problems[1].message
    assert {p.severity.value for p in problems} == {"warning"}
    assert sorted(calls(tracker)) == [
        "GET /campaigns",
        "GET /stream_filters",
        "GET /streams_actions",
    ]


def test_names_prove_nothing_where_the_list_cannot_be_had(folder, start):
    """A tracker that refuses the list, or gives an empty one, has the names all the same."""
    seed = {**sample_seed(), "generate": {"days": 0, "clicks": 0}}
    refuses = Fault("status", status=403, match="GET .*/stream_filters$")
    empty = Fault("status", status=200, body=[], match="GET .*/streams_actions$")
    tracker = start(refuses, empty, seed=seed)
    assert _look_up(folder, tracker, steps(FILTERED % ("htpp", "contry"))) == []


def test_names_from_inputs(folder, tracker):
    """A name that is the value of an input is looked at, and one that is computed is not."""
    text = steps(
        FILTERED % ('"${{ inputs.action }}"', "\"${{ 'con' ~ 'try' }}\""),
        head=["inputs: {action: {default: metta}}"],
    )
    (problem,) = _look_up(folder, tracker, text)
    assert "did you mean 'meta'?" in problem.hint
