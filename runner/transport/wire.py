"""Requests as they leave: the address, the headers, the body; the key is added here alone."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from runner import __version__
from runner.compact import encode_body
from runner.errors import RunnerError
from runner.model import Request
from runner.trackers import Tracker

Headers = list[tuple[bytes, bytes]]

_OWN = frozenset(
    {"api-key", "authorization", "host", "content-length", "transfer-encoding", "connection",
     "upgrade", "expect", "te"}
)  # fmt: skip
_PLAIN = re.compile(r"[!-~]+", re.ASCII)
_LONGEST = 65_536  # characters, as in httpx; servers take far fewer
_BODILESS = frozenset({"GET", "HEAD", "DELETE"})


class Outgoing(NamedTuple):
    """A request as it leaves, whoever sends it: `target` is the path with the query."""

    method: str
    target: bytes
    headers: Headers
    content: bytes


class Wire:
    """Writes requests down for one tracker; what they have in common is made once."""

    def __init__(self, tracker: Tracker) -> None:
        parts = urlsplit(tracker.url)
        self._base = tracker.url + "/"
        self._path = parts.path
        agent = tracker.user_agent or f"keitaro-runner/{__version__}"
        self._headers: Headers = [
            (b"Host", parts.netloc.encode()),
            (b"Api-Key", tracker.key.encode()),
            (b"User-Agent", agent.encode()),
            (b"Accept", b"application/json"),
            (b"Accept-Encoding", b"gzip"),
        ]

    def outgoing(self, request: Request) -> Outgoing:
        """The request as it leaves.

        `ValueError` and `TypeError` mean that it cannot be written down; `RunnerError` that it
        would take the key somewhere else, which is a bug.
        """
        if not request.url.startswith(self._base):
            raise RunnerError(
                "a request was about to leave for another address than its tracker's",
                "nothing was sent; please report this as a bug",
            )
        content = b"" if request.body is None else encode_body(request.body)
        path = _target(self._path + request.url[len(self._base) - 1 :])
        return Outgoing(request.method, path, self._all_headers(request, content), content)

    def _all_headers(self, request: Request, content: bytes) -> Headers:
        headers = self._headers
        if request.headers:
            headers = _merged(headers, request)
        if content:
            headers = [*headers, (b"Content-Type", b"application/json")]
        elif request.method in _BODILESS:
            return headers
        return [*headers, (b"Content-Length", b"%d" % len(content))]


def _target(text: str) -> bytes:
    """Path and query as they leave. Raises ValueError where that is no address."""
    if len(text) > _LONGEST:
        raise ValueError("the address is too long")
    if not _PLAIN.fullmatch(text):
        raise ValueError(f"an address cannot hold what is in {text!r}")
    return text.encode()


def _merged(headers: Headers, request: Request) -> Headers:
    own = {name.lower(): value for name, value in request.headers.items()}
    if refused := sorted({name.partition(":")[0].strip() for name in own} & _OWN):
        raise RunnerError(
            f"the header {refused[0]} cannot be set by a request",
            "the transport sets it, so that nothing else holds the key",
        )
    kept = [pair for pair in headers if pair[0].decode().lower() not in own]
    return kept + [(name.encode("ascii"), value.encode("ascii")) for name, value in own.items()]
