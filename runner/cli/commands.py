"""The group of commands, each imported when it is called, and the boundary for errors."""

from __future__ import annotations

import importlib
import os
import sys
from contextlib import suppress

import click

from runner import __version__
from runner.errors import ExitCode, RunnerError

# A command's name, where it lives, and its line in the help: so that help imports none of them.
_COMMANDS = {
    "run": ("runner.cli.run", "Run a playbook, and write a report of envelopes."),
    "validate": ("runner.cli.validate", "Find every mistake in playbooks; send nothing."),
    "plan": ("runner.cli.plan", "Show which steps of a playbook must wait for which."),
    "report": ("runner.cli.report", "Turn a report into a page or CI's forms, or verify it."),
    "runs": ("runner.cli.runs", "List the runs that were kept, and what became of each."),
    "explain": ("runner.cli.explain", "Explain a resource, an operation, a field or a code."),
    "init": ("runner.cli.init", "Write a folder to begin with: playbook, trackers, CI file."),
    "doctor": ("runner.cli.doctor", "Ask whether a tracker can be reached, and what a key may do."),
    "emulate": ("runner.cli.emulate", "Start a stand-in tracker on this machine."),
    "schema": ("runner.cli.schema", "Print a bundled JSON Schema."),
    "completion": ("runner.cli.completion", "Print the script that completes words in a shell."),
}


class _LazyGroup(click.Group):
    """A group that knows its commands by name and imports one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(_COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            import difflib  # noqa: PLC0415  (only for a wrong name)

            near = difflib.get_close_matches(args[0], _COMMANDS, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            if args[0].endswith((".yaml", ".yml")):
                hint = f" To run a playbook: keitaro-runner run {args[0]}"
            ctx.fail(f"there is no command '{args[0]}'.{hint}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="keitaro-runner %(version)s")
def group() -> None:
    """Run reviewed YAML playbooks against the Admin API of the Keitaro tracker.

    Exit codes: 0 all succeeded, 1 a step failed, 2 usage, 3 the playbook is invalid, 4 the
    tracker cannot be reached or refuses the key, 5 a write is in doubt, 130 interrupted.
    """


def main() -> None:
    """Run the command line and exit: the boundary where every error becomes words and a code."""
    _fill_in_for_closed_streams()
    if "_KEITARO_RUNNER_COMPLETE" in os.environ:  # a shell asks what could be typed next
        importlib.import_module("runner.cli.completion").prepare(group)
    try:
        # click turns an Exit into the value returned, and a command that just ends into None.
        sys.exit(group.main(standalone_mode=False, prog_name="keitaro-runner") or ExitCode.OK)
    except click.Abort:
        click.echo("interrupted", err=True)
        sys.exit(ExitCode.INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitCode.USAGE)
    except RunnerError as error:
        click.echo(f"error: {error.message}", err=True)
        if error.hint:
            click.echo(f"  = {error.hint}", err=True)
        sys.exit(error.code)
    except BrokenPipeError:
        # Whoever read our output has gone: nothing more can be said, and Python must not try.
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        sys.exit(ExitCode.FAILED)
    except Exception as error:  # noqa: BLE001  (the top boundary)
        from runner.cli.boundary import describe_bug  # noqa: PLC0415  (only for a bug)

        for line in describe_bug(error):
            click.echo(line, err=True)
        sys.exit(ExitCode.FAILED)


def _fill_in_for_closed_streams() -> None:
    """Whoever closed a stream wants nothing of it, nor that the next file takes its place."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123
