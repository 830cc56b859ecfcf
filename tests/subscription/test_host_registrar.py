"""What other hosts offer: several processes of one, and those that would start a machine."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.balancing.member import Member
from subproxy.core.routing.registry import Registry
from subproxy.core.routing.route import Route
from subproxy.subscription.host_registrar import HostRegistrar
from subproxy.wire import messages as m
from subproxy.wire.limits import MAX_PROCESSES

ROUTE = Route(b"a\\.example")


class HostRegistrarTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.registry = Registry()
        self.hosts = HostRegistrar(self.registry, self.clock.seconds, lambda member: None, True)

    def join(self, name: str, process: int = 0, instance: bytes = b"i") -> Member:
        """A process of host C{name} greets."""
        info = {
            b"application": b"subproxy",
            b"instance": instance,
            b"peer": {b"host": name.encode(), b"process": process},
        }
        member, replaced = self.hosts.hello(f"host:{name}", info)
        self.hosts.joined(member)
        if replaced is not None:
            self.hosts.leave(replaced)
        return member

    def asked(self, route: Route = ROUTE) -> set[Member]:
        """Who is asked for it."""
        pool = self.registry.pool(route)
        return set() if pool is None else set(pool.members)

    def test_processes(self) -> None:
        """Each of a host is asked; a newer one takes the place of that of its number alone."""
        self.hosts.offer("b", ROUTE)
        first, second = self.join("b"), self.join("b", 1)
        self.assertEqual(self.asked(), {first, second})
        newer = self.join("b", 1, b"j")
        self.assertEqual(self.asked(), {first, newer})
        late = Route(b"late\\.example")
        self.hosts.offer("b", late)
        self.assertEqual(self.asked(late), {first, newer})
        self.hosts.leave(first)
        self.assertEqual(self.hosts.data(), {"b": [newer]})
        self.hosts.withdraw("b", late)
        self.assertEqual(self.asked(late), set())

    def test_many_processes(self) -> None:
        """As many as a host can have: more than a guest may have applications."""
        self.hosts.offer("b", ROUTE)
        members = {self.join("b", process) for process in range(MAX_PROCESSES)}
        self.assertEqual((self.asked(), len(members)), (members, MAX_PROCESSES))

    def test_wakes(self) -> None:
        """Who would start a machine is asked while nobody serves, there or here."""
        wakes, serves = self.join("b"), self.join("c")
        self.hosts.offer("b", ROUTE, wakes=True)
        self.assertEqual(self.asked(), {wakes})
        self.hosts.offer("c", ROUTE)
        self.assertEqual(self.asked(), {serves})
        self.hosts.leave(serves)
        self.assertEqual(self.asked(), {wakes})
        serves = self.join("c", 0, b"j")
        self.assertEqual(self.asked(), {serves})
        self.hosts.withdraw("c", ROUTE)
        self.assertEqual(self.asked(), {wakes})
        self.hosts.own(ROUTE, True)
        self.assertEqual(self.asked(), set())
        self.hosts.own(ROUTE, False)
        self.assertEqual(self.asked(), {wakes})

    def test_the_machine_is_up(self) -> None:
        """Then its host serves, as any; and when it has stopped it would start it again."""
        one, other = self.join("b"), self.join("c")
        for name in "bc":
            self.hosts.offer(name, ROUTE, wakes=True)
        self.assertEqual(self.asked(), {one, other})
        self.hosts.offer("b", ROUTE)
        self.assertEqual(self.asked(), {one})
        self.hosts.offer("b", ROUTE, wakes=True)
        self.assertEqual(self.asked(), {one, other})

    def test_before_it_has_greeted(self) -> None:
        """What was known of it holds then."""
        self.hosts.offer("b", ROUTE, wakes=True)
        self.hosts.own(ROUTE, True)
        member = self.join("b")
        self.assertEqual(self.asked(), set())
        self.hosts.own(ROUTE, False)
        self.assertEqual(self.asked(), {member})

    def test_what_hosts_say_themselves(self) -> None:
        """Named by an operator, they say of a route that a machine would have to be started."""
        self.hosts = HostRegistrar(self.registry, self.clock.seconds, lambda member: None, False)
        waking, serving = self.join("b"), self.join("c")
        wakes = m.Register(1, b"a\\.example", b"/.*", {b"wakes": True})
        self.assertIsInstance(self.hosts.register(waking, wakes), m.Registered)
        self.assertEqual(self.asked(), {waking})
        self.hosts.register(serving, m.Register(7, b"a\\.example", b"/.*", {}))
        self.assertEqual(self.asked(), {serving})
        self.hosts.unregister(serving, m.Unregister(7))
        self.assertEqual(self.asked(), {waking})
        self.hosts.own(ROUTE, True)
        self.assertEqual(self.asked(), set())
        self.hosts.own(ROUTE, False)
        self.assertEqual(self.asked(), {waking})
        self.hosts.register(serving, m.Register(8, b"a\\.example", b"/.*", {}))
        self.hosts.unregister(waking, m.Unregister(1))
        self.hosts.register(waking, m.Register(2, b"a\\.example", b"/.*", {}))
        self.assertEqual(self.asked(), {waking, serving})
        self.hosts.unregister(waking, m.Unregister(2))
        self.hosts.register(waking, m.Register(3, b"a\\.example", b"/.*", {b"wakes": True}))
        self.hosts.leave(serving)
        self.assertEqual(self.asked(), {waking})
        self.hosts.leave(waking)
        self.assertEqual(self.asked(), set())
