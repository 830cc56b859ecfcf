"""Tests of subproxy.core.balancing.member."""

from __future__ import annotations

from math import nan

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.balancing.latency import FLOOR, INITIAL, UNKNOWN
from subproxy.core.balancing.member import (
    MAX_WEIGHT,
    MIN_WEIGHT,
    POPULATED,
    READY,
    TRANSITIONS,
    Member,
    MemberEvent,
    MemberState,
    Pool,
    is_host,
    is_peer,
    is_worker,
    usable,
)
from subproxy.core.routing.route import Route
from tests.rigs.core_strategies import make_member, make_pool, relaxed


class StateTests(SynchronousTestCase):
    """The table."""

    def after(self, *events: MemberEvent) -> MemberState:
        member = make_member()
        for event in events:
            member.feed(event, 1.0)
        return MemberState(member.state)

    def test_the_table_is_total(self) -> None:
        self.assertEqual(set(TRANSITIONS), set(MemberState))
        for row in TRANSITIONS.values():
            self.assertEqual(set(row), set(MemberEvent))

    def test_lives(self) -> None:
        for events, state in [
            ((), MemberState.READY),
            ((MemberEvent.UNDRAIN,), MemberState.READY),
            ((MemberEvent.REVIVE,), MemberState.READY),
            ((MemberEvent.DRAIN,), MemberState.DRAINING),
            ((MemberEvent.DRAIN, MemberEvent.UNDRAIN), MemberState.READY),
            ((MemberEvent.EJECT,), MemberState.EJECTED),
            ((MemberEvent.EJECT, MemberEvent.EJECT), MemberState.EJECTED),
            ((MemberEvent.EJECT, MemberEvent.UNDRAIN), MemberState.EJECTED),
            ((MemberEvent.EJECT, MemberEvent.REVIVE), MemberState.READY),
            ((MemberEvent.EJECT, MemberEvent.DRAIN), MemberState.DRAINING),
            ((MemberEvent.DRAIN, MemberEvent.DRAIN), MemberState.DRAINING),
            ((MemberEvent.DRAIN, MemberEvent.EJECT), MemberState.DRAINING),
            ((MemberEvent.DRAIN, MemberEvent.EJECT, MemberEvent.REVIVE), MemberState.DRAINING),
            ((MemberEvent.LEAVE,), MemberState.GONE),
            ((MemberEvent.DRAIN, MemberEvent.LEAVE), MemberState.GONE),
            ((MemberEvent.EJECT, MemberEvent.LEAVE), MemberState.GONE),
            ((MemberEvent.FILL,), MemberState.FULL),
            ((MemberEvent.FILL, MemberEvent.CLEAR), MemberState.READY),
            ((MemberEvent.FILL, MemberEvent.REVIVE), MemberState.FULL),
            ((MemberEvent.FILL, MemberEvent.EJECT, MemberEvent.FILL), MemberState.EJECTED),
            ((MemberEvent.FILL, MemberEvent.DRAIN, MemberEvent.CLEAR), MemberState.DRAINING),
            ((MemberEvent.FILL, MemberEvent.LEAVE), MemberState.GONE),
        ]:
            self.assertIs(self.after(*events), state, events)

    @given(st.lists(st.sampled_from(MemberEvent)))
    @relaxed
    def test_gone_is_final(self, events: list[MemberEvent]) -> None:
        self.assertIs(self.after(MemberEvent.LEAVE, *events), MemberState.GONE)

    def test_feed_tells_whether_the_state_changed(self) -> None:
        member = make_member()
        self.assertFalse(member.feed(MemberEvent.REVIVE, 1.0))
        self.assertTrue(member.feed(MemberEvent.EJECT, 1.0))
        self.assertFalse(member.feed(MemberEvent.EJECT, 1.0))

    def test_who_was_full_is_no_newcomer(self) -> None:
        member = make_member(now=1.0)
        member.observe(0.1, 2.0)
        member.feed(MemberEvent.FILL, 3.0)
        member.feed(MemberEvent.CLEAR, 4.0)
        self.assertEqual((member.since, member.latency_at), (1.0, 2.0))

    def test_a_return_starts_slowly_and_measures_afresh(self) -> None:
        member = make_member(now=1.0)
        member.observe(0.5, 2.0)
        member.feed(MemberEvent.REVIVE, 3.0)
        self.assertEqual((member.since, member.latency_at), (1.0, 2.0))
        member.feed(MemberEvent.EJECT, 4.0)
        self.assertEqual((member.since, member.latency_at), (1.0, 2.0))
        member.feed(MemberEvent.REVIVE, 5.0)
        self.assertEqual((member.since, member.latency_at), (5.0, UNKNOWN))
        member.observe(0.25, 6.0)
        self.assertEqual(member.latency, 0.25)


class MemberTests(SynchronousTestCase):
    """The numbers."""

    def test_a_newcomer(self) -> None:
        channel = object()
        member = Member("cid:3", b"app", b"i", now=7.0, worker=2, concurrency=4, channel=channel)
        self.assertEqual((member.identity, member.application), ("cid:3", b"app"))
        self.assertEqual((member.instance, member.worker), (b"i", 2))
        self.assertEqual((member.weight, member.concurrency), (1.0, 4))
        self.assertEqual((member.in_flight, member.state, member.since), (0, READY, 7.0))
        self.assertEqual((member.latency, member.latency_at), (INITIAL, UNKNOWN))
        self.assertEqual(member.pools, [])
        self.assertIs(member.channel, channel)
        self.assertEqual(Member("a", b"", b"", now=0.0).worker, 0)

    def test_weights_are_clamped(self) -> None:
        for weight, clamped in [
            (2.0, 2.0),
            (0.0, MIN_WEIGHT),
            (-1.0, MIN_WEIGHT),
            (1e9, MAX_WEIGHT),
            (nan, MIN_WEIGHT),
        ]:
            self.assertEqual(Member("a", b"", b"", now=0.0, weight=weight).weight, clamped)

    def test_weights_of_an_operator(self) -> None:
        """In place of what it declares; a share is of either, and None takes it back."""
        member = Member("a", b"", b"", now=0.0, weight=2.0)
        member.assign(4.0)
        self.assertEqual((member.weight, member.declared), (4.0, 2.0))
        member.reweigh(0.5)
        self.assertEqual(member.weight, 2.0)
        member.assign(None)
        self.assertEqual(member.weight, 1.0)
        member.assign(0.0)
        self.assertEqual(member.weight, MIN_WEIGHT)

    def test_who_stands_for_others(self) -> None:
        """Another process of this proxy, or another host; no guest, whatever it is called."""
        for identity, peer, worker, host in (
            ("worker:1", True, True, False),
            ("host:b", True, False, True),
            ("cid:3", False, False, False),
            ("a worker:1", False, False, False),
        ):
            member = Member(identity, b"", b"", now=0.0)
            found = is_peer(member), is_worker(member), is_host(member)
            self.assertEqual(found, (peer, worker, host), identity)

    def test_concurrency_is_not_negative(self) -> None:
        self.assertRaises(ValueError, Member, "a", b"", b"", now=0.0, concurrency=-1)

    def test_observe(self) -> None:
        member = make_member()
        member.observe(0.0, 1.0)
        self.assertEqual((member.latency, member.latency_at), (FLOOR, 1.0))
        member.observe(0.5, 2.0)
        self.assertTrue(FLOOR < member.latency < 0.5)
        self.assertEqual(member.latency_at, 2.0)

    def test_usable(self) -> None:
        self.assertTrue(usable(make_member(in_flight=1000)))
        self.assertTrue(usable(make_member(concurrency=2, in_flight=1)))
        self.assertFalse(usable(make_member(concurrency=2, in_flight=2)))
        self.assertFalse(usable(make_member(concurrency=2, in_flight=3)))
        for state in (MemberState.DRAINING, MemberState.EJECTED, MemberState.GONE):
            self.assertFalse(usable(make_member(state=int(state))))

    def test_it_is_flat(self) -> None:
        self.assertFalse(hasattr(make_member(), "__dict__"))

    def test_repr(self) -> None:
        self.assertEqual(repr(make_member(in_flight=2)), "<Member vm app ready in flight 2>")


class PoolTests(SynchronousTestCase):
    """C{Pool}."""

    def test_a_new_pool_is_vacant(self) -> None:
        pool = Pool(Route(b"a", b"/b"), now=3.0)
        self.assertEqual((pool.vacant_since, pool.waiting, pool.cursor), (3.0, 0, 0))
        self.assertEqual(pool.precedence, (0, -2, 0, -1, -2, b"a", b"/b"))
        self.assertFalse(pool.has_ready())
        self.assertFalse(pool.tells_tls)
        self.assertFalse(hasattr(pool, "__dict__"))

    def test_has_ready(self) -> None:
        drained = make_member(state=int(MemberState.DRAINING))
        self.assertFalse(make_pool(drained).has_ready())
        full = make_member(concurrency=1, in_flight=1)
        pool = make_pool(drained, full)
        self.assertTrue(pool.has_ready())
        self.assertTrue(make_pool(make_member(state=int(MemberState.FULL))).has_ready())
        self.assertEqual(pool.vacant_since, POPULATED)

    def test_repr(self) -> None:
        self.assertEqual(repr(make_pool(make_member())), "<Pool .* /.* members 1 waiting 0>")
