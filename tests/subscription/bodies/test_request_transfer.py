"""Request bodies over data connections, both ends of the wire in memory."""

from __future__ import annotations

from subproxy.core.exchange import Exchange
from subproxy.errors import ClientGone, GuestGone, GuestMisbehaved
from subproxy.wire import messages as m
from tests.rigs.bulk_case import BODY, SIZE, BulkTestCase
from tests.rigs.data_line import Line
from tests.rigs.world import RecordingSink


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

    def test_broken_and_asked_for_in_frames(self) -> None:
        """Who has read nothing of it may ask for that: it can't be had, and is no offence."""
        exchange, sink, request = self.asked()
        line = Line(self.world)
        line.connect(request.exchange, request.body[b"token"])
        exchange.request_data(BODY[:50])
        line.lose()
        self.guest.wire.consumed(request.exchange, 0)
        self.guest.pump()
        self.assertIsInstance(sink.error, GuestGone)
        self.assertEqual(1, len(self.guest.take(m.Abort)))

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

    def test_closed_amid_the_answer(self) -> None:
        """That needs not be at its end soon, for which the client may be the reason."""
        for closed_first in (True, False):
            exchange, sink, request = self.asked()
            line = Line(self.world)
            line.connect(request.exchange, request.body[b"token"])
            exchange.request_data(b"x")
            if closed_first:
                line.lose()
            self.guest.say(m.Response(request.exchange, 200, [], {}, None))
            self.guest.wire.write_body(request.exchange, b"one, ")
            self.guest.pump()
            if not closed_first:
                line.lose()
            self.world.advance(60)
            self.guest.wire.write_body(request.exchange, b"two")
            self.guest.wire.end_body(request.exchange, [])
            self.guest.pump()
            self.assertEqual((sink.error, sink.complete, sink.body), (None, True, b"one, two"))

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

    def test_the_guest_goes_on_before_the_end(self) -> None:
        """It has all the bytes that were announced, and carries the next body: HTTP/2 tells the end
        of one by a frame that comes later."""
        line = Line(self.world)
        exchange, sink, request = self.asked()
        line.connect(request.exchange, request.body[b"token"])
        line.frame()
        exchange.request_data(BODY)
        _, other, number = self.begun()
        line.connect(number, self.token(), BODY)
        self.assertEqual((line.closed, line.transport.producerState), (False, "paused"))
        exchange.request_end([])
        self.assertEqual(line.transport.producerState, "producing")
        self.answer(request.exchange)
        self.end(number, SIZE)
        self.assertEqual((sink.complete, other.complete, other.body), (True, True, BODY))
        self.assertFalse(line.closed)

    def test_the_guest_closes_before_the_end(self) -> None:
        """It has all the bytes that were announced, and needs the connection no more."""
        exchange, sink, request = self.asked()
        line = Line(self.world)
        line.connect(request.exchange, request.body[b"token"])
        exchange.request_data(BODY)
        line.lose()
        exchange.request_end([])
        self.world.advance(60)
        self.answer(request.exchange)
        self.assertEqual((sink.error, sink.complete), (None, True))

    def test_talk_on_the_wrong_side(self) -> None:
        """A guest that sends much while it should receive is cut off, and its upload with it."""
        exchange, sink, request = self.asked()
        line = Line(self.world)
        line.connect(request.exchange, request.body[b"token"])
        line.say(b"x" * 2000)
        self.assertTrue(line.closed)
        exchange.request_data(BODY)
        exchange.request_end([])
        self.world.advance(60)
        self.assertIsInstance(sink.error, GuestGone)
