"""`emulate`: a stand-in tracker in the foreground, until it is interrupted."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import click

from runner.cli.output import say
from runner.errors import RunnerError
from runner.stop import Stop
from runner.trackers.checks import check_key

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("emulate")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 takes a free port.")
@click.option(
    "--api-key", "key", metavar="KEY", help="The key it accepts.  [default: one it shows]"
)
@click.option("--seed", type=_FILE, help="A JSON file of what it holds at the start.")
@click.option(
    "--dialect",
    type=click.Choice(["9", "10"]),
    default="10",
    show_default=True,
    help="The version of the tracker that it answers like.",
)
@click.option("--faults", type=_FILE, help="A JSON file: a list of faults to play.")
def command(
    port: int, key: str | None, seed: Path | None, dialect: str, faults: Path | None
) -> None:
    """Start a stand-in tracker on this machine, in the foreground.

    It prints the two variables that make keitaro-runner use it, and forgets all when it stops.
    """
    # For this command alone.
    from runner.emulator import DEFAULT_KEY, Emulator, Fault, sample_seed  # noqa: PLC0415

    if key:
        check_key(key, "--api-key")  # else a runner would refuse what this one shows
    stop = Stop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        tracker = Emulator(
            key or DEFAULT_KEY, port=port, seed=seed or sample_seed(), dialect=int(dialect)
        )
        for raw in json.loads(faults.read_text(encoding="utf-8")) if faults else []:
            tracker.fault(Fault.from_dict(raw))
        tracker.start()
    except OSError as error:
        raise RunnerError(
            f"the emulator cannot start: {error.strerror or error}",
            "choose another --port; 0 takes one that is free",
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise RunnerError(f"the emulator cannot start: {error}", "check its options") from error
    click.echo(f"export KEITARO_URL={tracker.url}")
    click.echo(f"export KEITARO_API_KEY={tracker.key}")
    say("listening; stop it with Ctrl-C")
    try:
        stop.wait()
    finally:
        tracker.stop()
