"""Who may start an instance where only so many may run: turns, and who is asked."""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.capacity import Capacity
from subproxy.machines.declaration import Machine
from subproxy.machines.manager import MachineManager
from subproxy.machines.states import InstanceState
from subproxy.machines.supervisor import Supervisor
from subproxy.machines.usage import MachineUse
from tests.rigs.machine_fakes import FakeHost, FakeVmm

WAITS = MachineUse(1, 0.0)


def machine(number: int, **more: Any) -> Machine:
    return Machine(f"m{number}", "qemu", (f"m{number}.example",), idle=60.0, **more)


class CapacityTests(SynchronousTestCase):
    def test_more_run_than_may(self) -> None:
        """A hand-over has brought a lower bound: nobody starts until fewer run than may."""
        supervisors: list[Supervisor] = []
        capacity = Capacity(4, 2, lambda: supervisors)
        supervisors += [Supervisor(machine(each), capacity) for each in range(6)]
        for each in supervisors[:3]:
            each.instances[0].start(0.0)
            each.served(0, 1, 0.0)
        for each in supervisors[3:]:
            each.use.tell(1, WAITS)
        self.assertEqual([each for each in supervisors if capacity.may_start(each, 1.0)], [])
        self.assertEqual(capacity.next(1.0), [])


class TurnTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.host = FakeHost()
        self.vmm = FakeVmm()
        self.folder = self.mktemp()

    def make(self, machines: list[Machine], most: int, starts: int = 1) -> None:
        self.manager = MachineManager(
            *(self.clock, self.folder, starts, self.host, lambda _: self.vmm), most
        )
        self.manager.declare(machines)

    def waits(self, number: int) -> None:
        use = MachineUse(1, self.clock.seconds())
        self.manager.used(f"m{number}", 1, use)

    def state(self, number: int) -> InstanceState:
        return self.manager.machines[f"m{number}"].supervisor.instances[0].state

    def test_the_first_fails_at_once(self) -> None:
        """Its turn is over then: who is next need not wait for something else to happen."""
        self.make([machine(0, user="no-such-user"), machine(1)], most=1)
        self.waits(0)
        # Its next attempt is due, but nobody has looked yet.
        self.clock.rightNow = 1.5
        self.waits(1)
        self.clock.advance(0)
        self.assertEqual(self.state(1), InstanceState.STARTING)

    def test_many_make_room(self) -> None:
        """However many idle ones make room at once."""
        most = 150
        self.make([machine(each) for each in range(2 * most)], most, starts=most)
        for each in range(most):
            self.waits(each)
            self.manager.served(f"m{each}", 0, 1)
            self.manager.used(f"m{each}", 1, MachineUse())
        for each in range(most, 2 * most):
            self.waits(each)
        self.addCleanup(sys.setrecursionlimit, sys.getrecursionlimit())
        sys.setrecursionlimit(300)
        self.clock.advance(2.0)
        states = [self.state(each) for each in range(most)]
        self.assertEqual(states, [InstanceState.DRAINING] * most)

    def test_who_is_asked(self) -> None:
        """Where one is up only who may start then is looked at, however many wait."""
        self.make([machine(each) for each in range(50)], most=8, starts=2)
        for each in range(50):
            self.waits(each)
        asked = []
        decide = Supervisor.decide

        def counted(supervisor: Supervisor, now: float) -> Any:
            asked.append(supervisor.machine.name)
            return decide(supervisor, now)

        self.patch(Supervisor, "decide", counted)
        self.manager.served("m0", 0, 1)
        self.assertEqual(asked, ["m0", "m2"])
        self.assertEqual(self.state(2), InstanceState.STARTING)
