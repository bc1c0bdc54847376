"""Problems of playbooks as annotations of GitHub, which draws each at its line."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from runner.annotations import annotation, from_the_top
from runner.model import Problem


def annotated(problems: Iterable[Problem]) -> Iterator[str]:
    """A workflow command for each problem, with its file as seen from the repository's top."""
    for problem in problems:
        place = problem.place
        properties = {
            "file": from_the_top(place.file, Path.cwd(), os.environ),
            "line": place.line,
            "col": place.column,
            "endColumn": place.column + place.length,
            "title": problem.code,
        }
        hint = f" ({problem.hint})" if problem.hint else ""
        yield annotation(problem.severity.value, properties, problem.message + hint)
