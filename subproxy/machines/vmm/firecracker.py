"""What Firecracker is asked: its REST API, as version 1.16 has it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from subproxy.machines.declaration import OWN
from subproxy.machines.snapshot_plan import FREEZE_LIMIT
from subproxy.machines.vmm.driver import GUEST_CID, Launch, VmmError, VmmEvent
from subproxy.machines.vmm.http_api import ApiCall
from subproxy.machines.vmm.kernel_command_line import QUICK, kernel_command_line
from subproxy.machines.vmm.memory_size import mebibytes

KERNEL_WORDS: Final = (
    *("console=ttyS0", "reboot=k", "panic=-1", "quiet", *QUICK),
    "subproxy.end=reboot",
)
"""Only a reboot ends Firecracker, so that is what a guest does when it has ended."""


STATE: Final = "state"
MEMORY: Final = "memory"


class Firecracker:
    """An L{ApiDialect<subproxy.machines.vmm.api_driver.ApiDialect>}."""

    program: Final = "firecracker"
    ping: Final = "/"
    power_off: Final = ApiCall("PUT", "/actions", {"action_type": "SendCtrlAltDel"})
    meanings: Mapping[int, str] = {
        0: "the guest has restarted, which is its end here, or its processor has crashed",
        148: "its filter of system calls has met one that it forbids",
        152: "bad configuration",
        153: "bad arguments",
    }
    """C{src/vmm/src/lib.rs}, C{FcExitCode}."""

    def command(self, socket: Path, events: int) -> list[str]:
        """Its seccomp filter is on unless it is told otherwise. It has no events to tell."""
        return [self.program, "--api-sock", str(socket)]

    def calls(self, launch: Launch) -> list[ApiCall]:
        """Each is checked at once. A refused C{InstanceStart} leaves the process running."""
        machine = launch.machine
        source: dict[str, object] = {
            "kernel_image_path": machine.kernel,
            "boot_args": kernel_command_line(machine, *KERNEL_WORDS),
        }
        if machine.initramfs:
            source["initrd_path"] = machine.initramfs
        size = {"vcpu_count": machine.cpus, "mem_size_mib": mebibytes(machine.memory)}
        device = {"guest_cid": GUEST_CID, "uds_path": str(launch.vsock)}
        calls = [
            ApiCall("PUT", "/boot-source", source),
            ApiCall("PUT", "/machine-config", size),
            ApiCall("PUT", "/vsock", device),
        ]
        if machine.disk:
            if machine.disk_mode == OWN:
                raise VmmError("Firecracker has no disk of one's own: disk-mode read-only")
            drive = {
                "drive_id": "disk0",
                "path_on_host": machine.disk,
                "is_root_device": False,
                "is_read_only": True,
            }
            calls.append(ApiCall("PUT", "/drives/disk0", drive))
        return [*calls, ApiCall("PUT", "/actions", {"action_type": "InstanceStart"})]

    def restore(self, launch: Launch) -> list[ApiCall]:
        """
        C{snapshot/load}, which is told of this instance's device. All that go on from a snapshot
        share the file of its memory. Without C{clock_realtime} the clock would stand where it was.
        """
        assert launch.snapshot is not None
        memory = {"backend_path": str(launch.snapshot / MEMORY), "backend_type": "File"}
        body = {
            "snapshot_path": str(launch.snapshot / STATE),
            "mem_backend": memory,
            "resume_vm": True,
            "vsock_override": {"uds_path": str(launch.vsock)},
            "clock_realtime": True,
        }
        return [ApiCall("PUT", "/snapshot/load", body)]

    def freeze(self, folder: Path) -> list[ApiCall]:
        """C{Paused}, C{snapshot/create}; it costs a guest its connections in any case."""
        body = {"snapshot_path": str(folder / STATE), "mem_file_path": str(folder / MEMORY)}
        return [
            ApiCall("PATCH", "/vm", {"state": "Paused"}),
            ApiCall("PUT", "/snapshot/create", body, FREEZE_LIMIT),
        ]

    @property
    def resume(self) -> None:
        """Up to 1.16.1 nothing reaches a guest again that was only paused (issue 6074)."""
        return

    def explain(self, body: bytes) -> str:
        """C{{"fault_message": "Boot source error: The kernel file cannot be opened: ..."}}."""
        try:
            fault = json.loads(body)
        except (ValueError, RecursionError):
            return body.decode("utf-8", "replace")
        if isinstance(fault, dict) and "fault_message" in fault:
            return str(fault["fault_message"])
        return str(fault)

    def events(self) -> _NoEvents:
        """None."""
        return _NoEvents()


class _NoEvents:
    def feed(self, data: bytes) -> list[VmmEvent]:
        return []
