"""What waited in the dispatcher is given to a subscriber that comes."""

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from subproxy.core.balancing.member import MemberEvent
from subproxy.core.balancing.pool_owner import PoolOwner
from subproxy.core.exchange import Exchange, Headers, IChannel
from subproxy.core.interfaces import IUpstreamRequest
from subproxy.core.routing.route import Route
from subproxy.errors import (
    ClientGone,
    NoRoute,
    NoSubscriber,
    ProxyError,
)
from tests.rigs.core_strategies import make_member
from tests.rigs.world import World


@implementer(IChannel)
class InstantChannel:
    """A subscriber that answers at once, and notes how deep its calls are nested."""

    identity = "instant"
    tunnels = 0

    def __init__(self) -> None:
        self.first: Callable[[], None] = lambda: None
        self.depth = self.deepest = 0

    def send(self, exchange: Exchange) -> None:
        self.depth += 1
        self.deepest = max(self.deepest, self.depth)
        self.first()
        assert exchange.member is not None
        exchange.taken(exchange.member, RecordingCarrier())
        exchange.response_start(200, b"", [], b"")
        self.depth -= 1


@implementer(IUpstreamRequest)
class RecordingCarrier:
    """Carries nothing."""

    def sendBody(self, data: bytes) -> None: ...

    def endBody(self, trailers: Headers) -> None: ...

    def cancel(self, error: ProxyError) -> None: ...

    def consumed(self, amount: int) -> None: ...


class DeliveryTests(SynchronousTestCase):
    """What waited is given to a subscriber that comes."""

    def setUp(self) -> None:
        self.world = World()
        self.world.serving("1").lose()
        self.asked = [self.world.ask(target=b"/%d" % number) for number in range(5)]
        self.channel = InstantChannel()
        self.member = make_member("instant")
        self.member.channel = self.channel

    def come(self) -> None:
        """The subscriber registers what is waited for."""
        pool = self.asked[0][0].pool
        assert pool is not None
        self.world.registry.register(self.member, pool.route, 0.0)
        self.world.dispatcher.capacity(self.member)

    def test_doubles(self) -> None:
        verifyObject(IChannel, self.channel)
        verifyObject(IUpstreamRequest, RecordingCarrier())

    def test_one_after_the_other(self) -> None:
        """However many wait: their deliveries are not nested, though each makes room for one."""
        self.member.concurrency = 1
        self.come()
        self.assertEqual([sink.complete for _, sink in self.asked], [True] * 5)
        self.assertEqual((self.channel.deepest, self.member.in_flight), (1, 0))

    def test_who_has_another_route_by_now(self) -> None:
        """It goes there, whoever waits before it; the others wait where they are."""
        pool = self.asked[0][0].pool
        assert pool is not None
        host = pool.route.host.source
        self.world.registry.register(self.member, Route(host, b"/3"), 0.0)
        self.world.dispatcher.reroute(pool)
        self.assertEqual([sink.complete for _, sink in self.asked], [False] * 3 + [True, False])
        self.assertEqual(self.world.admission.waiting, 4)

    def test_whose_host_is_passed_through_by_now(self) -> None:
        """There are no other routes of that name: all that wait are told so."""
        pool = self.asked[0][0].pool
        assert pool is not None
        route = Route(pool.route.host.source, passthrough=True)
        self.world.registry.register(self.member, route, 0.0)
        self.world.dispatcher.reroute(pool)
        self.assertEqual([type(sink.error) for _, sink in self.asked], [NoRoute] * 5)
        self.assertEqual(self.world.admission.waiting, 0)

    def test_whom_nobody_will_serve(self) -> None:
        """All that wait are told so, not the first alone."""
        pool = self.asked[0][0].pool
        assert pool is not None
        self.world.dispatcher.own(pool, owner := PoolOwner("blog", 60.0))
        self.assertEqual(self.world.admission.waiting, 5)
        owner.up_since = pool.vacant_since = self.world.clock.seconds()
        self.world.clock.advance(100.0)
        self.world.dispatcher.reroute(pool)
        self.assertEqual([type(sink.error) for _, sink in self.asked], [NoRoute] * 5)
        self.assertEqual(self.world.admission.waiting, 0)

    def test_a_client_that_leaves_while_others_are_served(self) -> None:
        """It is not served, and its subscriber is free of it."""
        last, sink = self.asked[-1]
        self.channel.first = lambda: last.cancel(ClientGone())
        self.come()
        self.assertEqual([sink.complete for _, sink in self.asked], [True] * 4 + [False])
        self.assertIsNone(sink.error)
        self.assertEqual((last.attempts, self.member.in_flight), (0, 0))

    def test_a_subscriber_that_leaves_while_it_is_served(self) -> None:
        """What it was to be given next waits again."""

        def leave() -> None:
            self.member.feed(MemberEvent.LEAVE, 0.0)
            self.world.registry.remove(self.member, 0.0)

        self.channel.first = leave
        self.come()
        self.assertEqual([sink.complete for _, sink in self.asked], [True] + [False] * 4)
        self.assertEqual((self.member.in_flight, self.world.admission.waiting), (0, 4))
        self.world.advance(60)
        for _, sink in self.asked[1:]:
            self.assertIsInstance(sink.error, NoSubscriber)
