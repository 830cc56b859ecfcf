"""
Bodies whose client or guest is killed: none is truncated in silence, and nothing is left behind.

C{SUBPROXY_KILLS=10000 python -m twisted.trial tests.integration.test_bodies_killed}
is the long storm.
"""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import threading

from tests.integration.bodies_app import content
from tests.integration.bodies_case import MB, BodiesTestCase, descriptors, digest, pipes
from tests.integration.harness import Process, wait_until

KILLS = int(os.environ.get("SUBPROXY_KILLS", "200"))


class KillTests(BodiesTestCase):
    def transfer(self, rng: random.Random) -> str:
        """One transfer, in which the client may leave at a random byte: what became of it."""
        size = rng.choice((100_000, 300_000, MB, 4 * MB))
        upload = rng.random() < 0.5
        leaves = rng.randrange(size) if rng.random() < 0.5 else None
        try:
            with socket.create_connection(("127.0.0.1", self.world.port), 20) as client:
                if rng.random() < 0.3:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                return (self.upload if upload else self.download)(client, size, leaves, rng)
        except OSError:
            return "broken"

    def download(
        self, client: socket.socket, size: int, leaves: int | None, rng: random.Random
    ) -> str:
        kind = rng.choice((b"file", b"pieces", b"bytes", b"stream"))
        client.sendall(
            b"GET /%b/%d HTTP/1.1\r\nHost: blog.example\r\nConnection: close\r\n\r\n" % (kind, size)
        )
        data = bytearray()
        while piece := client.recv(65536 if leaves is None else 5000):
            data += piece
            if leaves is not None and len(data) >= leaves:
                return "left"
        head, _, body = bytes(data).partition(b"\r\n\r\n")
        if b" 200 " not in head.partition(b"\r\n")[0]:
            return "refused" if head else "broken"
        if b"chunked" in head:
            plain = bytearray()
            while body:
                length, _, body = body.partition(b"\r\n")
                if not length.strip():
                    return "broken"
                count = int(length, 16)
                if not count:
                    self.assertEqual(bytes(plain), content(size), "a truncation in silence")
                    return "whole"
                plain += body[:count]
                body = body[count + 2 :]
            return "broken"
        announced = re.search(rb"(?i)content-length: (\d+)", head)
        assert announced
        self.assertEqual(int(announced[1]), size)
        if len(body) < size:
            return "broken"
        self.assertTrue(body == content(size), "bytes were lost or changed")
        return "whole"

    def upload(
        self, client: socket.socket, size: int, leaves: int | None, rng: random.Random
    ) -> str:
        body = content(size)
        client.sendall(
            b"PUT /digest HTTP/1.1\r\nHost: blog.example\r\nContent-Length: %d\r\n"
            b"Connection: close\r\n\r\n" % size
        )
        client.sendall(body[:leaves])
        if leaves is not None:
            return "left"
        answer = b"".join(iter(lambda: client.recv(65536), b""))
        if b" 200 " not in answer[:20]:
            return "refused" if answer else "broken"
        said = answer.partition(b"\r\n\r\n")[2]
        if len(said) != len(digest(body)):
            return "broken"
        self.assertEqual(said.decode(), digest(body), "a truncation in silence")
        return "whole"

    def test_killed_clients(self) -> None:
        """Clients leave at random bytes: nobody else suffers, nothing leaks."""
        for reactor in ("io_uring", "compiled_epoll", "epoll"):
            self.reactor = reactor
            self.setUp()
            proxy, guest = self.start()
            outcomes = self.storm(KILLS, 8, 11)
            self.assertGreater(outcomes["whole"], KILLS // 5, outcomes)
            self.assertEqual(outcomes.get("broken", 0) + outcomes.get("refused", 0), 0, outcomes)
            # 32 pipes may be kept, 8 idle data connections, and a little is made at first use.
            calm = (len(descriptors(proxy)) - pipes(proxy) + 64 + 8, 64)
            self.assertCalm(proxy, guest, calm)
            wait_until(lambda p=proxy: self.sockets(p) <= 24, "connections closed", 20)
            self.assertNotIn("Traceback", proxy.output)
            self.assertEqual(self.get(self.client(), f"/file/{MB}"), content(MB))

    def sockets(self, process: Process) -> int:
        return sum(each.startswith("socket:") for each in descriptors(process))

    def storm(self, count: int, threads: int, seed: int) -> dict[str, int]:
        outcomes: dict[str, int] = {}
        errors: list[BaseException] = []
        lock = threading.Lock()

        def work(number: int) -> None:
            rng = random.Random(seed * 1000 + number)
            for _ in range(count // threads):
                try:
                    outcome = self.transfer(rng)
                except BaseException as error:
                    errors.append(error)
                    return
                with lock:
                    outcomes[outcome] = outcomes.get(outcome, 0) + 1

        workers = [threading.Thread(target=work, args=(i,)) for i in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if errors:
            raise errors[0]
        return outcomes

    def test_killed_guests(self) -> None:
        """A guest is killed again and again: what clients get is whole, or visibly not."""
        for reactor in ("io_uring", "compiled_epoll", "epoll"):
            self.reactor = reactor
            self.setUp()
            proxy, guest = self.start("--hold=5")
            guests = [guest]
            stop = threading.Event()
            killer = threading.Thread(target=self.kill, args=(guests, stop))
            killer.start()
            try:
                outcomes = self.storm(KILLS, 8, 12)
                # A quick machine is through before anybody has been killed.
                for seed in range(13, 33):
                    if len(guests) > 3:
                        break
                    for outcome, count in self.storm(KILLS, 8, seed).items():
                        outcomes[outcome] = outcomes.get(outcome, 0) + count
            finally:
                stop.set()
                killer.join()
            self.assertGreater(len(guests), 3)
            self.assertGreater(outcomes["whole"], 0, outcomes)
            wait_until(lambda p=proxy: self.sockets(p) <= 24, "connections closed", 20)
            # What is kept for the next bodies, and no more.
            self.assertLessEqual(pipes(proxy), 64 + 4)
            self.assertNotIn("Traceback", proxy.output)
            self.assertEqual(self.get(self.client(), f"/file/{MB}"), content(MB))

    def kill(self, guests: list[Process], stop: threading.Event) -> None:
        """Kill the last of C{guests} at any moment, and start another, until C{stop}."""
        rng = random.Random(5)
        while not stop.wait(rng.uniform(0.1, 1.0)):
            guests[-1].signal(signal.SIGKILL)
            guests.append(self.guest())
