"""The client's end of a WebSocket, for L{guest.testing}."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Message, Ping, Pong, TextMessage
from wsproto.extensions import Extension

from guest.core.message_deflate import MessageDeflate
from guest.core.web_socket import NO_STATUS, NORMAL


class TunnelOpener(Protocol):
    """A proxy in memory, as this wants it: L{guest.testing.MemoryProxy}."""

    @property
    def begin(self) -> Callable[..., Any]:
        """See L{guest.testing.MemoryProxy.begin}."""

    @property
    def advance(self) -> Callable[[], None]:
        """See L{guest.testing.MemoryProxy.advance}."""


class MemoryWebSocket:
    """
    One WebSocket, as a browser has it: it answers pings, and a close.

    @ivar exchange: its exchange; C{exchange.response} is what the application has answered.
    @ivar pongs: the payloads of those that came.
    @ivar close_code: with what the application has closed it; 1005 without a code, None if it has
        not.
    @ivar close_reason: likewise.
    @ivar ended: the application's half of the tunnel has ended.
    """

    def __init__(
        self,
        proxy: TunnelOpener,
        target: bytes,
        headers: Iterable[tuple[bytes, bytes]],
        subprotocols: Iterable[str],
        compress: bool,
    ) -> None:
        """Ask for it."""
        self._proxy = proxy
        self._extension = MessageDeflate() if compress else None
        fields = [*headers, (b"Sec-WebSocket-Version", b"13")]
        fields += [(b"Sec-WebSocket-Protocol", each.encode()) for each in subprotocols]
        if compress:
            fields.append((b"Sec-WebSocket-Extensions", b"permessage-deflate"))
        self.pongs: list[bytes] = []
        self.close_code: int | None = None
        self.close_reason = ""
        self._received: list[str | bytes] = []
        self._parts: list[Any] = []
        self._read = 0
        self._closed = False
        self.exchange = proxy.begin(
            b"GET", target, fields, body=None, info={b"tunnel": b"websocket"}
        )
        extensions: list[Extension] = []
        said = self.exchange.response.header(b"sec-websocket-extensions")
        if self._extension is not None and said:
            self._extension.finalize(said.decode())
            extensions.append(self._extension)
        self._connection = Connection(ConnectionType.CLIENT, extensions)
        self._take()

    @property
    def accepted(self) -> bool:
        """Whether the application has taken it: otherwise see C{exchange.response}."""
        return bool(200 <= self.exchange.response.status < 300)

    @property
    def subprotocol(self) -> str | None:
        """The one that the application has chosen."""
        return self.exchange.response.header(b"sec-websocket-protocol").decode() or None

    @property
    def received(self) -> list[str | bytes]:
        """The messages of the application, so far."""
        self._take()
        return self._received

    @property
    def ended(self) -> bool:
        """Whether the application's half of the tunnel has ended."""
        return bool(self.exchange.finished.called)

    def send(self, message: str | bytes) -> None:
        """Send a message, and let things take their course."""
        if isinstance(message, str):
            self._say(TextMessage(data=message))
        else:
            self._say(BytesMessage(data=message))

    def send_raw(self, data: bytes) -> None:
        """Send bytes of a frame, whatever they are."""
        self.exchange.send(data)
        self._proxy.advance()
        self._take()

    def ping(self, payload: bytes = b"") -> None:
        """Send a ping: the answer is in C{pongs}."""
        self._say(Ping(payload=payload))

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Close it: the application answers, and our half ends."""
        self._say(CloseConnection(code=code, reason=reason))

    def leave(self) -> None:
        """Be gone without a word."""
        self.exchange.abort()
        self._proxy.advance()

    def _say(self, event: Event) -> None:
        self.send_raw(self._connection.send(event))

    def _take(self) -> None:
        if not self.accepted or self._closed:
            return
        body = self.exchange.response.body
        data, self._read = body[self._read :], len(body)
        if data:
            self._connection.receive_data(data)
        for event in self._connection.events():
            self._came(event)

    def _came(self, event: Event) -> None:
        if isinstance(event, Message):
            self._parts.append(event.data)
            if event.message_finished:
                parts, self._parts = self._parts, []
                text = isinstance(event, TextMessage)
                self._received.append("".join(parts) if text else b"".join(parts))
        elif isinstance(event, Ping):
            self._say(event.response())
        elif isinstance(event, Pong):
            self.pongs.append(bytes(event.payload))
        elif isinstance(event, CloseConnection):
            self._closed = True
            self.close_code = NO_STATUS if event.code is None else int(event.code)
            self.close_reason = event.reason or ""
            if self._connection.state.name == "REMOTE_CLOSING":
                self.exchange.send(self._connection.send(event.response()))
            self.exchange.end()
            self._proxy.advance()
