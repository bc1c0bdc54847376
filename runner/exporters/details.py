"""What the HTML page shows of a call once it is opened, cut so that the page stays usable."""

from __future__ import annotations

import json
import math
import re
from typing import IO, Any

from runner.exporters.calls import Call

BLOCK = 500  # calls in one data block of the page, which is read only when it is needed

# Up to how many characters of details in all, so many are kept of one body; beyond the last, none
# of calls that went well. Failures keep more.
BUDGETS = ((8_000_000, 20_000), (24_000_000, 1_500), (48_000_000, 200))
OF_FAILURES = ((48_000_000, 20_000), (60_000_000, 1_500), (80_000_000, 200))
_LONGEST_TEXT = 4_000
_MOST_HEADERS = 200

# In the row already, or of no use in the page.
_ELSEWHERE = frozenset(
    {"run", "seq", "step", "index", "key", "tracker", "source", "resource", "operation", "status",
     "success", "skipped", "started_at", "duration_ms", "prev", "hash", "request", "data", "error",
     "cut"}
)  # fmt: skip
_LONG_NUMBER = re.compile(r"\d{16}")
_MOST_EXACT = 2**53
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def dump(value: Any) -> str:
    """JSON on one line that may stand in a `<script>`: no `<`, no line breaks of any kind.

    What JavaScript's numbers cannot hold becomes text.
    """
    text = _dump(value)
    if "<" in text:
        text = text.replace("<", "\\u003c")
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


class Details:
    """Writes blocks of details to a stream.

    `cut` counts the calls of which a long text was cut, `dropped` those without any details;
    `shortest` is the least that was kept of a text that was cut, in characters.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._count = 0
        self._size = 0
        self.cut = self.dropped = 0
        self.shortest = BUDGETS[0][1]
        self.headers: dict[str, int] = {}

    def add(self, call: Call) -> None:
        """Write a call's details."""
        limit = _limit(self._size, OF_FAILURES if call.error else BUDGETS)
        line = self._line(call, limit) if limit else "null"
        self.dropped += not limit
        if self._count % BLOCK == 0:
            self._stream.write("]</script>\n" if self._count else "")
            self._stream.write('<script type="application/json" class="details">[\n')
        else:
            self._stream.write(",\n")
        self._stream.write(line)
        self._count += 1
        self._size += len(line)

    def close(self) -> None:
        """End the last block."""
        if self._count:
            self._stream.write("]</script>\n")

    def _line(self, call: Call, limit: int) -> str:
        line = dump(self._detail(call, None))
        return line if len(line) <= limit else dump(self._detail(call, limit))

    def _detail(self, call: Call, limit: int | None) -> dict[str, Any]:
        cut: dict[str, int] = {}

        def kept(name: str, value: Any) -> Any:
            text = "" if limit is None else _dump(value)
            if limit is None or len(text) <= limit:
                return value
            cut[name] = len(text)
            return text[:limit]

        envelope, request = call.envelope, call.request
        detail: dict[str, Any] = {
            key: kept(key, value)
            for key, value in envelope.items()
            if key not in _ELSEWHERE and value is not None and (key, value) != ("attempts", 1)
        }
        if request:
            shown = {"method": _short(request.get("method")), "url": _short(request.get("url"))}
            detail["request"] = {**shown, "headers": self._headers(request.get("headers"))}
            if request.get("body") is not None:
                detail["request"]["body"] = kept("request.body", request["body"])
        if envelope.get("data") is not None:
            detail["data"] = kept("data", envelope["data"])
        if call.error:
            error = {key: _short(value) for key, value in call.error.items() if key != "response"}
            detail["error"] = error
            if call.error.get("response") is not None:
                error["response"] = kept("error.response", call.error["response"])
        if cut and limit:
            detail["cut"] = cut
            self.cut, self.shortest = self.cut + 1, min(self.shortest, limit)
        return detail

    def _headers(self, headers: Any) -> int | None:
        """The number of these headers, which most calls have in common."""
        text = _dump(headers)
        if not isinstance(headers, dict) or len(text) > _LONGEST_TEXT:
            return None
        if text not in self.headers and len(self.headers) >= _MOST_HEADERS:
            return None
        return self.headers.setdefault(text, len(self.headers))


def _limit(size: int, budgets: tuple[tuple[int, int], ...]) -> int:
    return next((limit for budget, limit in budgets if size < budget), 0)


def _short(value: Any) -> Any:
    """A number or a text of bearable length; what should be one and is not, as its JSON."""
    if value is None or isinstance(value, (int, float)):
        return value
    text = value if isinstance(value, str) else _dump(value)
    if len(text) <= _LONGEST_TEXT:
        return text
    return f"{text[:_LONGEST_TEXT]}… ({len(text) - _LONGEST_TEXT:,} characters more)"


def _dump(value: Any) -> str:
    try:
        text = _encode(value)
        return _encode(_exact(value)) if _LONG_NUMBER.search(text) else text
    except ValueError:  # NaN, infinity
        return _encode(_exact(value))
    except RecursionError:
        return '"nested too deeply to be shown"'


def _exact(value: Any) -> Any:
    """The value, with numbers that JavaScript would change as text."""
    if isinstance(value, dict):
        return {key: _exact(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_exact(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= _MOST_EXACT:
        return str(value)
    return value
