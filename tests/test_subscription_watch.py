"""The control connection of a body, looked at by what is there, on a real socket."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.testing import MemoryReactor
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from subproxy.subscription.watch import Watch
from subproxy.wire.frames import encode


class WatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactor()
        ours, self.peer = socket.socketpair()
        self.addCleanup(self.peer.close)
        self.told: list[Any] = []
        with ours:
            self.watch = Watch(
                self.reactor, ours.fileno(), self.told.append, lambda: self.told.append("odd")
            )
        self.addCleanup(self.watch.close)

    def test_interface(self) -> None:
        verifyObject(IReadDescriptor, self.watch)
        self.assertEqual(self.watch.logPrefix(), "data connection")

    def test_it_looks_while_it_is_told_to(self) -> None:
        for _ in range(2):
            self.watch.start()
            self.assertEqual(self.reactor.getReaders(), [self.watch])
        for _ in range(2):
            self.watch.stop()
            self.assertEqual(self.reactor.getReaders(), [])

    def test_a_frame_is_taken_and_nothing_else(self) -> None:
        """What is behind it belongs to somebody else."""
        self.peer.sendall(encode([b"end", 1]) + b"body")
        self.watch.start()
        self.watch.doRead()
        self.assertEqual(self.told, [[b"end", 1]])
        self.assertEqual(self.reactor.getReaders(), [])
        with socket.socket(fileno=socket.dup(self.watch.fileno())) as rest:
            self.assertEqual(rest.recv(100), b"body")

    def test_nothing_has_come(self) -> None:
        self.watch.start()
        self.watch.doRead()
        self.assertEqual((self.told, self.reactor.getReaders()), ([], [self.watch]))

    def test_what_is_odd(self) -> None:
        """What is no frame, or not the whole of one; and the end of the connection."""
        for sent in b"nonsense", encode([b"end", 1])[:-1]:
            self.peer.sendall(sent)
            self.watch.start()
            self.watch.doRead()
            self.assertEqual(self.told.pop(), "odd")
            self.assertEqual(self.reactor.getReaders(), [])
        self.watch.start()
        self.watch.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((self.told, self.reactor.getReaders()), (["odd"], []))

    def test_sending(self) -> None:
        self.assertTrue(self.watch.send(b"few"))
        self.assertEqual(self.peer.recv(100), b"few")
        while self.watch.send(bytes(65536)):
            pass
        self.assertFalse(self.watch.send(b"few"))
