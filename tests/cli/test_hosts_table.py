"""What C{subproxy hosts} prints."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.cli import tables

HOSTS = {
    "host": "kvm-1",
    "cluster": {
        "host": "kvm-1",
        "address": "192.0.2.1:7443",
        "state": "away",
        "stale": True,
        "stale_for": 12.34,
        "lease": "held",
        "published": 7,
        "unpublished": 2,
    },
    "hosts": [
        {
            "host": "kvm-2",
            "address": "192.0.2.2:7443",
            "asks": "connected",
            "asked": "ready",
            "routes": 3,
            "latency": 0.00123,
            "in_flight": 4,
        },
        {
            "host": "kvm-3",
            "address": "",
            "asks": "no",
            "asked": "no",
            "routes": 0,
            "latency": None,
            "in_flight": 0,
        },
    ],
}


class HostsTableTests(SynchronousTestCase):
    def test_hosts(self) -> None:
        """Who is reached, and how the cluster is."""
        lines = tables.hosts(HOSTS).splitlines()
        self.assertEqual(
            lines[1].split(),
            ["kvm-2", "192.0.2.2:7443", "connected", "ready", "3", "1.23", "4"],
        )
        self.assertEqual(lines[2].split(), ["kvm-3", "-", "no", "no", "0", "-", "0"])
        self.assertEqual(
            lines[3],
            "this host: kvm-1 at 192.0.2.1:7443; store: away, stale for 12 s; lease: held; "
            "published: 7, of which 2 not yet",
        )
        alone = {"host": "kvm-1", "cluster": None, "hosts": []}
        self.assertEqual(tables.hosts(alone), "no other hosts")
