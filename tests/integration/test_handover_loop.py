"""Hand-overs of workers and of hosts, each second and under load, for some seconds."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.integration import etcd
from tests.integration.handover_loop import SCENARIOS

SECONDS = 4.0


class HandOverLoopTests(SynchronousTestCase):
    """No request is lost, none is answered twice or by halves, no POST is executed twice."""

    def check(self, scenario: str) -> None:
        found = SCENARIOS[scenario](SECONDS)
        self.assertEqual(found.problems, [], str(found))
        self.assertGreater(len(found.took), 1)
        for kind, outcome in found.outcomes.items():
            self.assertGreater(outcome.total, 50, kind)

    def test_workers(self) -> None:
        """A parent and its workers."""
        self.check("workers")

    def test_hosts(self) -> None:
        """Two hosts of a cluster: who is asked, and who has the guests, in turn."""
        self.check("hosts")

    def test_hosts_of_workers(self) -> None:
        """The same with workers."""
        self.check("hosts-workers")

    test_hosts.skip = test_hosts_of_workers.skip = etcd.SKIP  # type: ignore[attr-defined]
