"""Guests that say what they are while the parent of workers fails to hand over."""

from __future__ import annotations

import resource
import signal
import socket

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.harness import World, wait_until

FRAME = 60_000
MOST = 40_000
"""Bytes of a file that the parent may write: its log is far less, what it hands over is more."""


class FailedHandOverTests(SynchronousTestCase):
    def test_a_guest_that_greets(self) -> None:
        """The state can't be written, behind the trial: its connection is read on."""
        world = World()
        self.addCleanup(world.close)
        proxy = world.start_proxy("--workers=2", "--access-log=none")
        wait_until(lambda: proxy.whole_lines.count(" serves: process ") == 2, "all workers")
        with socket.socket(socket.AF_UNIX) as guest:
            guest.settimeout(10)
            guest.connect(f"{world.vsock}_12345")
            guest.sendall(b"%d:" % FRAME + b"x" * (FRAME - 100))
            limits = resource.prlimit(proxy.child.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(proxy.child.pid, resource.RLIMIT_FSIZE, (MOST, limits[1]))
            proxy.signal(signal.SIGUSR2)
            proxy.wait_for("no new process came up, so this one goes on")
            self.assertIn("File too large", proxy.whole_lines)
            resource.prlimit(proxy.child.pid, resource.RLIMIT_FSIZE, limits)
            guest.sendall(b"x" * 100 + b",")
            self.assertIn(b"bye", guest.recv(1000))
        self.assertEqual(world.ask("/")[0], 404)
