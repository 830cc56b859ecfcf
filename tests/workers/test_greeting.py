"""The first frame of a guest's connection, read by the parent."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any
from unittest import mock

from twisted.internet.address import UNIXAddress
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.access.policy import Policy, Quotas
from subproxy.endpoints.addresses import HybridVsockAddress
from subproxy.wire import messages as m
from subproxy.workers.greeting import (
    GREETING_TIMEOUT,
    GreetedConnection,
    GreetingFactory,
    GreetingProtocol,
)

HELLO = m.Hello({b"version": 1, b"application": b"blog", b"instance": b"i"})


class Transport(StringTransport):
    """A transport with a descriptor, which is there until the protocol lets go."""

    def __init__(self, skt: socket.socket) -> None:
        super().__init__(UNIXAddress(b"/run/a_12345"))
        self._socket = skt

    def fileno(self) -> int:
        return self._socket.fileno()

    def stopReading(self) -> None:
        self.producerState = "stopped"


class Placer:
    """Remembers what it was given."""

    def __init__(self) -> None:
        self.placed: list[GreetedConnection] = []
        self.elsewhere = 0

    def count(self, identity: str) -> int:
        return self.elsewhere

    def place(self, greeted: GreetedConnection) -> None:
        self.placed.append(greeted)


class GreetingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.placer = Placer()
        self.factory = GreetingFactory(self.clock, self.placer, self.clock.seconds)
        self.address = HybridVsockAddress("/run/a")

    def dial(self) -> GreetingProtocol:
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        protocol = self.factory.buildProtocol(self.address)
        assert protocol is not None
        transport: Any = Transport(ours)
        protocol.makeConnection(transport)
        return protocol

    def placed(self) -> GreetedConnection:
        (found,) = self.placer.placed
        self.addCleanup(os.close, found.descriptor)
        return found

    def test_hello(self) -> None:
        """In pieces, with what follows: all of it travels along, and the socket stays open."""
        protocol = self.dial()
        data = HELLO.encode() + b"more"
        for at in range(0, len(data), 7):
            protocol.dataReceived(data[at : at + 7])
        found = self.placed()
        assert isinstance(found.first, m.Hello)
        self.assertEqual(found.first.info[b"application"], b"blog")
        self.assertTrue(data.startswith(found.data))
        self.assertFalse(found.late)
        self.assertTrue(protocol.transport.disconnecting)
        self.assertFalse(protocol.transport._shouldShutdown)
        os.fstat(found.descriptor)
        self.clock.advance(60)
        self.assertEqual((len(self.placer.placed), self.factory.open), (1, set()))

    def test_no_frame(self) -> None:
        """Is for a worker to answer."""
        self.dial().dataReceived(b"GET / HTTP/1.1\r\n\r\n")
        found = self.placed()
        self.assertIsNone(found.first)
        self.assertEqual(found.data, b"GET / HTTP/1.1\r\n\r\n")

    def test_silence(self) -> None:
        """Is told to a worker, when it has lasted."""
        self.dial().dataReceived(b"8")
        self.clock.advance(GREETING_TIMEOUT - 0.1)
        self.assertEqual(self.placer.placed, [])
        self.clock.advance(0.2)
        found = self.placed()
        self.assertEqual((found.late, found.data), (True, b"8"))

    def test_no_descriptor(self) -> None:
        """It is closed, and told; the guest dials again."""
        full = OSError(errno.EMFILE, "Too many open files")
        for late in (False, True):
            protocol = self.dial()
            with mock.patch("os.dup", side_effect=full), capturedLogs() as logs:
                if late:
                    self.clock.advance(GREETING_TIMEOUT)
                else:
                    protocol.dataReceived(HELLO.encode())
            self.assertIn("Too many open files", formatEvent(logs[0]))
            self.assertTrue(protocol.transport.disconnecting)
            self.assertEqual((self.placer.placed, self.factory.open), ([], set()))

    def test_it_leaves(self) -> None:
        """Nobody hears of it."""
        protocol = self.dial()
        protocol.connectionLost()
        self.clock.advance(60)
        self.assertEqual((self.placer.placed, self.factory.open), ([], set()))

    def test_quota(self) -> None:
        """Connections count with whichever worker they are, and before they have one."""
        self.factory.policy = Policy((), Quotas(connections=3))
        self.placer.elsewhere = 1
        first = self.dial()
        self.dial()
        self.assertIsNone(self.factory.buildProtocol(self.address))
        first.connectionLost()
        self.dial()

    def test_too_often(self) -> None:
        """Who dials again and again is refused at the door."""
        refused = 0
        for _ in range(300):
            protocol = self.factory.buildProtocol(self.address)
            refused += protocol is None
        self.assertGreater(refused, 0)

    def test_offences(self) -> None:
        """Who has offended is not read for a while, and not late because of that."""
        for _ in range(9):
            self.factory.penalties.record_offence(self.address.identity, 0.0)
        protocol = self.dial()
        self.assertEqual(protocol.transport.producerState, "paused")
        self.clock.advance(5.1)
        self.assertEqual(protocol.transport.producerState, "producing")
        self.clock.advance(GREETING_TIMEOUT - 0.2)
        protocol.dataReceived(HELLO.encode())
        self.assertFalse(self.placed().late)

    def test_an_address_that_proves_nothing(self) -> None:
        """Then the transport tells who it is: the listener's name, on a UNIX socket."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        protocol = self.factory.buildProtocol(UNIXAddress(None))
        assert protocol is not None
        transport: Any = Transport(ours)
        transport.hostAddr = UNIXAddress(b"/run/here")
        protocol.makeConnection(transport)
        self.assertEqual(protocol.identity, "path:/run/here")
