"""What the dispatcher does by the rules of sites, whatever frontend gives it exchanges."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.exchange import ACCEPTED, Exchange, RequestHead
from subproxy.core.sites.site_table import SiteTable
from subproxy.errors import (
    ClientGone,
    Forbidden,
    NoSubscriber,
    QueueFull,
    QueueTimeout,
    TooManyRequests,
)
from subproxy.wire import messages as m
from tests.rigs.private_site import sites_of
from tests.rigs.world import Guest, RecordingSink, World


class SiteCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()

    def sites(self, text: str) -> None:
        """Go by one site of a.example that says C{text}."""
        sites = sites_of(f'[[site]]\nhosts = "a.example"\n{text}\n')
        self.world.router.set_sites(SiteTable(sites))

    def ask(
        self, *fields: tuple[bytes, bytes], client: bytes = b"192.0.2.7"
    ) -> tuple[Exchange, RecordingSink]:
        sink = RecordingSink()
        head = RequestHead(b"GET", b"/", b"a.example", b"/", list(fields), client)
        exchange = Exchange(head, b"", sink)
        self.world.dispatcher.dispatch(exchange)
        return exchange, sink

    def requests(self, guest: Guest) -> list[m.Request]:
        guest.pump()
        return guest.take(m.Request)

    def answer(self, guest: Guest, number: int) -> None:
        guest.say(m.Response(number, 200, [], {}, b"ok"))


class AccessTests(SiteCase):
    def test_which_rules(self) -> None:
        """Those that a request will be held to."""
        head = RequestHead(b"GET", b"/", b"a.example", b"/", [])
        self.assertIsNone(self.world.dispatcher.site_rules(head))
        self.sites("max-body = 7")
        rules = self.world.dispatcher.site_rules(head)
        assert rules is not None
        self.assertEqual(rules.max_body, 7)
        head.host = b"b.example"
        self.assertIsNone(self.world.dispatcher.site_rules(head))

    def test_access_before_anybody_waits(self) -> None:
        """Neither a place in a queue is taken, nor a retry paid for, nor a guest asked."""
        self.world.serving("1").lose()
        self.sites('networks = "10.0.0.0/8"\nhold = 30')
        exchange, sink = self.ask()
        self.assertIsInstance(sink.error, Forbidden)
        assert exchange.pool is not None
        self.assertEqual((self.world.admission.waiting, exchange.attempts), (0, 0))
        self.assertEqual(self.world.dispatcher.budget(exchange.pool).requests, 0)
        _, sink = self.ask(client=b"10.0.0.1")
        self.assertIsNone(sink.error)
        self.assertEqual(self.world.admission.waiting, 1)

    def test_where_nobody_serves(self) -> None:
        """A redirect needs no guest; and who may not ask gets no 404."""
        self.sites('redirect = "https://b.example{uri}"')
        _, sink = self.ask()
        assert sink.head is not None
        self.assertEqual(sink.head.headers, [(b"Location", b"https://b.example/")])
        self.assertTrue(sink.complete)
        self.sites('networks = "10.0.0.0/8"')
        self.assertIsInstance(self.ask()[1].error, Forbidden)

    def test_counted_until_it_is_over(self) -> None:
        """Also while it waits, and however it ends."""
        guest = self.world.serving("1", concurrency=1)
        self.sites("connections = 2")
        self.ask()
        waiting, _ = self.ask()
        _, sink = self.ask()
        self.assertIsInstance(sink.error, TooManyRequests)
        waiting.cancel(ClientGone())
        _, sink = self.ask()
        self.assertIsNone(sink.error)
        for request in self.requests(guest):
            self.answer(guest, request.exchange)
        guest.lose()
        self.world.advance(20)
        self.assertEqual(self.world.dispatcher.entrance.clients.under_way, 0)

    def test_a_retry_is_no_second_request(self) -> None:
        """What moves to another guest has been counted, and is the same for it."""
        first = self.world.serving("1")
        self.sites('rate = 0.1\nconnections = 1\nhost = "internal"')
        _, sink = self.ask((b"Host", b"a.example"))
        second = self.world.serving("2")
        first.lose()
        [request] = self.requests(second)
        self.assertEqual(request.headers[0], (b"Host", b"internal"))
        self.answer(second, request.exchange)
        self.assertEqual(sink.body, b"ok")


class AnswerTests(SiteCase):
    def test_fields_of_a_tunnel(self) -> None:
        """What a site sets of answers, it sets of one that begins a tunnel, too."""
        self.sites('[site.response-headers]\nset = { X-Site = "a" }\nremove = ["X-Guest"]')
        self.world.serving("1")
        exchange, sink = self.ask()
        exchange.tunnel_start(200, [(b"X-Guest", b"b")], b"x")
        assert sink.head is not None
        self.assertEqual(sink.head.headers, [(b"X-Site", b"a")])
        self.assertEqual(sink.tunnel, b"x")
        # Of the head nothing is kept as long as the tunnel lasts.
        self.assertIs(exchange.response, ACCEPTED)


class WaitingTests(SiteCase):
    def test_hold(self) -> None:
        """Longer or shorter than for others."""
        self.world.serving("1").lose()
        self.sites("hold = 2")
        _, sink = self.ask()
        self.world.advance(1.5)
        self.assertIsNone(sink.error)
        self.world.advance(2)
        self.assertIsInstance(sink.error, NoSubscriber)
        self.sites("hold = 0")
        self.assertIsInstance(self.ask()[1].error, NoSubscriber)

    def test_queue_timeout(self) -> None:
        self.world.serving("1", concurrency=1)
        self.ask()
        self.sites("queue-timeout = 2")
        _, sink = self.ask()
        self.world.advance(1.5)
        self.assertIsNone(sink.error)
        self.world.advance(2)
        self.assertIsInstance(sink.error, QueueTimeout)
        self.sites("queue-timeout = 0")
        self.assertIsInstance(self.ask()[1].error, QueueFull)


class StickyTests(SiteCase):
    def setUp(self) -> None:
        super().setUp()
        self.guests = [self.world.serving(str(number), concurrency=1) for number in range(4)]
        self.sites('sticky = "cookie"')

    def given(self) -> tuple[Guest, m.Request]:
        """Who was given the last request."""
        for guest in self.guests:
            for request in self.requests(guest):
                return guest, request
        raise AssertionError("nobody was given it")

    def asked(self, *fields: tuple[bytes, bytes]) -> tuple[Guest, list[bytes]]:
        """Who was asked, and the cookies that the client got."""
        _, sink = self.ask(*fields)
        guest, request = self.given()
        self.answer(guest, request.exchange)
        assert sink.head is not None
        return guest, [value for name, value in sink.head.headers if name == b"Set-Cookie"]

    def test_a_session_stays(self) -> None:
        guest, [cookie] = self.asked()
        said = (b"Cookie", cookie.partition(b";")[0])
        for _ in range(10):
            self.assertEqual(self.asked(said), (guest, []))

    def test_one_that_is_busy_is_waited_for(self) -> None:
        guest, [cookie] = self.asked()
        said = (b"Cookie", cookie.partition(b";")[0])
        self.ask(said)
        taker, request = self.given()
        self.assertIs(taker, guest)
        _, sink = self.ask(said)
        self.assertEqual([len(self.requests(each)) for each in self.guests], [0, 0, 0, 0])
        self.answer(guest, request.exchange)
        [request] = self.requests(guest)
        self.answer(guest, request.exchange)
        self.assertTrue(sink.complete)
        # Where nobody may wait, another is better than none.
        self.ask(said)
        self.sites('sticky = "cookie"\nqueue-timeout = 0')
        self.requests(guest)
        other, [_] = self.asked(said)
        self.assertIsNot(other, guest)

    def test_one_that_is_gone(self) -> None:
        """Another takes the session over, and the client is told."""
        guest, [cookie] = self.asked()
        said = (b"Cookie", cookie.partition(b";")[0])
        guest.lose()
        self.guests.remove(guest)
        other, [new] = self.asked(said)
        self.assertIsNot(other, guest)
        said = (b"Cookie", new.partition(b";")[0])
        self.assertEqual(self.asked(said), (other, []))

    def test_one_that_fails_it(self) -> None:
        """What it refuses goes to another, which the client is told of."""
        guest, [cookie] = self.asked()
        _, sink = self.ask((b"Cookie", cookie.partition(b";")[0]))
        [request] = self.requests(guest)
        guest.say(m.Abort(request.exchange, b"refused"))
        other, request = self.given()
        self.assertIsNot(other, guest)
        self.answer(other, request.exchange)
        assert sink.head is not None
        self.assertEqual([name for name, _ in sink.head.headers], [b"Set-Cookie"])

    def test_by_a_field(self) -> None:
        self.sites('sticky = { header = "X-User" }')
        seen = set()
        for user in range(20):
            said = (b"x-user", b"%d" % user)
            guest, cookies = self.asked(said)
            self.assertEqual((self.asked(said), cookies), ((guest, []), []))
            seen.add(guest)
        self.assertGreater(len(seen), 1)
