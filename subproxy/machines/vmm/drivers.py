"""Which driver starts machines of which VMM."""

from __future__ import annotations

from typing import Any

from subproxy.machines.declaration import CLOUD_HYPERVISOR, FIRECRACKER, QEMU
from subproxy.machines.vmm.confinement import Confinement
from subproxy.machines.vmm.driver import Vmm
from subproxy.machines.vmm.process_starter import ConfinedStarter


def make_driver(vmm: str, reactor: Any, confinement: Confinement) -> Vmm:
    """
    The driver of a VMM. Its modules are imported when it is asked for.

    @param vmm: one of L{VMMS<subproxy.machines.declaration.VMMS>} but a process, which is none.
    @param confinement: one for all drivers, which has begun.
    @raise ValueError: there is none.
    """
    starter = ConfinedStarter(reactor, confinement)
    if vmm == QEMU:
        from subproxy.machines.vmm.qemu import QemuVmm

        return QemuVmm(reactor, starter)
    if vmm == CLOUD_HYPERVISOR:
        from subproxy.machines.vmm.api_driver import ApiVmm
        from subproxy.machines.vmm.cloud_hypervisor import CloudHypervisor

        return ApiVmm(reactor, starter, CloudHypervisor())
    if vmm == FIRECRACKER:
        from subproxy.machines.vmm.api_driver import ApiVmm
        from subproxy.machines.vmm.firecracker import Firecracker

        return ApiVmm(reactor, starter, Firecracker())
    raise ValueError(f"no driver for {vmm!r}")
