"""Some seeds of tests.fuzz.http2_oracle: python's hpack and h2 understand what we do."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.install import unavailable


class OracleTests(SynchronousTestCase):
    skip = unavailable()

    def test_blocks(self) -> None:
        """Blocks of HPACK, right and hostile."""
        from tests.fuzz.http2_oracle import blocks

        for seed in range(500):
            blocks(seed)

    def test_requests(self) -> None:
        """Requests in any frames."""
        from tests.fuzz.http2_oracle import requests

        for seed in range(200):
            requests(seed)
