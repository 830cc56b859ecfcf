"""
The sockets that one process leaves to the next, and the routes that it knew: both ends of that.

A memory file tells of them, whose descriptor C{SUBPROXY_HANDOVER} names: by which descriptor of the
new process a listener goes, called as its operator wrote it or, of a VM, by its path.
"""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable, Mapping
from typing import Any, cast

from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from subproxy.core.routing.pattern import RouteRefused
from subproxy.core.routing.registry import Registry
from subproxy.core.routing.route import PASSTHROUGH, Route
from subproxy.endpoints.folder import FolderService
from subproxy.endpoints.hybrid import HybridVsockPort, HybridVsockServerEndpoint
from subproxy.endpoints.native import VsockServerEndpoint
from subproxy.endpoints.socketfile import SocketFile
from subproxy.endpoints.vsocket import reclaim

VARIABLE = "SUBPROXY_HANDOVER"

SETTLE = 0.05
"""Seconds in which the kernel gives us the last connections that it accepted for us."""


class InheritedSockets:
    """
    Sockets and routes that the old process has left to this one; usually none.

    Each socket is taken once, by name; those that nobody took are closed at the end.

    @ivar pidfile: the path of the pid file that is ours now; empty if there is none.
    @ivar assigned: what an operator has said there of subscribers, as C{Assigned.plain} has it.
    """

    _log = Logger()

    def __init__(self, left: dict[str, Any] | None = None) -> None:
        left = left or {}
        self._files: dict[str, list[int]] = left.get("files", {})
        self._ports: dict[str, int] = left.get("ports", {})
        self._routes: list[list[str]] = [*left.get("routes", []), *left.get(PASSTHROUGH, [])]
        self._ready: int = left.get("ready", -1)
        self.assigned: dict[str, Any] = {key: left.get(key, {}) for key in ("weights", "drained")}
        self.pidfile: str = left.get("pidfile", "")

    @classmethod
    def of_environment(cls) -> InheritedSockets:
        """What C{SUBPROXY_HANDOVER} names, which our own children must not inherit."""
        number = os.environ.pop(VARIABLE, "")
        if not number.isdecimal():
            return cls()
        with open(int(number), "rb") as file:
            file.seek(0)
            left = json.load(file)
        inheritance = cls(left)
        for fd in inheritance._descriptors():
            os.set_inheritable(fd, False)
        return inheritance

    def __bool__(self) -> bool:
        """Tell whether an old process has left anything."""
        return self._ready >= 0

    def _descriptors(self) -> list[int]:
        files = [fd for fd, _, _ in self._files.values()]
        return [*files, *self._ports.values(), *([self._ready] if self._ready >= 0 else [])]

    def has(self, where: str) -> bool:
        """Whether there is a socket for the listener that an operator wrote like this."""
        return where in self._ports

    def file(self, path: str) -> SocketFile | None:
        """The socket that listens at C{path}."""
        left = self._files.pop(path, None)
        if left is None:
            return None
        fd, device, inode = left
        return SocketFile(path, socket.socket(fileno=fd), device, inode)

    def socket(self, where: str) -> socket.socket | None:
        """The socket that listens for C{where}, what an operator wrote."""
        fd = self._ports.pop(where, None)
        return None if fd is None else socket.socket(fileno=fd)

    def endow(self, where: str, endpoint: Any) -> None:
        """Let a vsock endpoint or folder service look here before it makes its own sockets."""
        if isinstance(endpoint, (HybridVsockServerEndpoint, FolderService)):
            endpoint.inherited = self.file
        elif isinstance(endpoint, VsockServerEndpoint):

            def native() -> socket.socket | None:
                found = self.socket(where)
                return None if found is None else reclaim(found)

            endpoint.inherited = native

    def routes(self, registry: Registry, now: float) -> None:
        """Expect the routes that the other process knew."""
        for identity, *words in self._routes:
            try:
                registry.expect(identity, Route.of_words(words), now)
            except RouteRefused:
                self._log.failure("a route of the other process is none of ours")

    def done(self) -> None:
        """Tell the old process that this one serves; close inherited sockets that nobody took."""
        if self._ready >= 0:
            os.write(self._ready, b"%d\n" % os.getpid())
        for fd in self._descriptors():
            os.close(fd)
        self._files, self._ports, self._ready = {}, {}, -1


class InheritingReactor:
    """A reactor for one HTTP endpoint: it listens on what is inherited, if anything is."""

    def __init__(self, reactor: Any, inheritance: InheritedSockets, where: str) -> None:
        self._reactor = reactor
        self._inheritance = inheritance
        self._where = where

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def _adopt(self, factory: IProtocolFactory) -> IListeningPort | None:
        found = self._inheritance.socket(self._where)
        if found is None:
            return None
        with found:
            port: IListeningPort = self._reactor.adoptStreamPort(
                found.fileno(), found.family, factory
            )
        return port

    def listenTCP(self, port: int, factory: Any, *more: Any, **options: Any) -> IListeningPort:
        """As IReactorTCP has it."""
        return self._adopt(factory) or self._reactor.listenTCP(port, factory, *more, **options)

    def listenUNIX(self, address: str, factory: Any, *more: Any, **options: Any) -> IListeningPort:
        """As IReactorUNIX has it."""
        if not self._inheritance.has(self._where):
            return cast(
                "IListeningPort", self._reactor.listenUNIX(address, factory, *more, **options)
            )
        # Twisted gives an adopted socket the mode that it gives to new ones by default.
        mode = stat.S_IMODE(os.stat(address).st_mode)
        port = self._adopt(factory)
        os.chmod(address, mode)
        assert port is not None
        return port

    def listenSSL(
        self, port: int, factory: Any, contextFactory: Any, *more: Any, **options: Any
    ) -> IListeningPort:
        """As IReactorSSL has it."""
        if not self._inheritance.has(self._where):
            listening: IListeningPort = self._reactor.listenSSL(
                port, factory, contextFactory, *more, **options
            )
            return listening
        from twisted.protocols.tls import TLSMemoryBIOFactory

        adopted = self._adopt(TLSMemoryBIOFactory(contextFactory, False, factory))
        assert adopted is not None
        return adopted


def http_endpoint(
    reactor: Any, where: str, inheritance: InheritedSockets, parse: Callable[[Any, str], Any]
) -> Any:
    """The endpoint of C{where}, that listens on what is inherited."""
    if not inheritance.has(where):
        return parse(reactor, where)
    if where.removeprefix("haproxy:").startswith("systemd:"):
        # The descriptor's number is another one now, and LISTEN_PID is not ours.
        found = inheritance.socket(where)
        assert found is not None
        return AdoptedStreamServerEndpoint(reactor, found.detach(), found.family)
    return parse(InheritingReactor(reactor, inheritance, where), where)


class SocketHandoff:
    """
    What a process leaves to the next one: its listening ports, by what they are called.

    @param listeners: those of HTTP and of guests: each a C{ListenerService} or a L{FolderService}.
    @param assigned: what an operator has said of subscribers, as C{Assigned.plain} has it.
    """

    def __init__(self, listeners: list[Any], assigned: Mapping[str, Any] | None = None) -> None:
        self._assigned = dict(assigned or {})
        self._files: dict[str, HybridVsockPort] = {}
        self._ports: dict[str, Any] = {}
        self._listeners = listeners
        for listener in listeners:
            if isinstance(listener, FolderService):
                ports: list[Any] = list(listener.ports)
            else:
                ports = [listener.port] if listener.port is not None else []
            for port in ports:
                systemd = getattr(listener, "where", "").startswith("systemd:")
                if isinstance(port, HybridVsockPort) and not systemd:
                    self._files[port.made.path] = port
                else:
                    self._ports[listener.where] = port

    @property
    def _all(self) -> list[Any]:
        return [*self._files.values(), *self._ports.values()]

    def descriptors(self) -> list[int]:
        """All of them, as they are numbered here and there."""
        return [port.fileno() for port in self._all]

    def described(self) -> dict[str, Any]:
        """By which descriptor each listener goes, as L{InheritedSockets} reads it."""
        return {
            "files": {
                path: [port.made.socket.fileno(), port.made.device, port.made.inode]
                for path, port in self._files.items()
            },
            "ports": {where: port.fileno() for where, port in self._ports.items()},
        }

    def write(self, registry: Registry, ready: int, pidfile: str = "") -> int:
        """A memory file that tells of all; its descriptor."""
        routes: dict[bool, list[list[str]]] = {False: [], True: []}
        for identity, route in registry.owners():
            routes[route.passthrough].append([identity, *route.words()])
        left = {
            **self.described(),
            "routes": routes[False],
            **self._assigned,
            PASSTHROUGH: routes[True],
            "ready": ready,
            "pidfile": pidfile,
        }
        file = os.memfd_create("subproxy-handover")
        with open(file, "wb", closefd=False) as writing:
            writing.write(json.dumps(left).encode())
        return file

    async def abandon(self, clock: Any) -> None:
        """Accept no more, and close our descriptors, leaving sockets and names alone."""
        for port in self._all:
            getattr(port, "retire", port.stopReading)()
        await deferLater(clock, SETTLE)
        for port in self._files.values():
            port.abandon()
        for port in self._ports.values():
            port._shouldShutdown = False
            keep_name(port)
        for listener in self._listeners:
            if isinstance(listener, FolderService):
                await listener.stopService()
            else:
                await listener.stopListening()


def keep_name(port: Any) -> None:
    """Let C{port}, if it has a name in a folder, leave that there when it is closed."""
    if getattr(port, "addressFamily", None) == socket.AF_UNIX:
        port.connectionLost = _without_unlink(port)


def _without_unlink(port: Any) -> Callable[[Failure], None]:
    """What closes a Twisted UNIX port, but leaves the next process its name."""

    def closed(reason: Failure) -> None:
        path, port._bindPath = port._bindPath, b"\0"
        del port.connectionLost
        # Its name is said as ever: by a NUL grep takes a log for no text.
        port._logConnectionLostMsg = lambda: Logger().info(
            "(UNIX Port {path} Closed)", path=os.fsdecode(path)
        )
        try:
            port.connectionLost(reason)
        finally:
            port._bindPath = path
            del port._logConnectionLostMsg

    return closed
