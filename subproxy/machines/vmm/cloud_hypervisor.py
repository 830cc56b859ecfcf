"""What cloud-hypervisor is asked: its REST API, as version 53 has it."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from subproxy.machines.declaration import OWN
from subproxy.machines.privileges import account
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
LONGEST_CONFIG: Final = 1 << 20
"""Bytes of it. One of a machine with a disk had 3,000."""


def config_of(snapshot: Path) -> str:
    """
    The text of the C{config.json} of a snapshot, which a VMM wrote: no link of it is followed, and
    no pipe waited for.

    @raise OSError: it can't be read.
    @raise ValueError: it is none.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(snapshot / CONFIG, flags), encoding="utf-8") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("no file")
        return file.read(LONGEST_CONFIG)


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

        What else is in the snapshot stands there under a second name. The VMM can read what is
        there, and change nothing: what it could make a link would be followed by us.
        """
        assert launch.snapshot is not None
        place, user = restored_from(launch), launch.machine.user
        try:
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(0o700)
            if user:
                place.chmod(0o711)
            for each in launch.snapshot.iterdir():
                if each.name != CONFIG:
                    os.link(each, place / each.name, follow_symlinks=False)
            config = moved_config(config_of(launch.snapshot), launch)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with open(os.open(place / CONFIG, flags, 0o600), "w", encoding="utf-8") as file:
                file.write(config)
                if user:
                    found = account(user)
                    os.fchown(file.fileno(), found.pw_uid, found.pw_gid)
        except OSError as error:
            raise VmmError(f"{error.filename or place}: {error.strerror}") from None
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
