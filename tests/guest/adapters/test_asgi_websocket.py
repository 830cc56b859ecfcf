"""Tests for L{guest.adapters.asgi_websocket}: applications with WebSockets, in memory."""

from __future__ import annotations

import asyncio
from typing import Any

from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import (
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate

from guest.adapters.asgi import AsgiAdapter
from guest.adapters.asgi_cycle import ClientDisconnected
from guest.core.web_socket import MESSAGE_LIMIT, MOST_WAITING
from subproxy.wire import messages as m
from subproxy.wire.frames import encode
from tests.rigs.asgi_case import AsgiTestCase, body, request
from tests.rigs.asyncio_guest import LoopGuest

ASKS = {b"tunnel": b"websocket"}
HEADERS = ((b"Host", b"blog.example"), (b"Sec-WebSocket-Protocol", b"chat, superchat"))


class WebSocketClient:
    """The client's end: what it sends and gets, through the frames of a guest."""

    def __init__(self, guest: LoopGuest, deflate: bool = False) -> None:
        self.guest = guest
        self.ws = Connection(ConnectionType.CLIENT, [PerMessageDeflate()] if deflate else [])
        self.frames: list[list[Any]] = []
        self.ended = False

    def ask(self, headers: Any = HEADERS, target: bytes = b"/chat", **info: Any) -> list[Any]:
        """Ask for it; what the guest says."""
        about = ASKS | {key.encode(): value for key, value in info.items()}
        self.guest.send(request(target, headers=headers, info=about, content=None))
        return self.guest.frames()

    def send(self, *events: Event) -> list[Event]:
        """Send them; what comes back."""
        return self.raw(b"".join(self.ws.send(event) for event in events))

    def raw(self, data: bytes) -> list[Event]:
        self.guest.send(m.Body(1, data).encode())
        return self.take()

    def take(self) -> list[Event]:
        """What has come."""
        for frame in self.guest.frames():
            if frame[0] == b"body":
                self.ws.receive_data(frame[2])
            elif frame[0] == b"end":
                self.ended = True
            else:
                self.frames.append(frame)
        return list(self.ws.events())


class WebSocketTestCase(AsgiTestCase):
    def serve(
        self, application: Any, root_path: str = "", bulk: bool = False, **limits: int
    ) -> LoopGuest:
        """A guest that takes WebSockets, of a proxy that offers them."""

        def adapted(runtime: Any, profile: Any, answer: Any, *args: Any) -> Any:
            profile.tunnels = (b"websocket",)
            self.adapter = AsgiAdapter(application, runtime, root_path)
            return LoopGuest.plain(runtime, profile, self.adapter, *args)

        guest = self.guest(connection=adapted)
        ((_, hello), *_) = guest.frames()
        self.assertEqual(hello[b"tunnel"], [b"websocket"])
        welcome = {b"version": 1, **({b"tunnel": 0} if self.offered else {})}
        guest.send(encode([b"welcome", welcome]) + encode([b"registered", 1, {}]))
        return guest

    offered = True

    def told(self, application: Any, **options: Any) -> WebSocketClient:
        """A client of C{application}, which has been asked and has accepted."""
        client = WebSocketClient(self.serve(application))
        (response, *rest) = client.ask(**options)
        self.assertEqual((response[0], response[2], response[5]), (b"response", 200, None))
        client.frames += rest
        return client


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Sends back what comes."""
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send(message | {"type": "websocket.send"})
    scope["app"](message)


def echoing(told: list[Any]) -> Any:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await echo(scope | {"app": told.append}, receive, send)

    return application


class ScopeTests(WebSocketTestCase):
    def test_all(self) -> None:
        scopes: list[Any] = []

        async def application(scope: Any, receive: Any, send: Any) -> None:
            scopes.append(scope)
            await send({"type": "websocket.close"})

        client = WebSocketClient(self.serve(application, "/root"))
        (response,) = client.ask(target=b"/a%20b?x=1")
        self.assertEqual((response[2], response[5]), (403, b""))
        (scope,) = scopes
        self.assertNotIn("method", scope)
        for key, value in {
            "type": "websocket",
            "scheme": "wss",
            "path": "/root/a b",
            "query_string": b"x=1",
            "subprotocols": ["chat", "superchat"],
            "server": ("blog.example", 443),
            "client": ("192.0.2.7", 0),
            "extensions": {"websocket.http.response": {}},
        }.items():
            self.assertEqual(scope[key], value, key)
        self.assertIn((b"host", b"blog.example"), scope["headers"])

    def test_a_proxy_that_offers_none(self) -> None:
        """Then the key means nothing, and the request is one like any other."""
        self.offered = False
        scopes: list[Any] = []

        async def application(scope: Any, receive: Any, send: Any) -> None:
            scopes.append(scope["type"])
            await send({"type": "http.response.start", "status": 204})
            await send(body())

        WebSocketClient(self.serve(application)).ask()
        self.assertEqual(scopes, ["http"])


class MessageTests(WebSocketTestCase):
    def test_both_ways(self) -> None:
        client = self.told(echoing([]))
        self.assertEqual(
            client.send(TextMessage(data="grüß"), BytesMessage(data=b"\0\xff")),
            [TextMessage(data="grüß"), BytesMessage(data=bytearray(b"\0\xff"))],
        )

    def test_who_receives_before_it_accepts(self) -> None:
        """In another task, as Quart does: it gets what comes once it has accepted."""
        told: list[Any] = []

        async def application(scope: Any, receive: Any, send: Any) -> None:
            async def messages() -> None:
                while (message := await receive())["type"] != "websocket.disconnect":
                    told.append(message.get("text"))

            receiving = asyncio.ensure_future(messages())
            await asyncio.sleep(0)
            await send({"type": "websocket.accept"})
            await receiving

        client = self.told(application)
        client.send(TextMessage(data="one"), TextMessage(data="two"))
        self.assertEqual(told, [None, "one", "two"])

    def test_in_fragments(self) -> None:
        client = self.told(echoing([]))
        self.assertEqual(client.send(TextMessage(data="a", message_finished=False)), [])
        self.assertEqual(client.send(TextMessage(data="b")), [TextMessage(data="ab")])

    def test_byte_by_byte(self) -> None:
        client = self.told(echoing([]))
        data = client.ws.send(TextMessage(data="hello"))
        came = [event for byte in data for event in client.raw(bytes((byte,)))]
        self.assertEqual(came, [TextMessage(data="hello")])

    def test_pings_are_answered(self) -> None:
        """Also while the application does something else."""

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "websocket.accept"})
            await self.runtime_waits()

        client = self.told(application)
        self.assertEqual(
            [bytes(event.payload) for event in client.send(Ping(b"1")) if isinstance(event, Pong)],
            [b"1"],
        )

    async def runtime_waits(self) -> None:
        await self.adapter.runtime.future()

    def test_compressed(self) -> None:
        """permessage-deflate, if the client offers it."""
        offer = (*HEADERS, (b"Sec-WebSocket-Extensions", b"x, permessage-deflate; server_no_x"))
        client = WebSocketClient(self.serve(echoing([])))
        (response, *_) = client.ask(headers=offer[:2])
        self.assertNotIn(b"sec-websocket-extensions", {n.lower() for n, _ in response[3]})
        client = WebSocketClient(self.serve(echoing([])))
        offer = (*HEADERS, (b"Sec-WebSocket-Extensions", b"permessage-deflate"))
        (response, *_) = client.ask(headers=offer)
        ((_, said),) = [f for f in response[3] if f[0].lower() == b"sec-websocket-extensions"]
        self.assertTrue(said.startswith(b"permessage-deflate"))
        extension = PerMessageDeflate()
        extension.finalize(said.decode())
        client.ws = Connection(ConnectionType.CLIENT, [extension])
        text = "hello " * 1000
        self.assertEqual(client.send(TextMessage(data=text)), [TextMessage(data=text)])
        parts = [TextMessage(data=text, message_finished=False), Ping(), TextMessage(data=text)]
        self.assertEqual(client.send(*parts), [Pong(), TextMessage(data=text * 2)])

    def test_too_long(self) -> None:
        """1009, and the application hears of it; also if it was compressed."""
        told: list[Any] = []
        client = self.told(echoing(told))
        events: list[Event] = []
        data = client.ws.send(BytesMessage(data=b"x" * (MESSAGE_LIMIT + 1)))
        for at in range(0, len(data), 16_384):
            events += client.raw(data[at : at + 16_384])
        (close,) = [event for event in events if isinstance(event, CloseConnection)]
        self.assertEqual(close.code, 1009)
        self.assertEqual([each["code"] for each in told], [1009])
        self.assertTrue(client.ended)

    def test_what_is_no_frame(self) -> None:
        told: list[Any] = []
        client = self.told(echoing(told))
        (close,) = client.raw(b"\xf1\x80\0\0\0\0")
        self.assertIsInstance(close, CloseConnection)
        self.assertEqual([each["code"] for each in told], [1002])

    def test_an_application_that_takes_nothing(self) -> None:
        """The client has its window, and a few messages: then it must wait."""
        takes: list[Any] = []

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            takes.append(self.adapter.runtime.future())
            await takes[0]
            while (message := await receive())["type"] == "websocket.receive":
                takes.append(message["text"])

        client = self.told(application)
        client.frames.clear()
        for number in range(MOST_WAITING + 40):
            client.send(TextMessage(data=f"{number}:" + "x" * 1000))
        granted = sum(frame[2] for frame in client.frames if frame[0] == b"credit")
        self.assertLess(granted, 65_536)
        client.guest.loop.call_soon(takes[0].set_result, None)
        client.guest.loop.advance()
        client.take()
        self.assertEqual(len(takes) - 1, MOST_WAITING + 40)


class EndTests(WebSocketTestCase):
    def test_the_client_closes(self) -> None:
        told: list[Any] = []
        client = self.told(echoing(told))
        (close,) = client.send(CloseConnection(code=4001, reason="bye"))
        assert isinstance(close, CloseConnection)
        self.assertEqual(close.code, 4001)
        self.assertTrue(client.ended)
        self.assertEqual(told, [{"type": "websocket.disconnect", "code": 4001, "reason": "bye"}])
        client.guest.send(m.End(1).encode())
        self.assertEqual(len(client.guest.connection.subscription.exchanges), 0)

    def test_the_application_closes(self) -> None:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "websocket.accept", "subprotocol": "superchat"})
            await send({"type": "websocket.close", "code": 4000, "reason": "enough"})

        client = WebSocketClient(self.serve(application))
        client.guest.send(request(headers=HEADERS, info=ASKS, content=None))
        (close,) = client.take()
        assert isinstance(close, CloseConnection)
        self.assertEqual((close.code, close.reason), (4000, "enough"))
        self.assertTrue(client.ended)
        (response, *_) = client.frames
        self.assertIn([b"Sec-WebSocket-Protocol", b"superchat"], response[3])

    def test_it_returns(self) -> None:
        """1000; and 1011 if it fails."""
        for error, code in ((None, 1000), (ZeroDivisionError(), 1011)):

            async def application(
                scope: Any, receive: Any, send: Any, error: Exception | None = error
            ) -> None:
                await send({"type": "websocket.accept"})
                if error is not None:
                    raise error

            client = WebSocketClient(self.serve(application))
            client.guest.send(request(headers=HEADERS, info=ASKS, content=None))
            (close,) = client.take()
            assert isinstance(close, CloseConnection)
            self.assertEqual(close.code, code)

    def test_the_client_is_gone(self) -> None:
        """1006, and what is sent then is a C{ClientDisconnected}."""
        told: list[Any] = []

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            told.append(await receive())
            try:
                await send({"type": "websocket.send", "text": "x"})
            except ClientDisconnected as error:
                told.append(type(error))

        for how in (m.Abort(1, b"client", b"").encode(), m.End(1).encode()):
            client = self.told(application)
            client.guest.send(how)
            self.assertEqual(
                told,
                [{"type": "websocket.disconnect", "code": 1006, "reason": ""}, ClientDisconnected],
            )
            told.clear()

    def test_refused(self) -> None:
        """With an answer of its own; with 500, if it never says."""

        async def denied(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            head = {"status": 401, "headers": [(b"x-a", b"1")]}
            await send({"type": "websocket.http.response.start", **head})
            await send({"type": "websocket.http.response.body", "body": b"no", "more_body": True})
            await send({"type": "websocket.http.response.body", "body": b"body"})

        async def returns(scope: Any, receive: Any, send: Any) -> None:
            await receive()

        client = WebSocketClient(self.serve(denied))
        (response,) = client.ask()
        self.assertEqual((response[2], response[5]), (401, b"nobody"))
        self.assertIn([b"x-a", b"1"], response[3])
        client = WebSocketClient(self.serve(returns))
        (response,) = client.ask()
        self.assertEqual(response[2], 500)

    def test_an_answer_that_can_not_be_sent(self) -> None:
        """The application is told, and may give another; if it does not, the client gets 500."""
        bad = [(b"x-a", b"two\nlines")]
        attempts: tuple[list[dict[str, Any]], ...] = (
            [{"type": "websocket.accept", "headers": bad}],
            [
                {"type": "websocket.http.response.start", "status": 403, "headers": bad},
                {"type": "websocket.http.response.body", "body": b"no"},
            ],
            [
                {"type": "websocket.http.response.start", "status": 99},
                {"type": "websocket.http.response.body"},
            ],
        )
        for messages in attempts:

            async def fails(scope: Any, receive: Any, send: Any, said: Any = messages) -> None:
                for message in said:
                    await send(message)

            client = WebSocketClient(self.serve(fails))
            ((verb, _, status, *_),) = client.ask()
            self.assertEqual((verb, status), (b"response", 500), messages)

        async def tries_again(scope: Any, receive: Any, send: Any) -> None:
            try:
                await send({"type": "websocket.accept", "headers": bad})
            except ValueError:
                await send({"type": "websocket.accept"})
            await send({"type": "websocket.send", "text": "hi"})

        client = WebSocketClient(self.serve(tries_again))
        client.guest.send(request(headers=HEADERS, info=ASKS, content=None))
        self.assertEqual(client.take()[0], TextMessage(data="hi"))

    def test_out_of_turn(self) -> None:
        """It is told, and may go on."""
        told: list[str] = []

        async def application(scope: Any, receive: Any, send: Any) -> None:
            for message in (
                {"type": "websocket.send", "text": "early"},
                {"type": "websocket.accept", "subprotocol": "nobody offered it"},
                {"type": "http.response.start", "status": 200},
            ):
                try:
                    await send(message)
                except RuntimeError as error:
                    told.append(str(error))
            await send({"type": "websocket.accept"})
            try:
                await send({"type": "websocket.send"})
            except RuntimeError as error:
                told.append(str(error))
            await send({"type": "websocket.send", "bytes": b""})

        client = WebSocketClient(self.serve(application))
        client.guest.send(request(headers=HEADERS, info=ASKS, content=None))
        events = client.take()
        self.assertEqual(len(told), 4)
        self.assertEqual(events[0], BytesMessage(data=bytearray()))
