"""Compiled UNIX stream sockets, and how descriptors are passed over them.

A completion of a plain receive or send carries no descriptors. So a protocol
that takes them (IFileDescriptorReceiver) gets Twisted's own transport, on
epoll; and one that sends one is written by readiness from then on.
"""

# Twisted's transports are untyped, or typed too narrowly to be subclassed.
# mypy: disable-error-code="no-untyped-call,override,assignment,attr-defined"

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import address, interfaces, unix

from subproxy.reactor.engine_reactor import EngineReactor
from subproxy.reactor.tcp import BaseClient, CompiledPort, NoTCPOptions, ServerTransport


class SendsDescriptors(NoTCPOptions):
    """The sending half of IUNIXTransport."""

    _sendmsgQueue: list[int]

    def sendFileDescriptor(self, fileno: int) -> None:
        """See IUNIXTransport."""
        self.fall_back_to_epoll_writes()
        if not hasattr(self, "_sendmsgQueue"):
            self._sendmsgQueue = []
        unix._SendmsgMixin.sendFileDescriptor(self, fileno)  # type: ignore[arg-type]


class Server(ServerTransport, SendsDescriptors, unix.Server):
    """A UNIX connection that somebody made to us."""

    _writeSomeDataBase = unix.tcp.Server

    def __init__(
        self,
        sock: socket.socket,
        protocol: interfaces.IProtocol,
        client: Any,
        server: Any,
        sessionno: int,
        reactor: EngineReactor,
    ) -> None:
        sock.setblocking(False)
        self.client = (client, None)
        self.adopt(reactor, sock, protocol, None, server, sessionno)


def server_for(protocol: object) -> type[unix.Server]:
    """The transport class that suits the protocol."""
    if interfaces.IFileDescriptorReceiver.providedBy(protocol):
        return unix.Server
    return Server


class Client(SendsDescriptors, BaseClient, unix.Client):
    """A UNIX connection that we make."""

    def _connectDone(self) -> None:
        # The protocol is built by what is overridden here: look at it first.
        build = self.connector.buildProtocol

        def buildProtocol(addr: interfaces.IAddress) -> Any:
            protocol = build(addr)
            if not interfaces.IFileDescriptorReceiver.providedBy(protocol):
                self.go_native()
            return protocol

        self.connector.buildProtocol = buildProtocol
        try:
            super()._connectDone()
        finally:
            del self.connector.buildProtocol


class Connector(unix.Connector):
    """See IConnector."""

    def _makeTransport(self) -> Client:
        return Client(self.address, self, self.reactor, self.checkPID)


class Port(CompiledPort, unix.Port):
    """A listening UNIX socket."""

    transport = Server

    def _makeTransport(
        self, skt: socket.socket, protocol: Any, name: Any, peer: Any, number: int
    ) -> Any:
        transport = self.transport
        if transport is Server:
            transport = server_for(protocol)
        return transport(skt, protocol, name, self, number, self.reactor)


def from_connected_socket(fd: int, factory: Any, reactor: EngineReactor) -> Any:
    """See IReactorSocket.adoptStreamConnection."""
    skt = socket.fromfd(fd, socket.AF_UNIX, socket.SOCK_STREAM)
    name = skt.getsockname()
    protocol = factory.buildProtocol(address.UNIXAddress(name))
    if protocol is None:
        skt.close()
        return None
    transport = server_for(protocol)(skt, protocol, skt.getpeername(), None, 0, reactor)
    transport.repstr = f"<{type(protocol).__name__} #0 on {name}>"
    transport.logstr = f"{type(protocol).__name__},0,{name}"
    protocol.makeConnection(transport)
    return transport
