"""The command lines of QEMU and of vhost-device-vsock for one machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from subproxy.machines.declaration import OWN, Machine
from subproxy.machines.vmm.driver import GUEST_CID, Launch, VmmError
from subproxy.machines.vmm.kernel_command_line import QUICK, kernel_command_line
from subproxy.machines.vmm.memory_size import mebibytes

QEMU_PROGRAM: Final = "qemu-system-x86_64"
VHOST_PROGRAM: Final = "vhost-device-vsock"

KERNEL_WORDS: Final = ("console=ttyS0", "panic=-1", "quiet", "no_timer_check", *QUICK)
"""
A panic restarts the machine, which ends QEMU. On a busy host that emulates the processor the
kernel's test of its timer may fail: C{IO-APIC + timer doesn't work!}.
"""

CHANNEL: Final = "vsock0"
DEVICE: Final = "vsock"
SLOT: Final = "slot0"
"""Names of ours: of the connection to vhost-device-vsock, of the device, and of where it is."""

DRIVER: Final = "vhost-user-vsock-pci"

SANDBOX: Final = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
"""QEMU's own filter of system calls: as libvirt has it."""


def vhost_command(vsock: Path, control: Path) -> list[str]:
    """
    The device: what a guest sends to a port of its host arrives at C{<vsock>_PORT}.

    @param control: the socket that QEMU connects to.
    @raise VmmError: it has no way to be told such a path.
    """
    for path in (vsock, control):
        if "," in str(path):
            raise VmmError(f"{VHOST_PROGRAM} can't have a path with a comma: {path}")
    device = f"guest-cid={GUEST_CID},uds-path={vsock},socket={control}"
    return [VHOST_PROGRAM, "--vm", device]


def qemu_command(
    launch: Launch, accelerators: Sequence[str], vhost: Path, monitor: int
) -> list[str]:
    """
    QEMU itself. The guest's console is its standard output.

    @param accelerators: C{kvm} and C{tcg}, the best first.
    @param vhost: where vhost-device-vsock listens.
    @param monitor: the descriptor, in QEMU, of a listening unix socket for QMP.
    @raise VmmError: the machine can't be had so.
    """
    machine = launch.machine
    size = f"{mebibytes(machine.memory)}M"
    return [
        QEMU_PROGRAM,
        *("-name", _quoted(f"{machine.name}-{launch.index}")),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-sandbox", SANDBOX),
        *(word for each in accelerators for word in ("-accel", each)),
        *("-cpu", "max", "-smp", str(machine.cpus)),
        *("-machine", "q35,memory-backend=mem0", "-m", size),
        # The device is another process, which reads and writes the guest's memory.
        *("-object", f"memory-backend-memfd,id=mem0,size={size},share=on"),
        *("-kernel", machine.kernel),
        *(("-initrd", machine.initramfs) if machine.initramfs else ()),
        *("-append", kernel_command_line(machine, *KERNEL_WORDS)),
        *_vsock(launch, vhost),
        *_disk(machine),
        *("-chardev", f"socket,id=qmp0,fd={monitor},server=on,wait=off"),
        *("-mon", "chardev=qmp0,mode=control"),
        *("-serial", "stdio"),
    ]


def _vsock(launch: Launch, vhost: Path) -> tuple[str, ...]:
    """
    The device. What may be frozen has it in a slot of its own, where it can be unplugged; what goes
    on from a snapshot is told of it later.
    """
    slot = ("-device", f"pcie-root-port,id={SLOT},chassis=1") if launch.machine.snapshot else ()
    if launch.snapshot is not None:
        return (*slot, "-incoming", "defer")
    place = f",id={DEVICE},bus={SLOT}" if slot else ""
    return (
        *slot,
        *("-chardev", f"socket,id={CHANNEL},path={_quoted(str(vhost))},reconnect=0"),
        *("-device", f"{DRIVER},chardev={CHANNEL}{place}"),
    )


def _disk(machine: Machine) -> tuple[str, ...]:
    """An image of a disk; what is written to one's own goes to a file that has no name."""
    if not machine.disk:
        return ()
    own = machine.disk_mode == OWN
    how = "snapshot=on" if own else "readonly=on"
    drive = f"file={_quoted(machine.disk)},format=raw,if=none,id=disk0,{how}"
    return ("-drive", drive, "-device", "virtio-blk-pci,drive=disk0")


def _quoted(value: str) -> str:
    """A value among QEMU's options, where a comma parts them."""
    return value.replace(",", ",,")
