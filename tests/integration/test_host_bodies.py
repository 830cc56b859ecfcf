"""Bodies and tunnels from host to host over data connections, and who is killed meanwhile."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
from pathlib import Path

from tests.integration.bodies_app import content
from tests.integration.bodies_case import APP, MB, digest
from tests.integration.bodies_storm import BodiesStorm
from tests.integration.harness import Process, wait_until
from tests.integration.host import Host
from tests.integration.test_tunnel_splice import ASK
from tests.rigs.tls_rig import Authority

KILLS = int(os.environ.get("SUBPROXY_KILLS", "80"))


def connections(port: int) -> int:
    """How many TCP connections there are to that port of this machine."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    found = [line.split()[1:4] for line in lines]
    return sum(local.endswith(f":{port:04X}") and state == "01" for local, _, state in found)


class HostBodiesTests(BodiesStorm):
    """Clients ask C{two}; the guest is at C{one}."""

    def setUp(self) -> None:
        authority = Authority()
        self.one, self.two = Host("kvm-1", authority), Host("kvm-2", authority)
        for host in (self.one, self.two):
            self.addCleanup(host.close)
        self.world = self.two

    def begin(self, *options: str) -> None:
        for host, other in ((self.one, self.two), (self.two, self.one)):
            proxy = host.serve(other.peer, *options)
            if "--workers=2" in options:
                for slot in range(2):
                    proxy.wait_for(f"worker {slot} serves")
        self.two.until_asks("kvm-1")
        self.serving = self.bodies()
        self.two.until_answered("small")

    def bodies(self) -> Process:
        return self.one.guest_of(APP)

    def test_all_kinds(self) -> None:
        """Each comes whole, over few connections, beside the one for what is asked."""
        for library in ("auto", "python"):
            self.setUp()
            self.begin(f"--tls-library={library}")
            self.assertEqual(1, connections(self.two.peer_port))
            client = self.client()
            for kind in ("file", "bytes", "pieces", "stream"):
                for size in (100_000, 4 * MB + 1):
                    self.assertEqual(content(size), self.get(client, f"/{kind}/{size}"), kind)
                    self.assertEqual(digest(content(size)), self.put(client, content(size)))
            asked = {"Expect": "100-continue"}
            self.assertEqual(digest(content(MB)), self.put(client, content(MB), **asked))
            self.assertEqual("small", self.put(client, content(4 * MB), "/ignore"))
            self.assertEqual(content(MB), self.get(self.client(), f"/file/{MB}"))
            self.assertIn(connections(self.two.peer_port), (2, 3, 4))
            for host in (self.one, self.two):
                assert host.proxy is not None
                self.assertNotIn("Traceback", host.proxy.output)

    def test_two_hops(self) -> None:
        """By way of another worker of the other host, or not: each comes whole."""
        self.begin("--workers=2", "--hold=15")
        self.serving.end()
        self.serving = self.one.guest_of(APP, "blog\\.example", "--concurrency=1")
        self.two.until_answered("small")
        for _ in range(8):
            client = self.client()
            self.assertEqual(content(4 * MB), self.get(client, f"/bytes/{4 * MB}"))
            self.assertEqual(digest(content(4 * MB)), self.put(client, content(4 * MB)))
            client.close()
        for host in (self.one, self.two):
            assert host.proxy is not None
            self.assertNotIn("Traceback", host.proxy.output)

    def test_a_slow_client(self) -> None:
        """One that does not read what it has asked for delays nobody."""
        self.begin()
        slow = self.client()
        slow.request("GET", f"/bytes/{64 * MB}", headers={"Host": "blog.example"})
        for _ in range(20):
            self.assertEqual(content(MB), self.get(self.client(), f"/file/{MB}"))
        self.assertEqual(content(64 * MB), slow.getresponse().read())

    def test_a_tunnel(self) -> None:
        """Of a WebSocket over which much passes, both ways at once: it moves, and ends whole."""
        self.begin()
        self.one.guest_of("tests.integration.web_socket_app:Echo", "a\\.example")
        self.two.until_answered("hello", "a.example")
        before = connections(self.two.peer_port)
        with socket.create_connection(("127.0.0.1", self.two.port), timeout=30) as client:
            client.sendall(ASK)
            stream = client.makefile("rb")
            while stream.readline() != b"\r\n":
                pass
            content = os.urandom(60_000)
            length = len(content).to_bytes(2, "big")
            message = b"\x82\xfe" + length + bytes(4) + content
            writer = threading.Thread(target=client.sendall, args=(message * 200,))
            writer.start()
            for _ in range(200):
                self.assertEqual(b"\x82\x7e" + length, stream.read(4))
                self.assertEqual(content, stream.read(len(content)))
            writer.join()
            self.assertEqual(before + 1, connections(self.two.peer_port))
            client.sendall(b"\x88\x82\0\0\0\0\x03\xe8")
            self.assertEqual(b"\x88\x02\x03\xe8", stream.read(4))
            self.assertEqual(b"", stream.read())
        wait_until(lambda: connections(self.two.peer_port) == before, "it is closed")

    def test_killed_clients(self) -> None:
        """Clients leave at random bytes: nobody else suffers, and nothing leaks."""
        self.begin()
        outcomes = self.storm(KILLS, 8, 11)
        self.assertGreater(outcomes["whole"], KILLS // 5, outcomes)
        self.assertEqual(outcomes.get("broken", 0) + outcomes.get("refused", 0), 0, outcomes)
        # What is kept for the next bodies.
        wait_until(lambda: connections(self.two.peer_port) <= 17, "connections closed", 20)
        wait_until(lambda: connections(self.two.peer_port) == 1, "idle ones closed", 30)
        for host in (self.one, self.two):
            assert host.proxy is not None
            self.assertNotIn("Traceback", host.proxy.output)

    def test_killed_hosts(self) -> None:
        """The host with the guest is killed again and again: no half body passes for a whole."""
        self.begin("--hold=15")
        killed: list[int] = []
        self.storms_until(
            lambda: len(killed) > 3, lambda stop: self.kill(killed, stop), KILLS // 4, 8
        )
        assert self.two.proxy is not None
        self.assertNotIn("Traceback", self.two.proxy.output)
        self.two.until_answered("small")
        self.assertEqual(content(MB), self.get(self.client(), f"/file/{MB}"))

    def kill(self, killed: list[int], stop: threading.Event) -> None:
        rng = random.Random(5)
        while not stop.wait(rng.uniform(0.5, 2.0)):
            assert self.one.proxy is not None
            self.one.proxy.signal(signal.SIGKILL)
            self.one.proxy.child.wait()
            killed.append(self.one.proxy.child.pid)
            self.one.serve(self.two.peer, "--hold=15")
