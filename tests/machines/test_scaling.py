"""How many instances there should be: which is wanted, which may end."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.declaration import Machine
from subproxy.machines.instances import Instances
from subproxy.machines.scaling import Scaling
from subproxy.machines.states import InstanceState
from subproxy.machines.usage import InstanceUse, MachineUse, UseTable

MACHINE = Machine("blog", "process", ("blog.example",), idle=60.0, most=3, scale_after=0.5)


class ScalingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.instances = Instances(3)
        self.use = UseTable()
        self.scaling = Scaling(self.instances, self.use)

    def up(self, *indexes: int, now: float = 0.0) -> None:
        for index in indexes:
            self.instances[index].start(now)
            self.instances[index].come_up(now)

    def busy(self, *busy: int, waiting: int = 0) -> None:
        """So many requests under way at each instance, which takes four."""
        known = {index: InstanceUse(each, each, 4) for index, each in enumerate(busy)}
        self.use.tell(1, MachineUse(waiting, 0.0, known))

    def test_who_waits_for_long(self) -> None:
        self.up(0, now=5.0)
        self.assertEqual(self.scaling.scales_at(MACHINE, 8.0), 8.5)

    def test_who_waited_for_the_one_that_is_up(self) -> None:
        """Its start was what they waited for: another is wanted half a second behind that."""
        self.up(0, now=5.0)
        self.assertEqual(self.scaling.scales_at(MACHINE, 1.0), 5.5)

    def test_a_surplus(self) -> None:
        self.up(0, 1)
        self.busy(2, 2)
        self.assertIsNone(self.scaling.surplus(MACHINE, 59.9))
        self.assertEqual(self.scaling.next_surplus(MACHINE), 60.0)
        self.assertIs(self.scaling.surplus(MACHINE, 60.0), self.instances[1])
        self.assertIsNone(self.scaling.surplus(MACHINE, 60.0))
        self.assertEqual(self.scaling.next_surplus(MACHINE), 120.0)

    def test_all_are_needed(self) -> None:
        """Five requests are one more than all but the last take."""
        self.up(0, 1)
        self.busy(3, 2)
        self.assertIsNone(self.scaling.surplus(MACHINE, 60.0))
        self.busy(3, 1)
        self.assertIsNone(self.scaling.surplus(MACHINE, 119.0))
        self.assertIs(self.scaling.surplus(MACHINE, 120.0), self.instances[1])

    def test_somebody_waits(self) -> None:
        self.up(0, 1)
        self.busy(0, 0, waiting=1)
        self.assertIsNone(self.scaling.surplus(MACHINE, 60.0))

    def test_one_alone(self) -> None:
        self.up(0)
        self.busy(0)
        self.assertIsNone(self.scaling.surplus(MACHINE, 60.0))
        self.assertIsNone(self.scaling.next_surplus(MACHINE))

    def test_one_that_runs_by_something_else(self) -> None:
        """One after the other, and only while none is on its way."""
        self.up(0, 1)
        for instance in self.instances:
            instance.stale = True
        self.assertIs(self.scaling.stale(), self.instances[0])
        self.instances[0].move(InstanceState.DRAINING, 1.0)
        self.assertIsNone(self.scaling.stale())

    def test_rested(self) -> None:
        self.up(0, 1, 2, now=3.0)
        self.instances[2].used = 9.0
        self.busy(0, 1, 0)
        self.assertEqual(self.scaling.rested(5.0), [(3.0, 0)])
        self.busy(0, 1, 0, waiting=1)
        self.assertEqual(self.scaling.rested(5.0), [])
