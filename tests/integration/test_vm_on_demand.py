"""A request starts a real machine, and waits for it: QEMU, a kernel, a guest that registers."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration import admin_client
from tests.integration.harness import World, wait_until
from tests.integration.qemu import build_image, need_tools, scratch
from tests.integration.successors import alive

BOOT_DEADLINE = 120.0
"""Seconds of a boot on a machine that has much else to do."""


class OnDemandTests(SynchronousTestCase):
    def setUp(self) -> None:
        need_tools()
        stack = scratch()
        self.folder = stack.__enter__()
        self.addCleanup(stack.__exit__, None, None, None)
        self.image = build_image(
            self.folder, "minimal", "--minimal", "tests/integration/vm_minimal_app.py"
        )
        self.world = World()
        self.addCleanup(self.world.close)

    def start_proxy(self, **more: object) -> None:
        """A proxy with one machine, which is none yet."""
        config = self.folder / "subproxy.toml"
        values = {
            "name": "blog",
            "vmm": "qemu",
            "kernel": self.image.kernel.name,
            "initramfs": self.image.initrd.name,
            "hosts": "blog.example",
            "memory": "192M",
            "acceleration": "tcg",
            "kernel-arguments": ["subproxy.host=blog\\.example"],
            "start-timeout": BOOT_DEADLINE,
            "idle": 5,
            **more,
        }
        lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        config.write_text("\n".join(["[[machine]]", *lines, ""]))
        self.proxy = self.world.start_proxy(
            f"--config={config}",
            f"--machines-folder={self.folder / 'm'}",
            f"--admin={self.folder / 'admin'}",
        )
        self.proxy.wait_for("worker 0 serves")

    def machines(self) -> list[dict[str, object]]:
        """The instances, as C{subproxy machines} has them."""
        told = admin_client.command(self.folder / "admin", "--json", "machines")
        [machine] = json.loads(told)["machines"]
        instances: list[dict[str, object]] = machine["instances"]
        return instances

    def sockets(self) -> list[Path]:
        """The unix sockets of its device that are there."""
        return list((self.folder / "m" / "blog" / "0").glob("vsock*"))

    def test_cold_start(self) -> None:
        """A hundred requests wait for one start, by one boot; idle, it powers off by itself."""
        self.start_proxy()
        answers: list[tuple[int, bytes]] = []

        def ask() -> None:
            status, _, body = self.world.ask("/boot", timeout=BOOT_DEADLINE)
            answers.append((status, body))

        clients = [threading.Thread(target=ask) for _ in range(100)]
        for each in clients:
            each.start()
        wait_until(self.machines, "a start")
        for each in clients:
            each.join(BOOT_DEADLINE)
        self.assertEqual(len(answers), 100)
        self.assertEqual({status for status, _ in answers}, {200})
        self.assertEqual(len({body for _, body in answers}), 1)
        [instance] = self.machines()
        self.assertEqual((instance["starts"], instance["state"]), (1, "up"))
        split = instance["start_split"]
        assert isinstance(split, dict)
        self.assertEqual([phase for phase, seconds in split.items() if seconds is None], [])
        self.assertGreater(split["kernel"], split["spawn"])
        pid = instance["pid"]
        assert isinstance(pid, int)
        self.proxy.wait_for("machine blog (0) is told to end: it was idle", deadline=BOOT_DEADLINE)
        self.proxy.wait_for("machine blog (0) has ended", deadline=BOOT_DEADLINE)
        self.assertFalse(alive(pid))
        said = re.search(r"machine blog \(0\) has ended: (.*)", self.proxy.output)
        assert said is not None
        self.assertNotIn("kill", said[1])
        # The proxy says so first, and then no longer listens for it.
        wait_until(lambda: not self.sockets(), "its sockets to go")

    def boot(self) -> bytes:
        """Which boot of which machine answers."""
        status, _, body = self.world.ask("/boot", timeout=BOOT_DEADLINE)
        self.assertEqual(status, 200)
        return body

    def test_snapshot(self) -> None:
        """
        It boots once: what it goes on from when it was idle is that boot, by another instance each
        time. A snapshot that is broken costs who waits another boot, and no more.
        """
        self.start_proxy(snapshot=True, idle=2)
        first = self.boot()
        self.proxy.wait_for("machine blog (0) is frozen", deadline=BOOT_DEADLINE)
        self.proxy.wait_for("machine blog (0) has ended: killed", deadline=BOOT_DEADLINE)
        place = self.folder / "m" / "blog" / "snapshot"
        [stream] = place.iterdir()
        self.assertEqual(stream.stat().st_mode & 0o777, 0o600)
        since = len(self.proxy.output)
        self.assertEqual(self.boot(), first)
        [instance] = self.machines()
        self.assertEqual((instance["starts"], instance["restored"]), (2, True))
        wait_until(
            lambda: "has ended" in self.proxy.output[since:], "its end", deadline=BOOT_DEADLINE
        )
        instances = re.findall(r"instance ([0-9a-f]{16})", self.proxy.output)
        self.assertEqual(len(set(instances)), 2, instances)
        stream.write_bytes(bytes(stream.stat().st_size))
        second = self.boot()
        self.assertNotEqual(second, first)
        self.assertIn("machine blog: its snapshot is removed", self.proxy.output)
        self.assertFalse(place.exists())
        self.assertNotIn("has failed", self.proxy.output)
