"""
Decides about one machine: when an instance is started, drained, told to end and killed.

Pure: it is told what has happened and what the time is, and says what is to be done. Whoever does
it tells of every event, then asks L{Supervisor.decide}, and again at L{Supervisor.next_look}.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from subproxy.machines.back_off import STABLE, BackOff
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
from subproxy.machines.declaration import Machine, runs_by
from subproxy.machines.instance import Instance
from subproxy.machines.instances import ENDING, Instances
from subproxy.machines.scaling import Scaling
from subproxy.machines.snapshot_plan import (
    FREEZE_LIMIT,
    RESTORE_LIMIT,
    SnapshotPlan,
    SnapshotState,
)
from subproxy.machines.states import COMING, InstanceState
from subproxy.machines.usage import UseTable

DRAIN_LIMIT: Final = 30.0
"""Seconds that an instance has to finish what it has before it is told to end."""

MADE_ROOM: Final = "another machine needs its place"
"""Why an instance ends that nobody uses, where as many run as may."""

STOPPED: Final = "it was stopped"
"""Why an instance ends that an operator has told to, or that ends with the proxy."""

FROZEN: Final = "it was frozen"
"""Why an instance ends of which a snapshot was made."""

_ASKED: Final = "a snapshot of it is made"

_FREEZABLE = frozenset({"", MADE_ROOM, _ASKED})
"""Why an instance ends that would come again as it was."""

_RUNNING = frozenset({InstanceState.UP, InstanceState.DRAINING})


class StartLimit(Protocol):
    """How many instances of all machines may be started at a time."""

    def may_start(self, by: Supervisor, now: float) -> bool:
        """Whether one more of C{by} may be."""


class Supervisor:
    """
    See above.

    @ivar machine: what is declared of it.
    @ivar instances: all that it may have, by index.
    @ivar use: what is asked of it.
    @ivar scaling: how many of them there should be.
    @ivar back_off: its failures in a row.
    @ivar starts: how many starts there were, by how they ended.
    @ivar snapshot: of it; nothing where none is declared.
    """

    def __init__(self, machine: Machine, limit: StartLimit) -> None:
        self.machine = machine
        self.instances = Instances(machine.most)
        self.use = UseTable()
        self.scaling = Scaling(self.instances, self.use)
        self.back_off = BackOff()
        self.starts = {"registered": 0, "failed": 0}
        self.snapshot = SnapshotPlan()
        self._limit = limit
        self._wanted = False
        self._stopped = False
        self._noted: list[MachineDecision] = []

    def declare(self, machine: Machine) -> None:
        """It is declared anew: what runs by something else is replaced, one after the other."""
        stale = runs_by(machine) != runs_by(self.machine)
        self.machine = machine
        self._stopped = False
        self.instances.grow(machine.most)
        for instance in self.instances:
            instance.stale = instance.stale or stale or instance.index >= machine.most
        if stale:
            self.back_off.succeeded()
            self.snapshot.declared_anew()

    # What has happened.

    def begins(self, index: int, fingerprint: str, *, restores: bool) -> None:
        """A machine with snapshots is started of something: from its snapshot, or without."""
        instance = self.instances[index]
        instance.fingerprint, instance.restores = fingerprint, restores
        if restores:
            self.snapshot.found()
        else:
            self.snapshot.missing()

    def frozen(self, index: int, now: float) -> None:
        """Its snapshot is in place."""
        self.snapshot.taken()
        self._kill(self.instances[index], FROZEN, now)

    def not_frozen(self, index: int, reason: str, now: float) -> None:
        """It could not be frozen: it ends as if that had not been tried."""
        instance = self.instances[index]
        self.snapshot.not_taken(reason, now)
        self._noted.append(DropSnapshot(reason))
        if instance.state is InstanceState.FREEZING:
            instance.move(InstanceState.POWERING_OFF, now)
            self._noted.append(PowerOffInstance(index))

    def booting(self, index: int, now: float) -> None:
        """Its processors run."""
        if self.instances[index].state is InstanceState.STARTING:
            self.instances[index].move(InstanceState.BOOTING, now)
        self.reach(index, "booting", now)

    def reach(self, index: int, moment: str, now: float) -> None:
        """Its start has come to a moment of L{subproxy.machines.wake_times}."""
        self.instances[index].wake.reach(moment, now)

    def served(self, index: int, routes: int, now: float) -> None:
        """It serves so many routes now."""
        instance = self.instances[index]
        before, instance.routes = instance.routes, routes
        if routes and instance.state in COMING:
            instance.come_up(now)
            if instance.restores:
                self.snapshot.restored()
            self._wanted = False
            self.starts["registered"] += 1
        elif before and not routes and instance.state is InstanceState.UP:
            instance.since = now

    def drain_told(self, index: int) -> None:
        """All workers know that it is drained."""
        self.instances[index].told = True

    def give_up(self, index: int, reason: str, now: float) -> None:
        """
        It can't be used any more, though it runs: it has begun anew by itself, its kernel has
        panicked, or no record of it could be written.
        """
        instance = self.instances[index]
        if instance.state in COMING or instance.state in _RUNNING:
            self._kill(instance, reason, now)

    def ended(self, index: int, reason: str, now: float) -> None:
        """No process of it is left, or it could not be started."""
        self._over(self.instances[index], reason, now)

    def start(self) -> None:
        """An operator wants it up, now."""
        self.back_off.succeeded()
        self._wanted = not self.instances.up

    def freeze(self) -> None:
        """An operator wants a snapshot of it, now: what is up is used for that, or is started."""
        self.snapshot.wanted = True
        if not self.instances.up:
            self.start()

    def give_up_starts(self, now: float) -> None:
        """Kill what is being started; who waits has it started again."""
        for instance in self.instances:
            if instance.state is InstanceState.STARTING:
                self._kill(instance, STOPPED, now)

    def stop(self, now: float, *, forever: bool = False) -> None:
        """
        Let all instances finish, and end.

        @param forever: none is started any more.
        """
        self._wanted = self.snapshot.wanted = False
        self._stopped = self._stopped or forever
        for instance in self.instances:
            if instance.state is InstanceState.UP:
                self._noted.append(self._drain(instance, STOPPED, now))
            elif instance.state in COMING or (forever and instance.state is InstanceState.FREEZING):
                self._kill(instance, STOPPED, now)
            elif instance.state is InstanceState.DRAINING:
                instance.ending = STOPPED

    def make_room(self, index: int, now: float) -> None:
        """Let an instance end that nobody uses: another machine waits for its place."""
        instance = self.instances[index]
        if instance.state is InstanceState.UP:
            self._noted.append(self._drain(instance, MADE_ROOM, now))

    # What is to be done.

    def decide(self, now: float) -> list[MachineDecision]:
        """What is to be done now; it counts as begun."""
        found, self._noted = self._noted, []
        for instance in self.instances:
            found += self._look_at(instance, now)
        if stale := self.scaling.stale():
            found.append(self._drain(stale, "what is declared of it has changed", now))
        if surplus := self.scaling.surplus(self.machine, now):
            found.append(self._drain(surplus, "", now))
        found += self._scale_up(now)
        return found + self._take_noted()

    def next_look(self, now: float) -> float | None:
        """When there may be something to decide, if nothing happens; None: never."""
        return min(self._times(now), default=None)

    def _take_noted(self) -> list[MachineDecision]:
        found, self._noted = self._noted, []
        return found

    # One instance.

    def _look_at(self, instance: Instance, now: float) -> Iterator[MachineDecision]:
        machine = self.machine
        since = instance.since
        match instance.state:
            case InstanceState.STARTING | InstanceState.BOOTING:
                if now >= instance.began + self._start_limit(instance):
                    self._kill(instance, self._too_late(instance), now)
            case InstanceState.UP if not instance.routes:
                if now >= since + machine.start_timeout:
                    self._kill(instance, "it serves nothing any more", now)
            case InstanceState.UP:
                self._note_use(instance, now)
                if self._is_idle(instance, now):
                    yield self._drain(instance, "", now)
                elif self._is_to_be_frozen():
                    yield self._drain(instance, _ASKED, now)
            case InstanceState.DRAINING:
                if self.use.waiting and not instance.ending and instance.routes:
                    instance.move(InstanceState.UP, now)
                    instance.used = now
                    yield UndrainInstance(instance.index)
                elif self._is_drained(instance) and self._freezes(instance, now):
                    self.snapshot.take()
                    instance.ending = FROZEN
                    instance.move(InstanceState.FREEZING, now)
                    yield FreezeInstance(instance.index)
                elif self._is_drained(instance) or now >= since + DRAIN_LIMIT:
                    if instance.ending == _ASKED:
                        self.snapshot.wanted = False  # it can't be had
                    instance.ending = instance.ending or "it was idle"
                    instance.move(InstanceState.POWERING_OFF, now)
                    yield PowerOffInstance(instance.index)
            case InstanceState.FREEZING:
                if now >= self._freeze_end(instance):
                    seconds = now - since
                    self._kill(instance, f"it was not frozen within {seconds:.0f} s", now)
            case InstanceState.POWERING_OFF:
                if now >= since + machine.stop_timeout:
                    self._kill(instance, "it did not end when it was told to", now)

    def _start_limit(self, instance: Instance) -> float:
        limit = self.machine.start_timeout
        return min(limit / 2, RESTORE_LIMIT) if instance.restores else limit

    def _freeze_end(self, instance: Instance) -> float:
        """Until when it may be frozen: who waits for it must have time for a start behind it."""
        end, since = instance.since + FREEZE_LIMIT, self.use.waiting_since
        if since is None or self.instances.up or self.instances.coming:
            return end
        return min(end, max(since, instance.since) + self.machine.start_timeout / 2)

    def _too_late(self, instance: Instance) -> str:
        how = "was restored, and" if instance.restores else "has"
        more = " has" if instance.restores else ""
        return f"it {how}{more} not registered within {self._start_limit(instance):g} s"

    def _is_to_be_frozen(self) -> bool:
        """An operator has asked for it, and none is on its way to be."""
        return (
            self.snapshot.wanted
            and self.machine.snapshot
            and self.snapshot.state is not SnapshotState.TAKING
            and all(
                each.state is not InstanceState.DRAINING or each.ending != _ASKED
                for each in self.instances
            )
        )

    def _freezes(self, instance: Instance, now: float) -> bool:
        return (
            self.machine.snapshot
            and bool(instance.routes and instance.fingerprint)
            and not instance.stale
            and instance.ending in _FREEZABLE
            and self.snapshot.due(now)
            and not self._stopped
        )

    def _note_use(self, instance: Instance, now: float) -> None:
        use = self.use.instance(instance.index)
        if use.busy or instance.busy or use.asked != instance.asked:
            instance.used = now
        instance.busy, instance.asked = use.busy, use.asked
        if self.back_off.failures and self._was_stable(instance, now):
            self.back_off.succeeded()

    def _is_idle(self, instance: Instance, now: float) -> bool:
        idle = self.machine.idle
        return idle is not None and not self.use.waiting and now >= instance.used + idle

    def _is_drained(self, instance: Instance) -> bool:
        return instance.told and not self.use.instance(instance.index).busy

    def _drain(self, instance: Instance, why: str, now: float) -> MachineDecision:
        instance.move(InstanceState.DRAINING, now)
        instance.told = False
        instance.ending = why
        return DrainInstance(instance.index)

    def _kill(self, instance: Instance, reason: str, now: float) -> None:
        if instance.state is InstanceState.KILLED:
            return
        asked_to_end = instance.state is InstanceState.DRAINING or instance.state in ENDING
        instance.move(InstanceState.KILLED, now)
        self._noted.append(KillInstance(instance.index, reason))
        if not asked_to_end and reason != STOPPED:
            self._failed(instance, reason, now)
        instance.ending = reason

    def _over(self, instance: Instance, reason: str, now: float) -> None:
        was = instance.state
        if was is InstanceState.COLD:
            return
        instance.move(InstanceState.COLD, now)
        instance.routes = 0
        if was in COMING or (was is InstanceState.UP and not self._was_stable(instance, now)):
            self._failed(instance, reason, now)

    def _was_stable(self, instance: Instance, now: float) -> bool:
        return instance.registered is not None and now - instance.registered >= STABLE

    def _failed(self, instance: Instance, reason: str, now: float) -> None:
        soon = instance.restores and not self._was_stable(instance, now)
        if soon and self.snapshot.broken(reason, now):
            self._noted.append(DropSnapshot(reason))
            if instance.registered is None:
                return  # it starts without, at once
        if instance.registered is None:
            self.starts["failed"] += 1
        seconds = self.back_off.failed(reason, now)
        self._noted.append(NoteFailure(instance.index, reason, seconds))
        if self.back_off.refuses(now):
            self._wanted = False
            self._noted.append(RefuseRequests(seconds, reason))

    # How many.

    def wants(self, now: float) -> float | None:
        """Since when it wants to start an instance; C{None}: it does not, or may not yet."""
        since = self.use.waiting_since
        if self._stopped or (since is None and not self._wanted) or self.instances.coming:
            return None
        if not self.back_off.may_start(now) or self._next() is None:
            return None
        if self.instances.up and (
            since is None or now < self.scaling.scales_at(self.machine, since)
        ):
            return None
        # An operator's word comes before all requests.
        return 0.0 if since is None else since

    def _next(self) -> Instance | None:
        return self.instances.next_cold(self.machine.most)

    def _scale_up(self, now: float) -> Iterator[MachineDecision]:
        instance = self._next()
        if instance is None or self.wants(now) is None or not self._limit.may_start(self, now):
            return
        instance.start(now, self.use.waiting_since)
        yield StartInstance(instance.index)

    # Times.

    def _times(self, now: float) -> Iterator[float]:
        machine = self.machine
        for instance in self.instances:
            match instance.state:
                case InstanceState.STARTING | InstanceState.BOOTING:
                    yield instance.began + self._start_limit(instance)
                case InstanceState.UP if not instance.routes:
                    yield instance.since + machine.start_timeout
                case InstanceState.UP if machine.idle is not None and not self.use.waiting:
                    yield instance.used + machine.idle
                case InstanceState.DRAINING:
                    yield instance.since + DRAIN_LIMIT
                case InstanceState.FREEZING:
                    yield self._freeze_end(instance)
                case InstanceState.POWERING_OFF:
                    yield instance.since + machine.stop_timeout
        if (surplus := self.scaling.next_surplus(machine)) is not None:
            yield surplus
        since = self.use.waiting_since
        if (since is not None or self._wanted) and not self.instances.coming:
            due = self.back_off.until
            if self.instances.up and since is not None:
                due = max(due, self.scaling.scales_at(self.machine, since))
            if due > now:
                yield due
