"""
One WebSocket of an ASGI application: its C{receive} and its C{send}.

The messages are those of L{guest.core.web_socket.WebSocket}; here are their names in ASGI.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from enum import Enum, auto
from typing import Any

from guest.adapters.asgi_cycle import ClientDisconnected
from guest.core.errors import RequestAborted, WebSocketClosed
from guest.core.exchange import GuestExchange
from guest.core.exchanges import Exchanges
from guest.core.response import Response
from guest.core.runtime import Runtime
from guest.core.web_socket import FAILED, GONE, NORMAL, WebSocket
from guest.core.web_socket_acceptance import accept_fields
from subproxy.wire.fields import Headers

AsgiMessage = MutableMapping[str, Any]


class AsgiWebSocketState(Enum):
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


_MAY: dict[AsgiWebSocketState, frozenset[str]] = {
    AsgiWebSocketState.ASKED: frozenset(
        {"websocket.accept", "websocket.close", "websocket.http.response.start"}
    ),
    AsgiWebSocketState.OPEN: frozenset({"websocket.send", "websocket.close"}),
    AsgiWebSocketState.REFUSING: frozenset({"websocket.http.response.body"}),
    AsgiWebSocketState.CLOSED: frozenset(),
}
"""What may be sent in each state."""


class AsgiWebSocket:
    """
    One WebSocket.

    @ivar state: how far it is.
    @ivar task: the application.
    """

    def __init__(self, runtime: Runtime, exchanges: Exchanges, exchange: GuestExchange) -> None:
        self.state = AsgiWebSocketState.ASKED
        self.task: Any = None
        self._runtime = runtime
        self._exchanges = exchanges
        self._exchange = exchange
        self._web_socket: WebSocket | None = None
        self._connected = False  # the application knows that a client asks
        self._refused: AsgiMessage | None = None  # what it then gets, where none was accepted
        self._refusal: tuple[int, Headers] = (403, [])
        self._content = b""
        self._receiving: Any = None
        exchange.closed = self._gone

    # The client.

    def _gone(self, reason: RequestAborted) -> None:
        """The exchange is over before it was accepted."""
        self._close()

    def _close(self) -> None:
        """There is no WebSocket, and will be none."""
        self.state = AsgiWebSocketState.CLOSED
        if self._refused is None:
            self._refused = _disconnected(GONE, "")
            self._wake_receiver()

    def _wake_receiver(self) -> None:
        """It is settled what becomes of it: an application may have received before that."""
        receiving, self._receiving = self._receiving, None
        if receiving is not None:
            self._runtime.resolve(receiving, None)

    # What the application calls.

    async def receive(self) -> AsgiMessage:
        """That a client asks; its messages, one at a time; that it has left."""
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        while self._web_socket is None:
            if self._refused is not None:
                return self._refused
            self._receiving = self._runtime.future()
            await self._receiving
        try:
            message = await self._web_socket.receive()
        except WebSocketClosed as closed:
            return _disconnected(closed.code, closed.reason)
        return {"type": "websocket.receive", "text" if type(message) is str else "bytes": message}

    async def send(self, message: AsgiMessage) -> None:
        """
        Accept, refuse, send or close; returns when there is room for the next.

        @raise ClientDisconnected: the client has left, or closed it.
        @raise RuntimeError: it is not its turn.
        """
        kind = message["type"]
        web_socket = self._web_socket
        if self._refused is not None or (web_socket is not None and web_socket.left):
            raise ClientDisconnected("the client has left")
        if kind not in _MAY[self.state]:
            raise RuntimeError(f"ASGI: {kind!r} came when it was {self.state.name.lower()}")
        if kind == "websocket.accept":
            self._accept(message)
        elif web_socket is not None:
            await self._speak(web_socket, message)
        elif kind == "websocket.close":
            self._refuse(403, [], b"")
        elif kind == "websocket.http.response.start":
            fields = [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
            self._refusal = message["status"], fields
            self.state = AsgiWebSocketState.REFUSING
        else:
            self._content += bytes(message.get("body", b""))
            if not message.get("more_body", False):
                self._refuse(*self._refusal, self._content)

    async def _speak(self, web_socket: WebSocket, message: AsgiMessage) -> None:
        if message["type"] == "websocket.close":
            self.state = AsgiWebSocketState.CLOSED
            await web_socket.close(message.get("code", NORMAL), message.get("reason") or "")
            return
        data = message.get("bytes")
        if data is None:
            data = message.get("text")
        if data is None:
            raise RuntimeError("ASGI: websocket.send has neither text nor bytes")
        try:
            await web_socket.send(data)
        except WebSocketClosed:
            raise ClientDisconnected("the client has left") from None

    def _accept(self, message: AsgiMessage) -> None:
        headers = [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
        chosen = message.get("subprotocol")
        try:
            fields, extensions = accept_fields(self._exchange.request, chosen, headers)
        except ValueError as error:
            raise RuntimeError(f"ASGI: {error}") from None
        tunnel = self._exchanges.tunnel(self._exchange)
        web_socket = WebSocket(self._runtime, tunnel, chosen, extensions)
        response = tunnel.accepted(fields)
        try:
            outgoing = self._exchange.begin(response)
        except Exception:
            self._exchange.closed = self._gone
            raise
        self._web_socket = web_socket
        self.state = AsgiWebSocketState.OPEN
        self._exchanges.carry(self._exchange, outgoing, response)
        self._run(self._web_socket.run())
        self._wake_receiver()

    def _run(self, coroutine: Any) -> None:
        self._runtime.when_done(self._runtime.start(coroutine), self._ran)

    def _ran(self, error: BaseException | None) -> None:
        if error is not None and not isinstance(error, self._runtime.cancelled):
            self._runtime.log.failure("a WebSocket failed", error)

    def _refuse(self, status: int, fields: Headers, content: bytes) -> None:
        response = Response(status, fields, content)
        outgoing = self._exchange.begin(response)
        self._close()
        self._exchanges.carry(self._exchange, outgoing, response)

    # The end of the application.

    def over(self, error: BaseException | None) -> None:
        """The application has returned, or failed."""
        stopped = isinstance(error, (self._runtime.cancelled, ClientDisconnected))
        web_socket = self._web_socket
        if web_socket is None and self.state is not AsgiWebSocketState.CLOSED:
            self.state = AsgiWebSocketState.CLOSED
            if not isinstance(error, Exception):
                error = RuntimeError("the application returned and had not accepted a WebSocket")
            self._exchanges.fail(self._exchange, error)
            return
        if error is not None and not stopped:
            self._runtime.log.failure("The application failed in its WebSocket", error)
        if web_socket is not None:
            self.state = AsgiWebSocketState.CLOSED
            self._run(web_socket.close(NORMAL if error is None else FAILED))


def _disconnected(code: int, reason: str) -> AsgiMessage:
    return {"type": "websocket.disconnect", "code": code, "reason": reason}
