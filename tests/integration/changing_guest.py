"""A guest, over the wire alone, in one thread, whose routes change all the time."""

from __future__ import annotations

import select
import socket
import threading
import time
from pathlib import Path

from subproxy.wire import messages as m
from subproxy.wire.connection import WireConnection, limits_info
from subproxy.wire.states import Role


class ChangingGuest(threading.Thread):
    """
    Registers a route, then gives the oldest back, so that it has C{kept}: one change each
    C{interval} seconds. Its route number N is the host C{NAMEn.example}, which C{NAME} answers.

    @ivar registered: when each of its routes was registered, by host, in monotonic seconds.
    @ivar routes: the hosts of those that it has now, by reference.
    @ivar said: what it answers.
    @ivar changes: how many there were.
    """

    def __init__(self, path: Path, name: str, kept: int, interval: float) -> None:
        super().__init__(daemon=True)
        self.said = name
        self._kept = kept
        self._interval = interval
        self._ending = threading.Event()
        self._quiet = threading.Event()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._wire = WireConnection(Role.GUEST)
        self.routes: dict[int, str] = {}
        self._last = 0
        self.registered: dict[str, float] = {}
        self.changes = 0

    def settle(self) -> None:
        """Change nothing any more, and go on to answer."""
        self._quiet.set()

    def stop(self) -> None:
        """Hang up."""
        self._ending.set()
        self.join(20)
        self._socket.close()

    def run(self) -> None:
        """Change, and answer."""
        hello = {b"application": self.said.encode(), b"instance": b"1"}
        self._wire.send(m.Hello({**limits_info(self._wire.limits), **hello}))
        due = time.monotonic()
        while not self._ending.is_set():
            now = time.monotonic()
            if now >= due and not self._quiet.is_set():
                self._change()
                due = now + self._interval
            self._socket.sendall(self._wire.data_to_send())
            ready, _, _ = select.select([self._socket], [], [], 0.02)
            if ready:
                came = self._socket.recv(65536)
                if not came:
                    return
                self._take(came)

    def _change(self) -> None:
        self.changes += 1
        if len(self.routes) > self._kept:
            oldest = next(iter(self.routes))
            self.registered.pop(self.routes.pop(oldest), None)
            self._wire.send(m.Unregister(oldest))
            return
        self._last += 1
        host = f"{self.said}{self._last}.example"
        self.routes[self._last] = host
        self._wire.send(m.Register(self._last, host.replace(".", "\\.").encode(), b"/.*"))

    def _take(self, data: bytes) -> None:
        self._wire.feed(data)
        while (event := self._wire.next_event()) is not None:
            if isinstance(event, m.Ping):
                self._wire.send(m.Pong(event.nonce))
            elif isinstance(event, m.Registered):
                host = self.routes.get(event.reference)
                if host is not None:
                    self.registered[host] = time.monotonic()
            elif isinstance(event, m.Refused):
                raise AssertionError(event)
            elif isinstance(event, m.Request):
                body = self.said.encode() + b"\n"
                self._wire.send(m.Response(event.exchange, 200, [], {}, body))
