"""One answer as its bytes arrive; httptools knows what they mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from runner.transport.lean import httpx
from runner.transport.link import Source

_AT_ONCE = 64 * 1024  # bytes that are read at a time
_LONGEST_HEADERS = 16 * 1024  # and as much again for what is beside the body's parts
_HTTP = b"HTTP/"
_SWITCHING = 101
_SHOWN = 40  # bytes of what is not HTTP that are told
_TOO_LONG = f"more than {_LONGEST_HEADERS} bytes of headers"


class Incoming:
    """An answer on its way.

    `read_head` comes first and sets `status` and `headers`, then `body` gives the body.
    Both raise httpx's RemoteProtocolError for what is not HTTP or stops early, and the
    exceptions of the source as they are. `extensions` are those of a request of httpx's; `arrived`,
    among them, is called whenever something has.
    """

    def __init__(self, source: Source, extensions: Mapping[str, Any]) -> None:
        self._source = source
        self._timeout: float = extensions["timeout"]["read"]
        self._arrived: Callable[[], None] = extensions["arrived"]
        self._parser = HttpResponseParser(self)
        # Some servers write lines as they are used to; what a line means is not in question.
        self._parser.set_dangerous_leniencies(
            lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._parts: list[bytes] = []
        self._head = self._framed = self._whole = self._stays = False
        self._size = self._beside = 0
        self._refused = self._trouble = ""
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []

    @property
    def is_last(self) -> bool:
        """Whether no other answer can follow on this connection.

        That is where not all has come of this one, or more than that: the next one would take
        what is left for its own. Or where the server says so.
        """
        return not (self._whole and self._stays)

    def close(self) -> None:
        """Let go of the parser, which knows this object: Python is slow to see through that."""
        del self._parser

    def read_head(self) -> None:
        """Read to the end of the headers, past the interim answers that may come before."""
        while not (self._head or self._refused):
            self._read()
        if self._refused:
            raise httpx.RemoteProtocolError(self._refused)

    def body(self) -> Iterator[bytes]:
        """The body in the parts in which it comes."""
        while True:
            parts, self._parts = self._parts, []
            yield from parts
            if self._whole:
                return
            self._read()

    def _read(self) -> None:
        """Take in what comes next."""
        if self._trouble:
            raise httpx.RemoteProtocolError(self._trouble)
        data = self._source.read(_AT_ONCE, self._timeout)
        if not data:
            self._stop()
            return
        self._arrived()
        if not (self._beside or self.status):
            start = data.lstrip(b"\r\n")[: len(_HTTP)]
            if start != _HTTP[: len(start)]:
                self._refuse_as_no_http(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            pass  # the headers have said so already
        except HttpParserError as error:
            if not (self.status or self._parser.get_status_code()):
                self._refuse_as_no_http(data)
            if self._whole:  # and what comes after it is no HTTP
                self._stays = False
            else:  # once what came before is taken
                self._trouble = str(error)
        self._beside = 0 if self._parts else self._beside + len(data)
        if self._beside > _LONGEST_HEADERS and not (self._whole or self._trouble):
            self._trouble = _TOO_LONG

    def _refuse_as_no_http(self, data: bytes) -> NoReturn:
        shown = data[:_SHOWN].decode("latin-1")
        raise httpx.RemoteProtocolError(f"it begins with {shown!r}") from None

    def _stop(self) -> None:
        """Nothing more comes."""
        if not self._head:
            raise httpx.RemoteProtocolError("server disconnected without sending a response")
        if self._framed:
            raise httpx.RemoteProtocolError("peer closed connection before the body's end")
        self._whole = True

    # What httptools calls, in this order.

    def on_message_begin(self) -> None:
        """An answer begins: a second one nobody asked for."""
        if self._whole:
            self._stays = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer after the body, which nobody wants."""
        if self._head:
            return
        self._size += len(name) + len(value)
        if self._size > _LONGEST_HEADERS:
            self._refused = _TOO_LONG
            return
        value = value.rstrip(b" \t")
        self.headers.append((name, value))
        lower = name.lower()
        if lower == b"content-length":
            self._framed = True
        elif lower == b"transfer-encoding":
            if self._framed or value.lower() != b"chunked":
                self._refused = f"Transfer-Encoding: {value.decode('latin-1')} was not asked for"
            self._framed = True

    def on_headers_complete(self) -> None:
        """The headers are all there."""
        if not self._whole:
            self.status = self._parser.get_status_code()
            if self.status == _SWITCHING:
                self._refused = "the server wants to speak another protocol"
            elif self.status < 100:
                self._refused = f"its status is {self.status}"
            elif not self._parser.get_http_version().startswith("1."):
                self._refused = f"it is HTTP {self._parser.get_http_version()}"
            self._head = self.status >= 200 or bool(self._refused)

    def on_body(self, part: bytes) -> None:
        """A part of the body."""
        if not self._head:
            self._trouble = f"a body after status {self.status}"
        elif not self._whole:
            self._parts.append(part)

    def on_message_complete(self) -> None:
        """The answer is whole; after an interim one the answer is still to come."""
        if self._head:
            self._stays = not self._whole and self._parser.should_keep_alive()
            self._whole = True
        else:
            self.headers, self._framed = [], False
