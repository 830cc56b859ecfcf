"""What is decided about a machine that is frozen when it is idle."""

from __future__ import annotations

from subproxy.machines.decisions import (
    DrainInstance,
    DropSnapshot,
    FreezeInstance,
    KillInstance,
    NoteFailure,
    PowerOffInstance,
    StartInstance,
)
from subproxy.machines.snapshot_plan import FREEZE_LIMIT, RESTORE_LIMIT, RETRY, SnapshotState
from subproxy.machines.states import InstanceState
from subproxy.machines.supervisor import FROZEN, STOPPED
from subproxy.machines.usage import InstanceUse
from tests.machines.test_supervisor import SupervisorCase, machine


class SupervisorSnapshotTests(SupervisorCase):
    def setUp(self) -> None:
        self.make(snapshot=True)

    def begin(self, now: float = 0.0, *, restores: bool = False, fingerprint: str = "f") -> None:
        """Have it started, with a snapshot or without."""
        self.use(waiting=1, since=now)
        self.decide(now, StartInstance(0))
        self.supervisor.begins(0, fingerprint, restores=restores)
        self.supervisor.booting(0, now)

    def comes_up(self, now: float = 0.0, *, restores: bool = False, fingerprint: str = "f") -> None:
        self.begin(now, restores=restores, fingerprint=fingerprint)
        self.supervisor.served(0, 1, now)
        self.use()

    def drains(self, now: float) -> None:
        """Nobody has used it: it is drained."""
        self.decide(now, DrainInstance(0))
        self.supervisor.drain_told(0)

    def freezes(self, now: float = 60.0) -> None:
        self.comes_up(now - 60.0)
        self.drains(now)
        self.decide(now, FreezeInstance(0))

    @property
    def snapshot(self) -> SnapshotState:
        return self.supervisor.snapshot.state

    def test_it_is_frozen_when_it_is_idle(self) -> None:
        """Then killed, which is no failure; the next start goes on from that, and ends as ever."""
        self.freezes()
        self.decide(61.0)
        self.assertEqual(self.supervisor.next_look(61.0), 60.0 + FREEZE_LIMIT)
        self.assertEqual(self.supervisor.instances.ending, 1)
        self.supervisor.frozen(0, 61.0)
        self.decide(61.0, KillInstance(0, FROZEN))
        self.supervisor.ended(0, "killed", 61.0)
        self.decide(61.0)
        self.assertEqual(self.states(), [InstanceState.COLD])
        self.assertEqual(self.supervisor.back_off.failures, 0)
        self.comes_up(70.0, restores=True)
        self.drains(130.0)
        self.decide(130.0, PowerOffInstance(0))
        self.assertEqual(
            self.supervisor.snapshot.counts, {"taken": 1, "failed": 0, "restored": 1, "broken": 0}
        )

    def test_who_comes_meanwhile(self) -> None:
        """Waits until it is frozen, which takes less than another start."""
        self.freezes()
        self.use(waiting=1, since=61.0)
        self.decide(61.0)
        self.supervisor.frozen(0, 62.0)
        self.decide(62.0, KillInstance(0, FROZEN))
        self.supervisor.ended(0, "killed", 62.0)
        self.decide(62.0, StartInstance(0))

    def test_who_comes_meanwhile_and_the_disk_is_slow(self) -> None:
        """Half of what a request waits for is left for a start without."""
        self.freezes()
        self.use(waiting=1, since=70.0)
        self.decide(70.0)
        self.assertEqual(self.supervisor.next_look(70.0), 85.0)
        [kill] = self.supervisor.decide(85.0)
        self.assertEqual(kill, KillInstance(0, "it was not frozen within 25 s"))
        self.supervisor.not_frozen(0, "it has ended", 85.0)
        self.supervisor.ended(0, "killed", 85.0)
        self.decide(85.0, DropSnapshot("it has ended"), StartInstance(0))
        self.assertEqual(self.supervisor.back_off.failures, 0)

    def test_it_can_not_be_frozen(self) -> None:
        """It ends as if that had not been tried, and that is tried again much later."""
        self.freezes()
        self.supervisor.not_frozen(0, "disk full", 61.0)
        self.decide(61.0, DropSnapshot("disk full"), PowerOffInstance(0))
        self.supervisor.ended(0, "powered off", 62.0)
        self.assertEqual(self.snapshot, SnapshotState.FAILED)
        self.comes_up(100.0)
        self.drains(160.0)
        self.decide(160.0, PowerOffInstance(0))
        self.supervisor.ended(0, "powered off", 161.0)
        self.comes_up(61.0 + RETRY)
        self.drains(121.0 + RETRY)
        self.decide(121.0 + RETRY, FreezeInstance(0))

    def test_it_ends_while_it_is_frozen(self) -> None:
        self.freezes()
        self.supervisor.ended(0, "crashed", 61.0)
        self.supervisor.not_frozen(0, "it has ended", 61.0)
        self.decide(61.0, DropSnapshot("it has ended"))
        self.assertEqual(self.supervisor.back_off.failures, 0)

    def test_freezing_takes_too_long(self) -> None:
        self.freezes()
        [kill] = self.supervisor.decide(60.0 + FREEZE_LIMIT)
        assert isinstance(kill, KillInstance)
        self.assertIn("not frozen within", kill.reason)
        self.assertEqual(self.supervisor.back_off.failures, 0)

    def test_what_is_not_frozen(self) -> None:
        """One that can't be; one that runs by what is declared no more; one that was stopped."""
        self.comes_up(fingerprint="")
        self.drains(60.0)
        self.decide(60.0, PowerOffInstance(0))
        self.supervisor.ended(0, "powered off", 61.0)
        self.comes_up(100.0)
        self.supervisor.declare(machine(snapshot=True, memory=1 << 30))
        self.drains(100.0)
        self.decide(100.0, PowerOffInstance(0))
        self.supervisor.ended(0, "powered off", 101.0)
        self.comes_up(200.0)
        self.supervisor.stop(200.0)
        self.drains(200.0)
        self.decide(200.0, PowerOffInstance(0))

    def test_the_proxy_ends_while_it_is_frozen(self) -> None:
        """It does not wait for that."""
        self.freezes()
        self.supervisor.stop(61.0)
        self.decide(61.0)
        self.supervisor.stop(61.0, forever=True)
        self.decide(61.0, KillInstance(0, STOPPED))

    def test_a_snapshot_that_does_not_come_up(self) -> None:
        """Is removed, and the machine is started without: no failure of the machine."""
        self.begin(restores=True)
        limit = min(30.0 / 2, RESTORE_LIMIT)
        self.assertEqual(self.supervisor.next_look(0.0), limit)
        kill, drop = self.supervisor.decide(limit)
        assert isinstance(kill, KillInstance)
        self.assertIn("was restored", kill.reason)
        self.assertEqual(drop, DropSnapshot(kill.reason))
        self.supervisor.ended(0, "killed", limit)
        self.decide(limit, StartInstance(0))
        self.assertEqual(self.supervisor.starts["failed"], 0)
        self.supervisor.begins(0, "f", restores=False)
        self.assertEqual(self.supervisor.next_look(limit), limit + 30.0)
        self.assertEqual(self.snapshot, SnapshotState.FAILED)

    def test_a_snapshot_that_can_not_be_used(self) -> None:
        """The driver is refused."""
        self.begin(restores=True)
        self.supervisor.ended(0, "no such state", 0.1)
        self.decide(0.1, DropSnapshot("no such state"), StartInstance(0))

    def test_one_that_crashes_soon(self) -> None:
        """The snapshot may be why; it counts as a failure, too, since it was up."""
        self.comes_up(restores=True)
        self.supervisor.ended(0, "crashed", 1.0)
        self.decide(1.0, DropSnapshot("crashed"), NoteFailure(0, "crashed", 1.0))

    def test_it_has_changed(self) -> None:
        """What was made of another kernel is not used; the next idle one is frozen."""
        self.comes_up(restores=True)
        self.supervisor.ended(0, "powered off", 100.0)
        self.comes_up(200.0)
        self.assertEqual(self.snapshot, SnapshotState.NONE)
        self.drains(260.0)
        self.decide(260.0, FreezeInstance(0))

    def test_an_operator(self) -> None:
        """Has what is up frozen at once, though requests wait; there is one already."""
        self.comes_up(restores=True)
        self.use(waiting=1, since=1.0)
        self.supervisor.freeze()
        self.decide(1.0, DrainInstance(0))
        self.decide(1.0)
        self.supervisor.drain_told(0)
        self.decide(2.0, FreezeInstance(0))
        self.supervisor.frozen(0, 3.0)
        self.decide(3.0, KillInstance(0, FROZEN))
        self.supervisor.ended(0, "killed", 3.0)
        self.decide(3.0, StartInstance(0))

    def test_an_operator_and_a_cold_machine(self) -> None:
        """It is started for that."""
        self.supervisor.freeze()
        self.decide(0.0, StartInstance(0))
        self.supervisor.begins(0, "f", restores=False)
        self.supervisor.served(0, 1, 1.0)
        self.decide(1.0, DrainInstance(0))
        self.supervisor.drain_told(0)
        self.decide(1.0, FreezeInstance(0))

    def test_an_operator_wants_what_can_not_be_had(self) -> None:
        """It is tried once."""
        self.comes_up(fingerprint="")
        self.supervisor.freeze()
        self.decide(1.0, DrainInstance(0))
        self.supervisor.drain_told(0)
        self.decide(1.0, PowerOffInstance(0))
        self.assertFalse(self.supervisor.snapshot.wanted)

    def test_it_is_used_to_the_end(self) -> None:
        """What does not finish in time is not frozen with a request under way."""
        self.comes_up()
        self.decide(60.0, DrainInstance(0))
        self.use(i0=InstanceUse(1, 1, 1))
        self.supervisor.drain_told(0)
        self.decide(61.0)
        self.decide(90.0, PowerOffInstance(0))

    def test_one_that_crashes_late(self) -> None:
        """The snapshot is not why."""
        self.comes_up(restores=True)
        self.supervisor.give_up(0, "panicked", 100.0)
        self.decide(100.0, KillInstance(0, "panicked"), NoteFailure(0, "panicked", 1.0))
        self.assertEqual(self.snapshot, SnapshotState.READY)

    def test_a_bad_one_while_another_is_written(self) -> None:
        """It is not removed, so it is not tried again and again at once."""
        self.make(snapshot=True, most=2)
        self.comes_up(restores=True)
        self.supervisor.freeze()
        self.drains(1.0)
        self.decide(1.0, FreezeInstance(0))
        self.use(waiting=1, since=1.0)
        self.decide(1.0, StartInstance(1))
        self.supervisor.begins(1, "f", restores=True)
        self.supervisor.ended(1, "no such state", 1.1)
        self.decide(1.1, NoteFailure(1, "no such state", 1.0))
        self.assertEqual(self.snapshot, SnapshotState.TAKING)

    def test_an_operator_asks_again(self) -> None:
        """What could not be frozen, and has ended, is not waited for."""
        self.make(snapshot=True, most=2)
        self.comes_up(fingerprint="")
        self.supervisor.freeze()
        self.drains(1.0)
        self.decide(1.0, PowerOffInstance(0))
        self.use(waiting=1, since=1.0)
        self.decide(1.0, StartInstance(1))
        self.supervisor.begins(1, "f", restores=False)
        self.supervisor.served(1, 1, 2.0)
        self.supervisor.ended(0, "powered off", 2.0)
        self.use()
        self.supervisor.freeze()
        self.decide(2.0, DrainInstance(1))
