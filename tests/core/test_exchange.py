"""One request and its response: what the table allows, what is counted, and who is told."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from subproxy.core.exchange import (
    TRANSITIONS,
    Exchange,
    ExchangeState,
    Headers,
    IDispatcher,
    RequestHead,
)
from subproxy.core.interfaces import IResponseSink, IUpstreamRequest
from subproxy.errors import ClientGone, GuestGone, GuestMisbehaved, ProxyError
from tests.rigs.core_strategies import make_member
from tests.rigs.world import RecordingSink


@implementer(IUpstreamRequest)
class Carrier:
    """A channel: what it was told, in order."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def sendBody(self, data: bytes) -> None:
        self.told.append(data)

    def endBody(self, trailers: Headers) -> None:
        self.told.append(("end", trailers))

    def cancel(self, error: ProxyError) -> None:
        self.told.append(error)

    def consumed(self, amount: int) -> None:
        self.told.append(amount)


@implementer(IDispatcher)
class Finished:
    """A dispatcher: what is done."""

    now = staticmethod(lambda: 0.0)

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.tunnels: list[Exchange] = []

    def dispatch(self, exchange: Exchange) -> None:
        raise AssertionError("an exchange does not dispatch itself")

    def site_rules(self, request: RequestHead) -> None:
        return None

    def woken(self, exchange: Exchange) -> None:
        raise AssertionError("none has waited for a machine here")

    def tunnel_started(self, exchange: Exchange) -> None:
        self.tunnels.append(exchange)

    def finished(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)


class ExchangeCase(SynchronousTestCase):
    def make(
        self, body: bytes | None = b"", method: bytes = b"GET", version: bytes = b"1.1"
    ) -> Exchange:
        """An exchange of nobody yet."""
        head = RequestHead(method, b"/", b"a", b"/", [], version=version)
        self.sink = RecordingSink()
        self.dispatcher = Finished()
        return Exchange(head, body, self.sink, self.dispatcher)

    def taken(
        self, body: bytes | None = b"", method: bytes = b"GET", version: bytes = b"1.1"
    ) -> Exchange:
        """An exchange that a guest has."""
        exchange = self.make(body, method, version)
        self.carrier = Carrier()
        exchange.taken(make_member(), self.carrier)
        return exchange

    def assert_refused(self, expected: str, call: Callable[[], None]) -> None:
        """The guest misbehaved, and is told how."""
        self.assertEqual(str(self.assertRaises(GuestMisbehaved, call)), expected)


class LifeTests(ExchangeCase):
    def test_doubles(self) -> None:
        verifyObject(IUpstreamRequest, Carrier())
        verifyObject(IDispatcher, Finished())
        verifyObject(IResponseSink, RecordingSink())

    def test_every_state_has_its_transitions(self) -> None:
        self.assertEqual(set(TRANSITIONS), set(ExchangeState))

    @given(st.lists(st.sampled_from(ExchangeState), max_size=6))
    def test_only_what_is_in_the_table_happens(self, states: list[ExchangeState]) -> None:
        exchange = self.make()
        for state in states:
            if state in TRANSITIONS[exchange.state]:
                exchange.move(state)
                self.assertIs(exchange.state, state)
            else:
                before = exchange.state
                error = self.assertRaises(AssertionError, exchange.move, state)
                self.assertIn(str(state), str(error))
                self.assertIs(exchange.state, before)

    def test_a_new_one_has_nothing(self) -> None:
        exchange = self.make()
        self.assertIs(exchange.state, ExchangeState.NEW)
        counts = exchange.attempts, exchange.streamed, exchange.received, exchange.tried
        self.assertEqual(counts, (0, 0, 0, ()))
        self.assertFalse(exchange.ended)
        self.assertEqual((exchange.request.length, exchange.request.expect), (0, False))
        self.assertEqual((exchange.request.client, exchange.request.request_id), (b"", b""))

    def test_taken(self) -> None:
        exchange = self.make()
        member, carrier = make_member(), Carrier()
        exchange.taken(member, carrier)
        self.assertIs(exchange.state, ExchangeState.SENT)
        self.assertIs(exchange.member, member)
        self.assertIs(exchange.carrier, carrier)
        self.assertEqual(exchange.attempts, 1)

    def test_released_and_taken_by_another(self) -> None:
        exchange = self.taken(b"held")
        self.sink.paused = False
        exchange.released(0.0)
        self.assertIs(exchange.state, ExchangeState.NEW)
        self.assertIsNone(exchange.carrier)
        # A body that is held is not read from the client: nothing to pause.
        self.assertFalse(self.sink.paused)
        exchange.taken(make_member(), Carrier())
        self.assertEqual(exchange.attempts, 2)

    def test_a_released_stream_is_paused(self) -> None:
        exchange = self.taken(None)
        self.sink.paused = False
        exchange.released(0.0)
        self.assertTrue(self.sink.paused)

    def test_failed(self) -> None:
        exchange = self.taken()
        error = GuestGone()
        exchange.fail(error)
        self.assertIs(self.sink.error, error)
        self.assertIs(exchange.error, error)
        self.assertIs(exchange.state, ExchangeState.DONE)
        self.assertEqual(self.carrier.told, [error])
        self.assertIsNone(exchange.carrier)
        self.assertEqual(self.dispatcher.exchanges, [exchange])

    def test_failed_once(self) -> None:
        exchange = self.taken()
        error = GuestGone()
        exchange.fail(error)
        exchange.fail(ClientGone())
        exchange.cancel(ClientGone())
        self.assertIs(exchange.error, error)
        self.assertEqual(self.dispatcher.exchanges, [exchange])

    def test_failed_before_anybody_had_it(self) -> None:
        exchange = self.make()
        exchange.fail(GuestGone())
        self.assertIsInstance(self.sink.error, GuestGone)
        self.assertEqual(self.dispatcher.exchanges, [exchange])

    def test_the_sink_hears_of_a_failure_when_all_is_given_back(self) -> None:
        exchange = self.taken()
        sink = self.sink
        seen: list[tuple[ExchangeState, int]] = []

        def look(error: ProxyError) -> None:
            seen.append((exchange.state, len(self.dispatcher.exchanges)))

        sink.responseFailed = look  # type: ignore[method-assign]
        exchange.fail(GuestGone())
        self.assertEqual(seen, [(ExchangeState.DONE, 1)])

    def test_cancelled(self) -> None:
        exchange = self.taken()
        error = ClientGone()
        exchange.cancel(error)
        self.assertIs(exchange.error, error)
        self.assertIs(exchange.state, ExchangeState.DONE)
        self.assertEqual(self.carrier.told, [error])
        self.assertIsNone(self.sink.error)
        self.assertEqual(self.dispatcher.exchanges, [exchange])

    def test_without_a_dispatcher(self) -> None:
        """What the frontend answers by itself has none."""
        exchange = self.make()
        exchange.dispatcher = None
        exchange.fail(ClientGone())
        self.assertIs(exchange.state, ExchangeState.DONE)


class RequestBodyTests(ExchangeCase):
    def test_pieces_are_counted_and_carried(self) -> None:
        exchange = self.taken(None)
        exchange.request_data(b"one")
        exchange.request_data(b"three")
        exchange.request_moved(10)
        self.assertEqual(exchange.streamed, 18)
        exchange.request_end([(b"a", b"b")])
        self.assertTrue(exchange.ended)
        self.assertEqual(self.carrier.told, [b"one", b"three", ("end", [(b"a", b"b")])])

    def test_what_comes_when_nobody_has_it_is_not_counted(self) -> None:
        exchange = self.make(None)
        exchange.request_data(b"lost")
        exchange.response_consumed(3)
        exchange.request_end([])
        self.assertEqual((exchange.streamed, exchange.ended), (0, True))

    def test_held(self) -> None:
        """Until a byte of it, or its end, has gone to a guest."""
        self.assertTrue(self.taken(b"").held)
        self.assertTrue(self.taken(None).held)
        begun = self.taken(None)
        begun.request_data(b"x")
        self.assertFalse(begun.held)
        empty = self.taken(None)
        empty.request_end([])
        self.assertFalse(empty.held)
        whole = self.taken(b"all")
        whole.request_moved(1)
        self.assertTrue(whole.held)

    def test_the_guest_paces_it(self) -> None:
        exchange = self.taken(None)
        exchange.resume_request()
        self.assertFalse(self.sink.paused)
        exchange.pause_request()
        self.assertTrue(self.sink.paused)

    def test_credit(self) -> None:
        exchange = self.taken()
        exchange.response_consumed(7)
        self.assertEqual(self.carrier.told, [7])


class InterimTests(ExchangeCase):
    def test_passed_on(self) -> None:
        exchange = self.taken()
        exchange.response_interim(103, [])
        self.assertEqual(self.sink.interim, [103])
        self.assertIs(exchange.state, ExchangeState.SENT)

    def test_as_many_as_there_may_be(self) -> None:
        """128 that are empty, or fewer with more in them."""
        exchange = self.taken()
        for _ in range(127):
            exchange.response_interim(102, [])
        self.assertRaises(GuestMisbehaved, exchange.response_interim, 103, [(b"a", b"")])
        exchange = self.taken()
        exchange.response_interim(103, [(b"link", b"x" * (16_384 - 128 - 4))])
        self.assertRaises(GuestMisbehaved, exchange.response_interim, 102, [])
        self.assertEqual(self.sink.interim[-1], 103)

    def test_http_1_0_knows_none(self) -> None:
        exchange = self.taken(version=b"1.0")
        self.sink.supports_interim = False
        self.assertEqual(exchange.response_interim(103, []), 0)
        self.assertEqual(self.sink.interim, [])

    def test_switching_protocols_is_not_one(self) -> None:
        exchange = self.taken()
        self.assertRaises(GuestMisbehaved, exchange.response_interim, 101, [])


class ResponseTests(ExchangeCase):
    def start(
        self,
        exchange: Exchange,
        body: bytes | None,
        said: int | None = None,
        length: int | None = None,
        status: int = 200,
    ) -> None:
        headers = [] if said is None else [(b"content-length", b"%d" % said)]
        exchange.response_start(status, b"", headers, body, length)

    def test_fields_are_not_kept(self) -> None:
        """They have been written; what follows may last."""
        exchange = self.taken()
        exchange.response_start(200, b"", [(b"x", b"y")], None)
        assert self.sink.head is not None
        assert exchange.response is not None
        self.assertEqual((self.sink.head.headers, exchange.response.headers), ([(b"x", b"y")], []))

    def test_whole(self) -> None:
        exchange = self.taken()
        self.start(exchange, b"hello")
        self.assertEqual(exchange.response, self.sink.head)
        self.assertEqual((self.sink.body, exchange.received), (b"hello", 5))
        self.assertIs(exchange.state, ExchangeState.DONE)
        # The guest has done its part: it is not told that nobody waits.
        self.assertEqual(self.carrier.told, [])
        self.assertEqual(self.dispatcher.exchanges, [exchange])
        self.assertIsNone(exchange.error)

    def test_whole_and_of_its_length(self) -> None:
        exchange = self.taken()
        self.start(exchange, b"hello", 5)
        self.assertTrue(self.sink.complete)

    def test_whole_and_not_of_its_length(self) -> None:
        exchange = self.taken()
        self.assert_refused(
            "a body of 5 bytes, where content-length says 4",
            lambda: self.start(exchange, b"hello", 4),
        )
        self.assertIs(exchange.state, ExchangeState.SENT)
        self.assertIsNone(self.sink.head)

    def test_bodiless(self) -> None:
        """What HTTP has no body for has none, whatever the guest sends and says."""
        for method, status in (b"HEAD", 200), (b"GET", 204), (b"GET", 304):
            for body in b"body", b"", None:
                exchange = self.taken(method=method)
                self.start(exchange, body, 9, status=status)
                self.assertTrue(self.sink.complete)
                self.assertEqual((self.sink.body, exchange.received), (b"", 0))
                self.assertIs(exchange.state, ExchangeState.DONE)

    def test_streamed(self) -> None:
        exchange = self.taken()
        self.start(exchange, None)
        self.assertIs(exchange.state, ExchangeState.RESPONDING)
        self.assertFalse(self.sink.complete)
        exchange.response_data(b"one")
        exchange.response_data(b"three")
        self.assertEqual((self.sink.body, exchange.received), (b"onethree", 8))
        exchange.response_end([(b"x", b"y"), (b"content-length", b"1")])
        self.assertEqual(self.sink.trailers, [(b"x", b"y")])
        self.assertIs(exchange.state, ExchangeState.DONE)
        self.assertEqual(self.carrier.told, [])
        self.assertEqual(self.dispatcher.exchanges, [exchange])

    @given(
        st.integers(0, 20),
        st.sampled_from(["head", "beside"]),
        st.lists(st.integers(0, 9), max_size=5),
        st.booleans(),
    )
    def test_streamed_and_of_its_length(
        self, length: int, where: str, pieces: list[int], moved: bool
    ) -> None:
        """Never more and never less than was promised, wherever, and whoever moves it."""
        exchange = self.taken()
        if where == "head":
            self.start(exchange, None, length)
        else:
            self.start(exchange, None, None, length)
        assert exchange.response is not None
        self.assertEqual(exchange.response.length, length)
        came = 0
        for piece in pieces:
            came += piece
            if moved:
                exchange.response_moved(piece)
            elif came > length:
                self.assert_refused(
                    f"more body than content-length said ({length})",
                    lambda size=piece: exchange.response_data(bytes(size)),
                )
                return
            else:
                exchange.response_data(bytes(piece))
        self.assertEqual(exchange.received, came)
        if came != length:
            self.assert_refused(
                f"a body of {came} bytes, where content-length says {length}",
                lambda: exchange.response_end([]),
            )
            self.assertFalse(self.sink.complete)
        else:
            exchange.response_end([])
            self.assertTrue(self.sink.complete)

    def test_two_lengths(self) -> None:
        exchange = self.taken()
        self.assert_refused(
            "a body of 6 bytes, where content-length says 5",
            lambda: self.start(exchange, None, 5, 6),
        )
        self.assertIs(exchange.state, ExchangeState.SENT)
        self.start(exchange, None, 5, 5)
        self.assertIs(exchange.state, ExchangeState.RESPONDING)

    def test_bad_trailers(self) -> None:
        exchange = self.taken()
        self.start(exchange, None)
        self.assertRaises(GuestMisbehaved, exchange.response_end, [(b"", b"")])
        self.assertFalse(self.sink.complete)

    def test_a_client_that_is_lost_at_the_head(self) -> None:
        """The sink may cancel while it is told; then all is over already."""
        for body in b"all", None:
            exchange = self.taken()
            self.sink.responseStarted = (  # type: ignore[method-assign]
                lambda head, body, exchange=exchange: exchange.cancel(ClientGone())
            )
            self.start(exchange, body)
            self.assertIs(exchange.state, ExchangeState.DONE)
            self.assertEqual(len(self.dispatcher.exchanges), 1)
            self.assertIsInstance(exchange.error, ClientGone)

    def test_a_client_that_is_lost_at_the_end(self) -> None:
        exchange = self.taken()
        self.start(exchange, None)
        self.sink.responseEnded = (  # type: ignore[method-assign]
            lambda trailers: exchange.cancel(ClientGone())
        )
        exchange.response_end([])
        self.assertEqual(len(self.dispatcher.exchanges), 1)


class TunnelTests(ExchangeCase):
    """A guest that changes to another protocol: the halves end in either order."""

    def open(self) -> Exchange:
        exchange = self.taken(None)
        exchange.tunnel_start(200, [(b"X", b"y"), (b"Content-Length", b"3")], b"websocket")
        return exchange

    def test_opened(self) -> None:
        exchange = self.open()
        self.assertIs(exchange.state, ExchangeState.RESPONDING)
        self.assertEqual((exchange.tunnel, self.sink.tunnel), (b"websocket", b"websocket"))
        assert self.sink.head is not None
        self.assertEqual((self.sink.head.status, self.sink.head.length), (200, None))
        self.assertEqual(self.sink.head.headers[0], (b"X", b"y"))
        self.assertEqual(self.dispatcher.tunnels, [exchange])

    def test_the_guest_ends_first(self) -> None:
        exchange = self.open()
        exchange.response_end([])
        self.assertIs(exchange.state, ExchangeState.REQUESTING)
        exchange.request_data(b"more")
        self.assertEqual(self.dispatcher.exchanges, [])
        exchange.request_end([])
        self.assertIs(exchange.state, ExchangeState.DONE)
        self.assertEqual(self.carrier.told, [b"more", ("end", [])])
        self.assertEqual(self.dispatcher.exchanges, [exchange])

    def test_the_client_ends_first(self) -> None:
        exchange = self.open()
        exchange.request_end([])
        self.assertIs(exchange.state, ExchangeState.RESPONDING)
        exchange.response_data(b"more")
        self.assertEqual(self.dispatcher.exchanges, [])
        exchange.response_end([])
        self.assertIs(exchange.state, ExchangeState.DONE)
        self.assertEqual((self.sink.body, self.dispatcher.exchanges), (b"more", [exchange]))
