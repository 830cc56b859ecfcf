"""Weights that an operator has given."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.balancing.member import Member
from subproxy.core.balancing.weights import AssignedWeights


class WeightTests(SynchronousTestCase):
    def test_names(self) -> None:
        """The longest that fits decides; what is no whole part fits nobody."""
        weights = AssignedWeights()
        member = Member("path:/vms/a", b"app", b"i", now=0.0, worker=2)
        self.assertIsNone(weights.of(member))
        weights.assign("path:/vms", 0.1)
        weights.assign("path:/vms/a/ap", 0.1)
        self.assertIsNone(weights.of(member))
        for name, weight in (
            ("path:/vms/a", 0.5),
            ("path:/vms/a/app", 2.0),
            ("path:/vms/a/app/2", 3.0),
        ):
            weights.assign(name, weight)
            self.assertEqual(weights.of(member), weight)
        weights.assign("path:/vms/a/app/2", None)
        weights.assign("nobody", None)
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

    def test_kept(self) -> None:
        """As a next process, or another worker, takes them: they are all that there are."""
        weights, others = AssignedWeights(), AssignedWeights()
        weights.assign("cid:1", 0.5)
        others.assign("cid:2", 0.1)
        given = weights.given
        others.restore(given)
        given["cid:3"] = 1.0
        self.assertEqual((others.given, weights.given), ({"cid:1": 0.5}, {"cid:1": 0.5}))
