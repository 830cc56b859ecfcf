"""C{subproxy-guest} as the init of a virtual machine, over real vsock: no Python in it at all."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from guest.image import kernel, vmlinux
from guest.image.cli import compress
from guest.image.cpio import Tree, pieces
from guest.image.debian import Packages
from tests.integration.bodies_app import content
from tests.integration.bodies_case import MB, digest
from tests.integration.golang import built
from tests.integration.harness import World
from tests.integration.qemu import Image, Machine, need_tools

CACHE = Path.home() / ".cache" / "subproxy" / "images"

SETTINGS = r"""
subproxy.to=http://127.0.0.1:3000
subproxy.host=go\.example
subproxy.arg=--name=first
subproxy.arg=--worker=0
subproxy.arg=--ready=/small
subproxy.env=GREETING=hello%20there
subproxy.run=/usr/bin/battery
subproxy.run=--listen
subproxy.run=127.0.0.1:3000
"""


def image(folder: Path) -> Image:
    """A kernel, its modules for vsock, C{subproxy-guest} as init, and a static program."""
    found = kernel.find(None, Packages(CACHE, lambda line: None))
    tree = Tree()
    for name in ("dev", "proc", "sys", "tmp", "run", "etc"):
        tree.folder(name)
    tree.character_device("dev/console", 5, 1)
    tree.file("init", built("./cmd/subproxy-guest").read_bytes(), 0o755)
    tree.file("usr/bin/battery", built("./internal/battery").read_bytes(), 0o755)
    tree.file("etc/subproxy.args", SETTINGS.encode())
    modules = found.load_order()
    tree.file("etc/modules", "".join(f"{each.name}\n" for each in modules).encode())
    for each in modules:
        tree.file(f"lib/modules/{each.name}.ko", each.data)
    initrd, elf = folder / "go.img", folder / "go.vmlinux"
    initrd.write_bytes(compress(pieces(tree), 3)[1])
    elf.write_bytes(vmlinux.extract(found.image.read_bytes()))
    return Image(elf, initrd)


class GoMachineTests(SynchronousTestCase):
    """One machine, everything in it."""

    timeout = 240

    def test_it_boots_answers_and_powers_off(self) -> None:
        need_tools()
        world = World()
        self.addCleanup(world.close)
        # The kernel's own words go over the image's, name by name.
        machine = Machine(
            world.folder, "go", image(world.folder), 7, r"subproxy.host=vm\.example", 192
        )
        self.addCleanup(machine.keep_logs)
        self.addCleanup(machine.kill)
        world.start_proxy("--access-log=none", vsock=str(machine.vsock))
        machine.start()
        machine.wait_for(r"registered host=vm\\.example path=/\.\*", 120)

        status, _, body = world.ask("/environment/GREETING", "vm.example")
        self.assertEqual((status, body), (200, b"hello there"))
        sent = content(3 * MB)
        got = world.ask("/digest", "vm.example", "PUT", sent, timeout=60)[2]
        self.assertEqual(got.decode(), digest(sent))
        got = world.ask(f"/pieces/{3 * MB}", "vm.example", timeout=60)[2]
        self.assertTrue(got == sent, len(got))

        # An orphan comes to process 1, which takes its status.
        self.assertEqual(world.ask("/orphan", "vm.example")[2], b"no zombies")

        # The power button: what is under way is finished, then the machine is off.
        machine.press_power_button()
        machine.wait_for("the power button: asking the application to end", 30)
        machine.wait_for("the application ended with status 143: poweroff", 30)
        self.assertEqual(machine.console.wait(60), 0)
