"""The accept loop: never paused, and nothing that a stranger does ends it."""

from __future__ import annotations

import os
import socket
from errno import ECONNABORTED, EINTR, EMFILE, ENOBUFS
from typing import Any

from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock, StringTransport
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from subproxy.endpoints.addresses import VsockAddress
from subproxy.endpoints.listening import REFUSALS, REST, SLICE, ListeningSocketPort
from tests.rigs.endpoint_fakes import FakeListener


class Served(Protocol):
    pass


class PortTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.reactor.advance(1000)
        self.listener = FakeListener()
        self.addCleanup(self.listener.close)
        self.served: list[Served] = []
        self.factory = Factory()
        self.factory.noisy = False
        self.factory.buildProtocol = self.build  # type: ignore[method-assign,assignment]
        self.closings: list[str] = []
        self.port = ListeningSocketPort(
            self.listener,  # type: ignore[arg-type]
            self.factory,
            VsockAddress(2, 12345),
            self.admit,
            self.reactor,
            lambda: self.closings.append("open" if not self.listener.closed else "closed"),
        )
        self.observer = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)

    def admit(self, skt: socket.socket, raw: Any) -> IAddress | None:
        return None if raw[0] == 0 else VsockAddress(*raw)

    def build(self, address: Any) -> Served | None:
        if address.cid == 99:
            return None
        if address.cid == 98:
            raise RuntimeError("a bug of the application")
        served = Served()
        self.served.append(served)
        return served

    def lines(self, part: str) -> list[str]:
        texts = [formatEvent(event) for event in self.observer]
        return [text for text in texts if part in text]

    def arrive(self, *cids: int) -> list[socket.socket]:
        guests = [self.listener.arrive(cid) for cid in cids]
        for guest in guests:
            self.addCleanup(guest.close)
        return guests

    def start(self) -> None:
        self.port.startListening()
        self.addCleanup(self.closeAll)

    def closeAll(self) -> None:
        self.port._reserve.release()
        for served in self.served:
            transport: Any = served.transport
            if not transport.disconnected:
                transport.socket.close()


class AcceptTests(PortTestCase):
    def test_interface(self) -> None:
        """It is a listening port."""
        verifyObject(IListeningPort, self.port)

    def test_startsReading(self) -> None:
        """Once it listens it reads."""
        self.start()
        self.assertIn(self.port, self.reactor.getReaders())
        self.assertEqual(self.port.getHost(), VsockAddress(2, 12345))
        self.assertTrue(self.lines("starting on VsockAddress(host, 12345)"))

    def test_accepts(self) -> None:
        """All that wait are accepted in one turn."""
        self.start()
        self.arrive(10, 11, 12)
        self.port.doRead()
        transports: list[Any] = [served.transport for served in self.served]
        self.assertEqual([t.getPeer().cid for t in transports], [10, 11, 12])
        self.assertEqual(transports[0].getHost(), VsockAddress(2, 12345))
        self.assertEqual(repr(transports[1]), "<Served #2 on 12345>")

    def test_reactorsOwnTransport(self) -> None:
        """A reactor that has transports of its own makes the transport."""
        adopted: list[Any] = []

        def adopt(skt: socket.socket, *rest: Any) -> StringTransport:
            skt.close()
            adopted.append(rest)
            return StringTransport()

        self.port._adopt = adopt
        self.start()
        self.arrive(10)
        self.port.doRead()
        served = self.served[0]
        self.assertEqual(
            adopted, [(served, VsockAddress(10, 1024), VsockAddress(2, 12345), self.port, 1)]
        )
        self.assertIsInstance(served.transport, StringTransport)
        self.served.clear()

    def test_shared_turns(self) -> None:
        """Ports of one factory share a turn of the reactor: who comes late waits for its turn."""

        class Spent:
            waiting: list[Any] = []
            is_spent = True

            def exhausted(self) -> bool:
                return self.is_spent

            def defer(self, turn: Any) -> None:
                self.waiting.append(turn)

        turns = self.port._turns = Spent()
        self.start()
        self.arrive(3)
        self.port.doRead()
        self.assertEqual((len(self.served), len(turns.waiting)), (0, 1))
        # It is known to be ready: it need not be asked again.
        self.assertNotIn(self.port, self.reactor.getReaders())
        turns.waiting.pop()()
        self.assertEqual(len(self.served), 1)
        self.assertIn(self.port, self.reactor.getReaders())
        self.arrive(3)
        turns.is_spent = False
        self.port.doRead()
        self.assertEqual(len(self.served), 2)
        turns.is_spent = True
        self.port.doRead()
        self.port.stopListening()
        turns.waiting.pop()()
        self.assertNotIn(self.port, self.reactor.getReaders())

    def test_slice(self) -> None:
        """Accepting takes no longer than a share of a turn."""
        self.start()
        self.factory.buildProtocol = self.slowly  # type: ignore[method-assign,assignment]
        self.arrive(*[3] * 30)
        self.port.doRead()
        self.assertEqual(len(self.served), 11)
        self.port.doRead()
        self.assertEqual(len(self.served), 22)

    def slowly(self, address: Any) -> Served | None:
        self.reactor.advance(SLICE / 10.5)
        return self.build(address)

    def test_bounded(self) -> None:
        """A flood does not hold the reactor: the bound of a turn grows with the traffic."""
        self.start()
        self.arrive(*[10] * 250)
        for accepted in (100, 220, 250):
            self.port.doRead()
            self.assertEqual(len(self.served), accepted)
            self.assertIn(self.port, self.reactor.getReaders())

    def test_refused(self) -> None:
        """Who is not admitted, and whom the factory does not want, is closed."""
        self.start()
        for guest in self.arrive(0, 99):
            self.port.doRead()
            self.assertEqual(guest.recv(1), b"")
        self.assertEqual(self.served, [])

    def test_floodOfOne(self) -> None:
        """Of a VM that has the port for itself few are refused in a row; then it waits a moment."""
        self.port.alone = True
        self.start()
        guests = self.arrive(*[99] * (REFUSALS + 1), 10)
        self.port.doRead()
        self.assertEqual(guests[REFUSALS - 1].recv(1), b"")
        self.assertEqual(len(self.listener.waiting), 2)
        self.assertNotIn(self.port, self.reactor.getReaders())
        self.port.doRead()
        self.assertEqual(len(self.listener.waiting), 2)
        self.reactor.advance(REST)
        self.assertIn(self.port, self.reactor.getReaders())
        self.port.doRead()
        self.assertEqual(len(self.served), 1)

    def test_refusedNowAndThen(self) -> None:
        """That is no flood."""
        self.port.alone = True
        self.start()
        self.arrive(*[99, 99, 99, 10] * REFUSALS)
        self.port.doRead()
        self.assertEqual(len(self.served), REFUSALS)

    def test_floodOfMany(self) -> None:
        """A port that many VMs share never rests."""
        self.start()
        self.arrive(*[99] * 3 * REFUSALS)
        self.port.doRead()
        self.assertEqual(len(self.listener.waiting), 0)
        self.assertIn(self.port, self.reactor.getReaders())

    def test_retiresWhileItRests(self) -> None:
        """Then it does not begin again; nor does one that is closed."""
        self.port.alone = True
        self.start()
        self.arrive(*[99] * 3 * REFUSALS)
        self.port.doRead()
        self.port.retire()
        self.reactor.advance(REST)
        self.assertNotIn(self.port, self.reactor.getReaders())
        self.port.startReading()
        self.port.doRead()
        self.port.stopListening()
        self.reactor.advance(REST)
        self.assertNotIn(self.port, self.reactor.getReaders())
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_bugOfTheFactory(self) -> None:
        """An exception costs the one connection, and is logged."""
        self.start()
        broken, fine = self.arrive(98, 10)
        self.port.doRead()
        self.assertEqual(broken.recv(1), b"")
        self.assertEqual(len(self.served), 1)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        fine.send(b"x")

    def test_passingErrors(self) -> None:
        """A connection that ends while it waits does not keep the next from being accepted."""
        self.start()
        self.listener.waiting.extend([OSError(ECONNABORTED, "gone"), OSError(EINTR, "signal")])
        self.arrive(10)
        self.port.doRead()
        self.assertEqual(len(self.served), 1)

    def test_otherErrors(self) -> None:
        """Any other error is logged, ten times a second at most, and does not end it."""
        self.start()
        for _ in range(30):
            self.listener.waiting.append(OSError(ENOBUFS, "no memory"))
            self.port.doRead()
        self.assertEqual(len(self.lines("accept failed: ENOBUFS")), 10)
        self.assertIn(self.port, self.reactor.getReaders())

    def test_stoppedByAProtocol(self) -> None:
        """A port that is closed while it accepts stops there."""
        self.start()
        build = self.build

        def closing(address: Any) -> Any:
            self.port.connectionLost(None)  # type: ignore[arg-type]
            return build(address)

        self.factory.buildProtocol = closing  # type: ignore[method-assign]
        self.arrive(10, 11)
        self.port.doRead()
        self.assertEqual(len(self.served), 1)


class NoDescriptorTests(PortTestCase):
    def test_shed(self) -> None:
        """Without a descriptor those who wait are closed, so that no backlog fills up."""
        self.start()
        self.listener.waiting.append(OSError(EMFILE, "too many open files"))
        guests = self.arrive(10, 11, 12)
        self.port.doRead()
        for guest in guests:
            self.assertEqual(guest.recv(1), b"")
        self.assertEqual(self.served, [])
        self.assertEqual(
            self.lines("no descriptor left"),
            ["VsockAddress(host, 12345): no descriptor left (EMFILE): 3 connections closed"],
        )

    def test_recovers(self) -> None:
        """When there are descriptors again, guests are served again."""
        self.start()
        self.listener.waiting.append(OSError(EMFILE, "too many open files"))
        self.arrive(10)
        self.port.doRead()
        self.arrive(11)
        self.port.doRead()
        self.assertEqual(len(self.served), 1)

    def test_noReserve(self) -> None:
        """If even the reserve can't be had, it waits for the next turn."""

        def none(*_: object) -> int:
            raise OSError(EMFILE, "too many open files")

        self.patch(os, "open", none)
        self.start()
        self.listener.waiting.append(OSError(EMFILE, "too many open files"))
        self.arrive(10)
        self.port.doRead()
        self.assertEqual(len(self.listener.waiting), 1)
        self.assertTrue(self.lines("0 connections closed"))

    def test_logged(self) -> None:
        """A burst is ten lines a second at most."""
        self.start()
        for _ in range(100):
            self.listener.waiting.append(OSError(EMFILE, "too many open files"))
            self.port.doRead()
        self.assertEqual(len(self.lines("no descriptor left")), 10)


class StopTests(PortTestCase):
    def test_stop(self) -> None:
        """Its name is withdrawn while it still listens; then it is closed."""
        self.start()
        stopped = self.port.stopListening()
        self.reactor.advance(0)
        self.successResultOf(stopped)
        self.assertEqual(self.closings, ["open"])
        self.assertTrue(self.listener.closed)
        self.assertNotIn(self.port, self.reactor.getReaders())
        self.assertIn("(not listening)", repr(self.port))

    def test_withdrawalFails(self) -> None:
        """If the name can't be withdrawn it is closed nevertheless."""

        def fail() -> None:
            raise PermissionError(13, "Permission denied")

        self.port._onClosing = fail
        self.start()
        stopped = self.port.stopListening()
        self.reactor.advance(0)
        self.successResultOf(stopped)
        self.assertTrue(self.listener.closed)
        self.assertEqual(len(self.flushLoggedErrors(PermissionError)), 1)
