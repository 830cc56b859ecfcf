"""The bulk path: Stream.relay_to."""

from __future__ import annotations

import os
import socket
import threading
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from zope.interface import implementer

from tests.integration.reactor_harness import (
    ReactorTestCase,
    Recorder,
    drained,
    on_epoll_too,
    reset,
)


@implementer(IHalfCloseableProtocol)
class HalfCloseable(Recorder):
    """Notes the ends of its halves."""

    ended = False

    def readConnectionLost(self) -> None:
        self.ended = True

    def writeConnectionLost(self) -> None:
        pass


class RelayTests(ReactorTestCase):
    """One source, one target, and the plain sockets at their other ends."""

    def setUp(self) -> None:
        super().setUp()
        port = self.listen(HalfCloseable)
        self.source, self.sender = self.pair(port=port)
        self.target, self.receiver = self.pair(port=port)

    def relay(self, length: int | None = None) -> list[Any]:
        """Start relaying; how it ends is appended to what is returned."""
        ended: list[Any] = []
        self.relaying = self.source.transport.relay_to(self.target.transport, length)
        self.relaying.addBoth(ended.append)
        return ended

    def sending(self, data: bytes, then: Any = None) -> None:
        """Send from a thread, for the socket takes only so much."""

        def send() -> None:
            self.sender.sendall(data)
            if then is not None:
                then()

        thread = threading.Thread(target=send)
        thread.start()
        self.addCleanup(thread.join)

    def receiving(self, size: int) -> list[bytes]:
        got: list[bytes] = []
        thread = threading.Thread(target=lambda: got.append(drained(self.receiver, size)))
        thread.start()
        self.addCleanup(thread.join)
        return got

    def test_untilTheEnd(self) -> None:
        """All of it arrives, and then the protocol hears of the end."""
        data = os.urandom(5_000_000)
        ended = self.relay()
        got = self.receiving(len(data))
        self.sending(data, lambda: self.sender.shutdown(socket.SHUT_WR))
        self.spin(lambda: ended and got)
        self.assertEqual(ended, [len(data)])
        self.assertEqual(got, [data])
        self.assertEqual(self.source.data, b"")
        self.assertTrue(self.source.ended)

    def test_aLength(self) -> None:
        """Not a byte more; what follows is the protocol's, once it resumes."""
        data = os.urandom(1_000_000)
        ended = self.relay(700_001)
        got = self.receiving(700_001)
        self.sending(data)
        self.spin(lambda: ended and got)
        self.assertEqual(ended, [700_001])
        self.assertEqual(got, [data[:700_001]])
        self.turns(3)
        self.assertEqual(self.source.data, b"")
        self.source.transport.resumeProducing()
        self.spin(lambda: len(self.source.data) == 299_999)
        self.assertEqual(self.source.data, data[700_001:])

    def test_anEndBeforeTheLength(self) -> None:
        """The number tells."""
        ended = self.relay(100)
        self.sender.sendall(b"x" * 60)
        self.sender.shutdown(socket.SHUT_WR)
        self.spin(lambda: ended)
        self.assertEqual(ended, [60])
        self.assertEqual(drained(self.receiver, 60), b"x" * 60)

    def test_nothing(self) -> None:
        """A length of zero is reached at once."""
        ended = self.relay(0)
        self.spin(lambda: ended)
        self.assertEqual(ended, [0])

    def test_orderWithWhatWentBefore(self) -> None:
        """Bytes that were received, or written, before the relay go before it."""
        self.source.transport.pauseProducing()
        self.turns(3)
        head = b"h" * 3_000_000
        got = self.receiving(len(head) + 10 + 500_000)
        self.target.transport.write(head)
        self.turns(2)
        self.target.transport.write(b"0123456789")
        body = os.urandom(500_000)
        ended = self.relay(len(body))
        self.sending(body)
        self.spin(lambda: ended and got)
        self.assertEqual(got[0], head + b"0123456789" + body)

    def test_whatWasReceivedAlready(self) -> None:
        """A relay begun inside dataReceived takes what is in the queue behind it."""
        self.reactor = self.makeReactor(buffers=64, size=16)
        test = self

        class Beginning(HalfCloseable):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                if len(self.chunks) == 1:
                    test.ended = test.relay(100)

        port = self.listen(Beginning)
        self.source, self.sender = self.pair(port=port)
        self.target, self.receiver = self.pair(port=port)
        self.sender.sendall(bytes(range(200)))
        self.spin(lambda: getattr(self, "ended", None))
        first = self.source.data
        self.assertEqual(drained(self.receiver, 100), bytes(range(len(first), len(first) + 100)))
        self.source.transport.resumeProducing()
        self.spin(lambda: len(self.source.data) == 100)
        self.assertEqual(self.source.data, first + bytes(range(len(first) + 100, 200)))

    def test_writesAfterItAreInOrder(self) -> None:
        """What is written when the Deferred fires comes behind."""
        self.source.transport.relay_to(self.target.transport, 300_000).addCallback(
            lambda _: self.target.transport.write(b"trailer")
        )
        got = self.receiving(300_007)
        data = os.urandom(300_000)
        self.sending(data)
        self.spin(lambda: got)
        self.assertEqual(got, [data + b"trailer"])

    def test_aSlowTargetHoldsUpItsSource(self) -> None:
        """No more is read than the target takes: the sender gets no further than buffers go."""
        ended = self.relay()
        self.sender.setblocking(False)
        sent = 0
        for _ in range(200):
            try:
                sent += self.sender.send(b"x" * 1_000_000)
            except BlockingIOError:
                pass
            self.turns(3)
        # Four socket buffers of some megabytes at most, and the relay's own.
        self.assertLess(sent, 50_000_000)
        self.assertEqual(ended, [])
        self.sender.shutdown(socket.SHUT_WR)
        got = self.receiving(sent)
        self.spin(lambda: ended and got)
        self.assertEqual(ended, [sent])

    def test_theTargetIsLost(self) -> None:
        """The relay fails; the source is paused, and whole."""
        ended = self.relay()
        self.sender.setblocking(False)
        for _ in range(100):
            try:
                self.sender.send(b"x" * 1_000_000)
            except BlockingIOError:
                pass
            self.turns(2)
        reset(self.receiver)
        self.spin(lambda: ended and self.target.lost)
        ended[0].trap(ConnectionLost)
        self.assertIsNone(self.source.lost)
        self.source.transport.resumeProducing()
        self.spin(lambda: self.source.chunks)

    def test_theSourceIsLost(self) -> None:
        """The relay fails; the target is whole."""
        ended = self.relay()
        self.turns(3)
        reset(self.sender)
        self.spin(lambda: ended and self.source.lost)
        ended[0].trap(ConnectionLost)
        self.assertIsNone(self.target.lost)
        self.target.transport.write(b"sorry")
        self.turns(2)
        self.assertEqual(drained(self.receiver, 5), b"sorry")

    def test_eitherIsAborted(self) -> None:
        """By us, in the middle of a transfer, a hundred times."""
        port = self.listen(HalfCloseable)
        for i in range(100):
            self.source, self.sender = self.pair(port=port)
            self.target, self.receiver = self.pair(port=port)
            ended = self.relay()
            self.sender.setblocking(False)
            try:
                for _ in range(5):
                    self.sender.send(b"x" * 1_000_000)
                    self.turns(i % 4)
            except BlockingIOError:
                pass
            (self.source, self.target)[i % 2].transport.abortConnection()
            self.spin(lambda ended=ended: ended, 0)
            ended[0].trap(ConnectionLost)
            (self.target, self.source)[i % 2].transport.abortConnection()
            self.spin(lambda: self.source.lost and self.target.lost, 0)

    def test_cancel(self) -> None:
        """The source can be read again, and what was taken has been passed on."""
        ended = self.relay()
        self.sender.sendall(b"relayed")
        self.spin(lambda: self.reactor.engine.completions and self.turns(5) is None)
        self.assertEqual(drained(self.receiver, 7), b"relayed")
        self.relaying.cancel()
        ended[0].trap(CancelledError)
        self.turns(3)
        self.source.transport.resumeProducing()
        self.sender.sendall(b"delivered")
        self.spin(lambda: self.source.data == b"delivered")

    def test_refusals(self) -> None:
        """What cannot be relayed is said at once."""
        source, target = self.source.transport, self.target.transport
        self.assertRaises(ValueError, source.relay_to, source)
        self.assertRaises(ValueError, source.relay_to, object())
        self.relay()
        self.assertRaises(ValueError, source.relay_to, target)
        self.relaying.addErrback(lambda _: None)
        other, _ = self.pair()
        self.assertRaises(ValueError, other.transport.relay_to, target)
        other.transport.abortConnection()
        self.spin(lambda: other.lost)
        self.assertRaises(ValueError, target.relay_to, other.transport)


on_epoll_too(globals())
