"""Tests for L{guest.twisted.subscriber}: one end is a subscription, the other a proxy in memory."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from guest.core.errors import (
    ProtocolBroken,
    ProxyLeft,
    ProxySilent,
    RegistrationRefused,
    SubscriptionCopied,
    SubscriptionEnded,
    SubscriptionRefused,
    SubscriptionReplaced,
)
from guest.core.response import Response
from guest.core.route import Route
from guest.core.route_registrar import TOO_FAST
from guest.core.subscription import GRACE, GREETING, LINGER
from guest.testing import ExchangeFailed, MemoryProxy, MemoryTransport, ProxyProtocol
from guest.twisted.data_connection import DataPool
from guest.twisted.factory import SubscriberFactory
from subproxy.wire import messages as m
from subproxy.wire.frames import encode
from tests.rigs.guest_application import MemoryGuest
from tests.rigs.guest_case import Application, SubscriberTestCase


class DataConnectionTests(SubscriberTestCase):
    """Connections for bodies belong to one subscription, which may be another process's."""

    def test_each_subscription_has_its_own(self) -> None:
        pools: list[DataPool] = []

        def offer(factory: SubscriberFactory) -> None:
            factory.data = DataPool(None, factory.clock)  # type: ignore[arg-type]

        guest = MemoryGuest(prepare=offer)
        first = guest.protocol
        second = first.factory.buildProtocol(None)
        second.makeConnection(MemoryTransport(second))
        for protocol in (first, second):
            protocol.dataReceived(encode([b"welcome", {b"version": 1, b"bulk": 1}]))
            pool = protocol._subscription.data
            assert pool is not None
            pools.append(pool)
        self.assertEqual(len({*pools, first.factory.data}), 3)
        first.connectionLost(Failure(ConnectionDone()))
        self.assertEqual([pool._closed for pool in pools], [True, False])


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

    def test_too_fast(self) -> None:
        """It is asked for again after a while, until the proxy has time for it."""
        guest = MemoryGuest(routes=(Route(b"a"), Route(b"b")))
        guest.frames()
        guest.send(encode([b"welcome", {b"version": 1}]))
        for reference in (1, 2):
            guest.send(encode([b"refused", reference, b"too-fast", b"later"]))
        guest.clock.advance(TOO_FAST - 0.01)
        self.assertEqual(guest.frames(), [])
        guest.clock.advance(0.01)
        self.assertEqual(
            [frame[:3] for frame in guest.frames()],
            [[b"register", 3, b"a"], [b"register", 4, b"b"]],
        )
        guest.send(encode([b"refused", 3, b"too-fast", b"later"]))
        guest.send(encode([b"registered", 4]))
        guest.clock.advance(TOO_FAST)
        self.assertEqual([frame[:3] for frame in guest.frames()], [[b"register", 5, b"a"]])

    def test_too_fast_and_then_gone(self) -> None:
        """Who waits for the route learns that there is no subscription any more."""
        guest = MemoryGuest(routes=())
        guest.send(encode([b"welcome", {b"version": 1}]))
        registering = guest.protocol.register(b"a")
        guest.send(encode([b"refused", 1, b"too-fast", b"later"]))
        self.assertNoResult(registering)
        guest.protocol.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(registering, SubscriptionEnded)
        guest.clock.advance(TOO_FAST)

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

    def test_come_again(self) -> None:
        self.left(SubscriptionCopied, [b"welcome", {b"version": 1}], [b"bye", b"again", b""])

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
        guest.protocol._subscription.bye(b"done")
        guest.send(encode([b"request", 1, b"GET", b"/", [], {}, b""]))
        self.assertEqual(guest.frames(), [[b"bye", b"done", b""]])
        self.assertEqual(guest.protocol.requests, [])
