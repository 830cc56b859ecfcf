"""Tests of subproxy.core.access.token_bucket."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.access.token_bucket import TokenBucket
from tests.rigs.core_strategies import relaxed


class TokenBucketTests(SynchronousTestCase):
    """C{TokenBucket}."""

    def test_it_begins_full(self) -> None:
        bucket = TokenBucket(1.0, 3.0, 10.0)
        self.assertEqual([bucket.take(10.0) for _ in range(4)], [True, True, True, False])
        self.assertEqual(bucket.refused, 1)

    def test_it_fills_by_the_rate_up_to_the_burst(self) -> None:
        bucket = TokenBucket(2.0, 2.0, 0.0)
        self.assertTrue(bucket.take(0.0, 2.0))
        self.assertFalse(bucket.take(0.25))
        self.assertTrue(bucket.take(0.5))
        self.assertTrue(bucket.take(100.0, 2.0))
        self.assertFalse(bucket.take(100.0, 0.5))

    def test_what_is_refused_costs_nothing(self) -> None:
        bucket = TokenBucket(1.0, 2.0, 0.0)
        self.assertFalse(bucket.take(0.0, 3.0))
        self.assertTrue(bucket.take(0.0, 2.0))

    def test_what_is_spent(self) -> None:
        bucket = TokenBucket(2.0, 2.0, 0.0)
        self.assertEqual(bucket.spend(0.0, 5.0), -3.0)
        self.assertFalse(bucket.take(1.0))
        self.assertEqual(bucket.wait(1.0), 1.0)
        self.assertEqual(bucket.spend(2.0), 0.0)

    def test_what_is_given_back(self) -> None:
        bucket = TokenBucket(1.0, 2.0, 0.0)
        bucket.take(0.0, 2.0)
        bucket.give()
        self.assertTrue(bucket.take(0.0))
        self.assertFalse(bucket.take(0.0))
        bucket.give(5.0)
        self.assertEqual([bucket.take(0.0) for _ in range(3)], [True, True, False])

    def test_time_that_goes_back_gives_nothing(self) -> None:
        bucket = TokenBucket(1.0, 1.0, 10.0)
        bucket.take(10.0)
        self.assertFalse(bucket.take(5.0))
        self.assertFalse(bucket.take(10.5))
        self.assertTrue(bucket.take(11.0))

    def test_wait(self) -> None:
        bucket = TokenBucket(2.0, 2.0, 0.0)
        self.assertEqual(bucket.wait(0.0, 2.0), 0.0)
        bucket.take(0.0, 2.0)
        self.assertEqual(bucket.wait(0.0), 0.5)
        self.assertEqual(bucket.wait(0.25), 0.25)
        self.assertEqual(bucket.wait(0.0, 3.0), inf)
        self.assertEqual(bucket.wait(9.0), 0.0)
        self.assertEqual(TokenBucket(0.5, 1.0, 0.0).wait(0.0, 1.0), 0.0)
        slow = TokenBucket(0.5, 1.0, 0.0)
        slow.take(0.0)
        self.assertEqual(slow.wait(0.0), 2.0)
        stopped = TokenBucket(0.0, 1.0, 0.0)
        stopped.take(0.0)
        self.assertEqual(stopped.wait(9.0), inf)
        self.assertEqual(bucket.refused, 0)

    def test_what_is_there_is_not_waited_for(self) -> None:
        """Where nothing comes any more, either."""
        bucket = TokenBucket(0.0, 5.0, 1.0)
        self.assertEqual((bucket.wait(1.0, 5.0), bucket.wait(1.0, 5.5)), (0.0, float("inf")))

    def test_refusals_are_counted(self) -> None:
        bucket = TokenBucket(1.0, 0.0, 1.0)
        for number in range(1, 4):
            self.assertFalse(bucket.take(1.0))
            self.assertEqual(bucket.refused, number)

    def test_negative_is_refused(self) -> None:
        self.assertRaises(ValueError, TokenBucket, -1.0, 1.0, 0.0)
        self.assertRaises(ValueError, TokenBucket, 1.0, -1.0, 0.0)
        TokenBucket(0.0, 0.0, 0.0)

    @given(
        st.floats(0.0, 100.0),
        st.floats(0.0, 100.0),
        st.lists(st.tuples(st.floats(0.0, 10.0), st.floats(0.0, 20.0))),
    )
    @relaxed
    def test_never_more_than_burst_and_rate_allow(
        self, rate: float, burst: float, takes: list[tuple[float, float]]
    ) -> None:
        bucket = TokenBucket(rate, burst, 0.0)
        now = taken = 0.0
        for elapsed, amount in takes:
            now += elapsed
            if bucket.take(now, amount):
                taken += amount
            self.assertLessEqual(taken, burst + rate * now + 1e-6)
