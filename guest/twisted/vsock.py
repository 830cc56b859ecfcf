"""
Dials a proxy over C{AF_VSOCK}, so that a guest needs nothing of C{subproxy} but the wire.

CPython takes only integer socket options on C{AF_VSOCK} sockets, and Twisted's
C{abortConnection} sets C{SO_LINGER} as bytes; so a connected socket is wrapped anew as one of
C{AF_UNIX}: same descriptor, options of all kinds, and names still decode as (cid, port).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.base import BaseConnector
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, getConnectError
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.internet.tcp import BaseClient
from zope.interface import implementer

from guest.core.vsock_address import AF_VSOCK, HOST_CID, parse_cid_port

__all__ = ["AF_VSOCK", "HOST_CID", "TIMEOUT", "VsockAddress", "VsockClientEndpoint",
           "open_socket", "parse_vsock"]  # fmt: skip

TIMEOUT = 10.0


@implementer(IAddress)
@dataclass(frozen=True)
class VsockAddress:
    """A CID and a port."""

    cid: int
    port: int

    def __str__(self) -> str:
        return f"vsock:{self.cid}:{self.port}"


def open_socket() -> socket.socket:
    """
    A new vsock socket.

    @raise OSError: this kernel has no vsock.
    """
    return socket.socket(AF_VSOCK, socket.SOCK_STREAM)


@implementer(IStreamClientEndpoint)
class VsockClientEndpoint:
    """
    An endpoint that dials C{cid} and C{port}.

    @param timeout: in seconds; the kernel has one of 2 seconds of its own.
    @param opener: makes the socket.
    """

    def __init__(
        self,
        reactor: Any,
        cid: int,
        port: int,
        timeout: float = TIMEOUT,
        opener: Callable[[], socket.socket] = open_socket,
    ) -> None:
        self._reactor = reactor
        self._address = VsockAddress(cid, port)
        self._timeout = timeout
        self._opener = opener

    def __repr__(self) -> str:
        return f"<VsockClientEndpoint {self._address}>"

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Dial.

        @return: fires with the protocol; fails with C{ConnectError}.
        """
        factory = _OneConnection(protocolFactory)
        connector = _Connector(self._address, self._opener, factory, self._timeout, self._reactor)
        factory.dialled = Deferred(lambda _: connector.stopConnecting())
        connector.connect()
        return factory.dialled


class _OneConnection(ClientFactory[Protocol]):
    """Fires a Deferred when its one connection has been made, or not."""

    noisy = False
    dialled: Deferred[IProtocol]

    def __init__(self, wrapped: IProtocolFactory) -> None:
        self._wrapped = wrapped

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return self._wrapped.buildProtocol(addr)  # type: ignore[arg-type]

    def connected(self, protocol: Any) -> None:
        self.dialled.callback(protocol)

    def clientConnectionFailed(self, connector: Any, reason: Any) -> None:
        if not self.dialled.called:
            self.dialled.errback(reason)


class _Connector(BaseConnector):
    """Makes the transport; the base class has the time-out."""

    def __init__(
        self,
        address: VsockAddress,
        opener: Callable[[], socket.socket],
        factory: _OneConnection,
        timeout: float,
        reactor: Any,
    ) -> None:
        self.address = address
        self.opener = opener
        self.dialled = factory
        super().__init__(factory, timeout, reactor)

    def _makeTransport(self) -> _Client:  # type: ignore[override]
        return _Client(self, self.reactor)

    def getDestination(self) -> VsockAddress:
        return self.address


class _Client(BaseClient):
    """The transport of a dialled connection."""

    def __init__(self, connector: _Connector, reactor: Any) -> None:
        self.connector = connector
        self.address = connector.address
        self.realAddress = (self.address.cid, self.address.port)
        try:
            dialling = connector.opener()
        except OSError as error:
            reason = ConnectError(error.errno, error.strerror or "")
            self._finishInit(None, None, reason, reactor)  # type: ignore[no-untyped-call]
            return
        dialling.setblocking(False)
        self._finishInit(self.doConnect, dialling, None, reactor)  # type: ignore[no-untyped-call]

    def _connectDone(self) -> None:
        self.socket = socket.socket(
            socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=self.socket.detach()
        )
        self.socket.setblocking(False)
        self.fileno = self.socket.fileno
        super()._connectDone()  # type: ignore[no-untyped-call]
        self.connector.dialled.connected(self.protocol)

    def connectionLost(self, reason: Any) -> None:
        """
        See C{IProtocol}; of a dial that failed the kernel knows why.

        epoll may tell of that with EPOLLHUP alone, which Twisted takes for the end of a
        connection, without asking the socket.
        """
        if not self.connected and hasattr(self, "socket"):
            number = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                self.failIfNotConnected(  # type: ignore[no-untyped-call]
                    getConnectError((number, os.strerror(number)))
                )
                return
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def getPeer(self) -> VsockAddress:
        """Whom we dialled."""
        return self.address

    def getHost(self) -> Any:
        """Our own end, as the kernel names it: (cid, port)."""
        return self.socket.getsockname()


def parse_vsock(description: str) -> VsockAddress | None:
    """
    The address in C{vsock:CID:PORT}, or C{vsock:PORT} for the host; None for another endpoint.

    @raise ValueError: it is one, but not well-formed.
    """
    found = parse_cid_port(description)
    return None if found is None else VsockAddress(*found)
