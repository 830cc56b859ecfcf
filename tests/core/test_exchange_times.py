"""The parts of the time that an exchange takes, and what a client is told of them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.config.configuration import parse_configuration
from subproxy.core.balancing.pool_owner import PoolOwner
from subproxy.core.exchange import Exchange
from subproxy.core.routing.route import Route
from subproxy.core.sites.site_table import SiteTable
from subproxy.errors import ClientGone
from subproxy.wire import messages as m
from tests.rigs.world import Guest, World


class TimeCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.world.clock.advance(100)

    def answer(self, guest: Guest, *headers: tuple[bytes, bytes]) -> None:
        guest.pump()
        request = guest.take(m.Request)[-1]
        guest.say(m.Response(request.exchange, 200, list(headers), {}, b"ok"))

    def times(self, exchange: Exchange) -> tuple[float, float, float, float]:
        return (exchange.queued, exchange.wake, exchange.guest, exchange.given)


class ExchangeTimeTests(TimeCase):
    def test_at_once(self) -> None:
        guest = self.world.serving()
        exchange, _ = self.world.ask()
        self.world.advance(0.5)
        self.answer(guest)
        self.assertEqual(self.times(exchange), (0.0, 0.0, 0.0, 100.0))

    def test_behind_another(self) -> None:
        guest = self.world.serving(concurrency=1)
        self.world.ask()
        exchange, _ = self.world.ask()
        self.world.advance(0.25)
        self.answer(guest)
        self.assertEqual(self.times(exchange), (0.25, 0.0, 0.0, 100.25))

    def test_of_a_guest_that_died(self) -> None:
        """It had the request for a while; then another did, after a while of nobody."""
        first = self.world.serving()
        exchange, _ = self.world.ask()
        self.world.advance(0.5)
        first.lose()
        self.world.advance(0.25)
        self.assertEqual(self.times(exchange), (0.0, 0.0, 0.5, 0.0))
        self.world.serving("2")
        self.assertEqual(self.times(exchange), (0.25, 0.0, 0.5, 100.75))

    def test_a_machine_that_starts(self) -> None:
        """Whoever leaves before it is up has waited as long."""
        self.declare()
        exchange, _ = self.world.ask()
        leaving, _ = self.world.ask()
        self.world.advance(1.5)
        leaving.cancel(ClientGone())
        self.assertEqual(self.times(leaving), (0.0, 1.5, 0.0, 0.0))
        self.world.advance(0.5)
        self.world.serving(concurrency=1)
        self.assertEqual(self.times(exchange), (0.0, 2.0, 0.0, 102.0))
        behind, _ = self.world.ask()
        self.world.advance(0.25)
        behind.cancel(ClientGone())
        self.assertEqual(self.times(behind), (0.25, 0.0, 0.0, 0.0))

    def test_who_is_told_that_it_was_worth_it(self) -> None:
        """The owner of a machine, once somebody who has waited for it gets an answer."""
        owner = self.declare()
        told: list[object] = []
        owner.answered = lambda owner, by: told.append((owner, by))
        self.world.ask()
        self.world.advance(1.0)
        guest = self.world.guest()
        guest.hello()
        guest.register(rb"a\.example")
        (member,) = self.world.registry.members()
        self.answer(guest)
        self.assertEqual(told, [(owner, member)])
        self.world.ask()
        self.answer(guest)
        self.assertEqual(told, [(owner, member)])

    def test_who_waits_anew(self) -> None:
        """It has waited for the one machine and for the other."""
        self.declare()
        exchange, _ = self.world.ask()
        self.world.advance(1.0)
        assert exchange.pool is not None
        self.world.dispatcher.own(exchange.pool, PoolOwner("other", 30.0))
        self.world.advance(0.5)
        self.world.serving()
        self.assertEqual(self.times(exchange), (0.0, 1.5, 0.0, 101.5))

    def test_who_has_another_route_by_now(self) -> None:
        """It has waited until it went there."""
        self.world.serving().lose()
        exchange, _ = self.world.ask(target=b"/x")
        self.world.advance(0.5)
        assert exchange.pool is not None
        pool = exchange.pool
        guest = self.world.guest("2")
        guest.hello()
        guest.register(rb"a\.example", b"/x")
        self.world.dispatcher.reroute(pool)
        self.assertEqual(self.times(exchange), (0.5, 0.0, 0.0, 100.5))
        self.assertIsNone(exchange.ticket)

    def test_a_tunnel_that_has_waited(self) -> None:
        """It is an answer, too."""
        owner = self.declare()
        told: list[object] = []
        owner.answered = lambda owner, by: told.append((owner, by))
        exchange, _ = self.world.ask()
        self.world.advance(1.0)
        guest = self.world.serving()
        guest.pump()
        exchange.tunnel_start(200, [], b"websocket")
        self.assertEqual(told, [(owner, exchange.member)])

    def declare(self) -> PoolOwner:
        owner = PoolOwner("vm", 30.0)
        self.world.registry.owner_of = lambda route: owner
        self.world.registry.declare(Route(rb"a\.example"), 100.0)
        return owner

    def test_too_long(self) -> None:
        guest = self.world.serving(concurrency=1)
        self.world.ask()
        exchange, sink = self.world.ask()
        self.world.advance(10)
        assert sink.error is not None
        self.assertEqual(sink.error.code, "queue-timeout")
        self.assertEqual(self.times(exchange), (10.0, 0.0, 0.0, 0.0))
        guest.lose()


class ServerTimingTests(TimeCase):
    def sites(self, text: str) -> None:
        self.world.router.set_sites(SiteTable(parse_configuration(text).sites))

    def test_a_client_is_told(self) -> None:
        """Beside what the guest says of itself."""
        self.sites('[[site]]\nhosts = "a.example"\nserver-timing = true\n')
        guest = self.world.serving(concurrency=1)
        self.world.ask()
        _, sink = self.world.ask()
        self.world.advance(0.25)
        self.answer(guest)
        self.world.advance(0.0125)
        self.answer(guest, (b"server-timing", b"db;dur=5"))
        assert sink.head is not None
        self.assertEqual(
            sink.head.headers,
            [
                (b"server-timing", b"db;dur=5"),
                (b"Server-Timing", b"queued;dur=250.000, wake;dur=0.000, guest;dur=12.500"),
            ],
        )

    def test_nobody_is_told_without(self) -> None:
        """Nor where a narrower site lifts it, nor of an answer of ours."""
        self.sites(
            '[[site]]\nhosts = "*"\nserver-timing = true\n'
            '[[site]]\nhosts = "a.example"\nserver-timing = false\n'
            '[[site]]\nhosts = "b.example"\nredirect = "/b"\n'
        )
        guest = self.world.serving()
        _, sink = self.world.ask()
        self.answer(guest)
        _, redirected = self.world.ask(host=b"b.example")
        for each in (sink, redirected):
            assert each.head is not None
            self.assertNotIn(b"Server-Timing", dict(each.head.headers))
