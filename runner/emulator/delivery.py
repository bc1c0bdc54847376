"""How an answer reaches the client, or fails to: what each kind of fault does to it."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

from runner.emulator.answers import JSON_TYPE, Reply
from runner.emulator.faults import Fault, FaultKind
from runner.emulator.pages import admin_page
from runner.emulator.wire import Wire, head_bytes

_BLOCK = 1 << 16


def replaced(fault: Fault, reply: Reply | None) -> Reply | None:
    """Return the answer as this fault changes it: None where there is none to give.

    `reply` is the real answer, None where the request was not carried out.
    """
    change = _CHANGES.get(fault.kind)
    return reply if change is None else change(fault, reply)


def _status(fault: Fault, reply: Reply | None) -> Reply:  # noqa: ARG001 - a change
    headers = tuple(fault.headers.items())
    return Reply(fault.status or 500, fault.body_bytes(), headers=headers)


def _cut_json(fault: Fault, reply: Reply | None) -> Reply | None:  # noqa: ARG001 - a change
    return reply and replace(reply, body=reply.body[: len(reply.body) // 2])


def _wrong_type(fault: Fault, reply: Reply | None) -> Reply | None:  # noqa: ARG001 - a change
    """Make an array of an object, and of anything else an object."""
    if reply is None:
        return None
    body = b"[" + reply.body + b"]" if reply.body.startswith(b"{") else b'{"0":"wrong type"}'
    return replace(reply, body=body)


def _redirect(fault: Fault, reply: Reply | None) -> Reply:  # noqa: ARG001 - a change
    headers = (("Location", fault.location), *fault.headers.items())
    return Reply(fault.status or 302, b"", headers=headers)


def _gzip_bomb(fault: Fault, reply: Reply | None) -> Reply:  # noqa: ARG001 - a change
    return Reply(200, _bomb(fault.size), headers=(("Content-Encoding", "gzip"),))


@lru_cache(maxsize=4)
def _bomb(size: int) -> bytes:
    """Return a gzip that unpacks to a JSON string of `size` bytes, never holding it unpacked."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return b"".join(packer.compress(block) for block in _long_string(size)) + packer.flush()


def _long_string(size: int) -> Iterator[bytes]:
    yield b'"'
    for start in range(0, size - 2, _BLOCK):
        yield b"a" * min(_BLOCK, size - 2 - start)
    yield b'"'


_Change = Callable[[Fault, Reply | None], Reply | None]
_CHANGES: Mapping[FaultKind, _Change] = {
    "status": _status,
    "cut_json": _cut_json,
    "html": lambda fault, reply: admin_page(),  # noqa: ARG005
    "empty": lambda fault, reply: Reply(200),  # noqa: ARG005
    "wrong_type": _wrong_type,
    "huge": lambda fault, reply: Reply(200, content_type=JSON_TYPE),  # noqa: ARG005
    "gzip_bomb": _gzip_bomb,
    "redirect": _redirect,
    "reset_before": lambda fault, reply: None,  # noqa: ARG005
    "reset_after": lambda fault, reply: None,  # noqa: ARG005
    "silent": lambda fault, reply: None,  # noqa: ARG005
}


def spoil(wire: Wire, fault: Fault, reply: Reply | None, stopping: threading.Event) -> bool:
    """Write the answer as only this fault does; False where it is to be written as usual.

    Afterwards the connection is of no more use.
    """
    if fault.kind in ("reset_before", "reset_after"):
        wire.reset()
    elif fault.kind == "silent":
        wire.wait_for_close()
    elif reply is not None and fault.kind in _WRITERS:
        _WRITERS[fault.kind](wire, fault, reply, stopping)
    else:
        return False
    return True


def _truncate(wire: Wire, fault: Fault, reply: Reply, stopping: threading.Event) -> None:  # noqa: ARG001
    half = reply.body[: len(reply.body) // 2]
    wire.send(head_bytes(reply, length=len(reply.body)) + half)


def _drip(wire: Wire, fault: Fault, reply: Reply, stopping: threading.Event) -> None:
    wire.send(head_bytes(reply, length=len(reply.body), keep_alive=False))
    for byte in reply.body:
        wire.send(bytes((byte,)))
        if stopping.wait(fault.seconds):
            return


def _huge(wire: Wire, fault: Fault, reply: Reply, stopping: threading.Event) -> None:
    wire.send(head_bytes(reply, length=fault.size, keep_alive=False))
    for block in _long_string(fault.size):
        wire.send(block)
        if stopping.is_set():
            return


def _no_length(wire: Wire, fault: Fault, reply: Reply, stopping: threading.Event) -> None:  # noqa: ARG001
    wire.send(head_bytes(reply, length=None, keep_alive=False) + reply.body)


_WRITERS: Mapping[FaultKind, Callable[[Wire, Fault, Reply, threading.Event], None]] = {
    "truncate": _truncate,
    "slow_drip": _drip,
    "huge": _huge,
    "no_length_close": _no_length,
}
