"""An open connection: Python's own sockets, and what goes wrong with them in httpx's words."""

from __future__ import annotations

import select
import socket
import ssl
from typing import Protocol

from runner.transport.lean import httpx


class Source(Protocol):
    """Bytes from a server. The timeout is in seconds, for one wait."""

    def read(self, most: int, timeout: float) -> bytes:
        """What has come, at most so many bytes; nothing once the server has hung up.

        Raises httpx's ReadTimeout and ReadError.
        """
        ...


class Link(Source, Protocol):
    """Bytes to a server and back. Timeouts are in seconds, each for one wait."""

    def write(self, data: bytes, timeout: float) -> None:
        """Send all of it. Raises httpx's WriteTimeout and WriteError."""
        ...

    def has_unread(self) -> bool:
        """Whether something has come, be it that the server has hung up."""
        ...

    def close(self) -> None:
        """Hang up."""
        ...


class Socket:
    """A link over a socket, through TLS where it is asked for."""

    def __init__(
        self,
        host: str,
        port: int,
        timeout: float,
        context: ssl.SSLContext | None = None,
        name: str = "",
    ) -> None:
        """Connect; with a context speak TLS to the server of that name.

        Raises httpx's ConnectTimeout and ConnectError.
        """
        self._timeout: float | None = None
        try:
            self._socket = socket.create_connection((host, port), timeout)
            try:
                # What is small leaves at once and does not wait for more.
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if context is not None:
                    self._socket = context.wrap_socket(self._socket, server_hostname=name)
            except BaseException:
                self._socket.close()
                raise
        except TimeoutError as error:
            raise httpx.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpx.ConnectError(str(error)) from error
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def read(self, most: int, timeout: float) -> bytes:
        """As `Link` says."""
        try:
            self._wait_for(timeout)
            return self._socket.recv(most)
        except TimeoutError as error:
            raise httpx.ReadTimeout(str(error)) from error
        except OSError as error:
            raise httpx.ReadError(str(error)) from error

    def write(self, data: bytes, timeout: float) -> None:
        """As `Link` says."""
        try:
            self._wait_for(timeout)
            while data:
                data = data[self._socket.send(data) :]
        except TimeoutError as error:
            raise httpx.WriteTimeout(str(error)) from error
        except OSError as error:
            raise httpx.WriteError(str(error)) from error

    def has_unread(self) -> bool:
        """As `Link` says. What TLS has unpacked already is nothing that the system knows of."""
        unpacked = isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0
        return unpacked or bool(self._poll.poll(0))

    def close(self) -> None:
        """As `Link` says."""
        self._socket.close()

    def _wait_for(self, timeout: float) -> None:
        # The system is asked each time, though it is the same one from call to call.
        if timeout != self._timeout:
            self._socket.settimeout(timeout)
            self._timeout = timeout
