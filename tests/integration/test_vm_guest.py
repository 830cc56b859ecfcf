"""Real guests: Linux under QEMU, vsock through vhost-device-vsock, the real proxy on the host.

All tests share one proxy and two machines, booted once: C{alpha} runs the guest library on
Twisted, C{beta} the minimal guest. What a test breaks it mends before it ends.
"""

from __future__ import annotations

import atexit
import http.client
import os
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache

from twisted.trial.unittest import SynchronousTestCase

from tests.integration import vm_app
from tests.integration.qemu import (
    ROOT,
    Image,
    Machine,
    Process,
    build_image,
    need_tools,
    scratch,
    until,
)

LARGE = 64 * vm_app.MEBIBYTE
APP = "tests/integration/vm_app.py:App"
MINIMAL_APP = "tests/integration/vm_minimal_app.py"
BOOT = 180.0
"""Seconds that two machines may take to boot on two busy cores."""

MINIMAL_LIMIT = 10_000_000
TWISTED_LIMIT = 22_000_000
EJECTED = 6.0
"""Seconds in which a frozen guest must be noticed: a ping comes due, and its time-out passes."""


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class Site:
    """The proxy and its two machines."""

    def __init__(self, stack: ExitStack) -> None:
        self.folder = stack.enter_context(scratch())
        self._stack = stack
        self.port = free_port()
        self.proxy = self.start_proxy()
        self.images = self.build()
        self.alpha = self.machine("alpha")
        self.beta = self.machine("beta")
        for machine in (self.alpha, self.beta):
            machine.start()
        self.seconds = {
            machine.name: self.boot_seconds(machine) for machine in (self.beta, self.alpha)
        }

    def machine(self, name: str) -> Machine:
        """One machine, which ends with the site."""
        # qemu64 is QEMU's default. It has no RDRAND, so that nothing is random at the start.
        image, cid, memory, cpu = {
            "alpha": (self.images["twisted"], 3, 256, "max"),
            "beta": (self.images["minimal"], 4, 192, "qemu64"),
        }[name]
        machine = Machine(self.folder, name, image, cid, routes(name), memory, cpu)
        self._stack.callback(machine.keep_logs)
        self._stack.callback(machine.kill)
        return machine

    def build(self) -> dict[str, Image]:
        """Both images."""
        return {
            "twisted": build_image(self.folder, "twisted", APP),
            "minimal": build_image(self.folder, "minimal", "--minimal", MINIMAL_APP),
        }

    def start_proxy(self) -> Process:
        """The real thing."""
        command = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]
        command += ["-n", f"--pidfile={self.folder}/proxy.pid", "subproxy"]
        command += ["--ping-interval=1", "--ping-timeout=2", "--guest-timeout=6"]
        command += [f"--http=tcp:{self.port}:interface=127.0.0.1"]
        command += [f"--vsock={self.folder}/{name}.sock" for name in ("alpha", "beta")]
        process = Process(
            command, self.folder / "proxy.log", os.environ | {"PYTHONPATH": str(ROOT)}
        )
        self._stack.callback(process.keep)
        self._stack.callback(process.stop)
        for name in ("alpha", "beta"):
            until((self.folder / f"{name}.sock_12345").exists, 20, f"no listener for {name}")
        return process

    def boot_seconds(self, machine: Machine) -> float:
        """Seconds from the start of QEMU until the guest says that it is registered."""
        machine.wait_for(r"registered", BOOT)
        return time.monotonic() - machine.started

    def connect(self, timeout: float = 60) -> http.client.HTTPConnection:
        """A connection of a client."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(
        self, host: str, path: str, method: str = "GET", body: object = None
    ) -> tuple[int, bytes]:
        """The status and body of one exchange."""
        connection = self.connect()
        try:
            connection.request(method, path, body, {"Host": host})  # type: ignore[arg-type]
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def answers(self, host: str, path: str = "/boot") -> bool:
        """Whether the host is served."""
        try:
            return self.request(host, path)[0] == 200
        except OSError:
            return False


def routes(name: str) -> str:
    """Kernel arguments: a host of its own, and one that both serve."""
    return rf"subproxy.host={name}\.test subproxy.host=pool\.test"


@cache
def site() -> Site | Exception:
    """The one site of this process, taken down when the process ends; or why there is none."""
    stack = ExitStack()
    atexit.register(stack.close)
    try:
        need_tools()
        return Site(stack)
    except Exception as error:
        return error


class GuestTests(SynchronousTestCase):
    def setUp(self) -> None:
        found = site()
        if isinstance(found, Exception):
            raise found
        self.site = found

    def test_the_images_are_small(self) -> None:
        sizes = {name: image.size for name, image in self.site.images.items()}
        print(f"\nimages: {sizes} bytes; seconds to registered: {self.site.seconds}")
        self.assertLessEqual(sizes["minimal"], MINIMAL_LIMIT)
        self.assertLessEqual(sizes["twisted"], TWISTED_LIMIT)

    def test_two_guests_are_two_identities(self) -> None:
        boots = {name: self.site.request(f"{name}.test", "/boot") for name in ("alpha", "beta")}
        self.assertEqual({status for status, _ in boots.values()}, {200})
        self.assertNotEqual(boots["alpha"], boots["beta"])
        self.assertEqual(self.site.request("gamma.test", "/boot")[0], 404)
        for name in boots:
            self.assertIn(f"{self.site.folder}/{name}.sock", self.site.proxy.text())

    def test_a_small_body_goes_both_ways(self) -> None:
        body = bytes(range(256)) * 5
        for name in ("alpha", "beta"):
            self.assertEqual(
                self.site.request(f"{name}.test", "/echo", "POST", body), (200, body), name
            )

    def test_64_mib_to_the_client(self) -> None:
        connection = self.site.connect(60)
        connection.request("GET", f"/send/{LARGE}", headers={"Host": "alpha.test"})
        response = connection.getresponse()
        received = vm_app.digest(iter(lambda: response.read(vm_app.BLOCK), b""))
        connection.close()
        self.assertEqual(received, vm_app.digest(vm_app.pattern(LARGE)))

    def test_64_mib_to_the_guest(self) -> None:
        connection = self.site.connect(60)
        headers = {"Host": "alpha.test", "Content-Length": str(LARGE)}
        connection.request("POST", "/take", vm_app.pattern(LARGE), headers)
        answer = connection.getresponse().read().decode()
        connection.close()
        self.assertEqual(answer, f"{LARGE} {vm_app.digest(vm_app.pattern(LARGE))}")

    def test_guest_killed_in_mid_response(self) -> None:
        alpha = self.site.alpha
        before = self.site.request("alpha.test", "/boot")
        connection = self.site.connect(20)
        connection.request("GET", "/endless", headers={"Host": "alpha.test"})
        response = connection.getresponse()
        self.assertEqual(len(response.read(10_000)), 10_000)
        alpha.kill()
        with self.assertRaises((http.client.IncompleteRead, ConnectionError)):
            while response.read(65536):
                pass
        connection.close()
        until(lambda: not self.site.answers("alpha.test"), 2, "the killed guest's route is there")
        self.assertEqual(self.site.request("pool.test", "/boot")[0], 200)
        self.restart(alpha)
        after = self.site.request("alpha.test", "/boot")
        self.assertEqual(after[0], 200)
        self.assertNotEqual(after, before)

    def test_guest_frozen(self) -> None:
        alpha = self.site.alpha
        beta = self.site.request("beta.test", "/boot")
        mark = self.site.proxy.mark()
        alpha.freeze()
        try:
            # Some of these go to the frozen guest, and from there to the other.
            with ThreadPoolExecutor(10) as clients:
                asked = [clients.submit(self.site.request, "pool.test", "/boot") for _ in range(10)]
                self.assertEqual({each.result(30) for each in asked}, {beta})
            self.site.proxy.wait_for("alpha.sock does not answer pings: ejected", EJECTED, mark)
            for _ in range(20):
                self.assertEqual(self.site.request("pool.test", "/boot"), beta)
            self.assertIn(self.site.request("alpha.test", "/boot")[0], (502, 503, 504))
        finally:
            alpha.thaw()
        until(lambda: self.site.answers("alpha.test"), 30, "the thawed guest is not back")

    def test_same_identity_returns(self) -> None:
        # A VM is paused and its successor started, as when a snapshot is restored elsewhere.
        older = self.site.alpha
        before = self.site.request("alpha.test", "/boot")
        mark = older.console.mark()
        older.freeze()
        newer = self.site.machine("alpha")
        self.site.alpha = newer
        newer.start()
        newer.wait_for(r"registered", BOOT)
        after = self.site.request("alpha.test", "/boot")
        self.assertEqual(after[0], 200)
        self.assertNotEqual(after, before)
        older.thaw()
        older.wait_for(r"the application ended with status 5: poweroff", 30, mark)
        self.assertEqual(self.site.request("alpha.test", "/boot"), after)
        older.kill()

    def test_the_power_button_drains_and_powers_off(self) -> None:
        beta = self.site.beta
        mark = beta.console.mark()
        beta.press_power_button()
        beta.wait_for(r"the power button: asking the application to end", 10, mark)
        beta.wait_for(r"the application ended with status 0: poweroff", 20, mark)
        self.assertEqual(beta.console.wait(20), 0)
        self.assertFalse(self.site.answers("beta.test"))
        self.assertEqual(self.site.request("pool.test", "/boot")[0], 200)
        self.restart(beta)

    def restart(self, machine: Machine) -> None:
        """Switch a machine on again, and wait until it is registered."""
        machine.kill()
        machine.start()
        machine.wait_for(r"registered", BOOT)
