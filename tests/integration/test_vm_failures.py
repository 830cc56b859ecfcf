"""Real machines of QEMU that fail, are killed, or are still heard: what a client sees."""

from __future__ import annotations

import atexit
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from contextlib import ExitStack
from functools import cache
from http.client import HTTPResponse
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.integration import admin_client
from tests.integration.harness import Process, World, wait_until
from tests.integration.leftovers import descendants, leftovers
from tests.integration.qemu import Image, build_image, need_tools, scratch
from tests.integration.successors import Line, alive

APPLICATION = "tests/integration/vm_busy_app.py"
PATIENCE = 150.0
"""Seconds of a boot on a machine that has much else to do."""


@cache
def image() -> Image:
    """One image for all tests."""
    stack = ExitStack()
    atexit.register(stack.close)
    return build_image(stack.enter_context(scratch()), "busy", "--minimal", APPLICATION)


class MachineCase(SynchronousTestCase):
    """A proxy with one machine."""

    timeout = 600

    def setUp(self) -> None:
        need_tools()
        stack = ExitStack()
        self.addCleanup(stack.close)
        self.folder = stack.enter_context(scratch())
        self.instance = self.folder / "m" / "blog" / "0"
        self.world = World()
        self.addCleanup(self.world.close)

    def start_proxy(self, *options: str, **more: object) -> Process:
        """With a machine that is not started yet."""
        found = image()
        values = {
            "name": "blog",
            "vmm": "qemu",
            "kernel": str(found.kernel),
            "initramfs": str(found.initrd),
            "hosts": "blog.example",
            "memory": "192M",
            "acceleration": "tcg",
            "kernel-arguments": ["subproxy.host=blog\\.example"],
            "start-timeout": PATIENCE,
            "idle": False,
            **more,
        }
        lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        path = self.folder / "subproxy.toml"
        path.write_text("\n".join(["[[machine]]", *lines, ""]))
        self.proxy = self.world.start_proxy(
            f"--config={path}",
            f"--machines-folder={self.folder / 'm'}",
            f"--admin={self.folder / 'admin'}",
            *options,
        )
        self.proxy.wait_for("worker 0 serves")
        return self.proxy

    def ask(self, path: str = "/", host: str = "blog.example") -> tuple[int, bytes]:
        """The status of an answer, and its body: which boot it is."""
        status, _, body = self.world.ask(path, host, timeout=PATIENCE)
        return status, body

    def boot(self) -> bytes:
        """Which boot answers."""
        status, body = self.ask()
        self.assertEqual(status, 200, body)
        return body

    def begin(self, path: str) -> socket.socket:
        """A request whose answer is not read yet."""
        client = socket.create_connection(("127.0.0.1", self.world.port), PATIENCE)
        self.addCleanup(client.close)
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: blog.example\r\n\r\n".encode())
        return client

    def wait_for(self, pattern: str, since: int = 0) -> None:
        """Wait until the proxy has said so."""
        wait_until(
            lambda: re.search(pattern, self.proxy.whole_lines[since:]), pattern, PATIENCE, 0.1
        )

    def running(self) -> tuple[int, int]:
        """How often it was started, and the process of QEMU."""
        told = admin_client.command(self.folder / "admin", "--json", "machines")
        instance = json.loads(told)["machines"][0]["instances"][0]
        return instance["starts"], instance["pid"]

    def programs(self) -> dict[str, int]:
        """How many of QEMU and of its device there are."""
        found = leftovers(self.proxy.child.pid, self.folder, self.folder / "m").processes
        return {name: found[name] for name in ("qemu-system-x86_64", "vhost-device-vsock")}


ONE = {"qemu-system-x86_64": 1, "vhost-device-vsock": 1}
NONE = dict.fromkeys(ONE, 0)


class UseTests(MachineCase):
    def test_who_leaves(self) -> None:
        """The machine comes up for nobody; who comes next has it."""
        self.start_proxy()
        with self.begin("/"):
            wait_until(lambda: self.programs() == ONE, "a start", PATIENCE)
        self.wait_for(r"blog \(0\) is up")
        self.boot()
        self.assertEqual(self.running()[0], 1)

    def test_an_event_stream(self) -> None:
        """It is not idle while somebody hears events."""
        self.start_proxy(idle=3)
        client = self.begin("/events")
        heard = b""
        while heard.count(b"tick") < 50:
            piece = client.recv(65536)
            self.assertTrue(piece, heard)
            heard += piece
        self.assertNotIn("is told to end", self.proxy.output)
        client.close()
        self.wait_for(r"\(0\) is told to end: it was idle")
        self.wait_for(r"\(0\) has ended: the guest has powered off")
        self.assertEqual(self.programs(), NONE)

    def test_two_of_them(self) -> None:
        """Who waits for longer has another one started, which ends when one is enough."""
        options = ("--machine-starts=1", f"--queue-timeout={PATIENCE:.0f}")
        self.start_proxy(*options, most=2, idle=3, **{"scale-after": 0.5})
        self.boot()
        answers: list[tuple[int, bytes]] = []
        end = time.monotonic() + PATIENCE

        def ask() -> None:
            """Until both have answered: the second one may take long to boot."""
            while time.monotonic() < end and len({body for _, body in answers}) < 2:
                answers.append(self.ask("/held"))

        clients = [threading.Thread(target=ask) for _ in range(6)]
        for each in clients:
            each.start()
        for each in clients:
            each.join(2 * PATIENCE)
        self.assertEqual({status for status, _ in answers}, {200})
        self.assertEqual(len({body for _, body in answers}), 2)
        self.wait_for(r"\(1\) has ended: the guest has powered off")
        self.assertLessEqual(self.programs()["qemu-system-x86_64"], 1)


class CrashTests(MachineCase):
    def test_on_boot(self) -> None:
        """503 after the third time, then at once; the reason and the console are in the log."""
        self.start_proxy(**{"kernel-arguments": ["rdinit=/nowhere"]})
        self.assertEqual(self.ask()[0], 503)
        self.assertEqual(self.running()[0], 3)
        self.assertEqual(self.ask()[0], 503)
        self.assertEqual(self.running()[0], 3)
        self.wait_for(r"\(0\) has failed: .*panic")
        self.assertEqual(self.programs(), NONE)

    def test_under_load(self) -> None:
        """Its kernel panics: what it had goes to the next boot, but for who may not be repeated."""
        self.start_proxy()
        first = self.boot()
        held = HTTPResponse(self.begin("/held"))
        self.assertEqual(self.world.ask("/crash", method="POST", timeout=PATIENCE)[0], 502)
        held.begin()
        self.assertEqual(held.status, 200)
        second = held.read()
        self.assertNotEqual(second, first)
        self.assertEqual(self.boot(), second)
        self.assertEqual(self.programs(), ONE)

    def test_machine_killed(self) -> None:
        """With QEMU its device ends; the next request boots another one."""
        self.start_proxy()
        first = self.boot()
        os.kill(self.running()[1], signal.SIGKILL)
        self.wait_for(r"\(0\) has ended: .*SIGKILL")
        wait_until(lambda: self.programs() == NONE, "the device's end")
        self.assertNotEqual(self.boot(), first)
        self.assertEqual(self.programs(), ONE)

    def test_worker_killed(self) -> None:
        """The machine runs on, and the next worker serves it."""
        self.start_proxy()
        first = self.boot()
        found = re.findall(r"worker 0 serves: process (\d+)", self.proxy.whole_lines)
        os.kill(int(found[-1]), signal.SIGKILL)
        wait_until(lambda: self.proxy.whole_lines.count("worker 0 serves") == 2, "the next worker")
        self.assertEqual(self.boot(), first)
        self.assertEqual((self.running()[0], self.programs()), (1, ONE))

    def test_proxy_killed(self) -> None:
        """All ends with it; the next proxy boots it anew, once."""
        self.start_proxy()
        first, family = self.boot(), descendants(self.proxy.child.pid)
        self.proxy.signal(signal.SIGKILL)
        self.proxy.wait()
        wait_until(lambda: not any(map(alive, family)), "the end of all", PATIENCE)
        self.start_proxy()
        self.assertNotEqual(self.boot(), first)
        self.assertEqual((self.running()[0], self.programs()), (1, ONE))

    def test_hand_over(self) -> None:
        """The machine runs on, and the next program can tell it to power off."""
        self.start_proxy()
        first = self.boot()
        Line(self.world).hand_over(PATIENCE)
        self.assertEqual(self.boot(), first)
        self.assertEqual(self.programs(), ONE)
        admin_client.command(self.folder / "admin", "machines", "stop", "blog")
        self.wait_for(r"\(0\) has ended: the guest has powered off")
        self.assertEqual(self.programs(), NONE)


class PlaceTests(MachineCase):
    def test_the_host_of_another(self) -> None:
        """A guest may claim what its machine declares, and nothing else."""
        self.start_proxy(**{"kernel-arguments": ["subproxy.host=shop\\.example"]})
        self.begin("/")
        self.wait_for(r"may not serve shop\\\.example /\.\*: ")
        self.assertEqual(self.ask(host="shop.example")[0], 404)

    def test_a_path_in_use(self) -> None:
        """Another process listens there: that is the reason, and it is left alone."""
        self.start_proxy()
        self.instance.mkdir(parents=True, mode=0o700)
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(self.instance / "vsock"))
            other.listen()
            self.assertEqual(self.ask()[0], 503)
            self.wait_for(r"\(0\) has failed: .*vsock is in use by another process")
            self.assertTrue((self.instance / "vsock").is_socket())
        admin_client.command(self.folder / "admin", "machines", "start", "blog")
        self.boot()

    def test_a_full_disk(self) -> None:
        """What can't be written is the reason; when there is room it is started."""
        if os.geteuid() != 0:
            raise SkipTest("only root can mount a small disk")
        disk = self.folder / "m"
        disk.mkdir(0o711)
        options = "size=256k,mode=711"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "small", str(disk)], check=True)
        self.addCleanup(subprocess.run, ["umount", "--lazy", str(disk)], check=True)
        self.start_proxy()
        filling = disk / "filling"
        with filling.open("wb", buffering=0) as file, self.assertRaises(OSError):
            while True:
                file.write(bytes(4096))
        status, _ = self.ask()
        self.assertIn(status, (200, 503))
        if status == 503:
            self.wait_for(r"has failed: .*No space left on device")
        filling.unlink()
        admin_client.command(self.folder / "admin", "machines", "start", "blog")
        self.boot()
