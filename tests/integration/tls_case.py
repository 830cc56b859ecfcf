"""A proxy over TLS with a guest behind it, and what asks it."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from subproxy.reactor.availability import unavailable as without_ring
from tests.integration.harness import World, free_port
from tests.rigs.tls_rig import Authority

HOST = "blog.example"
RING = "epoll" if without_ring() else "io_uring"


class TlsCase(SynchronousTestCase):
    """
    @ivar certificates: the folder that the proxy watches.
    @ivar context: a client's, which believes the authority of all certificates here.
    """

    library = "auto"

    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.authority = Authority()
        self.certificates = self.world.folder / "certificates"
        self.certificates.mkdir()
        self.ca = self.world.folder / "ca.pem"
        self.ca.write_bytes(self.authority.pem)
        self.context = self.authority.client_context()
        self.https = free_port()

    def put(self, name: str, *names: str, **options: Any) -> None:
        """A certificate, in one step."""
        fresh = self.world.folder / "fresh"
        fresh.write_bytes(self.authority.issue(*names, **options))
        os.replace(fresh, self.certificates / name)

    def serve(self, *options: str, reactor: str = "", application: str | None = "Named") -> None:
        """A proxy and a guest, if that is an application."""
        self.put("blog.pem", HOST, "news.example", "127.0.0.1")
        self.proxy = self.world.start_proxy(
            f"--https=tcp:{self.https}:interface=127.0.0.1",
            f"--certificates={self.certificates}",
            f"--tls-library={self.library}",
            *options,
            twistd=(f"--reactor={reactor or RING}",),
        )
        self.proxy.wait_for("HTTPS on")
        if application is not None:
            self.world.start_guest(f"tests.integration.apps:{application}", "--host=.*")

    def connect(
        self,
        host: str = HOST,
        context: ssl.SSLContext | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        """A connection with its handshake done."""
        plain = socket.create_connection(("127.0.0.1", self.https), 20)
        try:
            return (context or self.context).wrap_socket(
                plain, server_hostname=host, session=session, suppress_ragged_eofs=False
            )
        except BaseException:
            plain.close()
            raise

    def get(self, client: ssl.SSLSocket, path: str = "/", host: str = HOST) -> bytes:
        """A request on it, and all of the answer that comes with its length."""
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        got = b""
        while b"\r\n\r\n" not in got:
            more = client.recv(65536)
            if not more:
                raise AssertionError(f"no whole head: {got!r}")
            got += more
        head, _, body = got.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        while len(body) < length:
            more = client.recv(65536)
            if not more:
                raise AssertionError("no whole body")
            body += more
        return got if len(got) > len(body) else head + body


class Load:
    """
    Asks again and again, each time on a new connection, until it is told to stop.

    @ivar failed: what went wrong.
    @ivar served: how many went well.
    """

    def __init__(self, case: TlsCase, threads: int = 2, pause: float = 0.005) -> None:
        self.failed: list[str] = []
        self.served = 0
        self._case = case
        self._pause = pause
        self._stop = False
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]
        for each in self._threads:
            each.start()

    def _run(self) -> None:
        while not self._stop:
            try:
                with self._case.connect() as client:
                    answer = self._case.get(client)
                if not answer.startswith(b"HTTP/1.1 200"):
                    raise AssertionError(answer)
                self.served += 1
            except Exception as error:
                self.failed.append(repr(error))
            time.sleep(self._pause)

    def stop(self) -> None:
        """Wait for the last answers."""
        self._stop = True
        for each in self._threads:
            each.join()
