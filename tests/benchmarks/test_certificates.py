"""The measurement of many certificates."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.certificates import fill, measure


class CertificatesTests(SynchronousTestCase):
    def test_few(self) -> None:
        """It finds what it has made, and makes nothing twice."""
        folder = Path(self.mktemp())
        for _ in range(2):
            fill(folder, 3)
        self.assertEqual(len(list(folder.iterdir())), 3)
        found = measure(folder, 3, 10)
        self.assertEqual(list(found), ["read", "exact", "wildcard", "unknown"])
