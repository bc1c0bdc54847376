"""Where a playbook's calls go, in words: for who agrees to a run, and who looks on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.cli.asked import Asked
from runner.cli.output import say
from runner.errors import RunnerError
from runner.planning import COMPUTED, Plan, used_trackers

if TYPE_CHECKING:
    from runner.trackers import Trackers


def place_of(name: str | None, trackers: Trackers, asked: Asked) -> str:
    """A tracker as `tracker_of` gives it, by name and address.

    Raises RunnerError where it is the run's own and there is none.
    """
    if name == COMPUTED:
        return "a tracker that is known once the run comes to it"
    try:
        tracker = trackers.get(name or asked.tracker)
    except RunnerError:
        if name is None:
            raise
        return name  # what is wrong with it is said where it is sure to be needed
    return f"{tracker.name} ({tracker.url})"


def announce(asked: Asked, plan: Plan, trackers: Trackers) -> None:
    """Say what runs where, before the first call, and that `--tracker` is for no step of it."""
    if asked.quiet:
        return
    used = used_trackers(plan)
    places = [place_of(name, trackers, asked) for name in used or [None]]
    told = "the emulator" if asked.emulator else ", ".join(dict.fromkeys(places))
    say(f"{plan.file} on {told}")
    if asked.tracker and used and None not in used and asked.tracker not in used:
        say(f"note: no step runs on {asked.tracker}, since all of them name another tracker")
