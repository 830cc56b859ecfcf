"""
Lending the receiving side of a stream: Stream.when_receive_stopped, and how little is taken
beforehand.
"""

from __future__ import annotations

import socket
from typing import Any

from tests.integration.reactor_harness import ReactorTestCase, Recorder, drained, on_epoll_too


class Pausing(Recorder):
    """Stops reading when the first bytes come."""

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        self.transport.pauseProducing()


class QuietTests(ReactorTestCase):
    def quiet(self, protocol: Any) -> list[bytes]:
        """Stop reading; what C{when_receive_stopped} gives is in the list when it is."""
        given: list[bytes] = []
        protocol.transport.pauseProducing()
        protocol.transport.when_receive_stopped(given.append)
        return given

    def beside(self, protocol: Any) -> socket.socket:
        """Its descriptor, as another would read it."""
        other = socket.fromfd(protocol.transport.fileno(), socket.AF_INET, socket.SOCK_STREAM)
        self.addCleanup(other.close)
        other.setblocking(False)
        return other

    def test_nothing_there(self) -> None:
        """An armed receive ends first; then another may read, and the stream does not."""
        protocol, peer = self.pair()
        self.turns(2)
        given = self.quiet(protocol)
        self.assertEqual(given, [])
        self.spin(lambda: given)
        self.assertEqual(given, [b""])
        peer.sendall(b"for another")
        self.turns(5)
        self.assertEqual(protocol.data, b"")
        self.assertEqual(self.beside(protocol).recv(100), b"for another")
        protocol.transport.resumeProducing()
        peer.sendall(b"for us")
        self.spin(lambda: protocol.data)
        self.assertEqual(protocol.data, b"for us")

    def test_no_byte_lost(self) -> None:
        """What was delivered, what is given, and what is left are all that was sent, in order."""
        for size in (1, 1000, 60_000, 1_000_000):
            protocol, peer = self.pair(Pausing)
            data = bytes(range(250)) * (size // 250 + 1)
            peer.setblocking(False)
            sent = peer.send(data[:size])
            self.spin(lambda p=protocol: p.data)
            given = self.quiet(protocol)
            self.spin(lambda g=given: g)
            other = self.beside(protocol)
            other.setblocking(True)
            rest = drained(other, sent - len(protocol.data) - len(given[0]))
            self.assertEqual(len(given), 1)
            self.assertTrue(protocol.data + given[0] + rest == data[:sent])

    def test_little_is_taken(self) -> None:
        """Who pauses at once has no more than 64 KiB of what had come: the rest is not copied."""
        protocol, peer = self.pair(Pausing)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        peer.setblocking(False)
        sent = 0
        while sent < 1_000_000:
            try:
                sent += peer.send(bytes(1_000_000 - sent))
            except BlockingIOError:
                break
        self.assertGreater(sent, 200_000)
        self.spin(lambda: protocol.data)
        given = self.quiet(protocol)
        self.spin(lambda: given)
        if self.reactor.engine.capped:
            self.assertLessEqual(len(protocol.data) + len(given[0]), 65_536)

    def test_the_end(self) -> None:
        """How the stream ended is for the protocol, when it reads again."""
        protocol, peer = self.pair(Pausing)
        peer.sendall(b"last words")
        peer.close()
        self.spin(lambda: protocol.data)
        given = self.quiet(protocol)
        self.spin(lambda: given)
        self.assertIsNone(protocol.lost)
        protocol.transport.resumeProducing()
        self.spin(lambda: protocol.lost)
        self.assertEqual(protocol.data + given[0], b"last words")

    def test_reading_again_calls_it_off(self) -> None:
        """Who resumes before it was quiet is not lent from."""
        protocol, peer = self.pair()
        self.turns(2)
        given = self.quiet(protocol)
        protocol.transport.resumeProducing()
        peer.sendall(b"x" * 10)
        self.spin(lambda: protocol.data)
        self.turns(3)
        self.assertEqual((given, protocol.data), ([], b"x" * 10))

    def test_a_failure(self) -> None:
        """An exception of the borrower's loses the connection, as a protocol's does."""
        protocol, _ = self.pair()
        self.turns(2)
        protocol.transport.pauseProducing()
        protocol.transport.when_receive_stopped(lambda data: 1 // 0)
        self.spin(lambda: protocol.lost)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_many_receives(self) -> None:
        """A stream that reads on gets all of it, though each receive ends after a while."""
        protocol, peer = self.pair()
        data = bytes(range(256)) * 40
        for _ in range(60):
            peer.sendall(data)
            self.turns(2)
        self.spin(lambda: len(protocol.data) == 60 * len(data))
        self.assertTrue(protocol.data == 60 * data)

    def test_an_older_kernel(self) -> None:
        """Where a receive can't be limited it is not, and nothing else changes."""
        self.reactor.engine.capped = False
        self.test_no_byte_lost()
        self.test_many_receives()


on_epoll_too(globals())
