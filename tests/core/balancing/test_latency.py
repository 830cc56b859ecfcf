"""Tests of subproxy.core.balancing.latency."""

from __future__ import annotations

from math import exp, inf, nan

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.balancing.latency import (
    CEILING,
    FLOOR,
    RISE_TIME_CONSTANT,
    TIME_CONSTANT,
    UNKNOWN,
    clamp,
    ewma,
)
from tests.rigs.core_strategies import relaxed

seconds = st.floats(FLOOR, CEILING)


class EwmaTests(SynchronousTestCase):
    """C{ewma} and C{clamp}."""

    def test_clamps(self) -> None:
        for sample, clamped in [
            (-1.0, FLOOR),
            (0.0, FLOOR),
            (FLOOR, FLOOR),
            (0.5, 0.5),
            (CEILING, CEILING),
            (CEILING * 2, CEILING),
            (inf, CEILING),
            (nan, CEILING),
        ]:
            self.assertEqual(clamp(sample), clamped, sample)

    def test_constants(self) -> None:
        # Seconds; they are part of what docs and simulation say.
        self.assertEqual((FLOOR, CEILING), (0.001, 30.0))
        self.assertEqual((TIME_CONSTANT, RISE_TIME_CONSTANT), (10.0, 2.5))
        self.assertLess(UNKNOWN, 0.0)

    def test_the_first_sample_is_the_average(self) -> None:
        self.assertEqual(ewma(5.0, UNKNOWN, 0.25, 100.0), 0.25)
        self.assertEqual(ewma(5.0, UNKNOWN, 0.0, 100.0), FLOOR)

    def test_after_a_time_constant_the_past_counts_for_1_of_e(self) -> None:
        fallen = ewma(1.0, 0.0, 0.5, TIME_CONSTANT)
        self.assertAlmostEqual(fallen, 0.5 + 0.5 * exp(-1))
        risen = ewma(0.5, 0.0, 1.0, RISE_TIME_CONSTANT)
        self.assertAlmostEqual(risen, 1.0 - 0.5 * exp(-1))

    def test_two_samples_count_as_one_of_the_whole_time(self) -> None:
        once = ewma(1.0, 0.0, 0.5, 6.0)
        twice = ewma(ewma(1.0, 0.0, 0.5, 2.0), 2.0, 0.5, 6.0)
        self.assertAlmostEqual(once, twice)

    def test_time_that_stands_still_changes_nothing(self) -> None:
        self.assertEqual(ewma(1.0, 5.0, 0.5, 5.0), 1.0)
        self.assertEqual(ewma(1.0, 5.0, 0.5, 4.0), 1.0)
        self.assertLess(ewma(1.0, 5.0, 0.5, 5.5), 1.0)

    @given(seconds, st.floats(allow_nan=True), st.floats(0.0, 1e6))
    @relaxed
    def test_the_average_lies_between_the_past_and_the_sample(
        self, average: float, sample: float, elapsed: float
    ) -> None:
        result = ewma(average, 1.0, sample, 1.0 + elapsed)
        low, high = sorted((average, clamp(sample)))
        self.assertTrue(low - 1e-9 <= result <= high + 1e-9)
