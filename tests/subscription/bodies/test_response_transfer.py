"""Response bodies over data connections, both ends of the wire in memory."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import LogLevel, globalLogPublisher

from subproxy.core.exchange import ExchangeState
from subproxy.errors import ClientGone, GuestGone, GuestMisbehaved, GuestSlow
from subproxy.subscription.bodies.data_connection import MOST_HELD
from subproxy.wire import messages as m
from tests.rigs.bulk_case import BODY, SIZE, BulkTestCase
from tests.rigs.data_line import Line


class DownloadTests(BulkTestCase):
    def test_whole(self) -> None:
        """The proxy asks, the guest dials, the bytes and the end come; then the next body."""
        line = None
        for _ in range(3):
            exchange, sink, number = self.begun()
            assert sink.head is not None
            self.assertEqual((sink.head.length, sink.complete), (SIZE, False))
            token = self.token()
            if line is None:
                line = Line(self.world)
                line.connect(number, token)
                self.assertEqual(line.frame(), m.Connect(number, token))
                line.say(BODY)
            else:
                line.connect(number, token, BODY)
            self.assertEqual(line.frame(), m.End(number))
            self.assertFalse(sink.complete)
            self.end(number, SIZE, [(b"a", b"b")])
            self.assertEqual(
                (sink.body, sink.complete, sink.trailers), (BODY, True, [(b"a", b"b")])
            )
            self.assertIs(exchange.state, ExchangeState.DONE)
            self.assertEqual(exchange.received, SIZE)

    def test_what_is_read_at_once(self) -> None:
        """Each body as its client can take it; transports of Twisted have a size of their own."""
        line = Line(self.world)
        transport: Any = line.transport
        sizes = []
        for size in (100_000, 178_176, 65_536):
            _, sink, number = self.begun()
            sink.read_size = size
            line.connect(number, self.token(), BODY)
            self.end(number, SIZE)
            sizes.append(getattr(transport, "read_size", None))
            transport.read_size = 1
        self.assertEqual(sizes, [None, 178_176, 65_536])

    @given(st.lists(st.integers(1, SIZE), max_size=5), st.booleans(), st.booleans())
    def test_any_pieces(self, cuts: list[int], early: bool, known: bool) -> None:
        """However it is cut, and whether its end comes before it or after it."""
        self.setUp()
        _, sink, number = self.begun(SIZE if known else None)
        line = Line(self.world)
        line.connect(number, self.token())
        if early:
            self.end(number, SIZE)
        at = 0
        for cut in sorted({*cuts, SIZE}):
            self.assertFalse(sink.complete)
            line.say(BODY[at:cut])
            at = cut
        if not early:
            self.end(number, SIZE)
        self.assertEqual((sink.body, sink.complete), (BODY, True))
        self.assertEqual(line.closed, not known)

    def test_the_end_before_connect(self) -> None:
        """On another connection frames may overtake."""
        _, sink, number = self.begun()
        token = self.token()
        self.end(number, SIZE)
        line = Line(self.world)
        line.connect(number, token, BODY)
        self.assertTrue(sink.complete)

    def test_truncated(self) -> None:
        """A connection that ends too early is a truncation that the client sees."""
        for known in (True, False):
            _, sink, number = self.begun(SIZE if known else None)
            line = Line(self.world)
            line.connect(number, self.token())
            line.say(BODY[:-1])
            line.lose()
            if not known:
                self.assertIsNone(sink.error)
                self.end(number, SIZE)
            self.assertIsInstance(sink.error, GuestGone)
            self.assertIn("99999 of", str(sink.error))
            self.assertFalse(sink.complete)

    def test_unknown_length_and_no_end(self) -> None:
        """A connection that ends without any word is a truncation, after a while."""
        _, sink, number = self.begun(None)
        line = Line(self.world)
        line.connect(number, self.token())
        line.say(BODY)
        line.lose()
        self.assertIsNone(sink.error)
        self.world.advance(3)
        self.assertIsInstance(sink.error, GuestGone)

    def test_wrong_lengths(self) -> None:
        """What disagrees with the head or the end is not passed off as whole."""
        for told, ended in ((SIZE, SIZE - 1), (SIZE, SIZE + 1), (None, SIZE - 1), (None, None)):
            _, sink, number = self.begun(told)
            line = Line(self.world)
            line.connect(number, self.token())
            line.say(BODY)
            self.end(number, ended)
            self.assertIsInstance(sink.error, GuestMisbehaved, (told, ended))
            self.assertFalse(sink.complete)

    def test_content_length_must_agree(self) -> None:
        _, sink = self.world.ask()
        self.guest.pump()
        (request,) = self.guest.take(m.Request)
        length = [(b"Content-Length", b"5")]
        self.guest.say(m.Response(request.exchange, 200, length, {}, {b"length": 6}))
        self.assertIsInstance(sink.error, GuestMisbehaved)
        self.assertEqual(self.guest.take(m.Connect), [])

    def test_not_wanted(self) -> None:
        """For HEAD no data connection is asked for."""
        _, sink, _ = self.begun(method=b"HEAD")
        self.assertTrue(sink.complete)
        self.assertEqual(self.guest.take(m.Connect), [])
        self.assertEqual(self.guest.take(m.Abort)[0].code, b"complete")

    def test_frames_after_all(self) -> None:
        """A guest that can't dial sends frames; then the token is void, as where a client left."""
        events = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        _, sink, number = self.begun()
        token = self.token()
        self.guest.wire.write_body(number, BODY)
        self.guest.pump()
        line = Line(self.world)
        line.connect(number, token)
        self.assertTrue(line.closed)
        self.assertEqual(self.world.factory.context.tokens.counts["void"], 1)
        self.assertEqual([event for event in events if event["log_level"] >= LogLevel.warn], [])
        self.guest.wire.end_body(number)
        self.guest.pump()
        self.assertEqual(sink.body, BODY[:65_536])

    def test_not_both_ways(self) -> None:
        """Frames for a body that a data connection carries are an offence."""
        _, sink, number = self.begun()
        line = Line(self.world)
        line.connect(number, self.token())
        self.guest.wire.write_body(number, b"x")
        self.guest.pump()
        self.assertIsInstance(sink.error, GuestMisbehaved)
        self.assertTrue(line.closed)

    def test_never_dialled(self) -> None:
        """Neither a connection nor frames: the exchange ends, though not at once."""
        _, sink, _ = self.begun()
        self.world.advance(2.5)
        self.assertIsNone(sink.error)
        self.world.advance(2.5)
        self.assertIsInstance(sink.error, GuestSlow)

    def test_client_leaves(self) -> None:
        """The guest is told, and the data connection closed, in the same turn."""
        exchange, _, number = self.begun()
        line = Line(self.world)
        line.connect(number, self.token())
        line.say(BODY[:500])
        exchange.cancel(ClientGone())
        self.assertTrue(line.closed)
        self.guest.pump()
        self.assertEqual(self.guest.take(m.Abort)[0].code, b"client")

    def test_subscription_lost(self) -> None:
        """Every data connection that is under way goes with it."""
        _, sink, number = self.begun()
        line = Line(self.world)
        line.connect(number, self.token())
        self.guest.lose()
        self.assertTrue(line.closed)
        self.assertIsInstance(sink.error, GuestGone)

    def test_bye_overtakes_a_body(self) -> None:
        """All is said, and only bytes are still on their way, on another connection."""
        for dialled in (True, False):
            for end in (lambda: self.guest.say(m.Bye()), self.guest.lose):
                self.setUp()
                exchange, sink, number = self.begun()
                token = self.token()
                line = Line(self.world)
                if dialled:
                    line.connect(number, token)
                self.end(number, SIZE, [(b"a", b"b")])
                end()
                self.assertIsNone(sink.error)
                if not dialled:
                    line.connect(number, token)
                for at in range(0, SIZE, SIZE // 4):
                    self.world.advance(1.5)
                    self.assertFalse(sink.complete)
                    line.say(BODY[at : at + SIZE // 4])
                self.assertTrue(sink.complete)
                self.assertEqual((sink.body, sink.trailers), (BODY, [(b"a", b"b")]))
                assert exchange.member is not None
                self.assertEqual(exchange.member.in_flight, 0)
                self.world.advance(60)

    def test_bye_overtakes_a_body_that_never_comes(self) -> None:
        """It is waited for, but no longer than for what the guest must do next."""
        for dialled in (True, False):
            self.setUp()
            exchange, sink, number = self.begun()
            line = Line(self.world)
            if dialled:
                line.connect(number, self.token())
                line.say(BODY[:-1])
                exchange.response_consumed(SIZE - 1)
            self.end(number, SIZE)
            self.guest.say(m.Bye())
            self.assertIsNone(sink.error)
            self.world.clock.pump([0.5] * 13)
            self.assertIsInstance(sink.error, GuestGone if dialled else GuestSlow)
            self.assertEqual(line.closed, dialled)

    def test_bye_overtakes_a_body_that_stalls(self) -> None:
        """Not if it is the client that stops it."""
        for client_stops in (True, False):
            self.setUp()
            exchange, sink, number = self.begun()
            token = self.token()
            self.end(number, SIZE)
            self.guest.say(m.Bye())
            line = Line(self.world)
            line.connect(number, token)
            line.say(BODY[:MOST_HELD])
            if not client_stops:
                exchange.response_consumed(MOST_HELD)
            self.world.clock.pump([0.5] * 20)
            self.assertIs(sink.error is None, client_stops)
            if client_stops:
                exchange.response_consumed(MOST_HELD)
                line.say(BODY[MOST_HELD:])
                self.assertTrue(sink.complete)

    def test_bye_overtakes_a_body_that_is_cut_off(self) -> None:
        """Its connection says so."""
        _, sink, number = self.begun()
        line = Line(self.world)
        line.connect(number, self.token())
        self.end(number, SIZE)
        self.guest.say(m.Bye())
        line.say(BODY[:-1])
        line.lose()
        self.assertIsInstance(sink.error, GuestGone)

    def test_answered_while_the_client_sends(self) -> None:
        """All of the answer was sent, not all of it is here; nobody wants more of the request."""
        for upload in (b"some", b"x" * SIZE):
            known = len(upload) == SIZE
            exchange, sink = self.world.ask(
                b"POST", body=None, **({"length": 2 * SIZE} if known else {})
            )
            self.guest.pump()
            (request,) = self.guest.take(m.Request)
            number = request.exchange
            self.guest.say(m.Response(number, 200, [], {}, {b"length": SIZE}))
            line = Line(self.world)
            line.connect(number, self.token(), BODY[:1000])
            if known:
                assert isinstance(request.body, dict)
                Line(self.world).connect(number, request.body[b"token"])
            exchange.request_data(upload)
            self.end(number, SIZE)
            exchange.request_data(upload)
            exchange.request_end([])
            self.assertEqual((sink.complete, sink.error), (False, None))
            line.say(BODY[1000:])
            self.assertEqual((sink.body, sink.complete), (BODY, True))

    def test_slow_client(self) -> None:
        """What the client has not taken stops the reading."""
        exchange, _, number = self.begun()
        line = Line(self.world)
        line.connect(number, self.token())
        line.say(BODY[: MOST_HELD - 1])
        self.assertEqual(line.transport.producerState, "producing")
        line.say(BODY[:1])
        self.assertEqual(line.transport.producerState, "paused")
        exchange.response_consumed(MOST_HELD // 2)
        self.assertEqual(line.transport.producerState, "paused")
        exchange.response_consumed(MOST_HELD // 2)
        self.assertEqual(line.transport.producerState, "producing")
