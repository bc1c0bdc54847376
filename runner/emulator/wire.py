"""HTTP on one socket: requests read with h11, answers written as exact bytes."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType

import h11

from runner.emulator.answers import Reply

_RESET = struct.pack("ii", 1, 0)
_CHUNK = 65536
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Request:
    """What arrived: `target` is the path with its query; header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    keep_alive: bool


class ProtocolError(Exception):
    """What arrived is not HTTP."""


class Wire:
    """One connection.

    h11 only parses: a fresh parser for every request, fed with what the last one left over.  The
    answers are written by hand, so that a fault decides about every byte.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._left = b""

    def read(self) -> Request | None:
        """Return the next request, None where the client has closed; raises ProtocolError."""
        parser = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        if self._left:
            parser.receive_data(self._left)
        head, parts = None, []
        try:
            while True:
                event = parser.next_event()
                if event is h11.NEED_DATA:
                    self._feed(parser)
                elif isinstance(event, h11.Request):
                    head = event
                elif isinstance(event, h11.Data):
                    parts.append(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage) and head is not None:
                    self._left = bytes(parser.trailing_data[0])
                    return _request(head, b"".join(parts))
                else:
                    return None
        except h11.RemoteProtocolError as problem:
            raise ProtocolError(str(problem)) from problem

    def _feed(self, parser: h11.Connection) -> None:
        if parser.they_are_waiting_for_100_continue:
            self.send(parser.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
        parser.receive_data(self._sock.recv(_CHUNK))

    def send(self, data: bytes) -> None:
        """Write bytes as they are."""
        self._sock.sendall(data)

    def reset(self) -> None:
        """Close so that the client sees the connection reset."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._sock.close()

    def wait_for_close(self) -> None:
        """Return when the client closes or the socket is shut down, ignoring what it sends."""
        while self._sock.recv(_CHUNK):
            continue


def _request(head: h11.Request, body: bytes) -> Request:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
    closing = "close" in headers.get("connection", "").lower()
    return Request(
        head.method.decode("latin-1"),
        head.target.decode("latin-1"),
        MappingProxyType(headers),
        body,
        keep_alive=head.http_version == b"1.1" and not closing,
    )


def head_bytes(reply: Reply, *, length: int | None, keep_alive: bool = True) -> bytes:
    """Return status line and headers, announcing `length` bytes, or none for None."""
    lines = [f"HTTP/1.1 {reply.status} {_PHRASES.get(reply.status, 'Unknown')}"]
    given = {name.lower() for name, _ in reply.headers}
    if "server" not in given:
        lines.append("Server: keitaro-emulator")
    if "content-type" not in given:
        lines.append(f"Content-Type: {reply.content_type}")
    if length is not None:
        lines.append(f"Content-Length: {length}")
    if not keep_alive:
        lines.append("Connection: close")
    lines += [f"{name}: {value}" for name, value in reply.headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def reply_bytes(reply: Reply, *, to_head: bool = False, keep_alive: bool = True) -> bytes:
    """Return a whole answer; to HEAD, without its body."""
    if reply.status in (204, 304):
        return head_bytes(reply, length=None, keep_alive=keep_alive)
    head = head_bytes(reply, length=len(reply.body), keep_alive=keep_alive)
    return head if to_head else head + reply.body
