"""
Many guests in one thread, over the wire alone: they register, answer, and dial again.

Each has a VM socket of its own in a folder, so each is an identity of its own.
"""

from __future__ import annotations

import heapq
import random
import selectors
import socket
import threading
import time
from pathlib import Path

from guest.core.backoff import backoff
from subproxy.wire import messages as m
from subproxy.wire.connection import WireConnection, limits_info
from subproxy.wire.states import Role

PORT = 12345


class _Guest:
    __slots__ = ("attempt", "number", "path", "registered", "socket", "wire")

    def __init__(self, number: int, path: Path) -> None:
        self.number = number
        self.path = path
        self.attempt = 0
        self.registered = 0.0
        self.socket: socket.socket | None = None
        self.wire: WireConnection | None = None


class Swarm(threading.Thread):
    """
    So many guests; guest N serves the host C{gN.example}.

    @ivar registered: how many have their route now.
    """

    def __init__(self, folder: Path, count: int) -> None:
        super().__init__(daemon=True)
        folder.mkdir(exist_ok=True)
        self._guests = [_Guest(n, folder / f"g{n}.sock") for n in range(count)]
        for guest in self._guests:
            # The VMM's own socket: that it is there is what the proxy looks for.
            with socket.socket(socket.AF_UNIX) as vm:
                vm.bind(str(guest.path))
        self._selector = selectors.DefaultSelector()
        self._ending = threading.Event()
        self._due: list[tuple[float, int]] = []
        self.registered = 0

    @property
    def count(self) -> int:
        """How many guests there are."""
        return len(self._guests)

    def listening(self) -> bool:
        """Whether the proxy listens for all of them."""
        return all(Path(f"{guest.path}_{PORT}").exists() for guest in self._guests)

    def stop(self) -> None:
        """Hang up."""
        self._ending.set()
        self.join(20)

    def run(self) -> None:
        """Dial all at once, then serve."""
        for guest in self._guests:
            self._dial(guest)
        while not self._ending.is_set():
            for key, _ in self._selector.select(0.02):
                self._readable(key.data)
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                self._dial(self._guests[heapq.heappop(self._due)[1]])
        for guest in self._guests:
            self._hang_up(guest)

    def _dial(self, guest: _Guest) -> None:
        dialled = socket.socket(socket.AF_UNIX)
        try:
            dialled.connect(f"{guest.path}_{PORT}")
        except OSError:
            dialled.close()
            self._again(guest)
            return
        dialled.setblocking(False)
        guest.socket = dialled
        wire = guest.wire = WireConnection(Role.GUEST)
        hello = {b"application": b"swarm", b"instance": b"%d" % time.monotonic_ns()}
        wire.send(m.Hello({**limits_info(wire.limits), **hello}))
        wire.send(m.Register(1, b"g%d\\.example" % guest.number, b"/.*"))
        self._selector.register(dialled, selectors.EVENT_READ, guest)
        self._flush(guest)

    def _again(self, guest: _Guest) -> None:
        delay = backoff(guest.attempt, random.random())
        guest.attempt += 1
        heapq.heappush(self._due, (time.monotonic() + delay, guest.number))

    def _flush(self, guest: _Guest) -> None:
        assert guest.socket is not None
        assert guest.wire is not None
        data = guest.wire.data_to_send()
        if data:
            try:
                guest.socket.send(data)
            except OSError:
                self._lost(guest)

    def _readable(self, guest: _Guest) -> None:
        assert guest.socket is not None
        assert guest.wire is not None
        try:
            came = guest.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            came = b""
        if not came:
            self._lost(guest)
            return
        wire = guest.wire
        wire.feed(came)
        while (event := wire.next_event()) is not None:
            if isinstance(event, m.Ping):
                wire.send(m.Pong(event.nonce))
            elif isinstance(event, m.Registered):
                guest.attempt = 0
                guest.registered = time.monotonic()
                self.registered += 1
            elif isinstance(event, m.Request):
                wire.send(m.Response(event.exchange, 200, [], {}, b"swarm\n"))
            elif isinstance(event, m.Bye):
                self._lost(guest)
                return
        self._flush(guest)

    def _lost(self, guest: _Guest) -> None:
        self._hang_up(guest)
        self._again(guest)

    def _hang_up(self, guest: _Guest) -> None:
        if guest.socket is not None:
            self._selector.unregister(guest.socket)
            guest.socket.close()
            guest.socket = None
            if guest.registered:
                guest.registered = 0.0
                self.registered -= 1
