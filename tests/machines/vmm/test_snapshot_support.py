"""Which VMMs can freeze a machine."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.declaration import VMMS
from subproxy.machines.vmm.cloud_hypervisor import CloudHypervisor
from subproxy.machines.vmm.firecracker import Firecracker
from subproxy.machines.vmm.snapshot_support import ABLE, SUPPORT, refusal, support, version_of


class SnapshotSupportTests(SynchronousTestCase):
    def test_versions(self) -> None:
        """As the programs tell them."""
        for text, version in (
            ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)", (7, 2, 22)),
            ("Firecracker v1.16.1", (1, 16, 1)),
            ("cloud-hypervisor v53.0", (53, 0)),
            ("", (0,)),
        ):
            self.assertEqual(version_of(text), version)

    def test_which_can(self) -> None:
        for vmm, text, can in (
            ("qemu", "QEMU emulator version 7.2.22", True),
            ("qemu", "QEMU emulator version 6.2.0", False),
            ("cloud-hypervisor", "cloud-hypervisor v53.0", True),
            ("cloud-hypervisor", "cloud-hypervisor v51.2", False),
            ("firecracker", "Firecracker v1.16.1", True),
            ("firecracker", "Firecracker v1.15.0", False),
            ("process", "", False),
            ("firecracker", "no version", False),
        ):
            self.assertEqual(refusal(vmm, text) == "", can, text)
        self.assertEqual(set(ABLE), set(VMMS) - {"process"})

    def test_rows(self) -> None:
        """Each VMM's begin with its first version and rise; what can be done has a source."""
        for vmm in VMMS:
            rows = [each.since for each in SUPPORT if each.vmm == vmm]
            self.assertEqual(rows[0], (0,))
            self.assertEqual(rows, sorted(set(rows)))
        for row in SUPPORT:
            self.assertTrue(row.why and (row.source or not row.can))

    def test_what_was_paused_in_vain(self) -> None:
        """Runs on where all versions that can be used may; else it is ended."""
        for vmm, resumes in (
            ("cloud-hypervisor", CloudHypervisor().resume),
            ("firecracker", Firecracker().resume),
        ):
            rows = [each for each in SUPPORT if each.vmm == vmm and each.can]
            self.assertEqual(resumes is not None, all(each.resumes for each in rows))

    @given(st.text(), st.sampled_from(VMMS))
    def test_anything(self, text: str, vmm: str) -> None:
        support(vmm, version_of(text))
