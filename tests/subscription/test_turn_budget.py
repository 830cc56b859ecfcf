"""Newcomers share each reactor turn."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.subscription.turn_budget import TurnBudget


class Reactor(Clock):
    """One whose turns are told apart: what is called later is called in the next one."""

    def turn(self) -> None:
        due, self.calls = self.calls, []
        for call in due:
            call.called = 1
            call.func(*call.args, **call.kw)


class TurnsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Reactor()
        self.now = 100.0
        self.turns = TurnBudget(self.clock, budget=1.0, timer=lambda: self.now)
        self.done: list[int] = []

    def work(self, number: int, takes: float = 0.6, fails: bool = False) -> None:
        self.done.append(number)
        self.now += takes
        if fails:
            raise RuntimeError("boom")

    def test_not_spent(self) -> None:
        """Little work is done at once, in every turn."""
        for _ in range(3):
            self.assertFalse(self.turns.exhausted())
            self.now += 0.9
            self.assertFalse(self.turns.exhausted())
            self.clock.turn()

    def test_who_waits_comes_in_order(self) -> None:
        """When the share is spent the rest is spread over turns, first come first served."""
        self.assertFalse(self.turns.exhausted())
        self.now += 1.1
        for number in range(5):
            self.assertTrue(self.turns.exhausted())
            self.turns.defer(lambda number=number: self.work(number))
        self.assertEqual(self.done, [])
        self.clock.turn()
        self.assertEqual(self.done, [0, 1])
        self.assertTrue(self.turns.exhausted())
        self.clock.turn()
        self.assertEqual(self.done, [0, 1, 2, 3])
        self.clock.turn()
        self.clock.turn()
        self.assertEqual(self.done, [0, 1, 2, 3, 4])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertFalse(self.turns.exhausted())

    def test_newcomers_do_not_overtake(self) -> None:
        """Who comes while others wait waits behind them."""
        self.turns.exhausted()
        self.now += 1.1

        def again() -> None:
            self.work(1, 0.0)
            self.assertFalse(self.done == [2])
            self.turns.defer(lambda: self.work(3, 0.0))

        self.turns.defer(again)
        self.turns.defer(lambda: self.work(2, 2.0))
        self.clock.turn()
        self.assertEqual(self.done, [1, 2])
        self.clock.turn()
        self.assertEqual(self.done, [1, 2, 3])

    def test_a_failure_stops_nobody(self) -> None:
        """One turn that fails is logged; the next is called."""
        self.turns.exhausted()
        self.turns.defer(lambda: self.work(1, 0.0, fails=True))
        self.turns.defer(lambda: self.work(2, 0.0))
        self.clock.turn()
        self.assertEqual(self.done, [1, 2])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
