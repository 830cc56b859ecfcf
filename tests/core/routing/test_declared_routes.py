"""Routes that are in a registry without members."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.balancing.pool_owner import PoolOwner
from subproxy.core.routing.registry import LINGER, Registry, RegistryLimits
from subproxy.core.routing.route import Route
from subproxy.core.routing.router import Router
from tests.rigs.core_strategies import make_member

BLOG = Route(rb"blog\.example")
SHOP = Route(rb"shop\.example")


class DeclaredRouteTests(SynchronousTestCase):
    """Routes that are there without members."""

    def setUp(self) -> None:
        self.registry = Registry()
        self.owner = PoolOwner("vm", 30.0)
        self.registry.owner_of = lambda route: self.owner if route == BLOG else None

    def test_it_stays(self) -> None:
        pool = self.registry.declare(BLOG, 0.0)
        self.assertIs(self.registry.declare(BLOG, 1.0), pool)
        self.assertIs(pool.owner, self.owner)
        self.assertEqual(self.registry.expire(1e6), [])
        self.assertEqual(list(self.registry.owners()), [])
        self.assertEqual(self.registry.generation, 1)
        self.registry.declare(SHOP, 2.0)
        self.assertEqual(self.registry.generation, 2)
        self.assertIs(Router(self.registry).lookup(b"blog.example", b"/"), pool)

    def test_its_owner_is_asked_for_whoever_makes_it(self) -> None:
        """Also where a guest registers it that nobody has declared it for."""
        member = make_member("vm")
        self.assertIs(self.registry.register(member, BLOG, 0.0).owner, self.owner)
        self.assertIsNone(self.registry.register(member, SHOP, 0.0).owner)

    def test_members_come_and_go(self) -> None:
        pool = self.registry.declare(BLOG, 0.0)
        member = make_member("vm")
        self.assertIs(self.registry.register(member, BLOG, 1.0), pool)
        self.assertEqual(list(self.registry.owners()), [("vm", BLOG)])
        self.registry.remove(member, 2.0)
        self.assertEqual(pool.vacant_since, 2.0)
        self.assertEqual(self.registry.expire(1e6), [])
        self.registry.register(member, BLOG, 3.0)
        self.registry.unregister(member, BLOG, 4.0)
        self.assertIsNone(self.registry.next_expiry())

    def test_of_no_quota(self) -> None:
        """What it has left counts for nobody."""
        registry = Registry(limits=RegistryLimits(identity=1))
        registry.declare(BLOG, 0.0)
        member = make_member("vm")
        registry.register(member, BLOG, 0.0)
        registry.remove(member, 1.0)
        registry.register(member, SHOP, 2.0)

    def test_what_is_there(self) -> None:
        """A vacant route is kept from then on, and so is one with members."""
        member = make_member("vm")
        pool = self.registry.register(member, BLOG, 0.0)
        self.registry.remove(member, 1.0)
        self.assertIs(self.registry.declare(BLOG, 2.0), pool)
        self.assertEqual(self.registry.expire(1e6), [])
        self.registry.register(member, SHOP, 3.0)
        self.registry.declare(SHOP, 4.0)
        self.registry.remove(member, 5.0)
        self.assertEqual(self.registry.expire(1e6), [])

    def test_undeclared(self) -> None:
        """It is as any other then."""
        pool = self.registry.declare(BLOG, 0.0)
        self.registry.undeclare(pool, 10.0)
        self.assertEqual(self.registry.expire(9.0 + LINGER), [])
        self.assertEqual(self.registry.expire(10.0 + LINGER), [pool])
        member = make_member("vm")
        pool = self.registry.declare(BLOG, 0.0)
        self.registry.register(member, BLOG, 0.0)
        self.registry.undeclare(pool, 10.0)
        self.registry.remove(member, 20.0)
        self.assertEqual(self.registry.expire(20.0 + LINGER), [pool])
