"""Requests as they are written on the connection."""

from __future__ import annotations

import h11
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from runner.transport.direct import _lines

_HOST = (b"Host", b"t.example")
# Headers that h11 holds against one another, which the transport writes itself.
_JUDGED = {b"host", b"content-length", b"transfer-encoding"}
_BYTES = st.one_of(st.binary(max_size=6), st.text("aZ-_ \t:\r\n\0\x7f", max_size=6).map(str.encode))


@given(_BYTES, _BYTES)
@example(b"X-Note", b"a b\tc")
@example(b"X", b"a\r\nY: b")
@example(b"X: y", b"")
@example(b"", b"a")
@example(b"X", b" a")
def test_headers_are_written_as_h11_writes_them(name: bytes, value: bytes) -> None:
    """Another library's judgement of what can be written; control characters, too, are refused."""
    assume(name.lower() not in _JUDGED)
    headers = [_HOST, (name, value)]
    try:
        written = h11.Connection(h11.CLIENT).send(
            h11.Request(method="GET", target="/", headers=headers)
        )
    except h11.LocalProtocolError:
        written = None
    if written is None or any((byte < 32 and byte != 9) or byte == 127 for byte in value):
        with pytest.raises(ValueError, match="header"):
            _lines(headers)
    else:
        assert _lines(headers) == written.partition(b"\r\n")[2]
