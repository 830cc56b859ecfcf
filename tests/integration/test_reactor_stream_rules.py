"""The rules of sending and receiving by io_uring, one test each: see test_reactor_rules.py."""

from __future__ import annotations

import os
import socket
import sys
from functools import partial

from twisted.internet.error import ConnectionDone, ConnectionLost

from tests.integration.reactor_harness import (
    ReactorTestCase,
    Recorder,
    drained,
    on_epoll_too,
    reset,
)


class SendingTests(ReactorTestCase):
    """One send in flight, its bytes held."""

    def test_oneSendInFlightAndTheRestGathered(self) -> None:
        """What is written while a send waits for room goes, in order, with the next."""
        protocol, peer = self.pair()
        first = os.urandom(16 * 1024 * 1024)
        protocol.transport.write(first)
        self.turns(3)
        before = self.reactor.engine.completions
        rest = [os.urandom(100) for _ in range(500)]
        for part in rest:
            protocol.transport.write(part)
            self.turns(1)
        self.assertLess(self.reactor.engine.completions - before, 20)
        peer.setblocking(False)
        got = bytearray()

        def all() -> bool:
            try:
                got.extend(peer.recv(1 << 20))
            except BlockingIOError:
                pass
            return len(got) == len(first) + 50000

        self.spin(all, 0)
        self.assertEqual(bytes(got), first + b"".join(rest))

    def test_muchIsReadAtOnce(self) -> None:
        """Of a peer that sends as fast as is read, as much as was asked for; then as before."""
        for size in (78 * 1024, 174 * 1024, 70_000):
            protocol, peer = self.pair()
            protocol.transport.read_size = size
            pieces: list[int] = []
            protocol.dataReceived = lambda data, pieces=pieces: pieces.append(len(data))
            self.spin(partial(self.three_came, peer, pieces, size), 0)
            self.assertEqual(max(pieces), size)

    def three_came(self, peer: socket.socket, pieces: list[int], size: int) -> bool:
        """Have C{peer} send all that it can; whether three pieces of that size came."""
        peer.setblocking(False)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        try:
            peer.send(bytes(1 << 20))
        except BlockingIOError:
            pass
        return pieces.count(size) > 2

    def test_bytesAreHeldUntilTheCompletion(self) -> None:
        """Nobody but the transport has them, and the connection may end meanwhile."""
        protocol, peer = self.pair()
        data = os.urandom(8 * 1024 * 1024)
        before = sys.getrefcount(data)
        protocol.transport.write(data)
        self.turns(2)
        self.assertGreater(sys.getrefcount(data), before)
        protocol.transport.abortConnection()
        self.spin(lambda: protocol.lost)
        self.spin(lambda: sys.getrefcount(data) == before)
        peer.close()

    def test_bytesOfASilentSendAreLetGo(self) -> None:
        """A send that succeeds at once posts no completion; its bytes go all the same."""
        protocol, peer = self.pair()
        self.turns(2)  # (before Linux 6.17 the first receive of a ring is asked for twice)
        data = os.urandom(1000)
        before = sys.getrefcount(data)
        protocol.transport.write(data)
        completions = self.reactor.engine.completions
        self.turns(1)
        self.assertEqual(sys.getrefcount(data), before)
        self.assertEqual(self.reactor.engine.completions, completions)
        self.assertEqual(drained(peer, 1000), data)

    def comes_whole(self, peer: socket.socket, want: bytearray) -> None:
        """C{want} comes to C{peer}, which is slow, and nothing of it twice."""
        got = bytearray()

        def all() -> bool:
            try:
                got.extend(peer.recv(30000))
            except BlockingIOError:
                pass
            return len(got) >= len(want)

        self.spin(all, 0)
        self.assertEqual(got, want)

    def test_aSilentSendThatFallsShortIsFinished(self) -> None:
        """The rest goes when there is room, and nothing twice."""
        protocol, peer = self.pair()
        protocol.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        peer.setblocking(False)
        want = bytearray()
        for i in range(50):
            part = bytes([i]) * 50000
            want += part
            protocol.transport.write(part)
            self.turns(1)
        self.comes_whole(peer, want)

    def test_gatheredChunksThatFallShortAreFinished(self) -> None:
        """Chunks that are sent without being joined, to a socket that takes only some."""
        protocol, peer = self.pair()
        protocol.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        peer.setblocking(False)
        want = bytearray()
        for i in range(100):
            for j in range(i % 90):
                part = bytes([i, j]) * (200 + 7 * j)
                want += part
                protocol.transport.write(part)
            self.turns(1)
        self.comes_whole(peer, want)

    def test_whoIsPausedMayWrite(self) -> None:
        """While pieces are gathered: what it writes goes behind that which it was paused for."""
        from subproxy.reactor._stream import gathered

        protocol, peer = self.pair()

        class Producer:
            words = [b"paused", b" at once"]

            def pauseProducing(self) -> None:
                while self.words:
                    protocol.transport.write(self.words.pop(0))

            def resumeProducing(self) -> None:
                pass

            def stopProducing(self) -> None:
                pass

        protocol.transport.bufferSize = 150
        protocol.transport.registerProducer(Producer(), True)
        self.addCleanup(protocol.transport.unregisterProducer)
        gathered(protocol.transport, b"a" * 100)
        gathered(protocol.transport, b"b" * 100)
        want = b"a" * 100 + b"b" * 100 + b"paused at once"
        self.turns(2)
        self.assertEqual(drained(peer, len(want)), want)
        self.assertIsNone(protocol.lost)

    def test_lastWordsAreSentInFull(self) -> None:
        """Whatever their size, and whatever the socket takes at once."""
        for size in (1, 1000, 60_000, 70_000, 5_000_000):
            protocol, peer = self.pair()
            words = os.urandom(size)
            got = bytearray()
            peer.setblocking(False)
            protocol.transport.write(words)
            protocol.transport.loseConnection()

            def ended(peer: socket.socket = peer, got: bytearray = got) -> bool:
                try:
                    data = peer.recv(1 << 20)
                except BlockingIOError:
                    return False
                got += data
                return not data

            self.spin(ended, 0)
            self.assertEqual(got, words)
            protocol.lost.trap(ConnectionDone)

    def test_whatThePeerSaidBeforeItWentIsHeard(self) -> None:
        """A send that fails does not drop what was received before."""
        protocol, peer = self.pair()
        self.turns(2)
        peer.sendall(b"413 and good bye")
        reset(peer)
        protocol.transport.write(b"x" * 100000)
        protocol.transport.write(b"y" * 100000)
        self.spin(lambda: protocol.lost)
        self.assertEqual(protocol.data, b"413 and good bye")
        protocol.lost.trap(ConnectionLost)


class ReceivingTests(ReactorTestCase):
    """Pausing, exhausted buffers, re-entrancy."""

    def test_pauseKeepsWhatIsInTheQueueAlready(self) -> None:
        """It is delivered on resumption, in order, and nothing before."""

        class Pausing(Recorder):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                self.transport.pauseProducing()

        self.reactor = self.makeReactor(buffers=64, size=16)
        protocol, peer = self.pair(Pausing)
        peer.sendall(bytes(range(160)))
        peer.shutdown(socket.SHUT_WR)
        self.spin(lambda: protocol.chunks)
        for n in range(1, 11):
            self.turns(5)
            # (On epoll what is left after some full buffers is received at once.)
            self.assertEqual(len(protocol.chunks), min(n, 5) if self.epoll else n)
            protocol.transport.resumeProducing()
        self.spin(lambda: protocol.lost)
        self.assertEqual(protocol.data, bytes(range(160)))

    def test_cancelAndCancelledCompleteInEitherOrder(self) -> None:
        """Pausing and resuming at any moment loses, doubles and reorders nothing."""
        protocol, peer = self.pair()
        want = bytearray()
        for i in range(2000):
            part = b"%d," % i
            want += part
            peer.sendall(part)
            if i % 3 == 0:
                protocol.transport.pauseProducing()
            if i % 5 == 0:
                self.turns(1)
            if i % 3 == 1 or i % 7 == 0:
                protocol.transport.resumeProducing()
            if i % 2:
                self.turns(1)
        protocol.transport.resumeProducing()
        self.spin(lambda: len(protocol.data) == len(want))
        self.assertEqual(protocol.data, want)

    def test_pausingAndResumingWithinATurnIsFree(self) -> None:
        """As twisted.web does for every request."""
        protocol, _ = self.pair()
        self.turns(3)
        before = self.reactor.engine.completions
        for _ in range(100):
            protocol.transport.pauseProducing()
            protocol.transport.resumeProducing()
            self.turns(1)
        self.assertEqual(self.reactor.engine.completions, before)

    def test_aFullStreamIsReceivedFromInLargePieces(self) -> None:
        """And in little ones again when it has run dry; pauses and the order are kept."""
        protocol, peer = self.pair()
        data = os.urandom(20_000_000)
        peer.setblocking(False)
        sent = 0
        while sent < len(data) or sum(map(len, protocol.chunks)) < len(data):
            try:
                sent += peer.send(data[sent : sent + 1_000_000])
            except BlockingIOError:
                pass
            if sent % 3 == 0:
                protocol.transport.pauseProducing()
                self.turns(2)
                protocol.transport.resumeProducing()
            self.turns(1)
        self.assertEqual(protocol.data, data)
        self.assertIn(78 * 1024, {len(chunk) for chunk in protocol.chunks})
        protocol.chunks.clear()
        self.turns(5)
        spare = self.reactor.engine.completions
        peer.sendall(b"little")
        self.spin(lambda: protocol.chunks)
        self.assertEqual(protocol.data, b"little")
        self.assertEqual(self.reactor.engine.completions - spare, 1)
        peer.close()
        self.spin(lambda: protocol.lost)

    def test_whoFindsNoBufferIsParkedAndDoesNotSpin(self) -> None:
        """A storm on two buffers: all is delivered, in a bounded number of turns."""
        self.reactor = self.makeReactor(buffers=2, size=64)
        port = self.listen()
        pairs = [self.pair(port=port) for _ in range(100)]
        for n, (_, peer) in enumerate(pairs):
            peer.sendall(b"%3d" % n * 100)
        before = self.reactor.engine.enters
        self.spin(lambda: all(len(p.data) == 300 for p, _ in pairs), 1)
        self.assertEqual(self.reactor.engine.starvations > 0, not self.epoll)
        # 500 buffers full, two at a time; each turn is two calls outside run().
        self.assertLess(self.reactor.engine.enters - before, 2000)
        for n, (protocol, _) in enumerate(pairs):
            self.assertEqual(protocol.data, b"%3d" % n * 100)
        # And when all is quiet, it is quiet here.
        before = self.reactor.engine.enters
        self.reactor.iterate(0.2)
        self.assertLessEqual(self.reactor.engine.enters - before, 2)

    def test_theHeadIsAdvancedBeforePythonIsCalled(self) -> None:
        """Who runs the reactor from inside a callback sees each completion once."""
        depth = [0]
        deepest = [0]

        class Nesting(Recorder):
            def dataReceived(nested, data: bytes) -> None:
                super().dataReceived(data)
                depth[0] += 1
                deepest[0] = max(depth)
                if depth[0] < 50:
                    self.reactor.iterate(0)
                nested.transport.write(data)
                depth[0] -= 1

        port = self.listen(Nesting)
        pairs = [self.pair(port=port) for _ in range(40)]
        for _ in range(5):
            for n, (_, peer) in enumerate(pairs):
                peer.sendall(b"%4d" % n)
            self.turns(3)
        self.spin(lambda: all(len(p.data) == 20 for p, _ in pairs))
        self.turns(2)
        for n, (protocol, peer) in enumerate(pairs):
            self.assertEqual(protocol.data, b"%4d" % n * 5)
            self.assertEqual(drained(peer, 20), b"%4d" % n * 5)
        if not self.epoll:  # where the events of a turn have been fetched before
            self.assertGreater(deepest[0], 1)

    def test_anOverflowingCompletionQueueLosesNothing(self) -> None:
        """The kernel keeps the rest aside, and a multishot that it ended is armed again."""
        self.reactor = self.makeReactor(entries=8, completions=16, buffers=256, size=64)
        port = self.listen()
        pairs = [self.pair(port=port) for _ in range(100)]
        for round in range(10):
            for _, peer in pairs:
                peer.sendall(b"%9d" % round * 20)
            self.turns(1)
        self.spin(lambda: all(len(p.data) == 1800 for p, _ in pairs))
        self.assertEqual(self.reactor.engine.overflows > 0, not self.epoll)
        for protocol, _ in pairs:
            self.assertEqual(protocol.data, b"".join(b"%9d" % r * 20 for r in range(10)))

    def test_aSilentSendFallingShortOverflowsToo(self) -> None:
        """It is not taken for finished while its completion is kept aside."""
        self.reactor = self.makeReactor(entries=8, completions=16, buffers=256, size=64)

        class Echo(Recorder):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                self.transport.write(data * 200)

        port = self.listen(Echo)
        pairs = [self.pair(port=port) for _ in range(60)]
        for protocol, peer in pairs:
            protocol.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            peer.setblocking(False)
        got = [bytearray() for _ in pairs]
        for round in range(10):
            for _, peer in pairs:
                peer.sendall(b"%63d" % round)
            self.turns(1)

        def all() -> bool:
            for (_, peer), buffer in zip(pairs, got, strict=True):
                try:
                    buffer.extend(peer.recv(5000))
                except BlockingIOError:
                    pass
            return sum(map(len, got)) == 60 * 10 * 63 * 200

        self.spin(all, 0)
        for buffer, (protocol, _) in zip(got, pairs, strict=True):
            self.assertEqual(len(buffer), 126000)
            self.assertEqual(buffer[-63:], b"%63d" % 9)
            self.assertEqual(len(protocol.data), 630)

    def test_anExceptionLosesItsConnectionAlone(self) -> None:
        """It is logged, and the others go on."""

        class Raising(Recorder):
            def dataReceived(self, data: bytes) -> None:
                raise ZeroDivisionError(data)

        port = self.listen(Raising)
        raising, peer = self.pair(port=port)
        port.factory.build = Recorder
        calm, other = self.pair(port=port)
        peer.sendall(b"!")
        other.sendall(b"!")
        self.spin(lambda: raising.lost and calm.data)
        raising.lost.trap(ZeroDivisionError)
        self.assertIsNone(calm.lost)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


on_epoll_too(globals())
