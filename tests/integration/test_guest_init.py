"""C{guest/minimal.py} as the first process of a virtual machine, over real vsock."""

from __future__ import annotations

import time

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.harness import World
from tests.integration.qemu import Machine, build_image, need_tools

MODULES = (
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "vsock",
    "vmw_vsock_virtio_transport_common",
    "vmw_vsock_virtio_transport",
)
"""In the order in which they need each other."""

ARGUMENTS = [
    "rdinit=/usr/bin/python3.11",
    r"subproxy.host=init\.example",
    r"subproxy.path=/.*",
    *(f"subproxy.module=/lib/modules/{name}.ko" for name in MODULES),
    "-- -ISB /opt/python/guest/minimal.py --name=first --worker=0",
]

APPLICATION = """
from pathlib import Path

def app(method, target, headers, body):
    if target == b"/echo":
        return 200, [], body.read()
    return 200, [], Path("/proc/1/cmdline").read_bytes()
"""


class InitTests(SynchronousTestCase):
    """One machine, everything in it: it takes some ten seconds to boot."""

    timeout = 240

    def test_it_boots_answers_and_powers_off(self) -> None:
        need_tools()
        world = World()
        self.addCleanup(world.close)
        application = world.folder / "application.py"
        application.write_text(APPLICATION)
        image = build_image(world.folder, "init", "--minimal", str(application))
        arguments = " ".join([*ARGUMENTS, "/app/application.py"])
        machine = Machine(world.folder, "init", image, 5, arguments, 192)
        self.addCleanup(machine.kill)
        world.start_proxy(vsock=str(machine.vsock))
        machine.start()
        machine.wait_for(r"registered host=init\\.example path=/\.\*", 120)

        status, _, body = world.ask("/", "init.example")
        self.assertEqual(status, 200)
        self.assertIn(b"guest/minimal.py", body)
        sent = bytes(range(256)) * 4000
        got = world.ask("/echo", "init.example", "POST", sent, timeout=60)[2]
        self.assertTrue(got == sent, len(got))

        # Who takes its place ends it, and with process 1 the machine goes off.
        world.start_guest(
            "hello:Hello", r"--host=init\.example", "--name=first", "--worker=0",
            vsock=machine.vsock,
        )  # fmt: skip
        machine.wait_for("ended with status 5", 30)
        self.assertEqual(machine.console.wait(60), 0)
        deadline = time.monotonic() + 30
        while world.ask("/", "init.example")[2] != b"hello\n":
            self.assertLess(time.monotonic(), deadline)
