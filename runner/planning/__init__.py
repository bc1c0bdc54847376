"""Turn a playbook document into a plan; never touches the network."""

from runner.planning.building import build
from runner.planning.plan import (
    Block,
    Call,
    Condition,
    Include,
    Loop,
    Plan,
    Save,
    SetValues,
    Step,
    Until,
    Work,
    destroys,
    repeats,
    step_fingerprints,
    surely_destroyed,
)
from runner.planning.trackers import (
    COMPUTED,
    Named,
    named_trackers,
    tracker_of,
    used_trackers,
)

__all__ = [
    "COMPUTED",
    "Block",
    "Call",
    "Condition",
    "Include",
    "Loop",
    "Named",
    "Plan",
    "Save",
    "SetValues",
    "Step",
    "Until",
    "Work",
    "build",
    "destroys",
    "named_trackers",
    "repeats",
    "step_fingerprints",
    "surely_destroyed",
    "tracker_of",
    "used_trackers",
]
