"""What a playbook that is included is given: its inputs, checked as those of a run are."""

from __future__ import annotations

from collections.abc import Mapping

from runner import inputs
from runner.errors import RunnerError
from runner.execution.outside import Outside, StepError
from runner.masking import MASK
from runner.model import Json
from runner.planning import Include
from runner.templating import Unknown, first_unknown


def given_inputs(work: Include, values: Json, outside: Outside) -> inputs.Inputs:
    """The inputs by name, those hidden that are secret. Raises StepError.

    What a dry run does not know is handed on unchecked; of a secret none of its parts is shown.
    """
    declared = work.declared or {}
    if isinstance(values, Unknown):
        values = {name: Unknown(f"${{{{ inputs.{name} }}}}") for name in declared}
    if not isinstance(values, Mapping):
        raise StepError("template", "inputs is no mapping", "name each input with its value")
    unknown = {}
    if outside.dry:
        unknown = {
            name: Unknown(MASK) if (declared.get(name) or {}).get("secret") else value
            for name, value in values.items()
            if first_unknown(value)
        }
    try:
        found = inputs.resolve(
            {name: spec for name, spec in declared.items() if name not in unknown},
            texts={},
            values={name: value for name, value in values.items() if name not in unknown},
            environ=outside.environ,
            secrets={},
        )
    except RunnerError as error:
        raise StepError("inputs", error.message, "correct the inputs of this step") from error
    for secret in found.secrets:
        outside.hide(secret)
    return found._replace(values={**found.values, **unknown})
