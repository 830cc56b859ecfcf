"""What tests of the kernel's word on a connection share: a real one, and waiting for the kernel."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase


class SocketTestCase(SynchronousTestCase):
    """
    Two ends of a TCP connection.

    @ivar client: that of who dialled.
    @ivar server: the other one.
    """

    def setUp(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.client = socket.create_connection(server.getsockname())
            self.server, _ = server.accept()
        self.addCleanup(self.client.close)
        self.addCleanup(self.server.close)

    def until(self, condition: Callable[[], object]) -> None:
        """Wait until the kernel has done its part."""
        end = time.monotonic() + 10
        while not condition():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.005)
