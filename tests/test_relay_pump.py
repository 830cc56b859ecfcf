"""Whose turn it is among relays."""

from __future__ import annotations

import os
import select

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from subproxy.relay.pump import MOST, Pump

from .test_relay_splice import Readiness, open_descriptors


class Some:
    """Has so many bytes to move."""

    def __init__(self, left: int, log: list[Some]) -> None:
        self.queued = False
        self.left = left
        self.failures = 0
        self.rests = 0
        self._log = log

    def failed(self) -> None:
        self.failures += 1

    def rest(self) -> None:
        self.rests += 1

    def step(self, budget: int) -> tuple[int, bool]:
        self._log.append(self)
        moved = min(budget, self.left)
        self.left -= moved
        return moved, self.left > 0


class PumpTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.before = open_descriptors()
        self.reactor = Readiness()
        self.pump = Pump(self.reactor, 100, 30)
        self.log: list[Some] = []

    def tearDown(self) -> None:
        self.pump.close()
        self.assertEqual((self.reactor.readers, open_descriptors()), ([], self.before))

    def test_shares(self) -> None:
        """In turn, a step each, and no more than a turn in all; then on from there, or alone."""
        one, two = Some(95, self.log), Some(1000, self.log)
        self.pump.enqueue(one)
        self.pump.enqueue(two)
        self.pump.enqueue(one)
        self.assertTrue(self.reactor.turn())
        self.assertEqual(self.log, [one, two, one, two])
        self.assertEqual((one.left, two.left), (35, 960))
        self.assertTrue(self.reactor.turn())
        self.assertEqual(self.log[4:], [one, two, one, two])
        while self.reactor.turn():
            pass
        self.assertEqual((one.left, two.left), (0, 0))

    def test_sleeps(self) -> None:
        """With nobody in the queue the reactor has nothing to do for it."""
        self.pump.enqueue(Some(10, self.log))
        self.assertTrue(self.reactor.turn())
        self.assertFalse(self.reactor.turn())

    def test_rests(self) -> None:
        """Who had no more to move is told when the turn is over; who had comes again."""
        one, two = Some(10, self.log), Some(1000, self.log)
        self.pump.enqueue(one)
        self.pump.enqueue(two)
        self.reactor.turn()
        self.assertEqual((one.rests, two.rests), (1, 0))

    def test_a_rest_that_fails(self) -> None:
        """It is logged, and ends its relay."""
        bad, good = Some(10, self.log), Some(10, self.log)
        self.patch(bad, "rest", lambda: 1 // 0)
        self.pump.enqueue(bad)
        self.pump.enqueue(good)
        self.reactor.turn()
        self.assertEqual((bad.failures, good.failures, good.rests), (1, 0, 1))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_closed_amid(self) -> None:
        """Whoever is asked may close it."""
        one = Some(10, self.log)
        self.patch(one, "step", lambda budget: (self.pump.close(), (0, True))[1])
        self.pump.enqueue(one)
        self.assertTrue(self.reactor.turn())
        self.assertEqual(self.pump.fileno(), -1)

    def test_goes_on_alone(self) -> None:
        """While nobody else waits there are more turns in one, but not for ever."""
        reactor = EPollReactor()
        self.addCleanup(reactor._poller.close)
        for fd in reactor._internalReaders:
            self.addCleanup(fd.connectionLost, None)
        pump = Pump(reactor, 100, 30)
        one = Some(10 * MOST, self.log)
        pump.enqueue(one)
        pump.doRead()
        self.assertEqual(10 * MOST - one.left, MOST + -MOST % 100)
        reactor.wakeUp()
        before = one.left
        pump.doRead()
        self.assertEqual(before - one.left, 100)
        one.left = 10
        pump.doRead()
        self.assertEqual((one.left, one.rests), (0, 1))
        pump.close()

    def test_watch(self) -> None:
        """What becomes ready is asked once for each time that it does, until it is forgotten."""
        reading, writing = os.pipe2(os.O_NONBLOCK)
        self.addCleanup(os.close, reading)
        self.addCleanup(os.close, writing)
        one = Some(5, self.log)
        self.pump.watch(reading, select.EPOLLIN, one)
        self.assertFalse(self.reactor.turn())
        os.write(writing, b"x")
        self.assertTrue(self.reactor.turn())
        self.assertFalse(self.reactor.turn())
        self.assertEqual((one.left, len(self.log)), (0, 1))
        os.write(writing, b"x")
        self.assertTrue(self.reactor.turn())
        self.pump.forget(reading)
        self.pump.forget(reading)
        os.write(writing, b"x")
        self.assertFalse(self.reactor.turn())
        self.assertEqual(len(self.log), 2)

    def test_a_failure(self) -> None:
        """It is logged, ends its relay, and takes nothing from the others."""
        bad, good = Some(10, self.log), Some(10, self.log)
        self.patch(bad, "step", lambda budget: 1 // 0)
        self.pump.enqueue(bad)
        self.pump.enqueue(good)
        self.reactor.turn()
        self.assertEqual((good.left, good.failures, bad.failures), (0, 0, 1))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_failure_that_fails(self) -> None:
        """Nor does one that cannot even be ended."""
        bad, good = Some(10, self.log), Some(10, self.log)
        self.patch(bad, "step", lambda budget: 1 // 0)
        self.patch(bad, "failed", [].pop)
        self.pump.enqueue(bad)
        self.pump.enqueue(good)
        self.reactor.turn()
        self.assertEqual(good.left, 0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(self.flushLoggedErrors(IndexError)), 1)

    def test_describes_itself(self) -> None:
        """As a reactor wants it."""
        self.assertEqual((self.pump.fileno(), self.pump.logPrefix()), (-1, "relays"))
        self.pump.connectionLost(Failure(ConnectionDone()))
        self.pump.enqueue(Some(0, self.log))
        self.assertGreaterEqual(self.pump.fileno(), 0)
