"""A proxy, a guest and a client, where what rides in its frame comes in pieces."""

from __future__ import annotations

import socket
import time

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.body_guest import ScriptedGuest
from tests.integration.harness import World

BUFFER = 16384
"""Bytes of a buffer of the reactor's: what comes at first may be no more."""
MOST = 65536
"""Bytes of the largest body that rides in its frame."""
CONTENT = bytes(range(251)) * 300


class GatheredCase(SynchronousTestCase):
    """See above; on a reactor, with options."""

    reactor = "io_uring"
    options: tuple[str, ...] = ()

    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.world.start_proxy(
            "--access-log=none", *self.options, twistd=(f"--reactor={self.reactor}",)
        ).wait_for("guests on")
        self.guest = ScriptedGuest(f"{self.world.vsock}_12345")
        self.addCleanup(self.guest.close)
        self.client = self.connect()

    def connect(self) -> socket.socket:
        """A client, whose pieces are sent at once."""
        client = socket.create_connection(("127.0.0.1", self.world.port), 20)
        self.addCleanup(client.close)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def talker(self) -> socket.socket:
        """Who sends in pieces."""
        return self.client

    def send(self, *pieces: bytes, pause: float = 0.0) -> None:
        """Send pieces, so that each is likely to be received by itself."""
        for piece in pieces:
            self.talker().sendall(piece)
            time.sleep(pause)
