"""
A response head and the framing of its body, as bytes of HTTP/1.1.

Pure. The head has been checked (L{subproxy.core.http.response}); here it is decided how the
client learns where the body ends, and the fields that are the proxy's are added. What a
L{subproxy.frontend.client_stream} asks for is L{Http1Encoder}; the rest are its parts. See RFC
9112 sections 4 (status line), 6.3 (body length) and 7.1 (chunked).

Compiled a second time: L{subproxy.fastpath._response} and
L{subproxy.fastpath._answer_channel} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from subproxy.core.fast_enum import fast_enum
from subproxy.core.http.fields import BODILESS, PHRASES
from subproxy.core.http.response import ResponseHead
from subproxy.core.http.upgrade import WEBSOCKET, Upgrade, websocket_accept
from subproxy.frontend.http1.version import HTTP_1_1, Http1Version

Headers = list[tuple[bytes, bytes]]


_JOINED = 4096
"""Bytes of body that are joined to what stands before them: cheaper than two writes."""


@fast_enum
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


def choose_framing(head: ResponseHead, body: bytes | None, chunked: bool) -> Framing:
    """
    How the body of C{head} is to be framed.

    @param body: all of it, or None if it is streamed.
    @param chunked: the client knows chunks.
    """
    if head.bodiless:
        return Framing.NONE
    if body is not None or head.length is not None:
        return Framing.LENGTH
    return Framing.CHUNKED if chunked else Framing.CLOSE


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


class Http1Encoder:
    """
    One response as bytes of HTTP/1: see L{subproxy.frontend.interfaces.IResponseEncoder}.

    @param version: that of the client.
    """

    __slots__ = ("_framing", "_version", "has_body", "plain", "stays", "supports_interim")

    def __init__(self, version: Http1Version) -> None:
        self._version = version
        self._framing = Framing.NONE
        self.supports_interim = version.interim
        self.has_body = self.plain = self.stays = False

    def interim(self, status: int, headers: Headers) -> bytes:
        """An interim response."""
        return write_interim(status, headers) if headers or status != 100 else CONTINUE

    def start(
        self,
        head: ResponseHead,
        body: bytes | None,
        may_stay: bool,
        request_id: bytes,
        date: bytes,
    ) -> list[bytes]:
        """The head, and the body if it is here."""
        version = self._version
        framing = self._framing = choose_framing(head, body, version.chunked)
        self.has_body = has_body = framing is not Framing.NONE
        self.plain = framing is Framing.LENGTH
        stays = self.stays = may_stay and framing is not Framing.CLOSE
        connection = (None if version.persistent else b"keep-alive") if stays else b"close"
        data = write_head(head, framing, content_length(head, body), request_id, date, connection)
        if not body or not has_body:
            return [data]
        return [data + body] if len(body) <= _JOINED else [data, body]

    def change_protocol(
        self,
        head: ResponseHead,
        upgrade: Upgrade | None,
        protocol: bytes,
        request_id: bytes,
        date: bytes,
    ) -> tuple[int, bytes]:
        """101 (Switching Protocols): RFC 9110 section 15.2.2, RFC 6455 section 4.2.2."""
        fields = [(b"Upgrade", protocol), (b"Connection", b"Upgrade")]
        if protocol.lower() == WEBSOCKET and upgrade is not None:
            fields.append((b"Sec-WebSocket-Accept", websocket_accept(upgrade.key)))
        fields += (pair for pair in head.headers if pair[0].lower() != b"sec-websocket-accept")
        if request_id:
            fields.append((b"X-Request-Id", request_id))
        return 101, write_interim(101, fields)

    @property
    def changed(self) -> Http1Encoder:
        """What a tunnel needs, which may last: the same for all."""
        return _CHANGED

    def data(self, data: bytes) -> list[bytes]:
        """Some of a body."""
        if self._framing is not Framing.CHUNKED:
            return [data]
        size = len(data)
        if size <= _JOINED:
            return [b"%b%b\r\n" % (chunk_head(size), data)]
        return [chunk_head(size), data, b"\r\n"]

    def end(self, trailers: Headers) -> bytes:
        """The end of a body; empty where nothing is to be written."""
        return last_chunk(trailers) if self._framing is Framing.CHUNKED else b""


def _changed() -> Http1Encoder:
    encoder = Http1Encoder(HTTP_1_1)
    encoder._framing = Framing.CLOSE
    encoder.has_body = True
    return encoder


_CHANGED: Final = _changed()
