"""Pools that somebody is woken for: who waits, how long, and when nobody may."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.balancing.admission import (
    MACHINE_DOWN,
    MACHINE_STARTING,
    NO_ROUTE,
    QUEUE_FULL,
    Admission,
    AdmissionLimits,
    Refuse,
    RequestTerms,
    Send,
    Wait,
)
from subproxy.core.balancing.balancer import RoundRobin
from subproxy.core.balancing.member import POPULATED, MemberState
from subproxy.core.balancing.pool_owner import PoolOwner
from tests.rigs.core_strategies import make_member, make_pool


class PoolOwnerTests(SynchronousTestCase):
    def setUp(self) -> None:
        limits = AdmissionLimits(pool=3, total=5, busy=10.0, vacant=4.0, retry_after=7)
        self.admission = Admission(RoundRobin(), Random(1), limits)
        self.wanted: list[PoolOwner] = []
        self.owner = PoolOwner("blog", 30.0, self.wanted.append)
        self.pool = make_pool()
        self.pool.vacant_since = 0.0
        self.pool.owner = self.owner

    def test_what_is_woken_for_a_host(self) -> None:
        """It itself, or what it would make for that host."""
        self.assertEqual(self.owner.called(b"a.example"), "blog")
        self.owner.named = {b"a.example": "a"}.get
        found = [self.owner.called(host) for host in (b"a.example", b"b.example")]
        self.assertEqual(found, ["a", None])

    def wait_shortly(self, now: float, seconds: float) -> Send | Wait | Refuse:
        return self.admission.submit("x", self.pool, now, (), RequestTerms(told_after=seconds))

    def test_a_short_wait(self) -> None:
        """It wakes, waits a moment, and is told that the machine starts; others wait on."""
        short = self.wait_shortly(100.0, 1.0)
        assert isinstance(short, Wait)
        self.assertEqual((short.ticket.deadline, len(self.wanted)), (101.0, 1))
        self.assertTrue(short.ticket.wakes)
        other = self.wait()
        self.assertEqual(self.admission.expired(100.9), [])
        (expired,) = self.admission.expired(101.0)
        self.assertEqual(expired.ticket, short.ticket)
        self.assertEqual(expired.refusal, Refuse(MACHINE_STARTING, 0))
        self.assertEqual(self.admission.tickets(self.pool), [other.ticket])
        # Nor is it told anything else where the machine is up by then, and full.
        short = self.wait_shortly(102.0, 1.0)
        member = make_member("vm", concurrency=1)
        member.in_flight = 1
        self.pool.members.append(member)
        (expired,) = self.admission.expired(103.0)
        self.assertEqual(expired.refusal.code, MACHINE_STARTING)

    def test_a_wait_that_is_longer_than_a_start(self) -> None:
        """Longer than the machine may take, or refused: as any other."""
        long = self.wait_shortly(100.0, 31.0)
        assert isinstance(long, Wait)
        self.assertEqual((long.ticket.deadline, long.ticket.told_soon), (130.0, False))
        self.owner.refused_until = 105.0
        self.assertEqual(self.wait_shortly(101.0, 1.0), Refuse(MACHINE_DOWN, 4))

    def submit(self, now: float = 100.0, wake: bool = True) -> Send | Wait | Refuse:
        terms = RequestTerms(wake=wake)
        return self.admission.submit("x", self.pool, now, (), terms)

    def wait(self, now: float = 100.0) -> Wait:
        found = self.submit(now)
        assert isinstance(found, Wait)
        return found

    def test_wakes(self) -> None:
        """The first who waits, however long nobody has served it, and for how long it says."""
        first = self.wait()
        self.assertEqual(first.ticket.deadline, 130.0)
        self.assertEqual(self.wanted, [self.owner])
        second = self.wait(101.0)
        self.assertEqual((len(self.wanted), self.owner.waiting), (1, 2))
        self.assertEqual(self.admission.oldest(self.pool), 100.0)
        self.assertEqual(self.admission.tickets(self.pool), [first.ticket, second.ticket])
        self.admission.leave(first.ticket)
        self.admission.leave(second.ticket)
        self.assertEqual(self.admission.tickets(self.pool), [])
        self.assertIsNone(self.admission.oldest(self.pool))
        self.wait(102.0)
        self.assertEqual((len(self.wanted), self.owner.waiting), (2, 1))

    def test_not_woken(self) -> None:
        """Who must not wake it is refused; unless somebody else has."""
        self.assertEqual(self.submit(wake=False), Refuse(MACHINE_DOWN, 7))
        self.wait()
        self.assertIsInstance(self.submit(wake=False), Wait)

    def test_all_its_pools(self) -> None:
        """Have one queue in common, as to its length."""
        other = make_pool()
        other.owner = self.owner
        for _ in range(2):
            self.wait()
        self.assertIsInstance(self.admission.submit("y", other, 100.0), Wait)
        self.assertEqual(self.admission.submit("y", other, 100.0), Refuse(QUEUE_FULL, 7))
        self.assertEqual(self.submit(), Refuse(QUEUE_FULL, 7))

    def test_refused(self) -> None:
        """Until it may be tried again; a started second is a whole one."""
        self.owner.refused_until = 103.5
        self.assertEqual(self.submit(), Refuse(MACHINE_DOWN, 4))
        self.assertEqual(self.submit(103.4), Refuse(MACHINE_DOWN, 1))
        self.assertIsInstance(self.submit(103.5), Wait)

    def test_expired(self) -> None:
        """Told apart from a pool that is busy."""
        self.wait()
        [expired] = self.admission.expired(130.0)
        self.assertEqual(expired.refusal, Refuse(MACHINE_DOWN, 7))
        self.assertEqual(self.owner.waiting, 0)

    def test_served(self) -> None:
        """With members it is as any pool; one that drains is waited for as if there were none."""
        member = make_member(concurrency=1)
        self.pool.members.append(member)
        self.pool.vacant_since = POPULATED
        self.assertEqual(self.submit(), Send(member))
        busy = self.wait()
        self.assertEqual(busy.ticket.deadline, 110.0)
        self.assertEqual(self.wanted, [self.owner])
        self.admission.leave(busy.ticket)
        member.state = MemberState.DRAINING
        self.assertEqual(self.wait().ticket.deadline, 130.0)

    def test_serves_something_else(self) -> None:
        """It is up, and for a while may still register; then there is no such route."""
        self.owner.up_since = 100.0
        self.wait(103.9)
        self.assertFalse(self.admission.gives_up(self.pool, 103.9))
        self.assertTrue(self.admission.gives_up(self.pool, 104.0))
        self.assertEqual(self.submit(104.0), Refuse(NO_ROUTE, 0))
        # It has served it, and will be served again.
        self.pool.vacant_since = 101.0
        self.assertFalse(self.admission.gives_up(self.pool, 200.0))
        self.pool.members.append(make_member())
        self.assertFalse(self.admission.gives_up(self.pool, 200.0))
        self.pool.owner = None
        self.assertFalse(self.admission.gives_up(self.pool, 200.0))
