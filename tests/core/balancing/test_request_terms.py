"""What one exchange has of its own, in L{subproxy.core.balancing.admission}."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.balancing.admission import (
    QUEUE_FULL,
    Admission,
    AdmissionLimits,
    Refuse,
    RequestTerms,
    Send,
    Wait,
)
from subproxy.core.balancing.balancer import PowerOfTwo
from subproxy.core.balancing.member import MemberEvent
from tests.rigs.core_strategies import make_member, make_pool


class RequestTermsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.limits = AdmissionLimits(pool=2, total=3, busy=10.0, vacant=4.0)
        self.admission = Admission(PowerOfTwo(), Random(1), self.limits)
        self.members = [make_member(f"vm{number}", concurrency=1) for number in range(4)]
        self.pool = make_pool(*self.members)
        self.mine = self.members[2]

    def submit(self, exchange: object, terms: RequestTerms) -> Send | Wait | Refuse:
        return self.admission.submit(exchange, self.pool, 0.0, (), terms)

    def test_it_goes_to_its_member(self) -> None:
        self.assertEqual(self.submit("a", RequestTerms(self.mine)), Send(self.mine))
        self.assertEqual(self.mine.in_flight, 1)

    def test_it_waits_for_it(self) -> None:
        """While others are free; and a newcomer may have it, too."""
        self.submit("a", RequestTerms(self.mine))
        decision = self.submit("b", RequestTerms(self.mine))
        assert isinstance(decision, Wait)
        self.assertEqual(decision.ticket.deadline, 10.0)
        for other in self.members:
            if other is not self.mine:
                self.assertEqual(self.admission.relieve(other, 1.0), [])
        # One that belongs to nobody does not wait behind it.
        self.assertIsInstance(self.submit("c", RequestTerms()), Send)
        self.admission.release(self.mine)
        [admitted] = self.admission.relieve(self.mine, 1.0)
        self.assertEqual((admitted.ticket.exchange, admitted.member), ("b", self.mine))

    def test_where_it_cannot_wait(self) -> None:
        """Another has it: the queue is full, its member is not ready, or it may not wait."""
        terms = RequestTerms(self.mine)
        self.submit("a", terms)
        others = set(self.members) - {self.mine}
        decision = self.submit("b", RequestTerms(self.mine, busy=0.0))
        assert isinstance(decision, Send)
        self.assertIn(decision.member, others)
        self.submit("c", terms)
        self.submit("d", terms)
        decision = self.submit("e", terms)
        assert isinstance(decision, Send)
        self.assertIn(decision.member, others)
        self.mine.feed(MemberEvent.EJECT, 0.0)
        decision = self.submit("f", terms)
        assert isinstance(decision, Send)
        self.assertIn(decision.member, others)
        self.assertEqual(self.submit("g", terms), Refuse(QUEUE_FULL, 1))

    def test_how_long_it_waits(self) -> None:
        for member in self.members:
            member.in_flight = 1
        decision = self.submit("a", RequestTerms(busy=1.0))
        assert isinstance(decision, Wait)
        self.assertEqual(decision.ticket.deadline, 1.0)
        self.assertEqual(self.submit("b", RequestTerms(busy=0.0)), Refuse(QUEUE_FULL, 1))
        for member in self.members:
            member.feed(MemberEvent.EJECT, 0.0)
        decision = self.submit("c", RequestTerms(vacant=2.0))
        assert isinstance(decision, Wait)
        self.assertEqual(decision.ticket.deadline, 2.0)
