"""The driver of QEMU, with a vhost-device-vsock of its own for each machine."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.logger import Logger

from subproxy.machines.vmm.driver import (
    Launch,
    RunningVmm,
    VmmError,
    VmmEvent,
    VmmEventKind,
)
from subproxy.machines.vmm.machine_run import MachineRun, ProcessStarter
from subproxy.machines.vmm.qemu_command import qemu_command, vhost_command
from subproxy.machines.vmm.qemu_snapshot import QemuSnapshot
from subproxy.machines.vmm.qmp import QmpError, QmpEvent, QmpProtocol

MONITOR: Final = 3
"""The descriptor that QEMU has for QMP."""

REASONS: Final = {
    "guest-shutdown": "the guest has powered off",
    "guest-reset": "the guest has restarted, or its kernel has panicked",
    "guest-panic": "the guest's kernel has panicked",
    "host-qmp-quit": "QEMU was told to quit",
    "host-qmp-system-reset": "QEMU was told to reset the machine",
    "host-signal": "QEMU was ended by a signal",
    "host-error": "QEMU has met an error of the host",
}
"""C{ShutdownCause} of QEMU's C{qapi/run-state.json}, in words."""


def accelerators(acceleration: str, *, kvm: bool) -> list[str]:
    """
    What QEMU may run the processors by, the best first.

    @param acceleration: of the machine: C{auto}, C{kvm} or C{tcg}.
    @param kvm: whether C{/dev/kvm} can be opened here.
    """
    if acceleration == "auto":
        return ["kvm", "tcg,thread=multi"] if kvm else ["tcg,thread=multi"]
    return ["tcg,thread=multi"] if acceleration == "tcg" else [acceleration]


def kvm_usable() -> bool:
    """Whether this process may open C{/dev/kvm}."""
    return os.access("/dev/kvm", os.R_OK | os.W_OK)


class QemuVmm:
    """
    Starts machines with QEMU: a L{Vmm<subproxy.machines.vmm.driver.Vmm>}.

    In a machine's folder it has C{vhost.sock} (between QEMU and the device), C{console.log},
    C{qemu.log} and C{vhost.log}.

    @param starter: starts processes.
    @param kvm: whether there is KVM.
    """

    _log = Logger()

    def __init__(
        self, reactor: Any, starter: ProcessStarter, kvm: Callable[[], bool] = kvm_usable
    ) -> None:
        self._reactor = reactor
        self._starter = starter
        self._kvm = kvm

    def start(self, launch: Launch, on_event: Callable[[VmmEvent], None]) -> Deferred[RunningVmm]:
        """As in L{Vmm<subproxy.machines.vmm.driver.Vmm>}."""
        return Deferred.fromCoroutine(self._start(launch, on_event))

    def adopt(self, launch: Launch, pid: int, on_event: Callable[[VmmEvent], None]) -> RunningVmm:
        """As in L{Vmm<subproxy.machines.vmm.driver.Vmm>}."""
        run = MachineRun(self._reactor, self._starter, launch, on_event, resume=True)
        self._own(run)
        run.adopt("qemu", pid, {"vhost": vhost_command(launch.vsock, _vhost(launch))[-1]})
        Deferred.fromCoroutine(self._talk(run)).addErrback(self._mute, launch)
        return run

    async def _start(self, launch: Launch, on_event: Callable[[VmmEvent], None]) -> RunningVmm:
        run = MachineRun(self._reactor, self._starter, launch, on_event)
        return await run.bring_up(self._bring_up(run))

    async def _bring_up(self, run: MachineRun) -> None:
        launch = run.launch
        self._own(run)
        vhost = _vhost(launch)
        kinds = accelerators(launch.machine.acceleration, kvm=self._kvm())
        command = qemu_command(launch, kinds, vhost, MONITOR)
        run.spawn("vhost", vhost_command(launch.vsock, vhost))
        await run.appears(vhost)
        with listening(_monitor(launch)) as monitor:
            run.spawn("qemu", command, main=True, descriptors={MONITOR: monitor.fileno()})
        snapshot = await self._talk(run)
        if launch.snapshot is None:
            run.tell(VmmEventKind.BOOTING)
        else:
            await snapshot.read(launch.snapshot)
            run.tell(VmmEventKind.RESTORED)

    async def _talk(self, run: MachineRun) -> QemuSnapshot:
        """Have a connection to QEMU for as long as it runs."""

        def heard(event: QmpEvent) -> None:
            snapshot.heard(event)
            self._heard(run, event)

        protocol = QmpProtocol(heard)
        snapshot = QemuSnapshot(self._reactor, run, protocol)
        endpoint = UNIXClientEndpoint(self._reactor, str(_monitor(run.launch)))
        await run.wait(connectProtocol(endpoint, protocol))
        run.hear_out(protocol.closed)
        await run.wait(protocol.command("qmp_capabilities"))
        run.press = lambda: _pressed(protocol)
        run.write_to = snapshot.write
        return snapshot

    def _heard(self, run: MachineRun, event: QmpEvent) -> None:
        if event.name == "SHUTDOWN":
            reason = str(event.data.get("reason"))
            run.tell(VmmEventKind.SHUTDOWN, REASONS.get(reason, reason))
        elif event.name == "GUEST_PANICKED":
            run.tell(VmmEventKind.PANICKED, "QEMU was told by the guest")

    def _mute(self, failure: Any, launch: Launch) -> None:
        if failure.check(CancelledError):
            return  # it has ended
        self._log.warn(
            "machine {name}: QEMU can't be asked any more: {error}",
            name=launch.machine.name,
            error=failure.getErrorMessage(),
        )

    def _own(self, run: MachineRun) -> None:
        launch = run.launch
        run.own(launch.vsock, _vhost(launch), _monitor(launch))


def _vhost(launch: Launch) -> Path:
    return launch.folder / "vhost.sock"


def _monitor(launch: Launch) -> Path:
    """
    Where QMP is. It stands beside the instance's folder: in that its user could put a link to
    another machine's in its place, and what we tell QEMU would be done there.
    """
    return launch.folder.with_name(f"{launch.folder.name}.qmp.sock")


def _pressed(protocol: QmpProtocol) -> Deferred[None]:
    def refused(failure: Any) -> None:
        failure.trap(QmpError)
        raise VmmError(failure.getErrorMessage())

    return protocol.command("system_powerdown").addCallbacks(lambda _: None, refused)


@contextlib.contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """
    A unix socket that listens at C{path}, to be passed on.

    Who connects before the other process accepts waits in its backlog, so nobody has to wait until
    that process has made it. It stays in place.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen(1)
        yield listener
