from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.declaration import Machine
from subproxy.machines.vmm.driver import Launch, VmmError
from subproxy.machines.vmm.qemu_command import qemu_command, vhost_command

FOLDER = Path("/run/machines/blog/0")
MACHINE = Machine(
    "blog", "qemu", ("blog.example",), kernel="/k", initramfs="/i", memory=256 << 20, cpus=2
)


def command(machine: Machine = MACHINE, *kinds: str) -> list[str]:
    """The command line of QEMU."""
    launch = Launch(machine, 0, FOLDER, FOLDER / "vsock")
    return qemu_command(launch, kinds or ("kvm", "tcg"), FOLDER / "vhost.sock", 3)


class QemuCommandTests(SynchronousTestCase):
    def value(self, words: list[str], option: str) -> str:
        """The word after the only C{option}."""
        self.assertEqual(words.count(option), 1)
        return words[words.index(option) + 1]

    def test_a_machine(self) -> None:
        words = command()
        self.assertEqual(words[0], "qemu-system-x86_64")
        self.assertEqual(self.value(words, "-name"), "blog-0")
        self.assertEqual(self.value(words, "-kernel"), "/k")
        self.assertEqual(self.value(words, "-initrd"), "/i")
        self.assertEqual(self.value(words, "-smp"), "2")
        self.assertEqual(self.value(words, "-m"), "256M")
        self.assertEqual(
            self.value(words, "-object"), "memory-backend-memfd,id=mem0,size=256M,share=on"
        )
        self.assertEqual(
            [each for before, each in pairwise(words) if before == "-accel"],
            ["kvm", "tcg"],
        )
        self.assertIn("socket,id=vsock0,path=/run/machines/blog/0/vhost.sock,reconnect=0", words)
        self.assertIn("socket,id=qmp0,fd=3,server=on,wait=off", words)
        self.assertIn("panic=-1", self.value(words, "-append"))
        self.assertIn("spawn=deny", self.value(words, "-sandbox"))
        self.assertNotIn("-drive", words)

    def test_what_may_be_left_out(self) -> None:
        self.assertNotIn("-initrd", command(replace(MACHINE, initramfs="")))

    def test_disks(self) -> None:
        disk = replace(MACHINE, disk="/d,1.img")
        self.assertEqual(
            self.value(command(disk), "-drive"),
            "file=/d,,1.img,format=raw,if=none,id=disk0,readonly=on",
        )
        own = replace(disk, disk_mode="own")
        self.assertIn("snapshot=on", self.value(command(own), "-drive"))

    def test_the_device(self) -> None:
        self.assertEqual(
            vhost_command(Path("/run/vsock"), Path("/run/vhost.sock")),
            [
                "vhost-device-vsock",
                "--vm",
                "guest-cid=3,uds-path=/run/vsock,socket=/run/vhost.sock",
            ],
        )
        error = self.assertRaises(VmmError, vhost_command, Path("/a,b/vsock"), Path("/v"))
        self.assertIn("comma", error.reason)
