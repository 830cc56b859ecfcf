"""What all attackers of L{tests.integration.hostile} are: a guest that dials again and again."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from subproxy.wire import messages as m
from subproxy.wire.connection import WireConnection, limits_info
from subproxy.wire.frames import encoded_pieces
from subproxy.wire.limits import Limits
from subproxy.wire.states import Role


def encode(frame: list[Any]) -> bytes:
    """A frame, whatever is in it."""
    return b"".join(encoded_pieces(frame))


HOST = b"hostile\\.example"


class Attack(threading.Thread):
    """
    One attacker.

    @ivar dialled: how often it has connected.
    @ivar sent: bytes that it could send.
    """

    asked = False
    """Whether it needs clients that ask for its host."""
    path = "/"
    """What they ask for: uploads to the root, else they get this."""
    limits = Limits()

    def __init__(self, vsock: Path) -> None:
        super().__init__(daemon=True)
        self._path = f"{vsock}_12345"
        self._ending = threading.Event()
        self.dialled = 0
        self.sent = 0
        self.wire = WireConnection(Role.GUEST)
        self.socket = socket.socket()

    @property
    def ending(self) -> bool:
        """Whether it has been told to stop."""
        return self._ending.is_set()

    def stop(self) -> None:
        """End it."""
        self._ending.set()
        self.join(20)
        assert not self.is_alive()

    def run(self) -> None:
        """Attack, again and again."""
        self.socket.close()
        while not self.ending:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(0.2)
            try:
                self.socket.connect(self._path)
                self.dialled += 1
                self.wire = WireConnection(Role.GUEST, self.limits)
                self.attack()
            except OSError:
                time.sleep(0.01)
            finally:
                self.socket.close()

    def attack(self) -> None:
        """One connection's worth of it."""
        raise NotImplementedError

    # What attacks are made of.

    def push(self, data: bytes) -> None:
        """Send all, however long the proxy takes."""
        view = memoryview(data)
        while view and not self.ending:
            try:
                count = self.socket.send(view)
            except TimeoutError:
                continue
            self.sent += count
            view = view[count:]

    def say(self, *messages: m.Message) -> None:
        """Send messages as a guest that keeps to the rules."""
        for message in messages:
            self.wire.send(message)
        self.push(self.wire.data_to_send())

    def greet(self, *, register: bool = True) -> None:
        """Subscribe, and take the hostile host."""
        hello = {b"application": b"evil", b"instance": b"%x" % random.getrandbits(64)}
        self.say(m.Hello({**limits_info(self.limits), **hello}))
        if register:
            self.say(m.Register(1, HOST, b"/.*"))

    def hear(self) -> Iterator[object]:
        """What the proxy says, with pings answered, until the connection ends."""
        while not self.ending:
            try:
                came = self.socket.recv(65536)
            except TimeoutError:
                continue
            if not came:
                return
            self.wire.feed(came)
            while (event := self.wire.next_event()) is not None:
                if isinstance(event, m.Ping):
                    self.say(m.Pong(event.nonce))
                elif isinstance(event, m.Bye):
                    return
                else:
                    yield event

    def discard(self) -> None:
        """Throw away what has come."""
        self.socket.setblocking(False)
        try:
            while self.socket.recv(1 << 20):
                pass
        except BlockingIOError:
            pass
        finally:
            self.socket.settimeout(0.2)
