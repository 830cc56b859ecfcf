"""
A PROXY header out of any bytes: what L{tests.fuzz.mutate} and the corpus test run.

The first byte chooses where the rest is cut in two, which must change nothing. No more is held than
the longest header, nothing but L{ProxyHeaderError} is raised, and what is told is an address.
"""

from __future__ import annotations

from ipaddress import ip_address

from subproxy.core.http.forwarded import UNIX
from subproxy.frontend.proxy_protocol.header import (
    LONGEST,
    ProxyHeader,
    ProxyHeaderError,
    ProxyHeaderParser,
)


def _parse(*pieces: bytes) -> tuple[object, bytes]:
    parser = ProxyHeaderParser()
    header: ProxyHeader | None = None
    rest = b""
    for piece in pieces:
        if header is not None:
            rest += piece
            continue
        try:
            header = parser.feed(piece)
        except ProxyHeaderError as error:
            return str(error), b""
        rest = parser.rest
    return header, rest


def run(data: bytes) -> None:
    """
    Try one input.

    @raise AssertionError: a rule is broken.
    """
    cut, data = data[:1], data[1:]
    at = cut[0] * (len(data) + 1) // 256 if cut else 0
    header, rest = whole = _parse(data)
    assert _parse(data[:at], data[at:]) == whole, "a split changes it"
    if header is None:
        assert len(data) < LONGEST, "too much is held"
    elif isinstance(header, ProxyHeader):
        assert data.endswith(rest)
        assert len(data) - len(rest) <= LONGEST
        if header.address not in (None, UNIX):
            text = header.address.decode("ascii")
            assert str(ip_address(text)) == text
