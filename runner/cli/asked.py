"""What `run` was asked for, how to ask it to go on, and the options that take a value or none."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click

LATEST = "latest"
MOST_DESTROYED = 20
# The options that the next part of a run should have too, each with its default.
_KEPT_TO_GO_ON: Mapping[str, tuple[str, Any]] = {
    "--state-dir": ("state_dir", None), "--report": ("report", None),
    "--outputs": ("outputs", None), "--html": ("html", None), "--junit": ("junit", None),
    "--markdown": ("markdown", None), "--trackers": ("trackers_file", None),
    "--tracker": ("tracker", None), "--inputs": ("inputs_file", None),
    "--max-destroy": ("max_destroy", MOST_DESTROYED), "--jobs": ("jobs", 1),
    "--transport": ("transport", None), "--rate": ("rate", None),
}  # fmt: skip


class Asked(NamedTuple):
    """What the command line asked for."""

    playbook: str | None
    given: tuple[str, ...]
    inputs_file: str | None
    report: str | None
    html: str | None
    junit: str | None
    markdown: str | None
    outputs: str | None
    tracker: str | None
    trackers_file: Path | None
    emulator: bool
    insecure: bool
    resume: str | None
    in_doubt: tuple[str, ...]
    accept_changes: bool
    anew: bool
    state_dir: str | None
    yes: tuple[str, ...]
    max_destroy: int
    transport: str | None
    rate: float | None
    jobs: int
    preflight: bool
    dry_run: bool
    quiet: bool
    verbose: int
    live: bool

    @property
    def forms(self) -> dict[str, str]:
        """The file for each further form of the report that is wanted."""
        named = {"html": self.html, "junit": self.junit, "markdown": self.markdown}
        return {form: name for form, name in named.items() if name}

    @property
    def files(self) -> list[str]:
        """The files that are written at the end, once all has been sent."""
        outputs = [self.outputs] if self.outputs and self.outputs != "-" else []
        return [*(name for name in self.forms.values() if name != "-"), *outputs]

    @property
    def is_watched(self) -> bool:
        """Whether the live view is wanted: not where a report is written to the same terminal."""
        return self.live and not self.quiet and not (self.report == "-" and sys.stdout.isatty())

    def to_go_on(self, playbook: str, run_id: str) -> str:
        """The command that goes on with the run, as it would be typed."""
        options = [
            word
            for option, (name, default) in _KEPT_TO_GO_ON.items()
            if (value := getattr(self, name)) != default and (option, value) != ("--inputs", "-")
            for word in (option, str(value))
        ]
        options += ["--insecure"] if self.insecure else []
        options += ["--yes" if name == "*" else f"--yes={name}" for name in self.yes]
        playbook = "-" if playbook == "<stdin>" else playbook
        return shlex.join(["keitaro-runner", "run", playbook, "--resume", run_id, *options])


class RunCommand(click.Command):
    """`--resume` and `--yes` take a value or none, and never the playbook that comes after them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The arguments with a value put to both options wherever they have none."""
        from runner.journal.store import RUN_ID  # noqa: PLC0415

        ready: list[str] = []
        for arg in args:
            if ready and ready[-1] == f"--resume={LATEST}" and RUN_ID.match(arg):
                ready[-1] = f"--resume={arg}"
            else:
                ready.append({"--resume": f"--resume={LATEST}", "--yes": "--yes=*"}.get(arg, arg))
        return super().parse_args(ctx, ready)


class Rate(click.ParamType[float]):
    """Calls a second: `5`, `0.5`, `5/s`, or `90/m` for calls a minute."""

    name = "rate"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The calls a second."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(?:/([sm]))?", str(value).strip())
        rate = float(found[1]) / (60 if found[2] == "m" else 1) if found else 0.0
        if rate <= 0:
            self.fail("write calls a second, such as 5 or 0.5, or 90/m for a minute", param, ctx)
        return rate
