"""Tests for L{guest.core.exchange}: how responses go over the wire."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from guest.core.errors import RequestAborted
from guest.core.exchange import TURN, GuestExchange
from guest.core.response import Response
from guest.core.response_body import OutgoingBody
from guest.twisted.framework import twisted_framework
from subproxy.wire import messages as m
from subproxy.wire.connection import WireConnection, limits_info
from subproxy.wire.limits import Limits
from subproxy.wire.states import Role


class Ends:
    """Both ends of the wire, and one exchange between them."""

    def __init__(
        self,
        method: bytes = b"GET",
        body: bytes | None = b"",
        limits: Limits | None = None,
        expect: bool = False,
    ) -> None:
        self.clock = Clock()
        self.proxy = WireConnection(Role.PROXY, limits)
        self.guest = WireConnection(Role.GUEST)
        self.writable = True
        self.came: list[Any] = []
        self.guest.send(m.Hello({**limits_info(Limits()), b"application": b"a", b"instance": b"1"}))
        self.pump()
        self.proxy.send(m.Welcome(limits_info(self.proxy.limits)))
        self.proxy.send(m.Request(1, method, b"/", [], {b"expect": True} if expect else {}, body))
        self.guest.feed(self.proxy.data_to_send())
        assert isinstance(self.guest.next_event(), m.Welcome)
        request = self.guest.next_event()
        assert isinstance(request, m.Request)
        self.exchange = GuestExchange(
            self.guest, request, twisted_framework(self.clock), lambda: None, lambda: self.writable
        )

    def pump(self) -> list[Any]:
        """What the proxy got since the last call."""
        self.proxy.feed(self.guest.data_to_send())
        found = []
        while (event := self.proxy.next_event()) is not None:
            found.append(event)
        self.came += found
        return found

    def grant(self, amount: int) -> None:
        """The proxy has got rid of so much."""
        self.proxy.consumed(1, amount)
        self.guest.feed(self.proxy.data_to_send())
        while (event := self.guest.next_event()) is not None:
            if isinstance(event, m.Credit):
                self.exchange.wake()
            elif isinstance(event, m.Body):
                self.exchange.body_received(event.data)

    def stream(self, response: Response) -> Deferred[None]:
        outgoing = self.exchange.begin(response)
        assert outgoing is not None
        return Deferred.fromCoroutine(self.exchange.stream(outgoing, response))

    @property
    def body(self) -> bytes:
        return b"".join(each.data for each in self.came if isinstance(each, m.Body))


class BytesTests(SynchronousTestCase):
    """Responses whose body is there."""

    def test_a_short_body_is_inline(self) -> None:
        ends = Ends()
        self.assertIsNone(ends.exchange.begin(Response(200, [(b"a", b"b")], b"hello")))
        (response,) = ends.pump()
        self.assertEqual(response, m.Response(1, 200, [(b"a", b"b")], {}, b"hello"))
        self.assertTrue(ends.exchange.over)

    def test_a_list_is_joined(self) -> None:
        for body in ([b"he", b"llo"], (b"he", b"llo"), bytearray(b"hello"), memoryview(b"hello")):
            ends = Ends()
            ends.exchange.begin(Response(200, [], body))
            self.assertEqual(ends.pump()[0].body, b"hello")

    def test_a_reason(self) -> None:
        ends = Ends()
        ends.exchange.begin(Response(200, reason=b"Fine"))
        self.assertEqual(ends.pump()[0].info, {b"reason": b"Fine"})

    def test_a_long_body_is_streamed_with_its_length(self) -> None:
        ends = Ends()
        body = bytes(200_000)
        self.assertIsNone(ends.exchange.begin(Response(200, [], body)))
        head = ends.pump()[0]
        self.assertEqual((head.headers, head.body), ([(b"content-length", b"200000")], None))
        while not isinstance(ends.came[-1], m.End):
            size = len(ends.body)
            ends.grant(40_000)
            ends.pump()
            self.assertGreater(len(ends.body), size)
        self.assertEqual(ends.body, body)
        self.assertTrue(ends.exchange.over)

    def test_the_limits_of_the_proxy_hold(self) -> None:
        for limits in (Limits(inline=10), Limits(frame=1024)):
            ends = Ends(limits=limits)
            ends.exchange.begin(Response(200, [], bytes(3000)))
            self.assertIsNone(ends.pump()[0].body)
            self.assertEqual(ends.body, bytes(3000))

    def test_trailers_make_a_stream(self) -> None:
        ends = Ends()
        ends.exchange.begin(Response(200, [], b"abc", [(b"t", b"1")]))
        head, body, end = ends.pump()
        self.assertEqual((head.headers, head.body), ([], None))
        self.assertEqual((body.data, end.trailers), (b"abc", [(b"t", b"1")]))

    def test_head_has_the_length_and_no_body(self) -> None:
        ends = Ends(b"HEAD")
        ends.exchange.begin(Response(200, [], b"hello"))
        (head,) = ends.pump()
        self.assertEqual((head.headers, head.body), ([(b"content-length", b"5")], b""))

    def test_head_keeps_a_length_that_is_given(self) -> None:
        ends = Ends(b"HEAD")
        ends.exchange.begin(Response(200, [(b"content-length", b"77")]))
        self.assertEqual(ends.pump()[0].headers, [(b"content-length", b"77")])

    def test_no_body_where_http_allows_none(self) -> None:
        for status in (204, 205, 304):
            ends = Ends()
            ends.exchange.begin(Response(status, [], b"x"))
            (head,) = ends.pump()
            self.assertEqual((head.status, head.headers, head.body), (status, [], b""))

    def test_what_cannot_be_sent_changes_nothing(self) -> None:
        ends = Ends()
        bad: Any
        for bad in (
            Response(99),
            Response(200, [(b"a b", b"")]),
            Response(200, [(b"content-length", b"4")], b"hello"),
            Response(200, [], 7),  # type: ignore[arg-type]
            Response(200, [], "text"),  # type: ignore[arg-type]
            Response(200, [], [b"a", "b"]),  # type: ignore[list-item]
        ):
            with self.assertRaises((TypeError, ValueError)):
                ends.exchange.begin(bad)
        self.assertFalse(ends.exchange.begun)
        self.assertEqual(ends.pump(), [])

    def test_an_answer_to_what_is_over_is_dropped(self) -> None:
        ends = Ends()
        ends.exchange.begin(Response(200))
        self.assertIsNone(ends.exchange.begin(Response(200, [], b"again")))
        ends.exchange.fail(500, "again")
        ends.exchange.interim(103, [])
        self.assertEqual(len(ends.pump()), 1)

    def test_an_iterable_for_what_is_over_is_closed(self) -> None:
        ends = Ends()
        ends.exchange.begin(Response(200))
        pulled: list[int] = []

        def source() -> Iterator[bytes]:
            pulled.append(1)
            yield b"a"

        self.assertIsNone(self.successResultOf(ends.stream(Response(200, [], source()))))
        self.assertEqual(pulled, [])


class StreamTests(SynchronousTestCase):
    """Responses whose body is pulled."""

    def source(self, pieces: int, size: int = 10_000) -> Iterator[bytes]:
        try:
            for _ in range(pieces):
                self.pulled += 1
                yield bytes(size)
        finally:
            self.closed += 1

    def setUp(self) -> None:
        self.pulled = 0
        self.closed = 0

    def test_it_is_pulled_as_credit_allows(self) -> None:
        ends = Ends(limits=Limits(window=30_000))
        done = ends.stream(Response(200, [], self.source(10)))
        ends.pump()
        self.assertEqual((self.pulled, len(ends.body)), (4, 30_000))
        ends.grant(20_000)
        ends.pump()
        self.assertEqual((self.pulled, len(ends.body)), (6, 50_000))
        while not done.called:
            ends.grant(20_000)
            ends.pump()
        self.assertEqual((len(ends.body), self.closed), (100_000, 1))
        self.assertIsInstance(ends.came[-1], m.End)
        self.assertTrue(ends.exchange.over)

    def test_it_waits_for_the_transport(self) -> None:
        ends = Ends()
        ends.writable = False
        ends.stream(Response(200, [], self.source(2)))
        self.assertEqual([type(each) for each in ends.pump()], [m.Response])
        ends.writable = True
        ends.exchange.wake()
        self.assertEqual([type(each) for each in ends.pump()], [m.Body, m.Body, m.End])

    def test_others_have_their_turn(self) -> None:
        ends = Ends(limits=Limits(window=10 * TURN))
        done = ends.stream(Response(200, [], self.source(3 * TURN // 10_000)))
        ends.pump()
        self.assertLess(len(ends.body), TURN + 10_001)
        self.assertNoResult(done)
        ends.clock.advance(0)
        self.assertIsNone(self.successResultOf(done))

    def test_trailers_are_asked_for_at_the_end(self) -> None:
        ends = Ends()
        response = Response(200, [], self.source(3), lambda: [(b"n", b"%d" % self.pulled)])
        self.successResultOf(ends.stream(response))
        ends.pump()
        self.assertEqual(ends.came[-1].trailers, [(b"n", b"3")])

    def test_an_error_before_the_first_piece_comes_before_the_head(self) -> None:
        def source() -> Iterator[bytes]:
            raise KeyError("on purpose")
            yield b""

        ends = Ends()
        self.assertRaises(KeyError, ends.exchange.begin, Response(200, [], source()))
        self.assertFalse(ends.exchange.begun)
        ends.exchange.fail(500, "Internal Server Error")
        (response,) = ends.pump()
        self.assertEqual((response.status, response.body), (500, b"500 Internal Server Error\n"))

    def test_an_error_after_that_breaks_off(self) -> None:
        def source() -> Iterator[bytes]:
            yield b"half"
            raise KeyError("on purpose")

        ends = Ends()
        self.failureResultOf(ends.stream(Response(200, [], source())), KeyError)
        ends.exchange.fail(500, "Internal Server Error")
        head, body, abort = ends.pump()
        self.assertEqual((head.status, body.data, abort.code), (200, b"half", b"error"))
        self.assertTrue(ends.exchange.over)

    def test_when_the_client_leaves_the_source_is_closed(self) -> None:
        ends = Ends(limits=Limits(window=10_000))
        done = ends.stream(Response(200, [], self.source(10)))
        self.assertNoResult(done)
        ends.guest.exchanges.clear()
        ends.exchange.ended(RequestAborted("client", "client left"))
        self.assertIsNone(self.successResultOf(done))
        self.assertEqual(self.closed, 1)

    def test_cancelling_closes_the_source(self) -> None:
        ends = Ends(limits=Limits(window=10_000))
        done = ends.stream(Response(200, [], self.source(10)))
        done.addErrback(lambda _: None)
        done.cancel()
        self.assertEqual(self.closed, 1)

    def test_head_pulls_nothing(self) -> None:
        ends = Ends(b"HEAD")
        source = self.source(3)
        self.successResultOf(ends.stream(Response(200, [], source)))
        (head,) = ends.pump()
        self.assertEqual((head.headers, head.body, self.pulled), ([], b"", 0))
        self.assertEqual(list(source), [])

    @settings(deadline=None)
    @given(
        st.lists(st.binary(max_size=50), max_size=12),
        st.integers(1, 60),
        st.lists(st.integers(1, 40), max_size=40),
    )
    def test_any_pieces_under_any_credit(
        self, pieces: list[bytes], window: int, grants: list[int]
    ) -> None:
        ends = Ends(limits=Limits(window=window))
        response = Response(200, [], iter(pieces))
        outgoing = ends.exchange.begin(response)
        assert isinstance(outgoing, OutgoingBody)
        done = Deferred.fromCoroutine(ends.exchange.stream(outgoing, response))
        granted = 0
        while not done.called:
            ends.pump()
            self.assertLessEqual(len(ends.body), window + granted)
            amount = grants.pop() if grants else window
            granted += amount
            ends.grant(amount)
        ends.pump()
        self.assertEqual(ends.body, b"".join(pieces))


class InterimTests(SynchronousTestCase):
    """What comes before the response."""

    def test_early_hints(self) -> None:
        ends = Ends()
        ends.exchange.request.interim(103, [(b"link", b"</a>")])
        ends.exchange.begin(Response(200))
        first, second = ends.pump()
        self.assertEqual((first.status, first.headers), (103, [(b"link", b"</a>")]))
        self.assertEqual(second.status, 200)

    def test_what_is_none(self) -> None:
        ends = Ends()
        for status in (99, 101, 200):
            self.assertRaises(ValueError, ends.exchange.interim, status, [])
        self.assertRaises(ValueError, ends.exchange.interim, 103, [(b"a b", b"")])

    def test_as_many_as_there_may_be(self) -> None:
        """The one that is too many is the application's error, and the exchange goes on."""
        ends = Ends()
        for _ in range(126):
            ends.exchange.interim(102, [])
        ends.exchange.interim(103, [(b"link", b"x" * 124)])
        self.assertRaises(ValueError, ends.exchange.interim, 102, [])
        ends.exchange.begin(Response(200))
        self.assertEqual([each.status for each in ends.pump()], [102] * 126 + [103, 200])

    def test_not_after_the_response_has_begun(self) -> None:
        ends = Ends()
        ends.writable = False
        ends.stream(Response(200, [], iter([b"a", b"b"])))
        self.assertRaises(ValueError, ends.exchange.interim, 103, [])


class ExpectTests(SynchronousTestCase):
    """A client that waits for 100 (Continue)."""

    def test_reading_asks_for_the_body(self) -> None:
        ends = Ends(b"POST", None, expect=True)
        self.assertEqual(ends.pump(), [])
        reading = Deferred.fromCoroutine(ends.exchange.request.read())
        (credit,) = ends.pump()
        self.assertEqual((type(credit), credit.amount), (m.Credit, 65_536))
        ends.exchange.body_ended([])
        self.assertEqual(self.successResultOf(reading), b"")

    def test_answering_does_not(self) -> None:
        ends = Ends(b"POST", None, expect=True)
        ends.exchange.begin(Response(413))
        self.assertEqual([type(each) for each in ends.pump()], [m.Response])
