"""What the kernel keeps for a client is bounded on the listening socket."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.notsent_lowat import limit_unsent


class UnsentTests(SynchronousTestCase):
    def listening(self, family: int, where: Any) -> socket.socket:
        found = socket.socket(family)
        self.addCleanup(found.close)
        found.bind(where)
        found.listen()
        return found

    def test_connections_inherit_it(self) -> None:
        listening = self.listening(socket.AF_INET, ("127.0.0.1", 0))
        limit_unsent(SimpleNamespace(socket=listening), 100_000)  # type: ignore[arg-type]
        with socket.create_connection(listening.getsockname()):
            accepted, _ = listening.accept()
            with accepted:
                bound = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
        self.assertEqual(bound, 100_000)

    def test_a_reader_that_stops_fills_no_more(self) -> None:
        """The same reader without the bound takes many times that."""
        taken = []
        for size in (65_536, 0):
            listening = self.listening(socket.AF_INET, ("127.0.0.1", 0))
            limit_unsent(SimpleNamespace(socket=listening), size)  # type: ignore[arg-type]
            client = socket.socket()
            self.addCleanup(client.close)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(listening.getsockname())
            accepted, _ = listening.accept()
            self.addCleanup(accepted.close)
            accepted.setblocking(False)
            sent = 0
            try:
                while True:
                    sent += accepted.send(bytes(16_384))
            except BlockingIOError:
                taken.append(sent)
        # The last segment may begin below the bound and end above it.
        self.assertLess(taken[0], 65_536 + 65_536 + 16_384)
        self.assertGreater(taken[1], 4 * taken[0])

    def test_what_is_not_tcp_is_left_alone(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            listening = self.listening(socket.AF_UNIX, str(Path(folder) / "x"))
            limit_unsent(SimpleNamespace(socket=listening), 1)  # type: ignore[arg-type]
        limit_unsent(SimpleNamespace(), 1)  # type: ignore[arg-type]

    def test_a_kernel_that_refuses_is_told_of(self) -> None:
        events = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        listening = self.listening(socket.AF_INET, ("127.0.0.1", 0))
        listening.close()
        limit_unsent(SimpleNamespace(socket=listening), 1)  # type: ignore[arg-type]
        self.assertIn("not bounded", formatEvent(events[0]))
