"""A connection of a guest that another process has accepted: it begins here, with what was read."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import Any, cast

from twisted.internet.interfaces import IAddress, IProtocol
from twisted.internet.tcp import Server
from zope.interface import implementer


@implementer(IAddress)
@dataclass(frozen=True)
class PassedAddress:
    """Either end of a connection that was passed on: all that is known is the identity."""

    identity: str


class PassedServer(Server):
    """Its transport, on a reactor that has none of its own for sockets of any family."""

    def __init__(
        self, skt: socket.socket, protocol: IProtocol, peer: IAddress, reactor: Any
    ) -> None:
        skt.setblocking(False)
        self._address = peer
        super().__init__(skt, protocol, ("", None), cast("Any", self), 0, reactor)

    _realPortNumber = None

    def getPeer(self) -> IAddress:
        """Who is there."""
        return self._address

    def getHost(self) -> IAddress:
        """The same: it tells all that is known."""
        return self._address

    def getTcpNoDelay(self) -> bool:
        """False: it may be no TCP."""
        return False

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing: it may be no TCP."""


def take_descriptor(transport: Any) -> int:
    """A descriptor of what C{transport} has, which ends without a word to the other side."""
    descriptor = os.dup(transport.fileno())
    # What shuts the transport down would shut the connection down, and not this end alone.
    transport._shouldShutdown = False
    transport.stopReading()
    transport.loseConnection()
    return descriptor


def begin_connection(
    reactor: Any, descriptor: int, identity: str, protocol: Any, data: bytes
) -> None:
    """
    Give C{protocol} a connection, and then what was read of it.

    A socket of vsock is taken for one of UNIX, as everywhere here (L{subproxy.endpoints.vsocket}).
    """
    skt = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=descriptor)
    address = PassedAddress(identity)
    adopt = getattr(reactor, "adoptStreamSocket", None)
    transport: Any
    if adopt is None:
        transport = PassedServer(skt, protocol, address, reactor)
    else:
        transport = adopt(skt, protocol, address, address, None, 0)
    protocol.makeConnection(transport)
    if data and transport.connected:
        protocol.dataReceived(data)
