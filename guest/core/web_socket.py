"""
One WebSocket: messages both ways over a tunnel (RFC 6455, on wsproto).

The proxy has checked the handshake, and writes it: here are the frames that follow. Imports no
framework.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable
from enum import Enum, auto
from typing import Any

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import (
    BytesMessage,
    CloseConnection,
    Event,
    Message,
    Ping,
    TextMessage,
)
from wsproto.extensions import Extension
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from guest.core.errors import RequestAborted, WebSocketClosed
from guest.core.request import Request
from guest.core.runtime import Runtime
from guest.core.tunnel import TunnelConnection

MESSAGE_LIMIT = 1 << 20
"""Bytes of the longest message that is taken, uncompressed; a longer one ends it with 1009."""

MOST_WAITING = 16
"""Messages that may wait for the application before the client has to."""

NORMAL = 1000
GOING_AWAY = 1001
NO_STATUS = 1005
GONE = 1006
FAILED = 1011
"""What it is closed with, or so taken (RFC 6455 section 7.4.1)."""

_PROTOCOL_ERROR = 1002
_TOO_BIG = 1009
_UNSENDABLE = frozenset({1004, NO_STATUS, GONE, 1015})

_MOST_REASON = 123
"""Bytes of a reason, so that its frame has at most 125."""

_INFLATED_AT_ONCE = 8192
"""Compressed bytes that are read at once: they may become a thousand times as many."""


class WebSocketState(Enum):
    """How far it is, for who sends."""

    __hash__ = object.__hash__

    OPEN = auto()
    """Messages go both ways."""
    CLOSED = auto()
    """We have said our last."""


class WebSocket(AsyncIterator[str | bytes]):
    """
    One WebSocket that an application has accepted.

    C{async for message in ws} gives the client's messages, text as C{str} and binary ones as
    C{bytes}, and ends when it is closed. Pings are answered meanwhile. While L{MOST_WAITING}
    messages wait for the application the client has to wait, too.

    @ivar state: whether we may still send.
    @ivar request: what the client has asked.
    @ivar subprotocol: the one that was agreed upon; None without.
    @ivar close_code: with what it was closed, once it is (RFC 6455 section 7.4): 1005 if the
        client gave no code, 1006 if it left without a word.
    @ivar close_reason: the client's reason, or what it did wrong.
    """

    def __init__(
        self,
        runtime: Runtime,
        tunnel: TunnelConnection,
        subprotocol: str | None = None,
        extensions: Iterable[Extension] = (),
        message_limit: int = MESSAGE_LIMIT,
    ) -> None:
        """
        Begin; L{run} reads what the client sends.

        @param message_limit: bytes of the longest message that is taken, uncompressed.
        """
        self.state = WebSocketState.OPEN
        self.request: Request = tunnel.request
        self.subprotocol = subprotocol
        self.close_code: int | None = None
        self.close_reason = ""
        self._runtime = runtime
        self._tunnel = tunnel
        agreed = list(extensions)
        self._connection = Connection(ConnectionType.SERVER, agreed)
        self._slice = _INFLATED_AT_ONCE if agreed else 0
        self._limit = message_limit
        self._messages: deque[str | bytes] = deque()
        self._parts: list[Any] = []
        self._size = 0
        self._receiving: Any = None
        self._room: Any = None
        tunnel.closed = self._gone

    @property
    def left(self) -> bool:
        """Whether the client has left, and nothing can be sent any more."""
        return self.close_code is not None and self.state is WebSocketState.CLOSED

    # The client.

    async def run(self) -> None:
        """Read what the client sends, as fast as the application takes it, to the end."""
        try:
            async for piece in self._tunnel:
                if self.close_code is None:
                    await self._read(piece)
        except RequestAborted:
            pass
        # It has left without a word: there is nobody to close it for.
        self._disconnect(GONE, "")
        self._end()

    def _gone(self, reason: RequestAborted) -> None:
        """The exchange is over, whatever was said."""
        self._disconnect(GONE, "")
        self._end()

    def _disconnect(self, code: int, reason: str) -> None:
        if self.close_code is None:
            self.close_code, self.close_reason = code, reason
            self._wake("_receiving")

    def _wake(self, name: str) -> None:
        waiter = getattr(self, name)
        if waiter is not None:
            setattr(self, name, None)
            self._runtime.resolve(waiter, None)

    async def _read(self, piece: bytes) -> None:
        size = self._slice or len(piece)
        for start in range(0, len(piece), size):
            if self.close_code is not None:
                return
            await self._read_slice(piece[start : start + size])

    async def _read_slice(self, piece: bytes) -> None:
        connection = self._connection
        try:
            connection.receive_data(piece)
            for event in connection.events():
                if isinstance(event, Message):
                    if not await self._part(event):
                        return
                elif isinstance(event, Ping):
                    await self._write(event.response())
                elif isinstance(event, CloseConnection):
                    await self._closing(event)
                    return
        except RemoteProtocolError as error:
            # There is nothing to be read any more.
            await self._fail(_PROTOCOL_ERROR, str(error))

    async def _closing(self, event: CloseConnection) -> None:
        """The client closes it, or must be told that it has broken the rules."""
        code = NO_STATUS if event.code is None else int(event.code)
        if self._connection.state is ConnectionState.OPEN:
            await self._fail(code, event.reason or "")
            return
        if self._connection.state is ConnectionState.REMOTE_CLOSING:
            await self._write(event.response())
        self._end()
        self._disconnect(code, event.reason or "")

    async def _part(self, event: Message[Any]) -> bool:
        """A part of a message; False if that is too long."""
        if self.state is WebSocketState.CLOSED:
            return True  # the client did not know yet
        self._parts.append(event.data)
        data = event.data
        self._size += len(data.encode()) if isinstance(data, str) else len(data)
        if self._size > self._limit:
            await self._fail(_TOO_BIG, "the message is too long")
            return False
        if event.message_finished:
            parts, self._parts, self._size = self._parts, [], 0
            if isinstance(event, TextMessage):
                self._messages.append("".join(parts))
            else:
                self._messages.append(b"".join(parts))
            self._wake("_receiving")
            while len(self._messages) >= MOST_WAITING and self.state is WebSocketState.OPEN:
                self._room = self._runtime.future()
                await self._room
        return True

    async def _fail(self, code: int, reason: str) -> None:
        """Close it, since the client has broken the rules."""
        await self._write(CloseConnection(code=code, reason=_shortened(reason)))
        self._end()
        self._disconnect(code, reason)

    async def _write(self, event: Event) -> bool:
        """Send a frame; False if nobody takes it."""
        try:
            data = self._connection.send(event)
            await self._tunnel.send(data)
        except (LocalProtocolError, RequestAborted, RuntimeError):
            return False
        return True

    def _end(self) -> None:
        """Our half has ended; the client has a moment to end its own."""
        self.state = WebSocketState.CLOSED
        self._wake("_room")
        self._tunnel.linger()

    # What an application calls.

    async def receive(self) -> str | bytes:
        """
        The client's next message.

        @raise WebSocketClosed: there is none any more.
        """
        while not self._messages:
            if self.close_code is not None:
                raise WebSocketClosed(self.close_code, self.close_reason)
            if self._receiving is not None:
                raise RuntimeError("somebody else receives from this WebSocket")
            self._receiving = receiving = self._runtime.future()
            try:
                await receiving
            finally:
                if self._receiving is receiving:
                    self._receiving = None
        message = self._messages.popleft()
        self._wake("_room")
        return message

    async def __anext__(self) -> str | bytes:
        """The client's next message."""
        try:
            return await self.receive()
        except WebSocketClosed:
            raise StopAsyncIteration from None

    async def send(self, message: str | bytes) -> None:
        """
        Send text or bytes; returns when there is room for the next.

        @raise WebSocketClosed: it is closed.
        """
        event: Event
        if isinstance(message, str):
            event = TextMessage(data=message)
        elif isinstance(message, bytes | bytearray | memoryview):
            event = BytesMessage(data=bytes(message))
        else:
            raise TypeError(f"a message is str or bytes, not {type(message).__name__}")
        if self.state is WebSocketState.CLOSED or not await self._write(event):
            raise WebSocketClosed(self.close_code or GONE, self.close_reason)

    async def ping(self, payload: bytes = b"") -> None:
        """
        Send a ping: so that nothing between takes the WebSocket for idle.

        @param payload: of at most 125 bytes.
        @raise WebSocketClosed: it is closed.
        """
        if len(payload) > 125:
            raise ValueError("a ping has at most 125 bytes")
        if self.state is WebSocketState.CLOSED or not await self._write(Ping(payload=payload)):
            raise WebSocketClosed(self.close_code or GONE, self.close_reason)

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """
        Close it; nothing happens if it is closed.

        @param code: RFC 6455 section 7.4.
        @param reason: of at most 123 bytes; what is longer is cut.
        @raise ValueError: a code that may not be sent.
        """
        if not NORMAL <= code <= 4999 or code in _UNSENDABLE:
            raise ValueError(f"no code to close a WebSocket with: {code}")
        if self.state is WebSocketState.OPEN:
            self.state = WebSocketState.CLOSED
            await self._write(CloseConnection(code=code, reason=_shortened(reason)))
            self._end()


def _shortened(reason: str) -> str | None:
    return reason.encode()[:_MOST_REASON].decode("utf-8", "ignore") or None
