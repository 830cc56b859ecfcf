"""A worker that hangs is killed, and another one takes its place."""

from __future__ import annotations

import os
import re
import signal
import time

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.admin_client import metric
from tests.integration.harness import World, wait_until
from tests.integration.successors import alive

_SERVES = re.compile(r"worker (\d+) serves: process (\d+)")


class HungWorkerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.admin = self.world.folder / "admin"
        self.proxy = self.world.start_proxy(
            "--workers=2", "--access-log=none", f"--admin={self.admin}"
        )
        wait_until(lambda: len(self.pids) == 2, "all workers to serve")

    @property
    def pids(self) -> dict[int, int]:
        """The newest process of each slot."""
        return {int(slot): int(pid) for slot, pid in _SERVES.findall(self.proxy.whole_lines)}

    def metric(self, name: str) -> float:
        return metric(self.admin, name)

    def test_a_worker_that_hangs(self) -> None:
        """Though it would go on if it could, as one that is stopped; its neighbour stays."""
        before = self.pids
        os.kill(before[1], signal.SIGSTOP)
        stopped = time.monotonic()
        wait_until(lambda: self.pids[1] != before[1], "another worker")
        self.assertLess(time.monotonic() - stopped, 20)
        self.assertFalse(alive(before[1]))
        self.assertEqual(self.pids[0], before[0])
        said = f"worker 1, process {before[1]}, has not answered for 10 seconds"
        self.assertIn(said, self.proxy.whole_lines)
        self.assertEqual({self.world.ask("/")[0] for _ in range(8)}, {404})
        self.assertEqual(self.metric("worker_hangs_total"), 1)
        self.assertEqual(self.metric("worker_deaths_total"), 1)

    def test_all_are_frozen(self) -> None:
        """With their parent, as where a machine is suspended: nobody is taken for hung."""
        before = self.pids
        for pid in (self.proxy.child.pid, *before.values()):
            os.kill(pid, signal.SIGSTOP)
        time.sleep(12)
        os.kill(self.proxy.child.pid, signal.SIGCONT)
        time.sleep(0.5)  # what was late, it knows before they can say a word
        for pid in before.values():
            os.kill(pid, signal.SIGCONT)
        wait_until(lambda: self.world.ask("/")[0] == 404, "an answer")
        time.sleep(6)
        self.assertEqual(self.pids, before)
        self.assertEqual(self.metric("worker_hangs_total"), 0)
