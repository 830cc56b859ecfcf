"""Slow, silent and vanishing clients, over real sockets."""

from __future__ import annotations

import http.client
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.harness import Process, World, wait_until

GET = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n"


def resident(process: Process) -> int:
    """Resident bytes of C{process}."""
    status = Path(f"/proc/{process.child.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


class Attacks(SynchronousTestCase):
    limits: tuple[str, ...] = ()

    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.server = self.world.start(
            "server", [sys.executable, "-m", "tests.integration.probe_server", *self.limits]
        )
        self.addCleanup(lambda: self.assertNotIn("Traceback", self.server.output))
        self.port = int(
            wait_until(
                lambda: [line for line in self.server.output.splitlines() if line.isdigit()],
                "the server listens",
            )[0]
        )

    def connect(self, data: bytes = b"") -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), 20)
        self.addCleanup(client.close)
        client.sendall(data)
        return client

    def ask(self, path: str) -> bytes:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            client.request("GET", path)
            return client.getresponse().read()
        finally:
            client.close()

    def everything(self, client: socket.socket) -> bytes:
        """All that comes until the end."""
        found = b""
        try:
            while data := client.recv(65536):
                found += data
        except ConnectionResetError:
            pass
        return found


class LeavingTests(Attacks):
    def cancelled(self) -> list[int]:
        return [int(each) for each in self.ask("/cancelled").split()]

    def times(self, leave: Callable[[socket.socket], None]) -> list[float]:
        """Seconds from C{leave} to the word that the guest gets, several times."""
        times = []
        for number in range(5):
            client = self.connect(GET % b"/slow")
            time.sleep(0.05)
            left = time.monotonic()
            leave(client)
            after = wait_until(lambda n=number: self.cancelled()[n:], "the guest is told")
            times.append(after[0] / 1000 - left)
        return times

    def test_a_client_that_closes_is_noticed(self) -> None:
        times = self.times(socket.socket.close)
        # A busy machine may be late; the proxy is not, or not each time.
        self.assertLess(min(times), 0.1)
        self.assertLess(max(times), 0.4)

    def test_a_client_that_resets_is_noticed(self) -> None:
        def reset(client: socket.socket) -> None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()

        times = self.times(reset)
        self.assertLess(min(times), 0.1)
        self.assertLess(max(times), 0.4)

    def test_a_client_that_half_closes_gets_its_answer(self) -> None:
        client = self.connect(GET % b"/slow")
        client.shutdown(socket.SHUT_WR)
        answer = http.client.HTTPResponse(client)
        answer.begin()
        self.assertEqual((answer.status, answer.read()), (200, b"slow"))
        self.assertEqual(self.cancelled(), [])
        quick = self.connect(GET % b"/")
        quick.shutdown(socket.SHUT_WR)
        self.assertTrue(self.everything(quick).startswith(b"HTTP/1.1 200 OK\r\n"))

    def test_an_error_arrives_though_the_client_still_sends(self) -> None:
        client = self.connect(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n")
        try:
            for _ in range(200):
                client.sendall(bytes(10_000))
        except OSError:
            pass
        self.assertTrue(self.everything(client).startswith(b"HTTP/1.1 400 "))


class SlowTests(Attacks):
    limits = (
        "header_timeout=1.5",
        "body_grace=1.5",
        "body_rate=1000",
        "keepalive_timeout=3",
        "linger=0.5",
    )
    count = 300

    def test_slow_heads_are_cut(self) -> None:
        began = time.monotonic()
        clients = [self.connect(b"GET / HTTP/1.1\r\nHost: a\r\n") for _ in range(self.count)]
        while time.monotonic() - began < 1:
            for client in clients[::10]:
                client.sendall(b"X-A: b\r\n")
            time.sleep(0.2)
        for client in clients:
            self.assertTrue(self.everything(client).startswith(b"HTTP/1.1 408 "))
        self.assertLess(time.monotonic() - began, 8)

    def test_slow_bodies_are_cut(self) -> None:
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
        began = time.monotonic()
        clients = [
            self.connect(head % (1_000_000 if number % 2 else 1000)) for number in range(self.count)
        ]
        while time.monotonic() - began < 1:
            for client in clients[::10]:
                client.sendall(b"x")
            time.sleep(0.2)
        for client in clients:
            self.assertTrue(self.everything(client).startswith(b"HTTP/1.1 408 "))
        self.assertLess(time.monotonic() - began, 8)

    def test_slow_readers_are_cut_and_cost_little(self) -> None:
        self.ask("/")
        before = resident(self.server)
        count = 50
        clients = [self.connect(GET % b"/large") for _ in range(count)]
        time.sleep(1)
        each = (resident(self.server) - before) / count
        self.assertLess(each, 200_000)
        for client in clients:
            # They were in the middle of 64 MiB: what is left is a broken message.
            self.assertLess(len(self.everything_slowly(client)), 60 << 20)

    def everything_slowly(self, client: socket.socket) -> bytes:
        client.settimeout(20)
        found = b""
        try:
            # A byte now and then until the proxy gives up; then what is in the buffers.
            end = time.monotonic() + 5
            while time.monotonic() < end and not self.gave_up(client):
                time.sleep(0.1)
            while data := client.recv(1 << 20):
                found += data
        except ConnectionResetError:
            pass
        return found

    def gave_up(self, client: socket.socket) -> bool:
        state = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        return bool(state != 1)

    def test_idle_connections_are_closed(self) -> None:
        began = time.monotonic()
        fresh = self.connect()
        used = self.connect(GET % b"/")
        self.assertEqual(self.everything(fresh), b"")
        self.assertTrue(self.everything(used).endswith(b"OK"))
        self.assertLess(time.monotonic() - began, 6)

    def test_others_are_served_meanwhile(self) -> None:
        for _ in range(self.count):
            self.connect(b"GET / HTTP/1.1\r\nHost: a\r\nX")
        began = time.monotonic()
        for _ in range(50):
            self.assertEqual(self.ask("/"), b"OK")
        self.assertLess(time.monotonic() - began, 2)


class MemoryTests(Attacks):
    def test_partial_requests_cost_little(self) -> None:
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        count = min(3000, soft - 200)
        self.ask("/")
        before = resident(self.server)
        clients = [
            self.connect(b"GET / HTTP/1.1\r\nHost: a.example\r\nUser-Agent: x\r\nX-A: ")
            for _ in range(count)
        ]
        time.sleep(0.5)
        each = (resident(self.server) - before) / len(clients)
        self.assertLess(each, 10_000)
