"""Some inputs of each kind of tests.fuzz.volume: none raises, and connections live for a while."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.install import unavailable


class VolumeTests(SynchronousTestCase):
    skip = unavailable()

    def test_each_kind(self) -> None:
        from tests.fuzz.volume import KINDS

        for name, kind in KINDS.items():
            step = kind(Random(1))
            done = sum(step() for _ in range(3))
            self.assertGreaterEqual(done, 3, name)

    def test_connections_are_served_for_a_while(self) -> None:
        """Frames behind the one that ends a connection say nothing: a guest is asked, and often."""
        from tests.fuzz.client_after_client import Clients
        from tests.fuzz.volume import feed_frames

        chosen = Random(1)
        clients = Clients(chosen)
        step = feed_frames(chosen, clients)
        done = sum(step() for _ in range(10))
        self.assertGreater(done, 200)
        self.assertGreater(clients.answers, done / 10)
