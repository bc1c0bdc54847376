"""What exporters are told of where they run; looks nothing up itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple


class Surroundings(NamedTuple):
    """The folder that the playbooks' paths in a report are seen from, and the environment.

    Playbooks below the folder may be read, to show where a step is written.
    """

    folder: Path
    environ: Mapping[str, str] = MappingProxyType({})
