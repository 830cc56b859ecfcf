"""
Runs instances of machines: what a manager has decided of one is done here, through the drivers.

It listens for a guest before its VMM is started, and no more when that has ended.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from subproxy.machines.declaration import Machine
from subproxy.machines.host import InstanceHost
from subproxy.machines.instance_folder import make_folder
from subproxy.machines.managed import ManagedMachine
from subproxy.machines.places import device_of, folder_of
from subproxy.machines.run_record import RunRecord
from subproxy.machines.snapshot_keeper import SnapshotKeeper
from subproxy.machines.snapshot_store import SnapshotError
from subproxy.machines.states import COMING, InstanceState
from subproxy.machines.vmm.driver import (
    Launch,
    RunningVmm,
    Vmm,
    VmmEnded,
    VmmError,
    VmmEvent,
    VmmEventKind,
)


class InstanceRunner:
    """
    See above.

    @param folder: where machines have their files.
    @param driver: of a machine.
    @param step: has its manager look at a machine: something has happened.
    @param snapshots: finds those that machines go on from, and makes them.
    """

    _log = Logger()

    def __init__(
        self,
        clock: Any,
        folder: str,
        host: InstanceHost,
        driver: Callable[[Machine], Vmm],
        step: Callable[[ManagedMachine], None],
        snapshots: SnapshotKeeper,
    ) -> None:
        self._clock = clock
        self._folder = folder
        self._host = host
        self._driver = driver
        self._step = step
        self._snapshots = snapshots

    def launch(self, machine: Machine, index: int) -> Launch:
        """What is started."""
        folder = Path(folder_of(self._folder, machine.name, index))
        return Launch(machine, index, folder, Path(device_of(self._folder, machine.name, index)))

    def start(self, managed: ManagedMachine, index: int) -> None:
        """Start it."""
        started = Deferred.fromCoroutine(self._start(managed, index))
        started.addErrback(self._failed, "a start of machine {name} failed", managed.machine.name)

    async def _start(self, managed: ManagedMachine, index: int) -> None:
        machine = managed.machine
        name = machine.name
        launch = self.launch(machine, index)
        self._log.info("machine {name} ({index}) is started", name=name, index=index)

        def event(said: VmmEvent) -> None:
            self._event(managed, index, said)

        instance = managed.supervisor.instances[index]
        instance.run = secrets.token_hex(32)
        try:
            make_folder(launch.folder, machine.user)
            await self._host.listen(str(launch.vsock), machine.user, instance.run)
            if machine.snapshot:
                fingerprint, snapshot = await self._snapshots.before_start(machine)
                launch = replace(launch, snapshot=snapshot)
                restores = snapshot is not None
                managed.supervisor.begins(index, fingerprint, restores=restores)
            # It may have been given up meanwhile.
            if instance.state is InstanceState.KILLED:
                raise CancelledError()
            starting = managed.starting[index] = self._driver(machine).start(launch, event)
            try:
                running = await starting
            finally:
                managed.starting.pop(index, None)
        except CancelledError:
            await self._over(managed, index, "it was given up")
        except VmmError as error:
            self._show_console(name, index, error.console)
            await self._over(managed, index, error.reason)
        except OSError as error:
            await self._over(managed, index, _told(error))
        except Exception as error:
            self._log.failure("machine {name} can't be started", name=name)
            await self._over(managed, index, str(error) or type(error).__name__)
        else:
            unrecorded = None
            try:
                RunRecord(running.pid).write(launch.folder)
            except OSError as error:
                unrecorded = _told(error)
            self._runs(managed, index, running)
            if unrecorded is not None:
                managed.supervisor.give_up(index, unrecorded, self._clock.seconds())
                self._step(managed)

    def _runs(self, managed: ManagedMachine, index: int, running: RunningVmm) -> None:
        managed.running[index] = running
        running.ended.addCallback(self._ended, managed, index)
        running.ended.addErrback(
            self._failed, "the end of machine {name} failed", managed.machine.name
        )
        if managed.supervisor.instances[index].state is InstanceState.KILLED:
            running.kill()

    def _ended(self, ended: VmmEnded, managed: ManagedMachine, index: int) -> VmmEnded:
        managed.running.pop(index, None)
        name = managed.machine.name
        state = managed.supervisor.instances[index].state
        self._log.info(
            "machine {name} ({index}) has ended: {reason}",
            name=name,
            index=index,
            reason=ended.reason,
        )
        if state in COMING or state is InstanceState.UP:
            self._show_console(name, index, ended.console)
        done = Deferred.fromCoroutine(self._over(managed, index, ended.reason))
        done.addErrback(self._failed, "the end of machine {name} failed", name)
        return ended

    async def _over(self, managed: ManagedMachine, index: int, reason: str) -> None:
        """Nothing of it is left."""
        launch = self.launch(managed.machine, index)
        RunRecord.remove(launch.folder)
        await self._host.stop_listening(str(launch.vsock))
        managed.supervisor.ended(index, reason, self._clock.seconds())
        self._step(managed)

    def _show_console(self, name: str, index: int, lines: Sequence[str]) -> None:
        for line in lines:
            self._log.info("machine {name} ({index}): {line}", name=name, index=index, line=line)

    def _event(self, managed: ManagedMachine, index: int, event: VmmEvent) -> None:
        now = self._clock.seconds()
        match event.kind:
            case VmmEventKind.BOOTING | VmmEventKind.RESTORED:
                managed.supervisor.booting(index, now)
            case VmmEventKind.INIT:
                managed.supervisor.reach(index, "init", now)
            case VmmEventKind.REBOOTED | VmmEventKind.PANICKED:
                reason = event.reason or event.kind.value
                managed.supervisor.give_up(index, reason, now)
                self._step(managed)

    def power_off(self, managed: ManagedMachine, index: int) -> None:
        """Tell it to end."""
        running = managed.running.get(index)
        if running is None:
            self.kill(managed, index)
            return

        def refused(failure: Failure) -> None:
            if failure.check(VmmError) is None:
                self._failed(failure, "machine {name} can't be told to end", managed.machine.name)
            running.kill()

        running.power_off().addErrback(refused)

    def freeze(self, managed: ManagedMachine, index: int) -> None:
        """Write a snapshot of it, and end it."""
        done = Deferred.fromCoroutine(self._freeze(managed, index))
        done.addErrback(self._failed, "machine {name} can't be frozen", managed.machine.name)

    async def _freeze(self, managed: ManagedMachine, index: int) -> None:
        supervisor, name = managed.supervisor, managed.machine.name
        running = managed.running.get(index)
        began = self._clock.seconds()
        reason = "it has ended"
        try:
            if running is not None:
                fingerprint = supervisor.instances[index].fingerprint
                size = await self._snapshots.freeze(managed.machine, fingerprint, running)
                reason = ""
        except (SnapshotError, VmmError) as error:
            reason = str(error)
        except Exception as error:
            self._log.failure("machine {name} can't be frozen", name=name)
            reason = str(error) or type(error).__name__
        now = self._clock.seconds()
        if reason:
            self._log.warn(
                "machine {name} ({index}) could not be frozen: {reason}",
                name=name,
                index=index,
                reason=reason,
            )
            supervisor.not_frozen(index, reason, now)
        else:
            self._log.info(
                "machine {name} ({index}) is frozen: {size} bytes, in {seconds:.3f} s",
                name=name,
                index=index,
                size=size,
                seconds=now - began,
            )
            supervisor.frozen(index, now)
        self._step(managed)

    def kill(self, managed: ManagedMachine, index: int) -> None:
        """End it at once."""
        starting, running = managed.starting.get(index), managed.running.get(index)
        if starting is not None:
            starting.cancel()
        if running is not None:
            running.kill()

    async def resume(self, managed: ManagedMachine, index: int, pid: int) -> None:
        """Go on with one that this process has started before it executed itself anew."""
        machine = managed.machine
        launch = self.launch(machine, index)
        run = managed.supervisor.instances[index].run
        await self._host.listen(str(launch.vsock), machine.user, run)

        def event(said: VmmEvent) -> None:
            self._event(managed, index, said)

        try:
            running = self._driver(machine).adopt(launch, pid, event)
        except (OSError, VmmError) as error:
            await self._over(managed, index, str(error))
        else:
            self._runs(managed, index, running)

    def _failed(self, failure: Failure, what: str, name: str) -> None:
        self._log.failure(what, failure, name=name)


def _told(error: OSError) -> str:
    what = error.strerror or str(error)
    return f"{error.filename}: {what}" if error.filename else what
