"""Tests for L{guest.core.exchanges}: requests of a subscription, from a proxy in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.error import ConnectionLost

from guest.core.errors import (
    BodyTooLong,
    RequestAborted,
    RequestFailed,
    RequestRefused,
)
from guest.core.request import Request
from guest.core.response import Response
from guest.core.subscription import EVENTS_A_TURN
from guest.core.welcome import Welcome
from guest.testing import ExchangeFailed, MemoryProxy, ProxyProtocol
from guest.twisted.subscriber import SubscriberProtocol
from subproxy.wire.frames import encode
from subproxy.wire.limits import Limits
from tests.rigs.guest_case import Application, SubscriberTestCase


class RequestTests(SubscriberTestCase):
    """Requests are answered."""

    def test_at_once(self) -> None:
        response = self.successResultOf(self.get(b"/a?b"))
        self.assertEqual((response.status, response.body), (200, b"ok"))
        (request,) = self.guest.requests
        self.assertEqual((request.method, request.path, request.query), (b"GET", b"/a", b"b"))
        self.assertEqual((request.client, request.scheme), (b"192.0.2.1", b"http"))

    def test_by_a_deferred(self) -> None:
        later: Deferred[Response] = Deferred()
        self.guest.answer = lambda request: later
        asked = self.get()
        self.assertNoResult(asked)
        later.callback(Response(201))
        self.memory.advance()
        self.assertEqual(self.successResultOf(asked).status, 201)

    def test_by_a_deferred_that_has_fired(self) -> None:
        self.guest.answer = lambda request: succeed(Response(201))
        self.assertEqual(self.successResultOf(self.get()).status, 201)

    def test_by_a_coroutine(self) -> None:
        async def answer(request: Request) -> Response:
            return Response(200, [], await request.read() + b"!")

        self.guest.answer = answer
        body = bytes(300_000)
        asked = self.memory.request(b"POST", b"/", [], body)
        self.assertEqual(self.successResultOf(asked).body, body + b"!")

    def test_by_a_subclass_of_response(self) -> None:
        class Teapot(Response):
            pass

        self.guest.answer = lambda request: Teapot(418)
        self.assertEqual(self.successResultOf(self.get()).status, 418)

    def test_streams(self) -> None:
        async def slowly() -> AsyncIterator[bytes]:
            for number in range(50):
                yield bytes([number]) * 5000

        expected = b"".join(bytes([number]) * 5000 for number in range(50))
        for body in (slowly(), (bytes([number]) * 5000 for number in range(50))):
            self.guest.answer = lambda request, body=body: Response(200, [], body)
            self.assertEqual(self.successResultOf(self.get()).body, expected)

    def test_a_stream_goes_on_while_others_are_answered(self) -> None:
        wait: Deferred[bytes] = Deferred()

        async def slowly() -> AsyncIterator[bytes]:
            yield b"a"
            yield await wait

        self.guest.answer = lambda request: Response(200, [], slowly())
        slow = self.memory.begin(b"GET", b"/slow")
        self.assertEqual(slow.response.body, b"a")
        self.guest.answer = lambda request: Response(200, [], b"fast")
        self.assertEqual(self.successResultOf(self.get()).body, b"fast")
        wait.callback(b"b")
        self.memory.advance()
        self.assertEqual(self.successResultOf(slow.finished).body, b"ab")

    def test_one_who_takes_nothing_stalls_nobody(self) -> None:
        proxy = ProxyProtocol(Limits(window=1000))
        memory = MemoryProxy(Application, proxy=proxy)
        memory.guest.answer = lambda request: Response(200, [], bytes(100_000))
        stuck = memory.begin(b"GET", b"/", hold=True)
        self.assertEqual(len(stuck.response.body), 1000)
        self.assertEqual(len(self.successResultOf(memory.request(b"GET", b"/")).body), 100_000)
        while not stuck.finished.called:
            stuck.take()
            memory.advance()
        self.assertEqual(len(self.successResultOf(stuck.finished).body), 100_000)

    def test_a_full_transport_makes_streams_wait(self) -> None:
        self.guest.answer = lambda request: Response(200, [], iter([b"a", b"b"]))
        self.memory.choke()
        exchange = self.memory.begin(b"GET", b"/")
        self.assertEqual((exchange.response.status, exchange.response.body), (200, b""))
        self.memory.choke(False)
        self.assertEqual(self.successResultOf(exchange.finished).body, b"ab")

    def test_credit_for_uploads_follows_the_reader(self) -> None:
        async def answer(request: Request) -> Response:
            self.reader = request
            await wait
            return Response(200, [], b"%d" % len(await request.read()))

        wait: Deferred[None] = Deferred()
        self.guest.answer = answer
        exchange = self.memory.begin(b"POST", b"/", body=None)
        exchange.send(bytes(500_000))
        exchange.end()
        self.memory.advance()
        self.assertEqual(self.proxy.connection.pending(exchange.number), 500_000 - 65_536)
        wait.callback(None)
        self.memory.advance()
        self.assertEqual(self.successResultOf(exchange.finished).body, b"500000")

    def test_many_requests_at_once_take_more_than_one_turn(self) -> None:
        memory = MemoryProxy(Application)
        exchanges = []
        for _ in range(3 * EVENTS_A_TURN):
            exchanges.append(memory.proxy.request(b"GET", b"/"))
        written = b"".join(memory._proxy_end.written)
        memory._proxy_end.written.clear()
        memory.guest.dataReceived(written)
        self.assertEqual(len(memory.guest.requests), EVENTS_A_TURN)
        self.assertTrue(memory._guest_end.paused)
        memory.advance()
        for exchange in exchanges:
            self.assertEqual(self.successResultOf(exchange.finished).status, 200)
        self.assertFalse(memory._guest_end.paused)


class FailureTests(SubscriberTestCase):
    """The application fails; the subscription does not."""

    def answered_with_500(self, kind: type[Exception]) -> None:
        response = self.successResultOf(self.get(b"/broken"))
        self.assertEqual((response.status, response.body), (500, b"500 Internal Server Error\n"))
        self.assertEqual(len(self.flushLoggedErrors(kind)), 1)
        self.guest.answer = lambda request: Response(200)
        self.assertEqual(self.successResultOf(self.get()).status, 200)

    def test_an_exception(self) -> None:
        def answer(request: Request) -> Response:
            raise KeyError("on purpose")

        self.guest.answer = answer
        self.answered_with_500(KeyError)

    def test_a_failed_deferred(self) -> None:
        self.guest.answer = lambda request: fail(KeyError("on purpose"))
        self.answered_with_500(KeyError)

    def test_a_coroutine_that_raises(self) -> None:
        async def answer(request: Request) -> Response:
            await succeed(None)
            raise KeyError("on purpose")

        self.guest.answer = answer
        self.answered_with_500(KeyError)

    def test_an_application_that_cancels_itself(self) -> None:
        self.guest.answer = lambda request: fail(CancelledError())
        self.answered_with_500(CancelledError)

    def test_something_that_is_no_response(self) -> None:
        for answer in (None, b"text", 7):
            self.guest.answer = lambda request, answer=answer: answer
            self.answered_with_500(TypeError)

    def test_a_response_that_cannot_be_sent(self) -> None:
        self.guest.answer = lambda request: Response(200, [(b"a b", b"")])
        self.answered_with_500(ValueError)

    def test_the_body_of_one_is_closed(self) -> None:
        """Who made it may hold a file, or a connection."""
        closed: list[str] = []

        class Holding:
            def __iter__(self) -> Iterator[bytes]:
                return iter([b"a"])

            def close(self) -> None:
                closed.append("closed")

        async def later(request: Request) -> Response:
            return Response(200, [(b"a", b"b\n")], Holding())

        for answer in (lambda request: Response(600, [], Holding()), later):
            self.guest.answer = answer
            self.assertEqual(self.successResultOf(self.get()).status, 500)
        self.assertEqual(closed, ["closed"] * 2)
        self.flushLoggedErrors(ValueError)

        class Clumsy(Holding):
            def close(self) -> None:
                raise KeyError("on purpose")

        self.guest.answer = lambda request: Response(600, [], Clumsy())
        self.assertEqual(self.successResultOf(self.get()).status, 500)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.flushLoggedErrors(ValueError)

    def test_no_application(self) -> None:
        memory = MemoryProxy(SubscriberProtocol)
        self.assertEqual(self.successResultOf(memory.request(b"GET", b"/")).status, 500)
        self.assertEqual(len(self.flushLoggedErrors(NotImplementedError)), 1)

    def test_in_the_middle_of_a_body(self) -> None:
        def body() -> Iterator[bytes]:
            yield b"half"
            raise KeyError("on purpose")

        self.guest.answer = lambda request: Response(200, [], body())
        error = self.failureResultOf(self.get(), ExchangeFailed).value
        self.assertEqual(error.code, "error")
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_a_body_that_is_too_long_is_no_bug(self) -> None:
        async def answer(request: Request) -> Response:
            return Response(200, [], await request.read(10))

        self.guest.answer = answer
        response = self.successResultOf(self.memory.request(b"POST", b"/", [], b"x" * 11))
        self.assertEqual((response.status, response.body), (413, b"413 Content Too Large\n"))
        self.assertEqual(self.flushLoggedErrors(BodyTooLong), [])

    def test_no_answer(self) -> None:
        """The proxy asks another, or answers by itself: that is no bug either."""
        for kind, code in ((RequestRefused, "refused"), (RequestFailed, "error")):
            self.guest.answer = lambda request, kind=kind: fail(kind("why"))
            error = self.failureResultOf(self.get(), ExchangeFailed).value
            self.assertEqual((error.code, error.reason), (code, "why"))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_no_answer_any_more(self) -> None:
        def body() -> Iterator[bytes]:
            yield b"half"
            raise RequestRefused("why")

        self.guest.answer = lambda request: Response(200, [], body())
        error = self.failureResultOf(self.get(), ExchangeFailed).value
        self.assertEqual((error.code, error.reason), ("error", "why"))

    def test_no_answer_to_who_has_left(self) -> None:
        later: Deferred[Response] = Deferred(lambda each: each.errback(RequestFailed("why")))
        self.guest.answer = lambda request: later
        self.memory.begin(b"GET", b"/").abort(b"client")
        self.memory.advance()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_hooks_that_fail(self) -> None:
        class Clumsy(Application):
            def subscribed(self, welcome: Welcome) -> None:
                raise KeyError("on purpose")

        memory = MemoryProxy(Clumsy)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertEqual(self.successResultOf(memory.request(b"GET", b"/")).status, 200)


class AbortTests(SubscriberTestCase):
    """Nobody waits any more."""

    def test_a_deferred_is_cancelled(self) -> None:
        cancelled: list[Any] = []
        self.guest.answer = lambda request: Deferred(cancelled.append)
        exchange = self.memory.begin(b"GET", b"/slow")
        exchange.abort()
        self.memory.advance()
        self.assertEqual(len(cancelled), 1)
        self.assertEqual(self.guest.hooks[-1], ("aborted", b"/slow", "client"))
        self.assertEqual(len(self.guest._subscription.exchanges), 0)

    def test_a_coroutine_is_cancelled(self) -> None:
        seen: list[str] = []

        async def answer(request: Request) -> Response:
            try:
                await Deferred()
            finally:
                seen.append("finally")
            return Response(200)

        self.guest.answer = answer
        exchange = self.memory.begin(b"GET", b"/")
        exchange.abort()
        self.memory.advance()
        self.assertEqual(seen, ["finally"])

    def test_a_reader_gets_to_know(self) -> None:
        seen: list[str] = []

        async def answer(request: Request) -> Response:
            try:
                await request.read()
            except RequestAborted as error:
                seen.append(error.code)
            return Response(200)

        self.guest.answer = answer
        exchange = self.memory.begin(b"POST", b"/", body=None)
        exchange.send(b"abc")
        exchange.abort()
        self.memory.advance()
        self.assertEqual(seen, ["client"])
        self.assertEqual(len(self.guest._subscription.exchanges), 0)

    def test_a_stream_is_closed(self) -> None:
        seen: list[str] = []

        async def body() -> AsyncIterator[bytes]:
            try:
                yield b"a"
                await Deferred()
            finally:
                seen.append("finally")

        self.guest.answer = lambda request: Response(200, [], body())
        exchange = self.memory.begin(b"GET", b"/")
        exchange.abort()
        self.memory.advance()
        self.assertEqual(seen, ["finally"])

    def test_one_that_ignores_it_is_not_heard(self) -> None:
        kept: list[Deferred[Response]] = []

        async def answer(request: Request) -> Response:
            try:
                await Deferred()
            except CancelledError:
                pass
            later: Deferred[Response] = Deferred()
            kept.append(later)
            return await later

        self.guest.answer = answer
        self.memory.begin(b"GET", b"/").abort()
        self.memory.advance()
        kept[0].callback(Response(200))
        self.memory.advance()
        self.assertEqual(len(self.guest._subscription.exchanges), 0)

    def test_errors_of_the_aborted_are_logged(self) -> None:
        async def answer(request: Request) -> Response:
            try:
                await Deferred()
            finally:
                raise KeyError("on purpose")

        self.guest.answer = answer
        self.memory.begin(b"GET", b"/").abort()
        self.memory.advance()
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_with_the_connection(self) -> None:
        cancelled: list[Any] = []
        self.guest.answer = lambda request: Deferred(cancelled.append)
        exchange = self.memory.begin(b"GET", b"/slow")
        self.memory.disconnect()
        self.assertEqual(len(cancelled), 1)
        self.assertEqual(
            self.guest.hooks[-2:], [("aborted", b"/slow", "lost"), ("lost", ConnectionLost)]
        )
        self.failureResultOf(exchange.finished, ExchangeFailed)
        self.assertEqual(self.memory.clock.getDelayedCalls(), [])

    def test_within_the_first_step(self) -> None:
        """A coroutine that ends its own connection is cancelled, too, as soon as it waits."""
        seen: list[str] = []

        async def answer(request: Request) -> Response:
            self.memory.disconnect()
            try:
                await Deferred()
            finally:
                seen.append("finally")
            return Response(200)

        self.guest.answer = answer
        exchange = self.memory.begin(b"GET", b"/")
        self.failureResultOf(exchange.finished, ExchangeFailed)
        self.assertEqual(seen, ["finally"])
        self.assertEqual(len(self.guest._subscription.exchanges), 0)

    def test_a_violation_of_the_proxy(self) -> None:
        self.guest.answer = lambda request: Deferred()
        exchange = self.memory.begin(b"GET", b"/")
        self.guest.dataReceived(encode([b"end", 1]))
        self.assertEqual(self.guest.hooks[-1], ("aborted", b"/", "protocol"))
        self.memory.advance()
        self.failureResultOf(exchange.finished, ExchangeFailed)
        self.assertTrue(self.memory.connected)

    def test_an_answer_before_the_body_has_come(self) -> None:
        exchange = self.memory.begin(b"POST", b"/", body=None)
        self.assertEqual(self.successResultOf(exchange.finished).status, 200)
        (request,) = self.guest.requests
        error = self.failureResultOf(Deferred.fromCoroutine(request.read()), RequestAborted).value
        self.assertEqual(error.code, "answered")
        self.assertNotIn("aborted", [hook[0] for hook in self.guest.hooks])
