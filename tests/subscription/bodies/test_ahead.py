"""Tokens for bodies of responses that go with the requests, both ends of the wire in memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from subproxy.core.exchange import Exchange, ExchangeState
from subproxy.errors import ClientGone, GuestGone, GuestMisbehaved, GuestSlow
from subproxy.subscription.upstream_request import AHEAD
from subproxy.wire import messages as m
from subproxy.wire.info import token_ahead
from subproxy.wire.limits import Limits
from tests.rigs.bulk_case import BODY, SIZE, BulkTestCase
from tests.rigs.data_line import Line
from tests.rigs.world import RecordingSink


class AheadTests(BulkTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.guest = self.world.serving("2", b"b\\.example", bulk=True, ahead=True)

    def asked(
        self, method: bytes = b"GET", body: bytes = b""
    ) -> tuple[Exchange, RecordingSink, m.Request]:
        exchange, sink = self.world.ask(method, host=b"b.example", body=body)
        self.guest.pump()
        (request,) = self.guest.take(m.Request)
        return exchange, sink, request

    def large(self) -> Line:
        """A response over a data connection, which is idle then."""
        _, sink, request = self.asked()
        self.guest.say(m.Response(request.exchange, 200, [], {}, {b"length": SIZE}))
        line = Line(self.world, "2")
        line.connect(request.exchange, self.token(), BODY)
        self.end(request.exchange, SIZE)
        self.assertTrue(sink.complete)
        line.take()
        return line

    def expected(self) -> tuple[RecordingSink, int, bytes]:
        """A request with a token."""
        _, sink, request = self.asked()
        token = token_ahead(request.info)
        assert token is not None
        return sink, request.exchange, token

    def head(self, number: int, length: int = SIZE) -> None:
        body = {b"length": length, b"ahead": True}
        self.guest.say(m.Response(number, 200, [], {}, body))

    def test_whole(self) -> None:
        """Head, claim and body in any order, without a C{connect} of the proxy; and again."""
        line = self.large()
        for order in ("hcb", "chb", "cbh", "hbc"):
            sink, number, token = self.expected()
            if order == "hbc":
                self.head(number)
                line.connect(number, token, BODY)
            else:
                for each in order:
                    if each == "h":
                        self.head(number)
                    elif each == "c":
                        line.connect(number, token)
                    else:
                        line.say(BODY)
            self.assertFalse(sink.complete)
            self.end(number, SIZE)
            self.assertEqual((sink.body, sink.complete), (BODY, True), order)
            self.assertEqual(line.frame(), m.End(number))
            self.assertEqual(self.guest.take(m.Connect), [])

    @given(st.lists(st.integers(1, SIZE), max_size=5), st.integers(0, 5))
    def test_any_pieces(self, cuts: list[int], headed: int) -> None:
        """Whenever the head comes."""
        self.setUp()
        line = self.large()
        sink, number, token = self.expected()
        at = 0
        for index, cut in enumerate([0, *sorted({*cuts, SIZE})]):
            if index == min(headed, len({*cuts, SIZE})):
                self.head(number)
            if index:
                line.say(BODY[at:cut])
                at = cut
            else:
                line.connect(number, token)
        self.end(number, SIZE)
        self.assertEqual((sink.body, sink.complete), (BODY, True))

    def test_only_who_takes_it(self) -> None:
        """A guest that has not said so gets none; nor does one whose responses are small."""
        self.assertIsNone(token_ahead(self.asked()[2].info))
        self.guest = self.world.serving("3", b"c\\.example", bulk=True)
        for _ in range(2):
            _, _ = self.world.ask(host=b"c.example")
            self.guest.pump()
            (request,) = self.guest.take(m.Request)
            self.assertIsNone(token_ahead(request.info))
            self.guest.say(m.Response(request.exchange, 200, [], {}, {b"length": SIZE}))

    def test_only_where_it_is_likely(self) -> None:
        """Small responses in a row, and there are no tokens more; their tokens are void."""
        self.large()
        for _ in range(AHEAD):
            _, number, _ = self.expected()
            self.guest.say(m.Response(number, 200, [], {}, b"small"))
        self.assertIsNone(token_ahead(self.asked()[2].info))
        self.assertEqual(len(self.world.factory.context.tokens), 0)

    def test_not_with_a_body_or_for_none(self) -> None:
        self.large()
        for method, body in ((b"HEAD", b""), (b"POST", b"x"), (b"GET", b"x")):
            self.assertIsNone(token_ahead(self.asked(method, body)[2].info))

    def test_no_room_for_it(self) -> None:
        """A head that the guest takes without a token is not refused for the sake of one."""
        self.guest = self.world.serving(
            "5", b"c\\.example", Limits(frame=1024), bulk=True, ahead=True
        )
        most = 0
        for size in range(1, 1000):
            exchange, _ = self.world.ask(host=b"c.example", target=b"/" * size)
            self.guest.pump()
            for request in self.guest.take(m.Request):
                most = len(request.encode())
                if size == 1:
                    body = {b"length": SIZE}
                    self.guest.say(m.Response(request.exchange, 200, [], {}, body))
            exchange.cancel(ClientGone("it left"))
        self.assertEqual(most, len(b"1024:") + 1024 + len(b"]"))
        self.assertIsNone(token_ahead(request.info))
        self.assertEqual(len(self.world.factory.context.tokens), 0)

    def test_not_used(self) -> None:
        """A guest with no idle connection: the token is void, and another comes."""
        line = self.large()
        sink, number, token = self.expected()
        self.guest.say(m.Response(number, 200, [], {}, {b"length": SIZE}))
        other = self.token()
        self.assertNotEqual(other, token)
        line.connect(number, token)
        self.assertTrue(line.closed)
        line = Line(self.world, "2")
        line.connect(number, other, BODY)
        self.end(number, SIZE)
        self.assertTrue(sink.complete)

    def test_claimed_and_not_used(self) -> None:
        """What was claimed is closed, and does not wait for ever."""
        line = self.large()
        sink, number, token = self.expected()
        line.connect(number, token)
        self.guest.say(m.Response(number, 200, [], {}, b"small"))
        self.assertEqual((sink.body, sink.complete, line.closed), (b"small", True, True))

    def test_no_body_allowed(self) -> None:
        for status in (204, 304):
            line = self.large()
            sink, number, token = self.expected()
            line.connect(number, token)
            body = {b"length": SIZE, b"ahead": True}
            self.guest.say(m.Response(number, status, [], {}, body))
            self.assertEqual((sink.complete, line.closed), (True, True))
            self.assertEqual(self.guest.take(m.Abort)[0].code, b"complete")

    def test_waits_for_a_slow_application(self) -> None:
        """The token does not lapse before the head; then it does."""
        line = self.large()
        sink, number, token = self.expected()
        self.world.advance(20)
        self.head(number)
        line.connect(number, token, BODY)
        self.end(number, SIZE)
        self.assertTrue(sink.complete)
        sink, number, _ = self.expected()
        self.head(number)
        self.world.advance(2.5)
        self.assertIsNone(sink.error)
        self.world.advance(2.5)
        self.assertIsInstance(sink.error, GuestSlow)

    def test_without_a_token(self) -> None:
        """C{ahead} means something only where there was a token, and a length."""
        for large, body in (
            (False, {b"length": SIZE, b"ahead": True}),
            (True, {b"ahead": True}),
            (True, {b"length": SIZE, b"ahead": 1}),
        ):
            self.setUp()
            if large:
                self.large()
            _, sink, request = self.asked()
            self.guest.say(m.Response(request.exchange, 200, [], {}, body))
            self.assertIsInstance(sink.error, GuestMisbehaved, body)
            self.assertEqual(len(self.world.factory.context.tokens), 0)

    def test_the_line_is_lost(self) -> None:
        """Before the head, and after it: in the end the client sees a truncation."""
        for headed in (False, True):
            line = self.large()
            sink, number, token = self.expected()
            line.connect(number, token, BODY[:-1])
            if headed:
                self.head(number)
            line.lose()
            if not headed:
                self.assertIsNone(sink.error)
                self.head(number)
            self.assertIsInstance(sink.error, GuestGone)

    def test_the_client_leaves(self) -> None:
        """With a token out, and with a connection that waits for the head."""
        for claimed in (False, True):
            line = self.large()
            exchange, _, request = self.asked()
            token = token_ahead(request.info)
            assert token is not None
            if claimed:
                line.connect(request.exchange, token)
            exchange.cancel(ClientGone("it left"))
            self.assertIs(exchange.state, ExchangeState.DONE)
            if not claimed:
                line.connect(request.exchange, token)
            self.assertTrue(line.closed)

    def test_another_guest_is_asked(self) -> None:
        """The token of the first one is void, and the second has its own rules."""
        self.large()
        other = self.world.serving("4", b"b\\.example", bulk=True)
        sink, number, _ = self.expected()
        self.guest.say(m.Abort(number, b"refused"))
        other.pump()
        (request,) = other.take(m.Request)
        self.assertIsNone(token_ahead(request.info))
        other.say(m.Response(request.exchange, 200, [], {}, b"fine"))
        self.assertEqual(sink.body, b"fine")
        self.assertEqual(len(self.world.factory.context.tokens), 0)
