"""A connection whose TLS is a guest's, in memory."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from subproxy.core.exchange import Exchange, ExchangeState
from subproxy.core.http.forwarded import Trust
from subproxy.core.http.upgrade import PASSTHROUGH
from subproxy.errors import GuestSlow, NoRoute, TooManyRequests, TunnelIdle
from subproxy.frontend.limits import HttpLimits
from subproxy.frontend.proxy_protocol.protocol import ProxyProtocolFactory
from subproxy.frontend.tls.passthrough import PassthroughConnection, alert
from subproxy.frontend.tls.python_engine import PythonEngine
from subproxy.telemetry.close_reason import CloseReason
from subproxy.telemetry.exchange_record import ExchangeRecord
from tests.frontend.tls.engine_case import EngineCase
from tests.rigs.fake_dispatcher import FakeGuest
from tests.rigs.tls_line import Line, SocketTransport

OWN = b"own.example"


class PassthroughTests(EngineCase):
    """@ivar records: what was logged."""

    def engine(self) -> PythonEngine:
        return PythonEngine()

    def exchangeEnded(self, record: ExchangeRecord) -> None:
        self.records.append(record)

    def setUp(self) -> None:
        self.records: list[ExchangeRecord] = []

    def own(self, host: str | None = "own.example", **options: Any) -> Line:
        line = self.line(host, **options)
        line.factory.passthrough = lambda name: name if name == OWN else None
        line.http.context.log = self
        line.http.context.dispatcher.answer = self.dispatched
        self.guest: FakeGuest = None  # type: ignore[assignment]
        return line

    def dispatched(self, guest: FakeGuest) -> None:
        self.guest = guest

    def asked(self, **options: Any) -> tuple[Line, bytes]:
        """A client that has said hello, and what it has said."""
        line = self.own(**options)
        hello = line.client.start()
        line.server.dataReceived(hello)
        self.assertIsInstance(line.server, PassthroughConnection)
        return line, hello

    def begun(self, **options: Any) -> tuple[Line, bytes]:
        """The same when a guest has taken it."""
        line, hello = self.asked(**options)
        self.guest.exchange.tunnel_start(200, [], b"tls")
        self.guest.exchange.resume_request()
        line.clock.advance(0)
        return line, hello

    def exchange(self) -> Exchange:
        return self.guest.exchange

    def test_interfaces(self) -> None:
        line, _ = self.begun()
        verifyObject(IHalfCloseableProtocol, line.server)
        verifyObject(IPushProducer, line.server)

    def test_request(self) -> None:
        """What the guest is asked; nothing is said to the client, and no library is."""
        line, _ = self.asked()
        request = self.exchange().request
        self.assertEqual(
            (b"CONNECT", b"own.example:12345", OWN, b"/", []),
            (request.method, request.target, request.host, request.path, request.headers),
        )
        self.assertIs(request.upgrade, PASSTHROUGH)
        self.assertEqual(b"192.0.2.7", request.client)
        assert request.tls is not None
        self.assertEqual((OWN, b"1.3"), (request.tls.sni, request.tls.version))
        self.assertEqual(b"", line.take())
        self.assertEqual({"passthrough": 1}, line.counts)
        self.assertEqual(1, len(line.http.connections))

    def test_both_ways(self) -> None:
        """The hello goes first, byte for byte, however it came; then all else, in order."""
        for size in (0, 7):
            with self.subTest(size=size):
                line = self.own()
                hello = line.client.start()
                for at in range(0, len(hello), size or len(hello)):
                    line.server.dataReceived(hello[at : at + (size or len(hello))])
                line.server.dataReceived(b"early")
                self.guest.exchange.tunnel_start(200, [], b"tls")
                line.server.dataReceived(b" and more")
                self.assertEqual(b"", self.guest.body)
                line.clock.advance(0)
                line.server.dataReceived(b" later")
                self.assertEqual(hello + b"early and more later", self.guest.body)
                self.exchange().response_data(b"what the guest says")
                self.assertEqual(b"what the guest says", line.take())

    def test_other_names(self) -> None:
        """They have the proxy's certificate, as does who names no host, or what is none."""
        for name in ("a.example", None):
            line = self.own(name)
            line.shake()
            self.assertTrue(line.client.ready)
            self.assertNotIn("passthrough", line.counts)
        line = self.own()
        line.factory.passthrough = lambda name: name
        line.server.dataReceived(line.client.start().replace(OWN, b"own\n\x1b[1mle"))
        self.assertNotIsInstance(line.server, PassthroughConnection)

    def test_ends(self) -> None:
        """Each half by itself; the log has one line, with what went by."""
        for first in ("client", "guest"):
            with self.subTest(first=first):
                self.records.clear()
                line, _ = self.begun()
                self.exchange().response_data(b"12345")
                if first == "client":
                    line.server.readConnectionLost()
                    self.assertIsNotNone(self.guest.ended)
                    self.assertEqual([], self.records)
                    self.exchange().response_end([])
                else:
                    self.exchange().response_end([])
                    self.assertEqual([], self.records)
                    line.server.dataReceived(b"still")
                    self.assertTrue(self.guest.body.endswith(b"still"))
                    line.server.readConnectionLost()
                (record,) = self.records
                self.assertEqual((200, 5), (record.status, record.sent))
                self.assertIs(ExchangeState.DONE, self.exchange().state)
                line.server.connectionLost(Failure(ConnectionDone()))
                self.assertEqual(0, len(line.http.connections))

    def test_ended_before_it_began(self) -> None:
        """A client that sends no more without a handshake wants nothing."""
        line, _ = self.asked()
        line.server.readConnectionLost()
        self.assertTrue(line.transport.disconnecting)
        line.server.connectionLost(Failure(ConnectionDone()))
        self.assertIsNotNone(self.guest.cancelled)
        self.assertEqual(499, self.records[0].status)

    def test_left(self) -> None:
        line, _ = self.begun()
        line.server.connectionLost(Failure(ConnectionDone()))
        self.assertIsNotNone(self.guest.cancelled)
        (record,) = self.records
        self.assertIs(CloseReason.CLIENT_CLOSED, record.close_reason)

    def test_refused(self) -> None:
        """An alert, whose number says in which way; then the connection ends."""
        for error, number in ((NoRoute(), 112), (TooManyRequests(), 49), (GuestSlow(), 80)):
            self.records.clear()
            line, _ = self.asked()
            self.exchange().fail(error)
            self.assertEqual(b"\x15\x03\x03\x00\x02\x02" + bytes([number]), line.take())
            self.assertEqual([error.status], [each.status for each in self.records])
            self.assertIsNotNone(line.server.close_reason)

    def test_refused_by_the_guest(self) -> None:
        """Its page means nothing to who speaks TLS, and is not waited for."""
        for whole in (True, False):
            line, _ = self.asked()
            self.exchange().response_start(403, b"", [], b"no" if whole else None)
            self.assertEqual(alert(403), line.take())
            self.assertIs(CloseReason.LAST_ANSWER, line.server.close_reason)
            line.server.dataReceived(b"more")
            self.assertEqual(b"", line.server.held)

    def test_refused_in_pieces(self) -> None:
        """The rest of the guest's page is no fault of it: it comes, and is nobody's."""
        line, _ = self.asked()
        self.exchange().response_start(403, b"", [], None)
        self.exchange().response_data(b"no, ")
        self.exchange().response_data(b"not today")
        self.assertEqual(13, self.guest.credit)
        self.exchange().response_end([])
        self.assertEqual((alert(403), False), (line.take(), line.transport.aborted))
        (record,) = self.records
        self.assertEqual((403, 0), (record.status, record.sent))
        line.server.readConnectionLost()
        self.assertTrue(line.transport.disconnecting)

    def test_times(self) -> None:
        """Nobody takes it in time; and nothing passes for long."""
        limits = HttpLimits(response_timeout=5, tunnel_idle=60)
        line, _ = self.asked(limits=limits)
        line.clock.pump([1] * 7)
        self.assertIsInstance(self.exchange().error, GuestSlow)
        self.assertEqual(alert(504), line.take())
        line, _ = self.begun(limits=limits)
        line.clock.pump([10] * 5)
        line.server.dataReceived(b"more")
        line.clock.pump([10] * 5)
        self.assertIsNone(self.guest.cancelled)
        line.clock.pump([10] * 3)
        self.assertIsInstance(self.guest.cancelled, TunnelIdle)

    def test_who_takes_nothing(self) -> None:
        """What the guest says waits, and is not credited; the client holds up itself alone."""
        line, _ = self.begun()
        line.server.pauseProducing()
        self.exchange().response_data(b"1")
        self.assertEqual((b"", 0), (line.take(), self.guest.credit))
        line.server.resumeProducing()
        self.assertEqual((b"1", 1), (line.take(), self.guest.credit))

    def test_guest_that_takes_nothing(self) -> None:
        line, _ = self.begun()
        self.exchange().pause_request()
        self.assertEqual("paused", line.transport.producerState)
        self.exchange().resume_request()
        self.assertEqual("producing", line.transport.producerState)

    def test_too_many(self) -> None:
        line = self.own(limits=HttpLimits(connections=1))
        line.server.dataReceived(line.client.start())
        self.assertEqual(1, len(line.http.connections))
        self.assertFalse(line.transport.aborted)

    def test_behind_a_proxy(self) -> None:
        """The word of a trusted one says who the client is."""
        line = self.own()
        factory = ProxyProtocolFactory(
            line.http, Trust(["192.0.2.7"]), "haproxy:tcp:443", line.factory
        )
        factory.doStart()
        self.addCleanup(factory.doStop)
        transport = line.transport = SocketTransport("192.0.2.7")
        front: Any = factory.buildProtocol(transport.getPeer())
        transport.protocol = front
        front.makeConnection(transport)
        head = b"PROXY TCP4 198.51.100.3 203.0.113.1 4000 443\r\n"
        line.server.dataReceived(head + line.client.start())
        self.assertEqual(b"198.51.100.3", self.exchange().request.client)

    def test_stops(self) -> None:
        """It is left alone while others drain, and ends with the proxy."""
        line, _ = self.begun()
        line.server.close_if_idle()
        self.assertFalse(line.transport.disconnecting)
        line.server.abort()
        self.assertTrue(line.transport.aborted)
