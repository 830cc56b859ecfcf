"""What a machine would be started of, as the host has it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines import host_facts
from subproxy.machines.declaration import Machine
from subproxy.machines.host_facts import BOOT_ID, HostLook


class HostLookTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        for name in ("kernel", "image", "disk"):
            (self.folder / name).write_text(name)
        self.program("Firecracker v1.16.1")
        self.patch(os, "environ", os.environ | {"PATH": f"{self.folder}:{os.environ['PATH']}"})
        self.look = HostLook()
        self.machine = Machine(
            *("blog", "firecracker", ("blog.example",)),
            kernel=str(self.folder / "kernel"),
            initramfs=str(self.folder / "image"),
        )

    def program(self, version: str, status: int = 0) -> None:
        path = self.folder / "firecracker"
        text = (
            f"#!/bin/sh\necho x >>{self.folder}/asked\necho '{version}'\necho more\nexit {status}\n"
        )
        path.write_text(text)
        path.chmod(0o755)

    def asked(self) -> int:
        """How often the program was run."""
        return len((self.folder / "asked").read_text().split())

    def test_facts(self) -> None:
        facts = self.look.facts(self.machine)
        self.assertEqual(facts.version, "Firecracker v1.16.1")
        self.assertEqual(set(facts.digests), {"kernel", "initramfs"})
        self.assertEqual(facts.boot, BOOT_ID.read_text().strip())
        self.assertEqual(self.look.facts(self.machine), facts)
        self.assertEqual(self.asked(), 1)

    def test_changes(self) -> None:
        """Each is seen: of files by what is in them, of a disk by its times."""
        machine = replace(self.machine, disk=str(self.folder / "disk"))
        seen = [self.look.facts(machine)]
        for name in ("kernel", "image", "disk"):
            new = self.folder / "new"
            new.write_text(f"other {name}")
            new.rename(self.folder / name)
            seen.append(self.look.facts(machine))
        self.program("Firecracker v1.17.0 of another day")
        seen.append(self.look.facts(machine))
        self.assertEqual(len({each.fingerprint(machine) for each in seen}), 5)

    def test_kvm(self) -> None:
        """QEMU emulates where there is none: what was frozen so is of other processors."""
        found = []
        for path in ("kernel", "nowhere"):
            self.patch(host_facts, "KVM", self.folder / path)
            found.append(self.look.facts(self.machine).fingerprint(self.machine))
        self.assertEqual(len(set(found)), 2)

    def test_what_can_not_be_read(self) -> None:
        for machine in (
            replace(self.machine, kernel="/nowhere/kernel"),
            replace(self.machine, disk="/nowhere/disk"),
            replace(self.machine, vmm="process"),
        ):
            self.assertRaises(OSError, self.look.facts, machine)
        self.program("Firecracker", status=1)
        error = self.assertRaises(OSError, self.look.facts, self.machine)
        self.assertIn("does not tell its version", str(error))
