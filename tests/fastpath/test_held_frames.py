"""Frames of a guest that come in pieces, on a stream of our own reactor."""

from __future__ import annotations

import random
import socket
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.install import unavailable
from subproxy.wire import messages as m
from subproxy.wire.connection import WireConnection, limits_info
from subproxy.wire.states import Role
from tests.rigs.fastpath_rig import Side

GET = b"GET / HTTP/1.1\r\nHost: c.example\r\n\r\n"
CONTENT = bytes(range(251)) * 300
BUFFER = 16384
"""Bytes of a buffer of the reactor's."""


skip = unavailable()


class HeldFrameTests(SynchronousTestCase):
    def setUp(self) -> None:
        from subproxy.reactor.epoll_reactor import CompiledEpollReactor
        from subproxy.reactor.generic import CompiledStreamServer

        self.reactor: Any = CompiledEpollReactor()
        self.side = Side(True)
        self.guest, ours = socket.socketpair()
        self.addCleanup(self.guest.close)
        address = IPv4Address("TCP", "2", 2)
        protocol: Any = self.side.world.factory.buildProtocol(None)
        self.stream: Any = CompiledStreamServer(
            ours, protocol, address, address, None, 1, self.reactor
        )
        protocol.makeConnection(self.stream)
        self.stream.startReading()
        self.wire = WireConnection(Role.GUEST)
        info = {**limits_info(self.wire.limits), b"application": b"held", b"instance": b"i"}
        self.wire.send(m.Hello(info))
        self.wire.send(m.Register(1, b"c\\.example", b"/.*"))
        self.send(self.wire.data_to_send())
        self.take(m.Registered)

    def tearDown(self) -> None:
        self.guest.close()
        self.turn()
        self.reactor.engine.close()

    def turn(self) -> None:
        for _ in range(12):
            self.reactor.iterate(0)

    def send(self, data: bytes) -> None:
        """The guest sends it, and the proxy has turns."""
        self.guest.sendall(data)
        self.turn()

    def take(self, kind: type[Any]) -> Any:
        """The next message of that kind to the guest."""
        while True:
            event = self.wire.next_event()
            if isinstance(event, kind):
                return event
            if event is None:
                self.guest.settimeout(5)
                self.wire.feed(self.guest.recv(65536))

    def frame(self, size: int) -> bytes:
        """A client asks; the frame by which it is answered."""
        self.side.transport.clear()
        self.side.protocol.dataReceived(GET)
        self.turn()
        number = self.take(m.Request).exchange
        self.wire.send(m.Response(number, 200, [], {}, CONTENT[:size]))
        return self.wire.data_to_send()

    def answered(self, size: int) -> None:
        """The client has the answer."""
        head, _, body = self.side.transport.value().partition(b"\r\n\r\n")
        self.assertIn(b"Content-Length: %d" % size, head)
        self.assertTrue(body == CONTENT[:size], (len(body), size))

    def test_any_pieces(self) -> None:
        """However a frame is cut, and whatever its size, the client gets what is in it."""
        dice = random.Random(17)
        for _ in range(60):
            size = dice.choice((0, 9, BUFFER, dice.randint(0, 65536), 65536))
            frame = self.frame(size)
            cuts = sorted(dice.sample(range(1, len(frame)), dice.randint(0, 5)))
            for a, b in zip([0, *cuts], [*cuts, len(frame)], strict=True):
                self.assertEqual(self.side.transport.value(), b"")
                self.send(frame[a:b])
            self.answered(size)

    def test_behind_it(self) -> None:
        """The end of a frame comes with frames of the Python path."""
        for cut in (BUFFER, 40_000, 65_600):
            frame = self.frame(65536)
            self.wire.send(m.Register(7, b"d\\.example", b"/.*"))
            behind = self.wire.data_to_send()
            self.send(frame[:cut])
            self.send(frame[cut:] + behind[:10])
            self.answered(65536)
            self.send(behind[10:])
            self.take(m.Registered)
            self.wire.send(m.Unregister(7))
            self.send(self.wire.data_to_send())
            self.take(m.Unregistered)

    def test_receives(self) -> None:
        """While such frames come, a receive ends early; then it is as before."""
        most = self.stream.most
        frame = self.frame(65536)
        self.send(frame[: 2 * BUFFER])
        self.assertLess(self.stream.most, most)
        self.send(frame[2 * BUFFER :])
        self.answered(65536)
        self.send(self.frame(10))
        self.assertEqual(self.stream.most, most)
