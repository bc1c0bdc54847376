"""Answers as they arrive: whole or cut anywhere, in pieces of any size, and what is none."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.transport.incoming import Incoming

_OK = b"HTTP/1.1 200 OK\r\n"


class _Pieces:
    """What a server sends, in pieces; after them it hangs up."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def read(self, most: int, timeout: float) -> bytes:  # noqa: ARG002
        return next(self._pieces, b"")


def _incoming(*pieces: bytes) -> Incoming:
    extensions = {"timeout": {"read": 1.0}, "arrived": lambda: None}
    return Incoming(_Pieces(iter(pieces)), extensions)


def _read(*pieces: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes, bool]:
    """Status, headers, body, and whether the connection can be used again."""
    incoming = _incoming(*pieces)
    incoming.read_head()
    body = b"".join(incoming.body())
    return incoming.status, incoming.headers, body, not incoming.is_last


def _chunked(parts: list[bytes]) -> bytes:
    return (
        b"".join(b"%x;x=y\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\nT: x\r\n\r\n"
    )


@st.composite
def _answers(draw: st.DrawFn) -> tuple[bytes, bytes, bytes, bool]:
    """An answer, its header that says how long it is, its body, and whether another may follow."""
    parts = draw(st.lists(st.binary(min_size=1, max_size=9), max_size=4))
    body = b"".join(parts)
    how = draw(st.sampled_from(["length", "chunked", "until the end"]))
    header, written = {
        "length": (b"Content-Length: %d" % len(body), body),
        "chunked": (b"transfer-encoding: chunked", _chunked(parts)),
        "until the end": (b"X-Length: none", body),
    }[how]
    interim = draw(st.sampled_from([b"", b"HTTP/1.1 103 Hints\r\nLink: <a>\r\n\r\n"]))
    closes = draw(st.sampled_from([b"", b"Connection: close\r\n"]))
    head = interim + _OK + closes + header + b"\r\n\r\n"
    return head + written, header, body, how != "until the end" and not closes


@given(answer=_answers(), cuts=st.lists(st.integers(0, 200), max_size=6))
def test_an_answer_is_the_same_in_whichever_pieces(
    answer: tuple[bytes, bytes, bytes, bool], cuts: list[int]
) -> None:
    """Where the network cuts it makes no difference, nor what comes before or after."""
    whole, header, body, stays = answer
    edges = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    pieces = [whole[start:end] for start, end in pairwise(edges)]
    status, headers, read, reusable = _read(*pieces)
    assert (status, read, reusable) == (200, body, stays)
    assert b": ".join(headers[-1]) == header
    assert not {name for name, _ in headers} & {b"Link", b"T"}


@given(answer=_answers(), cut=st.integers(0, 200))
def test_an_answer_that_is_cut_is_never_whole(
    answer: tuple[bytes, bytes, bytes, bool], cut: int
) -> None:
    """One that says how long it is is not taken for whole before it is."""
    whole, header, _, _ = answer
    head = whole.index(header) + len(header) + 4
    if cut >= len(whole) or (header.startswith(b"X") and cut >= head):
        return
    with pytest.raises(httpx.RemoteProtocolError, match="disconnected|closed"):
        _read(whole[:cut])


@pytest.mark.parametrize(
    "more", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"?", b"\0"]
)
@pytest.mark.parametrize("apart", [True, False])
def test_more_than_an_answer_ends_its_connection(more: bytes, apart: bool) -> None:
    """What comes unasked is no part of the answer, and must not become the next one."""
    whole = _OK + b"Content-Length: 2\r\n\r\nhi"
    chunked = _OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
    for answer in (whole, chunked):
        pieces = (answer[:-1], answer[-1:] + more) if apart else (answer + more,)
        status, _, body, reusable = _read(*pieces)
        assert (status, body, reusable) == (200, b"hi", False)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", r"begins with 'SSH-2.0-OpenSSH_9.2\\r\\n'"),
        (b"<html>" + b"x" * 500, r"begins with '<html>x{34}'"),
        (b"HTTP/2 200\r\n\r\n", "begins with 'HTTP/2 200"),
        (b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", "it is HTTP 2.0"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "begins with 'RTSP"),
        (b"HTTP/1.1 104 X\r\nContent-Length: 3\r\n\r\nabc" + _OK, "a body after status 104"),
        (b"HTTP/1.1 104 X\r\nContent-Length: 99999\r\n\r\n" + b"x" * 99_999, "after status 104"),
        (b"HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n", "status is 99"),
        (b"HTTP/1.1 100 Go on\r\n\r\n?", "HTTP"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", "another protocol"),
        (b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx", "another protocol"),
        (_OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "Content-Length"),
        (_OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", "Content-Length"),
        (_OK + b"Content-Length: 9999999999999999999999\r\n\r\n", "Content-Length"),
        (_OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "gzip, chunked was not asked"),
        (_OK + b"Transfer-Encoding: gzip\r\n\r\nx", "gzip was not asked"),
        (_OK + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n", "was not asked"),
        (_OK + b"X: " + b"y" * 17_000 + b"\r\nContent-Length: 0\r\n\r\n", "bytes of headers"),
        (_OK + b"X: y\r\n" * 9_000 + b"Content-Length: 0\r\n\r\n", "bytes of headers"),
        (_OK + b"Content-Length : 1\r\n\r\nx", "header"),
        (_OK + b"X: a\0b\r\n\r\n", "header"),
        (_OK + b"X: " + b" " * 70_000 + b"\r\n\r\n", "bytes of headers"),
        (_OK + b"X: " + b"y" * 70_000 + b"\r\n\r\n", "bytes of headers"),
        (b"HTTP/1.1 103 Hints\r\n\r\n" * 4000, "bytes of headers"),
        (_OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "chunk size"),
        (_OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nT: " + b"y" * 70_000, "bytes of headers"),
        (_OK + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"y" * 70_000, "bytes of headers"),
    ],
)
def test_what_is_no_answer_is_told_as_it_came(answer: bytes, why: str) -> None:
    """Each breach ends the exchange, with a word on what it was."""
    pieces = [answer[at : at + 65_536] for at in range(0, len(answer), 65_536)]
    with pytest.raises(httpx.RemoteProtocolError, match=why):
        _read(*pieces)


def test_what_came_before_a_breach_is_given_first() -> None:
    """The beginning of a body that goes wrong is there to be looked at."""
    incoming = _incoming(_OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\nzz\r\n")
    incoming.read_head()
    body = incoming.body()
    assert next(body) == b"ab"
    with pytest.raises(httpx.RemoteProtocolError):
        next(body)


def test_chunks_in_any_number_of_pieces() -> None:
    """What stands between chunks is no header, however often it comes by itself."""
    piece = (b"400\r\n", b"y" * 1024, b"\r\n")
    start = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
    _, _, body, reusable = _read(start, *(piece * 6000), b"0\r\n\r\n")
    assert (len(body), reusable) == (6000 * 1024, True)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi",
        _OK + b"Content-Length: 2 \t\r\n\r\nhi",
        _OK + b"Transfer-Encoding: chunked \r\n\r\n2 \r\nhi\r\n0\r\n\r\n",
        b"\r\n" + _OK + b"Content-Length: 2\r\n\r\nhi",
    ],
)
def test_what_some_servers_write(answer: bytes) -> None:
    """Lines that end in less, blanks where they say nothing."""
    _, headers, body, reusable = _read(answer)
    assert (body, reusable) == (b"hi", True)
    assert headers[0][1] in {b"2", b"chunked"}


def test_an_offer_of_another_protocol_is_none() -> None:
    """Some servers offer one with each answer, which changes nothing."""
    offer = b"Upgrade: h2,h2c\r\nConnection: Upgrade, Keep-Alive\r\nContent-Length: 2\r\n\r\nhi"
    status, _, body, reusable = _read(_OK + offer)
    assert (status, body, reusable) == (200, b"hi", True)


@pytest.mark.parametrize("status", [204, 304])
def test_some_answers_have_no_body(status: int) -> None:
    """Whatever their headers say."""
    answer = b"HTTP/1.1 %d No\r\nContent-Length: 5\r\n\r\n" % status
    assert _read(answer)[2:] == (b"", True)
