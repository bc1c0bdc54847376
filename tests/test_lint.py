"""Lint: what Keitaro accepts and should not is told, where it stands, and can be silenced."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.catalogue import Catalogue
from runner.lint import FIELD_RULES, Linter
from runner.lint.hooks import Hooks
from runner.model import Problem, Severity
from runner.playbook import parse, read
from runner.playbook.document import Map, Seq
from runner.validation import Rules, check

_CATALOGUE = Catalogue()
STREAM = (
    "{resource: stream, operation: create, body: {campaign_id: 5, type: regular, schema: landings, "
    "action_type: http, name: Main, collect_clicks: true, %s}}"
)
KEY = "0123456789abcdef0123456789ABCDEF"


def _problems(steps: str, head: str = "") -> list[Problem]:
    """The problems of a playbook with these steps, each on a line of its own."""
    lines = "".join(f"  - {line}\n" for line in steps.strip().splitlines())
    return check(parse(f"version: 1\n{head}steps:\n{lines}"), Rules(_CATALOGUE))


def _codes(steps: str, head: str = "") -> list[str]:
    return [problem.code for problem in _problems(steps, head)]


def _call(operation: str, rest: str) -> str:
    resource, name = operation.split(".")
    return f"{{resource: {resource}, operation: {name}, {rest}}}"


def _report(body: str) -> list[Problem]:
    return _problems(_call("stats.getAll", f"body: {{{body}}}"))


# -- shares and lists -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offers", "wrong"),
    [
        ("[{offer_id: 1, share: 100}]", False),
        ("[{offer_id: 1, share: 60}, {offer_id: 2, share: 40}]", False),
        ("[{offer_id: 1, share: 60}, {offer_id: 2, share: 30}]", True),
        ("[{offer_id: 1, share: 99}]", True),
        ("[{offer_id: 1, share: 100}, {offer_id: 2, share: 50, state: disabled}]", False),
        ("[{offer_id: 1, share: 50}, {offer_id: 2, share: 50, state: disabled}]", True),
        ("[{offer_id: 1, share: 50, state: disabled}]", False),
        ("[{offer_id: 1, share: 60}, {offer_id: 2, share: '${{ 10 }}'}]", False),
        ("[{offer_id: 1, share: 60, state: '${{ 'active' }}'}]", False),
        ("[{offer_id: 1, share: 60}, '${{ {} }}']", False),
        ("'${{ [] }}'", False),
        ("[]", False),
    ],
)
def test_shares_of_active_entries_add_up_to_100(offers, wrong):
    """The shares are summed where all are written out, without those that are disabled."""
    offers = offers.replace("'${{ 'active' }}'", "\"${{ 'active' }}\"")

    assert ("KT001" in _codes(STREAM % f"offers: {offers}")) is wrong


def test_each_list_has_its_own_hundred():
    """Offers and landing pages are not added to each other."""
    lists = "offers: [{offer_id: 1, share: 100}], landings: [{landing_id: 1, share: 90}]"
    (problem,) = _problems(STREAM % lists)

    assert (problem.code, problem.path) == ("KT001", "steps[0].body.landings")
    assert problem.message == "the shares add up to 90, not to 100"


def test_an_offer_that_stands_twice_is_told_with_its_first_place():
    """The second entry of the same offer is pointed at; another offer is none."""
    body = "offers: [{offer_id: 1, share: 50}, {offer_id: 2, share: 25}, {offer_id: 1, share: 25}]"
    (problem,) = _problems(STREAM % body)

    assert (problem.code, problem.path) == ("KT002", "steps[0].body.offers[2].offer_id")
    assert "item 1" in problem.message


def test_an_expression_that_stands_twice_is_no_duplicate():
    """Two expressions of the same text are left alone: `item` may differ, and nothing is known."""
    body = "offers: [{offer_id: '${{ 1 }}', share: 50}, {offer_id: '${{ 1 }}', share: 50}]"

    assert _codes(STREAM % body) == []


@pytest.mark.parametrize("field", ["offers", "landings", "filters", "triggers"])
def test_an_update_that_replaces_a_list_is_told(field):
    """Each list that an update replaces whole is told, and how to do it instead."""
    (problem, *_) = _problems(_call("stream.update", f"id: 5, body: {{{field}: []}}"))

    assert problem.code == "KT005"
    assert f"steps.NAME.data.{field}" in problem.hint


@pytest.mark.parametrize(
    "step",
    [
        "{resource: campaign, operation: update, id: 5, body: {postbacks: '${{ [] }}'}}",
        "{resource: campaign, operation: update, id: 5, body: {name: a}}",
        "{resource: stream, operation: update, id: 5, body: {filters: ['${{ {} }}']}}",
        STREAM % "filters: []",
    ],
    ids=["computed", "another field", "carried over", "a create"],
)
def test_a_list_that_is_computed_or_new_replaces_nothing(step):
    """A list from an expression, or in a create, is what was meant."""
    assert "KT005" not in _codes(step)


def test_postbacks_of_a_campaign_are_replaced_too():
    """What the catalogue marks with x-replaces is told, whatever the resource."""
    assert _codes("{resource: campaign, operation: update, id: 5, body: {postbacks: []}}") == [
        "KT005"
    ]


# -- countries, streams ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "meant"),
    [("UK", "GB"), ("de", "DE"), ("Germany", "DE"), ("USA", "US"), ("QQ", "ISO 3166")],
)
def test_a_code_that_is_no_country_is_told_with_the_right_one(code, meant):
    """Offers and filters are looked at alike, and the right code is offered."""
    filters = f"filters: [{{name: country, mode: accept, payload: [DE, {code}]}}]"
    offer = _call("offer.create", f"body: {{name: a, country: [{code}]}}")

    for problem in (*_problems(STREAM % filters), *_problems(offer)):
        assert problem.code == "KT003"
        assert meant in problem.hint
    assert _codes(STREAM % filters) == _codes(offer) == ["KT003"]


def test_other_filters_hold_other_things_than_countries():
    """A keyword may be UK, and Kosovo has a code of its own making."""
    keyword = "filters: [{name: keyword, mode: accept, payload: [UK]}]"
    kosovo = "filters: [{name: country, mode: accept, payload: [XK, '${{ 'x' }}']}]"

    assert _codes(STREAM % keyword) == []
    assert _codes(STREAM % kosovo.replace("'${{ 'x' }}'", "\"${{ 'x' }}\"")) == []


def test_a_stream_must_say_whether_clicks_are_collected():
    """Left out it is told; false is an answer, and an update leaves it as it is."""
    bare = (STREAM % "state: active").replace("collect_clicks: true, ", "")
    update = "{resource: stream, operation: update, id: 5, body: {name: a}}"

    assert _codes(bare) == ["KT004"]
    assert _codes(bare.replace("name: Main", "name: Main, collect_clicks: false")) == []
    assert _codes(update) == []


DEFAULT = (STREAM % "state: active").replace("regular", "default")


@pytest.mark.parametrize(
    ("steps", "wrong"),
    [
        (f"{DEFAULT}\n{DEFAULT}", True),
        (f"{DEFAULT}\n{STREAM % 'state: active'}", False),
        (f"{DEFAULT}\n{DEFAULT.replace('campaign_id: 5', 'campaign_id: 6')}", False),
        (f"{{when: true, {DEFAULT[1:]}\n{{when: false, {DEFAULT[1:]}", False),
        (f"{DEFAULT}\n{{steps: [{DEFAULT}]}}", True),
    ],
    ids=["two", "one", "of two campaigns", "one of two", "in a block"],
)
def test_a_second_default_stream_is_told(steps, wrong):
    """A campaign has one default stream; steps of which one runs are not counted."""
    assert ("KT006" in _codes(steps)) is wrong


def test_the_same_expression_is_the_same_campaign_only_within_its_loop():
    """In two loops `item` is two things, in one loop it is one."""
    step = DEFAULT.replace("campaign_id: 5", "campaign_id: '${{ item }}'")
    spaced = step.replace("${{ item }}", "${{item}}")
    apart = f"{{for_each: [1], steps: [{step}]}}\n{{for_each: [2], steps: [{step}]}}"

    assert "KT006" not in _codes(apart)
    assert "KT006" in _codes(f"{{for_each: [1], steps: [{step}, {spaced}]}}")


# -- reports and logs -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code", "severity", "said"),
    [
        ("grouping: [traffic_source_id]", "KT007", "error", "'ts_id'"),
        ("dimensions: [traffic_source_id]", "KT007", "error", "'ts_id'"),
        ("dimensions: [domain]", "KT007", "error", "by domain"),
        ("metrics: [payout]", "KT007", "error", "'revenue'"),
        ("measures: [unique_clicks]", "KT007", "warning", "'campaign_unique_clicks'"),
        ("measures: [clik]", "KT007", "warning", "'clicks'"),
        ("measures: [campaign]", "KT007", "warning", "it is a column"),
        ("grouping: [clicks]", "KT007", "warning", "it is a metric"),
        ("grouping: [qqqqqq]", "KT007", "warning", "noqa"),
        ("sort: [{name: visits, order: ASC}]", "KT007", "warning", "'clicks'"),
        ("filters: [{name: geo, operator: EQUALS, expression: a}]", "KT007", "warning", "'country"),
        ("filters: [{name: clicks, operator: '>', expression: 1}]", "KT008", "error", "'GREATER"),
        ("filters: [{name: clicks, operator: qq, expression: 1}]", "KT008", "error", "lists"),
        ("range: {interval: last_7_days}", "KT009", "error", "'7_days_ago'"),
        ("range: {interval: last_30_days}", "KT009", "error", "days_ago(30)"),
        ("range: {interval: Today}", "KT009", "error", "'today'"),
    ],
)
def test_names_that_reports_do_not_know_get_the_right_one(body, code, severity, said):
    """Every place for a name is looked at, in both dialects, and told only once."""
    (problem,) = _report(body)

    assert (problem.code, problem.severity.value) == (code, severity)
    assert said in problem.hint


def test_right_names_are_left_alone():
    """Names from the lists, in either dialect, and expressions give no problem."""
    body = (
        "range: {interval: 7_days_ago}, %s: [ts_id, '${{ 1 }}'], %s: [clicks, revenue], "
        "sort: [{name: revenue, order: DESC}], filters: "
        "[{name: country_code, operator: IN_LIST, expression: [DE]}]"
    )

    assert _report(body % ("grouping", "metrics")) == []
    assert _report(body % ("dimensions", "measures")) == []


def test_columns_of_conversions_are_known_to_their_log_only():
    """`tid` is a column of the conversion log and of reports, and none of the click log."""
    step = "{resource: %s, operation: getAll, body: {limit: 5, columns: [tid]}}"

    assert _codes(step % "click") == ["KT007"]
    assert _codes(step % "conversion") == []


@pytest.mark.parametrize(
    ("condition", "wrong"),
    [
        ("operator: IN_LIST, expression: a", True),
        ("operator: IN_LIST, expression: [a]", False),
        ("operator: IN_LIST, expression: '${{ 1 }}'", False),
        ("operator: BETWEEN, expression: [1]", True),
        ("operator: BETWEEN, expression: [1, 2]", False),
        ("operator: EQUALS, expression: [1]", True),
        ("operator: EQUALS", True),
        ("operator: EQUALS, expression: a", False),
        ("operator: GREATER_THAN, expression: '5'", False),
        ("operator: IS_SET", False),
        ("operator: IS_SET, expression: 1", True),
        ("operator: HAS_LABEL, expression: grey", True),
        ("operator: HAS_LABEL, expression: whitelist", False),
        ("operator: MATCH_REGEXP, expression: abc", True),
        ("operator: MATCH_REGEXP, expression: /abc/", False),
    ],
)
def test_operators_compare_with_what_they_can(condition, wrong):
    """A list for IN_LIST, two values for BETWEEN, nothing for IS_SET and its like."""
    problems = _report(f"filters: [{{name: keyword, {condition}}}]")

    assert [p.code for p in problems] == (["KT014"] if wrong else [])


def test_two_dialects_in_one_report_are_told():
    """Either pair is right; one word of each is not."""
    assert [p.code for p in _report("grouping: [ts], measures: [clicks]")] == ["KT010"]
    assert _report("dimensions: [ts], measures: [clicks]") == []


@pytest.mark.parametrize("resource", ["click", "conversion"])
@pytest.mark.parametrize(
    ("body", "wrong"),
    [("columns: [sub_id]", True), ("limit: 5", False), ("range: {interval: today}", False)],
)
def test_a_log_needs_a_bound(resource, body, wrong):
    """Range or limit will do."""
    codes = _codes(_call(f"{resource}.getAll", f"body: {{{body}}}"))

    assert codes == (["KT011"] if wrong else [])


# -- loops ----------------------------------------------------------------------------------------

OFFER = "resource: offer, operation: create, body: {name: a}"


@pytest.mark.parametrize(
    ("step", "wrong"),
    [
        (f"{{{OFFER}}}", False),
        (f"{{for_each: [1], {OFFER}}}", True),
        (f"{{for_each: [1], when: '${{{{ item == 1 }}}}', {OFFER}}}", False),
        (f"{{for_each: [1], steps: [{{{OFFER}}}]}}", True),
        (f"{{for_each: [1], steps: [{{when: true, {OFFER}}}]}}", False),
        (f"{{when: true, steps: [{{for_each: [1], {OFFER}}}]}}", True),
        (
            "{for_each: [1], resource: campaign, operation: create, body: {name: a, alias: b}}",
            False,
        ),
        ("{for_each: [1], resource: offer, operation: get, id: 5}", False),
        ("{for_each: [1], resource: offer, operation: clone, id: 5}", True),
    ],
    ids=[
        *("alone", "loop", "chosen", "block", "chosen in a block", "chosen before the loop"),
        *("with a key", "a read", "a clone"),
    ],
)
def test_a_create_without_a_key_is_told_in_loops(step, wrong):
    """Only in a loop, and only where no `when` inside it asks whether the thing is there."""
    assert ("KT012" in _codes(step)) is wrong


# -- secrets --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        "vars: {password: swordfish}\n",
        "vars: {admin_password: 12345}\n",
        "vars: {api_key: swordfish}\n",
        "vars: {api-key: swordfish}\n",
        f"vars: {{anything: {KEY}}}\n",
        f"vars: {{list: [{KEY}]}}\n",
        "vars: {deep: {secret: swordfish}}\n",
        "vars: {token: a1b2c3d4e5f6g7h8}\n",
        "inputs: {password: {default: swordfish}}\n",
    ],
)
def test_a_secret_in_the_file_is_told_and_not_shown(head):
    """Vars and defaults with the name or the form of a secret are told; nothing repeats them."""
    problems = _problems("{resource: campaign, operation: getAll}", head)
    shown = str(problems)

    assert "KT013" in [p.code for p in problems]
    assert not re.search(f"swordfish|12345|a1b2c3d4|{KEY}", shown)


@pytest.mark.parametrize(
    "head",
    [
        "vars: {sort_key: name}\n",
        "vars: {password: '${{ inputs.p }}'}\ninputs: {p: {secret: true, env: P}}\n",
        "vars: {postback_token: '{token}'}\n",
        "vars: {password: ''}\n",
        "vars: {use_password: true}\n",
        "inputs: {password: {secret: true, env: P}}\n",
        f"vars: {{long: {KEY}{KEY}}}\n",
    ],
)
def test_what_only_sounds_like_a_secret_is_left_alone(head):
    """Expressions, macros, empty values, sort keys and longer digests are no secrets."""
    assert "KT013" not in _codes("{resource: campaign, operation: getAll}", head)


def test_secret_fields_are_told_and_hidden_in_all_problems_of_their_line():
    """A password written out shows in no problem, not even in one about another field."""
    body = "{login: a, type: USERR, new_password: swordfish, new_password_confirmation: 98765}"
    problems = _problems(_call("user.create", f"body: {body}"))

    assert [p.code for p in problems].count("KT013") == 2
    assert {"KP404", "KP405"} <= {p.code for p in problems}
    assert "swordfish" not in str(problems)
    assert "98765" not in str(problems)


def test_keys_are_found_where_the_catalogue_describes_nothing():
    """A raw call, a set and the inputs of an include are looked through; described fields not."""
    api = _call("api.post", f"params: {{path: /x}}, body: {{a: {{b: {KEY}}}}}")
    raw = "{resource: api, operation: post, params: {path: /x}, body: {password: swordfish}}"
    known = _call("offer.update", f"id: 5, body: {{notes: {KEY}}}")
    open_part = _call("stream.update", f"id: 5, body: {{action_options: {{x: {KEY}}}}}")

    assert _codes(api) == _codes(raw) == ["KT013"]
    assert _codes(f"{{name: a, set: {{k: {KEY}}}}}") == ["KT013"]
    assert _codes(known) == []
    assert _codes(open_part) == ["KT013"]


# -- where, and silence ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "template",
    [
        "steps:\n  - {step}\n",
        "steps:\n  - steps:\n      - {step}\n",
        "steps:\n  - for_each: [1]\n    when: true\n    steps:\n      - {step}\n",
        "steps:\n  - {other}\nfinally:\n  - {step}\n",
    ],
    ids=["step", "block", "loop", "finally"],
)
def test_steps_are_looked_at_wherever_they_stand(template):
    """Blocks, loops and `finally` are no hiding places."""
    step = (STREAM % "state: active").replace("collect_clicks: true, ", "")
    other = "{resource: campaign, operation: getAll}"
    text = "version: 1\n" + template.replace("{step}", step).replace("{other}", other)

    assert "KT004" in [p.code for p in check(parse(text), Rules(_CATALOGUE))]


def test_included_playbooks_and_bodies_in_files_are_looked_at(tmp_path: Path):
    """The problem stands in the file that it is in, and can be silenced there."""
    body = "campaign_id: 5\ntype: regular\nschema: action\naction_type: http\nname: a\n"
    offers = "offers: [{offer_id: 1, share: 5}]"
    (tmp_path / "body.yaml").write_text(f"{body}collect_clicks: true\n{offers}\n")
    (tmp_path / "quiet.yaml").write_text(f"{body}collect_clicks: true\n{offers} # noqa: KT001\n")
    call = "{resource: stream, operation: create, body_file: %s}"
    (tmp_path / "inner.yaml").write_text(
        f"version: 1\nsteps:\n  - {call % 'body.yaml'}\n  - {call % 'quiet.yaml'}\n"
    )
    outer = tmp_path / "outer.yaml"
    outer.write_text("version: 1\nsteps:\n  - include: inner.yaml\n")
    (problem,) = check(read(outer), Rules(_CATALOGUE))

    assert (problem.code, Path(problem.place.file).name) == ("KT001", "body.yaml")
    assert problem.place.line == 7


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        ("interval: last_7_days", ["KT009"]),
        # The schema still refuses it: silencing lint does not make the tracker take it.
        ("interval: last_7_days # noqa: KT009", ["KP404"]),
        ("interval: last_7_days # noqa: KT001", ["KT009"]),
    ],
)
def test_lint_is_silenced_on_its_line_even_where_it_is_an_error(line, codes):
    """A comment silences the code that it names, on the line that the problem points at."""
    text = (
        "version: 1\nsteps:\n  - resource: stats\n    operation: getAll\n    body:\n"
        f"      range:\n        {line}\n"
    )

    assert [p.code for p in check(parse(text), Rules(_CATALOGUE))] == codes


def test_errors_that_are_not_lint_cannot_be_silenced():
    """What validation calls an error stays one."""
    text = "version: 1\nsteps:\n  - {resource: campaign, operation: get} # noqa: KP208\n"

    assert [p.code for p in check(parse(text), Rules(_CATALOGUE))] == ["KP208"]


# -- the table ------------------------------------------------------------------------------------


def _schema_at(schema: Any, path: str) -> Any:
    for part in filter(None, path.replace("[]", ".[]").split(".")):
        schema = schema["items"] if part == "[]" else schema["properties"][part]
    return schema


def _paths() -> list[tuple[str, str, str]]:
    hooks = Hooks(FIELD_RULES)
    return [
        (name, path, rule)
        for name in hooks.table["operations"]
        for path, rule, _ in hooks.paths(name)
    ]


@pytest.mark.parametrize(("operation", "path", "rule"), _paths())
def test_the_table_names_fields_and_rules_that_exist(operation, path, rule):
    """Every operation, field and rule in lint.json is one that the catalogue and lint know."""
    found = _CATALOGUE.operation(*operation.split("."))

    assert found is not None
    assert _schema_at(found.body, path)
    assert rule in FIELD_RULES


def test_every_rule_is_used():
    """A rule that neither the table nor a keyword of the schemas names would be dead."""
    named = {rule for _, _, rule in _paths()} | {"x-replaces", "x-secret"}

    assert named == set(FIELD_RULES)


def test_refused_names_have_a_right_one_or_a_reason():
    """What is an error says what to write instead."""
    reports = _CATALOGUE.reports

    assert set(reports["refused"]) <= reports["wrong"].keys() | reports["absent"].keys()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["offers", "share", "filters", "range", "interval", "payload", "type"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(_JSON, st.sampled_from(sorted(Hooks(FIELD_RULES).table["operations"])))
def test_any_body_at_all_is_survived(body, operation):
    """Lint runs on bodies that the schema refuses too, and never falls over them."""
    resource, name = operation.split(".")
    document = parse("version: 1\n")
    step = Map()
    step.update({"resource": resource, "operation": name, "body": body, "set": body})
    steps = Seq()
    steps.extend([step, body])
    document.data = Map()
    document.data.update({"steps": steps, "vars": body, "inputs": {"a": body}})

    for problem in Linter(_CATALOGUE).check(document, lambda _: None):
        assert problem.severity in set(Severity)
