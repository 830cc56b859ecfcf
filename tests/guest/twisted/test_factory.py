"""Tests for L{guest.twisted.factory} and L{guest.core.welcome}."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from guest.core.errors import RegistrationRefused
from guest.core.route import Route
from guest.core.welcome import Welcome
from guest.twisted.factory import LogAnnouncer, SubscriberFactory
from guest.twisted.subscriber import SubscriberProtocol
from subproxy.wire.frames import encode
from subproxy.wire.messages import Hello, parse
from tests.rigs.guest_application import MemoryGuest


class FactoryTests(SynchronousTestCase):
    """What a factory says of its application."""

    def test_hello(self) -> None:
        factory = SubscriberFactory(
            SubscriberProtocol, "blog", clock=Clock(), worker=2, concurrency=3, weight=4
        )
        hello = factory.hello()
        self.assertEqual(hello[b"application"], b"blog")
        self.assertEqual((hello[b"worker"], hello[b"concurrency"], hello[b"weight"]), (2, 3, 4))

    def test_the_wire_takes_it(self) -> None:
        (hello, *_) = MemoryGuest().frames()
        self.assertIsInstance(parse(hello), Hello)

    def test_instances_differ(self) -> None:
        instances = {
            SubscriberFactory(SubscriberProtocol, "a", clock=Clock()).instance for _ in range(20)
        }
        self.assertEqual(len(instances), 20)

    def test_an_instance_stays_over_connections(self) -> None:
        factory = SubscriberFactory(SubscriberProtocol, "a", clock=Clock())
        self.assertEqual(factory.hello()[b"instance"], factory.hello()[b"instance"])

    def test_pongs_can_tell_the_concurrency(self) -> None:
        guest = MemoryGuest()
        guest.factory.pong = lambda: {b"concurrency": 7}  # type: ignore[method-assign]
        guest.send(encode([b"welcome", {b"version": 1}]))
        guest.frames()
        guest.send(encode([b"ping", b"x"]))
        self.assertEqual(guest.frames(), [[b"pong", b"x", {b"concurrency": 7}]])

    def test_without_a_clock_it_takes_the_reactor(self) -> None:
        from twisted.internet import reactor

        self.assertIs(SubscriberFactory(SubscriberProtocol, "a").clock, reactor)


class AnnouncerTests(SynchronousTestCase):
    """What the log gets."""

    def test_log(self) -> None:
        events: list[dict[str, object]] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        protocol = SubscriberProtocol()
        LogAnnouncer().registered(protocol, Route(b"a"))
        LogAnnouncer().refused(protocol, RegistrationRefused(b"a", b"/", "policy", "no"))
        self.assertEqual(events[0]["route"], Route(b"a"))
        self.assertEqual(str(events[1]["refusal"]), "host=a path=/: no (policy)")


class WelcomeTests(SynchronousTestCase):
    """What the proxy says of itself."""

    def test_all(self) -> None:
        info = {b"identity": b"cid:10", b"ping": 1500, b"timeout": 4000, b"version": 1}
        self.assertEqual(Welcome.of(info), Welcome("cid:10", 1.5, 4.0, info))

    def test_the_least(self) -> None:
        welcome = Welcome.of({b"version": 1})
        self.assertEqual((welcome.identity, welcome.ping, welcome.timeout), ("", 3.0, 10.0))
