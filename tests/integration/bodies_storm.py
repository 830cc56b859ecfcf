"""Many bodies at once, of which clients leave some: each is whole, or visibly is not."""

from __future__ import annotations

import itertools
import random
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable

from tests.integration.bodies_app import content
from tests.integration.bodies_case import MB, BodiesTestCase, digest


class BodiesStorm(BodiesTestCase):
    """What becomes of them, by name: C{whole}, C{left}, C{broken} or C{refused}."""

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

    def storms_until(
        self,
        enough: Callable[[], bool],
        kill: Callable[[threading.Event], None],
        count: int,
        threads: int,
    ) -> dict[str, int]:
        """
        Storms, one behind the other, while somebody is killed again and again: a quick machine is
        through with one before anybody has been.

        @param kill: does that until the event is set.
        """
        stop = threading.Event()
        killer = threading.Thread(target=kill, args=(stop,))
        killer.start()
        outcomes: Counter[str] = Counter()
        try:
            for seed in itertools.count(12):
                outcomes.update(self.storm(count, threads, seed))
                if enough() or not killer.is_alive():
                    break
        finally:
            stop.set()
            killer.join()
        self.assertTrue(enough())
        self.assertGreater(outcomes["whole"], 0, outcomes)
        return outcomes

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
