"""What can go wrong on purpose: the description of a fault, and which request it strikes."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

FaultKind = Literal[
    "delay",
    "status",
    "reset_before",
    "reset_after",
    "truncate",
    "cut_json",
    "html",
    "empty",
    "wrong_type",
    "slow_drip",
    "huge",
    "gzip_bomb",
    "redirect",
    "silent",
    "no_length_close",
]
KINDS: tuple[str, ...] = get_args(FaultKind)

# These spoil the real answer, so there has to be one.
_ON_THE_ANSWER = frozenset(
    ("delay", "reset_after", "truncate", "cut_json", "wrong_type", "slow_drip", "no_length_close")
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, for requests that match, `times` times (None: always).

    `match` is a regular expression looked for in "METHOD /path" (the whole path, without the query;
    letters of either case), None for every request; `after` lets the first N matching ones pass.

    | kind | what happens | uses |
    |---|---|---|
    | `delay` | done; the answer `seconds` later; goes with another fault | `seconds` |
    | `status` | this answer instead of the real one | `status`, `body`, `headers` |
    | `reset_before` | connection reset, nothing done | |
    | `reset_after` | done, then connection reset without an answer | |
    | `truncate` | done; half of the body, announced whole, then closed | |
    | `cut_json` | done; a complete answer whose JSON is cut in half | |
    | `html` | 200 and the panel's page | |
    | `empty` | 200 and no body | |
    | `wrong_type` | done; an array where an object belongs, and the other way round | |
    | `slow_drip` | done; the body byte by byte, `seconds` apart | `seconds` |
    | `huge` | 200 and a JSON string of `size` bytes | `size` |
    | `gzip_bomb` | 200 and a small gzip that unpacks to `size` bytes | `size` |
    | `redirect` | `status` (302 unless given) to `location` | `status`, `location` |
    | `silent` | taken in, never answered; ends with the emulator | |
    | `no_length_close` | done; no Content-Length, the end is where the connection closes | |

    Of those that replace the answer, `effect=True` has the request carried out first (a 502 after
    the work was done).  `body` is text, bytes, or anything JSON can hold.
    """

    kind: FaultKind
    match: str | None = None
    after: int = 0
    times: int | None = 1
    seconds: float = 0.0
    status: int | None = None
    body: Any = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    size: int = 10_000_000
    location: str = ""
    effect: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no fault is called {self.kind!r}; use one of: {', '.join(KINDS)}")
        try:
            re.compile(self.match or "")
        except re.error as problem:
            raise ValueError(f"match of fault {self.kind} is no pattern: {problem}") from None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Fault:
        """Read a fault from JSON, with the names above; raises ValueError naming what is wrong."""
        unknown = sorted(set(data) - {item.name for item in fields(cls)})
        if unknown:
            known = ", ".join(item.name for item in fields(cls))
            raise ValueError(f"a fault has no {', '.join(unknown)}; it has {known}")
        if "kind" not in data:
            raise ValueError(f"a fault needs a kind, one of: {', '.join(KINDS)}")
        return cls(**data)

    @property
    def takes_effect(self) -> bool:
        """Whether the request is carried out all the same."""
        return self.effect or self.kind in _ON_THE_ANSWER

    def body_bytes(self) -> bytes:
        """Return `body` as it goes out."""
        if isinstance(self.body, bytes):
            return self.body
        text = self.body if isinstance(self.body, str) else json.dumps(self.body)
        return text.encode()


@dataclass(slots=True)
class _Armed:
    fault: Fault
    pattern: re.Pattern[str]
    seen: int = 0
    fired: int = 0

    def ready(self, line: str) -> bool:
        """Count a request that matches, and tell whether the fault may strike it."""
        if self.pattern.search(line) is None:
            return False
        self.seen += 1
        spent = self.fault.times is not None and self.fired >= self.fault.times
        return self.seen > self.fault.after and not spent


@dataclass(frozen=True, slots=True)
class Strike:
    """What befalls one request: seconds to wait before the answer, and at most one fault."""

    delay: float = 0.0
    fault: Fault | None = None


NOTHING = Strike()


class FaultBook:
    """The faults that are switched on, counted down under a lock of its own."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self._armed: list[_Armed] = []
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """Switch a fault on, behind those there are."""
        with self._lock:
            self._armed.append(_Armed(fault, re.compile(fault.match or "", re.IGNORECASE)))

    def clear(self) -> None:
        """Switch all faults off."""
        with self._lock:
            self._armed.clear()

    def strike(self, method: str, path: str) -> Strike:
        """Return what befalls this request: every delay that is due, and the first other fault."""
        if not self._armed:
            return NOTHING
        delay, struck = 0.0, None
        with self._lock:
            ready = [armed for armed in self._armed if armed.ready(f"{method} {path}")]
            for armed in ready:
                if armed.fault.kind == "delay":
                    delay += armed.fault.seconds
                elif struck is None:
                    struck = armed.fault
                else:
                    continue
                armed.fired += 1
        return Strike(delay, struck)
