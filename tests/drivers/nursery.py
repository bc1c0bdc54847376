"""A process that has imported all of the runner, and forks a child for each command line.

Starting Python and importing takes half a second; forking takes a few milliseconds, so that a
test may kill hundreds. It reads orders from stdin, one JSON object a line, and answers each with
the child's pid and, once it has ended, the exit code, negative for a signal. An order: `args`,
`cwd`, `environ`, `out` and `err` (files), and what ends the child early: `boundary` with `nth` and
`tomb` (see `boundaries`), or `signals`: pairs of the seconds to wait and a number. `file_size` and `memory` are limits in bytes.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from typing import Any, NoReturn

import runner.cli.boundary
import runner.cli.reporting
import runner.cli.run
import runner.cli.runs
import runner.preflight
import runner.resuming
import runner.session  # noqa: F401
from drivers import boundaries  # which imports the HTTP library too
from runner.cli import main


def serve() -> None:
    """Carry out orders until there are no more."""
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            _live(order)
        print(child, flush=True)  # noqa: T201
        for seconds, number in order.get("signals", ()):
            time.sleep(seconds)
            os.kill(child, number)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201


def _live(order: dict[str, Any]) -> NoReturn:
    """Be the command, and end as it does."""
    code = 99
    try:
        for name, number in (("out", 1), ("err", 2)):
            handle = os.open(order[name], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(handle, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(order["cwd"])
        os.environ.update(order["environ"])
        for name, limit in (("file_size", resource.RLIMIT_FSIZE), ("memory", resource.RLIMIT_AS)):
            if order.get(name) is not None:
                resource.setrlimit(limit, (order[name], order[name]))
        if order.get("boundary"):
            boundaries.kill_at(order["boundary"], order["nth"], order["tomb"])
        sys.argv = ["keitaro-runner", *order["args"]]
        main()
    except SystemExit as ended:
        code = int(ended.code or 0)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    serve()
