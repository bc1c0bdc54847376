"""The CI files: those in the README, those that `init` writes, and the hook for pre-commit."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, Command, environment, steps

from runner.emulator import Emulator, sample_seed

README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = README.split("\n## In CI\n", 1)[1].split("\n## ", 1)[0]
BLOCKS = dict(re.findall(r"```yml\n# (\S+)\n(.*?)```", SECTION, re.DOTALL))
GITHUB, GITLAB = ".github/workflows/playbooks.yml", ".gitlab-ci.yml"


def load(text: str) -> Any:
    # GitHub and GitLab read `on:` as a word, which YAML 1.1 takes for true.
    return yaml.load(text, yaml.BaseLoader)


@pytest.fixture
def clone(folder: Path, cli: Command, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository as `init` writes it, with the command on the path."""
    program = folder / "bin" / "keitaro-runner"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m runner "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    for ci in ("github", "gitlab"):
        assert cli("init", ci, "--ci", ci).code == 0
    return folder


def run(script: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """The lines of a job, in the shell that CI has for them."""
    return subprocess.run(
        ["bash", "-e", "-c", script], cwd=cwd, env=environment(CI="true", **variables),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(("ci", "name"), [("github", GITHUB), ("gitlab", GITLAB)])
def test_readme_shows_what_init_writes(clone: Path, ci: str, name: str) -> None:
    """The example is the file, but for where the program itself is installed from."""
    written = (clone / ci / name).read_text(encoding="utf-8")
    assert re.sub(r"pip install .*", "pip install keitaro-runner", written) == BLOCKS[name]


def test_actions_are_named_by_their_major_version() -> None:
    """Each action is one of GitHub's own, at a full major version."""
    used = re.findall(r"uses: (\S+)", BLOCKS[GITHUB])
    assert used
    assert [name for name in used if not re.fullmatch(r"actions/[a-z-]+@v\d+", name)] == []


def test_github_expressions_never_reach_a_shell() -> None:
    """A script takes what somebody typed from a variable, since an expression is pasted into it."""
    jobs = load(BLOCKS[GITHUB])["jobs"].values()
    scripts = [step["run"] for job in jobs for step in job["steps"] if "run" in step]
    assert len(scripts) == 5
    assert not [script for script in scripts if "${{" in script]


def github_script(job: dict[str, Any]) -> str:
    lines = [step["run"] for step in job["steps"] if "run" in step]
    return "\n".join(line for line in lines if not line.startswith("pip "))


def test_github_checks(clone: Path) -> None:
    """The first job validates and rehearses, and leaves the report and the summary of the job."""
    job = load((clone / "github" / GITHUB).read_text())["jobs"]["check"]
    done = run(
        github_script(job), clone / "github", GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY="../s.md"
    )
    assert done.returncode == 0, done.stderr
    assert "3 succeeded" in done.stderr
    assert "succeeded" in (clone / "s.md").read_text()
    uploaded = job["steps"][-1]["with"]["path"]
    assert (clone / "github" / uploaded).stat().st_size > 0


def test_a_mistake_fails_the_check(clone: Path) -> None:
    """A playbook that is wrong is annotated at its line, and nothing is rehearsed."""
    wrong = clone / "github" / "playbooks" / "wrong.yaml"
    wrong.write_text(steps("{resource: offers, operation: getAll}"))
    job = load((clone / "github" / GITHUB).read_text())["jobs"]["check"]
    done = run(github_script(job), clone / "github")
    assert done.returncode == 3
    assert "::error file=playbooks/wrong.yaml,line=3" in done.stdout
    assert not (clone / "github" / "rehearsal.jsonl").exists()


def test_github_runs(clone: Path) -> None:
    """The second job runs the playbook that was asked for, with the key of the secret."""
    place = clone / "github"
    job = load((place / GITHUB).read_text())["jobs"]["run"]
    with Emulator(seed=sample_seed()) as tracker:
        _point_at(place, tracker)
        variables = {
            **next(step["env"] for step in job["steps"] if "env" in step),
            "KEITARO_MAIN_KEY": tracker.key,
            "PLAYBOOK": "playbooks/first-campaign.yaml",
        }
        done = run(github_script(job), place, **variables)
    assert done.returncode == 0, done.stderr
    assert all((place / path).exists() for path in job["steps"][-1]["with"]["path"].split())


@pytest.mark.parametrize("name", ["check", "run"])
def test_gitlab(clone: Path, name: str) -> None:
    """Each job's script runs, and leaves what its artifacts name."""
    place = clone / "gitlab"
    config = load((place / GITLAB).read_text())
    assert config[name]["stage"] in config["stages"]
    with Emulator(seed=sample_seed()) as tracker:
        _point_at(place, tracker)
        variables = {**config["variables"], "KEITARO_MAIN_KEY": tracker.key}
        done = run("\n".join(config[name]["script"]), place, **variables)
    assert done.returncode == 0, done.stderr
    assert all((place / path).exists() for path in config[name]["artifacts"]["paths"])


def _point_at(place: Path, tracker: Emulator) -> None:
    """Do what `init` asks for: write the tracker's address into the file."""
    file = place / "trackers.yaml"
    file.write_text(file.read_text().replace("https://tracker.example.com", tracker.url))


# -- pre-commit -------------------------------------------------------------------------------


def test_the_hook(cli: Command, folder: Path) -> None:
    """The hook fails for a playbook that is wrong, and passes over what is none."""
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert f"id: {hook['id']}" in SECTION
    assert (hook["language"], hook["types"]) == ("python", ["yaml"])
    for name, wanted in {
        "playbooks/a.yaml": True, "team/playbooks/a.yml": True, "playbooks/eu/b.yaml": True,
        "notplaybooks/a.yaml": False, "trackers.yaml": False,
    }.items():  # fmt: skip
        assert bool(re.search(hook["files"], name)) == wanted, name
    program, *words = shlex.split(hook["entry"])
    assert program == "keitaro-runner"
    (folder / "ok.yaml").write_text(steps("{resource: offer, operation: getAll}"))
    (folder / "wrong.yaml").write_text(steps("{resource: offers, operation: getAll}"))
    (folder / "body.yaml").write_text("name: Tea")
    assert cli(*words, "ok.yaml", "body.yaml").code == 0
    assert cli("validate", "body.yaml").code == cli(*words, "ok.yaml", "wrong.yaml").code == 3


def test_sample_playbooks_pass_the_hook(cli: Command) -> None:
    """What lies in playbooks/ here would be let through."""
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    files = [
        path
        for path in sorted((ROOT / "playbooks").rglob("*.yaml"))
        if re.search(hook["files"], path.relative_to(ROOT).as_posix())
    ]
    assert len(files) > 5
    assert cli("validate", *map(str, files)).code == 0
