"""The main job, with real processes: subscribe, be asked, answer."""

from __future__ import annotations

import hashlib
import random
import signal
import socket
import threading
import time
from collections import Counter
from http.client import HTTPConnection
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.harness import World, wait_until

HERE = str(Path(__file__).parent.parent.parent)
SIZES = [0, 1, 2, 100, 1000, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 200_000]


def memory_of(pid: int) -> int:
    """Resident bytes of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


class MainJobTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)

    def guest(self, application: str, *options: str, name: str = "guest", **environment: str):
        import os

        for key, value in environment.items():
            os.environ[key] = value
        try:
            return self.world.start_guest(
                f"tests.integration.apps:{application}", *options, name=name
            )
        finally:
            for key in environment:
                del os.environ[key]

    def test_a_thousand_requests(self) -> None:
        """Mixed methods and bodies, both directions, chunked and not, byte for byte."""
        self.world.start_proxy()
        self.guest("Mirror", "--host=blog\\.example")
        rng = random.Random(7)
        clients = [HTTPConnection("127.0.0.1", self.world.port, timeout=60) for _ in range(4)]
        sizes = [rng.choice(SIZES) for _ in range(990)]
        sizes += [1 << 20] * 6 + [10 << 20] * 4
        rng.shuffle(sizes)
        noise = rng.randbytes(10 << 20)
        for number, size in enumerate(sizes):
            client = clients[number % 4]
            method = rng.choice(["GET", "POST", "PUT", "PATCH", "DELETE"])
            body = noise[:size]
            chunked = rng.random() < 0.5
            pieces: object = body
            headers = {"Host": "blog.example"}
            if chunked:
                step = max(1, size // 3)
                pieces = (body[i : i + step] for i in range(0, size, step))
                headers["Transfer-Encoding"] = "chunked"
            path = rng.choice(["/", "/stream"])
            client.request(method, path, pieces, headers, encode_chunked=chunked)
            response = client.getresponse()
            got = response.read()
            self.assertEqual(response.status, 200, (number, method, size))
            self.assertEqual(response.getheader("x-method"), method)
            self.assertEqual(response.getheader("x-digest"), hashlib.sha256(body).hexdigest())
            self.assertTrue(got == body, (number, method, size, chunked, path, len(got)))
        for client in clients:
            client.close()

    def test_a_slow_guest_gets_less(self) -> None:
        """Three guests of one pool, one far slower: it gets visibly fewer of the requests."""
        self.world.start_proxy("--access-log=none")
        for name, delay in (("fast1", "0.002"), ("fast2", "0.002"), ("slow", "0.5")):
            self.guest("Named", "--host=pool", name=name, APP_NAME=name, APP_DELAY=delay)
        counts: Counter[bytes] = Counter()

        def client() -> None:
            connection = HTTPConnection("127.0.0.1", self.world.port)
            end = time.monotonic() + 3
            while time.monotonic() < end:
                connection.request("GET", "/", headers={"Host": "pool"})
                counts[connection.getresponse().read().strip()] += 1
            connection.close()

        threads = [threading.Thread(target=client) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(set(counts), {b"fast1", b"fast2", b"slow"})
        self.assertLess(counts[b"slow"] * 2, min(counts[b"fast1"], counts[b"fast2"]), counts)

    def test_a_killed_guest_is_gone(self) -> None:
        """SIGKILL: out of the table in the same second."""
        proxy = self.world.start_proxy("--hold=0")
        guest = self.guest("Named", "--host=blog\\.example", APP_NAME="one")
        self.assertEqual(self.world.ask()[0], 200)
        guest.signal(signal.SIGKILL)
        proxy.wait_for("lost", deadline=1.0)
        status, headers, body = self.world.ask()
        self.assertEqual((status, headers["retry-after"].isdigit()), (503, True))
        self.assertIn(headers["x-request-id"].encode(), body)

    def test_two_guests_through_one_socket(self) -> None:
        """Hosts of two guests on the same path socket are never mixed."""
        self.world.start_proxy("--access-log=none")
        self.guest("Named", "--host=one", name="one", APP_NAME="one")
        self.guest("Named", "--host=two", name="two", APP_NAME="two")
        for _ in range(50):
            for host in ("one", "two"):
                self.assertEqual(self.world.ask(host=host)[2], host.encode() + b"\n")

    def test_errors(self) -> None:
        """No route: 404, with a request id that the log has too."""
        proxy = self.world.start_proxy()
        status, headers, body = self.world.ask(host="nobody")
        self.assertEqual((status, headers["content-type"][:10]), (404, "text/plain"))
        request_id = headers["x-request-id"]
        self.assertIn(request_id.encode(), body)
        wait_until(lambda: request_id in proxy.output, "the request id in the log")

    def test_a_client_that_stops_reading(self) -> None:
        """In the middle of a response of 1 GiB, it costs the proxy less than 1 MiB."""
        proxy = self.world.start_proxy("--access-log=none")
        self.guest("Endless", "--host=blog\\.example")
        self.world.ask("/100000")
        before = memory_of(proxy.child.pid)
        with socket.create_connection(("127.0.0.1", self.world.port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
            client.sendall(b"GET /1073741824 HTTP/1.1\r\nHost: blog.example\r\n\r\n")
            self.assertTrue(client.recv(100).startswith(b"HTTP/1.1 200 "))
            highest, end = 0, time.monotonic() + 2
            while time.monotonic() < end:
                highest = max(highest, memory_of(proxy.child.pid))
                time.sleep(0.05)
            self.assertLess(highest - before, 1 << 20)
            self.assertEqual(self.world.ask("/10")[2], b"0123456789")

    def test_a_folder_of_machines(self) -> None:
        """A VM socket that appears later is listened for, one that vanishes no longer."""
        folder = self.world.folder / "vms"
        folder.mkdir(mode=0o700)
        proxy = self.world.start_proxy(vsock=f"{folder}/*.sock")
        machine = folder / "cid20.sock"
        with socket.socket(socket.AF_UNIX) as vmm:
            vmm.bind(str(machine))
            vmm.listen()
            listener = Path(f"{machine}_12345")
            wait_until(listener.exists, "the listener of the machine")
            proxy.wait_for(str(machine))
            guest = self.world.start_guest(
                "tests.integration.apps:Named", r"--host=blog\.example", vsock=machine
            )
            self.assertEqual(self.world.ask()[0], 200)
            machine.unlink()
            wait_until(lambda: not listener.exists(), "the end of its listener")
            self.assertEqual(self.world.ask()[0], 200)
            guest.signal(signal.SIGTERM)
            self.assertEqual(guest.wait(), 0)

    def test_sigterm(self) -> None:
        """The proxy stops cleanly, unlinks its socket, and the guest returns to the next one."""
        proxy = self.world.start_proxy()
        guest = self.guest("Named", "--host=blog\\.example", APP_NAME="one")
        proxy.signal(signal.SIGTERM)
        self.assertEqual(proxy.wait(), 0)
        self.assertFalse(Path(f"{self.world.vsock}_12345").exists())
        self.assertNotIn("Traceback", proxy.output)
        self.world.start_proxy()
        guest.wait_for("registered", 2)
        self.assertEqual(self.world.ask()[0], 200)
        guest.signal(signal.SIGTERM)
        self.assertEqual(guest.wait(), 0)
