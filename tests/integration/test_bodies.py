"""Large bodies through real processes, and what they cost: times, system calls, memory, pipes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import termios
import time
from pathlib import Path

from twisted.trial.unittest import SkipTest

from tests.integration.bodies_app import content
from tests.integration.bodies_case import MB, BodiesTestCase, descriptors, digest, memory
from tests.integration.harness import Process, wait_until


class ClientLeavesTests(BodiesTestCase):
    def test_within_100_ms(self) -> None:
        """A client that leaves amid a download: the data connection is closed at once."""
        proxy, guest = self.start()
        before = len(descriptors(guest))
        client = socket.create_connection(("127.0.0.1", self.world.port), 30)
        client.sendall(b"GET /file/500000000 HTTP/1.1\r\nHost: blog.example\r\n\r\n")
        got = 0
        while got < 10 * MB:
            more = client.recv(MB)
            self.assertTrue(more, got)
            got += len(more)
        self.assertGreater(len(descriptors(guest)), before)
        proxied = len(descriptors(proxy))
        client.close()
        began = time.monotonic()
        wait_until(lambda: len(descriptors(proxy)) < proxied - 2, "closed", 5)
        # Loose: the machine may be busy. What is measured is written down in the docs.
        self.assertLess(time.monotonic() - began, 1.0)


class SpliceTests(BodiesTestCase):
    def test_system_calls(self) -> None:
        """C{strace} sees splices, and no read or write as large as a piece of a body."""
        if shutil.which("strace") is None:
            raise SkipTest("there is no strace")
        for reactor in ("epoll", "compiled_epoll", "io_uring"):
            self.reactor = reactor
            self.setUp()
            proxy, _ = self.start()
            client = self.client()
            self.get(client, f"/file/{8 * MB}")
            trace = self.world.folder / f"trace-{reactor}"
            command = ["strace", "-f", "-o", str(trace), "-p", str(proxy.child.pid)]
            calls = ["splice", "read", "recvfrom", "recvmsg", "write", "sendto", "sendmsg", "readv"]
            with subprocess.Popen(
                [*command, "-e", f"trace={','.join(calls)}"], stderr=subprocess.PIPE, text=True
            ) as strace:
                assert strace.stderr is not None
                if "attached" not in strace.stderr.readline():
                    strace.kill()
                    raise SkipTest("strace may not trace here")
                self.get(client, f"/file/{8 * MB}")
                self.assertEqual(self.put(client, content(8 * MB)), digest(content(8 * MB)))
                strace.send_signal(signal.SIGINT)
                strace.communicate(timeout=20)
            spliced = copied = 0
            for line in trace.read_text().splitlines():
                found = re.search(r"(\w+)\(.*\) += (\d+)$", line)
                if found and found[1] == "splice":
                    spliced += int(found[2])
                elif found:
                    copied += int(found[2])
            # Each byte goes into a pipe and out of it; a part may come with the head.
            self.assertGreater(spliced, 2 * 14 * MB, reactor)
            self.assertLess(copied, MB, reactor)


def in_pipes(process: Process) -> list[int]:
    """How many bytes lie in each of its pipes that has any."""
    held = []
    for path in Path(f"/proc/{process.child.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(path).startswith("pipe:"):
                fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
                try:
                    amount = fcntl.ioctl(fd, termios.FIONREAD, bytes(4))
                finally:
                    os.close(fd)
                held.append((os.readlink(path), int.from_bytes(amount, sys.byteorder)))
    return [amount for _, amount in set(held) if amount]


class SlowTests(BodiesTestCase):
    def test_slow_readers(self) -> None:
        """Clients that read nothing, or no more, cost at most 64 kB each, and no file."""
        proxy, _ = self.start()
        self.get(self.client(), f"/file/{64 * MB}")
        before = memory(proxy)
        files = [each for each in descriptors(proxy) if each.startswith("/tmp")]
        clients = []
        for _ in range(64):
            client = socket.create_connection(("127.0.0.1", self.world.port), 30)
            self.addCleanup(client.close)
            client.sendall(b"GET /file/%d HTTP/1.1\r\nHost: blog.example\r\n\r\n" % (64 * MB))
            clients.append(client)
            self.assertEqual(client.recv(9), b"HTTP/1.1 ")
            left = len(clients) % 4 * 4 * MB  # (of which three in four read fast before they stop)
            while left > 0:
                left -= len(client.recv(MB))
        time.sleep(1)
        held = in_pipes(proxy)
        self.assertEqual(len(held), len(clients))
        self.assertLessEqual(max(held), 65_536, held)
        self.assertEqual(self.get(self.client(), "/small"), b"small")
        self.assertLess((memory(proxy) - before) / len(clients), 65_536)
        self.assertEqual(files, [e for e in descriptors(proxy) if e.startswith("/tmp")])

    def test_small_requests_beside_transfers(self) -> None:
        """While 16 transfers run, small requests are answered soon."""
        self.start()
        size = 64 * MB
        self.get(self.client(), f"/file/{size}")
        transfers = [
            subprocess.Popen(
                [
                    *(sys.executable, "-c"),
                    "import socket, sys\n"
                    f"c = socket.create_connection(('127.0.0.1', {self.world.port}))\n"
                    "while True:\n"
                    f"    c.sendall(b'GET /file/{size} HTTP/1.1\\r\\n'\n"
                    "              b'Host: blog.example\\r\\n\\r\\n')\n"
                    "    left = 0\n"
                    f"    while left < {size}:\n"
                    "        more = len(c.recv(1 << 20))\n"
                    "        assert more, left\n"
                    "        left += more\n",
                ]
            )
            for _ in range(16)
        ]
        try:
            client = self.client()
            times = []
            for _ in range(100):
                began = time.monotonic()
                self.assertEqual(self.get(client, "/small"), b"small")
                times.append(time.monotonic() - began)
            # The guest and the clients share two cores with them all: only starving is a failure.
            self.assertLess(sorted(times)[50], 0.5)
        finally:
            for each in transfers:
                each.kill()
                each.wait()
