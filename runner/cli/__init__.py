"""The command line: parses, calls, prints; the only room that prints or exits."""

import atexit
import gc

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit.

    Nearly all that is made here is freed without the collector. By default it looks through all
    that a playbook holds so often that it takes a sixth of a run's time, and when Python exits it
    takes 20 ms for what the system frees at once: files are closed by then, and no object here
    has anything to do at its end. So it is told of both before the first library is imported.
    """
    gc.set_threshold(200_000, 50, 100)
    atexit.register(gc.freeze)

    from runner.cli.commands import main as command_line  # noqa: PLC0415  (see above)

    command_line()
