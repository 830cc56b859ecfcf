"""What a guest registers, the clients of all hosts of a cluster can ask for: without any time."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.cluster.memory_store import MemoryStore
from subproxy.cluster.service import ClusterService
from subproxy.wire import messages as m
from tests.rigs.memory_hosts import MemoryHosts

NAMES = ("kvm-1", "kvm-2", "kvm-3")


class RegisteredEverywhereTests(SynchronousTestCase):
    """Nothing on the way from one host to another waits for a timer: what that takes is its I/O."""

    def setUp(self) -> None:
        self.rig = MemoryHosts(self.mktemp(), *NAMES, told=True)
        self.store = MemoryStore(self.rig.reactor)
        for host in self.rig.hosts.values():
            service = ClusterService(
                *(self.rig.reactor, self.store, "/subproxy/", host.name, host.address),
                *(host.links, lambda: 1.0),
            )
            host.links.publisher = service
            host.links.tells = False
            service.startService()
        self.settle()

    def settle(self) -> None:
        """Let all happen that happens without time."""
        for _ in range(4):
            self.rig.pump()

    def test_at_once(self) -> None:
        """A guest of each host in turn registers: the others have it answer, and time stands."""
        for host in self.rig.hosts.values():
            others = [each for each in self.rig.hosts.values() if each is not host]
            guest = self.rig.serving(host)
            self.settle()
            self.assertEqual(self.rig.reactor.seconds(), 0.0)
            sinks = [each.ask()[1] for each in others]
            self.settle()
            for request in guest.take(m.Request):
                guest.wire.send(m.Response(request.exchange, 200, [], {}, host.name.encode()))
            self.settle()
            self.assertEqual([each.body for each in sinks], [host.name.encode()] * len(others))
            self.assertEqual(self.rig.reactor.seconds(), 0.0)
            guest.lose()
            self.settle()
