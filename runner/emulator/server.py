"""The emulator as a server: a listening socket, a thread a connection, and the handle on both."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from runner.emulator import delivery
from runner.emulator.access import Rights
from runner.emulator.answers import ErrorAnswer
from runner.emulator.faults import Fault, FaultBook, Strike
from runner.emulator.seed import load_seed
from runner.emulator.service import Received, Service
from runner.emulator.state import Clock, State
from runner.emulator.wire import ProtocolError, Request, Wire, reply_bytes

DEFAULT_KEY = "k" * 32


class Emulator:
    """A stand-in Keitaro tracker on real HTTP, to try out, rehearse and test against.

    `key` is the administrator's API key.  `dialect` is 9 (the official specification of 2022;
    validation answers 406) or 10 (newer; 422, and unknown fields of domains are refused).  `seed`
    is a JSON file, or its content: see `runner.emulator.seed`; None for an empty tracker with one
    administrator.  `port` 0 takes a free one and keeps it over a restart.  Nothing but loopback is
    bound unless `host` says so.  `clock` returns an aware datetime; it dates entities and moves
    intervals.  `history` is how many requests are remembered.

    Used as a context manager, or with `start` and `stop`.  Raises ValueError for a bad seed or
    dialect, OSError where the port cannot be had.
    """

    def __init__(
        self,
        key: str = DEFAULT_KEY,
        dialect: int = 10,
        seed: Path | str | Mapping[str, Any] | None = None,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        clock: Clock | None = None,
        history: int = 100_000,
    ) -> None:
        if dialect not in (9, 10):
            raise ValueError(f"the emulator speaks dialect 9 or 10, not {dialect}")
        self.key = key
        self.state = State(dialect=dialect, clock=clock)
        self._faults = FaultBook()
        self._service = Service(self.state, self._faults, key, history)
        self._service.keys |= load_seed(self.state, seed)
        self._host, self._port = host, port
        self._listener: socket.socket | None = None
        self._stopping = threading.Event()
        self._open: dict[threading.Thread, socket.socket] = {}
        self._open_lock = threading.Lock()
        self._accepting: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The tracker's address, `http://127.0.0.1:PORT`; the API is below /admin_api/v1."""
        if not self._port:
            raise RuntimeError("the emulator has no address before it is started")
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)
        return f"http://[{host}]:{self._port}" if ":" in host else f"http://{host}:{self._port}"

    @property
    def requests(self) -> list[Received]:
        """What arrived so far, a snapshot in the order of effects."""
        return self._service.received()

    @property
    def api_available(self) -> bool:
        """Whether the edition has the Admin API; without it every operation answers 402."""
        return self._service.api_available

    @api_available.setter
    def api_available(self, available: bool) -> None:
        self._service.api_available = available

    def grant(self, key: str, rights: Rights) -> None:
        """Let another key in, with these rights."""
        with self.state.lock:
            self._service.keys[key] = rights

    def fault(self, fault: Fault) -> None:
        """Switch a fault on."""
        self._faults.add(fault)

    def clear_faults(self) -> None:
        """Switch all faults off; an answer already being spoiled stays so."""
        self._faults.clear()

    def start(self) -> Self:
        """Listen, and return at once; raises OSError where the port is taken."""
        if self._listener is not None:
            raise RuntimeError("the emulator is running")
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.create_server((self._host, self._port), family=family, backlog=256)
        # Where shutting a listener down does not wake accept, this does.
        listener.settimeout(0.2)
        self._port = listener.getsockname()[1]
        self._listener = listener
        self._stopping = threading.Event()
        self._accepting = threading.Thread(
            target=self._accept, args=(listener, self._stopping), name="emulator", daemon=True
        )
        self._accepting.start()
        return self

    def stop(self) -> None:
        """Close every connection and wait for the threads; harmless when not running."""
        listener, accepting = self._listener, self._accepting
        if listener is None or accepting is None:
            return
        self._stopping.set()
        _shut(listener)
        accepting.join()
        listener.close()
        with self._open_lock:
            open_now = dict(self._open)
        for sock in open_now.values():
            _shut(sock)
        for thread in open_now:
            thread.join()
        self._listener = self._accepting = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _accept(self, listener: socket.socket, stopping: threading.Event) -> None:
        while not stopping.is_set():
            try:
                sock, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                # The listener was shut down.
                return
            thread = threading.Thread(target=self._serve, args=(sock, stopping), daemon=True)
            with self._open_lock:
                self._open[thread] = sock
            thread.start()

    def _serve(self, sock: socket.socket, stopping: threading.Event) -> None:
        try:
            with sock:
                _converse(Wire(sock), self._service, stopping)
        except OSError:
            # The client went away, or the emulator is stopping: nobody is left to be told.
            return
        finally:
            with self._open_lock:
                del self._open[threading.current_thread()]


def _shut(sock: socket.socket) -> None:
    """Wake whoever waits on a socket; one that is closed already has nobody waiting."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def _converse(wire: Wire, service: Service, stopping: threading.Event) -> None:
    """Answer one request after the other until either side has had enough."""
    going = True
    while going and not stopping.is_set():
        try:
            request = wire.read()
        except ProtocolError as problem:
            refusal = ErrorAnswer(400, f"Not HTTP: {problem}").reply(10)
            wire.send(reply_bytes(refusal, keep_alive=False))
            return
        going = request is not None and _respond(wire, service, request, stopping)


def _respond(wire: Wire, service: Service, request: Request, stopping: threading.Event) -> bool:
    """Answer one request; tell whether the connection stays open."""
    reply, strike = service.handle(request)
    if strike.delay and stopping.wait(strike.delay):
        return False
    if _spoiled(wire, strike, reply, stopping) or reply is None:
        return False
    to_head = request.method == "HEAD"
    wire.send(reply_bytes(reply, to_head=to_head, keep_alive=request.keep_alive))
    return request.keep_alive


def _spoiled(wire: Wire, strike: Strike, reply: Any, stopping: threading.Event) -> bool:
    return strike.fault is not None and delivery.spoil(wire, strike.fault, reply, stopping)
