"""
Listening sockets for clients, as many as there are workers, made and kept by the parent.

Of TCP each worker has one of its own (SO_REUSEPORT): the kernel spreads connections over them, and
what waits in the queue of a worker that dies waits for the next one there. A UNIX socket, or one
that systemd made, is one for all: who is quicker accepts.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

BACKLOG = 50
"""That of Twisted's own endpoints."""


def tcp_sockets(
    interface: str, port: int, count: int, backlog: int = BACKLOG, only_v6: bool = False
) -> list[socket.socket]:
    """
    So many listening sockets on one address.

    @param only_v6: IPv4 is somebody else's.
    @raise CannotListenError: they can't be had; another program listening there is a reason too,
        though SO_REUSEPORT would let it pass.
    """
    family = socket.AF_INET6 if ":" in interface else socket.AF_INET
    made: list[socket.socket] = []
    try:
        look_at_port(interface, port, only_v6)
        for _ in range(count):
            skt = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            made.append(skt)
            _prepare(skt, family, only_v6)
            skt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            skt.bind((interface, port))
            port = skt.getsockname()[1]
        for skt in made:
            skt.listen(backlog)
    except OSError as error:
        for skt in made:
            skt.close()
        raise CannotListenError(interface, port, error) from error
    return made


def look_at_port(interface: str, port: int, only_v6: bool = False) -> None:
    """
    Find out whether it could be listened there.

    @raise OSError: it can't; that another program does so with SO_REUSEPORT is a reason, too.
    """
    if port:
        family = socket.AF_INET6 if ":" in interface else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            _prepare(probe, family, only_v6)
            probe.bind((interface, port))


def _prepare(skt: socket.socket, family: int, only_v6: bool) -> None:
    skt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        skt.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_v6)


class SocketMaker:
    """
    A reactor for an endpoint: what would be listened on is made, and kept.

    @ivar sockets: of TCP, one a worker; of other kinds, one.
    @ivar port: who owns the name of a UNIX socket in its folder.
    """

    def __init__(self, reactor: Any, count: int) -> None:
        self._reactor = reactor
        self._count = count
        self.sockets: list[socket.socket] = []
        self.port: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(
        self, port: int, factory: Any, backlog: int = BACKLOG, interface: str = ""
    ) -> SocketMaker:
        """As IReactorTCP has it."""
        self.sockets += tcp_sockets(interface, port, self._count, backlog)
        return self

    def listenSSL(
        self,
        port: int,
        factory: Any,
        contextFactory: Any,
        backlog: int = BACKLOG,
        interface: str = "",
    ) -> SocketMaker:
        """As IReactorSSL has it: the worker does the TLS."""
        return self.listenTCP(port, factory, backlog, interface)

    def listenUNIX(self, address: str, factory: Any, *more: Any, **options: Any) -> SocketMaker:
        """As IReactorUNIX has it."""
        self.port = self._reactor.listenUNIX(address, Factory(), *more, **options)
        self.port.stopReading()
        self.sockets.append(self.port.socket.dup())
        return self

    def adoptStreamPort(self, fd: int, family: int, factory: Any) -> SocketMaker:
        """As IReactorSocket has it."""
        self.sockets.append(socket.socket(fileno=os.dup(fd)))
        return self


class ClientSockets:
    """
    The listening sockets for clients, by where an operator wants them.

    @ivar made: for each place its sockets: one a worker, or one for all.
    @ivar adopted: paths of UNIX sockets that another program has made, and we have to remove.
    """

    def __init__(self) -> None:
        self.made: dict[str, list[socket.socket]] = {}
        self.adopted: list[str] = []
        self._ports: list[Any] = []

    def make(
        self, where: str, count: int, listen: Callable[[SocketMaker], Any], reactor: Any
    ) -> None:
        """
        Make those of C{where}.

        @param listen: given a reactor, begins to listen.
        @raise Exception: they can't be had.
        """
        maker = SocketMaker(reactor, count)
        failures: list[Failure] = []
        done = listen(maker)
        if isinstance(done, Deferred):
            done.addErrback(failures.append)
        if failures:
            failures[0].raiseException()
        self.made[where] = maker.sockets
        if maker.port is not None:
            self._ports.append(maker.port)

    def adopt(self, where: str, sockets: Sequence[socket.socket], count: int) -> None:
        """
        Take those of C{where} that are there, for C{count} workers: further ones are made.

        Those that are too many are closed by whoever accepts from them last.
        """
        found = list(sockets)
        first = found[0]
        if first.family in (socket.AF_INET, socket.AF_INET6) and _reuses(first):
            interface, port = first.getsockname()[:2]
            only = first.family == socket.AF_INET6 and bool(
                first.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
            )
            while len(found) < count:
                skt = socket.socket(first.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
                _prepare(skt, first.family, only)
                skt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                skt.bind((interface, port))
                skt.listen(BACKLOG)
                found.append(skt)
            for surplus in found[count:]:
                surplus.close()
            found = found[:count]
        self.made[where] = found

    @property
    def names(self) -> list[str]:
        """Paths of UNIX sockets that are removed at the end."""
        made = [os.fsdecode(port.getHost().name) for port in self._ports]
        return [*self.adopted, *made]

    def of(self, slot: int) -> list[tuple[str, int]]:
        """The places, and the descriptors for the worker of that slot."""
        return [
            (where, sockets[slot if len(sockets) > slot else 0].fileno())
            for where, sockets in self.made.items()
        ]

    def close(self) -> None:
        """Close all; what has a name in a folder loses it."""
        for sockets in self.made.values():
            for each in sockets:
                each.close()
        self.made.clear()
        while self._ports:
            # At once: where the start has failed, no reactor will run.
            self._ports.pop().connectionLost(Failure(ConnectionDone()))
        while self.adopted:
            _unlink(self.adopted.pop())


def _unlink(path: str) -> None:
    """Remove a socket and its lock, if they are still there."""
    for each in (path, f"{path}.lock"):
        try:
            os.unlink(each)
        except OSError:
            pass


def _reuses(skt: socket.socket) -> bool:
    return bool(skt.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT))
