"""Routes that only other hosts serve."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.balancing.member import Member
from subproxy.core.routing.registry import Registry, RegistryLimits
from subproxy.core.routing.route import Route, RouteRefused


def make_member(identity: str = "vm1") -> Member:
    return Member(identity, b"app", b"i1", now=0.0)


def route(number: int) -> Route:
    return Route(b"host%d" % number)


class ApartTests(SynchronousTestCase):
    def test_others_do_not_count(self) -> None:
        """Routes that only other hosts serve leave guests theirs; those of both count."""
        registry = Registry(limits=RegistryLimits(total=1))
        other, member = make_member("host:a"), make_member()
        for number in range(3):
            registry.register(other, route(number), 0.0, limited=False)
        registry.expect("host:b", route(3), 0.0, limited=False)
        registry.register(member, route(0), 0.0)
        self.assertRaises(RouteRefused, registry.register, member, route(1), 0.0)
        self.assertRaises(RouteRefused, registry.register, member, route(4), 0.0)
        registry.remove(member, 0.0)
        self.assertRaises(RouteRefused, registry.register, member, route(4), 0.0)
        registry.remove(other, 0.0)
        registry.expire(registry.linger)
        registry.register(member, route(4), 0.0)
        # Those that are forgotten make no room for others.
        self.assertRaises(RouteRefused, registry.register, member, route(5), 0.0)
