"""
Keeps machines as their supervisors decide: the shell round L{Supervisor}.

It starts them through the drivers of their VMMs, listens for their guests before, and tells the
workers how each machine is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure

from subproxy.machines.decisions import (
    DrainInstance,
    KillInstance,
    MachineDecision,
    NoteFailure,
    PowerOffInstance,
    RefuseRequests,
    StartInstance,
    UndrainInstance,
)
from subproxy.machines.declaration import PROCESS, Machine, machine_of
from subproxy.machines.host import InstanceHost
from subproxy.machines.instance import Instance
from subproxy.machines.instance_folder import make_folder
from subproxy.machines.managed import ManagedMachine
from subproxy.machines.places import device_of, folder_of, identity_of
from subproxy.machines.run_record import RunRecord
from subproxy.machines.start_times import StartTimes
from subproxy.machines.states import COMING, InstanceState
from subproxy.machines.supervisor import Supervisor
from subproxy.machines.usage import MachineUse
from subproxy.machines.vmm.driver import (
    Launch,
    RunningVmm,
    Vmm,
    VmmEnded,
    VmmError,
    VmmEvent,
    VmmEventKind,
)

SOONEST: Final = 0.02
"""Seconds until a supervisor is asked again, at least."""


class MachineManager:
    """
    See above.

    @ivar machines: all of them, by name; what is no longer declared until it has ended.
    @ivar start_times: how long starts took until they had registered.
    @param folder: where they have their files.
    @param most_starts: how many are started at a time.
    @param driver: of a machine.
    """

    _log = Logger()

    def __init__(
        self,
        clock: Any,
        folder: str,
        most_starts: int,
        host: InstanceHost,
        driver: Callable[[Machine], Vmm],
    ) -> None:
        self.machines: dict[str, ManagedMachine] = {}
        self.start_times = StartTimes()
        self.folder = folder
        self._clock = clock
        self._most_starts = most_starts
        self._host = host
        self._driver = driver
        self._paused = False
        self._empty: list[Deferred[None]] = []

    # StartLimit.

    def may_start(self) -> bool:
        """Whether one more may be started now."""
        coming = sum(each.supervisor.coming for each in self.machines.values())
        return not self._paused and coming < self._most_starts

    # What is declared.

    def declare(self, machines: Sequence[Machine]) -> None:
        """These there are from now on; others are stopped."""
        names = {each.name for each in machines}
        for name, managed in self.machines.items():
            managed.removed = name not in names
            if managed.removed:
                managed.supervisor.stop(self._clock.seconds(), forever=True)
        for machine in machines:
            known = self.machines.get(machine.name)
            if known is None:
                self.machines[machine.name] = ManagedMachine(Supervisor(machine, self))
                if machine.vmm == PROCESS:
                    self._log.warn(
                        "machine {name} is a process: nothing confines it", name=machine.name
                    )
            else:
                known.supervisor.declare(machine)
        self._step_all()

    # What workers say.

    def used(self, name: str, worker: int, use: MachineUse) -> None:
        """What one of them knows of a machine."""
        managed = self.machines.get(name)
        if managed is not None:
            managed.supervisor.use.tell(worker, use)
            self._step(managed)

    def worker_gone(self, worker: int) -> None:
        """Nobody waits there any more."""
        for managed in self.machines.values():
            managed.supervisor.use.forget(worker)
        self._step_all()

    def served(self, name: str, index: int, routes: int) -> None:
        """An instance serves so many routes now."""
        managed = self.machines.get(name)
        if managed is None or index >= len(managed.supervisor.instances):
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
            self._step(managed)

    # What operators say.

    def start(self, name: str) -> bool:
        """Start it, if it is not up; whether there is one of that name."""
        managed = self.machines.get(name)
        if managed is None or managed.removed:
            return False
        managed.supervisor.start()
        managed.refused_until = 0.0
        self._step(managed)
        return True

    def stop(self, name: str) -> bool:
        """Stop all its instances; whether there is one of that name."""
        managed = self.machines.get(name)
        if managed is None:
            return False
        managed.supervisor.stop(self._clock.seconds())
        self._step(managed)
        return True

    def restart(self, name: str) -> bool:
        """Stop it, and start it again; whether there is one of that name."""
        if not self.stop(name):
            return False
        return self.start(name)

    def stop_all(self) -> Deferred[None]:
        """Stop all, for good; fires when nothing runs any more."""
        now = self._clock.seconds()
        for managed in self.machines.values():
            managed.supervisor.stop(now, forever=True)
        self._step_all()
        done: Deferred[None] = Deferred()
        self._empty.append(done)
        self._look_whether_empty()
        return done

    def kill_all(self) -> None:
        """End whatever runs at once."""
        for managed in self.machines.values():
            for starting in list(managed.starting.values()):
                starting.cancel()
            for running in list(managed.running.values()):
                running.kill()

    # What supervisors decide.

    def _step_all(self) -> None:
        for managed in list(self.machines.values()):
            self._step(managed)

    def _step(self, managed: ManagedMachine) -> None:
        supervisor = managed.supervisor
        now = self._clock.seconds()
        for decision in supervisor.decide(now):
            self._act(managed, decision, now)
        self._tell(managed, now)
        self._look_later(managed, now)
        if managed.removed and supervisor.cold and not managed.running:
            self.machines.pop(supervisor.machine.name, None)
        before, managed.coming = managed.coming, supervisor.coming
        if managed.coming < before:
            self._others_may_start(managed)
        self._look_whether_empty()

    def _others_may_start(self, but: ManagedMachine) -> None:
        for managed in list(self.machines.values()):
            if managed is not but and self.may_start():
                self._step(managed)

    def _tell(self, managed: ManagedMachine, now: float) -> None:
        up = managed.supervisor.up > 0
        if up != managed.up:
            managed.up = up
            self._host.status(managed.machine.name, up, 0.0)

    def _look_later(self, managed: ManagedMachine, now: float) -> None:
        if managed.look is not None and managed.look.active():
            managed.look.cancel()
        due = managed.supervisor.next_look(now)
        managed.look = (
            None
            if due is None
            else self._clock.callLater(max(SOONEST, due - now), self._step, managed)
        )

    def _act(self, managed: ManagedMachine, decision: MachineDecision, now: float) -> None:
        name = managed.machine.name
        match decision:
            case StartInstance(index):
                started = Deferred.fromCoroutine(self._start(managed, index))
                started.addErrback(self._failed, "a start of machine {name} failed", name)
            case DrainInstance(index):
                drained = self._host.drain(self._identity(name, index))
                drained.addCallback(self._drained, managed, index)
                drained.addErrback(self._failed, "machine {name} can't be drained", name)
            case UndrainInstance(index):
                self._host.undrain(self._identity(name, index))
            case PowerOffInstance(index):
                why = managed.supervisor.instances[index].ending
                self._log.info(
                    "machine {name} ({index}) is told to end: {why}",
                    name=name,
                    index=index,
                    why=why,
                )
                self._power_off(managed, index)
            case KillInstance(index, reason):
                self._log.warn(
                    "machine {name} ({index}) is killed: {reason}",
                    name=name,
                    index=index,
                    reason=reason,
                )
                self._kill(managed, index)
            case NoteFailure(index, reason, seconds):
                self._log.error(
                    "machine {name} ({index}) has failed: {reason}; it may be started again in "
                    "{seconds:g} s",
                    name=name,
                    index=index,
                    reason=reason,
                    seconds=seconds,
                )
            case RefuseRequests(seconds, reason):
                managed.refused_until = now + seconds
                self._host.status(name, managed.up, seconds)

    def _identity(self, name: str, index: int) -> str:
        return identity_of(self.folder, name, index)

    def _failed(self, failure: Failure, what: str, name: str) -> None:
        self._log.failure(what, failure, name=name)

    def _drained(self, _: object, managed: ManagedMachine, index: int) -> None:
        managed.supervisor.drain_told(index)
        self._step(managed)

    # One instance.

    def launch(self, machine: Machine, index: int) -> Launch:
        """What is started."""
        folder = Path(folder_of(self.folder, machine.name, index))
        return Launch(machine, index, folder, Path(device_of(self.folder, machine.name, index)))

    async def _start(self, managed: ManagedMachine, index: int) -> None:
        machine = managed.machine
        name = machine.name
        launch = self.launch(machine, index)
        self._log.info("machine {name} ({index}) is started", name=name, index=index)

        def event(said: VmmEvent) -> None:
            self._event(managed, index, said)

        try:
            make_folder(launch.folder, machine.user)
            await self._host.listen(str(launch.vsock), machine.user)
            # It may have been given up meanwhile.
            if managed.supervisor.instances[index].state is InstanceState.KILLED:
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
            await self._over(managed, index, f"{error.filename}: {error.strerror}")
        except Exception as error:
            self._log.failure("machine {name} can't be started", name=name)
            await self._over(managed, index, str(error) or type(error).__name__)
        else:
            RunRecord(running.pid).write(launch.folder)
            self._runs(managed, index, running)

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
            case VmmEventKind.BOOTING:
                managed.supervisor.booting(index, now)
            case VmmEventKind.REBOOTED | VmmEventKind.PANICKED:
                reason = event.reason or event.kind.value
                managed.supervisor.rebooted(index, reason, now)
                self._step(managed)

    def _power_off(self, managed: ManagedMachine, index: int) -> None:
        running = managed.running.get(index)
        if running is None:
            self._kill(managed, index)
            return

        def refused(failure: Failure) -> None:
            if failure.check(VmmError) is None:
                self._failed(failure, "machine {name} can't be told to end", managed.machine.name)
            running.kill()

        running.power_off().addErrback(refused)

    def _kill(self, managed: ManagedMachine, index: int) -> None:
        starting, running = managed.starting.get(index), managed.running.get(index)
        if starting is not None:
            starting.cancel()
        if running is not None:
            running.kill()

    def _look_whether_empty(self) -> None:
        if self._empty and all(
            each.supervisor.cold and not each.running for each in self.machines.values()
        ):
            waiting, self._empty = self._empty, []
            for each in waiting:
                each.callback(None)

    # The next program of the parent.

    def pause(self) -> Deferred[Any]:
        """Start nothing more, give up what is being started; fires when nothing is."""
        self._paused = True
        now = self._clock.seconds()
        ending = []
        for managed in list(self.machines.values()):
            for index in list(managed.starting):
                starting = managed.starting[index]
                gone: Deferred[None] = Deferred()
                ending.append(gone)
                starting.addBoth(_passing, gone)
            managed.supervisor.give_up_starts(now)
            self._step(managed)
        return DeferredList(ending)

    def go_on(self) -> None:
        """There is no next program: start what is wanted again."""
        self._paused = False
        self._step_all()

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
                managed = ManagedMachine(Supervisor(machine, self))
                self.machines[machine.name] = managed
            index = each["index"]
            launch = self.launch(machine, index)
            await self._host.listen(str(launch.vsock), machine.user)
            instance = Instance.restored(index, each["instance"])
            managed.supervisor.adopt(instance)

            def event(said: VmmEvent, to: ManagedMachine = managed, index: int = index) -> None:
                self._event(to, index, said)

            try:
                running = self._driver(machine).adopt(launch, each["pid"], event)
            except (OSError, VmmError) as error:
                await self._over(managed, index, str(error))
            else:
                self._runs(managed, index, running)
        self.declare(declared)


def _passing(result: Any, gone: Deferred[None]) -> Any:
    gone.callback(None)
    return result
