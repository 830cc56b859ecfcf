"""Two connections of the wire, joined back to back: every wire test drives both roles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from subproxy.wire import messages as m
from subproxy.wire.connection import WireConnection, WireEvent, limits_info
from subproxy.wire.fields import Headers, Info
from subproxy.wire.frames import FrameDecoder, encode
from subproxy.wire.limits import Limits
from subproxy.wire.states import Role

HELLO: Info = {b"version": 1, b"application": b"blog", b"instance": b"6f1d03aa"}
WELCOME: Info = {b"version": 1, b"identity": b"cid:10"}


def pieces_of(data: bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    """C{data} cut into pieces of these sizes, the last one repeated until all is gone."""
    start, size = 0, len(data) or 1
    following = iter(sizes)
    while start < len(data):
        size = next(following, size)
        yield data[start : start + size]
        start += size


def frames_of(data: bytes) -> list[list[object]]:
    """The frames of C{data}, decoded."""
    decoder = FrameDecoder(9_999_999)
    decoder.feed(data)
    frames = []
    while (frame := decoder.next()) is not None:
        frames.append(frame)
    assert not decoder.pending, "half a frame"
    return frames


def request(number: int, body: bytes | Info | None = b"", **info: object) -> m.Request:
    """A request as a proxy sends it."""
    known = {key.encode(): value for key, value in info.items()}
    return m.Request(number, b"POST", b"/", [(b"Host", b"blog.example")], known, body)


def response(
    number: int, body: bytes | Info | None = b"", status: int = 200, headers: Headers | None = None
) -> m.Response:
    """A response as a guest sends it."""
    return m.Response(number, status, headers or [], {}, body)


class ConnectionPair:
    """
    A guest and a proxy.

    @ivar guest: the one end.
    @ivar proxy: the other.
    @ivar events: what has happened at each of them since it was last taken.
    """

    def __init__(
        self,
        guest: Limits | None = None,
        proxy: Limits | None = None,
        *,
        greet: bool = True,
        bulk: bool = False,
        tunnel: bool = False,
    ) -> None:
        self.guest = WireConnection(Role.GUEST, guest)
        self.proxy = WireConnection(Role.PROXY, proxy)
        self.events: dict[Role, list[WireEvent]] = {Role.GUEST: [], Role.PROXY: []}
        if greet:
            asks: Info = {b"tunnel": [b"websocket", b"tls"]} if tunnel else {}
            self.guest.send(m.Hello({**HELLO, **limits_info(self.guest.limits), **asks}))
            self.settle()
            offer: Info = {b"bulk": 0} if bulk else {}
            if tunnel:
                offer[b"tunnel"] = 1000
            self.proxy.send(m.Welcome({**WELCOME, **limits_info(self.proxy.limits), **offer}))
            self.settle()
            self.take(Role.GUEST)
            self.take(Role.PROXY)

    def end(self, role: Role) -> WireConnection:
        """The connection of that role."""
        return self.guest if role is Role.GUEST else self.proxy

    def feed(self, role: Role, data: bytes, sizes: Iterable[int] = ()) -> list[WireEvent]:
        """Let C{role} read C{data}, in pieces of those sizes; what happened there."""
        end, happened = self.end(role), self.events[role]
        for piece in pieces_of(data, sizes):
            end.feed(piece)
            while (event := end.next_event()) is not None:
                happened.append(event)
        return happened

    def deliver(self, role: Role, sizes: Iterable[int] = ()) -> int:
        """Let C{role} read what its peer has to send; how many bytes that were."""
        data = self.end(role.peer).data_to_send()
        self.feed(role, data, sizes)
        return len(data)

    def settle(self) -> None:
        """Let both read until neither has anything to say."""
        while self.deliver(Role.PROXY) or self.deliver(Role.GUEST):
            pass

    def take(self, role: Role) -> list[WireEvent]:
        """What has happened at C{role} since the last call."""
        happened, self.events[role] = self.events[role], []
        return happened

    def said(self, role: Role) -> list[list[object]]:
        """The frames that C{role} has to send; they do not reach its peer."""
        return frames_of(self.end(role).data_to_send())

    def to_guest(self, *frames: list[object]) -> list[WireEvent]:
        """Let the guest read these frames, right or wrong; what happened there."""
        self.feed(Role.GUEST, b"".join(map(encode, frames)))
        return self.take(Role.GUEST)

    def to_proxy(self, *frames: list[object]) -> list[WireEvent]:
        """Let the proxy read these frames, right or wrong; what happened there."""
        self.feed(Role.PROXY, b"".join(map(encode, frames)))
        return self.take(Role.PROXY)
