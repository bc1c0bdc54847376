"""Answers of reads that may be given again, until something is changed on their tracker."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from runner.model import Request, Verdict


class Place:
    """Where the answer to one request is kept, held by one thread at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.kept: Verdict | None = None


class Shelf:
    """The answers of a run; who asks for what another is asking for waits for that answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: dict[tuple[str, str], Place] = {}

    @contextmanager
    def place(self, url: str, request: Request) -> Iterator[Place]:
        """The place for a request's answer on the tracker at that address."""
        asked = json.dumps([request.method, request.url, request.body], sort_keys=True)
        with self._lock:
            place = self._places.setdefault((url, asked), Place())
        with place.lock:
            yield place

    def clear(self, url: str) -> None:
        """From here on no earlier answer of the tracker at that address is found."""
        if not self._places:
            return
        with self._lock:
            for known in [key for key in self._places if key[0] == url]:
                del self._places[known]
