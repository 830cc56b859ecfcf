"""A virtual machine's share of the reactor's time."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from subproxy.reactor.interfaces import IReactorTurns
from subproxy.subscription.time_share import DEBT, TimeShare
from tests.subscription.test_turn_budget import Reactor


class ShareTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Reactor()
        self.share = TimeShare(self.clock, 1.0)
        self.done: list[int] = []

    def work(self, number: int, takes: float, again: int = 0) -> None:
        """Take C{takes} seconds, and so many turns more."""
        self.done.append(number)
        self.share.used += takes
        if again:
            self.share.defer(lambda: self.work(number, takes, again - 1))

    def test_not_spent(self) -> None:
        """Nothing is called later for who uses little."""
        self.share.used += 0.9
        self.assertFalse(self.share.exhausted())
        self.assertEqual(self.clock.calls, [])

    def test_who_waits_goes_on_in_the_next_turn(self) -> None:
        self.share.used += 1.0
        self.assertTrue(self.share.exhausted())
        self.share.defer(lambda: self.work(1, 0.5))
        self.assertEqual(self.done, [])
        self.clock.turn()
        self.assertEqual(self.done, [1])
        self.assertFalse(self.share.exhausted())
        self.assertEqual(self.clock.calls, [])

    def test_in_the_order_in_which_they_came(self) -> None:
        """As many as the share has room for in each turn; whoever waits again is the last."""
        for number in range(4):
            self.share.defer(lambda number=number: self.work(number, 0.6, number == 0))
        for expected in ([0, 1], [0, 1, 2, 3], [0, 1, 2, 3, 0]):
            self.assertTrue(self.share.exhausted(), "who comes now waits behind them")
            self.clock.turn()
            self.assertEqual(self.done, expected)
            self.assertLessEqual(len(self.clock.calls), 1)
        self.clock.turn()
        self.assertEqual(self.clock.calls, [])

    def test_what_took_longer_is_made_up_for(self) -> None:
        self.share.used += 3.5
        self.share.defer(lambda: self.work(1, 0.0))
        for _ in range(2):
            self.clock.turn()
            self.assertEqual(self.done, [])
        self.clock.turn()
        self.assertEqual(self.done, [1])

    def test_debt_has_an_end(self) -> None:
        """A clock that jumps, or a process that was stopped, stops nobody for long."""
        self.share.used += 3600.0
        self.share.defer(lambda: self.work(1, 0.0))
        for _ in range(DEBT + 1):
            self.clock.turn()
        self.assertEqual(self.done, [1])

    def test_one_that_fails(self) -> None:
        self.share.defer(lambda: 1 / 0)
        self.share.defer(lambda: self.work(1, 0.0))
        self.clock.turn()
        self.assertEqual(self.done, [1])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


@implementer(IReactorTurns)
class CountingReactor(Reactor):
    """
    Counts its turns.

    @ivar begun: how many of them there were.
    """

    begun = 0

    def turnNumber(self) -> int:
        """See IReactorTurns."""
        return self.begun

    def turn(self) -> None:
        """Calls are called before what comes in the turn of that number."""
        super().turn()
        self.begun += 1


class CountedTurnsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = CountingReactor()
        self.clock.begun = 100
        self.share = TimeShare(self.clock, 1.0)
        self.assertFalse(self.share.spent())

    def test_turns_make_up_for_what_was_used(self) -> None:
        """Who never uses a share in a turn never waits."""
        for _ in range(20):
            self.share.used += 0.75
            self.assertFalse(self.share.spent())
            self.clock.turn()

    def test_each_of_them_once(self) -> None:
        self.share.used = 1.0
        self.assertFalse(self.share.spent())
        self.share.used = 2.5
        self.assertTrue(self.share.spent())
        self.clock.turn()
        self.assertTrue(self.share.spent())
        self.assertTrue(self.share.spent(), "it is the same turn")
        self.clock.turn()
        self.assertFalse(self.share.spent())

    def test_not_once_more_where_somebody_waited(self) -> None:
        """Who waits goes on before the turn begins that makes up for what was used."""
        self.share.used = 1.0
        self.assertFalse(self.share.spent())
        done: list[bool] = []

        def go_on() -> None:
            self.share.used += 0.75
            done.append(self.share.spent())

        self.share.used = 1.5
        self.assertTrue(self.share.exhausted())
        self.share.defer(go_on)
        self.clock.turn()
        self.assertEqual(done, [True])
        self.assertTrue(self.share.spent(), "this turn has made up for it")
        self.clock.turn()
        self.assertFalse(self.share.spent())

    def test_quiet_turns_are_not_saved_up(self) -> None:
        for _ in range(50):
            self.clock.turn()
        self.share.used = 1.5
        self.assertFalse(self.share.spent())
        self.share.used += 1.0
        self.assertTrue(self.share.spent())

    def test_who_waits_is_before_who_asks(self) -> None:
        self.share.defer(lambda: None)
        self.assertFalse(self.share.spent())
        self.assertTrue(self.share.exhausted())
