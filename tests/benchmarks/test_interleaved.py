"""Rounds, and ratios of pairs."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.interleaved import in_turn, spread


class InterleavedTests(SynchronousTestCase):
    def test_there_and_back(self) -> None:
        """Nobody is always the first."""
        self.assertEqual(
            list(in_turn({"a": 1, "b": 2}, 3)),
            [(0, "b"), (0, "a"), (1, "a"), (1, "b"), (2, "b"), (2, "a")],
        )

    def test_spread(self) -> None:
        self.assertEqual(spread([3.0, 1.0, 1.504]), "1.50, 1.00 to 3.00")
