"""A member of etcd, started by a test, with a folder and ports of its own on loopback."""

from __future__ import annotations

import shutil
import signal
import ssl
import tempfile
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.harness import Process, free_port, wait_until
from tests.rigs.tls_rig import Authority

PROGRAM = shutil.which("etcd")
SKIP = None if PROGRAM else "there is no etcd (Debian: etcd-server)"


class Etcd:
    """
    See above.

    @param authority: signs its certificate; None: it speaks HTTP without TLS.
    @ivar port: for clients.
    @ivar folder: where it has its files.
    """

    def __init__(self, folder: Path, authority: Authority | None = None) -> None:
        self._tls: list[str] = []
        self._context: ssl.SSLContext | None = None
        if authority is not None:
            pair = folder.resolve() / "etcd.pem"
            pair.write_bytes(authority.issue("localhost", "127.0.0.1"))
            self._tls = [f"--cert-file={pair}", f"--key-file={pair}"]
            self._context = authority.client_context()
        self.port = free_port()
        self._peer = free_port()
        self.folder = folder
        self.process: Process | None = None

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it is healthy."""
        assert PROGRAM is not None
        clients, peers = self.url, f"http://127.0.0.1:{self._peer}"
        self.process = Process(
            "etcd",
            self.folder,
            [
                PROGRAM,
                f"--data-dir={self.folder / 'etcd'}",
                f"--listen-client-urls={clients}",
                f"--advertise-client-urls={clients}",
                f"--listen-peer-urls={peers}",
                f"--initial-advertise-peer-urls={peers}",
                f"--initial-cluster=default={peers}",
                *self._tls,
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
        if self._context is not None:
            connection = HTTPSConnection("127.0.0.1", self.port, timeout=2, context=self._context)
        try:
            connection.request("GET", "/health")
            return b'"true"' in connection.getresponse().read()
        except OSError:
            return False
        finally:
            connection.close()


def started(case: SynchronousTestCase) -> Etcd:
    """One that serves for as long as a test runs, with a folder of its own."""
    folder = tempfile.TemporaryDirectory(prefix="subproxy-etcd-")
    case.addCleanup(folder.cleanup)
    etcd = Etcd(Path(folder.name))
    case.addCleanup(etcd.kill)
    etcd.start()
    return etcd
