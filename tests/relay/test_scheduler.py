"""Whose turn it is among relays: how it is shared in Python; both kinds, on sockets."""

from __future__ import annotations

import os
import select
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.trial.unittest import SynchronousTestCase

from subproxy.relay.flow import Flow, Outcome, PlainFlow
from subproxy.relay.reactor_load import ReactorLoad
from subproxy.relay.scheduler import CALM, LOOKS, SOURCE, PlainSpliceScheduler, SpliceScheduler
from tests.relay.test_flow import Way

KINDS: list[tuple[Any, Any]] = list({(PlainFlow, PlainSpliceScheduler), (Flow, SpliceScheduler)})


class Some(PlainFlow):
    """Has so many bytes to move."""

    def __init__(self, left: int, log: list[Some]) -> None:
        super().__init__(-1, -1, -1, -1, 1, left)
        self._log = log

    __slots__ = ("_log",)

    def move(self, budget: int, most: int = 0) -> int:
        self._log.append(self)
        moved = min(budget, self.left)
        self.left -= moved
        self.given += moved
        return Outcome.SPENT if self.left else Outcome.EMPTY


class Nobody:
    """Nobody waits, so many times; then somebody does."""

    def __init__(self, times: int) -> None:
        self.times = times

    def has_pending_work(self) -> bool:
        self.times -= 1
        return self.times < 0


class Poller:
    """Of nothing that is ready."""

    def __init__(self) -> None:
        self.armed: list[tuple[int, int]] = []

    def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
        return []

    def modify(self, fd: int, events: int) -> None:
        self.armed.append((fd, events))


class SharingTests(SynchronousTestCase):
    """Who gets how much of a turn."""

    def setUp(self) -> None:
        self.log: list[Some] = []
        self.poller: Any = Poller()

    def rounds(self, others: Any = None, most: int = 1000) -> PlainSpliceScheduler:
        rounds = PlainSpliceScheduler(self.poller, others, 30, 100, most)
        rounds.begin()
        return rounds

    def some(self, left: int, reads: bool = True) -> Some:
        some = Some(left, self.log)
        some.reads = reads
        return some

    def test_shares(self) -> None:
        """In turn, a step each, and no more than a turn in all; then on from there, or alone."""
        rounds = self.rounds()
        one, two = self.some(95), self.some(1000)
        for each in (one, two, one):
            rounds.enqueue(each)
        self.assertEqual(rounds.run(), [])
        self.assertEqual(self.log, [one, two, one, two])
        self.assertEqual((one.left, two.left), (35, 960))
        self.assertTrue(rounds.over)
        rounds.begin()
        self.assertFalse(rounds.over)
        rounds.run()
        self.assertEqual(self.log[4:], [one, two, one, two])
        self.assertEqual((one.left, two.left, rounds.take()), (0, 900 - 5, [one, two]))
        rounds.run()
        self.assertEqual((self.log[8:], two.left), ([two], 795))
        self.assertEqual(self.poller.armed, [(-1, SOURCE)])

    def test_held_back(self) -> None:
        """Who is not to move does not, and leaves the queue."""
        rounds = self.rounds()
        one = self.some(10)
        rounds.enqueue(one)
        one.held_back = True
        self.assertEqual((rounds.run(), self.log, list(rounds.queue)), ([], [], []))

    def test_tells(self) -> None:
        """Who can't move and waits for nothing yet."""
        rounds = self.rounds()
        one = self.some(10, reads=False)
        rounds.enqueue(one)
        self.assertEqual(rounds.run(), [(one, Outcome.EMPTY)])

    def test_notes(self) -> None:
        """Who had a turn, once until that is taken."""
        rounds = self.rounds()
        one, two = self.some(1000), self.some(1000)
        rounds.enqueue(one)
        rounds.run()
        rounds.run()
        rounds.enqueue(two)
        self.assertEqual(rounds.take(), [one])
        rounds.run()
        self.assertEqual((rounds.take(), rounds.take()), ([one, two], []))

    def test_crowd(self) -> None:
        """For some time after somebody has waited rounds are short."""
        rounds = self.rounds(nobody := Nobody(0), most=100_000)
        one = self.some(100_000)
        rounds.enqueue(one)
        rounds.run()
        self.assertEqual((one.given, rounds.crowd), (100, CALM))
        nobody.times = CALM - 1
        rounds.run()
        self.assertEqual((one.given, rounds.crowd), (100 + CALM * 30, CALM))
        nobody.times = CALM + 1
        rounds.run()
        self.assertEqual(one.given, 100 + 2 * CALM * 30 + 2 * 100)

    def test_bodies_that_end(self) -> None:
        """They take no share of a short round from who goes on; all together they have one."""
        rounds = self.rounds(Nobody(0), most=100_000)
        rounds.crowd = CALM
        small = [self.some(20) for _ in range(6)]
        for each in small:
            rounds.enqueue(each)
        self.assertEqual(rounds.run(), [])
        self.assertEqual(self.log, small[:5])
        large = self.some(1000)
        rounds.enqueue(large)
        rounds.enqueue(self.some(1000))
        rounds.run()
        self.assertEqual(self.log[5:], [small[5], large])
        self.assertEqual(large.given, 30)

    def test_goes_on(self) -> None:
        """While nobody else waits, but not for ever; and it looks a few times for more."""
        rounds = self.rounds(Nobody(100), most=300)
        one = self.some(10_000)
        rounds.enqueue(one)
        self.assertEqual((rounds.run(), one.given, rounds.over), ([], 300, True))
        rounds = self.rounds(nobody := Nobody(100))
        two = self.some(10)
        rounds.enqueue(two)
        rounds.run()
        self.assertEqual((two.left, 100 - nobody.times), (0, 1 + LOOKS))
        rounds = self.rounds(nobody := Nobody(100))
        rounds.run()
        self.assertEqual(nobody.times, 100)
        rounds = self.rounds(Nobody(1))
        one.queued = False
        rounds.enqueue(one)
        rounds.run()
        self.assertEqual(one.given, 500)


class RoundsTests(SynchronousTestCase):
    """Both kinds do the same."""

    def test_whole(self) -> None:
        """Until nobody has more; who waits for the reactor ends it, and so does a timed call."""
        for kind, rounds_kind in KINDS:
            reactor = EPollReactor()
            self.addCleanup(reactor._poller.close)
            for each in reactor._internalReaders:
                self.addCleanup(each.connectionLost, None)
            poller = select.epoll()
            self.addCleanup(poller.close)
            reactor._poller.register(poller, select.EPOLLIN)
            rounds = rounds_kind(poller, ReactorLoad(reactor, poller), 50, 100, 10_000)
            way = Way(kind, 1000)
            self.addCleanup(way.close)
            guest, source, flow = way.guest, way.source, way.flow
            flow.size = 40
            guest.send(b"a" * 500)
            rounds.enqueue(flow)
            rounds.begin()
            call = reactor.callLater(0, self.fail)
            self.assertEqual(rounds.run(), [])
            self.assertEqual((flow.given, rounds.over), (120, False))
            reactor.timeout()  # (it is new no more, but due)
            self.assertEqual(rounds.run(), [])
            self.assertEqual(flow.given, 200)
            call.cancel()
            reactor.runUntilCurrent()
            reactor.wakeUp()
            self.assertEqual(rounds.run(), [])
            self.assertEqual(flow.given, 280)
            os.read(reactor.waker.i, 10)
            self.assertEqual(rounds.run(), [(flow, Outcome.EMPTY)])
            self.assertEqual((flow.given, flow.queued, rounds.take()), (500, False, [flow]))
            poller.register(source, SOURCE)
            rounds.waiting[source.fileno()] = flow
            flow.reads = True
            guest.send(b"b" * 100)
            rounds.begin()
            self.assertEqual((rounds.run(), flow.given, rounds.take()), ([], 600, [flow]))
            guest.send(b"c" * 400)
            rounds.begin()
            self.assertEqual(rounds.run(), [(flow, Outcome.DONE)])
            rounds.enqueue(flow)
            flow.held_back = True
            self.assertEqual((rounds.run(), list(rounds.queue)), ([], []))
