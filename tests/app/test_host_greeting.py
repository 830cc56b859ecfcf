"""What is read of another host's first message, and who is not waited for."""

from __future__ import annotations

import os
import socket

from twisted.internet.interfaces import ITCPTransport
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from subproxy.app.host_greeting import LONGEST_HELLO, HostGreetingFactory
from subproxy.frontend.peer.host_gate import HANDSHAKE_TIMEOUT, MAX_HANDSHAKES
from tests.frontend.tls.test_client_hello import hello
from tests.workers.test_greeting import Transport


class PlainTransport(Transport):
    """One of a socket that is no TCP."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


@implementer(ITCPTransport)
class TcpTransport(PlainTransport):
    def setTcpNoDelay(self, enabled: bool) -> None:
        self.without_delay = enabled


class HostGreetingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.placed: list[tuple[int, bytes]] = []
        self.factory = HostGreetingFactory(self.clock, self.place)

    def place(self, process: int, descriptor: int, data: bytes) -> None:
        os.close(descriptor)
        self.placed.append((process, data))

    def dial(self) -> tuple[TcpTransport, object]:
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        transport = TcpTransport(ours)
        protocol = self.factory.buildProtocol(None)
        assert protocol is not None
        protocol.makeConnection(transport)
        self.assertTrue(transport.without_delay)
        return transport, protocol

    def test_a_host(self) -> None:
        """Cut anywhere, it goes where it says, with all that it has said; and is not closed."""
        said = hello("process-3.kvm-1")
        for cut in (0, 1, 5, 40, len(said) - 1):
            transport, protocol = self.dial()
            for part in filter(None, (said[:cut], said[cut:])):
                self.assertEqual(self.placed, [])
                protocol.dataReceived(part)  # type: ignore[attr-defined]
            self.assertEqual(self.placed, [(3, said)])
            self.assertEqual(self.factory.open, 0)
            self.assertFalse(transport.aborted)
            self.placed.clear()

    def test_a_socket_in_a_folder(self) -> None:
        """Where hosts reach each other by another program's tunnel: it has no Nagle."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        protocol = self.factory.buildProtocol(None)
        assert protocol is not None
        protocol.makeConnection(PlainTransport(ours))
        protocol.dataReceived(hello("process-1.kvm-1"))
        self.assertEqual([process for process, _ in self.placed], [1])

    def test_who_names_no_process(self) -> None:
        """He is for the first."""
        _, protocol = self.dial()
        protocol.dataReceived(hello(None))  # type: ignore[attr-defined]
        self.assertEqual([process for process, _ in self.placed], [0])

    def test_strangers(self) -> None:
        """Who speaks no TLS, says too much, or nothing in time, is closed."""
        for said in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x40\x00" + bytes(LONGEST_HELLO)):
            transport, protocol = self.dial()
            protocol.dataReceived(said)  # type: ignore[attr-defined]
            self.assertTrue(transport.aborted, said[:8])
        transport, _ = self.dial()
        self.clock.advance(HANDSHAKE_TIMEOUT)
        self.assertTrue(transport.aborted)
        self.assertEqual(self.placed, [])

    def test_too_many(self) -> None:
        """So many may be silent at once, and no more."""
        dialled = [self.dial() for _ in range(MAX_HANDSHAKES)]
        self.assertIsNone(self.factory.buildProtocol(None))
        dialled[0][1].connectionLost()  # type: ignore[attr-defined]
        self.assertIsNotNone(self.factory.buildProtocol(None))
