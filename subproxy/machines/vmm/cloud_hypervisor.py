"""What cloud-hypervisor is asked: its REST API, as version 53 has it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from subproxy.machines.declaration import OWN
from subproxy.machines.instance_folder import make_folder
from subproxy.machines.snapshot_plan import FREEZE_LIMIT
from subproxy.machines.vmm.api_driver import restored_from
from subproxy.machines.vmm.driver import GUEST_CID, Launch, VmmError
from subproxy.machines.vmm.http_api import ApiCall
from subproxy.machines.vmm.kernel_command_line import QUICK, kernel_command_line
from subproxy.machines.vmm.memory_size import MEBIBYTE, mebibytes
from subproxy.machines.vmm.monitor_events import MonitorReader

KERNEL_WORDS: Final = ("console=ttyS0", "panic=-1", "quiet", *QUICK)
"""A panic restarts the machine in place, which cloud-hypervisor tells."""


CONFIG: Final = "config.json"


def moved_config(text: str, launch: Launch) -> str:
    """
    The C{config.json} of a snapshot, with the device of the instance that goes on from it.

    @raise ValueError: it is none.
    """
    config = json.loads(text)
    config["vsock"]["socket"] = str(launch.vsock)
    return json.dumps(config)


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

    def restore(self, launch: Launch) -> list[ApiCall]:
        """
        C{vm.restore} of a folder of our own, whose C{config.json} has this instance's device.

        What else is in the snapshot stands there under a second name.
        """
        assert launch.snapshot is not None
        place = restored_from(launch)
        try:
            shutil.rmtree(place, ignore_errors=True)
            make_folder(place, launch.machine.user)
            for each in launch.snapshot.iterdir():
                if each.name != CONFIG:
                    os.link(each, place / each.name, follow_symlinks=False)
            config = moved_config((launch.snapshot / CONFIG).read_text("utf-8"), launch)
            path = place / CONFIG
            path.touch(0o600)
            path.write_text(config, "utf-8")
            if launch.machine.user:
                shutil.chown(path, launch.machine.user)
        except OSError as error:
            raise VmmError(f"{error.filename}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise VmmError(f"the snapshot's {CONFIG}: {error}") from None
        body = {"source_url": f"file://{place}", "resume": True}
        return [ApiCall("PUT", "/api/v1/vm.restore", body, FREEZE_LIMIT)]

    def freeze(self, folder: Path) -> list[ApiCall]:
        """C{vm.pause}, C{vm.snapshot}: C{config.json}, C{state.json} and C{memory-ranges}."""
        body = {"destination_url": f"file://{folder}"}
        return [
            ApiCall("PUT", "/api/v1/vm.pause"),
            ApiCall("PUT", "/api/v1/vm.snapshot", body, FREEZE_LIMIT),
        ]

    @property
    def resume(self) -> ApiCall:
        """Safe here."""
        return ApiCall("PUT", "/api/v1/vm.resume")

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
