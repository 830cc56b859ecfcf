"""How long to wait before the next attempt."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.retry_delay import FIRST_DELAY, LONGEST_DELAY, RetryDelay


class RetryDelayTests(SynchronousTestCase):
    def test_doubles(self) -> None:
        """Twice as long each time, to an end; a success begins anew."""
        delay = RetryDelay(lambda: 1.0, 1.0, 5.0)
        self.assertEqual([delay.failed() for _ in range(5)], [1.0, 2.0, 4.0, 5.0, 5.0])
        self.assertEqual(delay.failures, 5)
        delay.succeeded()
        self.assertEqual(delay.failed(), 1.0)

    @given(st.floats(0, 1), st.integers(0, 2000))
    def test_bounds(self, chance: float, failures: int) -> None:
        """Never at once, never longer than the longest."""
        delay = RetryDelay(lambda: chance)
        delay.failures = failures
        self.assertTrue(FIRST_DELAY / 2 <= delay.failed() <= LONGEST_DELAY)
