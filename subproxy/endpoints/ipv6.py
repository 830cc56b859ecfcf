"""IPv6 beside IPv4: a socket of its own, so that both can have the same port.

Linux lets a socket on C{::} take IPv4 too, unless C{net.ipv6.bindv6only} says otherwise. Here
it never does: clients of IPv4 come over a socket of IPv4, and are called by their own addresses.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.defer import Deferred, execute
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from zope.interface import implementer

__all__ = ["IPv6Endpoint", "has_ipv6"]

BACKLOG = 50
"""That of Twisted's own endpoints."""


def has_ipv6(interface: str) -> bool:
    """Whether this machine has IPv6, and the address C{interface}."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind((interface, 0))
    except OSError:
        return False
    return True


@implementer(IStreamServerEndpoint)
class IPv6Endpoint:
    """Listens on a TCP port of IPv6 alone."""

    def __init__(self, reactor: Any, port: int, interface: str = "::") -> None:
        self._reactor = reactor
        self._port = port
        self._interface = interface

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen; fails with C{CannotListenError}."""
        return execute(self._listen, protocolFactory)

    def _listen(self, factory: IProtocolFactory) -> IListeningPort:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as skt:
            skt.setblocking(False)
            skt.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            skt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                skt.bind((self._interface, self._port))
                skt.listen(BACKLOG)
            except OSError as error:
                raise CannotListenError(self._interface, self._port, error) from error
            port: IListeningPort = self._reactor.adoptStreamPort(
                skt.fileno(), socket.AF_INET6, factory
            )
            return port
