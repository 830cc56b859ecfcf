"""Tests for L{guest.core.backoff}."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from guest.core.backoff import FIRST, LONGEST, backoff


class BackoffTests(SynchronousTestCase):
    """Waits grow, and are bounded."""

    def test_the_upper_end_doubles(self) -> None:
        ends = [backoff(attempt, 1.0) for attempt in range(9)]
        self.assertEqual(ends, [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.5, 2.5, 2.5])

    @given(st.integers(0, 10**9), st.floats(0, 1))
    def test_full_jitter(self, attempt: int, chance: float) -> None:
        self.assertTrue(0 <= backoff(attempt, chance) <= LONGEST)
        self.assertLessEqual(backoff(0, chance), FIRST)
