"""What an operator declares of a machine: a C{[[machine]]} of the configuration file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

QEMU: Final = "qemu"
CLOUD_HYPERVISOR: Final = "cloud-hypervisor"
FIRECRACKER: Final = "firecracker"
PROCESS: Final = "process"
VMMS: Final = (QEMU, CLOUD_HYPERVISOR, FIRECRACKER, PROCESS)
"""What runs a machine. The last is no virtual machine, but a process: for demos and tests."""

READ_ONLY: Final = "read-only"
OWN: Final = "own"
DISK_MODES: Final = (READ_ONLY, OWN)

AUTO: Final = "auto"
ACCELERATIONS: Final = (AUTO, "kvm", "tcg")
"""What QEMU runs a machine by: C{/dev/kvm}, or its own emulation; C{auto}: the first if it can."""


@dataclass(frozen=True)
class Machine:
    """
    One declared machine; it may run as several instances.

    @ivar name: letters, digits and C{-}; unique.
    @ivar vmm: one of L{VMMS}.
    @ivar hosts: whom it serves, as in a policy: C{blog.example}, C{*.blog.example} or C{*}.
    @ivar paths: what of them; each covers what is below.
    @ivar kernel: an absolute path; empty for a process.
    @ivar initramfs: an absolute path, or empty.
    @ivar disk: an absolute path of an image, or empty.
    @ivar disk_mode: C{read-only}, or C{own}: each instance writes to a copy, which ends with it.
    @ivar memory: bytes of the guest.
    @ivar cpus: virtual processors.
    @ivar acceleration: one of L{ACCELERATIONS}; of QEMU alone.
    @ivar arguments: of the application in the guest.
    @ivar environment: of the application in the guest.
    @ivar kernel_arguments: more of the kernel's.
    @ivar command: the program of a C{process}, and its arguments; C{{vsock}} stands for the path
        of its device, C{{listener}} for where the proxy listens for it.
    @ivar idle: seconds without use after which an instance is stopped; None: never.
    @ivar most: instances at a time.
    @ivar start_timeout: seconds from the start until it has registered; as long waits a request.
    @ivar stop_timeout: seconds from power-off until it is killed.
    @ivar scale_after: seconds that a request waits until another instance is started for it.
    @ivar user: whom the VMM runs as, where the proxy is root; empty: as the proxy.
    @ivar snapshot: it is frozen when it is idle, and goes on from that.
    @ivar console: bytes of a console file, of which the one before is kept.
    """

    name: str
    vmm: str
    hosts: tuple[str, ...]
    paths: tuple[str, ...] = ("/",)
    kernel: str = ""
    initramfs: str = ""
    disk: str = ""
    disk_mode: str = READ_ONLY
    memory: int = 256 << 20
    cpus: int = 1
    acceleration: str = AUTO
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    kernel_arguments: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    idle: float | None = 300.0
    most: int = 1
    start_timeout: float = 30.0
    stop_timeout: float = 10.0
    scale_after: float = 0.5
    user: str = ""
    console: int = 1 << 20
    snapshot: bool = False


def machine_of(data: dict[str, Any]) -> Machine:
    """The machine that C{dataclasses.asdict} and JSON have made C{data} of."""
    values: dict[str, Any] = {
        key: tuple(each) if isinstance(each, list) else each for key, each in data.items()
    }
    return Machine(**values)


def runs_by(machine: Machine) -> Machine:
    """What an instance runs by: of C{machine} what is not for its manager, or the proxy, alone."""
    plain = Machine(machine.name, machine.vmm, ())
    return replace(
        machine,
        hosts=(),
        paths=(),
        idle=plain.idle,
        most=plain.most,
        start_timeout=plain.start_timeout,
        stop_timeout=plain.stop_timeout,
        scale_after=plain.scale_after,
    )
