"""Bodies over data connections, both ends of the wire in memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.exchange import Exchange, ExchangeState
from subproxy.errors import ClientGone, GuestGone, GuestMisbehaved, GuestSlow
from subproxy.subscription.bodies.data_connection import MOST_HELD
from subproxy.subscription.states import SubscriptionState as Connection
from subproxy.wire import messages as m
from tests.rigs.data_line import Line
from tests.rigs.world import Guest, RecordingSink, World

SIZE = 100_000
BODY = bytes(range(250)) * 400


class BulkTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.guest: Guest = self.world.serving(bulk=True)

    def begun(
        self, length: int | None = SIZE, method: bytes = b"GET"
    ) -> tuple[Exchange, RecordingSink, int]:
        """A request that the guest has answered with a head."""
        exchange, sink = self.world.ask(method)
        self.guest.pump()
        (request,) = self.guest.take(m.Request)
        body = {} if length is None else {b"length": length}
        self.guest.say(m.Response(request.exchange, 200, [], {}, body))
        return exchange, sink, request.exchange

    def token(self) -> bytes:
        (connect,) = self.guest.take(m.Connect)
        token: bytes = connect.token
        return token

    def end(
        self, number: int, length: int | None = None, trailers: m.Headers | None = None
    ) -> None:
        info = {} if length is None else {b"length": length}
        self.guest.wire.end_body(number, trailers or [], info)
        self.guest.pump()


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
        """A guest that can't dial sends frames; then the token is void."""
        _, sink, number = self.begun()
        token = self.token()
        self.guest.wire.write_body(number, BODY)
        self.guest.pump()
        line = Line(self.world)
        line.connect(number, token)
        self.assertTrue(line.closed)
        self.assertEqual(self.world.factory.context.tokens.counts["void"], 1)
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


class TokenTests(BulkTestCase):
    def test_bad_claims(self) -> None:
        """Each is closed and counted; the exchange is none the worse for it."""
        _, sink, number = self.begun()
        token = self.token()
        for identity, exchange, claimed, reason in (
            ("1", number, b"nonsense", "unknown"),
            ("2", number, token, "foreign"),
            ("1", number + 1, token, "exchange"),
        ):
            line = Line(self.world, identity)
            line.connect(exchange, claimed, BODY)
            self.assertTrue(line.closed)
            self.assertEqual(line.take(), b"")
            self.assertEqual(self.world.factory.context.tokens.counts[reason], 1)
        self.assertEqual((sink.body, sink.error), (b"", None))
        good = Line(self.world)
        good.connect(number, token, BODY)
        again = Line(self.world)
        again.connect(number, token, BODY)
        self.assertTrue(again.closed)
        self.assertEqual(self.world.factory.context.tokens.counts["used"], 1)
        self.end(number, SIZE)
        self.assertTrue(sink.complete)

    def test_garbage_behind_a_body(self) -> None:
        """What follows a body is a connect, or the connection is closed."""
        for more in (m.Ping(b"1").encode(), b"garbage", b"9999999:"):
            _, _, number = self.begun()
            line = Line(self.world)
            line.connect(number, self.token(), BODY + more)
            self.end(number, SIZE)
            self.assertTrue(line.closed, more)

    def test_idle(self) -> None:
        """An idle connection is closed in the end."""
        _, _, number = self.begun()
        line = Line(self.world)
        line.connect(number, self.token(), BODY)
        self.end(number, SIZE)
        self.world.advance(59)
        self.assertFalse(line.closed)
        self.world.advance(2)
        self.assertTrue(line.closed)

    def test_not_idle_for_long(self) -> None:
        """The time begins anew with each body, and does not run while one is carried."""
        _, _, number = self.begun()
        line = Line(self.world)
        line.connect(number, self.token(), BODY)
        self.end(number, SIZE)
        self.world.advance(40)
        _, _, number = self.begun()
        line.connect(number, self.token(), BODY[:10])
        self.world.advance(30)
        self.assertFalse(line.closed)
        line.protocol.dataReceived(BODY[10:])
        self.end(number, SIZE)
        self.world.advance(59)
        self.assertFalse(line.closed)
        self.world.advance(2)
        self.assertTrue(line.closed)

    def test_who_does_not_know_is_not_asked(self) -> None:
        """Without bulk in hello nothing is offered: a large body comes in frames."""
        guest = self.world.serving("2", b"plain")
        self.assertFalse(guest.wire.bulk)
        self.world.ask(b"PUT", b"plain", body=None, length=SIZE)
        guest.pump()
        self.assertIsNone(guest.take(m.Request)[0].body)
        self.assertEqual(self.world.factory.context.tokens.counts["issued"], 0)

    def test_stop(self) -> None:
        """At the end data connections are closed with the rest."""
        _, _, number = self.begun()
        line = Line(self.world)
        line.connect(number, self.token())
        self.assertIs(line.protocol.state, Connection.DATA)
        self.world.factory.close(b"shutdown", "over")
        self.assertTrue(line.closed)


class UploadTests(BulkTestCase):
    def asked(self, **more: object) -> tuple[Exchange, RecordingSink, m.Request]:
        exchange, sink = self.world.ask(b"PUT", body=None, length=SIZE, **more)
        self.guest.pump()
        (request,) = self.guest.take(m.Request)
        self.assertEqual(request.body[b"length"], SIZE)
        return exchange, sink, request

    def answer(self, number: int) -> None:
        self.guest.say(m.Response(number, 200, [], {}, b"ok"))

    def test_whole(self) -> None:
        """Nothing is asked of the client before the guest has dialled."""
        line = Line(self.world)
        for turn in range(2):
            exchange, sink, request = self.asked()
            self.assertTrue(sink.paused)
            line.connect(request.exchange, request.body[b"token"])
            self.assertFalse(sink.paused)
            if not turn:
                line.frame()
            exchange.request_data(BODY[:50])
            exchange.request_data(BODY[50:])
            exchange.request_end([(b"a", b"b")])
            self.assertEqual(line.take(), BODY)
            self.guest.pump()
            (end,) = self.guest.take(m.End)
            self.assertEqual((end.trailers, end.info), ([(b"a", b"b")], {b"length": SIZE}))
            self.answer(request.exchange)
            self.assertTrue(sink.complete)
            self.assertFalse(line.closed)

    def test_small_or_unknown_ones_go_in_frames(self) -> None:
        for length in (100, None):
            self.world.ask(b"PUT", body=None, length=length)
            self.guest.pump()
            self.assertIsNone(self.guest.take(m.Request)[0].body)

    def test_credit_instead(self) -> None:
        """A guest that can't dial grants credit, late or soon, and gets frames."""
        for wait in (0.0, 5.0):
            exchange, sink, request = self.asked()
            self.world.advance(wait)
            self.assertTrue(sink.paused)
            self.guest.wire.consumed(request.exchange, 0)
            self.guest.pump()
            self.assertFalse(sink.paused)
            exchange.request_data(BODY[:500])
            exchange.request_end([])
            self.guest.pump()
            self.assertEqual(self.guest.take(m.Body)[0].data, BODY[:500])
            line = Line(self.world)
            line.connect(request.exchange, request.body[b"token"])
            self.assertTrue(line.closed)
            self.answer(request.exchange)
            self.assertTrue(sink.complete)

    def test_not_both_ways(self) -> None:
        _, sink, request = self.asked()
        line = Line(self.world)
        line.connect(request.exchange, request.body[b"token"])
        self.guest.wire.consumed(request.exchange, 0)
        self.guest.pump()
        self.assertIsInstance(sink.error, GuestMisbehaved)
        self.assertTrue(line.closed)

    def test_slow_guest(self) -> None:
        """A transport that is full stops the client, and one that is empty lets it go on."""
        exchange, sink, request = self.asked()
        line = Line(self.world)
        line.connect(request.exchange, request.body[b"token"])
        line.protocol.pauseProducing()
        exchange.request_data(b"x")
        self.assertTrue(sink.paused)
        line.protocol.resumeProducing()
        self.assertFalse(sink.paused)

    def test_answered_before_it_is_read(self) -> None:
        """The rest is not wanted: the connection is closed, the answer stands."""
        exchange, sink, request = self.asked()
        line = Line(self.world)
        line.connect(request.exchange, request.body[b"token"])
        exchange.request_data(b"x")
        self.answer(request.exchange)
        self.assertEqual((sink.complete, line.closed), (True, True))

    def test_closed_before_the_answer(self) -> None:
        """Two connections: what was said last may come first."""
        for answers in (True, False):
            exchange, sink, request = self.asked()
            line = Line(self.world)
            line.connect(request.exchange, request.body[b"token"])
            exchange.request_data(b"x")
            line.lose()
            self.assertTrue(sink.paused)
            self.assertIsNone(sink.error)
            if answers:
                self.answer(request.exchange)
                self.assertTrue(sink.complete)
            self.world.advance(3)
            self.assertEqual(isinstance(sink.error, GuestGone), not answers)

    def test_expect(self) -> None:
        """The client is asked when the guest dials."""
        _, sink, request = self.asked(expect=True)
        self.assertTrue(sink.paused)
        line = Line(self.world)
        line.connect(request.exchange, request.body[b"token"])
        self.assertFalse(sink.paused)

    def test_client_leaves(self) -> None:
        exchange, _, request = self.asked()
        line = Line(self.world)
        line.connect(request.exchange, request.body[b"token"])
        exchange.request_data(b"x")
        exchange.cancel(ClientGone())
        self.assertTrue(line.closed)
        self.guest.pump()
        self.assertEqual(self.guest.take(m.Abort)[0].code, b"client")

    def test_talk_on_the_wrong_side(self) -> None:
        """A guest that sends much while it should receive is cut off."""
        _, _, request = self.asked()
        line = Line(self.world)
        line.connect(request.exchange, request.body[b"token"])
        line.say(b"x" * 2000)
        self.assertTrue(line.closed)
