"""
Keeps all machines: hears what is declared, what workers say of them, and what operators want.

What their supervisors decide then is done by L{subproxy.machines.reconciler}.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from subproxy.machines.declaration import PROCESS, Machine, machine_of
from subproxy.machines.early_use import EarlyUse
from subproxy.machines.host import InstanceHost
from subproxy.machines.instance import Instance
from subproxy.machines.managed import ManagedMachine
from subproxy.machines.reconciler import Reconciler
from subproxy.machines.snapshot_keeper import Look
from subproxy.machines.snapshot_store import SnapshotStore
from subproxy.machines.start_times import PHASE_BOUNDS, StartTimes
from subproxy.machines.states import COMING, InstanceState
from subproxy.machines.supervisor import Supervisor
from subproxy.machines.template import MachineTemplate, is_template
from subproxy.machines.usage import MachineUse
from subproxy.machines.vmm.driver import Vmm
from subproxy.machines.wake_times import PHASES

FORGET: Final = 600.0
"""Seconds that a machine of a template is known for when it runs no more."""


class MachineManager:
    """
    See above.

    @ivar machines: all of them, by name; what is no longer declared until it has ended.
    @ivar start_times: how long starts took until they had registered.
    @ivar phase_times: how long each of their phases took.
    @ivar snapshots: files of those that were made.
    @param folder: where they have their files.
    @param most_starts: how many are started at a time.
    @param most_in_all: how many instances run at a time; 0: any number.
    @param driver: of a machine.
    @param look: sees what a machine would be started of; by default in a thread.
    """

    _log = Logger()

    def __init__(
        self,
        clock: Any,
        folder: str,
        most_starts: int,
        host: InstanceHost,
        driver: Callable[[Machine], Vmm],
        most_in_all: int = 0,
        look: Look | None = None,
    ) -> None:
        self.start_times = StartTimes()
        self.phase_times = {each: StartTimes(PHASE_BOUNDS) for each in PHASES}
        self.folder = folder
        self._clock = clock
        self._host = host
        self.snapshots = SnapshotStore(folder)
        limits = most_starts, most_in_all
        self._reconciler = Reconciler(
            *(clock, folder, host, driver, limits, self.snapshots, look), self._forget_later
        )
        self.machines = self._reconciler.machines
        self._templates: list[MachineTemplate] = []
        self._early = EarlyUse()

    # What is declared.

    def declare(self, machines: Sequence[Machine]) -> None:
        """These there are from now on, and what was made of templates; others are stopped."""
        self._templates = [MachineTemplate(each) for each in machines if is_template(each)]
        machines = [each for each in machines if not is_template(each)]
        machines += [each for each in map(self._of_name, self.machines) if each is not None]
        names = {each.name for each in machines}
        for name, managed in self.machines.items():
            managed.removed = name not in names
            if managed.removed:
                managed.supervisor.stop(self._clock.seconds(), forever=True)
        for machine in machines:
            known = self.machines.get(machine.name)
            if known is None:
                self._add(machine)
            else:
                if known.machine.snapshot and not machine.snapshot:
                    self.snapshots.remove(machine.name)
                known.supervisor.declare(machine)
                known.made = self._of_name(machine.name) is not None
        self._reconciler.step_all()
        for (name, worker), use in self._early.take().items():
            self.used(name, worker, use)

    def _add(self, machine: Machine) -> ManagedMachine:
        managed = ManagedMachine(Supervisor(machine, self._reconciler.capacity))
        self.machines[machine.name] = managed
        managed.made = self._of_name(machine.name) is not None
        if machine.vmm == PROCESS:
            self._log.warn("machine {name} is a process: nothing confines it", name=machine.name)
        return managed

    @property
    def templates(self) -> list[Machine]:
        """What is declared of machines that are made by their names."""
        return [each.machine for each in self._templates]

    def _of_name(self, name: str) -> Machine | None:
        return next(filter(None, (each.of_name(name) for each in self._templates)), None)

    def make(self, name: str) -> ManagedMachine | None:
        """The machine of that name, made of its template if need be; None: there is none."""
        managed = self.machines.get(name)
        if managed is None and (machine := self._of_name(name)) is not None:
            managed = self._add(machine)
        return managed

    def _forget_later(self, managed: ManagedMachine) -> None:
        """What is of a template and runs no more is forgotten, with its consoles."""
        if managed.forget is not None and managed.forget.active():
            managed.forget.cancel()
        supervisor = managed.supervisor
        at_rest = supervisor.instances.cold and not managed.running and not supervisor.use.waiting
        managed.forget = (
            self._clock.callLater(FORGET, self._forget, managed)
            if managed.made and at_rest
            else None
        )

    def _forget(self, managed: ManagedMachine) -> None:
        name = managed.machine.name
        if self.machines.get(name) is managed:
            del self.machines[name]
            shutil.rmtree(os.path.join(self.folder, name), ignore_errors=True)

    # What workers say.

    def used(self, name: str, worker: int, use: MachineUse) -> None:
        """What one of them knows of a machine."""
        managed = self.make(name) if use.waiting else self.machines.get(name)
        if managed is None:
            self._early.tell(name, worker, use)
        else:
            managed.supervisor.use.tell(worker, use)
            self._reconciler.step(managed)

    def worker_gone(self, worker: int) -> None:
        """Nobody waits there any more."""
        self._early.forget(worker)
        for managed in self.machines.values():
            managed.supervisor.use.forget(worker)
        self._reconciler.step_all()

    def greeted(self, name: str, index: int) -> None:
        """An application in an instance has greeted."""
        self._reached(name, index, "greeted", self._clock.seconds())

    def answered(self, name: str, index: int, at: float) -> None:
        """
        A request that has waited for an instance is answered, since then.

        @param index: of the instance; negative: of one that has answered nobody yet.
        """
        managed = self.machines.get(name)
        if index < 0 and managed is not None:
            index = managed.supervisor.instances.unanswered()
        self._reached(name, index, "answered", at)

    def _reached(self, name: str, index: int, moment: str, at: float) -> None:
        """A start has come so far, as a worker says."""
        managed = self._known(name, index)
        if managed is None:
            return
        instance = managed.supervisor.instances[index]
        expected = COMING if moment == "greeted" else (InstanceState.UP,)
        if instance.state in expected and getattr(instance.wake, moment) is None:
            managed.supervisor.reach(index, moment, at)
            if moment == "answered":
                self._count_phases(instance)

    def _count_phases(self, instance: Instance) -> None:
        for phase, seconds in instance.wake.split().items():
            if seconds is not None:
                self.phase_times[phase].observe(seconds)

    def _known(self, name: str, index: int) -> ManagedMachine | None:
        managed = self.machines.get(name)
        if managed is None or not 0 <= index < len(managed.supervisor.instances):
            return None
        return managed

    def served(self, name: str, index: int, routes: int) -> None:
        """An instance serves so many routes now."""
        managed = self._known(name, index)
        if managed is None:
            return
        instance = managed.supervisor.instances[index]
        before = instance.state
        managed.supervisor.served(index, routes, self._clock.seconds())
        if before in COMING and instance.state is InstanceState.UP:
            assert instance.took is not None
            self.start_times.observe(instance.took)
            self._log.info(
                "machine {name} ({index}) is up, {seconds:.3f} s after it was woken; "
                "requests that wait for it: {waiting}",
                name=name,
                index=index,
                seconds=instance.took,
                waiting=managed.supervisor.use.waiting,
            )
        if before in COMING or not routes:
            self._reconciler.step(managed)

    # What operators say.

    def start(self, name: str) -> bool:
        """Start it, if it is not up; whether there is one of that name."""
        managed = self.machines.get(name)
        if managed is None or managed.removed:
            return False
        managed.supervisor.start()
        self._refuse_no_more(managed)
        self._reconciler.step(managed)
        return True

    def freeze(self, name: str) -> str | None:
        """
        Have a snapshot of it made, now: what is up is drained for that; else it is started.

        @return: why not; None: it is.
        """
        managed = self.machines.get(name)
        if managed is None or managed.removed:
            return f"machine {name} is no longer declared"
        if not managed.machine.snapshot:
            return f"machine {name} has no snapshot = true"
        managed.supervisor.freeze()
        self._refuse_no_more(managed)
        self._reconciler.step(managed)
        return None

    def drop_snapshot(self, name: str) -> str | None:
        """
        Remove the snapshot of a machine: it boots next, and is frozen anew when it is idle.

        @return: why not; None: it has none any more.
        """
        managed = self.machines.get(name)
        if managed is None:
            return f"machine {name} is no longer declared"
        if not managed.supervisor.snapshot.dropped():
            return f"a snapshot of machine {name} is being made"
        self.snapshots.remove(name)
        return None

    def stop(self, name: str) -> bool:
        """Stop all its instances; whether there is one of that name."""
        managed = self.machines.get(name)
        if managed is None:
            return False
        managed.supervisor.stop(self._clock.seconds())
        self._reconciler.step(managed)
        return True

    def restart(self, name: str) -> bool:
        """Stop it, and start it again; whether there is one of that name."""
        if not self.stop(name):
            return False
        return self.start(name)

    def stop_all(self) -> Deferred[None]:
        """Stop all, for good; fires when nothing runs any more."""
        # What is made or declared from now on is not started, either.
        self._reconciler.capacity.paused = True
        now = self._clock.seconds()
        for managed in self.machines.values():
            managed.supervisor.stop(now, forever=True)
        self._reconciler.step_all()
        return self._reconciler.when_empty()

    def kill_all(self) -> None:
        """End whatever runs at once."""
        for managed in self.machines.values():
            for starting in list(managed.starting.values()):
                starting.cancel()
            for running in list(managed.running.values()):
                running.kill()

    def _refuse_no_more(self, managed: ManagedMachine) -> None:
        """It is tried at once, so who asks now waits for that."""
        if managed.refused_until:
            managed.refused_until = 0.0
            self._host.status(managed.machine.name, managed.up, 0.0)

    # The next program of the parent.

    def pause(self) -> Deferred[Any]:
        """Start nothing more, give up what is being started; fires when nothing is."""
        self._reconciler.capacity.paused = True
        now = self._clock.seconds()
        ending = []
        for managed in list(self.machines.values()):
            for index in list(managed.starting):
                starting = managed.starting[index]
                gone: Deferred[None] = Deferred()
                ending.append(gone)
                starting.addBoth(_passing, gone)
            managed.supervisor.give_up_starts(now)
            self._reconciler.step(managed)
        return DeferredList(ending)

    def go_on(self) -> None:
        """There is no next program: start what is wanted again."""
        self._reconciler.capacity.paused = False
        self._reconciler.step_all()

    def data(self) -> list[dict[str, Any]]:
        """All that runs, for L{restore}, to be written as JSON."""
        return [
            {
                "name": name,
                "index": index,
                "pid": running.pid,
                "machine": asdict(managed.machine),
                "instance": managed.supervisor.instances[index].data(),
            }
            for name, managed in self.machines.items()
            for index, running in managed.running.items()
        ]

    async def restore(self, data: Sequence[dict[str, Any]], declared: Sequence[Machine]) -> None:
        """Go on with what L{data} tells of, then by what is declared now."""
        for each in data:
            machine = machine_of(each["machine"])
            managed = self.machines.get(machine.name)
            if managed is None:
                managed = ManagedMachine(Supervisor(machine, self._reconciler.capacity))
                self.machines[machine.name] = managed
            index = each["index"]
            instance = Instance.restored(index, each["instance"])
            managed.supervisor.instances.adopt(instance)
            if self.snapshots.has(machine, instance.fingerprint):
                managed.supervisor.snapshot.found()
            await self._reconciler.runner.resume(managed, index, each["pid"])
            if instance.state is InstanceState.FREEZING:
                # Nobody waits for its snapshot any more.
                self._reconciler.runner.kill(managed, index)
        self.declare(declared)
        self.snapshots.sweep(self.machines)


def _passing(result: Any, gone: Deferred[None]) -> Any:
    gone.callback(None)
    return result
