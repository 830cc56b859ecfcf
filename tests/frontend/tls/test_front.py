"""What stands before TLS: which certificate, and who is sent away without any."""

from __future__ import annotations

import ssl
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.failure import Failure

from subproxy.core.http.forwarded import Trust
from subproxy.frontend.limits import HttpLimits
from subproxy.frontend.proxy_protocol.protocol import ProxyProtocolFactory
from subproxy.frontend.tls import python_engine
from subproxy.frontend.tls.certificate import CertificateError
from subproxy.frontend.tls.front import PLAIN_HTTP
from subproxy.frontend.tls.python_engine import PythonEngine
from subproxy.telemetry.close_reason import CloseReason
from tests.frontend.tls.engine_case import EngineCase
from tests.rigs.tls_line import SocketTransport


class FrontTests(EngineCase):
    def engine(self) -> PythonEngine:
        return PythonEngine()

    def setUp(self) -> None:
        self.events = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)

    def said(self) -> str:
        return "\n".join(
            formatEvent(event)
            for event in self.events
            if event["log_namespace"].startswith("subproxy")
        )

    def test_by_name(self) -> None:
        for name in ("a.example", "c.example"):
            found: Any = self.shaken(name).client.tls.getpeercert()
            self.assertIn(("DNS", name), found["subjectAltName"])

    def test_unknown_name(self) -> None:
        line = self.line("unknown.example")
        error = self.assertRaises(ssl.SSLError, line.shake)
        self.assertIn("UNRECOGNIZED_NAME", str(error))
        self.assertTrue(line.transport.disconnecting)
        self.assertIn("no TLS with 192.0.2.7: there is no certificate for unknown", self.said())
        line.server.dataReceived(b"more")
        line.server.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(line.counts, {"failed": 1})
        self.assertEqual(len(line.http.connections), 0)

    def test_unknown_name_that_forges_a_line(self) -> None:
        line = self.line()
        hello = line.client.start().replace(b"a.example", b"a\n\x1b.ample")
        line.server.dataReceived(hello)
        self.assertIn(r"no certificate for a\x0a\x1b.ample", self.said())

    def test_no_name_and_no_default(self) -> None:
        line = self.line(None)
        line.find = lambda name, address=b"": None  # type: ignore[method-assign]
        self.assertRaises(ssl.SSLError, line.shake)
        self.assertIn("it names no host, and no certificate is the default", self.said())

    def test_http(self) -> None:
        line = self.line()
        line.server.dataReceived(b"GET / HTT")
        self.assertEqual(line.take(), PLAIN_HTTP)
        self.assertTrue(line.transport.disconnecting)
        self.assertIs(line.server.close_reason, CloseReason.TLS_HANDSHAKE)
        self.assertIn("speaks HTTP in clear text", self.said())

    def test_nonsense(self) -> None:
        line = self.line()
        line.server.dataReceived(b"SSH-2.0-OpenSSH\r\n")
        self.assertEqual(line.take(), b"")
        self.assertTrue(line.transport.disconnecting)

    def test_who_is_told_and_does_not_take_it(self) -> None:
        """A refusal that does not leave is no reason to keep a connection."""
        line = self.line()
        line.server.dataReceived(b"SSH-2.0-OpenSSH\r\n")
        self.assertFalse(line.transport.aborted)
        line.clock.pump([0.5] * 21)
        self.assertTrue(line.transport.aborted)

    def test_a_probe(self) -> None:
        """Who connects and leaves is worth no line."""
        line = self.line()
        line.server.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.said(), "")
        self.assertIs(line.server.close_reason, CloseReason.CLIENT_CLOSED)

    def test_stops(self) -> None:
        for stop, aborted in (("close_if_idle", False), ("abort", True)):
            line = self.line()
            getattr(line.server, stop)()
            self.assertTrue(line.transport.disconnecting)
            self.assertEqual(line.transport.aborted, aborted)

    def test_too_many(self) -> None:
        line = self.line(limits=HttpLimits(connections=1))
        another = SocketTransport("192.0.2.8")
        another.protocol = line.factory.buildProtocol(None)
        another.protocol.makeConnection(another)
        self.assertTrue(another.aborted)
        line.shake()
        self.assertTrue(line.client.ready)

    def test_lines_are_limited(self) -> None:
        line = self.line()
        for _ in range(30):
            line.factory.failed(line.transport, "why")
        self.assertEqual(self.said().count("why"), 10)

    def test_a_certificate_that_the_library_does_not_take(self) -> None:
        line = self.line()

        def refused(*arguments: object) -> None:
            raise CertificateError("too small a key")

        self.patch(python_engine, "make_context", refused)
        self.assertRaises(ssl.SSLError, line.shake)
        self.assertIn("too small a key", self.said())

    def test_behind_a_proxy_header(self) -> None:
        line = self.line(inner=None)
        factory = ProxyProtocolFactory(
            line.http, Trust(["192.0.2.0/24"]), "haproxy:tcp:443", line.factory
        )
        factory.doStart()
        self.addCleanup(factory.doStop)
        line.transport = SocketTransport("192.0.2.7")
        front = factory.buildProtocol(line.transport.getPeer())
        assert front is not None
        line.transport.protocol = front
        front.makeConnection(line.transport)
        line.server.dataReceived(b"PROXY TCP4 203.0.113.9 198.51.100.1 56324 443\r\n")
        line.shake()
        line.say(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        self.assertTrue(line.hear().startswith(b"HTTP/1.1 200 OK"))
        line.say(b"GET / HTTP/1.1\r\nHost: c.example\r\n\r\n")
        self.assertTrue(line.hear().startswith(b"HTTP/1.1 421 "))
