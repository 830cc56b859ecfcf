"""Turns of many, by one timer."""

from random import Random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.subscription.timer_wheel import SLOTS, TimerWheel


class Counted:
    """Notes its turns."""

    def __init__(self, test: "RoundsTests", asks: bool = False) -> None:
        self.test = test
        self.asks = asks
        self.times: list[float] = []

    def tick(self) -> bool:
        self.times.append(self.test.clock.seconds())
        self.test.order.append(self)
        return self.asks

    def told(self) -> None:
        self.test.order.append(None)

    def failed(self) -> None:
        self.test.order.append(None)


class RoundsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.rounds = TimerWheel(self.clock, 2.5, Random(1))
        self.order: list[Counted | None] = []

    def join(self, count: int = 1, asks: bool = False) -> list[Counted]:
        turns = [Counted(self, asks) for _ in range(count)]
        for turn in turns:
            self.rounds.join(turn)
        return turns

    def pass_time(self, seconds: float) -> None:
        self.clock.pump([0.025 / 4] * int(seconds / 0.025 * 4))

    def test_once_a_period(self) -> None:
        """Each has its turn within a period of joining, and once in each period since."""
        turns = self.join(300)
        self.pass_time(2.5)
        self.assertEqual({len(turn.times) for turn in turns}, {1})
        self.pass_time(25.0)
        for turn in turns:
            self.assertEqual(len(turn.times), 11)
            for index, time in enumerate(turn.times):
                self.assertLess(abs(time - turn.times[0] - 2.5 * index), 0.02)

    def test_spread(self) -> None:
        """A thousand share the period evenly."""
        turns = self.join(1000)
        self.pass_time(2.5)
        early = sum(turn.times[0] < 1.25 for turn in turns)
        self.assertTrue(400 < early < 600, early)

    def test_one_timer(self) -> None:
        """There is one timer for all, and one alone wakes the reactor once a period."""
        first, *others = self.join(50)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        for turn in others:
            self.rounds.leave(turn)
        self.pass_time(2.5)
        [call] = self.clock.getDelayedCalls()
        self.assertEqual(len(first.times), 1)
        self.clock.advance(call.getTime() - self.clock.seconds())
        [call] = self.clock.getDelayedCalls()
        self.assertLess(abs(call.getTime() - self.clock.seconds() - 2.5), 1.5 * 2.5 / SLOTS)

    def test_nobody_left(self) -> None:
        """Without anybody there is no timer; who comes later begins anew."""
        for turn in self.join(3):
            self.rounds.leave(turn)
            self.rounds.leave(turn)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(len(self.rounds), 0)
        self.pass_time(100.0)
        [turn] = self.join()
        self.pass_time(2.5)
        self.assertEqual(len(turn.times), 1)

    def test_told_after_all(self) -> None:
        """Who asks is told when all of its slot have had their turn."""
        self.rounds = TimerWheel(self.clock, 2.5, _Same())
        self.join(5, asks=True)
        self.clock.advance(2.5)
        self.assertEqual([turn is None for turn in self.order], [False] * 5 + [True] * 5)

    def test_another_order(self) -> None:
        """Nobody is always the last of a slot."""
        self.rounds = TimerWheel(self.clock, 2.5, _Same())
        self.join(5)
        last = set()
        for _ in range(40):
            self.clock.advance(2.5)
            last.add(self.order[-1])
        self.assertEqual(len(last), 5)

    def test_late(self) -> None:
        """Who was kept from running does not do all at once what was missed."""
        turns = self.join(20)
        self.clock.advance(60.0)
        self.assertEqual({len(turn.times) for turn in turns}, {1})
        self.pass_time(2.5)
        self.assertEqual({len(turn.times) for turn in turns}, {2})

    def test_ended_by_another(self) -> None:
        """Who is ended by one of its slot has no turn any more."""
        self.rounds = TimerWheel(self.clock, 2.5, _Same())
        turns = self.join(4)
        for turn in turns:
            turn.tick = lambda turn=turn: (
                [  # type: ignore[method-assign]
                    self.order.append(turn),
                    *(self.rounds.leave(each) for each in turns),
                ]
                == []
            )
        self.clock.advance(2.5)
        self.assertEqual(len(self.order), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failure(self) -> None:
        """One that fails is logged, and keeps no other from its turn."""
        self.rounds = TimerWheel(self.clock, 2.5, _Same())
        turns = self.join(3)
        turns[1].tick = lambda: 1 / 0  # type: ignore[method-assign]
        self.clock.advance(2.5)
        self.clock.advance(2.5)
        self.assertEqual([len(turn.times) for turn in turns], [2, 0, 2])
        self.assertEqual(self.order.count(None), 2)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)


class _Same(Random):
    """One slot for all."""

    def random(self) -> float:
        return 0.5

    def shuffle(self, x: list) -> None:
        x[:] = self.sample(x, len(x))

    def _randbelow(self, n: int) -> int:
        return self.getrandbits(32) % n
