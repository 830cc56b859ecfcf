"""What a client asks, as an application sees it. Imports no framework."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from guest.core.errors import BodyTooLong
from guest.core.request_body import IncomingBody
from subproxy.wire.fields import Headers, Info
from subproxy.wire.info import Tls
from subproxy.wire.info import tls as read_tls


class Request:
    """
    One request. All text is bytes, as the client sent it.

    The body comes as fast as it is taken: C{await request.read()} for the whole,
    C{async for piece in request} for a stream. A body that nobody reads costs nothing.

    @ivar method: C{b"GET"}.
    @ivar target: the request target in origin form, C{b"/a?b=c"}, or C{b"*"}.
    @ivar headers: pairs of name and value, in order, names in the client's case. Hop-by-hop
        fields are gone.
    @ivar client: the address of the client, C{b""} if unknown.
    @ivar scheme: C{b"http"} or C{b"https"}.
    @ivar version: the client's HTTP version, C{b"1.1"}.
    @ivar id: the request id, which the proxy's log has too.
    @ivar expects: the client sends its body when somebody has begun to read it (C{Expect:
        100-continue}).
    @ivar takes_trailers: the client has said that it takes trailers.
    @ivar tunnel: the protocol that the client changes to, if this guest takes it; else None. It
        does by a response with a status from 200 to 299 and a body that streams: its pieces go to
        the client as they are, and those of the request's body come from it.
    """

    __slots__ = ("_interim", "_tls", "body", "client", "expects", "headers", "id", "method",
                 "scheme", "takes_trailers", "target", "tunnel", "version")  # fmt: skip

    def __init__(
        self,
        method: bytes,
        target: bytes,
        headers: Headers,
        info: Info,
        body: IncomingBody,
        interim: Callable[[int, Headers], None],
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.client: bytes = _text(info, b"client", b"")
        self.scheme: bytes = _text(info, b"scheme", b"http")
        self.version: bytes = _text(info, b"version", b"1.1")
        self.id: bytes = _text(info, b"id", b"")
        self.expects = info.get(b"expect") is True
        self.takes_trailers = info.get(b"trailers") is True
        self._tls: Info | None = info.get(b"tls")
        self.tunnel: bytes | None = _text(info, b"tunnel", b"") or None
        self.body = body
        self._interim = interim

    def __repr__(self) -> str:
        return f"<Request {self.method.decode('latin-1')} {self.target.decode('latin-1')}>"

    @property
    def path(self) -> bytes:
        """The target without its query, not decoded."""
        return self.target.partition(b"?")[0]

    @property
    def query(self) -> bytes:
        """What follows the C{?} of the target, not decoded; C{b""} without one."""
        return self.target.partition(b"?")[2]

    @property
    def host(self) -> bytes:
        """The host that the client asked for, in lower case, without a port; C{b""} if none."""
        host = self.header(b"host", b"").lower()
        name, colon, port = host.rpartition(b":")
        return name if colon and (port.isdigit() or not port) else host

    def header(self, name: bytes, default: bytes = b"") -> bytes:
        """The value of the first field of that name, in any case; or C{default}."""
        name = name.lower()
        for each, value in self.headers:
            if each.lower() == name:
                return value
        return default

    @property
    def tls(self) -> Tls | None:
        """
        What the proxy tells of the client's TLS: C{version}, C{sni}, C{alpn}, and of the client's
        certificate C{verified}, C{sha256} and C{cert}, as far as was asked for when the route was
        registered. None if it tells nothing: nobody asked, or the client came without TLS.
        """
        return None if self._tls is None else read_tls({b"tls": self._tls})

    def connection_info(self) -> Info:
        """C{client}, C{scheme}, C{version} and C{tls} as the proxy has told them."""
        info: Info = {b"client": self.client, b"scheme": self.scheme, b"version": self.version}
        if self._tls is not None:
            info[b"tls"] = self._tls
        return info

    @property
    def trailers(self) -> Headers:
        """The trailer section; empty until the body has come to its end."""
        return self.body.trailers

    async def read(self, limit: int | None = None) -> bytes:
        """
        The whole body (what was not taken yet); the same again if called again.

        @param limit: in bytes. A body of which the client says that it is longer is not
            even asked for.
        @raise BodyTooLong: it is longer than C{limit}; if you let it pass, the client gets 413.
        @raise RequestAborted: the client has left, or so.
        """
        if limit is not None:
            length = self.header(b"content-length")
            if length.isdigit() and int(length) > limit:
                raise BodyTooLong(f"more than {limit} bytes")
        return await self.body.read(limit)

    def __aiter__(self) -> AsyncIterator[bytes]:
        """
        The body in pieces, as they come.

        @raise RequestAborted: the client has left, or so.
        """
        return self.body.__aiter__()

    def interim(self, status: int, headers: Headers) -> None:
        """
        Send an interim response before the final one: 103 (Early Hints, RFC 8297), 102.

        100 (Continue) is sent by itself as soon as somebody reads the body.

        @raise ValueError: the status is not an interim one, or the final response has begun.
        """
        self._interim(status, headers)


def _text(info: Info, key: bytes, default: bytes) -> bytes:
    value = info.get(key, default)
    return value if type(value) is bytes else default
