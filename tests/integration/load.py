"""
A client that knows what became of each of its requests.

Many keep-alive connections in one thread, each with one request under way, numbered. Unlike
wrk it tells an explicit refusal from a broken connection, and which numbers failed.
"""

from __future__ import annotations

import re
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

SILENCE = 20.0
"""Seconds after which a request that nobody answers is broken."""

KEPT = 1000
"""Failures of which is kept when and how they happened."""
_TARGET = re.compile(rb"\r\nx-target: /(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Trouble:
    """
    A request that failed.

    @ivar began: when it was sent, in monotonic seconds.
    @ivar ended: when it failed.
    @ivar how: the answer, if there was one.
    """

    began: float
    ended: float
    how: str


@dataclass
class Outcome:
    """
    What became of the requests.

    @ivar statuses: answers by status.
    @ivar refused: numbers of requests that got an answer other than 200.
    @ivar broken: numbers of requests that got none, or half of one.
    @ivar unconnected: attempts to connect that failed.
    @ivar unasked: answers, or bytes behind one, that nobody had asked for.
    @ivar mixed: numbers of requests whose answer names another one, as C{x-target}.
    @ivar answered: numbers of requests that got 200; only where numbers are kept.
    @ivar seconds: how long each request took.
    @ivar troubles: when and how the first L{KEPT} failed.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    refused: list[int] = field(default_factory=list)
    broken: list[int] = field(default_factory=list)
    unconnected: int = 0
    unasked: int = 0
    mixed: list[int] = field(default_factory=list)
    answered: set[int] = field(default_factory=set)
    seconds: list[float] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All requests that were sent."""
        return sum(self.statuses.values()) + len(self.broken)

    @property
    def failed(self) -> int:
        """Those that did not get 200."""
        return self.total - self.statuses[200]

    def percentile(self, share: float) -> float:
        """A quantile of the latencies, in seconds."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0

    def __str__(self) -> str:
        others = {status: count for status, count in self.statuses.items() if status != 200}
        return (
            f"{self.total} requests, {self.failed} failed ({len(self.broken)} broken, {others}),"
            f" {self.unconnected} not connected, p50 {self.percentile(0.5) * 1e3:.1f} ms,"
            f" p99 {self.percentile(0.99) * 1e3:.1f} ms, max {self.percentile(1) * 1e3:.0f} ms"
        )


class _Connection:
    __slots__ = ("began", "data", "number", "socket")

    def __init__(self) -> None:
        self.socket: socket.socket | None = None
        self.data = b""
        self.number = -1
        self.began = 0.0


class Load(threading.Thread):
    """
    Asks until it is stopped.

    @param rate: requests a second in all; 0 for as many as can be had.
    @param keep: remember the numbers that were answered.
    @param connect: makes a connection, in the place of one to C{port} of loopback.
    """

    def __init__(
        self,
        port: int,
        host: str = "blog.example",
        *,
        method: str = "GET",
        connections: int = 32,
        body: bytes = b"",
        rate: float = 0.0,
        first: int = 0,
        keep: bool = False,
        connect: Callable[[], socket.socket] | None = None,
    ) -> None:
        super().__init__(daemon=True)
        self.outcome = Outcome()
        self._connect = connect or partial(socket.create_connection, ("127.0.0.1", port), 5)
        self._keep = keep
        self._pause = connections / rate if rate else 0.0
        self._due: list[tuple[float, _Connection]] = []
        self._method = method
        self._tail = f" HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        self._tail += body
        self._number = first
        self._selector = selectors.DefaultSelector()
        self._connections = [_Connection() for _ in range(connections)]
        self._ending = threading.Event()

    def end(self) -> None:
        """Let what is under way end."""
        self._ending.set()

    def stop(self) -> Outcome:
        """End, and tell what became of all."""
        self.end()
        self.join(SILENCE + 10)
        assert not self.is_alive()
        return self.outcome

    def run_for(self, seconds: float) -> Outcome:
        """Start, wait, stop."""
        self.start()
        time.sleep(seconds)
        return self.stop()

    def run(self) -> None:
        """The loop."""
        for connection in self._connections:
            self._next(connection)
        looked = time.monotonic()
        while True:
            for key, _ in self._selector.select(0.01 if self._due else 0.1):
                self._readable(key.data)
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                self._next(self._due.pop(0)[1])
            if now - looked > 0.5:
                looked = now
                for connection in self._connections:
                    if connection.number >= 0 and now - connection.began > SILENCE:
                        self._break(connection)
            if self._ending.is_set() and all(each.number < 0 for each in self._connections):
                break
        for connection in self._connections:
            self._close(connection)

    def _failed(self, connection: _Connection, how: str) -> None:
        if len(self.outcome.troubles) < KEPT:
            trouble = Trouble(connection.began, time.monotonic(), how)
            self.outcome.troubles.append(trouble)

    def _later(self, connection: _Connection, seconds: float) -> None:
        if not self._ending.is_set():
            self._due.append((time.monotonic() + seconds, connection))

    def _next(self, connection: _Connection) -> None:
        if self._ending.is_set():
            return
        if connection.socket is None:
            try:
                made = self._connect()
            except OSError:
                self.outcome.unconnected += 1
                self._later(connection, 0.05)
                return
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.socket = made
            self._selector.register(made, selectors.EVENT_READ, connection)
        number, self._number = self._number, self._number + 1
        connection.data = b""
        connection.number = number
        connection.began = time.monotonic()
        try:
            connection.socket.send(f"{self._method} /{number}".encode() + self._tail)
        except OSError:
            self._break(connection)

    def _readable(self, connection: _Connection) -> None:
        assert connection.socket is not None
        try:
            came = connection.socket.recv(65536)
        except OSError:
            came = b""
        if not came:
            if connection.number >= 0:
                self._break(connection)
            else:
                self._close(connection)
            return
        if connection.number < 0:
            self.outcome.unasked += 1
            self._close(connection)
            return
        data = connection.data = connection.data + came
        head, separator, body = data.partition(b"\r\n\r\n")
        if not separator:
            return
        lower = head.lower()
        at = lower.find(b"\r\ncontent-length:")
        length = int(lower[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(body) < length:
            return
        outcome = self.outcome
        outcome.unasked += len(body) > length
        named = _TARGET.search(head)
        if named is not None and int(named[1]) != connection.number:
            outcome.mixed.append(connection.number)
        status = int(head[9:12])
        outcome.statuses[status] += 1
        outcome.seconds.append(time.monotonic() - connection.began)
        if status != 200:
            self._failed(connection, f"{status} {body[:200]!r}")
            outcome.refused.append(connection.number)
        elif self._keep:
            outcome.answered.add(connection.number)
        connection.number = -1
        if b"\r\nconnection: close" in lower:
            self._close(connection)
        if self._pause:
            self._later(connection, self._pause)
        elif status != 200:
            self._later(connection, 0.005)
        else:
            self._next(connection)

    def _break(self, connection: _Connection) -> None:
        self._failed(connection, "broken")
        self.outcome.broken.append(connection.number)
        connection.number = -1
        self._close(connection)
        self._later(connection, 0.005)

    def _close(self, connection: _Connection) -> None:
        if connection.socket is not None:
            self._selector.unregister(connection.socket)
            connection.socket.close()
            connection.socket = None
