"""Where the events of a run go: the JSONL report, and the lines on the console."""

from runner.report.console import Console
from runner.report.jsonl import JsonLines

__all__ = ["Console", "JsonLines"]
