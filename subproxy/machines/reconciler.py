"""
Does what supervisors decide, of all machines: one step a time, until nothing is left to do.

A step of one machine may free the place that another waits for, so it goes on to that. Nothing here
decides: L{subproxy.machines.supervisor} does, and L{subproxy.machines.capacity} who comes next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from subproxy.machines.capacity import Capacity
from subproxy.machines.decision_doer import DecisionDoer
from subproxy.machines.declaration import Machine
from subproxy.machines.host import InstanceHost
from subproxy.machines.instance_runner import InstanceRunner
from subproxy.machines.managed import ManagedMachine
from subproxy.machines.snapshot_keeper import Look, SnapshotKeeper
from subproxy.machines.snapshot_store import SnapshotStore
from subproxy.machines.supervisor import Supervisor
from subproxy.machines.vmm.driver import Vmm

SOONEST: Final = 0.02
"""Seconds until a supervisor is asked again, at least."""

LOOK_FOR_ROOM: Final = 0.25
"""Seconds between looks for an instance that nobody uses, while somebody needs its place."""


class Reconciler:
    """
    See above.

    @ivar machines: all of them, by name; what is no longer declared until it has ended.
    @ivar capacity: how many may run.
    @ivar runner: what runs their instances.
    """

    _log = Logger()

    def __init__(
        self,
        clock: Any,
        folder: str,
        host: InstanceHost,
        driver: Callable[[Machine], Vmm],
        limits: tuple[int, int],
        snapshots: SnapshotStore,
        look: Look | None,
        stepped: Callable[[ManagedMachine], None],
    ) -> None:
        """
        There is no machine so far.

        @param folder: where they have their files.
        @param driver: of a machine.
        @param limits: how many are started at a time, and how many run; 0: any number.
        @param snapshots: files of those that were made.
        @param look: sees what a machine would be started of; None: in a thread.
        @param stepped: called with each machine of which a step was done.
        """
        self.machines: dict[str, ManagedMachine] = {}
        self.capacity = Capacity(
            *limits, lambda: [each.supervisor for each in self.machines.values()]
        )
        self.runner = InstanceRunner(
            *(clock, folder, host, driver, self.step), SnapshotKeeper(snapshots, look)
        )
        self._doer = DecisionDoer(folder, host, self.runner, snapshots, self.step)
        self._clock = clock
        self._host = host
        self._snapshots = snapshots
        self._stepped = stepped
        self._making_room: IDelayedCall | None = None
        self._in_room = False
        self._passing_on = False
        self._short = False
        self._empty: list[Deferred[None]] = []

    def when_empty(self) -> Deferred[None]:
        """Fires when nothing runs."""
        done: Deferred[None] = Deferred()
        self._empty.append(done)
        self._look_whether_empty()
        return done

    def step_all(self) -> None:
        """Ask all supervisors, and do what they decide."""
        for managed in list(self.machines.values()):
            self.step(managed)

    def step(self, managed: ManagedMachine) -> None:
        """Ask the supervisor of one machine, do what it decides, and what follows for others."""
        supervisor = managed.supervisor
        now = self._clock.seconds()
        decisions = supervisor.decide(now)
        # A start may have failed before its decision is acted on whole.
        managed.coming = max(managed.coming, supervisor.instances.coming)
        managed.instances = max(managed.instances, supervisor.instances.running)
        for decision in decisions:
            self._doer.do(managed, decision, now)
        self._tell(managed, now)
        self._look_later(managed, now)
        if managed.removed and supervisor.instances.cold and not managed.running:
            self.machines.pop(supervisor.machine.name, None)
            self._snapshots.remove(supervisor.machine.name)
        self._stepped(managed)
        before = managed.coming, managed.instances
        instances = supervisor.instances
        managed.coming, managed.instances = instances.coming, instances.running
        if managed.coming < before[0] or managed.instances < before[1]:
            self._others_may_start()
        self._make_room(now)
        self._look_whether_empty()

    def _others_may_start(self) -> None:
        """
        One is up, or gone: who waits longest may start.

        Only who may start now is looked at: anybody can have many machines of a template wait.
        """
        if self._passing_on:
            return  # who does looks again after each
        self._passing_on = True
        looked_at: set[Supervisor] = set()
        try:
            while True:
                ready = self.capacity.next(self._clock.seconds())
                supervisor = next((each for each in ready if each not in looked_at), None)
                if supervisor is None:
                    return
                looked_at.add(supervisor)
                managed = self.machines.get(supervisor.machine.name)
                if managed is not None:
                    self.step(managed)
        finally:
            self._passing_on = False

    def _make_room(self, now: float) -> None:
        """Where as many run as may, have those end that nobody uses, for those who wait."""
        if self._in_room:
            return  # who is looks again after each
        if self._making_room is not None and self._making_room.active():
            self._making_room.cancel()
        self._making_room = None
        waiting = self.capacity.queue(now) if self.capacity.full else []
        if waiting and not self._short:
            self._log.warn(
                "machine {name} has to wait: as many run as may (--most-in-all)",
                name=waiting[0].machine.name,
            )
        self._short = bool(waiting)
        if not waiting:
            return
        self._in_room = True
        try:
            while (found := self.capacity.room(now)) is not None:
                supervisor, index = found
                supervisor.make_room(index, now)
                self.step(self.machines[supervisor.machine.name])
        finally:
            self._in_room = False
        self._making_room = self._clock.callLater(LOOK_FOR_ROOM, self._look_for_room)

    def _look_for_room(self) -> None:
        self._make_room(self._clock.seconds())

    def _tell(self, managed: ManagedMachine, now: float) -> None:
        up = managed.supervisor.instances.up > 0
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
            else self._clock.callLater(max(SOONEST, due - now), self.step, managed)
        )

    def _look_whether_empty(self) -> None:
        if self._empty and all(
            each.supervisor.instances.cold and not each.running for each in self.machines.values()
        ):
            waiting, self._empty = self._empty, []
            for each in waiting:
                each.callback(None)
