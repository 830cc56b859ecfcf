"""Stream sockets of any family: what IReactorStreamSocket makes."""

# Twisted's transports are untyped, or typed too narrowly to be subclassed.
# mypy: disable-error-code="no-untyped-call,override,method-assign,union-attr"

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet import interfaces, tcp
from twisted.logger import Logger
from twisted.python import reflect

from subproxy.reactor.engine_reactor import EngineReactor
from subproxy.reactor.tcp import CompiledPort, NoTCPOptions, ServerTransport


class CompiledStreamServer(ServerTransport, NoTCPOptions, tcp.Server):
    """A connection whose addresses somebody else knows."""

    def __init__(
        self,
        sock: socket.socket,
        protocol: interfaces.IProtocol,
        peer: interfaces.IAddress,
        host: interfaces.IAddress,
        server: Any,
        sessionno: int,
        reactor: EngineReactor,
    ) -> None:
        sock.setblocking(False)
        self.host = host
        self.client = (peer, None)
        self.adopt(reactor, sock, protocol, peer, server, sessionno)

    def getPeer(self) -> interfaces.IAddress:
        """The address that the peer was given."""
        found: interfaces.IAddress = self.peer
        return found

    def getHost(self) -> interfaces.IAddress:
        """The address that our end was given."""
        found: interfaces.IAddress = self.host
        return found


class StreamPort(CompiledPort):
    """A listening socket that somebody else made."""

    _log = Logger()

    def __init__(
        self,
        skt: socket.socket,
        factory: Any,
        buildAddress: Callable[[Any], interfaces.IAddress | None],
        reactor: EngineReactor,
    ) -> None:
        super().__init__(0, factory, reactor=reactor)
        self._preexistingSocket = skt
        self.addressFamily = skt.family
        self._buildAddr = buildAddress
        self._host = buildAddress(skt.getsockname())

    def __repr__(self) -> str:
        state = "" if self.connected else " (not listening)"
        return (
            f"<{type(self).__name__} of {reflect.qual(type(self.factory))} on {self._host}{state}>"
        )

    def startListening(self) -> None:
        """See IListeningPort."""
        tcp._reservedFD.reserve()
        skt = self._preexistingSocket
        self._preexistingSocket = None
        skt.setblocking(False)
        self._log.info(
            "{factory} starting on {host}",
            factory=self._getLogPrefix(self.factory),
            host=self._host,
        )
        self._realPortNumber = getattr(self._host, "port", None)
        self.factory.doStart()
        self.connected = True
        self.socket = skt
        self.fileno = skt.fileno
        self.numberAccepts = 100
        self.startReading()

    def _makeTransport(
        self, skt: socket.socket, protocol: Any, name: Any, peer: Any, number: int
    ) -> Any:
        host = self._buildAddr(skt.getsockname())
        return CompiledStreamServer(skt, protocol, peer, host, self, number, self.reactor)

    def getHost(self) -> Any:
        """See IListeningPort."""
        return self._host
