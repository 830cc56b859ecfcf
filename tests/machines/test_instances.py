"""All instances of a machine, and how many are where."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.instance import Instance
from subproxy.machines.instances import Instances
from subproxy.machines.states import InstanceState


class InstancesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.instances = Instances(3)

    def counted(self) -> tuple[int, int, int, int]:
        it = self.instances
        return it.up, it.coming, it.running, it.ending

    def test_none_runs(self) -> None:
        self.assertEqual([each.index for each in self.instances], [0, 1, 2])
        self.assertEqual(self.counted(), (0, 0, 0, 0))
        self.assertTrue(self.instances.cold)
        self.assertTrue(self.instances.at_rest)
        self.assertEqual(self.instances.unanswered(), -1)

    def test_one_of_a_life(self) -> None:
        instance = self.instances[1]
        instance.start(1.0)
        self.assertEqual(self.counted(), (0, 1, 1, 0))
        self.assertFalse(self.instances.at_rest)
        instance.come_up(2.0)
        self.assertEqual(self.counted(), (1, 0, 1, 0))
        self.assertTrue(self.instances.at_rest)
        self.assertEqual(self.instances.unanswered(), 1)
        instance.wake.reach("answered", 2.5)
        self.assertEqual(self.instances.unanswered(), -1)
        instance.move(InstanceState.DRAINING, 3.0)
        self.assertEqual(self.counted(), (0, 0, 1, 0))
        instance.ending = "it was stopped"
        self.assertEqual(self.counted(), (0, 0, 1, 1))
        instance.move(InstanceState.POWERING_OFF, 4.0)
        self.assertEqual(self.counted(), (0, 0, 1, 1))
        self.assertFalse(self.instances.cold)

    def test_the_next_to_start(self) -> None:
        """Of those that may be: fewer than there are, where less is declared than before."""
        self.instances[0].start(1.0)
        self.assertIs(self.instances.next_cold(3), self.instances[1])
        self.assertIs(self.instances.next_cold(1), None)

    def test_one_from_a_former_program(self) -> None:
        """It may have an index that is not declared any more."""
        former = Instance(4)
        former.start(1.0)
        self.instances.adopt(former)
        self.assertEqual(len(self.instances), 5)
        self.assertIs(self.instances[4], former)
        self.assertEqual(self.instances[3].state, InstanceState.COLD)

    def test_never_fewer(self) -> None:
        self.instances.grow(2)
        self.assertEqual(len(self.instances), 3)
