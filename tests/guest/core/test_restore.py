"""Tests for L{guest.core.restore}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from guest.core.restore import JUMP, RestoreDetector


class RestoreDetectorTests(SynchronousTestCase):
    def test_a_jump_ahead(self) -> None:
        """It is seen once."""
        times = [100.0, 100.0 + JUMP + 1, 100.0 + JUMP + 1]
        detector = RestoreDetector(lambda: times.pop(0))
        self.assertEqual([detector.restored(), detector.restored()], [True, False])

    def test_a_clock_that_is_corrected(self) -> None:
        """Neither a small step nor one back is a restore."""
        times = [100.0, 100.0 + JUMP, -1000.0]
        detector = RestoreDetector(lambda: times.pop(0))
        self.assertEqual([detector.restored(), detector.restored()], [False, False])

    def test_of_this_machine(self) -> None:
        """It was not restored while this test ran."""
        self.assertFalse(RestoreDetector().restored())
