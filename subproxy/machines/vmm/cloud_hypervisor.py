"""What cloud-hypervisor is asked: its REST API, as version 53 has it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from subproxy.machines.declaration import OWN
from subproxy.machines.vmm.driver import GUEST_CID, Launch, VmmError
from subproxy.machines.vmm.http_api import ApiCall
from subproxy.machines.vmm.kernel_command_line import kernel_command_line
from subproxy.machines.vmm.memory_size import MEBIBYTE, mebibytes
from subproxy.machines.vmm.monitor_events import MonitorReader

KERNEL_WORDS: Final = ("console=ttyS0", "panic=-1", "quiet")
"""A panic restarts the machine in place, which cloud-hypervisor tells."""


class CloudHypervisor:
    """An L{ApiDialect<subproxy.machines.vmm.api_driver.ApiDialect>}."""

    program: Final = "cloud-hypervisor"
    ping: Final = "/api/v1/vmm.ping"
    power_off: Final = ApiCall("PUT", "/api/v1/vm.power-button")
    meanings: Mapping[int, str] = {}

    def command(self, socket: Path, events: int) -> list[str]:
        """Its seccomp filter is on unless it is told otherwise."""
        return [self.program, "--api-socket", f"path={socket}", "--event-monitor", f"fd={events}"]

    def calls(self, launch: Launch) -> list[ApiCall]:
        """C{vm.create}, which checks nothing, and C{vm.boot}, which does."""
        machine = launch.machine
        payload = {
            "kernel": machine.kernel,
            "cmdline": kernel_command_line(machine, *KERNEL_WORDS),
        }
        if machine.initramfs:
            payload["initramfs"] = machine.initramfs
        config: dict[str, object] = {
            "cpus": {"boot_vcpus": machine.cpus, "max_vcpus": machine.cpus},
            "memory": {"size": mebibytes(machine.memory) * MEBIBYTE},
            "payload": payload,
            "vsock": {"cid": GUEST_CID, "socket": str(launch.vsock)},
            "serial": {"mode": "Tty"},
            "console": {"mode": "Off"},
        }
        if machine.disk:
            if machine.disk_mode == OWN:
                raise VmmError("cloud-hypervisor has no disk of one's own: disk-mode read-only")
            config["disks"] = [{"path": machine.disk, "readonly": True}]
        return [ApiCall("PUT", "/api/v1/vm.create", config), ApiCall("PUT", "/api/v1/vm.boot")]

    def explain(self, body: bytes) -> str:
        """C{["Error from API", "The VM could not boot", ...]}: the outermost comes first."""
        try:
            causes = json.loads(body)
        except (ValueError, RecursionError):
            causes = body.decode("utf-8", "replace")
        if isinstance(causes, list):
            return ": ".join(str(each) for each in causes)
        return str(causes)

    def events(self) -> MonitorReader:
        """Its event monitor."""
        return MonitorReader()
