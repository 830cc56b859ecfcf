"""What the reactors share: Twisted's epoll reactor with its stream transports on an engine.

How they turn is in L{subproxy.reactor.engine_reactor}; here they make ports and connections.
"""

# Twisted's transports are untyped, or typed too narrowly to be subclassed.
# mypy: disable-error-code="no-untyped-call,no-any-return"

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet import error, interfaces
from zope.interface import implementer

from subproxy.reactor import generic, tcp, unix
from subproxy.reactor.engine_reactor import EngineReactor
from subproxy.reactor.interfaces import IReactorStreamSocket


@implementer(IReactorStreamSocket)
class StreamReactor(EngineReactor):
    """A reactor whose streams are compiled; see docs/explanation/reactor.md."""

    # -- IReactorTCP

    def listenTCP(
        self, port: int, factory: Any, backlog: int = 50, interface: str = ""
    ) -> tcp.Port:
        """See IReactorTCP."""
        listening = tcp.Port(port, factory, backlog, interface, self)
        listening.startListening()
        return listening

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float = 30,
        bindAddress: Any = None,
    ) -> tcp.Connector:
        """See IReactorTCP."""
        connector = tcp.Connector(host, port, factory, timeout, bindAddress, self)
        connector.connect()
        return connector

    # -- IReactorUNIX

    def listenUNIX(
        self, address: Any, factory: Any, backlog: int = 50, mode: int = 0o666, wantPID: int = 0
    ) -> unix.Port:
        """See IReactorUNIX."""
        listening = unix.Port(address, factory, backlog, mode, self, wantPID)
        listening.startListening()
        return listening

    def connectUNIX(
        self, address: Any, factory: Any, timeout: float = 30, checkPID: int = 0
    ) -> unix.Connector:
        """See IReactorUNIX."""
        connector = unix.Connector(address, factory, timeout, self, checkPID)
        connector.connect()
        return connector

    # -- IReactorSocket

    def adoptStreamPort(
        self, fileDescriptor: int, addressFamily: int, factory: Any
    ) -> interfaces.IListeningPort:
        """See IReactorSocket."""
        if addressFamily not in self._supportedAddressFamilies:
            raise error.UnsupportedAddressFamily(addressFamily)
        if addressFamily == socket.AF_UNIX:
            port = unix.Port._fromListeningDescriptor(self, fileDescriptor, factory)
        else:
            port = tcp.Port._fromListeningDescriptor(self, fileDescriptor, addressFamily, factory)
        port.startListening()
        return port

    def adoptStreamConnection(self, fileDescriptor: int, addressFamily: int, factory: Any) -> Any:
        """See IReactorSocket."""
        if addressFamily not in self._supportedAddressFamilies:
            raise error.UnsupportedAddressFamily(addressFamily)
        if addressFamily == socket.AF_UNIX:
            return unix.from_connected_socket(fileDescriptor, factory, self)
        return tcp.Server._fromConnectedSocket(fileDescriptor, addressFamily, factory, self)

    # -- IReactorStreamSocket

    def listenStreamSocket(
        self,
        skt: socket.socket,
        factory: Any,
        buildAddress: Callable[[Any], interfaces.IAddress | None],
    ) -> generic.StreamPort:
        """See IReactorStreamSocket."""
        port = generic.StreamPort(skt, factory, buildAddress, self)
        port.startListening()
        return port

    def adoptStreamSocket(
        self,
        skt: socket.socket,
        protocol: interfaces.IProtocol,
        peer: interfaces.IAddress,
        host: interfaces.IAddress,
        server: Any = None,
        sessionno: int = 0,
    ) -> generic.CompiledStreamServer:
        """See IReactorStreamSocket."""
        return generic.CompiledStreamServer(skt, protocol, peer, host, server, sessionno, self)
