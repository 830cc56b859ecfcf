"""A reactor of one's own, and sockets to talk to it with."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from subproxy.reactor import compiled_epoll, unavailable

DEADLINE = 20.0  # seconds that anything may take


class Recorder(Protocol):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.lost: Any = None

    @property
    def data(self) -> bytes:
        return b"".join(self.chunks)

    def dataReceived(self, data: bytes) -> None:
        self.chunks.append(data)

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = reason


class Keeper(Factory):
    """Builds protocols, and keeps them."""

    noisy = False

    def __init__(self, build: Callable[[], Protocol] = Recorder) -> None:
        self.build = build
        self.built: list[Any] = []

    def buildProtocol(self, addr: Any) -> Protocol:
        protocol = self.build()
        protocol.factory = self
        self.built.append(protocol)
        return protocol


class ReactorTestCase(SynchronousTestCase):
    """Each test has a reactor that is not the process's, and runs it by hand.

    It is one on io_uring; see L{on_epoll_too}.

    @cvar sizes: what the reactor is made with; those of a ring alone are left out on epoll.
    """

    sizes: dict[str, int] = {}
    epoll = False

    def setUp(self) -> None:
        reason = compiled_epoll.unavailable() if self.epoll else unavailable()
        if reason is not None:
            raise SkipTest(reason)
        self.reactor = self.makeReactor(**self.sizes)

    def makeReactor(self, **sizes: int) -> Any:
        from subproxy.reactor import CompiledEpollReactor, IOUringReactor

        if self.epoll:
            sizes = {name: size for name, size in sizes.items() if name == "size"}
        reactor = CompiledEpollReactor(**sizes) if self.epoll else IOUringReactor(**sizes)
        self.addCleanup(self.unmakeReactor, reactor)
        return reactor

    def unmakeReactor(self, reactor: Any) -> None:
        for reader in list(reactor._internalReaders):
            reactor.removeReader(reader)
            reader.connectionLost(None)
        reactor._internalReaders.clear()
        reactor.disconnectAll()
        for call in reactor.getDelayedCalls():
            call.cancel()
        reactor._poller.close()

    def spin(self, done: Callable[[], object], turn: float = 0.05) -> None:
        """Run the reactor until C{done} says so."""
        end = time.monotonic() + DEADLINE
        while not done():
            if time.monotonic() > end:
                self.fail("it did not happen in time")
            self.reactor.iterate(turn)

    def turns(self, n: int) -> None:
        """Run the reactor for some turns that don't wait."""
        for _ in range(n):
            self.reactor.iterate(0)

    def listen(self, build: Callable[[], Protocol] = Recorder) -> Any:
        """A listening port; its connections are its factory's C{built}."""
        return self.reactor.listenTCP(0, Keeper(build), backlog=1024, interface="127.0.0.1")

    def dial(self, port: Any) -> socket.socket:
        """A plain socket, connected to a port, closed with the test."""
        peer = socket.create_connection(("127.0.0.1", port.getHost().port), DEADLINE)
        self.addCleanup(peer.close)
        return peer

    def pair(self, build: Callable[[], Protocol] = Recorder, port: Any = None) -> Any:
        """A protocol of the reactor's, and the plain socket at its other end."""
        port = port or self.listen(build)
        count = len(port.factory.built)
        peer = self.dial(port)
        self.spin(lambda: len(port.factory.built) > count)
        return port.factory.built[-1], peer


def on_epoll_too(namespace: dict[str, Any]) -> None:
    """Add to a module, of which these are the names, its cases on the compiled epoll reactor."""
    for name, case in list(namespace.items()):
        if (
            isinstance(case, type)
            and issubclass(case, ReactorTestCase)
            and case.__module__ == namespace["__name__"]
        ):
            both = type(name + "OnEpoll", (case,), {"epoll": True, "__module__": case.__module__})
            namespace[both.__name__] = both


def reset(peer: socket.socket) -> None:
    """Close a socket so that its peer is told of a reset."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def drained(peer: socket.socket, size: int) -> bytes:
    """Exactly C{size} bytes of a plain socket."""
    got = bytearray()
    while len(got) < size:
        data = peer.recv(min(65536, size - len(got)))
        if not data:
            break
        got += data
    return bytes(got)
