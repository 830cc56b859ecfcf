"""What benchmarks.start says of what it has measured."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.start import OTHER, OURS, Start, told


class ToldTests(SynchronousTestCase):
    def test_one_tree(self) -> None:
        found = {OURS: [Start(0.2, 50_000_000), Start(0.4, 52_000_000), Start(0.3, 54_000_000)]}
        self.assertEqual(told("epoll", found), "epoll; this 0.300 s (0.200 to 0.400), 52.0 MB")

    def test_two_trees(self) -> None:
        """The ratio is the median of the pairs, not that of the medians."""
        found = {
            OURS: [Start(0.2, 1), Start(0.3, 1), Start(0.9, 1)],
            OTHER: [Start(0.4, 1), Start(0.3, 1), Start(0.6, 1)],
        }
        self.assertTrue(
            told("epoll", found).endswith(
                "other 0.400 s (0.300 to 0.600), 0.0 MB; pairs 1.000 (0.500 to 1.500)"
            )
        )
