"""Tests of subproxy.core.balancing.admission."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.balancing.admission import (
    NO_SUBSCRIBER,
    QUEUE_FULL,
    QUEUE_TIMEOUT,
    Admission,
    AdmissionLimits,
    Admitted,
    Expired,
    Refuse,
    Send,
    Ticket,
    Wait,
)
from subproxy.core.balancing.balancer import PowerOfTwo, RoundRobin
from subproxy.core.balancing.member import LINGER, Member, MemberEvent, MemberState, Pool, usable
from tests.rigs.core_strategies import make_member, make_pool, relaxed
from tests.rigs.examples import examples


class AdmissionTests(SynchronousTestCase):
    """One pool, one member that takes one exchange at a time."""

    limits = AdmissionLimits(pool=3, total=5, busy=10.0, vacant=4.0, retry_after=7)

    def setUp(self) -> None:
        self.admission = Admission(RoundRobin(), Random(1), self.limits)
        self.member = make_member(concurrency=1)
        self.pool = make_pool(self.member)

    def send(self, exchange: object, pool: Pool | None = None, now: float = 0.0) -> Member:
        decision = self.admission.submit(exchange, pool or self.pool, now)
        self.assertIsInstance(decision, Send)
        assert isinstance(decision, Send)
        return decision.member

    def wait(
        self,
        exchange: object,
        pool: Pool | None = None,
        now: float = 0.0,
        excluded: Sequence[Member] = (),
    ) -> Ticket:
        decision = self.admission.submit(exchange, pool or self.pool, now, excluded)
        self.assertIsInstance(decision, Wait)
        assert isinstance(decision, Wait)
        return decision.ticket

    def admitted(self, admitted: list[Admitted]) -> list[object]:
        for each in admitted:
            self.assertFalse(each.ticket.waiting)
        return [each.ticket.exchange for each in admitted]

    def test_defaults(self) -> None:
        limits = AdmissionLimits()
        self.assertEqual((limits.pool, limits.total), (100, 1000))
        self.assertEqual((limits.busy, limits.vacant, limits.retry_after), (10.0, 10.0, 1))
        self.assertEqual(limits.linger, 10.0)

    def test_send_charges_the_member_and_release_gives_back(self) -> None:
        self.assertIs(self.send("a"), self.member)
        self.assertEqual(self.member.in_flight, 1)
        self.admission.release(self.member)
        self.assertEqual(self.member.in_flight, 0)
        self.assertRaises(ValueError, self.admission.release, self.member)
        self.assertEqual(self.member.in_flight, 0)

    def test_a_full_member_makes_wait(self) -> None:
        self.send("a")
        ticket = self.wait("b", now=2.0)
        self.assertEqual((ticket.exchange, ticket.arrived, ticket.deadline), ("b", 2.0, 12.0))
        self.assertTrue(ticket.waiting)
        self.assertEqual((self.pool.waiting, self.admission.waiting), (1, 1))
        self.assertEqual(self.member.in_flight, 1)
        self.assertEqual(self.admission.next_deadline(), 12.0)

    def test_it_says_beforehand_what_it_accepts(self) -> None:
        """And changes nothing."""
        self.assertTrue(self.admission.accepts(self.pool, 0.0))
        self.send("a")
        for name in "bcd":
            self.assertTrue(self.admission.accepts(self.pool, 0.0, (self.member,)))
            self.wait(name)
        self.assertFalse(self.admission.accepts(self.pool, 0.0))
        self.assertEqual((self.member.in_flight, self.pool.waiting), (1, 3))
        none = Admission(RoundRobin(), Random(1), AdmissionLimits(busy=0.0, vacant=0.0))
        pool = make_pool(member := make_member())
        self.assertTrue(none.accepts(pool, 0.0))
        self.assertFalse(none.accepts(pool, 0.0, (member,)))
        self.assertFalse(none.accepts(make_pool(), 0.0))

    def test_whoever_may_wait_is_accepted(self) -> None:
        """For a busy member, or for any, as long as one of them may be waited for."""
        self.member.in_flight = 1
        for busy, vacant in ((0.0, 1.0), (1.0, 0.0)):
            limits = AdmissionLimits(busy=busy, vacant=vacant)
            admission = Admission(RoundRobin(), Random(1), limits)
            found = [admission.accepts(pool, 0.0) for pool in (self.pool, make_pool())]
            self.assertEqual(found, [busy > 0.0, vacant > 0.0])

    def test_who_waits_for_others_does_not_keep_one_from_being_accepted(self) -> None:
        self.wait("a", excluded=(self.member,))
        self.admission.set_limits(AdmissionLimits(busy=0.0))
        self.assertTrue(self.admission.accepts(self.pool, 0.0))
        self.assertFalse(self.admission.accepts(self.pool, 0.0, (self.member,)))

    def test_other_limits(self) -> None:
        """They are asked from then on; what waits already keeps its deadline."""
        self.send("first")
        self.assertEqual(self.wait("second").deadline, 10.0)
        self.admission.set_limits(AdmissionLimits(pool=2, total=5, busy=3.0))
        self.assertEqual(self.wait("third").deadline, 3.0)
        self.assertEqual(self.admission.submit("fourth", self.pool, 0.0), Refuse(QUEUE_FULL, 1))
        self.assertEqual([each.ticket.exchange for each in self.admission.expired(5.0)], ["third"])

    def test_first_come_first_served(self) -> None:
        self.send("a")
        for name in "bcd":
            self.wait(name)
        self.assertEqual(self.admitted(self.admission.relieve(self.member, 1.0)), [])
        self.admission.release(self.member)
        self.assertEqual(self.admitted(self.admission.relieve(self.member, 1.0)), ["b"])
        self.assertEqual(self.member.in_flight, 1)
        self.member.concurrency = 3
        self.assertEqual(self.admitted(self.admission.relieve(self.member, 1.0)), ["c", "d"])
        self.assertEqual((self.pool.waiting, self.admission.waiting), (0, 0))
        self.assertIsNone(self.admission.next_deadline())

    def test_nobody_overtakes(self) -> None:
        self.send("a")
        self.wait("b")
        self.admission.release(self.member)
        self.wait("c")
        self.assertEqual(self.admitted(self.admission.admit(self.pool, 1.0)), ["b"])

    def test_a_vacant_pool_makes_wait_for_less(self) -> None:
        pool = make_pool()
        ticket = self.wait("a", pool, now=1.0)
        self.assertEqual(ticket.deadline, 5.0)
        pool.members.append(make_member())
        self.assertEqual(self.admitted(self.admission.admit(pool, 2.0)), ["a"])
        self.assertEqual(self.admission.admit(pool, 2.0), [])

    def test_a_pool_that_is_vacant_for_long_makes_nobody_wait(self) -> None:
        """Or else a route that is asked for all the time would never be forgotten."""
        vacant = make_pool()
        vacant.vacant_since = 1.0
        self.wait("a", vacant, now=1.0 + LINGER - 0.001)
        for now in (1.0 + LINGER, 1000.0):
            self.assertEqual(self.admission.submit("b", vacant, now), Refuse(NO_SUBSCRIBER, 7))
        self.assertEqual(vacant.waiting, 1)

    def test_a_pool_of_the_drained_is_vacant(self) -> None:
        self.member.feed(MemberEvent.DRAIN, 0.0)
        self.assertEqual(self.wait("a").deadline, 4.0)

    def test_no_patience(self) -> None:
        self.admission = Admission(
            RoundRobin(), Random(1), AdmissionLimits(busy=0.0, vacant=0.0, retry_after=7)
        )
        self.send("a")
        self.assertEqual(self.admission.submit("b", self.pool, 0.0), Refuse(QUEUE_FULL, 7))
        self.assertEqual(self.admission.submit("c", make_pool(), 0.0), Refuse(NO_SUBSCRIBER, 7))
        self.assertEqual(self.admission.waiting, 0)

    def test_a_queue_is_bounded(self) -> None:
        self.send("a")
        for name in "bcd":
            self.wait(name)
        self.assertEqual(self.admission.submit("e", self.pool, 0.0), Refuse(QUEUE_FULL, 7))
        self.assertEqual(self.pool.waiting, 3)

    def test_all_queues_together_are_bounded(self) -> None:
        pools = [make_pool() for _ in range(3)]
        for name, pool in zip("abcde", (*pools[:2], *pools[:2], pools[0]), strict=True):
            self.wait(name, pool)
        self.assertEqual(self.admission.submit("f", pools[2], 0.0), Refuse(QUEUE_FULL, 7))
        self.send("g")

    def test_a_client_leaves(self) -> None:
        self.send("a")
        first, second = self.wait("b"), self.wait("c", now=1.0)
        self.assertTrue(self.admission.leave(first))
        self.assertFalse(self.admission.leave(first))
        self.assertEqual((self.pool.waiting, self.admission.waiting), (1, 1))
        self.assertEqual(self.admission.next_deadline(), 11.0)
        self.admission.release(self.member)
        self.assertEqual(self.admitted(self.admission.admit(self.pool, 2.0)), ["c"])
        self.assertFalse(self.admission.leave(second))

    def test_deadlines(self) -> None:
        self.send("a")
        late = self.wait("b", now=0.0)
        vacant = make_pool()
        early = self.wait("c", vacant, now=1.0)
        self.assertEqual(self.admission.next_deadline(), 5.0)
        self.assertEqual(self.admission.expired(4.999), [])
        self.assertEqual(self.admission.expired(5.0), [Expired(early, Refuse(NO_SUBSCRIBER, 7))])
        self.assertFalse(early.waiting)
        self.assertEqual(self.admission.next_deadline(), 10.0)
        self.assertEqual(self.admission.expired(99.0), [Expired(late, Refuse(QUEUE_TIMEOUT, 7))])
        self.assertEqual((self.admission.waiting, self.pool.waiting, vacant.waiting), (0, 0, 0))
        self.assertEqual(self.admission.expired(99.0), [])

    def test_the_memory_of_those_who_left_is_bounded(self) -> None:
        self.send("a")
        for number in range(1000):
            self.admission.leave(self.wait(number))
            self.assertLessEqual(len(self.admission._deadlines), 66)
        self.assertEqual(self.admission._queues, {})

    def test_a_member_of_several_pools_serves_who_waited_longest(self) -> None:
        other = make_pool(self.member)
        self.send("a")
        self.wait("late", now=3.0)
        self.wait("early", other, now=1.0)
        self.wait("middle", other, now=2.0)
        self.admission.release(self.member)
        self.member.concurrency = 2
        self.assertEqual(
            self.admitted(self.admission.relieve(self.member, 4.0)), ["early", "middle"]
        )
        self.member.concurrency = 3
        self.assertEqual(self.admitted(self.admission.relieve(self.member, 4.0)), ["late"])

    def test_a_pool_that_cannot_be_relieved_does_not_hold_up_another(self) -> None:
        other = make_pool(self.member)
        self.send("a")
        self.wait("b", now=1.0, excluded=(self.member,))
        self.wait("c", other, now=2.0)
        self.admission.release(self.member)
        self.assertEqual(self.admitted(self.admission.relieve(self.member, 4.0)), ["c"])

    def test_a_retry_excludes_where_it_failed(self) -> None:
        ticket = self.wait("a", excluded=[self.member])
        self.assertEqual(ticket.deadline, 10.0)
        self.assertEqual(self.admission.admit(self.pool, 1.0), [])
        other = make_member()
        self.pool.members.append(other)
        admitted = self.admission.admit(self.pool, 1.0)
        self.assertEqual([(each.ticket, each.member) for each in admitted], [(ticket, other)])

    def test_who_excludes_does_not_hold_up_the_others(self) -> None:
        self.wait("a", excluded=(self.member,))
        self.assertIs(self.send("b"), self.member)
        self.wait("c")
        self.wait("d", excluded=(self.member,))
        self.admission.release(self.member)
        self.assertEqual(self.admitted(self.admission.admit(self.pool, 1.0)), ["c"])
        self.assertEqual(self.pool.waiting, 2)
        self.admission.release(self.member)
        self.send("e")


class AdmissionMachine(RuleBasedStateMachine):
    """Two pools with a member in common; nothing is lost, doubled or served out of turn."""

    limits = AdmissionLimits(pool=4, total=6, busy=10.0, vacant=5.0)

    def __init__(self) -> None:
        super().__init__()
        self.admission = Admission(PowerOfTwo(), Random(1), self.limits)
        self.members = [make_member(concurrency=1) for _ in range(3)]
        self.pools = [make_pool(*self.members[:2]), make_pool(*self.members[1:])]
        self.now = 0.0
        self.serial = 0
        self.waiting: list[Ticket] = []
        self.flying: list[Member] = []

    def _admitted(self, admitted: list[Admitted]) -> None:
        for each in admitted:
            older = [
                t
                for t in self.waiting[: self.waiting.index(each.ticket)]
                if t.pool is each.ticket.pool
            ]
            assert not older
            assert each.member in each.ticket.pool.members
            self.waiting.remove(each.ticket)
            self.flying.append(each.member)

    @rule(at=st.integers(0, 1))
    def submit(self, at: int) -> None:
        pool = self.pools[at]
        self.serial += 1
        accepted = self.admission.accepts(pool, self.now)
        decision = self.admission.submit(self.serial, pool, self.now)
        assert accepted is not isinstance(decision, Refuse)
        if isinstance(decision, Send):
            assert not any(ticket.pool is pool for ticket in self.waiting)
            assert decision.member in pool.members
            self.flying.append(decision.member)
        elif isinstance(decision, Wait):
            self.waiting.append(decision.ticket)
        else:
            in_pool = sum(ticket.pool is pool for ticket in self.waiting)
            assert in_pool == self.limits.pool or len(self.waiting) == self.limits.total

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        member = self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        self.admission.release(member)
        self._admitted(self.admission.relieve(member, self.now))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        ticket = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        assert self.admission.leave(ticket)
        assert not self.admission.leave(ticket)

    @rule(at=st.integers(0, 2), event=st.sampled_from([MemberEvent.EJECT, MemberEvent.REVIVE]))
    def move(self, at: int, event: MemberEvent) -> None:
        member = self.members[at]
        member.feed(event, self.now)
        if member.state == MemberState.READY:
            self._admitted(self.admission.relieve(member, self.now))

    @rule(at=st.integers(0, 2), concurrency=st.integers(1, 3))
    def grant(self, at: int, concurrency: int) -> None:
        self.members[at].concurrency = concurrency
        for pool in self.pools:
            self._admitted(self.admission.admit(pool, self.now))

    @rule(seconds=st.sampled_from([0.0, 1.0, 5.0]))
    def tick(self, seconds: float) -> None:
        self.now += seconds
        due = [ticket for ticket in self.waiting if ticket.deadline <= self.now]
        assert sorted(e.ticket.exchange for e in self.admission.expired(self.now)) == sorted(
            ticket.exchange for ticket in due
        )
        for ticket in due:
            self.waiting.remove(ticket)

    @invariant()
    def counts(self) -> None:
        assert self.admission.waiting == len(self.waiting)
        for pool in self.pools:
            waiting = [ticket for ticket in self.waiting if ticket.pool is pool]
            assert pool.waiting == len(waiting)
            # Who waits has a reason to.
            assert not waiting or not any(usable(member) for member in pool.members)
        for member in self.members:
            assert member.in_flight == sum(flying is member for flying in self.flying)
        deadlines = [ticket.deadline for ticket in self.waiting]
        assert self.admission.next_deadline() == min(deadlines, default=None)


AdmissionMachineTests = AdmissionMachine.TestCase
AdmissionMachineTests.settings = settings(
    relaxed, max_examples=examples(60), stateful_step_count=50
)
