"""Tests of subproxy.core.routing.registry."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.balancing.member import POPULATED, Member, Pool
from subproxy.core.routing.registry import FORGOTTEN_AT_ONCE, LINGER, Registry, RegistryLimits
from subproxy.core.routing.route import Route, RouteRefused
from subproxy.core.routing.router import Router
from tests.rigs.core_strategies import hosts, make_member, paths, relaxed, routes
from tests.rigs.examples import examples

BLOG = Route(rb"blog\.example")
SHOP = Route(rb"shop\.example")


class RegistryTests(SynchronousTestCase):
    """Registering, leaving, lingering."""

    def setUp(self) -> None:
        self.registry = Registry()
        self.member = make_member("vm1")

    def test_the_same_route_is_one_pool(self) -> None:
        other = make_member("vm2")
        pool = self.registry.register(self.member, BLOG, 1.0)
        self.assertIs(self.registry.register(other, Route(rb"BLOG\.example"), 2.0), pool)
        self.assertEqual(pool.members, [self.member, other])
        self.assertEqual(self.member.pools, [pool])
        self.assertEqual(len(self.registry), 1)

    def test_registering_again_changes_nothing(self) -> None:
        pool = self.registry.register(self.member, BLOG, 1.0)
        self.assertIs(self.registry.register(self.member, BLOG, 2.0), pool)
        self.assertEqual(pool.members, [self.member])
        self.assertEqual(self.registry.generation, 1)

    def test_the_generation_counts_routes_not_members(self) -> None:
        self.assertEqual(self.registry.generation, 0)
        self.registry.register(self.member, BLOG, 0.0)
        self.assertEqual(self.registry.generation, 1)
        self.registry.register(make_member("vm2"), BLOG, 0.0)
        self.assertEqual(self.registry.generation, 1)
        self.registry.register(self.member, SHOP, 0.0)
        self.assertEqual(self.registry.generation, 2)
        self.registry.remove(self.member, 0.0)
        self.assertEqual(self.registry.generation, 2)
        self.registry.expire(LINGER)
        self.assertEqual(self.registry.generation, 3)
        self.registry.outdate()
        self.assertEqual(self.registry.generation, 4)

    def test_iteration(self) -> None:
        pool = self.registry.register(self.member, BLOG, 0.0)
        shop = self.registry.register(self.member, SHOP, 0.0)
        self.assertEqual(list(self.registry.pools()), [pool, shop])
        self.assertEqual(list(self.registry.routes()), [BLOG, SHOP])
        self.assertEqual(list(self.registry.members()), [self.member])
        self.assertIs(self.registry.pool(SHOP), shop)
        self.assertIsNone(self.registry.pool(Route(b"other")))

    def test_unregister(self) -> None:
        pool = self.registry.register(self.member, BLOG, 0.0)
        self.registry.register(self.member, SHOP, 0.0)
        self.assertIs(self.registry.unregister(self.member, BLOG, 1.0), pool)
        self.assertEqual(pool.members, [])
        self.assertEqual([p.route for p in self.member.pools], [SHOP])
        self.assertEqual(list(self.registry.members()), [self.member])
        self.registry.unregister(self.member, SHOP, 1.0)
        self.assertEqual(list(self.registry.members()), [])

    def test_what_was_not_registered_cannot_be_unregistered(self) -> None:
        self.assertIsNone(self.registry.unregister(self.member, BLOG, 0.0))
        self.registry.register(make_member("vm2"), BLOG, 0.0)
        self.assertIsNone(self.registry.unregister(self.member, BLOG, 0.0))

    def test_remove_takes_all_routes_at_once(self) -> None:
        other = make_member("vm2")
        pools = [self.registry.register(self.member, route, 0.0) for route in (BLOG, SHOP)]
        self.registry.register(other, SHOP, 0.0)
        self.assertEqual(self.registry.remove(self.member, 1.0), pools)
        self.assertEqual([pool.members for pool in pools], [[], [other]])
        self.assertEqual(self.member.pools, [])
        self.assertEqual(list(self.registry.members()), [other])
        self.assertEqual(self.registry.remove(self.member, 1.0), [])

    def test_a_vacant_pool_lingers(self) -> None:
        pool = self.registry.register(self.member, BLOG, 0.0)
        self.assertEqual(pool.vacant_since, POPULATED)
        self.assertIsNone(self.registry.next_expiry())
        self.registry.remove(self.member, 5.0)
        self.assertEqual(pool.vacant_since, 5.0)
        self.assertEqual(self.registry.next_expiry(), 5.0 + LINGER)
        self.assertEqual(self.registry.expire(5.0 + LINGER - 0.001), [])
        self.assertIs(Router(self.registry).lookup(b"blog.example", b"/"), pool)
        self.assertEqual(self.registry.expire(5.0 + LINGER), [pool])
        self.assertIsNone(Router(self.registry).lookup(b"blog.example", b"/"))
        self.assertIsNone(self.registry.next_expiry())
        self.assertEqual(list(self.registry.pools()), [])

    def test_a_pool_keeps_its_place_while_it_lingers_and_whenever_it_comes(self) -> None:
        """Until it is forgotten nothing else answers for it; then it comes back to the same."""
        first, second = Route(b"a", b"/[ab].*"), Route(b"a", b"/[a].*")
        pool = self.registry.register(self.member, first, 0.0)
        later = self.registry.register(make_member("vm2"), second, 0.0)
        router = Router(self.registry)
        self.registry.remove(self.member, 1.0)
        self.assertIs(router.lookup(b"a", b"/a"), pool)
        self.assertIs(self.registry.register(self.member, first, 2.0), pool)
        self.assertEqual(pool.vacant_since, POPULATED)
        self.assertEqual(self.registry.expire(100.0), [])
        self.registry.remove(self.member, 100.0)
        self.registry.expire(110.0)
        self.assertIs(router.lookup(b"a", b"/a"), later)
        again = self.registry.register(self.member, first, 111.0)
        self.assertIs(router.lookup(b"a", b"/a"), again)

    def test_a_pool_for_which_exchanges_wait_is_kept(self) -> None:
        pool = self.registry.register(self.member, BLOG, 0.0)
        shop = self.registry.register(self.member, SHOP, 0.0)
        self.registry.remove(self.member, 1.0)
        pool.waiting = 1
        self.assertEqual(self.registry.next_expiry(), 1.0 + LINGER)
        self.assertEqual(self.registry.expire(50.0), [shop])
        self.assertIsNone(self.registry.next_expiry())
        pool.waiting = 0
        self.assertEqual(self.registry.expire(50.0), [pool])

    def test_the_longest_vacant_expires_first(self) -> None:
        pool = self.registry.register(self.member, BLOG, 0.0)
        shop = self.registry.register(self.member, SHOP, 0.0)
        self.registry.unregister(self.member, SHOP, 1.0)
        self.registry.unregister(self.member, BLOG, 2.0)
        self.assertEqual(self.registry.expire(1.0 + LINGER), [shop])
        self.assertEqual(self.registry.next_expiry(), 2.0 + LINGER)
        self.assertEqual(self.registry.expire(2.0 + LINGER), [pool])

    def test_what_another_process_had(self) -> None:
        """Expected routes count as if their last member had just left."""
        self.registry.register(self.member, route(0), 0.0)
        for number in 1, 2, 1:
            self.registry.expect("vm2", route(number), 5.0)
        self.assertEqual(self.registry.generation, 3)
        self.assertEqual(
            list(self.registry.owners()), [("vm1", route(0)), ("vm2", route(1)), ("vm2", route(2))]
        )
        programs = route(1).program + route(2).program
        self.assertEqual(self.registry._holdings["vm2"].program, programs)
        returned = make_member("vm2")
        for number in 1, 2:
            self.registry.register(returned, route(number), 6.0)
        self.assertEqual(self.registry.generation, 3)
        self.assertEqual(self.registry._holdings["vm2"].program, programs)
        self.registry.remove(returned, 7.0)
        self.registry.expire(7.0 + self.registry.linger)
        self.assertEqual(list(self.registry.routes()), [route(0)])
        self.assertNotIn("vm2", self.registry._holdings)

    def test_what_expected_patterns_cost_is_added(self) -> None:
        """RE2's instructions of all that an identity is expected to register again."""
        patterns = [Route(b"a", b"/(b)"), Route(b"a", b"/(c|d)")]
        for each in patterns:
            self.registry.expect("vm2", each, 5.0)
        programs = [each.program for each in patterns]
        self.assertGreater(min(programs), 0)
        self.assertEqual(self.registry._holdings["vm2"].program, sum(programs))

    def test_linger_may_be_zero(self) -> None:
        registry = Registry(linger=0.0)
        pool = registry.register(self.member, BLOG, 0.0)
        registry.remove(self.member, 1.0)
        self.assertEqual(registry.expire(1.0), [pool])


def route(number: int) -> Route:
    return Route(b"host%d" % number)


class LimitTests(SynchronousTestCase):
    """How much guests may register."""

    def refused(self, registry: Registry, member: Member, wanted: Route) -> tuple[str, str]:
        generation = registry.generation
        with self.assertRaises(RouteRefused) as caught:
            registry.register(member, wanted, 0.0)
        self.assertEqual(registry.generation, generation)
        self.assertNotIn(wanted, [pool.route for pool in member.pools])
        return caught.exception.code, caught.exception.reason

    def test_defaults(self) -> None:
        limits = RegistryLimits()
        self.assertEqual((limits.member, limits.identity, limits.total), (256, 1024, 65536))
        self.assertEqual((limits.program, LINGER), (2000, 10.0))

    def test_a_policy_may_allow_less_or_more(self) -> None:
        registry = Registry(limits=RegistryLimits(identity=2))
        member = make_member()
        registry.register(member, route(0), 0.0, 1)
        self.assertRaises(RouteRefused, registry.register, member, route(1), 0.0, 1)
        for number in (1, 2):
            registry.register(member, route(number), 0.0, 3)
        self.refused(registry, member, route(3))

    def test_routes_of_a_member(self) -> None:
        registry = Registry(limits=RegistryLimits(member=2))
        member = make_member()
        registry.register(member, route(0), 0.0)
        registry.register(member, route(1), 0.0)
        code, reason = self.refused(registry, member, route(2))
        self.assertEqual(code, "quota")
        self.assertIn("a subscription may register 2", reason)
        registry.register(member, route(0), 0.0)
        registry.register(make_member(), route(2), 0.0)
        registry.unregister(member, route(0), 0.0)
        registry.register(member, route(3), 0.0)

    def test_routes_of_an_identity(self) -> None:
        registry = Registry(limits=RegistryLimits(identity=2))
        one, other = make_member("vm"), make_member("vm")
        registry.register(one, route(0), 0.0)
        registry.register(other, route(1), 0.0)
        registry.register(one, route(1), 0.0)
        code, reason = self.refused(registry, one, route(2))
        self.assertEqual(code, "quota")
        self.assertIn("a virtual machine may register 2", reason)
        # What it serves already is asked for in vain, whatever may be registered still.
        registry.check(one, route(0))
        self.assertRaises(RouteRefused, registry.check, make_member("vm"), route(2))
        # So is what others serve: it is one more of its own.
        registry.register(make_member("vm2"), route(3), 0.0)
        self.assertRaises(RouteRefused, registry.check, one, route(3))
        registry.register(make_member("vm2"), route(2), 0.0)
        self.refused(registry, one, route(2))
        registry.unregister(one, route(1), 0.0)
        self.refused(registry, one, route(2))

    def test_total(self) -> None:
        registry = Registry(limits=RegistryLimits(total=1))
        registry.register(make_member("vm1"), route(0), 0.0)
        code, reason = self.refused(registry, make_member("vm2"), route(1))
        self.assertEqual(code, "quota")
        self.assertIn("the proxy holds 1", reason)
        registry.register(make_member("vm2"), route(0), 0.0)

    def test_instructions_of_an_identity(self) -> None:
        wanted = Route(b"(a)", b"/(a)")
        registry = Registry(limits=RegistryLimits(program=2 * wanted.program))
        member = make_member()
        registry.register(member, wanted, 0.0)
        registry.register(make_member(), wanted, 0.0)
        registry.register(member, Route(b"(a)", b"/(b)"), 0.0)
        code, reason = self.refused(registry, member, Route(b"(a)", b"/(c)"))
        self.assertEqual(code, "quota")
        self.assertIn(f"{2 * wanted.program} RE2", reason)
        registry.register(member, route(0), 0.0)
        registry.register(make_member("vm2"), Route(b"(a)", b"/(c)"), 0.0)

    def test_what_is_vacant_counts_but_makes_room(self) -> None:
        registry = Registry(limits=RegistryLimits(identity=1))
        member = make_member("vm")
        pool = registry.register(member, route(0), 0.0)
        registry.remove(member, 1.0)
        pool.waiting = 1
        self.refused(registry, member, route(1))
        pool.waiting = 0
        registry.register(member, route(1), 2.0)
        self.assertEqual(list(registry.routes()), [route(1)])

    def test_vacant_patterns_make_room_too(self) -> None:
        first, second = Route(b"(a)"), Route(b"(b)")
        registry = Registry(limits=RegistryLimits(program=first.program))
        member = make_member("vm")
        registry.register(member, first, 0.0)
        registry.remove(member, 1.0)
        registry.register(member, second, 2.0)
        self.assertEqual(list(registry.routes()), [second])

    def test_vacant_patterns_stay_where_there_is_room(self) -> None:
        first, second = Route(b"(a)"), Route(b"(b)")
        registry = Registry(limits=RegistryLimits(program=2 * first.program))
        member = make_member("vm")
        registry.register(member, first, 0.0)
        registry.remove(member, 1.0)
        registry.register(member, second, 2.0)
        self.assertEqual(list(registry.routes()), [first, second])

    def test_what_a_request_may_cost(self) -> None:
        """What would make one too costly is not there then; what is vacant makes room."""
        member = make_member("vm")
        registry = Registry()
        routes = [Route(b"a", b"/(a|b)%d?" % number) for number in range(100)]
        with self.assertRaises(RouteRefused) as caught:
            for made in routes:
                registry.register(member, made, 0.0)
        self.assertEqual(caught.exception.code, "quota")
        self.assertIn("could take", caught.exception.reason)
        served, refused = routes[: len(registry)], routes[len(registry)]
        self.assertEqual(list(registry.routes()), served)
        self.assertIsNone(registry.pool(refused))
        registry.register(member, Route(b"b", b"/(a|b)"), 0.0)
        registry.unregister(member, served[0], 1.0)
        registry.register(member, refused, 2.0)
        self.assertIsNone(registry.pool(served[0]))

    def test_only_what_helps_makes_room(self) -> None:
        """Vacant literals cost nothing: their places are kept."""
        first, second = Route(b"(a)"), Route(b"(b)")
        registry = Registry(limits=RegistryLimits(program=first.program))
        member = make_member("vm")
        registry.register(member, route(0), 0.0)
        registry.register(member, first, 0.0)
        registry.remove(member, 1.0)
        registry.register(member, second, 2.0)
        self.assertEqual(list(registry.routes()), [route(0), second])

    def test_no_more_than_so_many_are_forgotten_at_once(self) -> None:
        """What a virtual machine left is cleared away in pieces: one turn has its limit."""
        routes = [route(number) for number in range(FORGOTTEN_AT_ONCE + 2)]
        registry = Registry(limits=RegistryLimits(identity=len(routes)))
        for number in range(2):
            member = make_member("vm")
            for each in routes[number::2]:
                registry.register(member, each, 0.0)
            registry.remove(member, 1.0 + number)
        member = make_member("vm")
        registry.register(member, Route(b"another"), 3.0)
        self.assertEqual(len(registry), 3)
        for each in routes:
            registry.register(make_member("vm2"), each, 3.0)
        self.assertEqual(len(registry), len(routes) + 1)

    def test_expiry_goes_on_where_it_ended(self) -> None:
        registry = Registry()
        for _ in range(3):
            member = make_member("vm")
            for number in range(100):
                registry.register(member, Route(b"h%d" % len(registry), b"/%d" % number), 0.0)
            registry.remove(member, 1.0)
        self.assertEqual(len(registry.expire(1.0 + LINGER)), FORGOTTEN_AT_ONCE)
        self.assertEqual(len(registry), 300 - FORGOTTEN_AT_ONCE)
        self.assertEqual(len(registry.expire(1.0 + LINGER)), 300 - FORGOTTEN_AT_ONCE)
        self.assertEqual(len(registry), 0)

    def test_a_vacant_pool_counts_for_who_left_last_until_another_takes_it(self) -> None:
        registry = Registry(limits=RegistryLimits(identity=1))
        one, other = make_member("one"), make_member("other")
        pool = registry.register(one, route(0), 0.0)
        registry.register(other, route(0), 0.0)
        registry.remove(one, 1.0)
        registry.register(one, route(1), 1.0)
        registry.remove(other, 2.0)
        pool.waiting = 1
        self.refused(registry, other, route(2))
        registry.remove(one, 2.0)
        self.assertIs(registry.register(one, route(0), 3.0), pool)
        registry.register(other, route(2), 3.0)


class RegistryMachine(RuleBasedStateMachine):
    """Registry, table and router against a list of what was registered when."""

    linger = 5.0

    def __init__(self) -> None:
        super().__init__()
        self.registry = Registry(linger=self.linger)
        self.router = Router(self.registry, cache_size=3)
        self.now = 0.0
        self.members = [make_member(f"vm{number % 2}") for number in range(4)]
        self.order: list[Route] = []
        self.served: dict[Route, list[Member]] = {}
        self.since: dict[Route, float] = {}

    indexes = st.integers(0, 3)

    @rule(index=indexes, wanted=routes)
    def register(self, index: int, wanted: Route) -> None:
        member = self.members[index]
        self.registry.register(member, wanted, self.now)
        if wanted not in self.served:
            self.order.append(wanted)
            self.served[wanted] = []
        if member not in self.served[wanted]:
            self.served[wanted].append(member)
        self.since.pop(wanted, None)

    def left(self, member: Member, gone: Route) -> None:
        self.served[gone].remove(member)
        if not self.served[gone]:
            self.since[gone] = self.now

    @rule(index=indexes, wanted=routes)
    def unregister(self, index: int, wanted: Route) -> None:
        member = self.members[index]
        pool = self.registry.unregister(member, wanted, self.now)
        assert (pool is not None) == (member in self.served.get(wanted, []))
        if pool is not None:
            self.left(member, wanted)

    @rule(index=indexes)
    def remove(self, index: int) -> None:
        member = self.members[index]
        pools = self.registry.remove(member, self.now)
        gone = [route for route, members in self.served.items() if member in members]
        assert {pool.route for pool in pools} == set(gone)
        for each in gone:
            self.left(member, each)

    @rule(seconds=st.sampled_from([0.0, 1.0, 4.0, 5.0]))
    def expire(self, seconds: float) -> None:
        self.now += seconds
        due = {route for route, since in self.since.items() if self.now - since >= self.linger}
        assert {pool.route for pool in self.registry.expire(self.now)} == due
        for each in due:
            self.order.remove(each)
            del self.served[each], self.since[each]

    @rule(host=hosts, path=paths)
    def lookup(self, host: bytes, path: bytes) -> None:
        explanation = self.router.explain(host, path)
        found = self.router.lookup(host, path)
        assert found is explanation.winner
        assert self.router.lookup(host, path) is found
        matching = [
            (route.precedence(), at)
            for at, route in enumerate(self.order)
            if route.matches(explanation.host, explanation.path)
        ]
        assert len(explanation.candidates) == len(matching)
        if matching:
            assert found is not None
            assert found.route == self.order[min(matching)[1]]

    @invariant()
    def agrees(self) -> None:
        assert list(self.registry.routes()) == self.order
        for pool in self.registry.pools():
            assert pool.members == self.served[pool.route]
            assert pool.vacant_since == self.since.get(pool.route, POPULATED)
        for member in self.members:
            pools: list[Pool] = [p for p in self.registry.pools() if member in p.members]
            assert set(member.pools) == set(pools)
        expiry = self.registry.next_expiry()
        assert expiry == (min(self.since.values()) + self.linger if self.since else None)
        for identity in ("vm0", "vm1"):
            holding = self.registry._holdings.get(identity)
            if holding is not None:
                assert holding.program == sum(pool.route.program for pool in holding.pools)
                assert holding.pools


RegistryMachineTests = RegistryMachine.TestCase
RegistryMachineTests.settings = settings(relaxed, max_examples=examples(80), stateful_step_count=50)
