"""
Bodies whose client or guest is killed: none is truncated in silence, and nothing is left behind.

C{SUBPROXY_KILLS=10000 python -m twisted.trial tests.integration.test_bodies_killed}
is the long storm.
"""

from __future__ import annotations

import os
import random
import signal
import threading

from tests.integration.bodies_app import content
from tests.integration.bodies_case import MB, descriptors, pipes
from tests.integration.bodies_storm import BodiesStorm
from tests.integration.harness import Process, wait_until

KILLS = int(os.environ.get("SUBPROXY_KILLS", "200"))


class KillTests(BodiesStorm):
    def test_killed_clients(self) -> None:
        """Clients leave at random bytes: nobody else suffers, nothing leaks."""
        for reactor in ("io_uring", "compiled_epoll", "epoll"):
            self.reactor = reactor
            self.setUp()
            proxy, guest = self.start()
            outcomes = self.storm(KILLS, 8, 11)
            self.assertGreater(outcomes["whole"], KILLS // 5, outcomes)
            self.assertEqual(outcomes.get("broken", 0) + outcomes.get("refused", 0), 0, outcomes)
            # 32 pipes may be kept, 8 idle data connections, and a little is made at first use.
            calm = (len(descriptors(proxy)) - pipes(proxy) + 64 + 8, 64)
            self.assertCalm(proxy, guest, calm)
            wait_until(lambda p=proxy: self.sockets(p) <= 24, "connections closed", 20)
            self.assertNotIn("Traceback", proxy.output)
            self.assertEqual(self.get(self.client(), f"/file/{MB}"), content(MB))

    def sockets(self, process: Process) -> int:
        return sum(each.startswith("socket:") for each in descriptors(process))

    def test_killed_guests(self) -> None:
        """A guest is killed again and again: what clients get is whole, or visibly not."""
        for reactor in ("io_uring", "compiled_epoll", "epoll"):
            self.reactor = reactor
            self.setUp()
            proxy, guest = self.start("--hold=5")
            guests = [guest]
            self.storms_until(
                lambda g=guests: len(g) > 3, lambda stop, g=guests: self.kill(g, stop), KILLS, 8
            )
            wait_until(lambda p=proxy: self.sockets(p) <= 24, "connections closed", 20)
            # What is kept for the next bodies, and no more.
            self.assertLessEqual(pipes(proxy), 64 + 4)
            self.assertNotIn("Traceback", proxy.output)
            self.assertEqual(self.get(self.client(), f"/file/{MB}"), content(MB))

    def kill(self, guests: list[Process], stop: threading.Event) -> None:
        """Kill the last of C{guests} at any moment, and start another, until C{stop}."""
        rng = random.Random(5)
        while not stop.wait(rng.uniform(0.1, 1.0)):
            guests[-1].signal(signal.SIGKILL)
            guests.append(self.guest())
