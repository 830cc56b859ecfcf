"""Tests of subproxy.fastpath.http1_only_factory: HTTP/1.1 as ever, and HTTP/2 never."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.http1_only_factory import http1_only
from subproxy.fastpath.install import unavailable
from subproxy.frontend.factory import Http1Factory
from subproxy.frontend.http2.frames import PREFACE, write_settings
from tests.rigs.fake_dispatcher import Transport
from tests.rigs.fastpath_rig import Side, response


class Http1OnlyTests(SynchronousTestCase):
    skip = unavailable()

    def setUp(self) -> None:
        self.side = Side(True)
        self.factory = http1_only(self.side.factory)

    def said(self, factory: object, *pieces: bytes) -> bytes:
        """What is answered to a client that sends this."""
        transport = Transport("192.0.2.7")
        protocol = factory.buildProtocol(None)  # type: ignore[attr-defined]
        protocol.makeConnection(transport)
        for piece in pieces:
            protocol.dataReceived(piece)
        self.side.world.advance(0)
        if self.side.guest_transport.value():
            self.side.guest.dataReceived(response(1))  # type: ignore[union-attr]
        return transport.value()

    def test_http1(self) -> None:
        """A plain request is answered by the compiled path."""
        got = self.said(self.factory, b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        self.assertTrue(got.startswith(b"HTTP/1.1 200 OK"))
        self.assertEqual(self.side.fastpath.stats()["requests"], 1)

    def test_the_preface(self) -> None:
        """It is refused, in any pieces; the frontend as it is takes it."""
        for pieces in ((PREFACE,), (PREFACE[:10], PREFACE[10:])):
            got = self.said(self.factory, *pieces)
            self.assertTrue(got.startswith(b"HTTP/1.1 505 "), pieces)
            settings = self.said(self.side.factory, *pieces)
            self.assertEqual(settings[3:5], write_settings({})[3:5])

    def test_alpn(self) -> None:
        self.assertEqual(self.factory.acceptableProtocols(), [b"http/1.1"])

    def test_where_it_is_not_spoken_anyway(self) -> None:
        """Nothing stands before the frontend."""
        http = Side(False).factory
        self.assertIsInstance(http, Http1Factory)
        self.assertIs(http1_only(http), http)
