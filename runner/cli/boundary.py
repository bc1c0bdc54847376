"""What ends a command becomes words and a code; of a bug, what it was and where, but no values."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from runner.errors import RunnerError
from runner.masking import Masker

_PACKAGE = Path(__file__).parent.parent
_MOST_FRAMES = 8


@contextmanager
def masked_errors(masker: Masker) -> Iterator[None]:
    """Hide secrets in errors on their way up; a bug's own words go into a note to it."""
    try:
        yield
    except RunnerError as error:
        message, hint = masker.text(error.message), masker.text(error.hint)
        raise RunnerError(message, hint, code=error.code) from None
    except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
        raise
    except Exception as error:
        error.add_note(masker.text(str(error)))
        raise


def describe_bug(error: Exception) -> list[str]:
    """Lines about a bug. Its message is not among them, since values are often part of it.

    Where the masker knew all secrets there is a note, which may be shown.
    """
    notes = [note for note in getattr(error, "__notes__", ()) if note]
    frames = traceback.extract_tb(error.__traceback__)[-_MOST_FRAMES:]
    return [
        f"error: a bug in keitaro-runner: {': '.join([type(error).__name__, *notes])}",
        *(f"  {_name(frame.filename)}:{frame.lineno} in {frame.name}" for frame in frames),
        "  = please report it with the lines above",
    ]


def _name(file: str) -> str:
    path = Path(file)
    inside = path.is_relative_to(_PACKAGE)
    return str(path.relative_to(_PACKAGE.parent)) if inside else path.name
