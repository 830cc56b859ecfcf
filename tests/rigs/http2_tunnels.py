"""A client of HTTP/2 with tunnels, a proxy in memory and a guest, on the wire at both ends."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.install import unavailable
from subproxy.frontend.http2.frames import FRAME_SIZE
from subproxy.wire import messages as m
from tests.rigs.fake_dispatcher import Transport
from tests.rigs.fastpath_rig import Side
from tests.rigs.http2_client import Headers, Http2Client
from tests.rigs.wire_pair import frames_of

CONNECT: Headers = [
    (b":method", b"CONNECT"),
    (b":protocol", b"websocket"),
    (b":scheme", b"http"),
    (b":path", b"/chat"),
    (b":authority", b"a.example"),
    (b"sec-websocket-version", b"13"),
    (b"sec-websocket-protocol", b"chat, superchat"),
    (b"origin", b"http://a.example"),
]
"""The example of RFC 8441 section 5.1."""

PATHS = (False,) if unavailable() else (True, False)


class StreamLine:
    """
    A client of HTTP/2, a proxy, and a guest that takes WebSockets.

    @ivar asked: the frames that the guest was sent, until they are taken.
    """

    def __init__(self, fast: bool, window: bool = True, web_sockets: bool = True, **more: Any):
        self.side = side = Side(fast, **{"tunnel": [b"websocket"], **more})
        side.factory.context.web_sockets = lambda: web_sockets
        self.transport = Transport("192.0.2.7")
        self.protocol: Any
        if fast:
            self.protocol = side.factory.buildProtocol(None)
        else:
            self.protocol = side.factory.build_http2()
        self.protocol.makeConnection(self.transport)
        self.client = Http2Client(window)
        self.turn()

    def turn(self) -> None:
        """What everybody has to say goes where it is to go."""

        def heard() -> bytes:
            came: bytes = self.transport.value()
            self.transport.clear()
            return came

        self.client.converse(self.protocol, lambda: self.side.world.advance(0), heard)

    def ask(self, fields: Headers = CONNECT, ended: bool = False, number: int = 1) -> None:
        """Open a stream."""
        self.client.request(number, fields, ended)
        self.turn()

    def send(self, data: bytes, ended: bool = False, number: int = 1) -> None:
        """DATA of the client."""
        pieces = [data[at : at + FRAME_SIZE] for at in range(0, len(data), FRAME_SIZE)] or [b""]
        for piece in pieces[:-1]:
            self.client.h2.send_data(number, piece)
        self.client.h2.send_data(number, pieces[-1], end_stream=ended)
        self.turn()

    def say(self, *said: m.Message) -> None:
        """Frames of the guest."""
        for each in said:
            self.side.guest.dataReceived(each.encode())
        self.turn()

    def later(self, seconds: float) -> None:
        """Time passes, with its sweeps."""
        while seconds > 0:
            self.side.world.advance(min(0.5, seconds))
            seconds -= 0.5
            self.turn()

    def told(self) -> list[Any]:
        """The frames that the guest was sent since the last call."""
        frames = frames_of(self.side.guest_transport.value())
        self.side.guest_transport.clear()
        return frames

    def seen(self, number: int = 1) -> list[Any]:
        """What the client saw on a stream behind its first head."""
        return self.client.told.get(number, [])[1:]

    def lines(self) -> list[bytes]:
        """What was logged since the last call."""
        found: bytes = self.side.log.waiting.take()[0]
        return found.splitlines()

    @property
    def window(self) -> int:
        """Bytes that the client may still send."""
        room: int = self.client.h2.local_flow_control_window(1)
        return room

    def close(self) -> None:
        """Both ends leave."""
        self.protocol.connectionLost(Failure(ConnectionDone()))
        if not self.side.guest_gone:
            self.side.guest.connectionLost(Failure(ConnectionDone()))
        self.side.log.close()


def accept(number: int = 1, status: int = 200) -> m.Response:
    """The guest accepts."""
    return m.Response(number, status, [(b"Sec-WebSocket-Protocol", b"chat")], {}, None)


class StreamTunnelCase(SynchronousTestCase):
    """Behind the compiled connection and without it: the tunnels are Python's on both."""

    def line(self, fast: bool, **options: Any) -> StreamLine:
        """A client that has connected."""
        line = StreamLine(fast, **options)
        self.addCleanup(line.close)
        return line

    def opened(self, fast: bool, credit: int = 10, **options: Any) -> StreamLine:
        """A tunnel that is open."""
        line = self.line(fast, **options)
        line.ask()
        line.say(accept(), m.Credit(1, credit))
        line.told()
        return line
