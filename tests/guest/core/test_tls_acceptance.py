"""Tests for L{guest.core.tls_acceptance}: TLS that a guest ends itself, in memory."""

from __future__ import annotations

import os
import ssl
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from guest import Request, Response, Route, SubscriberProtocol, TlsAcceptance, TlsTunnel
from guest.core.tls_acceptance import HANDSHAKE_TIMEOUT
from guest.testing import ExchangeFailed, MemoryProxy
from tests.rigs.tls_rig import Authority, TlsClient, show_certificate

AUTHORITY = Authority()
CONTEXT = show_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), AUTHORITY.issue("keys.example"))


class TlsAcceptanceTests(SynchronousTestCase):
    """
    @ivar came: what the application has got.
    @ivar over: how it ended for the application.
    """

    def open(self, host: str = "keys.example", context: ssl.SSLContext | None = None) -> None:
        self.came: list[bytes] = []
        self.over = ""
        test = self

        class Application(SubscriberProtocol):
            def requestReceived(self, request: Request) -> Response:
                return Response(404)

            def tlsReceived(self, request: Request) -> TlsAcceptance:
                return TlsAcceptance(CONTEXT, test.serve)

        self.proxy = MemoryProxy(Application, routes=[Route(rb"keys\.example", passthrough=True)])
        info: dict[bytes, Any] = {b"tunnel": b"tls"}
        info[b"tls"] = {b"version": b"1.3", b"sni": b"keys.example"}
        self.exchange = self.proxy.begin(b"CONNECT", b"keys.example:443", body=None, info=info)
        self.client = TlsClient(AUTHORITY, host, context or AUTHORITY.client_context(()))
        self.heard = 0

    async def serve(self, tunnel: TlsTunnel) -> None:
        assert tunnel.request.tls is not None
        assert tunnel.request.tls.sni == b"keys.example"
        async for piece in tunnel:
            self.came.append(piece)
            if piece == b"fail":
                raise ZeroDivisionError
            await tunnel.send(piece.upper())
            if piece == b"bye":
                break
        self.over = "ended"

    def move(self, data: bytes) -> None:
        """To the guest, and what it says back, until both rest."""
        while data:
            self.exchange.send(data)
            self.proxy.advance()
            body = self.exchange.response.body
            body, self.heard = body[self.heard :], len(body)
            data = self.client.feed(body)

    def test_both_ways(self) -> None:
        self.open()
        self.assertEqual((b"tls",), tuple(self.proxy.proxy.hello[b"tunnel"]))
        self.move(self.client.start())
        self.assertTrue(self.client.ready)
        self.move(self.client.send(b"hello"))
        self.assertEqual(([b"hello"], b"HELLO"), (self.came, self.client.received))
        self.move(self.client.send(b"bye"))
        self.assertTrue(self.client.closed)
        self.exchange.end()
        self.proxy.advance()
        self.successResultOf(self.exchange.finished)

    def test_much(self) -> None:
        """In pieces, each of which waits for room."""
        self.open()
        self.move(self.client.start())
        data = os.urandom(300_000).lower()
        self.move(self.client.send(data))
        self.assertEqual(data, b"".join(self.came))
        self.assertEqual(data.upper(), self.client.received)

    def test_the_client_ends(self) -> None:
        """By its word; what merely stops may have been cut short."""
        self.open()
        self.move(self.client.start())
        try:
            self.client.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        self.move(self.client.feed(b""))
        self.assertEqual("ended", self.over)
        self.open()
        self.move(self.client.start())
        self.exchange.end()
        self.proxy.advance()
        self.assertEqual("", self.over)
        self.successResultOf(self.exchange.finished)

    def test_no_handshake(self) -> None:
        """The client is told why in TLS, and nobody serves it."""
        self.open(context=ssl.create_default_context())
        with self.assertRaises(ssl.SSLError):
            self.move(self.client.start())
        self.open()
        self.exchange.send(b"GET / HTTP/1.1\r\n\r\n")
        self.exchange.end()
        self.proxy.advance()
        self.successResultOf(self.exchange.finished)
        self.assertEqual([], self.came)

    def test_slow_handshake(self) -> None:
        self.open()
        self.exchange.send(self.client.start()[:20])
        self.proxy.advance(HANDSHAKE_TIMEOUT - 1)
        self.assertNoResult(self.exchange.finished)
        self.proxy.advance(2)
        self.failureResultOf(self.exchange.finished, ExchangeFailed)

    def test_it_fails(self) -> None:
        """Then the client's connection breaks."""
        self.open()
        self.move(self.client.start())
        self.exchange.send(self.client.send(b"fail"))
        self.proxy.advance()
        self.failureResultOf(self.exchange.finished, ExchangeFailed)
        self.assertTrue(self.flushLoggedErrors(ZeroDivisionError))

    def test_the_client_is_gone(self) -> None:
        self.open()
        self.move(self.client.start())
        self.exchange.abort()
        self.proxy.advance()
        self.assertEqual("", self.over)
        self.assertFalse(len(self.proxy.guest._subscription.exchanges))


class OldProxyTests(SynchronousTestCase):
    def test_registered_as_http(self) -> None:
        """A proxy that knows nothing of it has made another route, which is given back."""
        refused: list[str] = []

        class Application(SubscriberProtocol):
            tunnels = (b"tls",)

            def refused(self, refusal: Any) -> None:
                refused.append(str(refusal))

        proxy = MemoryProxy(Application, routes=[])
        protocol = proxy.proxy
        register = protocol._register
        protocol._register = lambda message: register(type(message)(1, message.host, message.path))  # type: ignore[method-assign]
        waits = proxy.guest.register(rb"keys\.example", passthrough=True)
        proxy.advance()
        self.failureResultOf(waits)
        self.assertEqual(1, len(refused))
        self.assertEqual({}, protocol.routes)
