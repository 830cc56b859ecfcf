"""What the kernel knows of a connection, asked of real sockets."""

from __future__ import annotations

import socket
import struct
import time

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.tcp_info import bytes_taken, is_reset, waits_for_peer


class Holder:
    def __init__(self, held: socket.socket) -> None:
        self.held = held

    def getHandle(self) -> socket.socket:
        return self.held


class TcpInfoTests(SynchronousTestCase):
    def setUp(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.client = socket.create_connection(server.getsockname())
            self.server, _ = server.accept()
        self.addCleanup(self.client.close)
        self.addCleanup(self.server.close)
        self.transport = Holder(self.server)

    def until(self, condition: object) -> None:
        end = time.monotonic() + 10
        while not condition():  # type: ignore[operator]
            self.assertLess(time.monotonic(), end)
            time.sleep(0.005)

    def test_bytes_that_the_peer_has_taken(self) -> None:
        before = bytes_taken(self.transport)
        assert before is not None
        self.server.sendall(b"x" * 1000)
        self.until(lambda: bytes_taken(self.transport) == before + 1000)

    def test_a_reset(self) -> None:
        self.assertFalse(is_reset(self.transport))
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.client.close()
        self.until(lambda: is_reset(self.transport))

    def test_a_client_that_closed_is_found_out_by_a_byte(self) -> None:
        self.client.close()
        time.sleep(0.01)
        self.assertFalse(is_reset(self.transport))
        self.server.sendall(b"x")
        self.until(lambda: is_reset(self.transport))

    def test_bytes_that_wait(self) -> None:
        self.assertFalse(waits_for_peer(self.transport))
        self.server.setblocking(False)
        try:
            while True:
                self.server.send(bytes(65536))
        except BlockingIOError:
            pass
        self.assertTrue(waits_for_peer(self.transport))

    def test_what_is_no_tcp_socket_tells_nothing(self) -> None:
        left, right = socket.socketpair()
        self.addCleanup(left.close)
        self.addCleanup(right.close)
        for transport in (StringTransport(), Holder(left), object()):
            self.assertFalse(is_reset(transport))
            self.assertIsNone(bytes_taken(transport))
            self.assertFalse(waits_for_peer(transport))
        self.server.close()
        self.assertFalse(is_reset(self.transport))
