"""The PROXY protocol before the HTTP frontend, on both paths, in memory."""

from __future__ import annotations

from typing import Any
from unittest import SkipTest

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from subproxy.core.http.forwarded import Trust
from subproxy.fastpath.install import unavailable
from subproxy.frontend.limits import HttpLimits
from subproxy.frontend.proxy_protocol.protocol import (
    HeaderFirstReactor,
    ProxyProtocolFactory,
    ProxyProtocolFront,
    is_proxied,
    proxied_endpoint,
)
from subproxy.telemetry.close_reason import CloseReason
from tests.frontend.proxy_protocol.test_header import SSL, V4, V6, v2
from tests.rigs.fake_dispatcher import Client, Transport
from tests.rigs.fastpath_rig import Pair, Side, response

GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
LINE = b"PROXY TCP4 203.0.113.9 198.51.100.1 56324 443\r\n"


class UnixTransport(Transport):
    def getPeer(self) -> Any:
        return UNIXAddress(None)


class FrontTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.lines: list[str] = []

        def observe(event: dict[str, Any]) -> None:
            if event.get("log_namespace", "").startswith(
                "subproxy.frontend.proxy_protocol.protocol"
            ):
                self.lines.append(formatEvent(event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.make()

    def make(
        self, trust: list[str] | None = None, limits: HttpLimits | None = None, unix: bool = False
    ) -> None:
        """A frontend, with one connection of a listed peer."""
        self.client = Client(lambda guest: guest.respond(), limits, trust)
        self.client.protocol.connectionLost(Failure(ConnectionDone()))
        self.http = self.client.factory
        peers = Trust(["192.0.2.0/24", "unix"])
        self.factory = ProxyProtocolFactory(self.http, peers, "haproxy:tcp:1")
        self.factory.doStart()
        self.addCleanup(self.factory.doStop)
        self.transport = UnixTransport("x") if unix else Transport("192.0.2.7")
        address: Any = UNIXAddress(None) if unix else IPv4Address("TCP", "192.0.2.7", 4711)
        front = self.factory.buildProtocol(address)
        assert front is not None
        self.front = front
        self.transport.protocol = front
        front.makeConnection(self.transport)

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.transport.protocol.dataReceived(piece)

    def asked(self) -> tuple[bytes, bytes, str]:
        """Client, scheme and X-Forwarded-For of the last request."""
        request = self.client.guest.exchange.request
        (way,) = [value for name, value in request.headers if name == b"X-Forwarded-For"]
        return request.client, request.scheme, way.decode()

    def test_interface(self) -> None:
        verifyObject(IHalfCloseableProtocol, self.front)

    def test_told(self) -> None:
        """Whatever tells it, the client is whom the proxy has told."""
        for header, client, scheme in (
            (LINE, b"203.0.113.9", b"http"),
            (v2(1, 0x11, V4), b"192.0.2.7", b"http"),
            (v2(1, 0x21, V6), b"2001:db8::7", b"http"),
            (v2(1, 0x11, V4 + SSL), b"192.0.2.7", b"https"),
            (v2(1, 0x31, bytes(216)), b"unix", b"http"),
        ):
            self.make()
            self.send(header + GET)
            self.assertEqual(self.asked(), (client, scheme, client.decode()))
            self.send(GET)
            self.assertEqual(self.asked(), (client, scheme, client.decode()))
            self.assertEqual(self.transport.value().count(b"HTTP/1.1 200 OK"), 2)

    def test_nothing_is_told(self) -> None:
        """UNKNOWN, LOCAL, UNSPEC: the peer of the connection."""
        for header in (b"PROXY UNKNOWN\r\n", v2(0, 0x11, V4), v2(0, 0), v2(1, 0)):
            self.make()
            self.send(header, GET)
            self.assertEqual(self.asked(), (b"192.0.2.7", b"http", "192.0.2.7"))
            self.make(unix=True)
            self.send(header, GET)
            self.assertEqual(self.asked(), (b"unix", b"http", "unix"))

    def test_trust(self) -> None:
        """It is asked for who is told, not for the peer."""
        forwarded = GET[:-2] + b"X-Forwarded-For: 198.51.100.77\r\n\r\n"
        for trust, client in (
            (["203.0.113.0/24"], b"198.51.100.77"),
            (["192.0.2.7"], b"203.0.113.9"),
        ):
            self.make(trust)
            self.send(LINE + forwarded)
            self.assertEqual(self.asked()[0], client)

    def test_in_pieces(self) -> None:
        """A byte at a time."""
        data = v2(1, 0x21, V6 + SSL) + GET
        self.send(*(data[at : at + 1] for at in range(len(data))))
        self.assertEqual(self.asked(), (b"2001:db8::7", b"https", "2001:db8::7"))

    def test_what_is_no_header(self) -> None:
        """It is not answered, and one line tells why."""
        self.send(GET)
        self.assertTrue(self.transport.aborted)
        self.assertIs(self.front.close_reason, CloseReason.PROXY_HEADER)
        self.assertEqual(self.transport.value(), b"")
        self.assertEqual(self.client.dispatcher.guests, [])
        self.assertEqual(
            self.lines,
            [
                "HTTP on haproxy:tcp:1: refused a connection of 192.0.2.7: the connection does "
                "not begin with a PROXY header"
            ],
        )
        self.send(LINE + GET)
        self.front.connectionLost()
        self.assertEqual(self.client.dispatcher.guests, [])
        self.assertEqual((len(self.lines), len(self.http.connections)), (1, 0))

    def test_peers_that_are_not_listed(self) -> None:
        """They are closed at once, and ten lines a second tell of them."""
        for address in (
            IPv4Address("TCP", "198.51.100.1", 1),
            IPv6Address("TCP", "::1", 1),
            IPv6Address("TCP", "::ffff:198.51.100.1", 1),
            None,
            object(),
        ):
            self.assertIsNone(self.factory.buildProtocol(address))  # type: ignore[arg-type]
        mapped = IPv6Address("TCP", "::ffff:192.0.2.9", 1)
        self.assertIsInstance(self.factory.buildProtocol(mapped), ProxyProtocolFront)
        for _ in range(50):
            self.factory.buildProtocol(IPv4Address("TCP", "198.51.100.1", 1))
        self.assertEqual(len(self.lines), 10)
        self.assertIn("refused a connection of 198.51.100.1: it is not among", self.lines[0])

    def test_a_header_that_comes_too_slowly(self) -> None:
        """It has as long as a request head has."""
        self.send(LINE[:10])
        self.client.clock.pump([0.5] * 19)
        self.assertFalse(self.transport.aborted)
        self.client.clock.pump([0.5] * 3)
        self.assertTrue(self.transport.aborted)
        self.assertIs(self.front.close_reason, CloseReason.PROXY_HEADER)
        self.assertIn("the PROXY header came too slowly", self.lines[0])

    def test_the_deadline_is_over_with_the_header(self) -> None:
        """Then those of HTTP hold."""
        self.send(LINE)
        self.client.clock.pump([0.5] * 30)
        self.assertFalse(self.transport.aborted)
        self.send(GET)
        self.assertEqual(self.asked()[0], b"203.0.113.9")

    def test_probes(self) -> None:
        """Who connects and leaves is not worth a line; who leaves in the middle is."""
        self.front.readConnectionLost()
        self.assertTrue(self.transport.disconnecting)
        self.front.connectionLost(Failure(ConnectionDone()))
        self.assertIs(self.front.close_reason, CloseReason.CLIENT_DONE)
        self.assertEqual((self.lines, len(self.http.connections)), ([], 0))
        self.make()
        self.send(b"PROXY TC")
        self.front.connectionLost(Failure(ConnectionDone()))
        self.assertIn("it left in the middle of its PROXY header", self.lines[0])
        self.assertIs(self.front.close_reason, CloseReason.CLIENT_CLOSED)
        self.make()
        self.send(b"PROXY TC")
        self.front.readConnectionLost()
        self.front.connectionLost(Failure(ConnectionDone()))
        self.assertIs(self.front.close_reason, CloseReason.CLIENT_DONE)
        self.assertEqual(len(self.lines), 2)

    def test_too_many_connections(self) -> None:
        """One that has not told its client is one, too."""
        self.make(limits=HttpLimits(connections=1))
        second = self.factory.buildProtocol(IPv4Address("TCP", "192.0.2.7", 2))
        assert second is not None
        transport = Transport("192.0.2.7")
        second.makeConnection(transport)
        self.assertTrue(transport.aborted)
        self.assertIs(second.close_reason, CloseReason.TOO_MANY)
        second.dataReceived(LINE)
        second.connectionLost()
        self.send(LINE + GET)
        self.assertEqual(self.transport.value()[:15], b"HTTP/1.1 200 OK")
        self.assertEqual(len(self.http.connections), 1)

    def test_drain(self) -> None:
        """A connection without header is idle."""
        done = self.http.drain()
        self.assertTrue(self.transport.disconnecting)
        self.assertNoResult(done)
        self.front.connectionLost(Failure(ConnectionDone()))
        self.successResultOf(done)
        self.assertIs(self.front.close_reason, CloseReason.DRAINING)

    def test_drain_in_the_middle_of_a_header(self) -> None:
        """We closed it: it did not leave, and what still comes is not read."""
        self.send(LINE[:10])
        self.http.drain().addErrback(self.fail)
        self.send(LINE[10:] + GET)
        self.front.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((self.lines, self.client.dispatcher.guests), ([], []))

    def test_close(self) -> None:
        """At the end all are closed."""
        self.assertEqual(self.http.active, 0)
        self.http.close()
        self.assertTrue(self.transport.aborted)
        self.assertIs(self.front.close_reason, CloseReason.SHUTDOWN)


class PathTests(SynchronousTestCase):
    """Behind the header both paths do the same, and the compiled one is used."""

    def setUp(self) -> None:
        if unavailable() is not None:
            raise SkipTest("no compiled path")

    def pair(self, header: bytes, **options: Any) -> Pair:
        pair = Pair(**options)
        self.addCleanup(pair.close)
        pair.lose()
        for side in pair.sides:
            self.connect(side, header)
        return pair

    def connect(self, side: Side, header: bytes) -> None:
        side.connect()
        side.protocol.connectionLost(Failure(ConnectionDone()))
        factory = ProxyProtocolFactory(side.factory, Trust(["192.0.2.7"]), "")
        front = factory.buildProtocol(IPv4Address("TCP", side.address, 1))
        assert front is not None
        side.transport = Transport(side.address)
        side.transport.protocol = front
        front.makeConnection(side.transport)
        front.dataReceived(header)
        side.protocol = side.transport.protocol

    def test_compiled(self) -> None:
        """A request is answered there, and the guest and the log hear of the told client."""
        pair = self.pair(LINE)
        for number in (1, 2):
            pair.client(GET)
            self.assertIn(b"203.0.113.9", pair.last["guest"])  # type: ignore[arg-type]
            self.assertNotIn(b"192.0.2.7", pair.last["guest"])  # type: ignore[arg-type]
            pair.guest(response(number))
            lines, _ = pair.last["log"]  # type: ignore[misc]
            self.assertEqual(lines.split()[0], b"203.0.113.9")
        self.assertEqual(pair.stats["requests"], 2)
        self.assertEqual(pair.stats["declined_requests"], 0)

    def test_scheme(self) -> None:
        """TLS at the proxy is told, too."""
        pair = self.pair(v2(1, 0x11, V4 + SSL))
        pair.client(GET)
        self.assertIn(b"https", pair.last["guest"])  # type: ignore[arg-type]
        pair.guest(response(1))
        self.assertEqual(pair.stats["requests"], 1)

    def test_there_and_back(self) -> None:
        """What the compiled path leaves to Python, and gets back, is of the same client."""
        pair = self.pair(LINE)
        pair.client(GET)
        pair.guest(response(1))
        pair.client(b"GET / HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\n\r\n")
        self.assertIn(b"203.0.113.9", pair.last["guest"])  # type: ignore[arg-type]
        pair.guest(response(2))
        pair.client(GET)
        self.assertIn(b"203.0.113.9", pair.last["guest"])  # type: ignore[arg-type]
        pair.guest(response(3))
        pair.client(b"nonsense\r\n\r\n")
        self.assertIn(b"203.0.113.9 - - ", pair.last["log"][0])  # type: ignore[index]

    def test_trusted(self) -> None:
        """A told client that is a trusted proxy itself tells of its own."""
        pair = self.pair(LINE, trust=["203.0.113.9"])
        pair.client(GET[:-2] + b"X-Forwarded-For: 198.51.100.77\r\n\r\n")
        self.assertIn(b"198.51.100.77, 203.0.113.9", pair.last["guest"])  # type: ignore[arg-type]
        pair.guest(response(1))
        self.assertEqual(pair.stats["requests"], 1)

    def test_nothing_told(self) -> None:
        """The peer, on both."""
        pair = self.pair(b"PROXY UNKNOWN\r\n")
        pair.client(GET)
        self.assertIn(b"192.0.2.7", pair.last["guest"])  # type: ignore[arg-type]


class EndpointTests(SynchronousTestCase):
    def test_prefix(self) -> None:
        """It is Twisted's."""
        self.assertTrue(is_proxied("haproxy:tcp:1"))
        self.assertFalse(is_proxied("tcp:1"))

    def test_bad(self) -> None:
        """What is no endpoint, and a header before a header."""
        for bad in ("haproxy:", "haproxy:nothing:1", "haproxy:haproxy:tcp:1"):
            self.assertRaises(ValueError, proxied_endpoint, object(), bad)

    def test_plain(self) -> None:
        """What is behind the prefix listens, with the factory as it is."""
        calls: list[tuple[object, ...]] = []

        class Reactor:
            def listenTCP(self, *arguments: object, **options: object) -> str:
                calls.append((*arguments, options))
                return "port"

        factory = object()
        proxied_endpoint(Reactor(), "haproxy:tcp:8888:interface=127.0.0.1").listen(factory)
        ((port, given, options),) = calls
        self.assertEqual((port, options["interface"]), (8888, "127.0.0.1"))  # type: ignore[index]
        self.assertIs(given, factory)

    def test_tls_begins_behind_the_header(self) -> None:
        """The listener is plain, and its factory knows the certificate."""
        calls: list[tuple[object, ...]] = []

        class Reactor:
            def listenTCP(self, *arguments: object, **options: object) -> str:
                calls.append((*arguments, options))
                return "port"

        class Factory:
            def begin_tls(self, context: object) -> None:
                calls.append(("tls", context))

        factory = Factory()
        port = HeaderFirstReactor(Reactor()).listenSSL(1, factory, contextFactory="c", backlog=5)
        self.assertEqual((port, calls), ("port", [("tls", "c"), (1, factory, {"backlog": 5})]))
