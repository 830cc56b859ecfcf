"""Tests for L{guest.testing}: what authors rely on in theirs."""

from __future__ import annotations

import doctest
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.interfaces import ITransport
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from guest import testing
from guest.core.request import Request
from guest.core.response import Response
from guest.core.route import Route
from guest.testing import ExchangeFailed, MemoryProxy, MemoryTransport, ProxyProtocol
from guest.twisted.factory import SubscriberFactory
from guest.twisted.subscriber import SubscriberProtocol


class Hello(SubscriberProtocol):
    """The one of the example."""

    def requestReceived(self, request: Request) -> Any:
        if request.path == b"/later":
            return deferLater(self.factory.clock, 5, Response, 200, [], b"later\n")
        if request.path == b"/endless":
            return Response(200, [], iter(lambda: bytes(4096), None))
        if request.path == b"/hints":
            request.interim(103, [(b"link", b"</a>")])
        return Response(200, [(b"Content-Type", b"text/plain")], b"hello\n", reason=b"Fine")


class MemoryProxyTests(SynchronousTestCase):
    """As in the example of the module."""

    def test_hello(self) -> None:
        proxy = MemoryProxy(Hello)
        response = self.successResultOf(proxy.request(b"GET", b"/"))
        self.assertEqual((response.status, response.body), (200, b"hello\n"))
        self.assertEqual(response.header(b"content-type"), b"text/plain")
        self.assertEqual(response.header(b"x-none", b"none"), b"none")
        self.assertEqual(response.reason, b"Fine")

    def test_the_example_is_what_people_read(self) -> None:
        self.assertIn("MemoryProxy(Hello)", testing.__doc__ or "")
        self.assertEqual(doctest.testmod(testing).failed, 0)

    def test_time_is_the_test_s(self) -> None:
        proxy = MemoryProxy(Hello)
        asked = proxy.request(b"GET", b"/later")
        proxy.advance(4)
        self.assertNoResult(asked)
        proxy.advance(1)
        self.assertEqual(self.successResultOf(asked).body, b"later\n")

    def test_interim_responses(self) -> None:
        response = self.successResultOf(MemoryProxy(Hello).request(b"GET", b"/hints"))
        self.assertEqual(response.interim, [(103, [(b"link", b"</a>")])])

    def test_an_endless_body_can_be_held(self) -> None:
        proxy = MemoryProxy(Hello)
        exchange = proxy.begin(b"GET", b"/endless", hold=True)
        first = exchange.held
        self.assertEqual((first, len(exchange.response.body)), (65_536, 65_536))
        exchange.take(40_000)
        proxy.advance()
        self.assertEqual(len(exchange.response.body), 65_536 + 40_000)
        exchange.abort()
        proxy.advance()
        self.assertNoResult(exchange.finished)

    def test_an_endless_body_that_is_not_held_is_noticed(self) -> None:
        self.patch(testing, "ROUNDS", 10)
        self.assertRaises(RuntimeError, MemoryProxy(Hello).request, b"GET", b"/endless")

    def test_routes(self) -> None:
        proxy = MemoryProxy(Hello, [Route(b"a"), Route(b"b", b"/c")])
        self.assertEqual(list(proxy.proxy.routes.values()), [Route(b"a"), Route(b"b", b"/c")])

    def test_a_factory(self) -> None:
        clock = Clock()
        factory = SubscriberFactory(Hello, "mine", [Route(b"a")], clock=clock)
        proxy = MemoryProxy(factory, clock=clock)
        self.assertIs(proxy.guest.factory, factory)
        self.assertEqual(proxy.proxy.hello[b"application"], b"mine")

    def test_disconnect(self) -> None:
        proxy = MemoryProxy(Hello)
        asked = proxy.request(b"GET", b"/later")
        proxy.disconnect()
        proxy.disconnect()
        self.assertFalse(proxy.connected)
        error = self.failureResultOf(asked, ExchangeFailed).value
        self.assertEqual(error.code, "lost")

    def test_a_proxy_that_refuses(self) -> None:
        proxy = ProxyProtocol(admit=lambda route: (b"policy", b"no"))
        self.assertEqual(MemoryProxy(Hello, proxy=proxy).proxy.routes, {})

    def test_the_transport(self) -> None:
        transport = MemoryTransport(None)
        verifyObject(ITransport, transport)
        transport.writeSequence([b"a", b"b"])
        self.assertEqual(transport.written, [b"ab"])
        transport.loseConnection()
        transport.write(b"c")
        self.assertEqual(transport.written, [b"ab"])
        self.assertEqual((transport.getPeer(), transport.getHost()), ("memory", "memory"))


class CoroutineTests(TestCase):
    """In tests that wait."""

    @inlineCallbacks
    def test_inline_callbacks(self) -> Any:
        response = yield MemoryProxy(Hello).request(b"GET", b"/")
        self.assertEqual(response.body, b"hello\n")

    def test_a_coroutine(self) -> Any:
        async def body() -> None:
            response = await MemoryProxy(Hello).request(b"GET", b"/")
            self.assertEqual(response.body, b"hello\n")

        return Deferred.fromCoroutine(body())
