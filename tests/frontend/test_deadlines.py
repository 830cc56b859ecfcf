"""Paces, and the sweeper."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.deadlines import NEVER, SLICE, MinDataRate, Sweeper


class PaceTests(SynchronousTestCase):
    def test_a_stall_is_cut_after_the_grace(self) -> None:
        pace = MinDataRate()
        pace.start(100)
        self.assertFalse(pace.exceeded(104.9, 0, 5, 100))
        self.assertTrue(pace.exceeded(105.1, 0, 5, 100))

    def test_a_drip_below_the_rate_is_cut(self) -> None:
        pace = MinDataRate()
        pace.start(0)
        cut = [now for now in range(1, 30) if pace.exceeded(now, 50 * now, 5, 100)]
        self.assertEqual(cut[0], 11)

    def test_a_rate_that_is_just_enough_is_not(self) -> None:
        pace = MinDataRate()
        pace.start(0)
        self.assertFalse(any(pace.exceeded(now, 100 * now, 5, 100) for now in range(1, 1000)))

    def test_a_fast_beginning_does_not_pay_for_a_stall(self) -> None:
        pace = MinDataRate()
        pace.start(0)
        self.assertFalse(pace.exceeded(1, 1_000_000, 5, 100))
        self.assertTrue(pace.exceeded(6.5, 1_000_000, 5, 100))

    def test_time_in_which_nobody_waits_does_not_count(self) -> None:
        pace = MinDataRate()
        pace.start(0)
        pace.stop(3)
        self.assertFalse(pace.exceeded(1000, 0, 5, 100))
        pace.start(1000)
        self.assertFalse(pace.exceeded(1001, 0, 5, 100))
        self.assertTrue(pace.exceeded(1003, 0, 5, 100))

    def test_no_rate_no_limit(self) -> None:
        pace = MinDataRate()
        pace.start(0)
        self.assertFalse(pace.exceeded(1e9, 0, 5, 0))

    def test_the_counter_may_have_begun_before(self) -> None:
        pace = MinDataRate(1_000_000)
        pace.start(0)
        self.assertTrue(pace.exceeded(6, 1_000_000, 5, 100))

    @given(st.lists(st.tuples(st.floats(0.1, 2), st.integers(0, 300)), max_size=50))
    def test_who_keeps_to_the_rate_is_never_cut(self, steps: list[tuple[float, int]]) -> None:
        pace, now, moved = MinDataRate(), 0.0, 0
        pace.start(now)
        for seconds, extra in steps:
            now += seconds
            moved += int(seconds * 100) + 1 + extra
            self.assertFalse(pace.exceeded(now, moved, 0.01, 100))


class Watched:
    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.passed: list[float] = []

    def deadline_passed(self, now: float) -> bool | None:
        self.passed.append(now)
        self.deadline = NEVER
        return None


class SweeperTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.ticks = 0
        self.sweeper = Sweeper(self.clock, self.clock.seconds, self.tick)

    def tick(self) -> None:
        self.ticks += 1

    def test_deadlines_pass_within_half_a_second(self) -> None:
        one, other = Watched(1.2), Watched(NEVER)
        self.sweeper.watched.update((one, other))
        self.sweeper.start()
        self.sweeper.start()
        self.clock.pump([0.5] * 10)
        self.assertEqual((one.passed, other.passed), ([1.5], []))
        self.assertEqual(self.ticks, 10)
        self.sweeper.stop()
        self.sweeper.stop()
        self.clock.pump([0.5] * 2)
        self.assertEqual(self.ticks, 10)

    def test_one_that_fails_does_not_stop_the_others(self) -> None:
        class Bad(Watched):
            def deadline_passed(self, now: float) -> None:
                raise RuntimeError("a bug")

        bad, good = Bad(1), Watched(1)
        self.sweeper.watched.update((bad, good))
        self.sweeper.start()
        self.clock.pump([0.5] * 6)
        self.assertEqual(len(good.passed), 1)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_many_at_once_are_asked_in_slices(self) -> None:
        """Between two slices everybody else has a turn, and each is asked once a sweep."""
        time = [0.0]
        turns: list[Callable[[], None]] = []
        self.patch(self.clock, "callLater", lambda delay, call: turns.append(call))
        sweeper = Sweeper(self.clock, lambda: time[0])

        class Slow(Watched):
            def deadline_passed(self, now: float) -> bool | None:
                time[0] += SLICE / 3
                return super().deadline_passed(now)

        many = [Slow(0) for _ in range(100)]
        sweeper.watched.update(many)
        asked = []
        sweeper.sweep()
        while turns:
            asked.append(sum(len(each.passed) for each in many))
            sweeper.sweep()  # the next half second came meanwhile
            turns.pop()()
        self.assertEqual([len(each.passed) for each in many], [1] * 100)
        steps = [after - before for before, after in itertools.pairwise(asked)]
        self.assertLessEqual(max(steps), 4)
        self.assertGreaterEqual(len(steps), 20)

    def test_who_has_much_to_do(self) -> None:
        """Is asked again in the same sweep, a slice a turn, and behind the others."""
        time = [0.0]
        turns: list[Callable[[], None]] = []
        self.patch(self.clock, "callLater", lambda delay, call: turns.append(call))
        sweeper = Sweeper(self.clock, lambda: time[0])
        order: list[str] = []

        class Shares(Watched):
            def __init__(self, name: str, shares: int) -> None:
                super().__init__(0)
                self.name, self.shares = name, shares

            def deadline_passed(self, now: float) -> bool:
                order.append(self.name)
                time[0] += SLICE
                self.shares -= 1
                return self.shares > 0

        sweeper.watched.update([Shares("much", 5), Shares("little", 1)])
        sweeper.sweep()
        while turns:
            turns.pop()()
        self.assertEqual(len(order), 6)
        self.assertIn("little", order[:2])

    def sliced(self) -> tuple[Sweeper, list[Watched]]:
        """A sweeper that has asked one of three, each of whom takes a whole slice."""
        time = [0.0]
        sweeper = Sweeper(self.clock, lambda: time[0])

        class Takes(Watched):
            def deadline_passed(self, now: float) -> bool | None:
                time[0] += SLICE
                return super().deadline_passed(now)

        many = [Takes(0) for _ in range(3)]
        sweeper.watched.update(many)
        sweeper.sweep()
        return sweeper, many

    def test_who_is_gone_before_its_slice_is_not_asked(self) -> None:
        sweeper, many = self.sliced()
        first = next(each for each in many if each.passed)
        gone, moved = (each for each in many if each is not first)
        sweeper.watched.discard(gone)
        moved.deadline = 1.0
        self.clock.advance(0)
        self.assertEqual((gone.passed, moved.passed), ([], []))

    def test_stopped_between_two_slices(self) -> None:
        sweeper, many = self.sliced()
        sweeper.stop()
        self.clock.advance(0)
        self.assertEqual(sum(len(each.passed) for each in many), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
