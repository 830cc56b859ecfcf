"""What a guest can make the proxy hold for clients that read nothing: both reactors, both paths."""

from __future__ import annotations

import socket
import time

from twisted.trial.unittest import SynchronousTestCase

from tests.integration import hostile
from tests.integration.harness import World
from tests.integration.test_main_job import memory_of

POLICY = """
[default]
buffer = "1 MiB"
[[guest]]
identity = "*"
hosts = ["hostile.example"]
"""


class HeldTests(SynchronousTestCase):
    def grown(self, kind: type[hostile.Attack], clients: int, *options: str, reactor: str) -> int:
        """Bytes that the proxy grows by while C{clients} that read nothing ask C{kind}."""
        world = World()
        self.addCleanup(world.close)
        policy = world.folder / "policy.toml"
        policy.write_text(POLICY)
        proxy = world.start_proxy(
            "--access-log=none", f"--policy={policy}", *options, twistd=(f"--reactor={reactor}",)
        )
        attack = kind(world.vsock)
        self.addCleanup(attack.stop)
        attack.start()
        proxy.wait_for(" serves ")
        before = memory_of(proxy.child.pid)
        for _ in range(clients):
            client = socket.socket()
            self.addCleanup(client.close)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", world.port))
            client.sendall(b"GET / HTTP/1.1\r\nHost: hostile.example\r\n\r\n")
        time.sleep(2)
        self.assertNotIn("Traceback", proxy.output)
        return memory_of(proxy.child.pid) - before

    def each_way(self, kind: type[hostile.Attack], clients: int, most: int) -> None:
        for reactor in ("io_uring", "epoll"):
            for options in ((), ("--no-fastpath",)):
                with self.subTest(reactor=reactor, options=options):
                    grown = self.grown(kind, clients, *options, reactor=reactor)
                    self.assertLess(grown, most)

    def test_interim_responses(self) -> None:
        """At most 16 KiB for each of the clients, and what an allocator keeps."""
        self.each_way(hostile.EndlessHints, 40, 8 << 20)

    def test_pieces_of_a_byte(self) -> None:
        """A window for each of the clients, not an object of 33 bytes or more for each piece."""
        self.each_way(hostile.TinyPieces, 16, 16 << 20)
