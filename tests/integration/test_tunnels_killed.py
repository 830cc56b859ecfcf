"""A thousand open tunnels: their guest is killed, the proxy replaced, the clients are gone."""

from __future__ import annotations

import os
import select
import signal
import socket

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.harness import Process, World, wait_until
from tests.integration.successors import Line
from tests.integration.test_tunnel_splice import ASK, RESET

MANY = 1000
HELLO = b"\x81\x85\0\0\0\0hello"
ECHO = b"\x81\x05hello"
"""A frame of a client, masked by zeros, and what an echo makes of it."""


class TunnelsKilledTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.world.start_proxy(f"--access-log={self.world.folder / 'access.log'}", "--hold=0")
        self.clients: list[socket.socket] = []
        self.addCleanup(self.close)

    def close(self) -> None:
        while self.clients:
            self.clients.pop().close()

    def guest(self) -> Process:
        return self.world.start_guest(
            "tests.integration.web_socket_app:Echo", r"--host=a\.example", "--drain-timeout=5"
        )

    def open(self, count: int = MANY) -> list[socket.socket]:
        """So many more, each of which has said hello."""
        found = []
        for _ in range(count):
            client = socket.create_connection(("127.0.0.1", self.world.port), timeout=30)
            client.sendall(ASK)
            found.append(client)
        for client in found:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                piece = client.recv(4096)
                assert piece, head
                head += piece
            self.assertTrue(head.startswith(b"HTTP/1.1 101 "), head)
        self.clients += found
        self.greet(found)
        return found

    def greet(self, clients: list[socket.socket]) -> None:
        """All say hello, and hear it."""
        for client in clients:
            client.sendall(HELLO)
        for client in clients:
            came = b""
            while len(came) < len(ECHO):
                piece = client.recv(len(ECHO) - len(came))
                assert piece, came
                came += piece
            self.assertEqual(came, ECHO)

    def broken(self, clients: list[socket.socket]) -> int:
        """How many of them end, and by a reset: no guest has said that it was over."""
        resets = 0
        for client in clients:
            try:
                self.assertEqual(client.recv(1), b"")
            except ConnectionResetError:
                resets += 1
        return resets

    def lines(self, why: str) -> int:
        """How many tunnels the log has, that ended so."""
        text = (self.world.folder / "access.log").read_text()
        return sum(" 101 " in line and line.endswith(why) for line in text.splitlines())

    def test_the_guest_is_killed(self) -> None:
        """Each client sees a break, at once; another guest has room for as many."""
        guest = self.guest()
        clients = self.open()
        guest.signal(signal.SIGKILL)
        self.assertEqual(self.broken(clients), MANY)
        guest.wait()
        wait_until(lambda: self.lines(" guest-gone") == MANY, "a line for each in the log")
        self.close()
        self.guest()
        self.open(100)

    def test_the_clients_are_gone(self) -> None:
        """By a reset, or a FIN without a word: each is told to the guest, and nothing is left."""
        guest = self.guest()
        for number, client in enumerate(self.open()):
            if number % 2:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            client.close()
        self.clients.clear()
        guest.wait_for("over: 1006", count=MANY)
        self.open(10)
        self.close()
        guest.signal(signal.SIGTERM)
        self.assertEqual(guest.wait(), 0, guest.output)

    def test_the_proxy_is_replaced(self) -> None:
        """The old process keeps what it has; what is new goes to the new one."""
        proxy = self.world.proxy
        assert proxy is not None
        self.guest()
        old = self.open()
        line = Line(self.world)
        self.addCleanup(line.end)
        line.hand_over()
        proxy.wait_for(" serves ", 2)
        self.greet(old)
        new = self.open(10)
        self.greet(old)
        poll = select.poll()
        for client in old + new:
            poll.register(client, select.POLLIN)
        self.assertEqual(poll.poll(0), [])
        self.close()
        line.wait_for_the_old()
        self.assertNotIn("Traceback", line.log)
        self.open(10)
        self.close()
        os.kill(line.pids[-1], signal.SIGTERM)
