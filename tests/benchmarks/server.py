"""The tracker of the benchmarks: answers at once, and keeps book of what it was really asked.

A process of its own, with a thread to each connection that blocks in `recv`: two system calls a
request, which is less than an event loop takes. It says its port on stdout; after that each line
on stdin asks for the book, which is given as JSON and begun anew.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import sys
import threading
import time
from collections import Counter
from typing import Any

_FIELDS = (
    b'"name":"Launch DE","alias":"launch","state":"active","type":"position","notes":"%s",'
    b'"created_at":"2026-01-01 00:00:00"}' % (b"n" * 200)
)
# As much as trackers answer, with the token that each campaign has.
_PARAMETERS = ",".join(
    f'"sub_id_{n}":{{"name":"s{n}","placeholder":"{{sub{n}}}","alias":""}}' for n in range(1, 11)
)
_FULL = (
    b'"token":"%s","cost_type":"CPC","cost_value":"0.5","cost_currency":"USD","cost_auto":false,'
    b'"group_id":"3","bind_visitors":"s","traffic_source_id":4,"cookies_ttl":24,"domain_id":2,'
    b'"uniqueness_method":"ip_ua","position":1,"postbacks":[],"parameters":{%s},'
    % (b"t" * 32, _PARAMETERS.encode())
)
_LISTED = 100
_LIST = b"[%s]" % b",".join(b'{"id":%d,%s%s' % (n, _FULL, _FIELDS) for n in range(_LISTED))
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
PATH = b"/admin_api/v1/campaigns"
KEY = "k" * 32
_KEYED = re.compile(rb"\napi-key: ?" + KEY.encode() + rb"(?:\r|\Z)", re.IGNORECASE)


class _Book:
    """What was asked since the last look, by method and by id."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.next_id = 1
        self.clear()

    def clear(self) -> None:
        self.asked: Counter[str] = Counter()
        self.made: list[int] = []
        self.ids: dict[str, list[int]] = {"GET": [], "PUT": []}
        self.connections = 0
        self.first = self.last = 0.0

    def close(self) -> dict[str, Any]:
        made = set(self.made)
        page = {
            "asked": dict(self.asked),
            "connections": self.connections,
            "captured": {method: set(ids) == made for method, ids in self.ids.items()},
            "seconds": self.last - self.first,
        }
        self.clear()
        return page


def _answer(book: _Book, head: bytes, body: bytes) -> bytes:
    method, target, _ = head[: head.index(b"\r\n")].split(b" ", 2)
    path, _, entity = target.partition(PATH)
    if path or (entity and not entity[1:].isdigit()):
        book.asked["astray"] += 1
        return _NOT_FOUND
    if not _KEYED.search(head):
        book.asked["without the key"] += 1
        return _NOT_FOUND
    if method == b"GET" and not path and not entity:
        book.asked["list"] += 1
        return _HEAD % len(_LIST) + _LIST
    if method == b"POST":
        kind = "POST" if body[:1] == b"{" and b'"alias"' in body else "POST without its body"
        with book.lock:
            number, book.next_id = book.next_id, book.next_id + 1
        book.made.append(number)
    else:
        kind, number = method.decode(), int(entity[1:])
        book.ids.setdefault(kind, []).append(number)
        if method == b"PUT" and not (body[:1] == b"{" and b'"notes"' in body):
            kind = "PUT without its body"
    book.asked[kind] += 1
    full = _FULL if method == b"POST" and b'"cookies_ttl"' in body else b""
    data = b'{"id":%d,%s%s' % (number, full, _FIELDS)
    return _HEAD % len(data) + data


def _whole(data: bytes) -> tuple[bytes, bytes, bytes] | None:
    """The head, the body and what comes after them, once all of a request is there."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head, rest = data[:end], data[end + 4 :]
    lower = head.lower()
    at = lower.find(b"\r\ncontent-length:")
    if at >= 0:
        size = int(lower[at + 17 :].split(b"\r\n", 1)[0])
        return None if len(rest) < size else (head, rest[:size], rest[size:])
    if b"\r\ntransfer-encoding: chunked" not in lower:
        return head, b"", rest
    body, left = b"", rest
    while b"\r\n" in left:
        line, left = left.split(b"\r\n", 1)
        size = int(line, 16)
        if len(left) < size + 2:
            return None
        if not size:
            return head, body, left[2:]
        body, left = body + left[:size], left[size + 2 :]
    return None


def _talk(connection: socket.socket, book: _Book, delay: float) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    data = b""
    with connection:
        while True:
            found = _whole(data)
            if found is None:
                try:
                    more = connection.recv(65536)
                except OSError:
                    return
                if not more:
                    return
                data += more
                continue
            head, body, data = found
            book.first = book.first or time.perf_counter()
            reply = _answer(book, head, body)
            closes = b"\nconnection: close" in head.lower()
            if closes:
                reply = reply.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
            if delay:
                time.sleep(delay)
            try:
                connection.sendall(reply)
            except OSError:
                return
            book.last = time.perf_counter()
            if closes:
                return


def _accept(listener: socket.socket, book: _Book, delay: float) -> None:
    while True:
        connection, _ = listener.accept()
        book.connections += 1
        threading.Thread(target=_talk, args=(connection, book, delay), daemon=True).start()


def main() -> None:
    """Serve until stdin ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    delay = parser.parse_args().delay
    book = _Book()
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    threading.Thread(target=_accept, args=(listener, book, delay), daemon=True).start()
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        sys.stdout.write(json.dumps(book.close()) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
