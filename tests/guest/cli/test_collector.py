"""Garbage, while a guest starts and when it serves."""

from __future__ import annotations

import gc

from twisted.trial.unittest import SynchronousTestCase

from guest.cli import collector
from guest.cli.collector import begin_collecting, resting


class CollectorTests(SynchronousTestCase):
    def setUp(self) -> None:
        # A run of tests collects less often than Python does.
        self.usual = gc.get_threshold()
        self.patch(collector, "_usual", self.usual)
        self.addCleanup(gc.set_threshold, *self.usual)
        self.addCleanup(gc.enable)
        self.addCleanup(gc.unfreeze)

    def collections(self) -> int:
        """How many there were until now."""
        return sum(each["collections"] for each in gc.get_stats())

    def test_a_start(self) -> None:
        """Nothing is collected until it serves; what was there by then stays."""
        with resting():
            before = self.collections()
            kept = [[] for _ in range(100_000)]
            self.assertEqual(self.collections(), before)
            begin_collecting()
            self.assertGreater(gc.get_freeze_count(), 10_000)
            kept += [[] for _ in range(100_000)]
            self.assertGreater(self.collections(), before)
        self.assertEqual((gc.isenabled(), gc.get_threshold()), (True, self.usual))

    def test_a_start_that_fails(self) -> None:
        """Who is not ended by that collects again."""
        with self.assertRaises(ValueError), resting():
            raise ValueError
        self.assertEqual((gc.isenabled(), gc.get_threshold()), (True, self.usual))

    def test_what_an_application_wants(self) -> None:
        """It may say, when it is imported, whether and when it collects."""
        with resting():
            gc.disable()
            begin_collecting()
        self.assertFalse(gc.isenabled())
        with resting():
            gc.set_threshold(50_000, 20, 100)
            begin_collecting()
        self.assertEqual(gc.get_threshold()[:2], (50_000, 20))
