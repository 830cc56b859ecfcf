"""Whose turn it is among relays."""

from __future__ import annotations

import os
import select

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from subproxy.relay.pump import Pump

from .test_relay_splice import Readiness, open_descriptors


class Some:
    """Has so many bytes to move."""

    def __init__(self, left: int, log: list[Some]) -> None:
        self.queued = False
        self.left = left
        self.looks = 0
        self.failures = 0
        self._log = log

    def failed(self) -> None:
        self.failures += 1

    def step(self, budget: int, others: object = None) -> tuple[int, bool]:
        self._log.append(self)
        moved = min(budget, self.left)
        self.left -= moved
        if not moved and self.looks:
            self.looks -= 1
            return 0, True
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

    def test_looks_again(self) -> None:
        """Who wants to look again is asked in the next turn, not in this one."""
        one = Some(0, self.log)
        one.looks = 3
        self.pump.enqueue(one)
        for turn in range(4):
            self.assertEqual(len(self.log), turn)
            self.assertTrue(self.reactor.turn())
        self.assertFalse(self.reactor.turn())

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
        self.patch(bad, "step", lambda budget, others: 1 // 0)
        self.pump.enqueue(bad)
        self.pump.enqueue(good)
        self.reactor.turn()
        self.assertEqual((good.left, good.failures, bad.failures), (0, 0, 1))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_failure_that_fails(self) -> None:
        """Nor does one that cannot even be ended."""
        bad, good = Some(10, self.log), Some(10, self.log)
        self.patch(bad, "step", lambda budget, others: 1 // 0)
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
