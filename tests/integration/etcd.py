"""A member of etcd, started by a test, with a folder and ports of its own on loopback."""

from __future__ import annotations

import shutil
import signal
from http.client import HTTPConnection
from pathlib import Path

from tests.integration.harness import Process, free_port, wait_until

PROGRAM = shutil.which("etcd")
SKIP = None if PROGRAM else "there is no etcd (Debian: etcd-server)"


class Etcd:
    """
    See above.

    @ivar port: for clients.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._peer = free_port()
        self._folder = folder
        self.process: Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it is healthy."""
        assert PROGRAM is not None
        clients, peers = self.url, f"http://127.0.0.1:{self._peer}"
        self.process = Process(
            "etcd",
            self._folder,
            [
                PROGRAM,
                f"--data-dir={self._folder / 'etcd'}",
                f"--listen-client-urls={clients}",
                f"--advertise-client-urls={clients}",
                f"--listen-peer-urls={peers}",
                f"--initial-advertise-peer-urls={peers}",
                f"--initial-cluster=default={peers}",
                "--log-outputs=stderr",
                "--logger=zap",
            ],
        )
        wait_until(self._healthy, "etcd is healthy")

    def kill(self) -> None:
        """Kill it, as a crash does: its data are there at the next start."""
        if self.process is not None and self.process.child.poll() is None:
            self.process.signal(signal.SIGKILL)
            self.process.wait()

    def _healthy(self) -> bool:
        assert self.process is not None
        if self.process.child.poll() is not None:
            raise AssertionError(self.process.output)
        connection = HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/health")
            return b'"true"' in connection.getresponse().read()
        except OSError:
            return False
        finally:
            connection.close()
