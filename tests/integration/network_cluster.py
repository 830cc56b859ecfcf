"""A cluster of hosts on a network that can be cut, with a member of etcd on each."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.integration.namespaces import EtcdMember, Network, NetworkHost
from tests.rigs.tls_rig import Authority


class NetworkCluster:
    """
    See above. All members are healthy; no proxy was started yet.

    @param when_over: takes what is to be called at the end, the last first.
    @param workers: of each host.
    @ivar network: what joins them.
    @ivar members: of etcd, one in each namespace.
    @ivar hosts: one in each namespace.
    """

    def __init__(
        self, when_over: Callable[[Callable[[], None]], object], count: int, workers: int = 1
    ) -> None:
        folder = tempfile.TemporaryDirectory(prefix="subproxy-cluster-")
        when_over(folder.cleanup)
        self.network = Network(count)
        when_over(self.network.close)
        numbers = range(1, count + 1)
        self.members = [
            EtcdMember(self.network, number, count, Path(folder.name)) for number in numbers
        ]
        for member in self.members:
            when_over(member.kill)
            member.start()
        for member in self.members:
            member.until_healthy()
        authority = Authority()
        self.hosts = [NetworkHost(self.network, number, authority, workers) for number in numbers]
        for host in self.hosts:
            when_over(host.close)

    def join(self, *under: tuple[str, ...]) -> None:
        """
        Start all proxies, and wait until each asks the others.

        @param under: what begins the command of each.
        """
        for number, host in enumerate(self.hosts):
            host.join(self.members, under=under[number] if under else ())
        for host in self.hosts:
            host.until_asks(*(other.name for other in self.hosts if other is not host))
