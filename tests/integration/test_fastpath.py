"""The compiled path in real processes, on both reactors."""

from __future__ import annotations

import json
import socket
from http.client import HTTPConnection
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.install import unavailable
from tests.integration.harness import World, free_port, wait_until

REQUEST = b"GET /%d HTTP/1.1\r\nHost: blog.example\r\nUser-Agent: test\r\n\r\n"


class FastPathTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)

    def _answers(self, count: int, pieces: int = 1) -> bytes:
        """What one connection gets for so many requests, sent at once or in pieces."""
        with socket.create_connection(("127.0.0.1", self.world.port), timeout=20) as client:
            data = b"".join(REQUEST % number for number in range(count))
            step = len(data) // pieces + 1
            for at in range(0, len(data), step):
                client.sendall(data[at : at + step])
            got = b""
            while got.count(b"HTTP/1.1 200 OK\r\n") < count or not got.endswith(b"app\n"):
                more = client.recv(65536)
                self.assertTrue(more, got)
                got += more
            return got

    def _serve(
        self, *options: str, twistd: tuple[str, ...] = (), served: str = 'HTTP/1.1" 200 '
    ) -> str:
        self.admin = free_port()
        admin = f"--admin=tcp:{self.admin}:interface=127.0.0.1"
        token = f"--admin-token={self.world.folder / 'admin.token'}"
        proxy = self.world.start_proxy(admin, token, *options, twistd=twistd)
        self.world.start_guest("tests.integration.apps:Named", "--host=blog\\.example")
        self._answers(30)
        self._answers(20, 17)
        self.world.ask(method="POST", body=b"x" * 5000)
        wait_until(lambda: proxy.output.count(served) == 51, "51 lines in the log")
        return proxy.output

    def _metrics(self) -> dict[str, float]:
        """The metrics page."""
        client = HTTPConnection("127.0.0.1", self.admin, timeout=20)
        self.addCleanup(client.close)
        client.request("GET", "/metrics")
        lines = client.getresponse().read().decode().splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    def test_pipelined_requests(self) -> None:
        if unavailable() is not None:
            raise SkipTest("no compiled path")
        for reactor in ("io_uring", "compiled_epoll", "epoll"):
            with self.subTest(reactor=reactor):
                output = self._serve(twistd=(f"--reactor={reactor}",))
                self.assertNotIn("every request takes the Python path", output)
                metrics = self._metrics()
                self.assertGreater(metrics["subproxy_fastpath_answered"], 40)
                route = 'subproxy_requests_total{code="200",route="blog\\\\.example /.*"}'
                self.assertEqual(metrics[route], 51)
                self.assertNotIn("Traceback", output)
                self.setUp()

    def test_many_requests_of_a_turn(self) -> None:
        """Their frames go to the guest in few pieces: each client gets its own answer."""
        for reactor in ("io_uring", "compiled_epoll"):
            with self.subTest(reactor=reactor):
                proxy = self.world.start_proxy(twistd=(f"--reactor={reactor}",))
                self.world.start_guest("tests.integration.apps:Mirror", "--host=blog\\.example")
                clients = [
                    socket.create_connection(("127.0.0.1", self.world.port), timeout=20)
                    for _ in range(40)
                ]
                for turn in range(1, 6):
                    sent = [b"%d " % at + b"x" * (at * 37 * turn) for at in range(len(clients))]
                    for client, body in zip(clients, sent, strict=True):
                        head = (
                            b"POST / HTTP/1.1\r\nHost: blog.example\r\nContent-Length: %d\r\n\r\n"
                        )
                        client.sendall(head % len(body) + body)
                    for client, body in zip(clients, sent, strict=True):
                        got = b""
                        while not got.endswith(b"\r\n\r\n" + body):
                            more = client.recv(65536)
                            self.assertTrue(more, got)
                            got += more
                        self.assertTrue(got.startswith(b"HTTP/1.1 200 OK\r\n"), got)
                for client in clients:
                    client.close()
                self.assertNotIn("Traceback", proxy.output)
                self.setUp()

    def test_json(self) -> None:
        """The format of the access log decides nothing about the path."""
        if unavailable() is not None:
            raise SkipTest("no compiled path")
        output = self._serve("--access-log-format=json", served='"status":200,')
        self.assertNotIn("every request takes the Python path", output)
        self.assertGreater(self._metrics()["subproxy_fastpath_answered"], 40)
        lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
        self.assertEqual({line["host"] for line in lines}, {"blog.example"})
        self.assertEqual({line["route"] for line in lines}, {r"blog\.example /.*"})

    def test_spin(self) -> None:
        output = self._serve("--spin=50")
        self.assertNotIn("Traceback", output)

    def test_without(self) -> None:
        output = self._serve("--no-fastpath")
        self.assertIn("every request takes the Python path: --no-fastpath", output)
