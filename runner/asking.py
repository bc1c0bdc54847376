"""Questions to a tracker that are no step of a playbook: they only read, and are tried again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime

from runner.catalogue import Operation
from runner.model import Fault, Reach, Reply, Request
from runner.retries import delay, is_worth_repeating

TRIES = 5
# Seconds: who asks for more than this is not waited for, since nobody has asked for the answer.
LONGEST = 30.0


def ask(
    operation: Operation,
    reach: Reach,
    request: Request,
    *,
    sleep: Callable[[float], object] = time.sleep,
) -> Reply | Fault:
    """What the tracker says, once trouble that may pass has passed."""
    exchange = reach.prepare(request)
    for tried in range(1, TRIES):
        outcome = exchange()
        if not is_worth_repeating(operation, outcome):
            return outcome
        wait = delay(outcome, tried, datetime.now(UTC), random.random)
        if wait is None or wait > LONGEST:
            return outcome
        sleep(wait)
    return exchange()
