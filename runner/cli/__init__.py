"""The command line: parses, calls, prints; the only room that prints or exits."""

from runner.cli.main import main

__all__ = ["main"]
