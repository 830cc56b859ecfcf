"""Hosts of several workers in one cluster: who has the guest answers, at whichever worker."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.etcd import SKIP, started
from tests.integration.harness import wait_until
from tests.integration.host import Host
from tests.integration.load import Load
from tests.rigs.tls_rig import Authority

_SERVES = re.compile(r"worker (\d+) serves: process (\d+)")


class HostsOfWorkersCase(SynchronousTestCase):
    skip = SKIP

    def setUp(self) -> None:
        self.etcd = started(self)
        self.authority = Authority()

    def host(self, name: str, workers: int, *options: str) -> Host:
        """A host of the cluster, with so many workers."""
        host = Host(name, self.authority)
        self.addCleanup(host.close)
        host.serve(f"--cluster=etcd:{self.etcd.url}", "--hold=15", f"--workers={workers}", *options)
        if workers > 1:
            wait_until(lambda: len(self.pids(host)) == workers, "all workers to serve")
        return host

    def pids(self, host: Host) -> dict[int, int]:
        """The newest process of each slot."""
        assert host.proxy is not None
        return {int(slot): int(pid) for slot, pid in _SERVES.findall(host.proxy.whole_lines)}

    def said(self, host: Host, times: int = 24, of: str = "blog.example") -> set[str]:
        """What is answered, on a connection each, so that no worker is left out."""
        return {host.said(of) for _ in range(times)}


class HostsOfWorkersTests(HostsOfWorkersCase):
    def test_each_worker_of_each(self) -> None:
        """Two, three and one: what a guest serves anywhere, every worker of all answers."""
        one, two, three = (self.host(f"kvm-{count}", count) for count in (1, 2, 3))
        two.guest("Named")
        for host in (one, two, three):
            host.until_answered("kvm-2")
        # One at a time: the guest has one subscription, with one of the workers.
        three.guest("Named", "--host=sole\\.example", "--concurrency=1")
        one.guest("Named", "--host=first\\.example")
        for host in (one, two, three):
            host.until_answered("kvm-3", "sole.example")
            host.until_answered("kvm-1", "first.example")
        for host in (one, two, three):
            self.assertEqual(self.said(host), {"kvm-2"})
            self.assertEqual(self.said(host, of="sole.example"), {"kvm-3"})
            self.assertEqual(self.said(host, of="first.example"), {"kvm-1"})
        found = two.api("/api/hosts")
        self.assertEqual((found["host"], found["cluster"]["state"]), ("kvm-2", "watching"))
        self.assertEqual(
            [
                (each["host"], each["asks"], each["asked"], each["routes"])
                for each in found["hosts"]
            ],
            [("kvm-1", "connected", "ready", 1), ("kvm-3", "connected", "ready", 1)],
        )
        self.assertEqual(
            (two.metric("cluster_routes"), two.metric("hosts_asked"), two.metric("hosts_asking")),
            (2, 2, 2),
        )
        assert two.proxy is not None
        two.proxy.end()
        three.until_asks("kvm-1")
        wait_until(lambda: three.metric("cluster_routes") == 1, "it has left")

    def test_killed_workers(self) -> None:
        """Workers of both sides are killed under load: the host stays, and nothing is lost."""
        one, two = self.host("kvm-1", 2), self.host("kvm-2", 2)
        one.guest("Named")
        one.guest("Named", "--host=sole\\.example", "--concurrency=1")
        two.until_answered("kvm-1")
        two.until_answered("kvm-1", "sole.example")
        load = Load(two.port, connections=16)
        load.start()
        for number in range(int(os.environ.get("HOSTS_KILLS", "3"))):
            wait_until(lambda: load.outcome.total >= 400 * (number + 1), "requests", 200)  # noqa: B023
            before = self.pids(one)
            os.kill(before[number % 2], signal.SIGKILL)
            wait_until(lambda: self.pids(one) != before, "another worker")  # noqa: B023
        wait_until(lambda: load.outcome.total >= 2000, "requests", 200)
        outcome: Any = load.stop()
        self.assertEqual((outcome.broken, outcome.unconnected), ([], 0), str(outcome))
        self.assertEqual(set(outcome.statuses), {200}, f"{outcome} {outcome.troubles[:3]}")
        # Those of the host that has the clients: who was connected there sees that break.
        before = self.pids(two)
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: self.pids(two) != before, "another worker")
        two.until_asks("kvm-1")
        self.assertEqual(self.said(two), {"kvm-1"})
        self.assertEqual(self.said(two, of="sole.example"), {"kvm-1"})
        self.assertEqual(two.metric("cluster_routes"), 2)

    def test_machines(self) -> None:
        """A request at another host starts a machine, and waits for it; idle, it stops there."""
        folder = self.etcd.folder
        guest = Path(__file__).parent / "machine_guest.py"
        command = [sys.executable, str(guest), "{listener}", "shop\\.example", "0"]
        config = folder / "subproxy.toml"
        config.write_text(
            '[[machine]]\nname = "shop"\nvmm = "process"\nhosts = "shop.example"\n'
            f"command = {json.dumps(command)}\nidle = 1\n"
            f'environment = {{ MACHINE_GUEST = "{folder}" }}\n'
        )
        machines = (f"--config={config}", f"--machines-folder={folder / 'run'}")
        one, two = self.host("kvm-1", 2, *machines), self.host("kvm-2", 2)
        three = self.host("kvm-3", 1)
        starts = folder / "starts"
        wait_until(lambda: two.metric("cluster_routes") == 1, "it is published")
        self.assertFalse(starts.exists())
        for number, host in enumerate((two, three), 1):
            wait_until(lambda: host.said("shop.example") == "hello, world", "an answer")  # noqa: B023
            self.assertEqual(self.said(host, 8, "shop.example"), {"hello, world"})
            self.assertEqual(len(starts.read_text().split()), number)
            wait_until(lambda: not one.api("/api/routes")["routes"][0]["subscribers"], "it is idle")
            wait_until(lambda: self.stopped(one), "it has stopped")

    def stopped(self, host: Host) -> bool:
        """Whether no machine runs there."""
        return all(each["state"] == "cold" for each in host.api("/api/machines")["machines"])

    def test_hand_over(self) -> None:
        """A parent's next program keeps the host in the cluster, though etcd may be away."""
        one, two = self.host("kvm-1", 2), self.host("kvm-2", 2)
        one.guest("Named")
        two.guest("Named", "--host=other\\.example")
        two.until_answered("kvm-1")
        one.until_answered("kvm-2", "other.example")
        for away in (False, True):
            if away:
                self.etcd.kill()
            for host in (one, two):
                before = self.pids(host)
                assert host.proxy is not None
                host.proxy.signal(signal.SIGUSR2)
                said = set()

                def taken_over() -> bool:
                    said.add((two.said(), one.said("other.example")))  # noqa: B023
                    now = self.pids(host)  # noqa: B023
                    return all(now[slot] != before[slot] for slot in before)  # noqa: B023

                wait_until(taken_over, "all workers to be replaced", 60)
                wait_until(
                    lambda: host.proxy.whole_lines.count("has taken over") > away,  # noqa: B023
                    "the end of it",
                )
                self.assertEqual(said, {("kvm-1", "kvm-2")})
            self.assertEqual(self.said(two), {"kvm-1"})
            self.assertEqual(self.said(one, of="other.example"), {"kvm-2"})
        self.assertEqual(two.metric("cluster_stale"), 1)
        self.etcd.start()
        wait_until(lambda: two.metric("cluster_stale") == 0, "etcd is back")
        one.guest("Named", "--host=late\\.example", said="late")
        two.until_answered("late", "late.example")
        self.assertEqual(self.said(two), {"kvm-1"})
