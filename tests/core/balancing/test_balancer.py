"""Tests of subproxy.core.balancing.balancer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.balancing.balancer import (
    BALANCERS,
    SLOW_START,
    SLOW_START_SHARE,
    Balancer,
    LeastConnections,
    PowerOfTwo,
    RoundRobin,
)
from subproxy.core.balancing.member import Member, MemberState, Pool, usable
from tests.rigs.core_strategies import make_member, make_pool, relaxed

#: Long after every slow start.
LATE = 1000.0

members = st.builds(
    make_member,
    now=st.floats(0.0, 50.0),
    state=st.sampled_from([0, 0, 0, 1, 2, 3]),
    concurrency=st.integers(0, 2),
    in_flight=st.integers(0, 3),
    latency=st.floats(0.001, 30.0),
    weight=st.sampled_from([0.01, 0.5, 1.0, 10.0]),
)


def counts(
    balancer: Balancer, pool: Pool, turns: int = 1000, excluded: Sequence[Member] = ()
) -> Counter[Member | None]:
    rng = Random(1)
    return Counter(balancer.choose(pool, LATE, rng, excluded) for _ in range(turns))


class EveryBalancerTests(SynchronousTestCase):
    """What all policies have in common."""

    def test_names(self) -> None:
        self.assertEqual(list(BALANCERS), ["p2c-ewma", "round-robin", "least-connections"])

    def test_an_empty_pool_has_nobody(self) -> None:
        for policy in BALANCERS.values():
            self.assertIsNone(policy().choose(make_pool(), LATE, Random(1)))

    def test_one_member(self) -> None:
        for policy in BALANCERS.values():
            member = make_member(concurrency=1)
            pool = make_pool(member)
            balancer = policy()
            self.assertIs(balancer.choose(pool, LATE, Random(1)), member)
            self.assertIsNone(balancer.choose(pool, LATE, Random(1), (member,)))
            member.in_flight = 1
            self.assertIsNone(balancer.choose(pool, LATE, Random(1)))

    @given(st.lists(members, max_size=5), st.data(), st.integers(0, 99))
    @relaxed
    def test_only_the_usable_are_chosen_and_somebody_is_if_there_is_one(
        self, group: list[Member], data: st.DataObject, seed: int
    ) -> None:
        excluded = data.draw(st.lists(st.sampled_from(group), max_size=3)) if group else []
        left = [m for m in group if usable(m) and m not in excluded]
        for policy in BALANCERS.values():
            chosen = policy().choose(make_pool(*group), 55.0, Random(seed), excluded)
            if left:
                self.assertIn(chosen, left)
            else:
                self.assertIsNone(chosen)

    def test_everybody_gets_something_among_equals(self) -> None:
        for policy in BALANCERS.values():
            pool = make_pool(*(make_member() for _ in range(4)))
            drained = make_member(state=int(MemberState.DRAINING))
            pool.members.insert(1, drained)
            shares = counts(policy(), pool, 2000)
            self.assertEqual(len(shares), 4)
            self.assertNotIn(drained, shares)
            for share in shares.values():
                self.assertTrue(400 < share < 600, shares)


class PowerOfTwoTests(SynchronousTestCase):
    """C{PowerOfTwo}."""

    def test_the_score(self) -> None:
        balancer = PowerOfTwo()
        member = make_member(latency=0.5, in_flight=3, weight=4.0)
        self.assertAlmostEqual(balancer.score(member, LATE), 0.5)
        member.in_flight = 0
        self.assertAlmostEqual(balancer.score(member, LATE), 0.125)

    def test_slow_start(self) -> None:
        balancer = PowerOfTwo()
        member = make_member(now=100.0, latency=1.0)
        for age, share in [
            (0.0, SLOW_START_SHARE),
            (SLOW_START * SLOW_START_SHARE, SLOW_START_SHARE),
            (SLOW_START / 2, 0.5),
            (SLOW_START, 1.0),
            (SLOW_START * 9, 1.0),
        ]:
            self.assertAlmostEqual(1.0 / balancer.score(member, 100.0 + age), share)
            member.weight = 4.0
            self.assertAlmostEqual(1.0 / balancer.score(member, 100.0 + age), 4.0 * share)
            member.weight = 1.0
        self.assertEqual(PowerOfTwo(slow_start=0.0).score(member, 100.0), 1.0)
        self.assertRaises(ValueError, PowerOfTwo, -0.1)

    def test_a_newcomer_gets_less_at_first(self) -> None:
        old, new = make_member(in_flight=4), make_member(now=LATE - SLOW_START / 5)
        pool = make_pool(old, new)
        self.assertIs(PowerOfTwo().choose(pool, LATE, Random(1)), old)
        old.in_flight = 5
        self.assertIs(PowerOfTwo().choose(pool, LATE + 0.01, Random(1)), new)
        old.in_flight = 0
        new.in_flight = 0
        late = Counter(PowerOfTwo().choose(pool, LATE + SLOW_START, Random(n)) for n in range(100))
        self.assertEqual(len(late), 2)

    def test_weight(self) -> None:
        heavy, light = make_member(weight=2.0, in_flight=2), make_member(in_flight=1)
        self.assertEqual(counts(PowerOfTwo(), make_pool(heavy, light), 50), {heavy: 50})
        self.assertEqual(counts(PowerOfTwo(), make_pool(light, heavy), 50), {heavy: 50})
        heavy.in_flight = 4
        self.assertEqual(counts(PowerOfTwo(), make_pool(heavy, light), 50), {light: 50})

    def test_the_better_of_two_always_wins(self) -> None:
        fast, slow = make_member(latency=0.001), make_member(latency=0.002)
        self.assertEqual(counts(PowerOfTwo(), make_pool(fast, slow)), {fast: 1000})
        self.assertEqual(counts(PowerOfTwo(), make_pool(slow, fast)), {fast: 1000})
        fast.in_flight = 2
        self.assertEqual(counts(PowerOfTwo(), make_pool(fast, slow)), {slow: 1000})
        fast.in_flight, fast.concurrency = 1, 1
        slow.in_flight, slow.concurrency = 9, 10
        self.assertEqual(counts(PowerOfTwo(), make_pool(fast, slow), 50), {slow: 50})
        self.assertEqual(counts(PowerOfTwo(), make_pool(slow, fast), 50), {slow: 50})

    def test_the_worst_of_three_is_never_chosen_and_the_middle_is_sometimes(self) -> None:
        group = [make_member(latency=latency) for latency in (0.3, 0.1, 0.2)]
        shares = counts(PowerOfTwo(), make_pool(*group), 3000)
        self.assertEqual(set(shares), {group[1], group[2]})
        self.assertTrue(900 < shares[group[2]] < 1100, shares)

    def test_among_those_that_are_left_the_pick_is_uniform(self) -> None:
        group = [make_member() for _ in range(5)]
        group[0].state = int(MemberState.EJECTED)
        shares = counts(PowerOfTwo(), make_pool(*group), 3000, excluded=(group[3],))
        self.assertEqual(set(shares), {group[1], group[2], group[4]})
        for share in shares.values():
            self.assertTrue(850 < share < 1150, shares)

    def test_all_pairs_are_equally_likely(self) -> None:
        # The worse of each pair loses: so the shares tell how often each pair was drawn.
        group = [make_member(latency=latency) for latency in (0.1, 0.2, 0.3, 0.4)]
        for excluded in ((), (make_member(),)):
            shares = counts(PowerOfTwo(), make_pool(*group), 6000, excluded)
            for member, pairs in zip(group, (3, 2, 1), strict=False):
                self.assertTrue(abs(shares[member] - 1000 * pairs) < 150, shares)

    def test_slow_start_of_either_counts(self) -> None:
        old, new = make_member(), make_member(now=LATE - SLOW_START + 0.5)
        for pool in (make_pool(old, new), make_pool(new, old)):
            shares = Counter(PowerOfTwo().choose(pool, LATE, Random(n)) for n in range(50))
            self.assertEqual(shares, {old: 50})

    def test_one_is_left(self) -> None:
        group = [make_member(), make_member(), make_member(state=int(MemberState.GONE))]
        self.assertEqual(
            counts(PowerOfTwo(), make_pool(*group), 50, excluded=(group[0],)), {group[1]: 50}
        )

    def test_the_better_one_of_two_is_out(self) -> None:
        """In either place; or it has as much as it takes."""
        worse, better = make_member(latency=0.2), make_member(latency=0.001, concurrency=1)
        for pool in (make_pool(worse, better), make_pool(better, worse)):
            better.state, better.in_flight = int(MemberState.EJECTED), 0
            self.assertEqual(counts(PowerOfTwo(), pool, 50), {worse: 50})
            better.state, better.in_flight = int(MemberState.READY), 1
            self.assertEqual(counts(PowerOfTwo(), pool, 50), {worse: 50})

    def test_among_those_left_the_better_wins(self) -> None:
        group = [make_member(latency=0.2), make_member(latency=0.1), make_member()]
        shares = counts(PowerOfTwo(), make_pool(*group), 100, excluded=(group[2],))
        self.assertEqual(shares, {group[1]: 100})

    def test_random_numbers_near_one_stay_in_range(self) -> None:
        class Highest:
            def random(self) -> float:
                return 1.0 - 2**-53

        group = [make_member(latency=1.0), make_member(latency=1.0), make_member(latency=1.0)]
        chosen = PowerOfTwo().choose(make_pool(*group), LATE, Highest())  # type: ignore[arg-type]
        self.assertIs(chosen, group[2])
        chosen = PowerOfTwo().choose(
            make_pool(make_member(), *group),
            LATE,
            Highest(),
            (group[0],),  # type: ignore[arg-type]
        )
        self.assertIsNotNone(chosen)


class RoundRobinTests(SynchronousTestCase):
    """C{RoundRobin}."""

    def test_one_after_the_other(self) -> None:
        group = [make_member() for _ in range(3)]
        pool = make_pool(*group)
        chosen = [RoundRobin().choose(pool, LATE, Random(1)) for _ in range(6)]
        self.assertEqual(chosen, group * 2)

    def test_who_is_out_is_passed_over(self) -> None:
        group = [make_member() for _ in range(3)]
        pool = make_pool(*group)
        group[1].state = int(MemberState.DRAINING)
        chosen = [RoundRobin().choose(pool, LATE, Random(1)) for _ in range(4)]
        self.assertEqual(chosen, [group[0], group[2]] * 2)
        self.assertIs(RoundRobin().choose(pool, LATE, Random(1), (group[0],)), group[2])

    def test_a_pool_that_shrank(self) -> None:
        group = [make_member() for _ in range(3)]
        pool = make_pool(*group)
        pool.cursor = 3
        pool.members.pop()
        self.assertIs(RoundRobin().choose(pool, LATE, Random(1)), group[1])


class LeastConnectionsTests(SynchronousTestCase):
    """C{LeastConnections}."""

    def test_the_least_by_weight(self) -> None:
        heavy = make_member(in_flight=3, weight=4.0)
        light = make_member(in_flight=1, weight=1.0)
        self.assertEqual(counts(LeastConnections(), make_pool(light, heavy), 50), {heavy: 50})
        self.assertEqual(counts(LeastConnections(), make_pool(heavy, light), 50), {heavy: 50})

    def test_latency_says_nothing(self) -> None:
        slow, fast = make_member(latency=9.0), make_member(latency=0.001, in_flight=1)
        self.assertEqual(counts(LeastConnections(), make_pool(fast, slow), 50), {slow: 50})
