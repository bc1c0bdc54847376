"""Emulators in place of the trackers that a playbook runs on: its own, and those that it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import click

from runner.cli.asked import Asked
from runner.emulator import Emulator, sample_seed
from runner.planning import Plan, named_trackers
from runner.trackers import DEFAULT, Tracker


@contextmanager
def emulated(asked: Asked, plan: Plan) -> Iterator[Mapping[str, Tracker]]:
    """An emulator of its own for each tracker, by name, for as long as the run takes."""
    if asked.tracker or asked.trackers_file:
        raise click.UsageError("--emulator stands in for a tracker: name none beside it")
    names = {DEFAULT, *(named.name for named in named_trackers(plan))}
    with ExitStack() as stack:
        started = {name: stack.enter_context(Emulator(seed=sample_seed())) for name in names}
        yield {name: Tracker(name, one.url, one.key) for name, one in started.items()}
