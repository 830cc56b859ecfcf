"""
A response in the words of HTTP/2: RFC 9113 section 8.3.2.

Pure. What it returns is what a L{subproxy.frontend.client_stream} writes: blocks of fields, told
from data by their type, because windows hold data back alone. Frames are made when they are
sent (L{subproxy.frontend.http2.sender}).

Compiled a second time: L{subproxy.fastpath._http2_response} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from typing import Protocol

from subproxy.core.http.request import Headers
from subproxy.core.http.response import ResponseHead
from subproxy.core.http.upgrade import Upgrade
from subproxy.frontend.http1.response_writer import content_length
from subproxy.frontend.http2.field_table import OVERHEAD
from subproxy.frontend.http2.hpack import encode_fields


class HeaderBlock(bytes):
    """Fields of a head, encoded."""

    __slots__ = ()


class TrailerBlock(HeaderBlock):
    """Fields that end a stream, encoded."""

    __slots__ = ()


def lowered(headers: Headers) -> Headers:
    """C{headers} with names as HTTP/2 has them."""
    return [(name.lower(), value) for name, value in headers]


def list_size(headers: Headers) -> int:
    """What C{headers} count against the largest list that a client takes."""
    return sum(len(name) + len(value) + OVERHEAD for name, value in headers)


class IRequestHalf(Protocol):
    """Of a stream, what the client sends."""

    @property
    def client_sends(self) -> bool:
        """The client may still send."""


class Http2Encoder:
    """
    One response: see L{subproxy.frontend.interfaces.IResponseEncoder}.

    If the request is not whole when the head is written, no length is told: a curl that has as
    much as it says reads no window any more, and never ends its upload.

    @param half: knows whether it is whole; None: it is.
    """

    __slots__ = ("_half", "has_body")

    supports_interim = True
    stays = True
    plain = False

    def __init__(self, half: IRequestHalf | None = None) -> None:
        self.has_body = False
        self._half = half

    def interim(self, status: int, headers: Headers) -> HeaderBlock:
        """An interim response."""
        return HeaderBlock(encode_fields([(b":status", b"%d" % status), *lowered(headers)]))

    def start(
        self,
        head: ResponseHead,
        body: bytes | None,
        may_stay: bool,
        request_id: bytes,
        date: bytes,
    ) -> list[bytes]:
        """The head, and the body if it is here."""
        self.has_body = not head.bodiless
        fields = [(b":status", b"%d" % head.status), *lowered(head.headers)]
        if not any(name == b"date" for name, _ in fields):
            fields.append((b"date", date))
        length = content_length(head, body)
        early = self.has_body and self._half is not None and self._half.client_sends
        if length is not None and not early:
            fields.append((b"content-length", b"%d" % length))
        if request_id:
            fields.append((b"x-request-id", request_id))
        block = HeaderBlock(encode_fields(fields))
        return [block, body] if body and self.has_body else [block]

    def change_protocol(
        self,
        head: ResponseHead,
        upgrade: Upgrade | None,
        protocol: bytes,
        request_id: bytes,
        date: bytes,
    ) -> tuple[int, bytes]:
        """200, which accepts an extended CONNECT: RFC 8441 section 5."""
        self.has_body = True
        fields = [(b":status", b"200")]
        fields += (pair for pair in lowered(head.headers) if pair[0] != b"sec-websocket-accept")
        if not any(name == b"date" for name, _ in fields):
            fields.append((b"date", date))
        if request_id:
            fields.append((b"x-request-id", request_id))
        return 200, HeaderBlock(encode_fields(fields))

    @property
    def changed(self) -> Http2Encoder:
        """The same: it knows its stream."""
        return self

    def data(self, data: bytes) -> list[bytes]:
        """Some of a body."""
        return [data]

    def end(self, trailers: Headers) -> bytes:
        """The trailers; empty where there are none."""
        return TrailerBlock(encode_fields(lowered(trailers))) if trailers else b""
