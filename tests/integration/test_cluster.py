"""Three hosts that find each other in etcd: what one serves, all answer; whoever is killed."""

from __future__ import annotations

import os
import signal
import time

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.etcd import SKIP, started
from tests.integration.harness import wait_until
from tests.integration.host import Host
from tests.rigs.tls_rig import Authority


class ClusterTests(SynchronousTestCase):
    skip = SKIP

    def setUp(self) -> None:
        self.etcd = started(self)
        authority = Authority()
        self.hosts: dict[str, Host] = {}
        for name in ("kvm-1", "kvm-2", "kvm-3"):
            self.hosts[name] = host = Host(name, authority)
            self.addCleanup(host.close)

    def begin(self, *names: str) -> list[Host]:
        """Start these hosts, and wait until each asks the others."""
        for name in names:
            # A guest moves to another process slowly on a machine that has much else to do.
            self.hosts[name].serve(f"--cluster=etcd:{self.etcd.url}", "--hold=15")
        for name in names:
            self.hosts[name].until_asks(*(other for other in names if other != name))
        return [self.hosts[name] for name in names]

    def test_routes(self) -> None:
        """Who has it answers, for a client of any host, within a second of C{registered}."""
        one, two, three = self.begin("kvm-1", "kvm-2", "kvm-3")
        guest = one.guest("Named")
        registered = time.monotonic()
        for host in (one, two, three):
            host.until_answered("kvm-1")
        self.took = time.monotonic() - registered
        found = two.api("/api/hosts")
        self.assertEqual(found["cluster"]["state"], "watching")
        self.assertEqual(
            [
                (each["host"], each["asks"], each["asked"], each["routes"])
                for each in found["hosts"]
            ],
            [("kvm-1", "connected", "ready", 1), ("kvm-3", "connected", "ready", 0)],
        )
        self.assertEqual(two.metric("cluster_routes"), 1)
        # A host that is killed: what it had is unknown when its connection has gone.
        second = two.guest("Named")
        guest.end()
        three.until_answered("kvm-2")
        assert two.proxy is not None
        two.proxy.signal(signal.SIGKILL)
        second.end()
        three.until_asks("kvm-1")
        wait_until(
            lambda: [each["host"] for each in three.api("/api/hosts")["hosts"]] == ["kvm-1"],
            "its lease to expire",
        )
        self.assertEqual(three.metric("cluster_routes"), 0)

    def test_without_etcd(self) -> None:
        """All goes on by what was known, marked stale; when it is back, so is what has changed."""
        one, two = self.begin("kvm-1", "kvm-2")
        one.guest("Named")
        two.until_answered("kvm-1")
        self.etcd.kill()
        wait_until(lambda: two.metric("cluster_stale") == 1, "it is noticed")
        one.guest("Named", "--host=late\\.example", said="late")
        self.assertEqual({two.said() for _ in range(20)}, {"kvm-1"})
        self.assertEqual(two.said("late.example"), "404")
        self.assertGreater(one.metric("cluster_unpublished"), 0)
        self.etcd.start()
        two.until_answered("late", "late.example")
        self.assertEqual(two.said(), "kvm-1")
        wait_until(lambda: two.metric("cluster_stale") == 0, "it is back")
        self.assertEqual(one.metric("cluster_unpublished"), 0)

    def test_hand_over(self) -> None:
        """A new process of a host takes its place with the others; nobody is refused meanwhile."""
        one, two = self.begin("kvm-1", "kvm-2")
        one.guest("Named")
        two.until_answered("kvm-1")
        assert one.proxy is not None
        one.proxy.signal(signal.SIGUSR2)
        said = set()

        def taken_over() -> bool:
            said.add(two.said())
            assert one.proxy is not None
            return one.proxy.child.poll() is not None

        wait_until(taken_over, "the old process to end")
        self.assertEqual(said | {two.said() for _ in range(10)}, {"kvm-1"})
        one.until_asks("kvm-2")
        pid = int(one.proxy.output.rpartition("has taken over")[0].rpartition("process ")[2])
        os.kill(pid, signal.SIGTERM)
        two.until_asks()
        wait_until(lambda: two.metric("cluster_routes") == 0, "it has left")
