"""A WebSocket over HTTP/2 (RFC 8441): python's h2 and wsproto on a blocking socket, for tests."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, SettingsAcknowledged, StreamEnded
from h2.settings import SettingCodes
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Message, TextMessage

DEADLINE = 30.0


class Http2WebSocket:
    """
    One connection, and the WebSocket on it.

    @ivar status: that of the answer.
    @ivar subprotocol: which was chosen; empty for none.
    @ivar close_code: with which the other side closed; 0 before that.
    """

    def __init__(self, line: socket.socket, authority: str, path: str, subprotocols: str = ""):
        self._line = line
        line.settimeout(DEADLINE)
        self._h2 = H2Connection()
        self._ws = Connection(ConnectionType.CLIENT)
        self._messages: list[str | bytes] = []
        self._part: list[str | bytes] = []
        self.status = self.subprotocol = ""
        self.close_code = 0
        self.ended = False
        self._greeted = False
        self._h2.initiate_connection()
        self._wait(lambda: self._greeted)
        if self._h2.remote_settings[SettingCodes.ENABLE_CONNECT_PROTOCOL] != 1:
            raise AssertionError("extended CONNECT is not offered")
        fields = [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "https" if isinstance(line, ssl.SSLSocket) else "http"),
            (":path", path),
            (":authority", authority),
            ("sec-websocket-version", "13"),
        ]
        if subprotocols:
            fields.append(("sec-websocket-protocol", subprotocols))
        self._h2.send_headers(1, fields)
        self._wait(lambda: bool(self.status))

    def send(self, message: str | bytes) -> None:
        """Send a message, as far as the windows are open at a time."""
        event: Message
        if isinstance(message, str):
            event = TextMessage(data=message)
        else:
            event = BytesMessage(data=message)
        self._send(self._ws.send(event))

    def recv(self) -> str | bytes:
        """The next message."""
        self._wait(lambda: bool(self._messages))
        return self._messages.pop(0)

    def close(self, code: int, reason: str = "") -> None:
        """Close as RFC 6455 has it, then the stream, and the connection."""
        self._send(self._ws.send(CloseConnection(code, reason)))
        self._wait(lambda: bool(self.close_code))
        self._h2.end_stream(1)
        self._wait(lambda: self.ended)
        self._line.close()

    def _send(self, data: bytes) -> None:
        while data:
            room = min(self._h2.local_flow_control_window(1), self._h2.max_outbound_frame_size)
            if room <= 0:
                self._step()
                continue
            self._h2.send_data(1, data[:room])
            data = data[room:]
            self._flush()

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data:
            self._line.sendall(data)

    def _wait(self, done: Callable[[], bool]) -> None:
        self._flush()
        while not done():
            self._step()

    def _step(self) -> None:
        """Read once."""
        data = self._line.recv(65_536)
        if not data:
            raise AssertionError(f"the proxy has closed; messages: {self._messages[:3]}")
        for event in self._h2.receive_data(data):
            if isinstance(event, SettingsAcknowledged):
                # Ours, and so theirs came before.
                self._greeted = True
            elif isinstance(event, ResponseReceived):
                fields = dict(event.headers or [])
                self.status = fields[b":status"].decode()
                self.subprotocol = fields.get(b"sec-websocket-protocol", b"").decode()
            elif isinstance(event, DataReceived):
                self._h2.acknowledge_received_data(event.flow_controlled_length, 1)
                if event.data:  # there may be none, at the end of the stream
                    self._ws.receive_data(event.data)
                    for each in self._ws.events():
                        self._came(each)
            elif isinstance(event, StreamEnded):
                self.ended = True
        self._flush()

    def _came(self, event: Event) -> None:
        if isinstance(event, (TextMessage, BytesMessage)):
            self._part.append(event.data)
            if event.message_finished:
                part, self._part = self._part, []
                text = isinstance(event, TextMessage)
                self._messages.append("".join(part) if text else b"".join(part))  # type: ignore[arg-type]
        elif isinstance(event, CloseConnection):
            self.close_code = int(event.code)
