"""Exchanges over one subscription, both ends of the wire in memory."""

from hashlib import sha256

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.access.policy import Policy, Quotas
from subproxy.core.exchange import ExchangeState
from subproxy.core.http.client_tls import ClientTls
from subproxy.core.http.host_names import HostNames
from subproxy.errors import BadRequest, ClientGone, GuestGone, GuestMisbehaved, GuestRefused
from subproxy.subscription.registrar import TLS_NAMES
from subproxy.subscription.settings import SubscriptionSettings
from subproxy.wire import messages as m
from subproxy.wire.frames import decode, encode
from subproxy.wire.limits import MAX_CERTIFICATE, Limits
from tests.rigs.world import World


class ChannelTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.guest = self.world.serving()

    def request(self, guest=None) -> m.Request:
        guest = guest or self.guest
        guest.pump()
        (request,) = guest.take(m.Request)
        return request

    def tls_told(
        self, *names: bytes, certificate: bytes | None = b"DER", **limits: int
    ) -> m.Request:
        """What a guest that is told so much hears of a client."""
        world = World()
        world.registrar.tells_tls = TLS_NAMES
        guest = world.guest(limits=Limits(**limits) if limits else None)
        guest.hello()
        guest.say(m.Register(1, b"a\\.example", b"/.*", {b"tls": list(names)} if names else {}))
        tls = ClientTls(HostNames([b"a.example"]), b"a.example")
        tls.agreed(b"1.3", b"h2", certificate)
        world.ask(tls=tls)
        guest.events = [each for each in guest.events if isinstance(each, m.Request)]
        return self.request(guest)

    def test_tls_information(self) -> None:
        """As much as was granted, and of nobody who came without TLS."""
        self.assertNotIn(b"tls", self.tls_told().info)
        self.assertEqual(
            self.tls_told(b"sni", b"alpn").info[b"tls"],
            {b"version": b"1.3", b"sni": b"a.example", b"alpn": b"h2"},
        )
        shown = {b"verified": True, b"sha256": sha256(b"DER").digest(), b"cert": b"DER"}
        self.assertEqual(self.tls_told(b"cert").info[b"tls"], {b"version": b"1.3", **shown})
        self.assertEqual(
            self.tls_told(b"cert", certificate=None).info[b"tls"], {b"version": b"1.3"}
        )

    def test_a_certificate_that_is_too_long(self) -> None:
        """Who it is the digest tells, too."""
        for size, limits in ((MAX_CERTIFICATE + 1, {}), (20_000, {"frame": 16_384, "inline": 0})):
            told = self.tls_told(b"cert", certificate=b"x" * size, **limits).info[b"tls"]
            self.assertEqual(sorted(told), [b"sha256", b"verified", b"version"])

    def test_request_and_response(self) -> None:
        """A request goes to the guest, its response to the frontend, and is no longer in flight."""
        exchange, sink = self.world.ask(target=b"/x?y", client=b"9.9.9.9", request_id=b"r1")
        request = self.request()
        self.assertEqual((request.method, request.target), (b"GET", b"/x?y"))
        self.assertEqual(request.body, b"")
        self.assertEqual(
            request.info,
            {b"client": b"9.9.9.9", b"scheme": b"http", b"version": b"1.1", b"id": b"r1"},
        )
        assert exchange.member is not None
        self.assertEqual(exchange.member.in_flight, 1)
        self.guest.say(m.Response(request.exchange, 200, [(b"x", b"y")], {}, b"hello"))
        assert sink.head is not None
        self.assertEqual((sink.head.status, sink.head.headers), (200, [(b"x", b"y")]))
        self.assertEqual((sink.body, sink.complete), (b"hello", True))
        self.assertEqual((exchange.state, exchange.member.in_flight), (ExchangeState.DONE, 0))

    def test_answers_in_any_order(self) -> None:
        """Exchanges of one subscription don't wait for each other."""
        _, first = self.world.ask(target=b"/1")
        _, second = self.world.ask(target=b"/2")
        self.guest.pump()
        one, two = self.guest.take(m.Request)
        self.guest.say(m.Response(two.exchange, 200, [], {}, two.target))
        self.assertEqual((first.complete, second.body), (False, b"/2"))
        self.guest.say(m.Response(one.exchange, 200, [], {}, one.target))
        self.assertEqual(first.body, b"/1")

    def test_interim_responses_without_end(self) -> None:
        """The client gets 502, and the guest an abort; it is an offence."""
        _, sink = self.world.ask()
        request = self.request()
        hints = m.Response(request.exchange, 103, [(b"link", b"x" * 900)])
        for _ in range(20):
            self.guest.wire._out += hints.pieces()
        self.guest.pump()
        self.assertEqual(len(sink.interim), 15)
        self.assertIsInstance(sink.error, GuestMisbehaved)
        self.assertEqual([each.code for each in self.guest.take(m.Abort)], [b"protocol"])
        self.assertEqual(len(self.guest.protocol._offences), 1)

    def test_interim_responses_that_clients_do_not_take(self) -> None:
        """They count as held of the guest, until its exchanges are over."""
        self.world.registrar.policy = Policy(None, Quotas(buffer=2500))
        held = self.guest.protocol._held
        sinks = []
        for _ in range(3):
            _, sink = self.world.ask()
            sink.interim_waits = 1000
            sinks.append(sink)
            self.guest.say(m.Response(self.request().exchange, 103, []))
        self.assertEqual([type(sink.error) for sink in sinks], [type(None)] * 2 + [GuestMisbehaved])
        self.assertEqual(held.total, 2000)
        self.guest.say(m.Response(1, 200, [], {}, b"ok"))
        self.assertEqual((sinks[0].body, held.total), (b"ok", 1000))
        self.guest.lose()
        self.assertEqual(held.total, 0)

    def test_streamed_request_stops_without_credit(self) -> None:
        """A guest that reads nothing pauses its own upload only, and credit resumes it."""
        exchange, sink = self.world.ask(b"POST", body=None)
        self.assertFalse(sink.paused)
        exchange.request_data(b"x" * 65536)
        self.assertFalse(sink.paused)
        exchange.request_data(b"y" * 10)
        self.assertTrue(sink.paused)
        request = self.request()
        self.assertEqual(request.body, None)
        got = b"".join(body.data for body in self.guest.take(m.Body))
        self.assertEqual(got, b"x" * 65536)
        self.guest.wire.consumed(request.exchange, 65536)
        self.guest.pump()
        self.assertFalse(sink.paused)
        exchange.request_end([(b"t", b"1")])
        self.guest.pump()
        self.assertEqual(b"".join(body.data for body in self.guest.take(m.Body)), b"y" * 10)
        self.assertEqual(self.guest.take(m.End)[0].trailers, [(b"t", b"1")])

    def test_the_guest_is_told_the_length(self) -> None:
        for body, more, told in (
            (b"abc", {"length": 3}, [(b"Content-Length", b"3")]),
            (None, {"length": 70_000}, [(b"Content-Length", b"70000")]),
            (None, {}, []),
            (b"", {}, []),
        ):
            self.world.ask(b"POST", body=body, **more)
            self.assertEqual(self.request().headers, told)

    def test_streamed_response_under_credit(self) -> None:
        """Credit for a response goes back only as the client takes it."""
        exchange, sink = self.world.ask()
        request = self.request()
        self.guest.say(m.Response(request.exchange, 200, [], {}, None))
        waiting = self.guest.wire.write_body(request.exchange, b"z" * 100_000)
        self.guest.wire.end_body(request.exchange, [(b"t", b"2")])
        self.guest.pump()
        self.assertEqual((len(sink.body), waiting), (65536, 100_000 - 65536))
        exchange.response_consumed(65536)
        self.guest.pump()
        self.assertEqual((sink.body, sink.complete), (b"z" * 100_000, True))
        self.assertEqual(sink.trailers, [(b"t", b"2")])

    def test_expect_waits_for_the_guest(self) -> None:
        """A body that is announced by Expect is asked for only when the guest grants credit."""
        _, sink = self.world.ask(b"POST", body=None, expect=True)
        self.assertTrue(sink.paused)
        request = self.request()
        self.assertIs(request.info[b"expect"], True)
        self.guest.wire.consumed(request.exchange, 0)
        self.guest.pump()
        self.assertFalse(sink.paused)

    def test_interim(self) -> None:
        """Interim responses pass; the final one follows."""
        _, sink = self.world.ask()
        request = self.request()
        self.guest.say(m.Response(request.exchange, 103, [(b"link", b"</a>")]))
        self.assertEqual((sink.interim, sink.head), ([103], None))
        self.guest.say(m.Response(request.exchange, 200, []))
        self.assertTrue(sink.complete)

    def test_large_held_body_is_streamed_to_a_small_guest(self) -> None:
        """A held body above the guest's C{inline} is sent in body frames."""
        guest = self.world.serving("2", b"small", Limits(frame=4096, inline=10))
        self.world.ask(b"PUT", b"small", body=b"q" * 3000)
        request = self.request(guest)
        self.assertEqual(request.body, None)
        self.assertEqual(b"".join(b.data for b in guest.take(m.Body)), b"q" * 3000)
        self.assertEqual(len(guest.take(m.End)), 1)

    def test_head_too_large_for_the_guest(self) -> None:
        """A request that the guest cannot take fails alone."""
        self.world.serving("2", b"small", Limits(frame=1024, inline=10))
        exchange, sink = self.world.ask(host=b"small", target=b"/" + b"t" * 2000)
        assert sink.error is not None
        assert exchange.member is not None
        self.assertEqual((sink.error.status, exchange.member.in_flight), (431, 0))

    def test_head_too_large_with_or_without_its_body(self) -> None:
        """Likewise where the body would have gone with it."""
        guest = self.world.serving("2", b"small", Limits(frame=2048, inline=1000))
        exchange, sink = self.world.ask(
            b"POST", host=b"small", target=b"/" + b"t" * 3000, body=b"x"
        )
        assert sink.error is not None
        assert exchange.member is not None
        self.assertEqual((sink.error.status, exchange.member.in_flight), (431, 0))
        _, good = self.world.ask(b"POST", host=b"small", body=b"x")
        guest.say(m.Response(self.request(guest).exchange, 200, []))
        self.assertTrue(good.complete)

    def test_trailers_too_large_for_the_guest(self) -> None:
        """A request whose trailers the guest cannot take fails alone, and it hears of that."""
        guest = self.world.serving("2", b"small", Limits(frame=2048, inline=1000))
        exchange, sink = self.world.ask(b"POST", host=b"small", body=None)
        request = self.request(guest)
        exchange.request_data(b"some")
        exchange.request_end([(b"x", b"t" * 3000)])
        assert sink.error is not None
        self.assertEqual(sink.error.status, 431)
        guest.pump()
        self.assertEqual([each.exchange for each in guest.take(m.Abort)], [request.exchange])
        _, good = self.world.ask(host=b"small")
        guest.say(m.Response(self.request(guest).exchange, 200, []))
        self.assertTrue(good.complete)

    def test_a_body_that_fits_only_without_its_head(self) -> None:
        """It is streamed, though the guest takes bodies of its size in a request."""
        guest = self.world.serving("2", rb"small\.example", Limits(frame=2048, inline=2048))
        _, sink = self.world.ask(
            b"POST", b"small.example", body=b"x" * 1900, target=b"/" + b"a" * 300
        )
        request = self.request(guest)
        self.assertIsNone(request.body)
        self.assertEqual(b"".join(body.data for body in guest.take(m.Body)), b"x" * 1900)
        self.assertEqual(len(guest.take(m.End)), 1)
        guest.say(m.Response(request.exchange, 200, []))
        self.assertTrue(sink.complete)

    def test_a_body_before_its_response(self) -> None:
        """What breaks the rules of the wire in one exchange costs that one."""
        _, sink = self.world.ask()
        request = self.request()
        self.guest.protocol.dataReceived(encode([b"body", request.exchange, b"x"]))
        self.assertIsInstance(sink.error, GuestMisbehaved)
        _, good = self.world.ask()
        request = self.request()
        self.guest.say(m.Response(request.exchange, 200, []))
        self.assertTrue(good.complete)

    def test_it_is_shown_by_its_vm(self) -> None:
        self.world.ask()
        self.assertEqual(
            repr(self.guest.protocol.subscription.channel), "<Channel vm:1 exchanges=1>"
        )

    def test_client_leaves(self) -> None:
        """The guest is told at once, and what it still sends is ignored."""
        exchange, sink = self.world.ask()
        request = self.request()
        exchange.cancel(ClientGone())
        self.guest.pump()
        (abort,) = self.guest.take(m.Abort)
        self.assertEqual((abort.exchange, abort.code), (request.exchange, b"client"))
        assert exchange.member is not None
        self.assertEqual(exchange.member.in_flight, 0)
        self.assertIsNone(sink.error)

    def test_guest_dies(self) -> None:
        """Its exchanges fail with 502, its routes are gone at once."""
        _, sink = self.world.ask(b"POST", body=b"x")
        self.guest.pump()
        self.guest.lose()
        self.assertIsInstance(sink.error, GuestGone)
        _, later = self.world.ask()
        self.world.advance(10)
        assert later.error is not None
        self.assertEqual(later.error.status, 503)

    def test_guest_dies_in_mid_response(self) -> None:
        """The client is told that the response is broken."""
        _, sink = self.world.ask()
        request = self.request()
        self.guest.say(m.Response(request.exchange, 200, [], {}, None))
        self.guest.lose()
        self.assertIsInstance(sink.error, GuestGone)

    def test_guest_refuses(self) -> None:
        """A refusal by the only guest is a 503 that says why, and when to come again."""
        _, sink = self.world.ask()
        request = self.request()
        self.guest.say(m.Abort(request.exchange, b"refused", b"too busy"))
        self.assertIsInstance(sink.error, GuestRefused)
        self.assertIn("too busy", str(sink.error))
        assert sink.error is not None
        self.assertEqual((sink.error.status, sink.error.retry_after), (503, 1))

    def test_guest_gives_up(self) -> None:
        """Another abort says that the guest may have executed it."""
        _, sink = self.world.ask(b"POST", body=b"x")
        request = self.request()
        self.guest.say(m.Abort(request.exchange, b"error", b"boom"))
        self.assertIsInstance(sink.error, GuestGone)

    def test_invalid_response(self) -> None:
        """A response that HTTP does not allow costs its exchange a 502 and is counted."""
        _, sink = self.world.ask()
        request = self.request()
        self.guest.say(m.Response(request.exchange, 200, [(b"a\r\nb", b"c")]))
        self.assertIsInstance(sink.error, GuestMisbehaved)
        _, good = self.world.ask()
        request = self.request()
        self.guest.say(m.Response(request.exchange, 200, []))
        self.assertTrue(good.complete)

    def test_a_complete_response_that_is_wrong(self) -> None:
        """The guest is told, though the exchange is over for it; another request goes on."""
        _, sink = self.world.ask()
        request = self.request()
        wrong = [(b"content-length", b"7")]
        self.guest.say(m.Response(request.exchange, 200, wrong, {}, b"hello"))
        self.assertIsInstance(sink.error, GuestMisbehaved)
        # The guest's wire ignores it, as the page says: so look at the bytes.
        _, sink = self.world.ask()
        request = self.request()
        self.guest.wire.send(m.Response(request.exchange, 200, wrong, {}, b"hello"))
        self.guest.protocol.dataReceived(self.guest.wire.data_to_send())
        frame = decode(self.guest.transport.value())
        self.assertEqual(frame[:3], [b"abort", request.exchange, b"protocol"])
        self.assertIn(b"content-length says 7", frame[3])
        self.guest.pump()
        _, good = self.world.ask()
        self.guest.say(m.Response(self.request().exchange, 200, []))
        self.assertTrue(good.complete)

    def test_one_abort_for_a_rule_of_the_wire(self) -> None:
        """The wire has sent it; there is no second one."""
        self.world.ask(b"POST", body=b"x")
        request = self.request()
        self.guest.protocol.dataReceived(
            m.Response(request.exchange, 103, [], {}, b"a body").encode()
        )
        self.assertEqual(
            decode(self.guest.transport.value())[:3], [b"abort", request.exchange, b"protocol"]
        )

    def test_what_the_client_did_wrong(self) -> None:
        """The guest is told that it was the client."""
        exchange, _ = self.world.ask(b"POST", body=b"x")
        self.request()
        exchange.fail(BadRequest("the request body is incomplete"))
        self.guest.pump()
        self.assertEqual(self.guest.take(m.Abort)[0].code, b"client")

    def test_body_longer_than_its_length(self) -> None:
        """More body than Content-Length said is cut off visibly, and the guest told."""
        _, sink = self.world.ask()
        request = self.request()
        self.guest.say(m.Response(request.exchange, 200, [(b"content-length", b"3")], {}, None))
        self.guest.wire.write_body(request.exchange, b"four")
        self.guest.pump()
        self.assertIsInstance(sink.error, GuestMisbehaved)
        self.assertEqual(self.guest.take(m.Abort)[0].code, b"protocol")

    def test_body_shorter_than_its_length(self) -> None:
        """Less body than Content-Length said is a truncation."""
        _, sink = self.world.ask()
        request = self.request()
        self.guest.say(m.Response(request.exchange, 200, [(b"content-length", b"3")], {}, None))
        self.guest.wire.write_body(request.exchange, b"fo")
        self.guest.wire.end_body(request.exchange)
        self.guest.pump()
        self.assertIsInstance(sink.error, GuestMisbehaved)
        self.assertFalse(sink.complete)

    def test_head_has_no_body(self) -> None:
        """A streamed answer to HEAD is complete at its head, and the guest is told to stop."""
        _, sink = self.world.ask(b"HEAD")
        request = self.request()
        self.guest.say(m.Response(request.exchange, 200, [], {}, None))
        self.assertEqual((sink.complete, sink.body), (True, b""))
        self.assertEqual(self.guest.take(m.Abort)[0].code, b"complete")

    def test_repeated_offences_end_the_subscription(self) -> None:
        """The tenth invalid response within a minute is the last."""
        for _ in range(SubscriptionSettings().offences):
            self.world.ask()
            request = self.request()
            self.guest.say(m.Response(request.exchange, 200, [(b"bad name", b"")]))
        self.assertEqual(self.guest.take(m.Bye)[0].code, b"offences")
        self.assertEqual(list(self.world.registry.members()), [])

    def test_congestion(self) -> None:
        """While the guest reads nothing, uploads to it are paused; then they go on."""
        _, sink = self.world.ask(b"POST", body=None)
        self.guest.protocol.pauseProducing()
        self.assertTrue(sink.paused)
        _, other = self.world.ask(b"POST", body=None)
        self.assertTrue(other.paused)
        self.guest.protocol.resumeProducing()
        self.assertEqual((sink.paused, other.paused), (False, False))
