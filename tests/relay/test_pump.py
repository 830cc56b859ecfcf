"""The pump of relays in a reactor: what somebody raises, and what it leaves behind."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from subproxy.reactor.interfaces import IReactorReadiness
from subproxy.relay import pump
from subproxy.relay.flow import Outcome
from subproxy.relay.pump import ALONE, MOST, TOLD, Pump
from subproxy.relay.scheduler import SOURCE, PlainSpliceScheduler
from tests.relay.test_scheduler import Some
from tests.relay.test_splice import Readiness, open_descriptors


class Relay:
    """Whose a flow is."""

    def __init__(self, left: int, reads: bool = True) -> None:
        self.flow = Some(left, [])
        self.flow.relay = self
        self.flow.reads = reads
        self.heard: list[str] = []

    def rests(self) -> None:
        self.heard.append("rests")

    def stopped(self, outcome: Outcome) -> None:
        self.heard.append(outcome.name)

    def failed(self) -> None:
        self.heard.append("failed")


@implementer(IReactorReadiness)
class Watching(Readiness):
    """A reactor that watches one descriptor; and what that returns."""

    fd = -1
    wanted = stopped = False
    ready: Any

    def watchReadable(self, fd: int, ready: Any, name: str) -> Any:
        self.fd, self.ready = fd, ready
        return self

    def again(self) -> None:
        self.wanted = True

    def stop(self) -> None:
        self.stopped = True


class PumpTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(pump, "SpliceScheduler", PlainSpliceScheduler)
        self.sources: list[int] = []
        self.before = open_descriptors()
        self.reactor = Readiness()
        self.pump = Pump(self.reactor, 30, 100)

    def tearDown(self) -> None:
        self.pump.close()
        for each in self.sources:
            os.close(each)
        self.assertEqual((self.reactor.readers, open_descriptors()), ([], self.before))

    def relays(self, *lefts: int, reads: bool = True) -> list[Relay]:
        found = [Relay(left, reads) for left in lefts]
        for each in found:
            if reads:
                each.flow.source = os.eventfd(0)
                self.sources.append(each.flow.source)
                self.pump.watch(each.flow.source, SOURCE, each.flow)
            self.pump.enqueue(each.flow)
        return found

    def test_sleeps(self) -> None:
        """With nobody in the queue the reactor has nothing to do for it."""
        self.relays(10)
        self.assertTrue(self.reactor.turn())
        self.assertFalse(self.reactor.turn())

    def test_comes_again(self) -> None:
        """While somebody is in it, the reactor comes; who has no more is told."""
        one, two = self.relays(10, 250)
        self.assertTrue(self.reactor.turn())
        self.assertEqual((one.heard, two.heard, two.flow.left), (["rests"], ["rests"], 160))
        while self.reactor.turn():
            pass
        self.assertEqual((two.heard, two.flow.left), (3 * ["rests"], 0))

    def test_stopped(self) -> None:
        """Who can't go on is told why."""
        one, two = self.relays(10, 20, reads=False)
        self.reactor.turn()
        self.assertEqual((one.heard, two.heard), (["EMPTY", "rests"], ["EMPTY", "rests"]))

    def test_watch(self) -> None:
        """What is ready is asked, until it is forgotten."""
        reading, writing = os.pipe2(os.O_NONBLOCK)
        self.addCleanup(os.close, reading)
        self.addCleanup(os.close, writing)
        one = Relay(5)
        one.flow.source = reading
        self.pump.watch(reading, SOURCE, one.flow)
        self.assertFalse(self.reactor.turn())
        os.write(writing, b"x")
        self.assertTrue(self.reactor.turn())
        os.read(reading, 1)
        self.assertFalse(self.reactor.turn())
        self.assertEqual((one.flow.left, one.heard), (0, ["rests"]))
        os.write(writing, b"x")
        self.assertTrue(self.reactor.turn())
        self.pump.forget(reading)
        self.pump.forget(reading)
        os.write(writing, b"x")
        self.assertFalse(self.reactor.turn())
        self.assertEqual(len(one.heard), 2)

    def test_a_failure(self) -> None:
        """It is logged, ends its relay, and takes nothing from the others."""
        for what, reads, heard in (
            ("rests", True, ["failed"]),
            ("stopped", False, ["failed", "rests"]),
        ):
            bad, good = self.relays(10, 10, reads=reads)
            self.patch(bad, what, lambda *args: 1 // 0)
            self.reactor.turn()
            self.assertEqual((bad.heard, good.flow.left), (heard, 0))
            self.assertEqual(good.heard[-1], "rests")
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_failure_that_fails(self) -> None:
        """Nor does one that cannot even be ended."""
        bad, good = self.relays(10, 10)
        self.patch(bad, "rests", lambda: 1 // 0)
        self.patch(bad, "failed", [].pop)
        self.reactor.turn()
        self.assertEqual(good.heard, ["rests"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(self.flushLoggedErrors(IndexError)), 1)

    def test_closed_amid(self) -> None:
        """Whoever is told may close it."""
        one, two = self.relays(10, 10, reads=False)
        self.patch(one, "stopped", lambda outcome: self.pump.close())
        self.assertTrue(self.reactor.turn())
        self.assertEqual((self.pump.fileno(), two.heard), (-1, ["EMPTY"]))
        self.pump.forget(0)

    def test_goes_on_alone(self) -> None:
        """While nobody else waits there are more turns in one, but not for ever."""
        reactor: Any = EPollReactor()
        self.addCleanup(reactor._poller.close)
        for fd in reactor._internalReaders:
            self.addCleanup(fd.connectionLost, None)
        pump = Pump(reactor)
        one = Relay(10 * MOST)
        pump.enqueue(one.flow)
        pump.doRead()
        self.assertEqual((one.flow.given, one.heard), (MOST, []))
        pump.doRead()
        self.assertEqual(one.flow.given, MOST + ALONE)  # (it has made a timed call)
        reactor.timeout()
        pump.doRead()
        self.assertEqual(one.flow.given, 2 * MOST + ALONE)
        reactor.wakeUp()
        pump.doRead()
        self.assertEqual(one.flow.given, 2 * MOST + 2 * ALONE)
        pump.close()
        self.assertEqual(reactor.getDelayedCalls(), [])

    def test_told_in_time(self) -> None:
        """Whoever had a turn is told within a moment, once; a timed call for all."""
        one, two = self.relays(10, 20)
        for _ in range(3):
            self.pump.doRead()
        self.assertEqual((one.heard, len(self.reactor.getDelayedCalls())), ([], 1))
        self.reactor.advance(TOLD)
        self.assertEqual((one.heard, two.heard), (["rests"], ["rests"]))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_watched(self) -> None:
        """A reactor that can watch a descriptor does, in place of a reader and a bell."""
        reactor: Any = Watching()
        pump = Pump(reactor, 30, 100)
        one = Relay(250, reads=False)
        pump.enqueue(one.flow)
        self.assertEqual((reactor.fd, reactor.readers), (pump.fileno(), []))
        for given in (100, 200, 250):
            self.assertTrue(reactor.wanted)
            reactor.wanted = False
            reactor.ready()
            self.assertEqual(one.flow.given, given)
        self.assertFalse(reactor.wanted)
        pump.close()
        pump.close()
        self.assertTrue(reactor.stopped)

    def test_comes_back_once(self) -> None:
        """Who comes into the queue while its turn goes on has the reactor come back behind that."""
        reactor: Any = Watching()
        pump = Pump(reactor, 30, 100)
        self.addCleanup(pump.close)
        one, two = Relay(10, reads=False), Relay(10, reads=False)
        seen: list[bool] = []

        def stopped(outcome: Outcome) -> None:
            pump.enqueue(two.flow)
            seen.append(reactor.wanted)

        one.stopped = stopped  # type: ignore[method-assign]
        pump.enqueue(one.flow)
        for _ in range(2):
            self.assertTrue(reactor.wanted)
            reactor.wanted = False
            reactor.ready()
        self.assertEqual((seen, reactor.wanted, two.flow.given), ([False], False, 10))

    def test_amid_a_turn_that_breaks(self) -> None:
        """Who came into the queue before that has the reactor come back."""
        reactor: Any = Watching()
        pump = Pump(reactor, 30, 100)
        self.addCleanup(pump.close)

        def failing() -> None:
            pump.enqueue(Relay(10).flow)
            raise OSError(9, "Bad file descriptor")

        pump.scheduler()
        self.patch(PlainSpliceScheduler, "run", lambda self: failing())
        self.assertRaises(OSError, reactor.ready)
        self.assertTrue(reactor.wanted)

    def test_a_turn_that_breaks(self) -> None:
        """Whoever comes into the queue then has the reactor come back as ever."""
        reactor: Any = Watching()
        pump = Pump(reactor, 30, 100)
        self.addCleanup(pump.close)

        def failing() -> None:
            raise OSError(9, "Bad file descriptor")

        one = Relay(10)
        pump.enqueue(one.flow)
        self.patch(PlainSpliceScheduler, "run", lambda self: failing())
        self.assertRaises(OSError, reactor.ready)
        reactor.wanted = False
        pump.enqueue(Relay(10).flow)
        self.assertTrue(reactor.wanted)

    def test_no_descriptor(self) -> None:
        """Without one for the bell nothing is left open."""

        def failing(*args: int) -> int:
            raise OSError(24, "Too many open files")

        self.patch(os, "eventfd", failing)
        self.assertRaises(OSError, self.pump.enqueue, Relay(1).flow)
        self.assertEqual(open_descriptors(), self.before)

    def test_describes_itself(self) -> None:
        """As a reactor wants it."""
        self.assertEqual((self.pump.fileno(), self.pump.logPrefix()), (-1, "relays"))
        self.pump.connectionLost(Failure(ConnectionDone()))
        self.relays(0)
        self.assertGreaterEqual(self.pump.fileno(), 0)
