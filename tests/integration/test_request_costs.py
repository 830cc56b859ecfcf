"""What small requests that come one by one cost, in calls of Python functions."""

from __future__ import annotations

import sys

from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.install import unavailable
from tests.integration.counted_calls import calls_so_far
from tests.integration.harness import Process, World
from tests.integration.test_body_paths import GET, Play

REQUESTS = 1500

FEW = 6
"""A turn amid which another process had the processor takes as long; 12 waits are each 125th."""


skip = unavailable()


class RequestCostTests(SynchronousTestCase):
    """Of a proxy with one client and one guest."""

    def start(self, reactor: str) -> tuple[Play, Process]:
        """Which counts how often a guest has to wait for its turn."""
        world = World()
        self.addCleanup(world.close)
        self.called = world.folder / "called"
        command = [
            *(sys.executable, "-m", "tests.integration.called", "-n", "--pidfile="),
            *(f"--reactor={reactor}", "subproxy", f"--vsock={world.vsock}", "--access-log=none"),
            f"--http=tcp:{world.port}:interface=127.0.0.1",
        ]
        env = {"CALLED": str(self.called), "CALLED_ONLY": "_postpone"}
        proxy = world.start("proxy", command, **env)
        proxy.wait_for("guests on")
        play = Play(world)
        self.addCleanup(play.close)
        return play, proxy

    def calls(self, proxy: Process) -> int:
        """How often so far."""
        return calls_so_far(proxy, self.called)

    def waits(self, reactor: str) -> int:
        play, proxy = self.start(reactor)
        before = self.calls(proxy)
        for _ in range(REQUESTS):
            play.hello(play.ask(GET % (b"small", b"")).exchange)
            play.got()
        return self.calls(proxy) - before

    def test_who_uses_little_in_a_turn_does_not_wait(self) -> None:
        """Answers one by one are far from a share each, but several shares together."""
        for reactor in ("io_uring", "compiled_epoll"):
            self.assertLess(self.waits(reactor), FEW, reactor)
