"""Looking for C{connect} beside a transport, on a real socket."""

from __future__ import annotations

import os
import socket

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from subproxy.subscription.bodies.connect_peeker import MOST, ConnectPeeker
from subproxy.wire import messages as m
from subproxy.wire.frames import Frame
from tests.relay.test_splice import Readiness, open_descriptors

CONNECT = m.Connect(7, b"t" * 16).encode()


class WatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Readiness()
        self.guest, self.ours = socket.socketpair()
        self.addCleanup(self.guest.close)
        self.addCleanup(self.ours.close)
        self.came: list[Frame] = []
        self.odd: list[bool] = []
        self.before = open_descriptors()
        self.watch = ConnectPeeker(
            self.reactor, self.ours.fileno(), self.came.append, lambda: self.odd.append(True)
        )

    def tearDown(self) -> None:
        self.watch.close()
        self.assertEqual((self.reactor.readers, self.reactor.writers), ([], []))

    def test_no_byte_beyond(self) -> None:
        """The frame is taken, the body behind it stays in the socket; then it looks no more."""
        self.watch.start()
        self.watch.start()
        self.guest.send(CONNECT + b"body")
        self.reactor.turn()
        self.assertEqual([m.parse(frame) for frame in self.came], [m.Connect(7, b"t" * 16)])
        self.assertEqual((self.odd, self.reactor.readers), ([], []))
        self.assertEqual(self.ours.recv(100), b"body")
        self.watch.start()
        self.guest.send(CONNECT)
        self.reactor.turn()
        self.assertEqual(len(self.came), 2)

    def test_odd(self) -> None:
        """Pieces, nonsense, too much, and the end are for the transport, with all their bytes."""
        for data in (CONNECT[:5], b"GET / HTTP/1.1\r\n", b"9" * (MOST + 1), b"600:" + b"x" * 600):
            self.watch.start()
            self.guest.send(data)
            self.reactor.turn()
            self.assertEqual((self.came, self.reactor.readers), ([], []))
            self.assertEqual(self.ours.recv(4096), data)
        self.watch.start()
        self.guest.close()
        self.reactor.turn()
        self.assertEqual((len(self.odd), self.ours.recv(10)), (5, b""))

    def test_false_alarm(self) -> None:
        """Where there is nothing to read after all it goes on looking."""
        self.watch.start()
        self.watch.doRead()
        self.assertEqual((self.odd, self.reactor.readers), ([], [self.watch]))

    def test_hang_up(self) -> None:
        """What a reactor says of it is for the transport to find out."""
        self.watch.start()
        self.watch.connectionLost(Failure(ConnectionLost()))
        self.assertEqual((len(self.odd), self.reactor.readers), (1, []))
        self.assertEqual(self.watch.logPrefix(), "data connection")

    def test_send(self) -> None:
        """Few bytes go at once; where they do not, it says so."""
        self.assertTrue(self.watch.send(b"end"))
        self.assertEqual(self.guest.recv(10), b"end")
        while self.watch.send(b"x" * 1000):
            pass
        self.guest.close()
        self.assertFalse(self.watch.send(b"end"))

    def test_descriptors(self) -> None:
        """It has one of its own, and gives it back."""
        self.assertEqual(open_descriptors(), self.before + 1)
        self.watch.close()
        self.assertEqual(open_descriptors(), self.before)
        self.assertRaises(OSError, os.fstat, self.watch.fileno())
