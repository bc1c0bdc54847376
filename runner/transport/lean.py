"""httpx, without the command-line program that it carries.

Where rich and pygments are installed, `import httpx` loads them for a program that nobody here
calls: a third of its time. httpx does without where they are missing, and for the length of the
import they are made to look so.
"""

from __future__ import annotations

import sys

_PROGRAM = "httpx._main"

_absent = _PROGRAM not in sys.modules
if _absent:
    sys.modules[_PROGRAM] = None  # type: ignore[assignment]  # Python's own mark for "cannot be had"
try:
    import httpx
finally:
    if _absent:
        del sys.modules[_PROGRAM]

__all__ = ["httpx"]
