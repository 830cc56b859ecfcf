"""
A response head and the framing of its body, as bytes of HTTP/1.1.

Pure. The head has been checked (L{subproxy.core.http.response}); here it is decided how the
client learns where the body ends, and the fields that are the proxy's are added. See RFC
9112 sections 4 (status line), 6.3 (body length) and 7.1 (chunked).

Compiled a second time: L{subproxy.fastpath._response} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from subproxy.core.http.fields import BODILESS, PHRASES
from subproxy.core.http.response import ResponseHead

Headers = list[tuple[bytes, bytes]]


class Framing(Enum):
    """How a client learns where a body ends."""

    NONE = auto()
    """There is no body."""
    LENGTH = auto()
    """By Content-Length."""
    CHUNKED = auto()
    """By its last chunk."""
    CLOSE = auto()
    """By the end of the connection: all that HTTP/1.0 has where the length is unknown."""


CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_STATUS_LINES = {
    status: b"HTTP/1.1 %d %b\r\n" % (status, PHRASES.get(status, b"")) for status in range(100, 600)
}


def choose_framing(head: ResponseHead, body: bytes | None, version: bytes) -> Framing:
    """
    How the body of C{head} is to be framed.

    @param body: all of it, or None if it is streamed.
    @param version: the HTTP version of the request.
    """
    if head.bodiless:
        return Framing.NONE
    if body is not None or head.length is not None:
        return Framing.LENGTH
    return Framing.CLOSE if version == b"1.0" else Framing.CHUNKED


def write_head(
    head: ResponseHead,
    framing: Framing,
    length: int | None,
    request_id: bytes,
    date: bytes,
    connection: bytes | None,
) -> bytes:
    """
    A response head.

    @param length: what Content-Length says, or None for none.
    @param request_id: for C{X-Request-Id}; empty for none.
    @param date: added if the guest sent no C{Date}.
    @param connection: C{b"close"}, C{b"keep-alive"} or None for no such field.
    """
    if head.reason:
        lines = [b"HTTP/1.1 %d %b\r\n" % (head.status, head.reason)]
    else:
        lines = [_STATUS_LINES[head.status]]
    dated = False
    for name, value in head.headers:
        lines.append(b"%b: %b\r\n" % (name, value))
        if len(name) == 4 and name.lower() == b"date":
            dated = True
    if not dated:
        lines.append(b"Date: %b\r\n" % date)
    if framing is Framing.CHUNKED:
        lines.append(b"Transfer-Encoding: chunked\r\n")
    elif length is not None:
        lines.append(b"Content-Length: %d\r\n" % length)
    if request_id:
        lines.append(b"X-Request-Id: %b\r\n" % request_id)
    if connection is not None:
        lines.append(b"Connection: %b\r\n" % connection)
    lines.append(b"\r\n")
    return b"".join(lines)


def content_length(head: ResponseHead, body: bytes | None) -> int | None:
    """What Content-Length says for C{head}; None where there must be none, or is none to tell."""
    if head.bodiless:
        # HEAD tells what GET would have had. 204 must not, 304 need not, and 205 has none to tell.
        if head.status == 205:
            return 0
        return None if head.status in BODILESS else head.length
    return len(body) if body is not None else head.length


def write_interim(status: int, headers: Headers) -> bytes:
    """An interim response."""
    lines = [_STATUS_LINES[status]]
    lines += [b"%b: %b\r\n" % pair for pair in headers]
    lines.append(b"\r\n")
    return b"".join(lines)


def chunk_head(size: int) -> bytes:
    """What stands before C{size} bytes of chunk; CR LF stands behind them."""
    return b"%x\r\n" % size


def last_chunk(trailers: Headers) -> bytes:
    """The end of a chunked body."""
    if not trailers:
        return b"0\r\n\r\n"
    lines = [b"0\r\n"]
    lines += [b"%b: %b\r\n" % pair for pair in trailers]
    lines.append(b"\r\n")
    return b"".join(lines)
