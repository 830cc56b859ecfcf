"""Tests for L{guest.subscriber}: one end is a subscription, the other a proxy in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from guest.errors import (
    BodyTooLong,
    ProtocolBroken,
    ProxyLeft,
    ProxySilent,
    RegistrationRefused,
    RequestAborted,
    SubscriptionEnded,
    SubscriptionRefused,
    SubscriptionReplaced,
)
from guest.request import Request
from guest.response import Response
from guest.route import Route
from guest.subscriber import EVENTS_A_TURN, GRACE, GREETING, LINGER, SubscriberProtocol
from guest.testing import ExchangeFailed, MemoryProxy, ProxyProtocol
from guest.welcome import Welcome
from subproxy.wire import messages as m
from subproxy.wire.frames import encode
from subproxy.wire.limits import Limits
from tests.guest_application import MemoryGuest


class Application(SubscriberProtocol):
    """Answers what it is told to, and remembers what was said to it."""

    def __init__(self) -> None:
        self.hooks: list[Any] = []
        self.requests: list[Request] = []
        self.answer: Any = lambda request: Response(200, [], b"ok")

    def requestReceived(self, request: Request) -> Any:
        self.requests.append(request)
        return self.answer(request)

    def subscribed(self, welcome: Welcome) -> None:
        self.hooks.append(("subscribed", welcome.identity))

    def registered(self, host: bytes, path: bytes) -> None:
        self.hooks.append(("registered", host, path))

    def refused(self, refusal: RegistrationRefused) -> None:
        self.hooks.append(("refused", refusal.code))

    def requestAborted(self, request: Request, reason: RequestAborted) -> None:
        self.hooks.append(("aborted", request.target, reason.code))

    def subscriptionLost(self, reason: Failure) -> None:
        self.hooks.append(("lost", type(reason.value)))


class SubscriberTestCase(SynchronousTestCase):
    """A subscription and a proxy."""

    def setUp(self) -> None:
        self.memory = MemoryProxy(Application)
        self.guest: Any = self.memory.guest
        self.proxy = self.memory.proxy

    def get(self, target: bytes = b"/") -> Deferred[Any]:
        return self.memory.request(b"GET", target)


class RegistrationTests(SubscriberTestCase):
    """Routes come and go."""

    def test_the_routes_of_the_factory_are_registered_at_once(self) -> None:
        guest = MemoryGuest(routes=(Route(b"a"), Route(b"b", b"/c")))
        verbs = [frame[:4] for frame in guest.frames()[1:]]
        self.assertEqual(verbs, [[b"register", 1, b"a", b"/.*"], [b"register", 2, b"b", b"/c"]])

    def test_hooks(self) -> None:
        self.assertEqual(
            self.guest.hooks, [("subscribed", "memory"), ("registered", b".*", b"/.*")]
        )

    def test_register(self) -> None:
        registering = self.guest.register(r"blog\.example", b"/a")
        self.assertNoResult(registering)
        self.memory.advance()
        route = self.successResultOf(registering)
        self.assertEqual(route, Route(rb"blog\.example", b"/a"))
        self.assertIn(route, self.proxy.routes.values())
        self.assertIn(("registered", rb"blog\.example", b"/a"), self.guest.hooks)

    def test_refused(self) -> None:
        proxy = ProxyProtocol(admit=lambda route: (b"policy", b"not yours"))
        memory = MemoryProxy(Application, proxy=proxy)
        self.assertEqual(memory.guest.hooks[-1], ("refused", "policy"))
        registering = memory.guest.register(b"a")
        memory.advance()
        error = self.failureResultOf(registering, RegistrationRefused).value
        self.assertEqual((error.code, error.reason, error.host), ("policy", "not yours", b"a"))
        self.assertTrue(memory.connected)

    def test_unregister(self) -> None:
        leaving = self.guest.unregister(b".*")
        self.memory.advance()
        self.assertIsNone(self.successResultOf(leaving))
        self.assertEqual(self.proxy.routes, {})

    def test_unregister_what_is_not_registered(self) -> None:
        self.failureResultOf(self.guest.unregister(b"a"), KeyError)
        self.guest.unregister(b".*")
        self.failureResultOf(self.guest.unregister(b".*"), KeyError)

    def test_nothing_can_be_registered_when_the_subscription_is_over(self) -> None:
        registering = self.guest.register(b"late")
        self.memory.disconnect()
        self.failureResultOf(registering, SubscriptionEnded)
        self.failureResultOf(self.guest.register(b"a"), SubscriptionEnded)
        self.failureResultOf(self.guest.unregister(b".*"), SubscriptionEnded)

    def test_answers_to_what_was_not_asked_are_ignored(self) -> None:
        for message in (
            m.Registered(77),
            m.Registered(1),
            m.Unregistered(77),
            m.Refused(77, b"policy", b""),
        ):
            self.proxy.say(message)
        self.memory.advance()
        self.assertEqual(self.successResultOf(self.get()).status, 200)


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
        self.assertEqual(self.guest._exchanges, {})

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
        self.assertEqual(self.guest._exchanges, {})

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
        self.assertEqual(self.guest._exchanges, {})

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


class LivenessTests(SubscriberTestCase):
    """Is the proxy there?"""

    def test_pings_are_answered_at_once(self) -> None:
        self.proxy.say(m.Ping(b"abc"))
        self.memory.advance()
        self.assertEqual(self.proxy.pongs, [b"abc"])

    def test_pings_are_answered_while_a_request_is_under_way(self) -> None:
        self.guest.answer = lambda request: Deferred()
        self.memory.begin(b"GET", b"/")
        self.proxy.say(m.Ping(b"abc"))
        self.memory.advance()
        self.assertEqual(self.proxy.pongs, [b"abc"])

    def test_a_silent_proxy_is_given_up(self) -> None:
        memory = MemoryProxy(Application, proxy=ProxyProtocol(welcome={b"timeout": 4000}))
        memory.advance(GREETING)
        memory.advance(GRACE - 0.1)
        self.assertTrue(memory.connected)
        memory.advance(0.1)
        self.assertFalse(memory.connected)
        self.assertEqual(memory.guest.hooks[-1], ("lost", ProxySilent))

    def test_one_that_pings_is_not(self) -> None:
        for _ in range(20):
            self.memory.advance(3)
            self.proxy.say(m.Ping(b"x"))
            self.memory.advance()
        self.assertTrue(self.memory.connected)

    def test_what_came_while_we_were_stopped_counts(self) -> None:
        guest = MemoryGuest(Application)
        guest.send(encode([b"welcome", {b"version": 1, b"timeout": 4000}]))
        guest.clock.advance(500)
        guest.send(encode([b"ping", b"x"]))
        guest.clock.advance(GRACE)
        self.assertFalse(guest.closed())
        guest.clock.advance(3.9)
        self.assertFalse(guest.closed())

    def test_a_proxy_that_does_not_greet(self) -> None:
        guest = MemoryGuest(Application)
        guest.clock.advance(GREETING)
        guest.clock.advance(GRACE)
        self.assertTrue(guest.transport.aborted)


class EndTests(SubscriberTestCase):
    """How a subscription ends."""

    def test_drain_when_idle(self) -> None:
        drained = self.guest.drain()
        self.memory.advance()
        self.assertIsNone(self.successResultOf(drained))
        self.assertEqual(
            [type(each) for each in self.proxy.said[-3:]], [m.Drain, m.Unregister, m.Bye]
        )
        self.assertFalse(self.memory.connected)
        self.assertEqual(self.memory.clock.getDelayedCalls(), [])

    def test_drain_finishes_what_is_under_way(self) -> None:
        later: Deferred[Response] = Deferred()
        self.guest.answer = lambda request: later
        asked = self.get()
        drained = self.guest.drain()
        self.memory.advance()
        self.assertNoResult(drained)
        later.callback(Response(200))
        self.memory.advance()
        self.assertEqual(self.successResultOf(asked).status, 200)
        self.assertIsNone(self.successResultOf(drained))

    def test_requests_that_cross_a_drain_are_answered(self) -> None:
        exchange = self.proxy.request(b"GET", b"/")
        drained = self.guest.drain()
        self.memory.advance()
        self.assertEqual(self.successResultOf(exchange.finished).status, 200)
        self.assertIsNone(self.successResultOf(drained))

    def test_drain_does_not_wait_for_ever(self) -> None:
        cancelled: list[Any] = []
        self.guest.answer = lambda request: Deferred(cancelled.append)
        asked = self.get()
        drained = self.guest.drain()
        self.memory.advance()
        for _ in range(10):
            self.proxy.say(m.Ping(b"x"))
            self.memory.advance(3)
        self.failureResultOf(asked, ExchangeFailed)
        self.assertEqual(len(cancelled), 1)
        self.assertEqual(self.proxy.farewell, m.Bye(b"timeout"))
        self.assertIsNone(self.successResultOf(drained))

    def test_drain_does_not_wait_for_unregistered_for_ever(self) -> None:
        guest = MemoryGuest(Application)
        guest.send(encode([b"welcome", {b"version": 1}]))
        guest.send(encode([b"registered", 1]))
        guest.frames()
        guest.protocol.drain()
        self.assertEqual([frame[0] for frame in guest.frames()], [b"drain", b"unregister"])
        guest.clock.advance(LINGER)
        self.assertEqual(guest.frames(), [[b"bye", b"done", b""]])

    def test_drain_twice(self) -> None:
        self.guest.answer = lambda request: Deferred()
        asked = self.get()
        first, second = self.guest.drain(), self.guest.drain()
        self.memory.disconnect()
        self.failureResultOf(asked, ExchangeFailed)
        self.assertIsNone(self.successResultOf(first))
        self.assertIsNone(self.successResultOf(second))

    def test_drain_before_welcome_says_bye(self) -> None:
        guest = MemoryGuest()
        guest.frames()
        drained = guest.protocol.drain()
        self.assertEqual(guest.frames(), [[b"bye", b"done", b""]])
        self.assertNoResult(drained)
        guest.clock.advance(LINGER)
        self.assertTrue(guest.transport.disconnecting)

    def test_drain_of_the_proxy(self) -> None:
        leaving = self.guest.whenLeaving()
        later: Deferred[Response] = Deferred()
        self.guest.answer = lambda request: later
        asked = self.get()
        self.memory.drain()
        self.assertIsNone(self.successResultOf(leaving))
        self.assertTrue(self.memory.connected)
        later.callback(Response(200))
        self.memory.advance()
        self.assertEqual(self.successResultOf(asked).status, 200)
        self.assertEqual(self.proxy.farewell, m.Bye(b"done"))
        self.assertFalse(self.memory.connected)

    def left(self, kind: type[Exception], *frames: Any) -> Any:
        guest = MemoryGuest(Application)
        subscribed, leaving = guest.protocol.whenSubscribed(), guest.protocol.whenLeaving()
        guest.frames()
        for frame in frames:
            guest.send(encode(frame))
        reason = self.successResultOf(leaving)
        self.assertIsInstance(reason, kind)
        guest.clock.advance(LINGER)
        self.assertTrue(guest.transport.disconnecting)
        guest.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(guest.protocol.hooks[-1], ("lost", kind))
        self.successResultOf(subscribed)
        self.assertEqual(guest.clock.getDelayedCalls(), [])
        return reason

    def test_bye(self) -> None:
        reason = self.left(ProxyLeft, [b"welcome", {b"version": 1}], [b"bye", b"shutdown", b"so"])
        self.assertEqual((reason.code, reason.reason), ("shutdown", "so"))

    def test_replaced(self) -> None:
        self.left(SubscriptionReplaced, [b"welcome", {b"version": 1}], [b"bye", b"replaced", b""])

    def test_refused(self) -> None:
        self.left(SubscriptionRefused, [b"refused", 0, b"policy", b"no"], [b"bye", b"refused", b""])

    def test_refused_because_replaced(self) -> None:
        self.left(
            SubscriptionReplaced, [b"refused", 0, b"replaced", b"no"], [b"bye", b"refused", b""]
        )

    def test_a_broken_protocol(self) -> None:
        self.left(ProtocolBroken, [b"ping", b"before welcome"])
        self.left(ProtocolBroken, [b"welcome", {b"version": 7}])

    def test_loss(self) -> None:
        leaving = self.guest.whenLeaving()
        self.memory.disconnect()
        self.assertIsInstance(self.successResultOf(leaving), ConnectionLost)

    def test_subscribed(self) -> None:
        self.assertEqual(self.successResultOf(self.guest.whenSubscribed()).identity, "memory")

    def test_requests_after_our_bye_are_not_answered(self) -> None:
        guest = MemoryGuest(Application)
        guest.send(encode([b"welcome", {b"version": 1}]))
        guest.frames()
        guest.protocol._bye(b"done")
        guest.send(encode([b"request", 1, b"GET", b"/", [], {}, b""]))
        self.assertEqual(guest.frames(), [[b"bye", b"done", b""]])
        self.assertEqual(guest.protocol.requests, [])
