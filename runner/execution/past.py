"""What a run that is continued remembers, as the engine asks for it; empty for one that begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from runner.model import Json


class Restored(NamedTuple):
    """A call that was made before: what it gave, and whether to ask its conditions once more."""

    envelope: dict[str, Json]
    digest: str
    ask_again: bool


class InDoubt(NamedTuple):
    """A call that was sent before, with no outcome known.

    `word` is what a person says of it: `done`, `retry`, `id` (of `entity`), or nothing.
    """

    digest: str
    word: str = ""
    entity: str = ""


class Past:
    """The past of a run that begins: nothing is done, nothing in doubt, nothing hidden."""

    # Whether there is one.
    goes_on = False
    # The number of the last envelope that the report has, and how many calls that destroy are done.
    seq = 0
    destroyed = 0

    def done(self, key: str) -> Restored | None:  # noqa: ARG002  (for those that remember)
        """What became of a call, where it need not be made again."""
        return None

    def doubt(self, key: str) -> InDoubt | None:  # noqa: ARG002
        """The doubt about a call, where there is one."""
        return None

    def has_doubt(self, key: str) -> bool:  # noqa: ARG002
        """Whether a call is in doubt, or one of the loop or the block of that key."""
        return False

    def still_in_doubt(self) -> Sequence[str]:
        """What nobody has come to: the run is over, and it is as much in doubt as before."""
        return ()

    def reveal(self, value: Json) -> Json:
        """The value with hidden parts of restored answers put back. Raises RunnerError."""
        return value

    def conceal(self, value: Json) -> Json:
        """The value with hidden parts of restored answers as the mask that was written of them."""
        return value

    def look_up(self, key: str, body: Json) -> Mapping[str, Json] | None:  # noqa: ARG002
        """The entity that a create in doubt made, found by its natural key; else `None`.

        Raises LookupError where the tracker cannot tell.
        """
        raise LookupError(f"{key} has no natural key")

    def fetch(self, key: str, entity: str) -> Json:  # noqa: ARG002
        """The entity that a person named for a create in doubt, read from the tracker."""
        return None
