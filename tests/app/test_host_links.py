"""Hosts that dial each other, over TLS, in memory: who is asked for what, and for how long."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IReactorPluggableNameResolver
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from subproxy.app import host_links
from subproxy.app.host_links import endpoint_of
from subproxy.app.served_routes import ServedRoutes
from subproxy.core.balancing.latency import UNKNOWN
from subproxy.core.balancing.member import Member
from subproxy.core.routing.route import Route
from subproxy.errors import NoRoute, NoSubscriber
from subproxy.wire import messages as m
from tests.rigs.memory_hosts import MemoryHost, MemoryHosts, RecordedUser
from tests.rigs.tls_rig import Authority

ROUTE = Route(b"a\\.example", b"/.*")


class HostsCase(SynchronousTestCase):
    told = False

    def setUp(self) -> None:
        self.rig = MemoryHosts(self.mktemp(), "kvm-1", "kvm-2", told=self.told)
        self.one, self.two = self.rig.hosts.values()

    def ask(self, at: MemoryHost, **more: Any) -> Any:
        """A client of that host asks; exchange and sink."""
        found = at.ask(**more)
        self.rig.pump()
        return found

    def answer(self, guest: Any, body: bytes = b"hello") -> None:
        """The guest answers all that it was asked."""
        for request in guest.take(m.Request):
            guest.wire.send(m.Response(request.exchange, 200, [], {}, body))
        self.rig.pump()

    def states(self, host: MemoryHost) -> dict[str, tuple[str, str]]:
        return {each["host"]: (each["asks"], each["asked"]) for each in host.links.data()}


class NamedHostsTests(HostsCase):
    """Those that an operator has named: they say over the connection what they have."""

    def test_a_request(self) -> None:
        """It goes to the host that has the guest, and its answer to the client."""
        guest = self.rig.serving(self.one)
        self.rig.introduce(self.one, self.two)
        self.assertEqual(self.states(self.two), {"kvm-1": ("connected", "ready")})
        _, sink = self.ask(self.two, client=b"192.0.2.7")
        (request,) = guest.events
        self.assertEqual(request.info[b"client"], b"192.0.2.7")
        self.answer(guest)
        self.assertEqual((sink.body, sink.complete), (b"hello", True))

    def test_too_many_connections(self) -> None:
        """Of one host there are no more than it may have."""
        self.patch(host_links, "MAX_FROM_A_HOST", 1)
        self.rig.serving(self.one)
        self.rig.introduce(self.one, self.two)
        self.assertEqual(self.states(self.two), {"kvm-1": ("connected", "ready")})
        data = self.one.links._asking[0].data
        assert data is not None
        connection = data.connection()
        assert connection is not None
        user: Any = RecordedUser()
        connection.claim(1, b"x" * 16, user)
        self.rig.pump()
        self.assertEqual(["unclaimed"], user.heard)
        self.assertEqual({}, dict(self.two.host_factory.context.tokens.counts))

    def test_one_way(self) -> None:
        """Who is named may ask, and is not asked for that."""
        self.rig.serving(self.one)
        self.rig.serving(self.two, "1", b"b\\.example")
        self.one.links.host_came("kvm-2", self.two.address)
        self.rig.pump()
        self.assertEqual(self.states(self.one), {"kvm-2": ("connected", "no")})
        self.assertEqual(self.states(self.two), {"kvm-1": ("no", "ready")})
        _, sink = self.ask(self.one, host=b"b.example")
        self.assertIsInstance(sink.error, NoRoute)
        self.assertEqual((self.one.links.counts(), self.two.links.counts()), ((0, 1), (1, 0)))

    def test_wakes(self) -> None:
        """A host that would start a machine is asked while no host serves the route."""
        three = self.rig.add("kvm-3")
        self.one.links.serve(ROUTE, wakes=True)
        self.rig.introduce(self.one, self.two)
        self.rig.introduce(three, self.two)

        def asked() -> set[str]:
            pool = self.two.registry.pool(ROUTE)
            return set() if pool is None else {each.identity for each in pool.members}

        self.assertEqual(asked(), {"host:kvm-1"})
        three.links.serve(ROUTE)
        self.rig.pump()
        self.assertEqual(asked(), {"host:kvm-3"})
        # The machine is up, and then stops again; what is told twice changes nothing.
        for wakes, found in ((False, {"host:kvm-1", "host:kvm-3"}), (True, {"host:kvm-3"})):
            for _ in range(2):
                self.one.links.serve(ROUTE, wakes)
                self.rig.pump()
                self.assertEqual(asked(), found)
        three.links.withdraw(ROUTE)
        self.rig.pump()
        self.assertEqual(asked(), {"host:kvm-1"})
        self.one.links.withdraw(ROUTE)
        self.rig.pump()
        self.assertEqual(asked(), set())

    def test_come_and_go(self) -> None:
        """A route that comes later is known, and one that has gone is not."""
        self.rig.introduce(self.one, self.two)
        guest = self.rig.serving(self.one)
        self.ask(self.two)
        self.assertEqual(len(guest.take(m.Request)), 1)
        guest.lose()
        self.rig.pump()
        _, sink = self.ask(self.two)
        self.rig.let_pass(11)
        self.two.advance(0)
        self.assertIsInstance(sink.error, NoSubscriber)

    def test_near_ones_first(self) -> None:
        """A guest that is here is asked, as long as it is no slower than the other host."""
        self.rig.introduce(self.one, self.two)
        far = self.rig.serving(self.one)
        near = self.rig.serving(self.two)
        for member in self.two.registry.members():
            member.latency = 0.001 if member.identity.startswith("host:") else 0.0001
            member.since = -100.0
        for _ in range(8):
            self.ask(self.two)
            self.answer(near)
            self.assertEqual(far.take(m.Request), [])
        near.lose()
        self.ask(self.two)
        self.assertEqual(len(far.take(m.Request)), 1)

    def test_farther(self) -> None:
        """The proxy of another host answers pings, so it counts as behind the guests here."""
        self.rig.introduce(self.one, self.two)
        self.rig.serving(self.one)
        (host,) = self.two.registry.members()
        self.two.hosts.measured(host, 0.002)
        alone = host.latency
        self.rig.serving(self.two)
        (near,) = (each for each in self.two.registry.members() if each is not host)
        near.latency, near.latency_at = 0.05, self.rig.reactor.seconds()
        host.latency_at = UNKNOWN
        self.two.hosts.measured(host, 0.002)
        self.assertGreater(host.latency, near.latency)
        self.assertLess(alone, near.latency)

    def test_never_further(self) -> None:
        """What another host has asked goes to a guest here, or nowhere."""
        three = self.rig.add("kvm-3")
        self.rig.introduce(self.one, self.two)
        self.rig.introduce(self.two, three)
        guest = self.rig.serving(three)
        self.two.links.served(_member(), ROUTE, True)  # it says so, and has it not
        self.rig.pump()
        _, sink = self.ask(self.one)
        self.assertEqual(guest.take(m.Request), [])
        self.assertEqual(sink.error.status, 503)

    def test_guest_restarts(self) -> None:
        """A request that comes while no guest is there waits for it, as one of a client's."""
        self.rig.introduce(self.one, self.two)
        self.rig.serving(self.one)
        first = next(iter(self.one.registry.members()))
        self.one.registry.remove(first, 0.0)  # before anybody has been told
        _, sink = self.ask(self.two)
        self.assertIsNone(sink.error)
        guest = self.one.guest("2")
        guest.hello()
        guest.register(b"a\\.example")
        self.assertEqual(len(guest.take(m.Request)), 1)

    def test_connection_lost(self) -> None:
        """A host that cannot be reached is dialled again; what it had waits."""
        self.rig.introduce(self.one, self.two)
        guest = self.rig.serving(self.one)
        self.rig.cut()
        self.assertEqual(self.states(self.two), {"kvm-1": ("waiting", "no")})
        _, sink = self.ask(self.two)
        self.rig.let_pass(1)
        self.assertEqual(self.states(self.two), {"kvm-1": ("connected", "ready")})
        self.answer(guest)
        self.assertTrue(sink.complete)

    def test_silent(self) -> None:
        """A connection on which nothing comes is given up by both ends, and there is another."""
        self.rig.introduce(self.one, self.two)
        self.rig.serving(self.one)
        self.rig.cut(silently=True)
        self.assertEqual(self.states(self.two), {"kvm-1": ("connected", "ready")})
        self.rig.let_pass(12)
        self.assertEqual(self.states(self.two), {"kvm-1": ("connected", "ejected")})
        self.rig.let_pass(20)
        self.assertEqual(self.states(self.two), {"kvm-1": ("connected", "ready")})

    def test_moved(self) -> None:
        """A host that is elsewhere now is dialled there."""
        self.one.links.host_came("kvm-2", "192.0.2.1:9999")
        self.rig.pump()
        self.assertEqual(self.states(self.one), {"kvm-2": ("dialling", "no")})
        self.one.links.host_came("kvm-2", self.two.address)
        self.rig.pump()
        self.assertEqual(self.states(self.one), {"kvm-2": ("connected", "no")})
        self.one.links.host_left("kvm-2")
        self.one.links.host_left("kvm-2")
        self.assertEqual(self.states(self.one), {})

    def test_strangers(self) -> None:
        """Another authority's certificate lets nobody in, nor does one's own or another name."""
        stranger = self.rig.add("kvm-3", Authority("Another one"))
        stranger.links.host_came("kvm-1", self.one.address)
        self.rig.pump()
        self.rig.serving(stranger)
        self.assertEqual(self.states(self.one), {})
        self.one.links.host_came("kvm-1", self.one.address)
        self.two.links.host_came("kvm-9", self.one.address)
        self.rig.pump()
        self.assertEqual(self.states(self.one), {})
        self.assertEqual(self.states(self.two), {"kvm-9": ("waiting", "no")})
        (route,) = stranger.registry.routes()
        self.assertIsNone(self.one.registry.pool(route))

    def test_says_another_name(self) -> None:
        """Who says to be another host than its certificate is refused."""
        self.two.links._certificates.name = "kvm-9"
        self.two.links.host_came("kvm-1", self.one.address)
        self.rig.pump()
        self.assertEqual(self.states(self.one), {})

    def test_stop(self) -> None:
        """A host that stops answers what it was asked, and is asked nothing new."""
        self.rig.introduce(self.one, self.two)
        guest = self.rig.serving(self.one)
        _, sink = self.ask(self.two)
        left: Deferred[Any] = self.one.links.leave()
        self.rig.pump()
        self.assertNoResult(left)
        self.assertEqual(self.states(self.two), {"kvm-1": ("waiting", "draining")})
        self.answer(guest)
        self.assertTrue(sink.complete)
        self.successResultOf(left)
        self.one.links.host_came("kvm-2", self.two.address)
        self.assertEqual(self.states(self.one), {})

    def next_process(self) -> MemoryHost:
        """Another process of the first host: it has its port, and has dialled the second."""
        files = self.one.links._certificates._paths
        new = MemoryHost(self.rig.reactor, "kvm-1", self.one.port, files, self.told)
        self.rig.hosts["kvm-1"] = new
        new.links.host_came("kvm-2", self.two.address)
        self.rig.pump()
        return new

    def test_hand_over_of_who_asks(self) -> None:
        """Who hands over asks for its last clients; the next process does beside it, and on."""
        self.rig.introduce(self.one, self.two)
        guest = self.rig.serving(self.two)
        new = self.next_process()
        self.one.links.drain()
        self.rig.let_pass(1)
        for host in (self.one, new, self.one):
            _, sink = self.ask(host)
            self.answer(guest)
            self.assertTrue(sink.complete)
        dialled = self.rig.dialled
        self.one.links.ask_no_more()
        self.rig.let_pass(1)
        self.assertEqual(self.states(self.one), {"kvm-2": ("no", "draining")})
        self.assertEqual(self.states(new), {"kvm-2": ("connected", "ready")})
        self.assertEqual(self.states(self.two), {"kvm-1": ("connected", "ready")})
        self.assertEqual(self.rig.dialled, dialled)

    def test_hand_over(self) -> None:
        """Another process takes the place of one, on both sides, and loses nothing."""
        self.rig.introduce(self.one, self.two)
        guest = self.rig.serving(self.one)
        _, sink = self.ask(self.two, method=b"POST")
        new = self.next_process()
        self.one.links.drain()
        fresh = self.rig.serving(new, "2")
        self.ask(self.two)
        self.assertEqual(len(fresh.take(m.Request)), 1)
        self.answer(guest)
        self.assertTrue(sink.complete)
        self.rig.let_pass(1)
        self.successResultOf(self.one.links.when_idle())
        self.assertEqual(self.states(new), {"kvm-2": ("connected", "ready")})
        self.assertEqual(self.states(self.two), {"kvm-1": ("connected", "ready")})


class Published:
    """A publisher that writes down what it is told."""

    def __init__(self) -> None:
        self.routes: list[Route] = []
        self.frozen = False

    def serve(self, route: Route) -> None:
        self.routes.append(route)

    def withdraw(self, route: Route) -> None:
        self.routes.remove(route)

    def freeze(self) -> None:
        self.frozen = True

    def stopService(self) -> Deferred[None]:
        self.routes.clear()
        return succeed(None)


class StoredHostsTests(HostsCase):
    """Those of a cluster: the store says who has what."""

    told = True

    def setUp(self) -> None:
        super().setUp()
        self.published = Published()
        self.one.links.publisher = self.published
        self.one.links.tells = False
        self.rig.introduce(self.one, self.two)

    def test_published(self) -> None:
        """What is served here is published, and nobody is told over a connection."""
        guest = self.rig.serving(self.one)
        self.assertEqual(self.published.routes, [ROUTE])
        self.assertEqual(len(self.two.registry), 0)
        guest.lose()
        self.assertEqual(self.published.routes, [])

    def test_asked(self) -> None:
        """The host that has it, as the store says, is asked; until it has it no more."""
        guest = self.rig.serving(self.one)
        self.two.links.route_came("kvm-1", ROUTE)
        _, sink = self.ask(self.two)
        self.answer(guest, b"there")
        self.assertEqual(sink.body, b"there")
        self.assertEqual([each["routes"] for each in self.two.links.data()], [1])
        self.two.links.route_left("kvm-1", ROUTE)
        self.assertEqual([each["routes"] for each in self.two.links.data()], [0])
        pool = self.two.registry.pool(ROUTE)
        assert pool is not None
        self.assertEqual(pool.members, [])

    def test_not_reached_yet(self) -> None:
        """A request for what a host has that has not dialled yet waits for it."""
        three = self.rig.add("kvm-3")
        guest = self.rig.serving(three)
        self.two.links.route_came("kvm-3", ROUTE)
        _, sink = self.ask(self.two)
        self.assertIsNone(sink.error)
        three.links.host_came("kvm-2", self.two.address)
        self.rig.pump()
        self.answer(guest)
        self.assertTrue(sink.complete)
        self.rig.cut()
        self.two.links.route_left("kvm-3", ROUTE)
        self.assertEqual(self.states(self.two), {"kvm-1": ("waiting", "no")})

    def test_says_so_itself(self) -> None:
        """A host that offers a route over its connection is not believed."""
        for each in self.one.links._asking:
            each.serve(ROUTE)
        self.rig.pump()
        self.assertEqual(len(self.two.registry), 0)

    def test_bad_pattern(self) -> None:
        """A pattern that is none here is left out."""
        self.two.links.route_came("kvm-1", Route(b"(((\\.example", lazy=True))
        self.assertEqual(len(self.two.registry), 0)

    def test_hand_over(self) -> None:
        """Who hands over publishes nothing more."""
        self.one.links.drain()
        self.assertTrue(self.published.frozen)

    def test_stop(self) -> None:
        """Who stops has published nothing."""
        self.rig.serving(self.one)
        left = self.one.links.leave()
        self.rig.pump()
        self.successResultOf(left)
        self.assertEqual(self.published.routes, [])


class EndpointTests(SynchronousTestCase):
    def test_kinds(self) -> None:
        """An address is dialled as it is, a name looked up."""
        for address, kind in (
            ("192.0.2.1:1", TCP4ClientEndpoint),
            ("[2001:db8::1]:1", TCP6ClientEndpoint),
            ("kvm-2.example:1", HostnameEndpoint),
        ):
            self.assertIsInstance(endpoint_of(_Resolving(), address), kind)


@implementer(IReactorPluggableNameResolver)
class _Resolving(Clock):
    nameResolver = None


def _member() -> Member:
    return Member("vm:x", b"a", b"i", now=0.0)


class ServedRoutesTests(SynchronousTestCase):
    def test_counted(self) -> None:
        """A route is there from its first guest to its last."""
        heard: list[str] = []
        served = ServedRoutes(
            lambda route: heard.append("came"), lambda route: heard.append("left")
        )
        one, two = _member(), _member()
        served.served(one, ROUTE, True)
        served.served(one, ROUTE, True)
        served.served(two, ROUTE, True)
        self.assertEqual((heard, list(served), len(served)), (["came"], [ROUTE], 1))
        served.served(one, ROUTE, False)
        served.served(one, ROUTE, False)
        served.server_left(one)
        self.assertEqual(heard, ["came"])
        served.server_left(two)
        self.assertEqual((heard, len(served)), (["came", "left"], 0))
