"""From a checked document to a plan: what is compiled, kept, looked up and read."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import plan_of, steps

from runner.errors import ExitCode, RunnerError
from runner.planning import Block, Call, Include, SetValues
from runner.planning.times import seconds


def written(folder: Path, text: str, name: str = "playbook.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


CHILD = "version: 1\nsteps:\n  - {resource: offer, operation: getAll}\n"


def test_kinds(folder: Path) -> None:
    """Each step becomes what its key makes it, with the place where it was written."""
    written(folder, CHILD, "child.yaml")
    plan = plan_of(
        written(
            folder,
            steps(
                "{name: a, resource: offer, operation: getAll}",
                "{steps: [{name: b, set: {x: 1}}]}",
                "{include: child.yaml}",
            ),
        )
    )
    assert [type(step.work) for step in plan.steps] == [Call, Block, Include]
    assert [step.label for step in plan.steps] == ["a", "steps[1]", "steps[2]"]
    assert [(s.place.line, s.place.column) for s in plan.steps] == [(3, 5), (4, 5), (5, 5)]
    block = plan.steps[1].work
    assert isinstance(block, Block)
    assert isinstance(block.steps[0].work, SetValues)


def test_only_what_is_referred_to_is_kept(folder: Path) -> None:
    """What no expression refers to need not be remembered."""
    plan = plan_of(
        written(
            folder,
            steps(
                "{name: used, resource: offer, operation: getAll}",
                "{name: unused, resource: offer, operation: getAll}",
                '{for_each: "${{ steps.used.data }}", resource: offer, operation: getAll}',
            ),
        )
    )
    assert plan.keeps("used")
    assert not plan.keeps("unused")
    assert not plan.keeps(None)


def test_all_is_kept_where_it_cannot_be_told(folder: Path) -> None:
    """A reference to all steps keeps all of them."""
    plan = plan_of(
        written(
            folder,
            steps(
                "{name: a, resource: offer, operation: getAll}",
                '{name: b, set: {x: "${{ steps }}"}}',
            ),
        )
    )
    assert plan.keeps("a")


def test_fingerprint(folder: Path) -> None:
    """Comments, order of keys, quotes and the file's name do not change what a playbook is."""
    one = written(folder, "version: 1\nsteps:\n  - {resource: offer, operation: get, id: 1}\n")
    two = written(
        folder,
        "# why\nsteps:\n  - operation: 'get'  # that\n    id: 1\n    resource: offer\nversion: 1\n",
        "other.yaml",
    )
    three = written(
        folder, "version: 1\nsteps:\n  - {resource: offer, operation: get, id: 2}\n", "3.yaml"
    )
    assert plan_of(one).fingerprint == plan_of(two).fingerprint != plan_of(three).fingerprint


def test_whens_that_ask_about_the_item(folder: Path) -> None:
    """A condition is asked for each item only where it speaks of one."""
    plan = plan_of(
        written(
            folder,
            "version: 1\ninputs: {go: {type: boolean, default: true}}\nsteps:\n"
            + "".join(
                f"  - {{for_each: [1], {more}, resource: offer, operation: getAll}}\n"
                for more in (
                    "when: '${{ item > 1 }}'",
                    "when: '${{ index > 1 }}'",
                    "as: x, when: '${{ x > 1 }}'",
                    "when: '${{ inputs.go }}'",
                    "when: true",
                )
            ),
        )
    )
    assert [step.when_each for step in plan.steps] == [True, True, True, False, False]


def test_defaults(folder: Path) -> None:
    """Defaults of the playbook hold where a step says nothing."""
    plan = plan_of(
        written(
            folder,
            "version: 1\ndefaults: {on_error: continue, retry: false}\nsteps:\n"
            "  - {resource: offer, operation: getAll}\n"
            "  - {resource: offer, operation: getAll, on_error: stop, retry: 7}\n"
            "  - {resource: offer, operation: getAll, retry: true}\n",
        )
    )
    retries = [s.work.retries for s in plan.steps if isinstance(s.work, Call)]
    assert retries == [0, 7, 4]
    assert [s.on_error for s in plan.steps] == ["continue", "stop", "continue"]


def test_a_document_that_was_changed(folder: Path) -> None:
    """The parsed document is shared and never changed, however bodies are respelled."""
    path = written(
        folder, steps("{resource: group, operation: create, body: {name: 007, type: offers}}")
    )
    plan = plan_of(path)
    assert plan.document.data["steps"][0]["body"]["name"] == 7


def test_a_file_that_is_gone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that breaks between validation and planning ends the run with its place."""
    from runner import validation

    child = written(folder, CHILD, "child.yaml")
    path = written(folder, steps("{include: child.yaml}"))
    check = validation.check

    def spoil(*args: object) -> object:
        found = check(*args)  # type: ignore[arg-type]
        child.write_text("version: [")
        return found

    monkeypatch.setattr("conftest.check", spoil)
    with pytest.raises(RunnerError, match=r"child\.yaml:1:") as caught:
        plan_of(path)
    assert caught.value.code is ExitCode.INVALID


@pytest.mark.parametrize(
    ("text", "value"),
    [("500ms", 0.5), ("30s", 30), ("1.5m", 90), ("2h", 7200), (3, 3), (0.5, 0.5)],
)
def test_times(text: object, value: float) -> None:
    """Times are seconds, or a number with its unit."""
    assert seconds(text) == value


@pytest.mark.parametrize("text", [86_401, "25h", 1e12])
def test_times_that_nobody_waits_for(text: object) -> None:
    """The system would not take the longest of them."""
    assert seconds("24h") == 86_400
    with pytest.raises(ValueError, match="longer than a day"):
        seconds(text)


@pytest.mark.parametrize("text", ["5", "5 s", "s", "-5s", 0, -1, True, None, [1], "0s", "5d"])
def test_no_times(text: object) -> None:
    """Anything else is refused."""
    with pytest.raises(ValueError, match="is no time"):
        seconds(text)
