"""Bodies of a guest that has a subscription with one of two workers, which are killed."""

from __future__ import annotations

import os
import random
import re
import signal
import threading

from tests.integration.bodies_app import content
from tests.integration.bodies_case import APP, MB
from tests.integration.bodies_storm import BodiesStorm
from tests.integration.harness import Process, wait_until

KILLS = int(os.environ.get("SUBPROXY_KILLS", "80"))
SERVES = re.compile(r"worker (\d+) serves: process (\d+)")


class WorkerBodiesTests(BodiesStorm):
    """Half of the clients are at the other worker."""

    def guest(self) -> Process:
        return self.world.start_guest(APP, "--host=blog\\.example", "--concurrency=1")

    def begin(self) -> Process:
        proxy, _ = self.start("--workers=2", "--hold=15")
        wait_until(lambda: len(SERVES.findall(proxy.whole_lines)) == 2, "both workers serve")
        return proxy

    def test_killed_clients(self) -> None:
        """Clients leave at random bytes: nobody else suffers."""
        proxy = self.begin()
        outcomes = self.storm(KILLS, 4, 11)
        self.assertGreater(outcomes["whole"], KILLS // 5, outcomes)
        self.assertEqual(outcomes.get("broken", 0) + outcomes.get("refused", 0), 0, outcomes)
        self.assertNotIn("Traceback", proxy.output)
        for _ in range(4):
            self.assertEqual(content(MB), self.get(self.client(), f"/file/{MB}"))

    def test_killed_workers(self) -> None:
        """One or the other is killed again and again: no half body passes for a whole one."""
        proxy = self.begin()
        killed: list[int] = []
        self.storms_until(
            lambda: len(killed) > 5, lambda stop: self.kill(proxy, killed, stop), KILLS // 4, 4
        )
        self.assertNotIn("Traceback", proxy.output)
        for _ in range(4):
            self.assertEqual(content(MB), self.get(self.client(), f"/file/{MB}"))

    def kill(self, proxy: Process, killed: list[int], stop: threading.Event) -> None:
        rng = random.Random(5)
        while not stop.wait(rng.uniform(0.8, 1.6)):
            serving = dict(SERVES.findall(proxy.whole_lines))
            killed.append(int(rng.choice(sorted(serving.values()))))
            os.kill(killed[-1], signal.SIGKILL)
