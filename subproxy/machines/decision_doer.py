"""Does what supervisors have decided: by the runner of instances, the proxy and the log."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger
from twisted.python.failure import Failure

from subproxy.machines.decisions import (
    DrainInstance,
    DropSnapshot,
    FreezeInstance,
    KillInstance,
    MachineDecision,
    NoteFailure,
    PowerOffInstance,
    RefuseRequests,
    StartInstance,
    UndrainInstance,
)
from subproxy.machines.host import InstanceHost
from subproxy.machines.instance_runner import InstanceRunner
from subproxy.machines.managed import ManagedMachine
from subproxy.machines.places import identity_of
from subproxy.machines.snapshot_store import SnapshotStore
from subproxy.machines.supervisor import FROZEN


class DecisionDoer:
    """
    See above.

    @param folder: where machines have their files.
    @param step: has a machine looked at again: something has happened.
    """

    _log = Logger()

    def __init__(
        self,
        folder: str,
        host: InstanceHost,
        runner: InstanceRunner,
        snapshots: SnapshotStore,
        step: Callable[[ManagedMachine], None],
    ) -> None:
        self._folder = folder
        self._host = host
        self._runner = runner
        self._snapshots = snapshots
        self._step = step

    def do(self, managed: ManagedMachine, decision: MachineDecision, now: float) -> None:
        """One decision, of C{now}."""
        name = managed.machine.name
        match decision:
            case StartInstance(index):
                self._runner.start(managed, index)
            case DrainInstance(index):
                drained = self._host.drain(self._identity(name, index))
                drained.addCallback(self._drained, managed, index)
                drained.addErrback(self._failed, "machine {name} can't be drained", name)
            case UndrainInstance(index):
                self._host.undrain(self._identity(name, index))
            case FreezeInstance(index):
                self._log.info("machine {name} ({index}) is being frozen", name=name, index=index)
                self._runner.freeze(managed, index)
            case DropSnapshot(reason):
                self._log.warn(
                    "machine {name}: its snapshot is removed: {reason}", name=name, reason=reason
                )
                self._snapshots.remove(name)
            case KillInstance(index, reason) if reason == FROZEN:
                self._runner.kill(managed, index)
            case PowerOffInstance(index):
                why = managed.supervisor.instances[index].ending
                self._log.info(
                    "machine {name} ({index}) is told to end: {why}",
                    name=name,
                    index=index,
                    why=why,
                )
                self._runner.power_off(managed, index)
            case KillInstance(index, reason):
                self._log.warn(
                    "machine {name} ({index}) is killed: {reason}",
                    name=name,
                    index=index,
                    reason=reason,
                )
                self._runner.kill(managed, index)
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
        return identity_of(self._folder, name, index)

    def _failed(self, failure: Failure, what: str, name: str) -> None:
        self._log.failure(what, failure, name=name)

    def _drained(self, _: object, managed: ManagedMachine, index: int) -> None:
        managed.supervisor.drain_told(index)
        self._step(managed)
