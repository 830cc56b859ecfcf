"""What the tests of bodies share: a proxy and a guest whose bodies have digests."""

from __future__ import annotations

import hashlib
import os
import re
from http.client import HTTPConnection
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.harness import Process, World, wait_until

APP = "tests.integration.bodies_app:Bodies"
KB, MB = 1 << 10, 1 << 20


def digest(data: bytes) -> str:
    """Of a body, with its length, as the application tells it."""
    return f"{hashlib.sha256(data).hexdigest()} {len(data)}"


def descriptors(process: Process) -> list[str]:
    """What it has open."""
    found = []
    for each in Path(f"/proc/{process.child.pid}/fd").iterdir():
        try:
            found.append(os.readlink(each))
        except OSError:
            continue
    return found


def pipes(process: Process) -> int:
    """How many ends of pipes it has open."""
    return sum(each.startswith("pipe:") for each in descriptors(process))


def memory(process: Process) -> int:
    """Resident bytes."""
    status = Path(f"/proc/{process.child.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", status)
    assert found
    return int(found[1]) * 1024


class BodiesTestCase(SynchronousTestCase):
    """A proxy and one guest."""

    reactor = "io_uring"

    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)

    def start(self, *options: str) -> tuple[Process, Process]:
        proxy = self.world.start_proxy(
            "--access-log=none", *options, twistd=(f"--reactor={self.reactor}",)
        )
        return proxy, self.guest()

    def guest(self) -> Process:
        return self.world.start_guest(APP, "--host=blog\\.example")

    def client(self, timeout: float = 60.0) -> HTTPConnection:
        client = HTTPConnection("127.0.0.1", self.world.port, timeout=timeout)
        self.addCleanup(client.close)
        return client

    def get(self, client: HTTPConnection, path: str) -> bytes:
        client.request("GET", path, headers={"Host": "blog.example"})
        response = client.getresponse()
        self.assertEqual(response.status, 200, path)
        return response.read()

    def put(self, client: HTTPConnection, body: bytes, path: str = "/digest", **more: str) -> str:
        client.request("PUT", path, body, {"Host": "blog.example", **more})
        response = client.getresponse()
        self.assertEqual(response.status, 200, path)
        return response.read().decode()

    def assertCalm(self, proxy: Process, guest: Process, before: tuple[int, int]) -> None:
        """Both processes have as many descriptors as before, but for idle data connections."""

        def calm() -> bool:
            return len(descriptors(proxy)) <= before[0] and len(descriptors(guest)) <= before[1]

        try:
            wait_until(calm, "calm", 20)
        except AssertionError:
            raise AssertionError(
                f"{before} descriptors became {sorted(descriptors(proxy))} "
                f"and {sorted(descriptors(guest))}"
            ) from None
