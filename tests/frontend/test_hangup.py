"""What the kernel knows of who has closed, asked of real sockets."""

from __future__ import annotations

import socket
import struct

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.hangup import Hangup, hangup
from tests.rigs.socket_case import SocketTestCase


class SocketTests(SocketTestCase):
    def found(self, what: Hangup) -> None:
        self.until(lambda: hangup(self.server) is what)

    def test_a_reset(self) -> None:
        self.assertIs(hangup(self.server), Hangup.NONE)
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.client.close()
        self.found(Hangup.RESET)

    def test_a_client_that_closed_is_found_out_by_a_byte(self) -> None:
        self.client.close()
        self.found(Hangup.FIN)
        self.server.sendall(b"x")
        self.found(Hangup.RESET)

    def test_a_fin_behind_bytes_that_nobody_has_read(self) -> None:
        self.client.sendall(bytes(10_000))
        self.assertIs(hangup(self.server), Hangup.NONE)
        self.client.shutdown(socket.SHUT_WR)
        self.found(Hangup.FIN)
        self.server.sendall(b"x")
        self.assertEqual(self.client.recv(1), b"x")
        self.assertIs(hangup(self.server), Hangup.FIN)

    def test_what_is_no_open_socket_tells_nothing(self) -> None:
        self.server.close()
        for transport in (self.server, StringTransport(), object()):
            self.assertIs(hangup(transport), Hangup.NONE)


class UnixTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.server, self.client = socket.socketpair()
        self.addCleanup(self.client.close)
        self.addCleanup(self.server.close)

    def test_half(self) -> None:
        self.client.sendall(b"x")
        self.assertIs(hangup(self.server), Hangup.NONE)
        self.client.shutdown(socket.SHUT_WR)
        self.assertIs(hangup(self.server), Hangup.FIN)

    def test_both(self) -> None:
        """A UNIX socket tells at once: there is nothing to ask."""
        self.client.close()
        self.assertIs(hangup(self.server), Hangup.RESET)
