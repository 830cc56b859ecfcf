"""Three hosts in memory: each hears what the others serve."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.cluster.memory_store import MemoryStore
from subproxy.cluster.publisher import LEASE_SECONDS
from subproxy.cluster.service import ClusterService
from subproxy.core.retry_delay import LONGEST_DELAY
from subproxy.core.routing.route import Route

ONE, TWO = Route(b"one\\.example"), Route(b"two\\.example")


class Host:
    """A host, and what it knows of the others."""

    def __init__(
        self, clock: Clock, store: MemoryStore, name: str, known: list[list[str]] | None = None
    ) -> None:
        self.hosts: dict[str, str] = {}
        self.routes: set[tuple[str, Route]] = set()
        self.waking: set[tuple[str, Route]] = set()
        self.service = ClusterService(
            clock, store, "/subproxy/", name, f"{name}:1", self, lambda: 1.0
        )
        self.service.view.table.restore(known or ())
        self.service.startService()

    def host_came(self, name: str, address: str) -> None:
        self.hosts[name] = address

    def host_left(self, name: str) -> None:
        del self.hosts[name]

    def route_came(self, name: str, route: Route, wakes: bool = False) -> None:
        self.routes.add((name, route))
        (self.waking.add if wakes else self.waking.discard)((name, route))

    def route_left(self, name: str, route: Route) -> None:
        self.routes.remove((name, route))
        self.waking.discard((name, route))


class ClusterServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.store = MemoryStore(self.clock)
        self.a, self.b, self.c = (Host(self.clock, self.store, name) for name in "abc")
        self.settle()

    def settle(self) -> None:
        for _ in range(12):
            self.clock.advance(0)

    def let_pass(self, seconds: float) -> None:
        for _ in range(int(seconds * 2)):
            self.clock.advance(0.5)
            self.settle()

    def test_hosts(self) -> None:
        """Each knows all others, and not itself."""
        self.assertEqual(self.a.hosts, {"b": "b:1", "c": "c:1"})
        self.assertEqual(self.c.hosts, {"a": "a:1", "b": "b:1"})

    def test_routes(self) -> None:
        """What one serves, the others know, until it does no more."""
        self.a.service.serve(ONE)
        self.b.service.serve(ONE)
        self.settle()
        self.assertEqual(self.c.routes, {("a", ONE), ("b", ONE)})
        self.assertEqual(self.a.routes, {("b", ONE)})
        self.a.service.withdraw(ONE)
        self.b.service.serve(TWO)
        self.settle()
        self.assertEqual(self.c.routes, {("b", ONE), ("b", TWO)})

    def test_wakes(self) -> None:
        """A route for which a machine would be started is told from one that is served."""
        self.a.service.serve(ONE, wakes=True)
        self.settle()
        self.assertEqual((self.c.routes, self.c.waking), ({("a", ONE)}, {("a", ONE)}))
        self.a.service.serve(ONE)
        self.settle()
        self.assertEqual((self.c.routes, self.c.waking), ({("a", ONE)}, set()))
        self.a.service.serve(ONE, wakes=True)
        self.settle()
        self.assertEqual(self.c.waking, {("a", ONE)})

    def test_paused(self) -> None:
        """What has changed meanwhile is heard afterwards, and nothing twice."""
        self.b.service.serve(ONE)
        self.settle()
        self.a.service.pause()
        self.b.service.serve(TWO)
        self.b.service.withdraw(ONE)
        self.settle()
        self.assertEqual(self.a.routes, {("b", ONE)})
        self.a.service.go_on()
        self.settle()
        self.assertEqual(self.a.routes, {("b", TWO)})
        self.assertEqual(self.a.hosts, {"b": "b:1", "c": "c:1"})

    def test_what_the_former_program_knew(self) -> None:
        """A table that was written down is known again, and only what differs is told."""
        self.b.service.serve(ONE)
        self.settle()
        left = self.a.service.view.table.data()
        self.b.service.serve(TWO)
        self.settle()
        self.a.service.pause()
        again = Host(self.clock, self.store, "a", left)
        self.assertEqual(len(list(again.service.view.table.changes())), 4)
        self.settle()
        self.assertEqual((again.hosts, again.routes), ({}, {("b", TWO)}))

    def test_stop(self) -> None:
        """One that stops is known to nobody at once."""
        self.a.service.serve(ONE)
        self.settle()
        self.successResultOf(self.a.service.stopService())
        self.settle()
        self.assertEqual((self.b.hosts, self.b.routes), ({"c": "c:1"}, set()))
        self.a.service.serve(TWO)
        self.settle()
        self.assertEqual(self.b.routes, set())

    def test_killed(self) -> None:
        """One that is killed, when its lease is over; and not before."""
        self.a.service.serve(ONE)
        self.settle()
        self.a.service.publisher._cancel()
        self.a.service.view.close()
        self.let_pass(LEASE_SECONDS - 4)
        self.assertEqual(self.b.routes, {("a", ONE)})
        self.let_pass(4)
        self.assertEqual((self.b.hosts, self.b.routes), ({"c": "c:1"}, set()))

    def test_store_away(self) -> None:
        """Nobody loses anything; what has changed is known when it is back."""
        self.a.service.serve(ONE)
        self.settle()
        self.store.away = True
        self.store.break_watches()
        self.b.service.serve(TWO)
        self.let_pass(4)
        self.assertEqual(self.c.routes, {("a", ONE)})
        self.assertEqual(self.c.service.data()["state"], "away")
        self.assertTrue(self.c.service.data()["stale"])
        self.store.away = False
        self.let_pass(LONGEST_DELAY)
        self.assertEqual(self.c.routes, {("a", ONE), ("b", TWO)})

    def test_data(self) -> None:
        """How it is, for people."""
        self.a.service.serve(ONE)
        self.assertEqual(
            self.a.service.data(),
            {
                "host": "a",
                "address": "a:1",
                "state": "watching",
                "stale": False,
                "stale_for": 0.0,
                "lease": "held",
                "published": 2,
                "unpublished": 1,
            },
        )
