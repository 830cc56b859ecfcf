"""Garbage, while a guest starts and when it serves."""

from __future__ import annotations

import gc

from twisted.trial.unittest import SynchronousTestCase

from guest.cli.collector import begin_collecting, resting


class CollectorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.addCleanup(gc.enable)
        self.addCleanup(gc.unfreeze)

    def test_a_start(self) -> None:
        """Nothing is collected until it serves; what was there by then stays."""
        with resting():
            self.assertFalse(gc.isenabled())
            begin_collecting()
            self.assertTrue(gc.isenabled())
            self.assertGreater(gc.get_freeze_count(), 10_000)

    def test_a_start_that_fails(self) -> None:
        """Who is not ended by that collects again; who did not before, does not."""
        with self.assertRaises(ValueError), resting():
            raise ValueError
        self.assertTrue(gc.isenabled())
        gc.disable()
        with resting():
            pass
        self.assertFalse(gc.isenabled())
