"""Tests of subproxy.core.access.log_limit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.access.log_limit import LINES, LogLimit, not_logged
from tests.rigs.core_strategies import relaxed


class LineLimitTests(SynchronousTestCase):
    """C{LogLimit}."""

    def test_a_second(self) -> None:
        """So many lines pass in a second, no more."""
        limit = LogLimit(3)
        self.assertEqual([limit.admit(5.0) for _ in range(5)], [0, 0, 0, None, None])
        self.assertIsNone(limit.admit(5.9))
        self.assertEqual(limit.held, 3)

    def test_tells_what_was_held_back(self) -> None:
        """The first line that passes again says how many did not, once."""
        limit = LogLimit(1)
        for _ in range(8):
            limit.admit(0.0)
        self.assertEqual(limit.admit(1.0), 7)
        self.assertEqual(limit.admit(2.0), 0)

    def test_what_a_line_says_of_others(self) -> None:
        """Nothing, where there are none."""
        self.assertEqual([not_logged(0), not_logged(7)], ["", "; 7 more not logged"])

    def test_ten(self) -> None:
        """As docs/explanation/threats.md says."""
        limit = LogLimit()
        self.assertEqual([limit.admit(5.0) for _ in range(11)], [0] * 10 + [None])

    @relaxed
    @given(st.lists(st.floats(0.0, 2.0), max_size=100))
    def test_nothing_is_forgotten(self, pauses: list[float]) -> None:
        """Each line has passed, or is counted by one that has, or is still to be told of."""
        limit, now, passed, told = LogLimit(), 0.0, [], 0
        for pause in pauses:
            now += pause
            held = limit.admit(now)
            if held is not None:
                passed.append(now)
                told += held
        self.assertEqual(len(passed) + told + limit.held, len(pauses))
        for at in passed:
            # Two of its seconds may touch one of ours.
            self.assertLessEqual(sum(at <= each < at + 1.0 for each in passed), 2 * LINES)

    def test_a_clock_that_is_set_back(self) -> None:
        """Nobody is silent until it is as late again."""
        limit = LogLimit(1)
        self.assertEqual([limit.admit(now) for now in (5000.0, 5000.5, 1000.0)], [0, None, 1])
