"""Sessions of TLS are resumed at any worker, whichever began them and whichever there are then."""

from __future__ import annotations

import os
import re
import signal
import ssl

from tests.integration.harness import wait_until
from tests.integration.tls_case import TlsCase

_SERVES = re.compile(r"worker (\d+) serves: process (\d+)")


class TicketsTests(TlsCase):
    library = "system"

    @property
    def pids(self) -> dict[int, int]:
        return {int(slot): int(pid) for slot, pid in _SERVES.findall(self.proxy.whole_lines)}

    def test_any_worker(self) -> None:
        """Both versions; after a worker was killed; after a hand-over."""
        self.serve("--workers=3", "--http=tcp:0:interface=127.0.0.1")
        wait_until(lambda: len(self.pids) == 3, "all workers to serve")
        clients = {}
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.authority.client_context()
            context.maximum_version = version
            with self.connect(context=context) as client:
                self.get(client)
                clients[context] = client.session
        self.resumed(clients)
        before = self.pids
        for slot in before:
            os.kill(before[slot], signal.SIGKILL)
            wait_until(lambda: self.pids[slot] != before[slot], "another worker")  # noqa: B023
        self.resumed(clients)
        before = self.pids
        self.proxy.signal(signal.SIGUSR2)
        wait_until(
            lambda: all(self.pids[slot] != before[slot] for slot in before), "new workers", 60
        )
        self.resumed(clients)

    def resumed(self, clients: dict[ssl.SSLContext, ssl.SSLSession | None]) -> None:
        """So many connections of each that no worker is left out."""
        for context, session in clients.items():
            for _ in range(24):
                with self.connect(context=context, session=session) as client:
                    self.assertTrue(self.get(client).startswith(b"HTTP/1.1 200"))
                    self.assertTrue(client.session_reused, context.maximum_version)
