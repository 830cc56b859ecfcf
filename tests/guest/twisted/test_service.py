"""
Tests for L{guest.twisted.service}: an endpoint that is in memory, a clock that only tests move.
"""

from __future__ import annotations

from errno import ENOENT
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectingCancelledError, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from guest.core import wall_clock
from guest.core.errors import SubscriptionRefused, SubscriptionReplaced
from guest.core.keeper import IDLE
from guest.core.response import Response
from guest.core.route import Route
from guest.testing import MemoryTransport
from guest.twisted.factory import SubscriberFactory
from guest.twisted.service import SubscriberService
from guest.twisted.subscriber import SubscriberProtocol
from subproxy.wire.frames import FrameDecoder, encode

WELCOME = [b"welcome", {b"version": 1}]


class Application(SubscriberProtocol):
    """Answers when it is told to."""

    waiting: list[Deferred[Response]] = []

    def requestReceived(self, request: Any) -> Any:
        later: Deferred[Response] = Deferred()
        self.waiting.append(later)
        return later


class Line:
    """The proxy's end of one connection."""

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.transport = MemoryTransport(protocol)
        protocol.makeConnection(self.transport)
        self._decoder = FrameDecoder(9_999_999)

    def say(self, *frames: Any) -> None:
        for frame in frames:
            self.protocol.dataReceived(encode(frame))

    def said(self) -> list[Any]:
        """The verbs that came since the last call."""
        self._decoder.feed(b"".join(self.transport.written))
        self.transport.written.clear()
        found = []
        while (frame := self._decoder.next()) is not None:
            found.append(frame[0].decode())
        return found

    def lose(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionLost()))


class Endpoint:
    """Where the proxy would be."""

    def __init__(self) -> None:
        self.dials: list[tuple[Any, Deferred[Any]]] = []
        self.cancelled = 0

    def connect(self, factory: Any) -> Deferred[Any]:
        def cancel(deferred: Deferred[Any]) -> None:
            self.cancelled += 1
            deferred.errback(ConnectingCancelledError("memory"))

        deferred: Deferred[Any] = Deferred(cancel)
        self.dials.append((factory, deferred))
        return deferred

    def accept(self) -> Line:
        factory, deferred = self.dials[-1]
        line = Line(factory.buildProtocol(None))
        deferred.callback(line.protocol)
        return line

    def refuse(self) -> None:
        self.dials[-1][1].errback(ConnectError())


class ServiceTests(SynchronousTestCase):
    """It stays subscribed."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.endpoint = Endpoint()
        self.factory = SubscriberFactory(Application, "a", [Route(b"a")], clock=self.clock)
        self.service = self.make()
        Application.waiting = []

    def make(self, **options: Any) -> SubscriberService:
        return SubscriberService(
            self.endpoint,  # type: ignore[arg-type]
            self.factory,
            chance=lambda: 1.0,
            **options,
        )

    def start(self) -> Line:
        self.service.startService()
        line = self.endpoint.accept()
        line.say(WELCOME)
        return line

    def test_it_dials_when_it_starts(self) -> None:
        self.assertEqual(self.endpoint.dials, [])
        line = self.start()
        self.assertEqual(line.said(), ["hello", "register"])
        self.assertEqual(len(self.endpoint.dials), 1)

    def test_waits_grow_while_nobody_listens(self) -> None:
        self.service.startService()
        waits = []
        for _ in range(9):
            before = len(self.endpoint.dials)
            self.endpoint.refuse()
            (call,) = self.clock.getDelayedCalls()
            waits.append(round(call.getTime() - self.clock.seconds(), 3))
            self.clock.advance(waits[-1])
            self.assertEqual(len(self.endpoint.dials), before + 1)
        self.assertEqual(waits, [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.5, 2.5, 2.5])

    def test_an_outage_is_told_once(self) -> None:
        """Whom we dial, why in vain, and what to look at; and that it is over."""
        events = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        self.service = self.make(where="unix:/x/vm.sock_12345")
        self.service.startService()
        for wait in (0.05, 0.1, 0.2):
            self.endpoint.dials[-1][1].errback(ConnectError(ENOENT))
            self.clock.advance(wait)
        self.endpoint.accept().say(WELCOME)
        self.assertEqual(
            [formatEvent(event) for event in events],
            [
                "cannot reach the proxy at unix:/x/vm.sock_12345: No such file or directory; is "
                "the proxy running, with --vsock=/x/vm.sock and --vsock-port=12345?; dialling "
                "again until it is there",
                "subscribed, after 3 dials in 0 s",
            ],
        )

    def test_what_comes_after_a_connection_was_made(self) -> None:
        """One line too."""
        events = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        self.service = self.make(where="vsock:2:1")
        self.service.startService()
        self.endpoint.accept().lose()
        self.clock.advance(0.05)
        self.start_over().say([b"drain"])
        self.assertEqual(
            [formatEvent(event) for event in events],
            [
                "no subscription at vsock:2:1: the connection was closed; dialling again until "
                "it is there",
                "subscribed, after 1 dials in 0 s",
                "the proxy at vsock:2:1 drains; dialling again until it is there",
            ],
        )

    def start_over(self) -> Line:
        line = self.endpoint.accept()
        line.say(WELCOME)
        return line

    def test_who_serves_nothing_is_told(self) -> None:
        """Once, when it has had the time to register something."""
        events = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        self.factory.routes.clear()
        line = self.start()
        self.clock.advance(IDLE)
        self.assertIn("serving nothing: there is no --host", formatEvent(events[0]))
        line.lose()
        self.clock.advance(0.05)
        self.start_over()
        self.clock.advance(IDLE)
        self.assertEqual(sum("serving nothing" in formatEvent(event) for event in events), 1)

    def test_who_registers_by_itself_serves_something(self) -> None:
        """Also if that is refused."""
        events = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        self.factory.routes.clear()
        line = self.start()
        line.protocol.register("a").addErrback(lambda _: None)
        line.say([b"refused", 1, b"policy", b"no"])
        self.clock.advance(IDLE)
        self.assertFalse(any("serving nothing" in formatEvent(event) for event in events))

    def test_a_lost_subscription_is_made_again(self) -> None:
        line = self.start()
        instance = self.factory.instance
        self.clock.advance(6)
        line.say([b"ping", b"x"])
        self.clock.advance(1)
        line.lose()
        self.assertEqual(len(self.endpoint.dials), 1)
        self.clock.advance(0.05)
        again = self.endpoint.accept()
        again.say(WELCOME)
        self.assertEqual(again.said(), ["hello", "register"])
        self.assertEqual(self.factory.instance, instance)

    def test_a_proxy_that_takes_connections_only_to_close_them(self) -> None:
        self.service.startService()
        for wait in (0.05, 0.1, 0.2, 0.4):
            self.endpoint.accept().lose()
            dials = len(self.endpoint.dials)
            self.clock.advance(wait - 0.001)
            self.assertEqual(len(self.endpoint.dials), dials)
            self.clock.advance(0.001)
            self.assertEqual(len(self.endpoint.dials), dials + 1)

    def test_a_long_subscription_resets_the_waits(self) -> None:
        self.service.startService()
        for wait in (0.05, 0.1, 0.2, 0.4):
            self.endpoint.refuse()
            self.clock.advance(wait)
        line = self.endpoint.accept()
        line.say(WELCOME)
        self.clock.advance(6)
        line.lose()
        self.clock.advance(0.05)
        self.assertEqual(len(self.endpoint.dials), 6)

    def test_when_the_proxy_drains_it_dials_at_once_and_finishes(self) -> None:
        old = self.start()
        self.clock.advance(6)
        old.say([b"request", 1, b"GET", b"/", [], {}, b""], [b"drain"])
        self.assertEqual(len(self.endpoint.dials), 2)
        new = self.endpoint.accept()
        new.say(WELCOME)
        self.assertEqual(new.said(), ["hello", "register"])
        old.said()
        Application.waiting[0].callback(Response(200))
        self.assertEqual(old.said(), ["response", "bye"])
        old.say([b"bye", b"replaced", b"by yourself"])
        old.lose()
        self.clock.advance(1)
        self.assertEqual(len(self.endpoint.dials), 2)
        self.assertNoResult(self.service.whenOver())

    def test_a_drained_connection_that_is_replaced_by_our_own_is_no_end(self) -> None:
        old = self.start()
        self.clock.advance(6)
        old.say([b"request", 1, b"GET", b"/", [], {}, b""], [b"drain"])
        self.endpoint.accept().say(WELCOME)
        old.say([b"bye", b"replaced", b""])
        old.lose()
        self.assertNoResult(self.service.whenOver())

    def test_a_proxy_that_drains_each_new_connection_is_not_hammered(self) -> None:
        self.start().say([b"drain"])
        self.assertEqual(len(self.endpoint.dials), 1)
        self.clock.advance(0.05)
        self.assertEqual(len(self.endpoint.dials), 2)

    def test_replaced(self) -> None:
        over = self.service.whenOver()
        line = self.start()
        line.say([b"bye", b"replaced", b"a newer instance is here"])
        line.lose()
        self.clock.advance(60)
        self.assertEqual(len(self.endpoint.dials), 1)
        self.assertIsInstance(self.successResultOf(over), SubscriptionReplaced)

    def test_what_comes_again_is_a_copy(self) -> None:
        """Our instance on a younger connection that is not ours: be another one."""
        line = self.start()
        before = self.factory.instance
        line.say([b"bye", b"again", b"this instance has come again"])
        line.lose()
        self.clock.advance(0.05)
        self.assertEqual(len(self.endpoint.dials), 2)
        self.assertNotEqual(self.factory.instance, before)
        self.assertNoResult(self.service.whenOver())

    def test_a_drained_connection_whose_place_our_own_took(self) -> None:
        """That is what it was for: we stay who we are."""
        old = self.start()
        before = self.factory.instance
        self.clock.advance(6)
        old.say([b"request", 1, b"GET", b"/", [], {}, b""], [b"drain"])
        self.endpoint.accept().say(WELCOME)
        old.say([b"bye", b"again", b""])
        old.lose()
        self.clock.advance(60)
        self.assertEqual(len(self.endpoint.dials), 2)
        self.assertEqual(self.factory.instance, before)

    def test_a_restored_machine_is_another_instance(self) -> None:
        """The wall clock has jumped, and the connection is gone: as after a restore."""
        drift = 1000.0
        self.service = self.make(drift=lambda: drift)
        line = self.start()
        before = self.factory.instance
        drift += 3600.0
        line.lose()
        self.clock.advance(0.05)
        self.assertNotEqual(self.factory.instance, before)
        again, before = self.endpoint.accept(), self.factory.instance
        again.say(WELCOME)
        again.lose()
        self.clock.advance(0.1)
        self.assertEqual(self.factory.instance, before)

    def test_the_proxy_says_that_the_machine_was_restored(self) -> None:
        """By another epoch: another instance dials at once, and what is asked is answered."""
        # The wall clock is of whoever runs the tests.
        drift = [0.0]
        self.patch(wall_clock, "correct", lambda: drift.append(3600.0))
        self.service = self.make(drift=lambda: sum(drift))
        line = self.start()
        before = self.factory.instance
        line.lose()
        self.clock.advance(0.05)
        line = self.endpoint.accept()
        line.say([b"welcome", {b"version": 1, b"epoch": b"one"}])
        self.assertEqual(self.factory.instance, before)
        line.lose()
        self.clock.advance(0.1)
        line = self.endpoint.accept()
        line.said()
        line.say([b"welcome", {b"version": 1, b"epoch": b"two"}])
        self.assertEqual(line.said(), ["drain", "unregister"])
        self.assertEqual(len(self.endpoint.dials), 4)
        self.assertNotEqual(self.factory.instance, before)
        self.assertNoResult(self.service.whenOver())
        before = self.factory.instance
        line = self.endpoint.accept()
        line.say([b"welcome", {b"version": 1, b"epoch": b"two"}])
        self.assertEqual(len(drift), 2)
        line.lose()  # that the clock was set is no other restore
        self.clock.advance(0.1)
        self.assertEqual(self.factory.instance, before)

    def test_replaced_by_what_it_has_become(self) -> None:
        """Another subscription of this instance was first to learn that the machine is restored."""
        self.patch(wall_clock, "correct", lambda: False)
        line = self.start()
        self.factory.restored(b"two")
        line.say([b"bye", b"replaced", b""])
        self.clock.advance(0.05)
        self.assertEqual(len(self.endpoint.dials), 2)
        self.assertNoResult(self.service.whenOver())

    def test_told_that_the_machine_was_restored(self) -> None:
        """It drops the connection, and comes as another instance."""
        line = self.start()
        before = self.factory.instance
        self.service.restored()
        self.assertTrue(line.transport.aborted)
        line.lose()
        self.clock.advance(0.05)
        self.assertEqual(len(self.endpoint.dials), 2)
        self.assertNotEqual(self.factory.instance, before)
        self.assertNoResult(self.service.whenOver())

    def test_a_refusal_that_would_come_again(self) -> None:
        """Neither the version nor what hello says changes by asking again."""
        for code in (b"version", b"hello"):
            self.service = self.make()
            over = self.service.whenOver()
            self.service.startService()
            line = self.endpoint.accept()
            dials = len(self.endpoint.dials)
            line.say([b"refused", 0, code, b"no"], [b"bye", b"refused", b""])
            line.lose()
            self.clock.advance(60)
            self.assertEqual(len(self.endpoint.dials), dials)
            self.assertIsInstance(self.successResultOf(over), SubscriptionRefused)

    def test_refused_is_retried(self) -> None:
        over = self.service.whenOver()
        self.service.startService()
        line = self.endpoint.accept()
        line.say([b"refused", 0, b"policy", b"no"], [b"bye", b"refused", b""])
        line.lose()
        self.clock.advance(0.05)
        self.assertEqual(len(self.endpoint.dials), 2)
        self.assertNoResult(over)

    def test_refused_is_not_retried_if_told(self) -> None:
        self.service = self.make(retryRefused=False)
        over = self.service.whenOver()
        self.service.startService()
        self.endpoint.accept().say([b"refused", 0, b"policy", b"no"], [b"bye", b"refused", b""])
        self.clock.advance(60)
        self.assertEqual(len(self.endpoint.dials), 1)
        self.assertIsInstance(self.successResultOf(over), SubscriptionRefused)

    def test_stop_while_dialling(self) -> None:
        self.service.startService()
        self.assertIsNone(self.successResultOf(self.service.stopService()))
        self.assertEqual(self.endpoint.cancelled, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_while_waiting(self) -> None:
        self.service.startService()
        self.endpoint.refuse()
        self.assertIsNone(self.successResultOf(self.service.stopService()))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(len(self.endpoint.dials), 1)

    def test_stop_before_start(self) -> None:
        self.assertIsNone(self.successResultOf(self.service.stopService()))

    def test_stop_drains(self) -> None:
        line = self.start()
        line.say([b"registered", 1], [b"request", 1, b"GET", b"/", [], {}, b""])
        line.said()
        stopped = self.service.stopService()
        self.assertEqual(line.said(), ["drain", "unregister"])
        line.say([b"unregistered", 1])
        Application.waiting[0].callback(Response(200))
        self.assertEqual(line.said(), ["response", "bye"])
        self.assertNoResult(stopped)
        line.say([b"bye"])
        line.lose()
        self.assertIsNone(self.successResultOf(stopped))
        self.clock.advance(60)
        self.assertEqual(len(self.endpoint.dials), 1)

    def test_stop_drains_what_still_finishes_too(self) -> None:
        old = self.start()
        self.clock.advance(6)
        old.say([b"request", 1, b"GET", b"/", [], {}, b""], [b"drain"])
        new = self.endpoint.accept()
        new.say(WELCOME, [b"registered", 1])
        stopped = self.service.stopService()
        new.say([b"unregistered", 1], [b"bye"])
        new.lose()
        self.assertNoResult(stopped)
        Application.waiting[0].callback(Response(200))
        old.lose()
        self.assertIsNone(self.successResultOf(stopped))

    def test_abort(self) -> None:
        line = self.start()
        self.service.abort()
        self.assertTrue(line.transport.aborted)

    def test_start_again(self) -> None:
        self.service.startService()
        self.service.stopService()
        line = self.start()
        self.assertEqual(line.said(), ["hello", "register"])
