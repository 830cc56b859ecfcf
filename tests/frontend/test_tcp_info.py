"""What the kernel knows of a connection, asked of real sockets."""

from __future__ import annotations

import socket

from twisted.internet.testing import StringTransport

from subproxy.frontend.tcp_info import bytes_taken, quiet_for, waits_for_peer
from tests.rigs.socket_case import SocketTestCase


class Holder:
    def __init__(self, held: socket.socket) -> None:
        self.held = held

    def getHandle(self) -> socket.socket:
        return self.held


class TcpInfoTests(SocketTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.transport = Holder(self.server)

    def fill(self) -> None:
        """Send until the kernel takes no more."""
        self.server.setblocking(False)
        try:
            while True:
                self.server.send(bytes(65536))
        except BlockingIOError:
            pass

    def test_bytes_that_the_peer_has_taken(self) -> None:
        before = bytes_taken(self.transport)
        assert before is not None
        self.server.sendall(b"x" * 1000)
        self.until(lambda: bytes_taken(self.transport) == before + 1000)

    def test_for_how_long_nothing_was_sent(self) -> None:
        self.server.sendall(b"x")
        self.until(lambda: (quiet_for(self.transport) or 0) > 0.02)
        self.server.sendall(b"x")
        self.assertLess(quiet_for(self.transport) or 0, 0.02)

    def test_who_does_not_take_what_was_sent_is_not_sent_nothing(self) -> None:
        self.fill()
        self.assertEqual(quiet_for(self.transport), 0.0)

    def test_bytes_that_wait(self) -> None:
        self.assertFalse(waits_for_peer(self.transport))
        self.fill()
        self.assertTrue(waits_for_peer(self.transport))

    def test_what_is_no_tcp_socket_tells_nothing(self) -> None:
        left, right = socket.socketpair()
        self.addCleanup(left.close)
        self.addCleanup(right.close)
        for transport in (StringTransport(), Holder(left), object()):
            self.assertIsNone(quiet_for(transport))
            self.assertIsNone(bytes_taken(transport))
            self.assertFalse(waits_for_peer(transport))
        self.server.close()
        self.assertIsNone(quiet_for(self.transport))
