"""
Looks at what a machine would be started of: its files, and its VMM.

It blocks, for some 30 ms when files are new: for a thread. What it has seen it looks at again only
when it has changed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from subproxy.files.file_stamp import Stamp, file_stamp
from subproxy.machines.declaration import CLOUD_HYPERVISOR, FIRECRACKER, QEMU, Machine
from subproxy.machines.snapshot_binding import StartFacts

PROGRAMS: Final = {
    QEMU: "qemu-system-x86_64",
    CLOUD_HYPERVISOR: "cloud-hypervisor",
    FIRECRACKER: "firecracker",
}
KVM: Final = Path("/dev/kvm")
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
PATIENCE: Final = 5.0
"""Seconds that a program has to tell its version."""


class HostLook:
    """See above."""

    def __init__(self) -> None:
        self._digests: dict[str, tuple[Stamp, str]] = {}
        self._versions: dict[str, tuple[Stamp, str]] = {}

    def facts(self, machine: Machine) -> StartFacts:
        """
        What that machine would be started of. A disk may be large: its times are enough.

        @raise OSError: something of it can't be read.
        """
        digests = {
            name: self._digest(path)
            for name, path in (("kernel", machine.kernel), ("initramfs", machine.initramfs))
            if path
        }
        if machine.disk:
            digests["disk"] = ".".join(map(str, file_stamp(machine.disk)))
        return StartFacts(
            self.version(machine.vmm),
            digests,
            BOOT_ID.read_text().strip(),
            os.access(KVM, os.R_OK | os.W_OK),
        )

    def version(self, vmm: str) -> str:
        """
        What a VMM says of itself, in a line.

        @raise OSError: it is not there, or does not say.
        """
        program = PROGRAMS.get(vmm, "")
        path = shutil.which(program) if program else None
        if path is None:
            raise FileNotFoundError(2, "no such program", program or vmm)
        now = file_stamp(path)
        known = self._versions.get(path)
        if known is None or known[0] != now:
            try:
                told = subprocess.run(
                    [path, "--version"],
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=PATIENCE,
                    check=True,
                )
            except subprocess.SubprocessError as error:
                raise OSError(5, f"does not tell its version: {error}", path) from None
            line = told.stdout.decode("utf-8", "replace").partition("\n")[0].strip()
            known = self._versions[path] = (now, line)
        return known[1]

    def _digest(self, path: str) -> str:
        now = file_stamp(path)
        known = self._digests.get(path)
        if known is None or known[0] != now:
            digest = hashlib.sha256()
            with open(path, "rb") as file:
                while piece := file.read(1 << 20):
                    digest.update(piece)
            known = self._digests[path] = (now, digest.hexdigest())
        return known[1]
