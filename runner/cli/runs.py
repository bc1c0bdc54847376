"""`runs`: the runs that were kept, and what became of each."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from runner.cli.output import say
from runner.errors import RunnerError
from runner.journal.store import RunState, Store, state_folder


@click.command("runs")
@click.option(
    "--state-dir",
    metavar="DIR",
    help="Where runs are kept.  [default: KEITARO_STATE_DIR, or .keitaro here]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the list.",
)
@click.argument("playbook", required=False, type=click.Path(path_type=Path))
def command(state_dir: str | None, form: str, playbook: Path | None) -> None:
    """List runs and their state; with PLAYBOOK its own, and with a folder those that it keeps.

    States: running, done, failed, interrupted, died (killed, or the machine went down), in doubt
    (a write was sent and its answer never seen). All but running and done can be resumed.
    """
    if playbook is not None and not playbook.exists():
        raise RunnerError(f"there is no {playbook}", "name a playbook, or the folder of one")
    store = Store(state_folder(playbook, state_dir, os.environ))
    own = playbook if playbook is not None and not playbook.is_dir() else None
    states = store.states(own)
    if form == "json":
        click.echo(json.dumps([state._asdict() for state in states], ensure_ascii=False, indent=2))
        return
    if not states:
        say(f"no runs{f' of {own}' if own else ''} in {store.folder}")
        say("they are kept beside their playbook: name it, or its folder")
    for state in states:
        click.echo(_line(state))


def _line(state: RunState) -> str:
    doubts = f"  in doubt: {', '.join(state.doubts)}" if state.doubts else ""
    what = f"{state.playbook} on {state.tracker}" if state.tracker else state.playbook
    word = "call " if state.calls == 1 else "calls"
    return f"{state.id}  {state.state:<11}  {state.calls:>5} {word}  {what}{doubts}"
