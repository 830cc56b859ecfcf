"""
One WebSocket of an ASGI application: its C{receive} and its C{send} (RFC 6455, on wsproto).

The proxy has checked the handshake, and writes it: here are the frames that follow. A tunnel's two
halves are the bodies of its exchange (docs/protocol.md, "Tunnels").
"""

from __future__ import annotations

from collections import deque
from collections.abc import MutableMapping
from enum import Enum, auto
from typing import Any

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import (
    BytesMessage,
    CloseConnection,
    Message,
    Ping,
    TextMessage,
)
from wsproto.extensions import Extension, PerMessageDeflate
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from guest.adapters.asgi_cycle import ClientDisconnected
from guest.core.body_queue import BodyQueue
from guest.core.errors import RequestAborted
from guest.core.exchange import GuestExchange
from guest.core.exchanges import Exchanges
from guest.core.response import Response
from guest.core.runtime import Runtime
from subproxy.wire.fields import Headers

MESSAGE_LIMIT = 1 << 20
"""Bytes of the longest message that is taken, uncompressed; a longer one ends it with 1009."""

MOST_WAITING = 16
"""Messages that may wait for the application before the client has to."""

_NO_STATUS = 1005
_GONE = 1006

AsgiMessage = MutableMapping[str, Any]


class WebSocketState(Enum):
    """How far it is, for who sends."""

    __hash__ = object.__hash__

    ASKED = auto()
    """The application has neither accepted nor refused it."""
    OPEN = auto()
    """It has accepted."""
    REFUSING = auto()
    """It has begun an answer of HTTP, that refuses."""
    CLOSED = auto()
    """It has said its last."""


_MAY: dict[WebSocketState, frozenset[str]] = {
    WebSocketState.ASKED: frozenset(
        {"websocket.accept", "websocket.close", "websocket.http.response.start"}
    ),
    WebSocketState.OPEN: frozenset({"websocket.send", "websocket.close"}),
    WebSocketState.REFUSING: frozenset({"websocket.http.response.body"}),
    WebSocketState.CLOSED: frozenset(),
}
"""What may be sent in each state."""


class AsgiWebSocket:
    """
    One WebSocket.

    @ivar state: how far it is.
    @ivar task: the application.
    """

    def __init__(self, runtime: Runtime, exchanges: Exchanges, exchange: GuestExchange) -> None:
        self.state = WebSocketState.ASKED
        self.task: Any = None
        self._runtime = runtime
        self._exchanges = exchanges
        self._exchange = exchange
        self._queue = BodyQueue(runtime)
        self._connection: Connection | None = None
        self._connected = False  # the application knows that a client asks
        self._messages: deque[AsgiMessage] = deque()
        self._parts: list[Any] = []
        self._size = 0
        self._end: AsgiMessage | None = None  # what the application gets behind all messages
        self._refusal: tuple[int, Headers] = (403, [])
        self._content = b""
        self._receiving: Any = None
        self._room: Any = None
        exchange.closed = self._ended

    # The client.

    def _ended(self, reason: RequestAborted) -> None:
        """The exchange is over, whatever was said."""
        self._disconnect(_GONE, "")
        self.state = WebSocketState.CLOSED
        self._wake("_room")

    def _disconnect(self, code: int, reason: str) -> None:
        if self._end is None:
            self._end = {"type": "websocket.disconnect", "code": code, "reason": reason}
            self._wake("_receiving")

    def _wake(self, name: str) -> None:
        waiter = getattr(self, name)
        if waiter is not None:
            setattr(self, name, None)
            self._runtime.resolve(waiter, None)

    async def _pump(self) -> None:
        """Read what the client sends, as fast as the application takes it."""
        body = self._exchange.request.body
        connection = self._connection
        assert connection is not None
        try:
            while (piece := await body.next()) is not None:
                if self._end is None:
                    await self._read(connection, piece)
        except RequestAborted:
            pass
        self._disconnect(_GONE, "")
        if self.state is WebSocketState.OPEN:
            # Its client has left without a word: there is nobody to close it for.
            self.state = WebSocketState.CLOSED
            self._queue.end()

    async def _read(self, connection: Connection, piece: bytes) -> None:
        try:
            connection.receive_data(piece)
            for event in connection.events():
                if isinstance(event, Message):
                    if not await self._part(event):
                        return
                elif isinstance(event, Ping):
                    await self._write(event.response())
                elif isinstance(event, CloseConnection):
                    await self._closing(connection, event)
                    return
        except RemoteProtocolError as error:
            # There is nothing to be read any more.
            await self._fail(1002, str(error))

    async def _closing(self, connection: Connection, event: CloseConnection) -> None:
        """The client closes it, or must be told that it has broken the rules."""
        code = _NO_STATUS if event.code is None else int(event.code)
        if connection.state is ConnectionState.OPEN:
            await self._fail(code, event.reason or "")
            return
        if connection.state is ConnectionState.REMOTE_CLOSING:
            await self._write(event.response())
        await self._over()
        self._disconnect(code, event.reason or "")

    async def _part(self, event: Message[Any]) -> bool:
        """A part of a message; False if that is too long."""
        self._parts.append(event.data)
        data = event.data
        self._size += len(data.encode()) if isinstance(data, str) else len(data)
        if self._size > MESSAGE_LIMIT:
            await self._fail(1009, "the message is too long")
            return False
        if event.message_finished:
            parts, self._parts, self._size = self._parts, [], 0
            if isinstance(event, TextMessage):
                self._messages.append({"type": "websocket.receive", "text": "".join(parts)})
            else:
                self._messages.append({"type": "websocket.receive", "bytes": b"".join(parts)})
            self._wake("_receiving")
            while len(self._messages) >= MOST_WAITING and self.state is WebSocketState.OPEN:
                self._room = self._runtime.future()
                await self._room
        return True

    async def _fail(self, code: int, reason: str) -> None:
        """Close it, since the client has broken the rules."""
        await self._write(CloseConnection(code=code, reason=reason[:120]))
        await self._over()
        self._disconnect(code, reason)

    async def _write(self, event: Any) -> bool:
        """Send a frame; False if nobody takes it."""
        connection = self._connection
        assert connection is not None
        try:
            data = connection.send(event)
        except LocalProtocolError:
            return False
        return await self._queue.put(data)

    async def _over(self) -> None:
        """Our half has ended."""
        self.state = WebSocketState.CLOSED
        self._queue.end()

    # What the application calls.

    async def receive(self) -> AsgiMessage:
        """That a client asks; its messages, one at a time; that it has left."""
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        while not self._messages:
            if self._end is not None:
                return self._end
            self._receiving = self._runtime.future()
            await self._receiving
        message = self._messages.popleft()
        self._wake("_room")
        return message

    async def send(self, message: AsgiMessage) -> None:
        """
        Accept, refuse, send or close; returns when there is room for the next.

        @raise ClientDisconnected: the client has left, or closed it.
        @raise RuntimeError: it is not its turn.
        """
        kind = message["type"]
        if self._end is not None and self.state is WebSocketState.CLOSED:
            raise ClientDisconnected("the client has left")
        if kind not in _MAY[self.state]:
            raise RuntimeError(f"ASGI: {kind!r} came when it was {self.state.name.lower()}")
        if kind == "websocket.send":
            await self._send(message)
        elif kind == "websocket.accept":
            self._accept(message)
        elif kind == "websocket.close" and self.state is WebSocketState.OPEN:
            code, reason = message.get("code", 1000), message.get("reason") or ""
            await self._write(CloseConnection(code=code, reason=reason))
            await self._over()
        elif kind == "websocket.close":
            self._refuse(403, [], b"")
        elif kind == "websocket.http.response.start":
            fields = [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
            self._refusal = message["status"], fields
            self.state = WebSocketState.REFUSING
        else:
            self._content += bytes(message.get("body", b""))
            if not message.get("more_body", False):
                self._refuse(*self._refusal, self._content)

    async def _send(self, message: AsgiMessage) -> None:
        text, data = message.get("text"), message.get("bytes")
        event: Any = BytesMessage(data=bytes(data)) if data is not None else None
        if event is None:
            if text is None:
                raise RuntimeError("ASGI: websocket.send has neither text nor bytes")
            event = TextMessage(data=text)
        if not await self._write(event):
            raise ClientDisconnected("the client has left")

    def _accept(self, message: AsgiMessage) -> None:
        offered = protocols(self._exchange.request.headers)
        fields = [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
        chosen = message.get("subprotocol")
        if chosen is not None:
            if chosen not in offered:
                raise RuntimeError(f"ASGI: the subprotocol {chosen!r} was not offered")
            fields.append((b"Sec-WebSocket-Protocol", chosen.encode("ascii")))
        extensions: list[Extension] = []
        agreed = _deflate(self._exchange.request.headers)
        if agreed is not None:
            extension, said = agreed
            extensions.append(extension)
            fields.append((b"Sec-WebSocket-Extensions", said))
        self._connection = Connection(ConnectionType.SERVER, extensions)
        self._respond(Response(200, fields, self._queue))
        self.state = WebSocketState.OPEN
        self._runtime.when_done(self._runtime.start(self._pump()), self._pumped)

    def _pumped(self, error: BaseException | None) -> None:
        if error is not None and not isinstance(error, self._runtime.cancelled):
            self._runtime.log.failure("a WebSocket failed", error)
            self._queue.fail(error)

    def _refuse(self, status: int, fields: Headers, content: bytes) -> None:
        self.state = WebSocketState.CLOSED
        self._disconnect(_GONE, "")
        self._respond(Response(status, fields, content))

    def _respond(self, response: Response) -> None:
        outgoing = self._exchange.begin(response)
        self._exchanges.carry(self._exchange, outgoing, response)

    # The end of the application.

    def over(self, error: BaseException | None) -> None:
        """The application has returned, or failed."""
        stopped = isinstance(error, (self._runtime.cancelled, ClientDisconnected))
        if self.state is WebSocketState.CLOSED:
            if error is not None and not stopped:
                self._runtime.log.failure("The application failed after its WebSocket", error)
            return
        if self.state is not WebSocketState.OPEN:
            self.state = WebSocketState.CLOSED
            if not isinstance(error, Exception):
                error = RuntimeError("the application returned and had not accepted a WebSocket")
            self._exchanges.fail(self._exchange, error)
            return
        if error is not None and not stopped:
            self._runtime.log.failure("The application failed in its WebSocket", error)
        code = 1000 if error is None else 1011
        self.state = WebSocketState.CLOSED
        self._runtime.when_done(self._runtime.start(self._farewell(code)), self._pumped)

    async def _farewell(self, code: int) -> None:
        await self._write(CloseConnection(code=code))
        await self._over()


def protocols(headers: Headers) -> list[str]:
    """The subprotocols that a client offers, in its order (RFC 6455 section 11.3.4)."""
    return [
        part.strip().decode("latin-1")
        for name, value in headers
        if name.lower() == b"sec-websocket-protocol"
        for part in value.split(b",")
        if part.strip()
    ]


def _deflate(headers: Headers) -> tuple[PerMessageDeflate, bytes] | None:
    """The extension for compressed messages, if it is offered (RFC 7692), and what to say."""
    for name, value in headers:
        if name.lower() != b"sec-websocket-extensions":
            continue
        for offer in value.decode("latin-1").split(","):
            if offer.split(";")[0].strip() == PerMessageDeflate.name:
                extension = PerMessageDeflate()
                said = extension.accept(offer.strip())
                if said is not None and said is not False:
                    text = PerMessageDeflate.name if said is True else f"{extension.name}; {said}"
                    return extension, text.encode("latin-1")
    return None
