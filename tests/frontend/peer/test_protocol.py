"""Requests that come to one worker, for guests of another."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.access.policy import Policy
from subproxy.core.exchange import ExchangeState
from subproxy.core.http.client_tls import ClientTls
from subproxy.core.http.host_names import HostNames
from subproxy.core.http.upgrade import PASSTHROUGH, Upgrade
from subproxy.core.routing.route import Route
from subproxy.errors import ClientGone, GuestGone, NoRoute, NoSubscriber
from subproxy.frontend.peer.protocol import request_head
from subproxy.wire import messages as m
from tests.rigs.two_workers import TwoWorkers


class PeerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rig = TwoWorkers()
        self.one, self.two = self.rig.one, self.rig.two

    def ask(self, **more: Any) -> Any:
        """A client of the second worker asks; exchange and sink."""
        found = self.two.ask(**more)
        self.rig.pump()
        return found

    def answer(self, guest: Any, *messages: m.Message) -> None:
        """The guest says that, and all moves."""
        for each in messages:
            guest.wire.send(each)
        self.rig.pump()

    def test_a_request(self) -> None:
        """It reaches the guest as it came, and its answer the client."""
        guest = self.rig.serving(self.one)
        _, sink = self.ask(
            method=b"POST",
            target=b"/a?b",
            body=b"hello",
            client=b"192.0.2.7",
            scheme=b"https",
            request_id=b"r1",
        )
        (request,) = guest.take(m.Request)
        self.assertEqual(
            (request.method, request.target, request.body), (b"POST", b"/a?b", b"hello")
        )
        for key, value in ((b"client", b"192.0.2.7"), (b"scheme", b"https"), (b"id", b"r1")):
            self.assertEqual(request.info[key], value)
        self.assertNotIn(b"hops", request.info)
        fields = [(b"x", b"y")]
        said = m.Response(request.exchange, 201, fields, {b"reason": b"Made"}, b"there")
        self.answer(guest, said)
        self.assertTrue(sink.complete)
        self.assertEqual((sink.head.status, sink.head.reason), (201, b"Made"))
        self.assertEqual((sink.head.headers, sink.body), (fields, b"there"))

    def test_passthrough(self) -> None:
        """TLS of the other's client comes to the guest as it would have come here."""
        self.one.registrar.passes_tls = True
        self.one.registrar.policy = Policy(passthrough=True)
        guest = self.rig.serving(self.one, tunnel=[b"tls"])
        guest.say(m.Register(2, b"keys\\.example", b"/.*", {b"passthrough": True}))
        self.rig.pump()
        self.assertIsNotNone(self.two.router.passthrough(b"keys.example"))
        self.assertIsNone(self.two.router.lookup(b"keys.example", b"/"))
        tls = ClientTls(HostNames(()), b"keys.example")
        tls.version = b"1.3"
        exchange, _ = self.ask(
            method=b"CONNECT",
            host=b"keys.example",
            upgrade=PASSTHROUGH,
            tls=tls,
            client=b"192.0.2.7",
        )
        (request,) = guest.take(m.Request)
        self.assertEqual({b"version": b"1.3", b"sni": b"keys.example"}, dict(request.info[b"tls"]))
        self.assertEqual((b"tls", b"192.0.2.7"), (request.info[b"tunnel"], request.info[b"client"]))
        self.answer(guest, m.Response(request.exchange, 200, [], {}, None))
        guest.wire.consumed(request.exchange, 0)
        self.rig.pump()
        self.assertEqual(b"tls", exchange.tunnel)
        exchange.request_data(b"hello")
        self.rig.pump()
        self.assertEqual([b"hello"], [each.data for each in guest.take(m.Body)])

    def test_an_older_process(self) -> None:
        """One that knows nothing of that would have it as a route for HTTP: it is taken back."""
        peer = self.rig.lines[1].peer
        route = Route(b"keys\\.example", passthrough=True)
        peer.serve(route)
        peer._registered(m.Registered(peer._references[route]))
        self.assertNotIn(route, peer._references)

    def test_head(self) -> None:
        """The length that a body would have had is told."""
        guest = self.rig.serving(self.one)
        _, sink = self.ask(method=b"HEAD")
        (request,) = guest.take(m.Request)
        length = [(b"Content-Length", b"77")]
        self.answer(guest, m.Response(request.exchange, 200, length, {}, b""))
        self.assertEqual((sink.head.length, sink.body, sink.complete), (77, b"", True))

    def test_a_streamed_answer(self) -> None:
        """More than a window of it, with credit only as the client takes it, and trailers."""
        guest = self.rig.serving(self.one)
        exchange, sink = self.ask()
        (request,) = guest.take(m.Request)
        self.answer(guest, m.Response(request.exchange, 200, [], {}, None))
        content = bytes(range(256)) * 2000
        guest.wire.write_body(request.exchange, content)
        guest.wire.end_body(request.exchange, [(b"sum", b"1")])
        self.rig.pump()
        self.assertLess(len(sink.body), len(content))
        self.assertFalse(sink.complete)
        taken = 0
        while len(sink.body) > taken:
            came, taken = len(sink.body) - taken, len(sink.body)
            exchange.response_consumed(came)
            self.rig.pump()
        self.assertEqual(sink.body, content)
        self.assertEqual((sink.complete, sink.trailers), (True, [(b"sum", b"1")]))

    def test_a_streamed_upload(self) -> None:
        """It waits for credit of the guest; its end and trailers come."""
        guest = self.rig.serving(self.one)
        exchange, sink = self.ask(method=b"PUT", body=None)
        (request,) = guest.take(m.Request)
        self.assertIsNone(request.body)
        content = b"0123456789" * 20_000
        exchange.request_data(content)
        exchange.request_end([(b"t", b"1")])
        self.rig.pump()
        came = b""
        while pieces := guest.take(m.Body):
            for each in pieces:
                came += each.data
                guest.wire.consumed(request.exchange, len(each.data))
            self.rig.pump()
        self.assertEqual(came, content)
        (end,) = guest.take(m.End)
        self.assertEqual(end.trailers, [(b"t", b"1")])
        self.answer(guest, m.Response(request.exchange, 200, [], {}, b"thanks"))
        self.assertEqual(sink.body, b"thanks")

    def test_expect(self) -> None:
        """The client is asked for its body when the guest wants it, not before."""
        guest = self.rig.serving(self.one)
        _, sink = self.ask(method=b"PUT", body=None, expect=True)
        (request,) = guest.take(m.Request)
        self.assertIs(request.info[b"expect"], True)
        guest.wire.consumed(request.exchange, 0)
        self.rig.pump()
        self.assertFalse(sink.paused)

    def test_interim(self) -> None:
        """Interim responses pass."""
        guest = self.rig.serving(self.one)
        _, sink = self.ask()
        (request,) = guest.take(m.Request)
        self.answer(guest, m.Response(request.exchange, 103, [(b"link", b"</a>")], {}, b""))
        self.assertEqual(sink.interim, [103])

    def test_a_tunnel(self) -> None:
        """Bytes both ways, and each half ends by itself."""
        guest = self.rig.serving(self.one, tunnel=[b"websocket"])
        exchange, sink = self.ask(upgrade=Upgrade((b"websocket",)))
        (request,) = guest.take(m.Request)
        self.assertEqual(request.info[b"tunnel"], b"websocket")
        self.answer(guest, m.Response(request.exchange, 200, [], {}, None))
        self.assertEqual(sink.tunnel, b"websocket")
        guest.wire.write_body(request.exchange, b"from the guest")
        guest.wire.consumed(request.exchange, 0)
        self.rig.pump()
        self.assertEqual(sink.body, b"from the guest")
        exchange.request_data(b"from the client")
        exchange.request_end([])
        self.rig.pump()
        self.assertEqual(b"".join(each.data for each in guest.take(m.Body)), b"from the client")
        self.assertEqual(len(guest.take(m.End)), 1)
        guest.wire.end_body(request.exchange)
        self.rig.pump()
        self.assertEqual((sink.complete, exchange.state), (True, ExchangeState.DONE))

    def test_the_client_leaves(self) -> None:
        """The guest hears of it."""
        guest = self.rig.serving(self.one)
        exchange, _ = self.ask()
        guest.take(m.Request)
        exchange.cancel(ClientGone())
        self.rig.pump()
        self.assertEqual([each.code for each in guest.take(m.Abort)], [b"client"])

    def test_the_guest_breaks_off(self) -> None:
        """In the middle of an answer, so does what the client gets."""
        guest = self.rig.serving(self.one)
        _, sink = self.ask()
        (request,) = guest.take(m.Request)
        self.answer(guest, m.Response(request.exchange, 200, [], {}, None))
        guest.lose()
        self.rig.pump()
        self.assertIsInstance(sink.error, GuestGone)

    def test_a_post_is_executed_once(self) -> None:
        """Its guest dies with it: 502, and nobody else is asked."""
        guest = self.rig.serving(self.one)
        other = self.rig.serving(self.one, "2")
        _, sink = self.ask(method=b"POST", body=b"x")
        asked, spared = (guest, other) if guest.events else (other, guest)
        asked.lose()
        self.rig.pump()
        self.assertEqual(sink.head.status, 502)
        self.assertEqual(spared.take(m.Request), [])

    def test_the_other_worker_dies(self) -> None:
        """What may be asked again waits for who serves it next; a POST does not."""
        self.rig.serving(self.one)
        _, get = self.ask()
        _, post = self.ask(method=b"POST", body=b"x")
        self.rig.lines[1].lose()
        self.assertIsInstance(post.error, GuestGone)
        self.assertIsNone(get.error)
        here = self.rig.awaited(self.two)
        (request,) = here.take(m.Request)
        self.answer(here, m.Response(request.exchange, 200, [], {}, b"here"))
        self.assertEqual(get.body, b"here")

    def test_who_is_here_is_asked(self) -> None:
        """Another worker is in the pool only while nobody serves the route here."""
        there = self.rig.serving(self.one)
        here = self.rig.serving(self.two, "2")
        self.ask()
        self.assertEqual((len(here.take(m.Request)), there.take(m.Request)), (1, []))
        here.lose()
        self.rig.pump()
        self.ask()
        self.assertEqual(len(there.take(m.Request)), 2)

    def test_nobody_asks_twice(self) -> None:
        """The guest has left while a request was on the way: refused, and asked elsewhere."""
        guest = self.rig.serving(self.one)
        exchange, sink = self.two.ask()
        guest.lose()
        self.rig.pump()
        self.assertIs(exchange.state, ExchangeState.NEW)
        here = self.rig.awaited(self.two)
        self.assertEqual(len(here.take(m.Request)), 1)
        self.assertIsNone(sink.error)

    def test_all_are_gone(self) -> None:
        """It waits as long as for any guest; then there is no route."""
        guest = self.rig.serving(self.one)
        guest.lose()
        self.rig.pump()
        _, sink = self.ask()
        self.two.advance(10.0)
        self.assertIsInstance(sink.error, NoSubscriber)
        self.two.advance(20.0)
        _, sink = self.ask()
        self.assertIsInstance(sink.error, NoRoute)

    def test_one_at_a_time(self) -> None:
        """The worker with the guest counts what it has, wherever that came from."""
        guest = self.rig.serving(self.one, concurrency=1)
        self.ask()
        self.one.ask()
        self.ask()
        self.rig.pump()
        (request,) = guest.take(m.Request)
        self.answer(guest, m.Response(request.exchange, 200, [], {}, b""))
        self.assertEqual(len(guest.take(m.Request)), 1)

    def test_drain(self) -> None:
        """A worker that retires is asked nothing new, and is idle when it has answered."""
        guest = self.rig.serving(self.one)
        _, sink = self.ask()
        line = self.rig.lines[1]
        line.peer.drain()
        idle = line.peer.when_idle()
        self.rig.pump()
        _, late = self.ask()
        (request,) = guest.take(m.Request)
        self.assertNoResult(idle)
        self.answer(guest, m.Response(request.exchange, 200, [], {}, b"done"))
        self.successResultOf(idle)
        self.assertEqual(sink.body, b"done")
        here = self.rig.awaited(self.two)
        self.assertEqual(len(here.take(m.Request)), 1)
        self.assertIsNone(late.error)

    def test_pings(self) -> None:
        """Workers see whether the other is there, as with guests."""
        self.rig.serving(self.one)
        for _ in range(8):
            self.two.clock.advance(1.0)
            self.rig.pump()
        self.assertEqual(self.ask()[1].error, None)

    @given(st.integers(0, 200_000))
    def test_answers_of_any_length(self, size: int) -> None:
        """Inline where they fit, else in frames."""
        rig = TwoWorkers()
        guest = rig.serving(rig.one)
        exchange, sink = rig.two.ask()
        rig.pump()
        (request,) = guest.take(m.Request)
        inline = size <= guest.wire.peer_limits.inline
        said = m.Response(request.exchange, 200, [], {}, b"x" * size if inline else None)
        guest.wire.send(said)
        if not inline:
            guest.wire.write_body(request.exchange, b"x" * size)
            guest.wire.end_body(request.exchange)
        rig.pump()
        taken = 0
        while len(sink.body) > taken:
            came, taken = len(sink.body) - taken, len(sink.body)
            exchange.response_consumed(came)
            rig.pump()
        self.assertEqual((len(sink.body), sink.complete), (size, True))


class RequestHeadTests(SynchronousTestCase):
    def test_of_the_compiled_path(self) -> None:
        """That says no more than what a guest gets: host and path are found in it."""
        fields = [(b"Host", b"A.Example:80"), (b"Content-Length", b"3"), (b"X", b"y")]
        info = {b"client": b"192.0.2.7", b"scheme": b"https", b"version": b"2", b"id": b"r"}
        head = request_head(m.Request(1, b"PUT", b"/a/../b?c", fields, info, None))
        self.assertEqual((head.host, head.path, head.target), (b"a.example", b"/b", b"/a/../b?c"))
        self.assertEqual((head.length, head.version), (3, b"2"))
        self.assertEqual(head.headers, [(b"Host", b"A.Example:80"), (b"X", b"y")])
