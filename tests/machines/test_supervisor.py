"""What is decided about one machine: starts, scale, idle, failures; time is a number."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.back_off import LONGEST, BackOff
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
from subproxy.machines.declaration import Machine
from subproxy.machines.states import COMING, TRANSITIONS, InstanceState
from subproxy.machines.supervisor import DRAIN_LIMIT, Supervisor
from subproxy.machines.usage import InstanceUse, MachineUse


@dataclass
class Limit:
    """As many starts at a time as somebody says."""

    free: bool = True

    def may_start(self, by: Supervisor, now: float) -> bool:
        return self.free


def machine(**more: object) -> Machine:
    """One that stops after 60 seconds."""
    values = {"idle": 60.0, "most": 1, **more}
    return Machine("blog", "process", ("blog.example",), **values)  # type: ignore[arg-type]


class SupervisorCase(SynchronousTestCase):
    """A supervisor, and a worker that says how it is."""

    def make(self, **more: object) -> None:
        self.limit = Limit()
        self.supervisor = Supervisor(machine(**more), self.limit)

    def use(self, waiting: int = 0, since: float = 0.0, **instances: InstanceUse) -> None:
        """The worker tells how many wait, and of instances C{i0}, C{i1}."""
        known = {int(name[1:]): each for name, each in instances.items()}
        self.supervisor.use.tell(1, MachineUse(waiting, since, known))

    def decide(self, now: float, *expected: MachineDecision) -> None:
        self.assertEqual(self.supervisor.decide(now), list(expected))

    def up(self, index: int = 0, now: float = 0.0) -> None:
        """Bring an instance up."""
        self.use(waiting=1, since=now)
        self.decide(now, StartInstance(index))
        self.supervisor.booting(index, now)
        self.supervisor.served(index, 1, now)
        self.use()

    def states(self) -> list[InstanceState]:
        return [each.state for each in self.supervisor.instances]


class StartTests(SupervisorCase):
    def setUp(self) -> None:
        self.make()

    def test_nobody_asks(self) -> None:
        """Nothing is started, and nothing is to be looked at."""
        self.decide(0.0)
        self.assertIsNone(self.supervisor.next_look(0.0))
        self.assertTrue(self.supervisor.instances.cold)

    def test_many_wait(self) -> None:
        """One is started, however many wait, and however long."""
        self.use(waiting=100)
        self.decide(0.0, StartInstance(0))
        self.use(waiting=120)
        self.decide(5.0)
        self.supervisor.booting(0, 5.0)
        self.decide(6.0)
        self.assertEqual(self.states(), [InstanceState.BOOTING])
        self.assertEqual(self.supervisor.next_look(6.0), 30.0)

    def test_registration(self) -> None:
        """Is readiness; the time from the start to it is kept."""
        self.use(waiting=1)
        self.decide(1.0, StartInstance(0))
        self.supervisor.booting(0, 2.0)
        self.supervisor.served(0, 2, 4.5)
        self.assertEqual(self.states(), [InstanceState.UP])
        self.assertEqual(self.supervisor.instances[0].took, 3.5)
        self.assertEqual(self.supervisor.starts, {"registered": 1, "failed": 0})

    def test_registered_early(self) -> None:
        """A driver may be slower to say that it boots."""
        self.use(waiting=1)
        self.decide(0.0, StartInstance(0))
        self.supervisor.served(0, 1, 1.0)
        self.supervisor.booting(0, 2.0)
        self.assertEqual(self.states(), [InstanceState.UP])

    def test_all_left(self) -> None:
        """Who has begun goes on though nobody waits any more, and is stopped when idle."""
        self.use(waiting=1)
        self.decide(0.0, StartInstance(0))
        self.use()
        self.decide(1.0)
        self.supervisor.served(0, 1, 2.0)
        self.decide(2.0)
        self.decide(62.0, DrainInstance(0))

    def test_too_many_starts(self) -> None:
        """It waits until others have come up."""
        self.limit.free = False
        self.use(waiting=1)
        self.decide(0.0)
        self.limit.free = True
        self.decide(1.0, StartInstance(0))

    def test_an_operator(self) -> None:
        """May have it started without anybody waiting; up already, nothing is to do."""
        self.supervisor.start()
        self.decide(0.0, StartInstance(0))
        self.supervisor.served(0, 1, 1.0)
        self.supervisor.start()
        self.decide(1.0)


class FailureTests(SupervisorCase):
    def setUp(self) -> None:
        self.make()
        self.use(waiting=1)

    def fail(self, now: float, *expected: MachineDecision) -> None:  # type: ignore[override]
        self.decide(now, StartInstance(0))
        self.supervisor.ended(0, "no kernel", now)
        self.decide(now, *expected)

    def test_ended(self) -> None:
        """Tried again after 1 s, then 2 s; the third time requests are refused until then."""
        self.fail(0.0, NoteFailure(0, "no kernel", 1.0))
        self.assertEqual(self.supervisor.next_look(0.0), 1.0)
        self.decide(0.5)
        self.fail(1.0, NoteFailure(0, "no kernel", 2.0))
        self.decide(2.9)
        self.fail(3.0, NoteFailure(0, "no kernel", 4.0), RefuseRequests(4.0, "no kernel"))
        self.decide(6.9)
        self.fail(7.0, NoteFailure(0, "no kernel", 8.0), RefuseRequests(8.0, "no kernel"))
        self.assertEqual(self.supervisor.starts, {"registered": 0, "failed": 4})

    def test_an_operator(self) -> None:
        """Need not wait for the next attempt."""
        for now in (0.0, 1.0, 3.0):
            self.decide(now, StartInstance(0))
            self.supervisor.ended(0, "no kernel", now)
            self.supervisor.decide(now)
        self.supervisor.start()
        self.decide(3.1, StartInstance(0))

    def test_no_registration(self) -> None:
        """Within the time for a start: it is killed, and that is a failure."""
        reason = "it has not registered within 30 s"
        self.decide(0.0, StartInstance(0))
        self.supervisor.booting(0, 1.0)
        self.decide(29.9)
        self.decide(30.0, KillInstance(0, reason), NoteFailure(0, reason, 1.0))
        self.decide(32.0)
        self.supervisor.ended(0, "killed", 32.0)
        self.decide(32.0, StartInstance(0))

    def test_crash_on_boot(self) -> None:
        """Ended before it has registered."""
        self.decide(0.0, StartInstance(0))
        self.supervisor.booting(0, 1.0)
        self.supervisor.ended(0, "panic", 2.0)
        self.decide(2.0, NoteFailure(0, "panic", 1.0))
        self.decide(3.0, StartInstance(0))

    def test_rebooted(self) -> None:
        """Whoever begins anew in place is killed; what it does then changes nothing."""
        self.decide(0.0, StartInstance(0))
        self.supervisor.booting(0, 1.0)
        self.supervisor.give_up(0, "it rebooted", 2.0)
        self.supervisor.give_up(0, "it rebooted", 2.0)
        self.decide(2.0, KillInstance(0, "it rebooted"), NoteFailure(0, "it rebooted", 1.0))
        self.supervisor.served(0, 1, 2.5)
        self.assertEqual(self.states(), [InstanceState.KILLED])

    def test_crash_soon(self) -> None:
        """Within 10 s of its registration: one more failure in a row."""
        self.decide(0.0, StartInstance(0))
        self.supervisor.served(0, 1, 1.0)
        self.supervisor.ended(0, "killed", 5.0)
        self.decide(5.0, NoteFailure(0, "killed", 1.0))
        self.assertEqual(self.supervisor.starts, {"registered": 1, "failed": 0})

    def test_crash_later(self) -> None:
        """Is started anew at once for who waits; older failures are forgotten."""
        self.fail(0.0, NoteFailure(0, "no kernel", 1.0))
        self.decide(1.0, StartInstance(0))
        self.supervisor.served(0, 1, 2.0)
        self.decide(20.0)
        self.assertEqual(self.supervisor.back_off.failures, 0)
        self.supervisor.ended(0, "killed", 21.0)
        self.decide(21.0, StartInstance(0))

    def test_serves_nothing(self) -> None:
        """An application that registers no more gets as long as a start."""
        self.decide(0.0, StartInstance(0))
        self.supervisor.served(0, 1, 1.0)
        self.supervisor.served(0, 0, 2.0)
        self.assertEqual(self.supervisor.next_look(2.0), 32.0)
        self.supervisor.served(0, 1, 3.0)
        self.supervisor.served(0, 0, 4.0)
        self.decide(33.0)
        reason = "it serves nothing any more"
        self.decide(34.0, KillInstance(0, reason), NoteFailure(0, reason, 1.0))


class IdleTests(SupervisorCase):
    def setUp(self) -> None:
        self.make()
        self.up()

    def test_idle(self) -> None:
        """Drained, told to end, killed if it does not; then it is cold, and no failure."""
        self.assertEqual(self.supervisor.next_look(0.0), 60.0)
        self.decide(59.9)
        self.decide(60.0, DrainInstance(0))
        self.decide(60.1)
        self.supervisor.drain_told(0)
        self.decide(60.2, PowerOffInstance(0))
        self.decide(70.1)
        self.decide(70.2, KillInstance(0, "it did not end when it was told to"))
        self.supervisor.ended(0, "killed", 70.3)
        self.decide(70.3)
        self.assertTrue(self.supervisor.instances.cold)
        self.assertEqual(self.supervisor.back_off.failures, 0)

    def test_used(self) -> None:
        """A request between two looks counts, and so does one that is still under way."""
        self.use(i0=InstanceUse(0, 1))
        self.decide(50.0)
        self.decide(109.9)
        self.use(i0=InstanceUse(1, 2))
        self.decide(110.0)
        self.decide(500.0)
        self.use(i0=InstanceUse(0, 2))
        self.decide(600.0)
        self.decide(659.9)
        self.decide(660.0, DrainInstance(0))

    def test_busy_while_draining(self) -> None:
        """What it has is finished first, within a limit."""
        self.decide(60.0, DrainInstance(0))
        self.use(i0=InstanceUse(1, 1))
        self.supervisor.drain_told(0)
        self.decide(61.0)
        self.assertEqual(self.supervisor.next_look(61.0), 60.0 + DRAIN_LIMIT)
        self.use(i0=InstanceUse(0, 1))
        self.decide(62.0, PowerOffInstance(0))

    def test_never_done(self) -> None:
        """After the limit it is told to end all the same."""
        self.decide(60.0, DrainInstance(0))
        self.use(i0=InstanceUse(1, 1))
        self.supervisor.drain_told(0)
        self.decide(60.0 + DRAIN_LIMIT, PowerOffInstance(0))

    def test_asked_while_draining(self) -> None:
        """It is used again; nothing is started."""
        self.decide(60.0, DrainInstance(0))
        self.use(waiting=1, since=60.1)
        self.decide(60.1, UndrainInstance(0))
        self.use()
        self.decide(120.0)
        self.decide(120.1, DrainInstance(0))

    def test_asked_while_it_ends(self) -> None:
        """It is started anew when it has ended."""
        self.decide(60.0, DrainInstance(0))
        self.supervisor.drain_told(0)
        self.decide(60.0, PowerOffInstance(0))
        self.use(waiting=1, since=60.5)
        self.decide(60.5)
        self.supervisor.ended(0, "powered off", 61.0)
        self.decide(61.0, StartInstance(0))

    def test_ends_by_itself(self) -> None:
        """After a while, that is no failure."""
        self.supervisor.ended(0, "powered off", 30.0)
        self.decide(30.0)
        self.assertEqual(self.supervisor.back_off.failures, 0)

    def test_stop(self) -> None:
        """An operator's stop is not taken back by who waits; what waits starts it anew."""
        self.supervisor.stop(5.0)
        self.decide(5.0, DrainInstance(0))
        self.use(waiting=1, since=5.0)
        self.decide(5.1)
        self.supervisor.drain_told(0)
        self.decide(5.2, PowerOffInstance(0))
        self.supervisor.ended(0, "powered off", 6.0)
        self.decide(6.0, StartInstance(0))

    def test_restart(self) -> None:
        """Stopped, and started when it has ended."""
        self.supervisor.stop(5.0)
        self.supervisor.start()
        self.decide(5.0, DrainInstance(0))
        self.supervisor.drain_told(0)
        self.decide(5.0, PowerOffInstance(0))
        self.supervisor.ended(0, "powered off", 6.0)
        self.decide(6.0, StartInstance(0))

    def test_stop_forever(self) -> None:
        """Nothing is started any more."""
        self.supervisor.stop(5.0, forever=True)
        self.decide(5.0, DrainInstance(0))
        self.supervisor.drain_told(0)
        self.decide(5.0, PowerOffInstance(0))
        self.supervisor.ended(0, "powered off", 6.0)
        self.use(waiting=1, since=7.0)
        self.decide(8.0)

    def test_never_idle(self) -> None:
        """C{idle = false}."""
        self.make(idle=None)
        self.up()
        self.decide(1e6)
        self.assertIsNone(self.supervisor.next_look(1e6))


class StopOfAStartTests(SupervisorCase):
    def test_coming(self) -> None:
        """What is on its way up is killed, which is no failure."""
        self.make()
        self.use(waiting=1)
        self.decide(0.0, StartInstance(0))
        self.use()
        self.supervisor.stop(1.0)
        self.decide(1.0, KillInstance(0, "it was stopped"))
        self.supervisor.ended(0, "killed", 1.1)
        self.decide(1.1)
        self.assertEqual(self.supervisor.back_off.failures, 0)


class ScaleTests(SupervisorCase):
    def setUp(self) -> None:
        self.make(most=3)
        self.up()

    def full(self, *, waiting: int, since: float = 10.0) -> None:
        busy = InstanceUse(4, 4, 4)
        self.use(waiting=waiting, since=since, i0=busy, i1=busy)

    def test_up(self) -> None:
        """One more when a request has waited for long enough, one at a time, and no more."""
        self.full(waiting=1)
        self.decide(10.2)
        self.assertEqual(self.supervisor.next_look(10.2), 10.5)
        self.decide(10.5, StartInstance(1))
        self.decide(11.5)
        self.supervisor.served(1, 1, 12.0)
        self.decide(12.0)
        self.assertEqual(self.supervisor.next_look(12.0), 12.5)
        self.decide(12.5, StartInstance(2))
        self.supervisor.served(2, 1, 13.0)
        self.decide(14.0)

    def test_who_has_waited_for_the_first(self) -> None:
        """Has not waited although one was up: a worker tells a moment later that it was sent on."""
        self.make(most=2)
        self.use(waiting=1, since=0.0)
        self.decide(0.0, StartInstance(0))
        self.supervisor.served(0, 1, 7.0)
        self.decide(7.0)
        self.use()
        self.decide(7.6)

    def test_down(self) -> None:
        """The last one goes when the others would have been enough for as long as C{idle}."""
        self.full(waiting=1)
        self.decide(10.5, StartInstance(1))
        self.supervisor.served(1, 1, 12.0)
        self.full(waiting=0)
        self.decide(12.0)
        few = InstanceUse(1, 9, 4)
        self.use(i0=few, i1=few)
        self.decide(13.0)
        self.assertEqual(self.supervisor.next_look(13.0), 72.0)
        self.decide(71.9)
        self.decide(72.0, DrainInstance(1))
        self.use(i0=few, i1=InstanceUse(0, 9, 4))
        self.supervisor.drain_told(1)
        self.decide(72.1, PowerOffInstance(1))
        self.supervisor.ended(1, "powered off", 73.0)
        self.decide(73.0)
        self.assertEqual(self.states()[:2], [InstanceState.UP, InstanceState.COLD])

    def test_a_worker_is_gone(self) -> None:
        """And with it all that waited there."""
        self.full(waiting=3)
        self.supervisor.use.forget(1)
        self.decide(11.0)
        self.assertEqual(self.supervisor.use.waiting, 0)


class BackOffTests(SynchronousTestCase):
    def test_delays(self) -> None:
        """From a second, twice as long each time, to five minutes."""
        back_off = BackOff()
        delays = [back_off.failed("no", 0.0) for _ in range(12)]
        self.assertEqual(delays[:5], [1.0, 2.0, 4.0, 8.0, 16.0])
        self.assertEqual(delays[-1], LONGEST)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "booting",
                "served",
                "unserved",
                "told",
                "failed",
                "rebooted",
                "ended",
                "start",
                "stop",
            ]
        ),
        st.integers(0, 2),
        st.integers(0, 2),
        st.floats(0.0, 40.0),
    ),
    max_size=60,
)


class AnyOrderTests(SynchronousTestCase):
    @given(EVENTS)
    def test_never_double(self, events: list[tuple[str, int, int, float]]) -> None:
        """Whatever happens: only what is cold is started, each decision fits its state."""
        supervisor = Supervisor(machine(most=3), Limit())
        now = 0.0
        alive: set[int] = set()
        for what, index, waiting, passed in events:
            now += passed
            supervisor.use.tell(1, MachineUse(waiting, now - 1.0, {}))
            match what:
                case "booting":
                    supervisor.booting(index, now)
                case "served":
                    supervisor.served(index, 1, now)
                case "unserved":
                    supervisor.served(index, 0, now)
                case "told":
                    supervisor.drain_told(index)
                case "failed" | "ended" if index in alive:
                    alive.discard(index)
                    supervisor.ended(index, "over", now)
                case "rebooted":
                    supervisor.give_up(index, "again", now)
                case "start":
                    supervisor.start()
                case "stop":
                    supervisor.stop(now)
            for decision in supervisor.decide(now):
                if isinstance(decision, StartInstance):
                    self.assertNotIn(decision.index, alive)
                    alive.add(decision.index)
                elif isinstance(decision, (DrainInstance, PowerOffInstance, KillInstance)):
                    self.assertIn(decision.index, alive)
            running = {
                each.index for each in supervisor.instances if each.state is not InstanceState.COLD
            }
            self.assertEqual(running, alive)
            self.assertLessEqual(sum(each.state in COMING for each in supervisor.instances), 1)
            due = supervisor.next_look(now)
            self.assertTrue(due is None or due >= 0.0)

    def test_table(self) -> None:
        """From each state one comes back to COLD, and COLD is where all begins."""
        self.assertEqual(next(iter(TRANSITIONS)), InstanceState.COLD)
        for state in InstanceState:
            if state is not InstanceState.COLD:
                self.assertIn(InstanceState.COLD, TRANSITIONS[state])
