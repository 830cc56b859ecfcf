"""Tests for WebSockets of a L{SubscriberProtocol}: L{guest.core.web_socket}, by guest.testing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from guest import (
    Request,
    Response,
    SubscriberProtocol,
    TunnelAcceptance,
    TunnelConnection,
    WebSocket,
    WebSocketAcceptance,
)
from guest.core.tunnel import LINGER
from guest.core.web_socket import MOST_WAITING
from guest.errors import RequestAborted, WebSocketClosed
from guest.testing import ExchangeFailed, MemoryProxy
from guest.twisted.memory_web_socket import MemoryWebSocket

Serve = Callable[[WebSocket], Awaitable[None]]


async def echo(ws: WebSocket) -> None:
    """Sends back what comes."""
    async for message in ws:
        await ws.send(message)


class WebSocketTestCase(SynchronousTestCase):
    def serving(self, serve: Serve = echo, **options: Any) -> MemoryProxy:
        """A proxy of an application that takes each WebSocket so."""

        class Application(SubscriberProtocol):
            def webSocketReceived(self, request: Request) -> WebSocketAcceptance:
                return WebSocketAcceptance(serve, **options)

        return MemoryProxy(Application)

    def open(self, serve: Serve = echo, **options: Any) -> MemoryWebSocket:
        self.proxy = self.serving(serve, **options)
        client = self.proxy.web_socket(b"/chat")
        self.assertTrue(client.accepted)
        return client

    def over(self) -> bool:
        """Whether nothing is left of it in the guest."""
        return not len(self.proxy.guest._subscription.exchanges)


class MessageTests(WebSocketTestCase):
    def test_both_ways(self) -> None:
        client = self.open()
        for message in ("grüß", b"\0\xff", "", b""):
            client.send(message)
        self.assertEqual(client.received, ["grüß", b"\0\xff", "", b""])

    def test_compressed(self) -> None:
        """Agreed upon if the client offers it, and the application does not mind."""
        for compress in (True, False):
            client = self.serving(compress=compress).web_socket(b"/", compress=True)
            self.assertEqual(
                client.exchange.response.header(b"sec-websocket-extensions"),
                b"permessage-deflate" if compress else b"",
            )
            client.send("x" * 100_000)
            self.assertEqual(client.received, ["x" * 100_000])
            self.assertEqual(len(client.exchange.response.body) < 1000, compress)

    def test_more_than_its_limit(self) -> None:
        """1009; also of what was compressed, of which little is unpacked at once."""
        for compress in (False, True):
            told: list[Any] = []

            async def serve(ws: WebSocket, told: list[Any] = told) -> None:
                await echo(ws)
                told.append((ws.close_code, ws.close_reason))

            proxy = self.serving(serve, message_limit=1000)
            client = proxy.web_socket(b"/", compress=compress)
            client.send(b"x" * 1000)
            client.send(b"x" * 1001)
            self.assertEqual((client.received, client.close_code), ([b"x" * 1000], 1009))
            self.assertEqual(told, [(1009, "the message is too long")])

    def test_pings(self) -> None:
        """They are answered while the application does something else."""

        async def serve(ws: WebSocket) -> None:
            await ws.ping(b"ours")
            await Deferred()

        client = self.open(serve)
        client.ping(b"1")
        client.ping(b"2")
        self.assertEqual(client.pongs, [b"1", b"2"])
        self.assertIsNone(client.close_code)

    def test_an_application_that_takes_nothing(self) -> None:
        """A few messages wait for it, and a window: then the client does."""
        begin: Deferred[None] = Deferred()

        async def serve(ws: WebSocket) -> None:
            await begin
            await echo(ws)

        client = self.open(serve)
        for _ in range(MOST_WAITING + 80):
            client.send(b"x" * 1000)
        wire = self.proxy.proxy.connection
        self.assertGreater(wire.pending(client.exchange.number), 0)
        begin.callback(None)
        self.proxy.advance()
        self.assertEqual(len(client.received), MOST_WAITING + 80)
        self.assertEqual(wire.pending(client.exchange.number), 0)

    def test_a_client_that_takes_nothing(self) -> None:
        """The application waits; messages and pongs keep their order, and none is lost."""
        sent: list[int] = []

        async def serve(ws: WebSocket) -> None:
            for number in range(200):
                await ws.send(b"%d:" % number + bytes(1000))
                sent.append(number)

        client = self.serving(serve)
        self.proxy = client
        exchange = client.begin(b"GET", b"/", body=None, info={b"tunnel": b"websocket"}, hold=True)
        self.assertLess(len(sent), 100)
        while exchange.held:
            exchange.take()
            client.advance()
        self.assertEqual(sent, list(range(200)))
        self.assertIn(b"199:", exchange.response.body)

    def test_pongs_between_messages(self) -> None:
        """Two that send at once: each goes on when there is room again."""
        sent: list[int] = []

        async def serve(ws: WebSocket) -> None:
            for number in range(100):
                await ws.send(bytes(1000))
                sent.append(number)

        proxy = self.serving(serve)
        proxy.choke()
        client = proxy.web_socket(b"/")
        client.ping(b"1")
        client.ping(b"2")
        proxy.choke(False)
        self.assertEqual(len(client.received), 100)
        self.assertEqual((client.pongs, len(sent), client.close_code), ([b"1", b"2"], 100, 1000))

    def test_what_is_no_message(self) -> None:
        told: list[type[Exception]] = []

        async def serve(ws: WebSocket) -> None:
            for call in (
                lambda: ws.send(7),  # type: ignore[arg-type]
                lambda: ws.ping(bytes(126)),
                lambda: ws.close(1005),
                lambda: ws.close(999),
            ):
                try:
                    await call()
                except (TypeError, ValueError) as error:
                    told.append(type(error))

        client = self.open(serve)
        self.assertEqual(told, [TypeError, ValueError, ValueError, ValueError])
        self.assertEqual(client.close_code, 1000)

    def test_two_readers(self) -> None:
        async def serve(ws: WebSocket) -> None:
            first = Deferred.fromCoroutine(ws.receive())
            second = Deferred.fromCoroutine(ws.receive())
            self.failureResultOf(second, RuntimeError)
            self.assertEqual(await first, "x")

        client = self.open(serve)
        client.send("x")
        self.assertEqual(client.close_code, 1000)


class EndTests(WebSocketTestCase):
    def test_the_client_closes(self) -> None:
        told: list[Any] = []

        async def serve(ws: WebSocket) -> None:
            await echo(ws)
            told.append((ws.close_code, ws.close_reason))
            try:
                await ws.send("x")
            except WebSocketClosed as closed:
                told.append((closed.code, closed.reason, str(closed)))
            await ws.close()

        client = self.open(serve)
        client.close(4001, "bye")
        self.assertEqual(told, [(4001, "bye"), (4001, "bye", "bye (4001)")])
        self.assertEqual((client.close_code, client.ended), (4001, True))
        self.assertTrue(self.over())

    def test_the_application_closes(self) -> None:
        async def serve(ws: WebSocket) -> None:
            await ws.close(4000, "ü" * 100)

        client = self.open(serve)
        self.assertEqual((client.close_code, client.close_reason), (4000, "ü" * 61))
        self.assertTrue(self.over())

    def test_it_returns_or_fails(self) -> None:
        """1000 and 1011; a failure is logged."""

        async def returns(ws: WebSocket) -> None:
            await ws.send("x")

        async def fails(ws: WebSocket) -> None:
            raise ZeroDivisionError

        self.assertEqual(self.open(returns).close_code, 1000)
        self.assertEqual(self.open(fails).close_code, 1011)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertTrue(self.over())

    def test_a_client_that_does_not_end(self) -> None:
        """It has a moment; what it still sends is thrown away."""

        async def returns(ws: WebSocket) -> None:
            """Have nothing to say."""

        self.proxy = self.serving(returns)
        exchange = self.proxy.begin(b"GET", b"/", body=None, info={b"tunnel": b"websocket"})
        self.successResultOf(exchange.finished)
        exchange.send(bytes(100_000))
        self.proxy.advance(LINGER - 1)
        self.assertFalse(self.over())
        self.proxy.advance(1)
        self.assertTrue(self.over())

    def test_the_client_is_gone(self) -> None:
        """Reading ends with 1006, and the application may let C{WebSocketClosed} pass."""
        told: list[Any] = []

        async def serve(ws: WebSocket) -> None:
            await echo(ws)
            told.append(ws.close_code)
            await ws.send("x")

        client = self.open(serve)
        client.leave()
        self.assertEqual(told, [1006])
        self.assertTrue(self.over())

    def test_the_proxy_is_gone(self) -> None:
        told: list[Any] = []

        async def serve(ws: WebSocket) -> None:
            await echo(ws)
            told.append(ws.close_code)

        client = self.open(serve)
        self.proxy.disconnect()
        self.assertEqual(told, [1006])
        self.failureResultOf(client.exchange.finished, ExchangeFailed)

    def test_what_is_no_frame(self) -> None:
        client = self.open()
        client.send_raw(b"\xf1\x80\0\0\0\0")
        client.received  # noqa: B018
        self.assertEqual(client.close_code, 1002)
        self.assertTrue(self.over())


class HandshakeTests(WebSocketTestCase):
    def test_hello(self) -> None:
        """Only who takes WebSockets says so."""

        class Plain(SubscriberProtocol):
            """Takes none."""

        class Other(SubscriberProtocol):
            tunnels = (b"x-chat/1",)

            def webSocketReceived(self, request: Request) -> Response:
                return Response(404)

        self.assertNotIn(b"tunnel", MemoryProxy(Plain).proxy.hello)
        self.assertEqual(MemoryProxy(Other).proxy.hello[b"tunnel"], [b"x-chat/1", b"websocket"])
        self.assertEqual(self.serving().proxy.hello[b"tunnel"], [b"websocket"])

    def test_subprotocols(self) -> None:
        proxy = self.serving(subprotocol="chat", headers={b"X-Room": b"1"})
        client = proxy.web_socket(b"/", subprotocols=("superchat", "chat"))
        self.assertEqual(client.subprotocol, "chat")
        self.assertEqual(client.exchange.response.header(b"x-room"), b"1")
        client = proxy.web_socket(b"/", subprotocols=("other",))
        self.assertEqual(client.exchange.response.status, 500)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_refused(self) -> None:
        """By any response, also a later one; the connection is of HTTP then."""

        class Application(SubscriberProtocol):
            async def webSocketReceived(self, request: Request) -> Any:
                if request.path == b"/chat":
                    return WebSocketAcceptance(echo)
                return Response(403, [], b"no")

        proxy = MemoryProxy(Application)
        client = proxy.web_socket(b"/other")
        response = self.successResultOf(client.exchange.finished)
        self.assertEqual((client.accepted, response.status, response.body), (False, 403, b"no"))
        client = proxy.web_socket(b"/chat")
        client.send("x")
        self.assertEqual(client.received, ["x"])

    def test_an_acceptance_of_what_is_no_tunnel(self) -> None:
        class Application(SubscriberProtocol):
            def requestReceived(self, request: Request) -> WebSocketAcceptance:
                return WebSocketAcceptance(echo)

        proxy = MemoryProxy(Application)
        response = self.successResultOf(proxy.request(b"GET", b"/"))
        self.assertEqual(response.status, 500)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)


class TunnelTests(SynchronousTestCase):
    """Protocols of one's own."""

    def open(self, serve: Callable[[TunnelConnection], Awaitable[None]]) -> Any:
        class Application(SubscriberProtocol):
            tunnels = (b"x-chat",)

            def tunnelReceived(self, request: Request) -> TunnelAcceptance:
                assert request.tunnel == b"x-chat"
                return TunnelAcceptance(serve, {b"X-A": b"1"})

        self.proxy = MemoryProxy(Application)
        exchange = self.proxy.begin(b"GET", b"/", body=None, info={b"tunnel": b"x-chat"})
        self.assertEqual(exchange.response.status, 200)
        return exchange

    def over(self) -> bool:
        return not len(self.proxy.guest._subscription.exchanges)

    def test_both_ways(self) -> None:
        """Each half ends by itself."""
        came: list[bytes] = []

        async def serve(tunnel: TunnelConnection) -> None:
            await tunnel.send(b"hello")
            tunnel.end()
            try:
                await tunnel.send(b"more")
            except RuntimeError:
                came.append(b"ended")
            async for piece in tunnel:
                came.append(piece)

        exchange = self.open(serve)
        self.assertEqual(self.successResultOf(exchange.finished).body, b"hello")
        exchange.send(b"a")
        self.proxy.advance()
        exchange.send(b"b")
        exchange.end()
        self.proxy.advance()
        self.assertEqual(came, [b"ended", b"a", b"b"])
        self.assertTrue(self.over())

    def test_it_fails(self) -> None:
        """Then it breaks: that is no end."""

        async def serve(tunnel: TunnelConnection) -> None:
            raise ZeroDivisionError

        exchange = self.open(serve)
        self.failureResultOf(exchange.finished, ExchangeFailed)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.assertTrue(self.over())

    def test_the_client_is_gone(self) -> None:
        told: list[str] = []

        async def serve(tunnel: TunnelConnection) -> None:
            for call in (tunnel.receive, lambda: tunnel.send(b"x")):
                try:
                    await call()
                except RequestAborted as error:
                    told.append(error.code)

        exchange = self.open(serve)
        exchange.abort()
        self.proxy.advance()
        self.assertEqual(told, ["client", "client"])
        self.assertTrue(self.over())
