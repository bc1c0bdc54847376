"""Run a plan: render, send, judge, as a stream of events; opens no socket and no file."""

from runner.execution.engine import run
from runner.execution.outside import Clock, Outside
from runner.execution.overlap import Overlap
from runner.execution.pacing import Pacer

__all__ = ["Clock", "Outside", "Overlap", "Pacer", "run"]
