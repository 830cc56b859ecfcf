"""What an operator has said of subscribers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.balancing.assigned import Assigned, ByName
from subproxy.core.balancing.member import Member


class AssignedTests(SynchronousTestCase):
    def test_names(self) -> None:
        """The longest that fits decides; what is no whole part fits nobody."""
        weights: ByName[float] = ByName()
        member = Member("path:/vms/a", b"app", b"i", now=0.0, worker=2)
        self.assertIsNone(weights.of(member))
        weights.set("path:/vms", 0.1)
        weights.set("path:/vms/a/ap", 0.1)
        self.assertIsNone(weights.of(member))
        for name, weight in (
            ("path:/vms/a", 0.5),
            ("path:/vms/a/app", 2.0),
            ("path:/vms/a/app/2", 3.0),
        ):
            weights.set(name, weight)
            self.assertEqual(weights.of(member), weight)
        weights.set("path:/vms/a/app/2", None)
        weights.set("nobody", None)
        self.assertEqual(weights.of(member), 2.0)

    def test_a_member(self) -> None:
        """What it asks for is kept, and what is suspected of it counts as well."""
        member = Member("a", b"app", b"i", now=0.0, weight=2.0)
        member.reweigh(0.1)
        self.assertEqual(member.weight, 0.2)
        member.assign(0.5)
        self.assertEqual(member.weight, 0.05)
        member.reweigh(1.0)
        self.assertEqual(member.weight, 0.5)
        member.assign(None)
        self.assertEqual(member.weight, 2.0)

    def test_drained(self) -> None:
        """Of a whole and of its parts, what was said last counts."""
        assigned = Assigned()
        member = Member("path:/vms/a", b"app", b"i", now=0.0, worker=2)
        other = Member("path:/vms/a", b"other", b"i", now=0.0)
        self.assertTrue(assigned.drain("path:/vms/a", True))
        self.assertFalse(assigned.drain("path:/vms/a", True))
        self.assertEqual((assigned.drains(member), assigned.drains(other)), (True, True))
        assigned.drain("path:/vms/a/app", False)
        self.assertEqual((assigned.drains(member), assigned.drains(other)), (False, True))
        assigned.drain("path:/vms/a/app/2", True)
        self.assertTrue(assigned.drains(member))
        self.assertTrue(assigned.drain("path:/vms/a", False))
        self.assertEqual((assigned.drains(member), assigned.drains(other)), (False, False))
        self.assertFalse(assigned.drain("path:/vms/a", False))
        self.assertEqual(assigned.plain, {"weights": {}, "drained": {}})

    def test_kept(self) -> None:
        """As a next process, or another worker, takes it: it is all that there is."""
        assigned, others = Assigned(), Assigned()
        assigned.weights.set("cid:1", 0.5)
        assigned.drain("cid:3", True)
        others.weights.set("cid:2", 0.1)
        others.drain("cid:2", True)
        plain = assigned.plain
        others.restore(plain)
        plain["weights"]["cid:3"] = 1.0
        expected = {"weights": {"cid:1": 0.5}, "drained": {"cid:3": True}}
        self.assertEqual((others.plain, assigned.plain), (expected, expected))
        # As a process of a version before left it.
        others.restore({"weights": {"cid:1": 0.5}})
        self.assertEqual(others.plain, {"weights": {"cid:1": 0.5}, "drained": {}})
