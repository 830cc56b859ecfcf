"""
Freezes a machine of QEMU's, and has another one go on from that.

QEMU writes no machine with a vhost-user device: C{State blocked by non-migratable device}. So the
device is unplugged before, which the guest sees as the end of its connections, and one is plugged
in after: the guest binds it and dials. The guest's kernel needs hotplug of PCI. What is written is
a stream of QEMU's migration. Measured with QEMU 7.2.22 and vhost-device-vsock 0.3.0.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from subproxy.machines.snapshot_plan import FREEZE_LIMIT
from subproxy.machines.vmm.driver import VmmError
from subproxy.machines.vmm.machine_run import MachineRun
from subproxy.machines.vmm.qemu_command import CHANNEL, DEVICE, DRIVER, SLOT
from subproxy.machines.vmm.qmp import QmpError, QmpEvent, QmpProtocol

STREAM: Final = "stream"
"""The file of a snapshot."""

_NEVER_LED_ON: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""A VMM may be what its guest has made of it: no link is followed, and no pipe waited for."""

UNPLUG_LIMIT: Final = 10.0
"""Seconds that a guest's kernel has to let go of its device. Some 0.1 s were measured, emulated."""


class QemuSnapshot:
    """
    What one QEMU is asked.

    @param run: it.
    @param protocol: the connection to it.
    """

    def __init__(self, reactor: Any, run: MachineRun, protocol: QmpProtocol) -> None:
        self._reactor = reactor
        self._run = run
        self._protocol = protocol
        self._awaited: dict[str, Deferred[None]] = {}

    def heard(self, event: QmpEvent) -> None:
        """QEMU has told something, which may be awaited."""
        done = None
        if event.name == "DEVICE_DELETED" and event.data.get("device") == DEVICE:
            done = self._awaited.pop(DEVICE, None)
        elif event.name == "MIGRATION" and event.data.get("status") in ("completed", "failed"):
            done = self._awaited.pop(STREAM, None)
            if done is not None and event.data["status"] == "failed":
                done.errback(VmmError("QEMU could not write it, or read it"))
                return
        if done is not None:
            done.callback(None)

    async def write(self, folder: Path) -> None:
        """
        Freeze it.

        @raise VmmError: it can't be; it runs on.
        """
        await self._ask("query-status")  # while nothing has changed
        gone = self._expect(DEVICE, UNPLUG_LIMIT, "its kernel does not give the device back")
        await self._until(gone, "device_del", id=DEVICE)
        await self._ask("chardev-remove", id=CHANNEL)
        await self._ask("stop")
        try:
            await self._pass_on(folder / STREAM, os.O_RDWR | os.O_CREAT | os.O_EXCL)
            await self._tell_of_migration()
            written = self._expect(STREAM, FREEZE_LIMIT, "QEMU is too slow")
            await self._until(written, "migrate", uri=f"fd:{STREAM}")
        except VmmError:
            await self._plug_in()
            await self._ask("cont")
            raise

    async def read(self, folder: Path) -> None:
        """
        Have it go on from there.

        @raise VmmError: it can't.
        """
        await self._pass_on(folder / STREAM, os.O_RDONLY)
        await self._tell_of_migration()
        read = self._expect(STREAM, FREEZE_LIMIT, "QEMU is too slow")
        await self._until(read, "migrate-incoming", uri=f"fd:{STREAM}")
        await self._plug_in()
        await self._ask("cont")

    async def _plug_in(self) -> None:
        place = {"type": "unix", "data": {"path": str(self._run.launch.folder / "vhost.sock")}}
        backend = {"type": "socket", "data": {"addr": place, "server": False}}
        await self._ask("chardev-add", id=CHANNEL, backend=backend)
        await self._ask("device_add", driver=DRIVER, chardev=CHANNEL, id=DEVICE, bus=SLOT)

    async def _tell_of_migration(self) -> None:
        told = [{"capability": "events", "state": True}]
        await self._ask("migrate-set-capabilities", capabilities=told)

    async def _pass_on(self, path: Path, flags: int) -> None:
        """Give it a file: it may open none by itself."""
        try:
            descriptor = os.open(path, flags | _NEVER_LED_ON, 0o600)
        except OSError as error:
            raise VmmError(f"{error.filename}: {error.strerror}") from None
        try:
            asked = self._protocol.command("getfd", {"fdname": STREAM}, descriptor)
            await self._answered("getfd", asked)
        finally:
            os.close(descriptor)

    async def _ask(self, name: str, **arguments: object) -> None:
        await self._answered(name, self._protocol.command(name, arguments))

    async def _answered(self, name: str, asked: Deferred[object]) -> None:
        try:
            await self._run.wait(asked)
        except QmpError as error:
            raise VmmError(f"{name}: {error}") from None

    async def _until(self, done: Deferred[None], name: str, **arguments: object) -> None:
        """Ask for something, and wait until it is done."""
        try:
            await self._ask(name, **arguments)
        except BaseException:
            done.addErrback(lambda _: None)
            done.cancel()
            raise
        await self._run.wait(done)

    def _expect(self, what: str, seconds: float, otherwise: str) -> Deferred[None]:
        """Fires with the event; fails with L{VmmError} if it does not come in time."""
        done: Deferred[None] = Deferred()

        def too_late(result: Any, _: float) -> None:
            self._awaited.pop(what, None)
            if isinstance(result, Failure):
                raise VmmError(otherwise)

        self._awaited[what] = done
        return done.addTimeout(seconds, self._reactor, too_late)
