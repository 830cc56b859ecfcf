"""The rules of using io_uring, one test each. See docs/explanation/reactor.md for their reasons."""

from __future__ import annotations

import gc
import os
import time
import weakref
from pathlib import Path
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol

from tests.integration.reactor_harness import Keeper, ReactorTestCase, drained, on_epoll_too


class SubmissionTests(ReactorTestCase):
    """Set-up and submission."""

    def test_oneSystemCallATurn(self) -> None:
        """Whatever is written in a turn goes out with the wait, in one call."""
        port = self.listen()
        pairs = [self.pair(port=port) for _ in range(20)]
        self.turns(3)
        self.reactor.engine.begin()  # as under run(): the next turn is certain
        before = self.reactor.engine.enters
        for protocol, _ in pairs:
            for _ in range(10):
                protocol.transport.write(b"x" * 7)
        self.reactor.iterate(0)
        self.assertEqual(self.reactor.engine.enters - before, 1)
        self.reactor.engine.end()
        for _, peer in pairs:
            self.assertEqual(drained(peer, 70), b"x" * 70)

    def test_oneAlarmForManyTurns(self) -> None:
        """The kernel is told when to wake us once, not in each turn; and anew for a time before."""
        engine = self.reactor.engine
        self.turns(2)
        before = engine.alarms
        began = time.monotonic()
        for _ in range(50):
            self.reactor.callFromThread(lambda: None)
            self.reactor.doIteration(10)
        self.assertEqual(engine.alarms - before, 1)
        for count in (2, 3):  # earlier; and again when that is over
            end = time.monotonic() + 0.05
            while (left := end - time.monotonic()) > 0:  # it may be woken for nothing
                self.reactor.doIteration(left)
            self.assertEqual(engine.alarms - before, count)
        self.assertLess(time.monotonic() - began, 9)

    def test_waitsAsLongAsAsked(self) -> None:
        """Short or long, whatever was waited for before; longer ones may once be cut short."""
        self.turns(2)
        for seconds in (0.1, 0.0005, 0.03, 0.01, 0.002, 0.06, 0.0019):
            end = time.monotonic() + seconds
            turns = 0
            while (left := end - time.monotonic()) > 0:
                self.reactor.doIteration(left)
                # On a busy machine a wait may end so early that the rest is a few turns' own time.
                turns += left > 0.0002
            self.assertLess(time.monotonic() - end, 0.05)
            self.assertLessEqual(turns, 3)

    def test_theRingIsMadeByTheFirstTurn(self) -> None:
        """Not with the reactor: what forks, or changes threads, before it runs, may."""
        self.listen()
        self.assertEqual(self.reactor.engine.descriptor, -1)
        self.turns(1)
        self.assertGreater(self.reactor.engine.descriptor, -1)

    def test_theRingIsNotInherited(self) -> None:
        """Its descriptor is closed on exec."""
        self.turns(1)
        self.assertFalse(os.get_inheritable(self.reactor.engine.descriptor))

    def test_nothingIsLinkedButTheCLibrary(self) -> None:
        """No liburing, neither to build nor to run."""
        from subproxy.reactor import _ring

        self.assertNotIn(b"liburing", Path(_ring.__file__).read_bytes())

    def test_aFullSubmissionQueueIsSubmitted(self) -> None:
        """More entries in a turn than the queue has room for."""
        self.reactor = self.makeReactor(entries=4)
        port = self.listen()
        pairs = [self.pair(port=port) for _ in range(30)]
        for protocol, _ in pairs:
            protocol.transport.write(b"all of it")
        self.turns(1)
        for _, peer in pairs:
            self.assertEqual(drained(peer, 9), b"all of it")

    def test_epollIsPolledOnceATurn(self) -> None:
        """A descriptor of somebody else's that stays readable is told so every turn."""
        seen: list[int] = []

        class Stubborn(FileDescriptor):
            def fileno(self) -> int:
                return reader

            def doRead(self) -> None:
                seen.append(1)

        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        stubborn = Stubborn(self.reactor)
        self.reactor.addReader(stubborn)
        os.write(writer, b"!")
        self.turns(1)
        self.spin(lambda: seen)
        before = len(seen)
        self.turns(5)
        self.reactor.removeReader(stubborn)
        self.assertGreaterEqual(len(seen) - before, 4)


class LifetimeTests(ReactorTestCase):
    """User data is a counted object; a descriptor is closed in order."""

    def test_userDataIsACountedObject(self) -> None:
        """A connection lives while the kernel has an operation of it, and no longer."""
        protocol, peer = self.pair()
        self.turns(1)
        alive = weakref.ref(protocol.transport)
        protocol.factory.built.clear()
        heard = protocol.chunks
        del protocol
        gc.collect()
        self.assertIsNotNone(alive())
        peer.sendall(b"still there?")
        self.spin(lambda: heard)
        peer.close()
        self.spin(lambda: (gc.collect(), alive() is None)[1])

    def test_aClosedDescriptorsNumberIsNotHitByWhatWasQueued(self) -> None:
        """Closing cancels nothing by itself: the next owner of the number is left alone."""
        port = self.listen()
        numbers = set()
        for i in range(500):
            protocol, peer = self.pair(port=port)
            old = protocol.transport.fileno()
            # In one turn: a send, a pause, a resumption, and the end.
            protocol.transport.write(b"old %d" % i * 2000)
            protocol.transport.pauseProducing()
            protocol.transport.resumeProducing()
            protocol.transport.abortConnection()
            self.spin(lambda p=protocol: p.lost, 0)
            successor, other = self.pair(port=port)
            # Either end of the new connection may have it: both are of this process.
            numbers.add(old in (successor.transport.fileno(), other.fileno()))
            other.sendall(b"new")
            self.spin(lambda p=successor: p.data == b"new", 0)
            successor.transport.write(b"answer")
            self.turns(1)
            self.assertEqual(drained(other, 6), b"answer")
            self.assertIsNone(successor.lost)
            other.close()
            peer.close()
            self.spin(lambda p=successor: p.lost, 0)
            port.factory.built.clear()
        self.assertIn(True, numbers, "no number was ever used again: this tested nothing")

    def test_theSocketIsClosedWhenTheConnectionIs(self) -> None:
        """The peer hears of it, and the number is free."""
        protocol, peer = self.pair()
        handle = protocol.transport.getHandle()
        protocol.transport.loseConnection()
        self.spin(lambda: protocol.lost)
        self.assertEqual(peer.recv(10), b"")
        self.assertEqual(handle.fileno(), -1)
        protocol.lost.trap(ConnectionDone)

    def test_nothingIsMadeThatIsNotAskedFor(self) -> None:
        """No socket object, no strings: an idle connection costs its protocol and a struct."""
        protocol, peer = self.pair()
        self.assertEqual(vars(protocol.transport), {})
        self.assertIn("Recorder #0 on", repr(protocol.transport))
        self.assertEqual(protocol.transport.getPeer().port, peer.getsockname()[1])
        self.assertEqual(protocol.transport.getHost().port, peer.getpeername()[1])


class AcceptingTests(ReactorTestCase):
    """One multishot accept a port."""

    def test_stoppedPortsConnectionsAreKeptForItsResumption(self) -> None:
        """What the kernel had accepted is delivered when the port accepts again."""
        port = self.listen()
        self.turns(2)
        peers = [self.dial(port) for _ in range(5)]
        port.pauseProducing()
        self.turns(5)
        seen = len(port.factory.built)
        port.resumeProducing()
        self.spin(lambda: len(port.factory.built) == 5)
        self.assertEqual(seen, 0)
        for peer in peers:
            peer.sendall(b"hello")
        self.spin(lambda: all(p.data == b"hello" for p in port.factory.built))

    def test_aPortsAddressIsFreeWhenItHasStopped(self) -> None:
        """Who waits for stopListening may bind it again at once, ten times over."""
        for _ in range(10):
            port = self.listen()
            number = port.getHost().port
            self.turns(1)
            done: list[Any] = []
            port.stopListening().addCallback(done.append)
            self.spin(lambda done=done: done)
            again = self.reactor.listenTCP(number, Keeper(), interface="127.0.0.1")
            self.turns(1)
            again.stopListening()
            self.turns(3)

    def test_refusedConnectionsAreClosed(self) -> None:
        """Where the factory returns None, or raises."""
        answers: list[Any] = [None, ZeroDivisionError()]

        class Refusing(Keeper):
            def buildProtocol(self, addr: Any) -> Protocol:
                answer = answers.pop(0)
                if answer is None:
                    return None  # type: ignore[return-value]
                raise answer

        port = self.reactor.listenTCP(0, Refusing(), interface="127.0.0.1")
        for _ in range(2):
            peer = self.dial(port)
            count = len(answers)
            self.spin(lambda count=count: len(answers) < count)
            self.assertEqual(peer.recv(1), b"")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


on_epoll_too(globals())
