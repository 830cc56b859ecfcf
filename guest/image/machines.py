"""The command lines that boot an image and reach the proxy, one for each VMM."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from guest.image.arguments import check_length

CONSOLE = "console=ttyS0 panic=-1 quiet"
EMULATED = f"{CONSOLE} no_timer_check"
"""Where QEMU emulates the processor: on a busy host the kernel's test of its timer may fail, and
the guest panics with C{IO-APIC + timer doesn't work!}."""
GUEST_CID = 3
MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class BootSpec:
    """A machine to boot, with file names quoted for the shell."""

    image: str
    kernel: str
    vmlinux: str
    memory: int
    """MiB."""
    socket: str = "/tmp/vm3.sock"
    """Where the VMM has the socket that stands for the guest's vsock."""


def memory_for(unpacked: int, packed: int) -> int:
    """MiB that a guest needs: the image packed and unpacked at once, and as much again to run.

    Rounded up to 64, at least 192.
    """
    needed = (2 * unpacked + packed) // MEBIBYTE + 96
    return max(192, -(-needed // 64) * 64)


def command_line(more: str = "", *, base: str = CONSOLE) -> str:
    """A kernel command line. Raises C{ArgumentError} if Linux would cut it off."""
    return check_length(f"{base} {more}".strip())


def cloud_hypervisor(machine: BootSpec, more: str = "") -> str:
    """For cloud-hypervisor, which emulates vsock itself."""
    return _continued(
        "cloud-hypervisor",
        f"--kernel {shlex.quote(machine.vmlinux)}",
        f"--initramfs {shlex.quote(machine.image)}",
        f"--cmdline {shlex.quote(command_line(more))}",
        f"--cpus boot=1 --memory size={machine.memory}M",
        f"--vsock cid={GUEST_CID},socket={machine.socket}",
        "--serial tty --console off",
    )


def firecracker(machine: BootSpec, more: str = "") -> str:
    """For Firecracker 1.8 or newer (ACPI), which ends when its guest reboots."""
    arguments = command_line(
        f"{more} subproxy.end=reboot".strip(), base="console=ttyS0 reboot=k panic=1 quiet"
    )
    config: Mapping[str, object] = {
        "boot-source": {
            "kernel_image_path": machine.vmlinux,
            "initrd_path": machine.image,
            "boot_args": arguments,
        },
        "drives": [],
        "machine-config": {"vcpu_count": 1, "mem_size_mib": machine.memory},
        "vsock": {"guest_cid": GUEST_CID, "uds_path": machine.socket},
    }
    text = json.dumps(config, indent=2)
    return (
        f"cat > firecracker.json <<'END'\n{text}\nEND\n"
        "firecracker --no-api --config-file firecracker.json"
    )


def vhost_words(machine: BootSpec) -> list[str]:
    """The device that stands between QEMU and the socket of the guest's vsock."""
    vhost = f"{machine.socket}.vhost"
    device = f"guest-cid={GUEST_CID},uds-path={machine.socket},socket={vhost}"
    return ["vhost-device-vsock", "--vm", device]


def qemu_words(machine: BootSpec, more: str = "") -> list[str]:
    """The words of L{qemu}'s command."""
    return [word for row in _qemu(machine, more) for word in row]


def qemu(machine: BootSpec, more: str = "") -> str:
    """For QEMU anywhere: without KVM, and with vhost-device-vsock for the socket."""
    start = f"{shlex.join(vhost_words(machine))} &"
    ready = f"until test -S {machine.socket}.vhost; do sleep 0.1; done"
    return f"{start}\n{ready}\n" + _continued(*map(shlex.join, _qemu(machine, more)))


def _qemu(machine: BootSpec, more: str) -> list[list[str]]:
    """
    QEMU's words, by the lines on which they are shown.

    The kernel as it runs, and one processor: to emulate what unpacks a kernel costs 0.6 s and 28 MB
    of the machine's memory, and a second processor a tenth of the start.
    """
    size = f"{machine.memory}M"
    return [
        ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "1"],
        ["-machine", "q35,memory-backend=mem0", "-m", size],
        ["-object", f"memory-backend-memfd,id=mem0,size={size},share=on"],
        ["-kernel", machine.vmlinux, "-initrd", machine.image],
        ["-append", command_line(more, base=EMULATED)],
        ["-chardev", f"socket,id=vsock0,path={machine.socket}.vhost,reconnect=0"],
        ["-device", "vhost-user-vsock-pci,chardev=vsock0"],
        ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"],
    ]


def qemu_native(machine: BootSpec, more: str = "") -> str:
    """For QEMU on a host with vhost_vsock: no socket, the guest's CID is its identity."""
    return _continued(
        "qemu-system-x86_64 -machine q35 -accel kvm -cpu host",
        f"-m {machine.memory}M",
        f"-kernel {shlex.quote(machine.kernel)} -initrd {shlex.quote(machine.image)}",
        f"-append {shlex.quote(command_line(more))}",
        f"-device vhost-vsock-pci,guest-cid={GUEST_CID}",
        "-nodefaults -no-user-config -display none -no-reboot -serial stdio",
    )


def _continued(*lines: str) -> str:
    return " \\\n  ".join(lines)
