"""A guest of which a test says each step: a subscription and data connections, on plain sockets."""

from __future__ import annotations

import socket
import time
from typing import TypeVar

from subproxy.wire import messages as m
from subproxy.wire.connection import WireConnection, limits_info
from subproxy.wire.frames import FrameDecoder
from subproxy.wire.states import Role

Kind = TypeVar("Kind", bound=m.Message)
SECONDS = 20.0


class DataLine:
    """
    A data connection.

    @ivar socket: its socket.
    """

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(SECONDS)
        self.socket.connect(path)
        self._decoder = FrameDecoder(1024)

    def claim(self, number: int, token: bytes, first: bool = False) -> None:
        """Claim a body; the C{first} time that is answered."""
        self.socket.sendall(m.Connect(number, token).encode())
        if first:
            assert self.frame() == m.Connect(number, token)

    def frame(self) -> m.Message | None:
        """The next frame from the proxy; None if it has closed."""
        while True:
            frame = self._decoder.next()
            if frame is not None:
                return m.parse(frame)
            data = self.socket.recv(1)
            if not data:
                return None
            self._decoder.feed(data)

    def read(self, size: int) -> bytes:
        """So many bytes of a body; less if it ends before."""
        data = bytearray()
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                break
            data += piece
        return bytes(data)


class ScriptedGuest:
    """
    The subscription.

    @param path: where the proxy listens for guests.
    @param tunnels: the protocols for which it takes tunnels.
    @param ahead: it takes tokens with requests.
    """

    def __init__(self, path: str, tunnels: tuple[bytes, ...] = (), ahead: bool = False) -> None:
        self.path = path
        self.wire = WireConnection(Role.GUEST)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(SECONDS)
        self.socket.connect(path)
        info = {
            **limits_info(self.wire.limits),
            b"application": b"script",
            b"instance": b"i",
            b"bulk": True,
            b"ahead": ahead,
            **({b"tunnel": list(tunnels)} if tunnels else {}),
        }
        self.say(m.Hello(info))
        self.say(m.Register(1, b"a\\.example", b"/.*"))
        self.take(m.Registered)

    def say(self, message: m.Message) -> None:
        """Send a message."""
        self.wire.send(message)
        self.flush()

    def flush(self) -> None:
        """Send what the wire has to say."""
        self.socket.sendall(self.wire.data_to_send())

    def take(self, kind: type[Kind]) -> Kind:
        """The next message of that kind; pings are answered, what else comes before is dropped."""
        deadline = time.monotonic() + 3 * SECONDS
        while True:
            event = self.wire.next_event()
            # What is pinged never waits for so long that its socket would say so.
            assert time.monotonic() < deadline, f"no {kind.__name__} came"
            if event is None:
                data = self.socket.recv(65536)
                assert data, "the proxy has closed"
                self.wire.feed(data)
            elif isinstance(event, m.Ping):
                self.say(m.Pong(event.nonce))
            elif isinstance(event, kind):
                return event

    def end(self, number: int, length: int | None, trailers: m.Headers | None = None) -> None:
        """Say that a body is complete."""
        self.wire.end_body(number, trailers or [], {} if length is None else {b"length": length})
        self.flush()

    def close(self) -> None:
        """Leave."""
        self.socket.close()
