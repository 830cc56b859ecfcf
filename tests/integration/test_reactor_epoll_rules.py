"""The rules of the compiled epoll reactor alone: see docs/explanation/reactor.md."""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionLost

from subproxy.reactor.epoll_reactor import CompiledEpollReactor
from tests.integration.reactor_harness import Keeper, ReactorTestCase, Recorder, drained, reset


class Interrupted(CompiledEpollReactor):
    """A reactor whose other descriptors are interrupted once."""

    interrupt = False

    def _poll_epoll(self) -> None:
        super()._poll_epoll()
        if self.interrupt:
            self.interrupt = False
            raise KeyboardInterrupt


class EpollTestCase(ReactorTestCase):
    epoll = True

    def unix(self) -> tuple[Any, socket.socket]:
        """A protocol on one end of a UNIX connection, and the other."""
        ours, peer = socket.socketpair()
        self.addCleanup(peer.close)
        protocol = Recorder()
        transport = self.reactor.adoptStreamSocket(ours, protocol, "peer", "host")
        protocol.makeConnection(transport)
        return protocol, peer


class ReadinessTests(EpollTestCase):
    """What is told once, and of what."""

    def test_whoIsNotReadIsToldOfOnce(self) -> None:
        """However much comes; and what has come is there when it reads again."""
        protocol, peer = self.pair()
        protocol.transport.pauseProducing()
        self.turns(2)
        before = self.reactor.engine.events
        for n in range(20):
            peer.sendall(b"%02d" % n)
            self.turns(2)
        self.assertLessEqual(self.reactor.engine.events - before, 2)
        protocol.transport.resumeProducing()
        self.spin(lambda: len(protocol.data) == 40)
        self.assertEqual(protocol.data, b"".join(b"%02d" % n for n in range(20)))
        peer.sendall(b"more")
        self.spin(lambda: protocol.data.endswith(b"more"))

    def test_anIdleReactorHearsNothing(self) -> None:
        """Also after a socket was full, and of a UNIX socket whose peer reads."""
        protocol, peer = self.unix()
        protocol.transport.write(b"x" * 4000000)
        got = 0
        while got < 4000000:
            self.turns(1)
            got += len(peer.recv(65536))
        protocol.transport.write(b"y")
        self.turns(3)
        peer.sendall(b"?")
        self.spin(lambda: protocol.data == b"?")
        before = self.reactor.engine.events
        for _ in range(10):
            protocol.transport.write(b"y")
            self.turns(1)
        drained(peer, 11)
        self.turns(2)
        self.assertLessEqual(self.reactor.engine.events - before, 1)

    def test_whatIsBehindDescriptors(self) -> None:
        """A receive ends where some were sent along; they are closed, and the rest is received."""
        protocol, peer = self.unix()
        self.turns(2)
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        socket.send_fds(peer, [b"one"], [writing])
        peer.sendall(b"two")
        os.close(writing)
        self.spin(lambda: protocol.data == b"onetwo")
        self.assertEqual(os.read(reading, 1), b"")

    def test_whatIsBehindUrgentData(self) -> None:
        protocol, peer = self.pair()
        self.turns(2)
        peer.send(b"ab!", socket.MSG_OOB)
        peer.sendall(b"cd")
        self.spin(lambda: protocol.data == b"abcd")

    def test_theEndBehindABuffer(self) -> None:
        """Exactly full, or not: the end is heard of."""
        for size in (16384, 16385, 1):
            protocol, peer = self.pair()
            self.turns(2)
            peer.sendall(b"z" * size)
            peer.close()
            self.spin(lambda protocol=protocol: protocol.lost)
            self.assertEqual(len(protocol.data), size)

    def test_anAbortIsNoOrderlyEnd(self) -> None:
        """Though a send that failed before has taken the error along."""
        protocol, peer = self.pair()
        self.turns(2)
        reset(peer)
        protocol.transport.write(b"who is there?")
        self.spin(lambda: protocol.lost)
        protocol.lost.trap(ConnectionLost)


class LifetimeTests(EpollTestCase):
    """Events and what they are of."""

    def test_aCopyOfADescriptor(self) -> None:
        """One that is alive when the connection is closed wakes nobody."""
        protocol, peer = self.pair()
        self.turns(2)
        copy = os.dup(protocol.transport.fileno())
        self.addCleanup(os.close, copy)
        protocol.transport._shouldShutdown = False
        protocol.transport.loseConnection()
        self.spin(lambda: protocol.lost)
        self.turns(2)
        before = self.reactor.engine.events
        peer.sendall(b"is there anybody?")
        self.turns(3)
        self.assertEqual(self.reactor.engine.events, before)

    def test_closedByAnEarlierEvent(self) -> None:
        """Of the same turn: nothing is delivered to who is gone."""
        others: list[Any] = []

        class Killer(Recorder):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                for other in others:
                    if other is not self:
                        other.transport.abortConnection()

        port = self.listen(Killer)
        pairs = [self.pair(port=port) for _ in range(20)]
        others.extend(protocol for protocol, _ in pairs)
        self.turns(2)
        for _, peer in pairs:
            peer.sendall(b"bang")
        self.spin(lambda: sum(bool(p.lost) for p in others) >= 19)
        self.assertLessEqual(sum(bool(p.data) for p in others), 1)

    def test_anInterruptionLosesNoEvent(self) -> None:
        """What was told of along with it is delivered in the next turn."""
        reactor = Interrupted()
        self.addCleanup(self.unmakeReactor, reactor)
        self.reactor = reactor
        port = self.listen()
        pairs = [self.pair(port=port) for _ in range(10)]
        self.turns(2)
        reactor.wakeUp()
        for _, peer in pairs:
            peer.sendall(b"hello")
        reactor.interrupt = True
        with self.assertRaises(KeyboardInterrupt):
            self.turns(5)
        self.spin(lambda: all(p.data == b"hello" for p, _ in pairs))

    def test_aTurnThatLooksForOthersKeepsWhatItFinds(self) -> None:
        """C{pending} asks the kernel, which tells of an edge once."""
        protocol, peer = self.pair()
        self.turns(3)
        self.assertFalse(self.reactor.engine.pending)
        peer.sendall(b"hello")
        self.assertTrue(self.reactor.engine.pending)
        self.assertTrue(self.reactor.engine.pending)
        self.turns(1)
        self.assertEqual(protocol.data, b"hello")
        # And a connection that is closed in between is not looked for.
        peer.sendall(b"more")
        self.assertTrue(self.reactor.engine.pending)
        protocol.transport.abortConnection()
        self.spin(lambda: protocol.lost)
        self.assertEqual(protocol.data, b"hello")


class AcceptingTests(EpollTestCase):
    """Many at once, and who they are."""

    def test_aBurst(self) -> None:
        """All of them, in few turns."""
        port = self.listen()
        peers = [self.dial(port) for _ in range(200)]
        self.turns(12)
        self.assertEqual(len(port.factory.built), 200)
        names = {protocol.transport.getPeer() for protocol in port.factory.built}
        self.assertEqual(names, {IPv4Address("TCP", *peer.getsockname()) for peer in peers})

    def test_whoIsAcceptedLater(self) -> None:
        """Has its own name, not that of the last one."""
        port = self.listen()
        kept = Keeper()

        class Stopping(Recorder):
            def makeConnection(self, transport: Any) -> None:
                super().makeConnection(transport)
                port.stopReading()

        port.factory.build = Stopping
        first, second = self.dial(port), self.dial(port)
        self.turns(5)
        self.assertEqual(len(port.factory.built), 1)
        port.factory.build = kept.build
        port.startReading()
        self.turns(5)
        names = [protocol.transport.getPeer().port for protocol in port.factory.built]
        self.assertEqual(names, [first.getsockname()[1], second.getsockname()[1]])
