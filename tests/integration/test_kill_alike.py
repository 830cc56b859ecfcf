"""The comparison of kills with the same programs behind each proxy, briefly, and ours alone."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.kill_alike import KINDS, alike

SECONDS = 2.5


class KillAlikeTests(SynchronousTestCase):
    def test_no_get_fails(self) -> None:
        """Whatever the guests are made of."""
        for kind in KINDS:
            had = alike(f"subproxy-{kind}", SECONDS)
            self.assertEqual(had.failed, 0, str(had))
            self.assertGreater(had.kills, 0, str(had))
            self.assertGreater(had.total, 50, str(had))

    def test_at_a_rate(self) -> None:
        """All that was due was asked, and answered."""
        had = alike("subproxy-c", SECONDS, rate=200.0)
        self.assertEqual(had.failed, 0, str(had))
        self.assertGreater(had.total, 0.9 * SECONDS * 200, str(had))
