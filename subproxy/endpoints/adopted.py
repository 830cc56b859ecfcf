"""Listening sockets of guests that a service manager made: systemd's socket activation."""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.defer import Deferred, execute
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from zope.interface import implementer

from .addresses import HybridVsockAddress
from .errors import CannotListenAt
from .hybrid import HybridVsockPort
from .native import VsockPort
from .passed_sockets import passed_sockets
from .socketfile import SocketFile
from .vsocket import AF_VSOCK, reclaim

__all__ = ["AdoptedVsockEndpoint", "check_systemd", "socket_of_systemd"]


def socket_of_systemd(where: str) -> socket.socket:
    """The socket that C{systemd:index=N} or C{systemd:name=NAME} means.

    C{domain=} may be there, as Twisted wants it for HTTP, and is not looked at.
    Raises C{ValueError} with one line.
    """
    return socket.socket(fileno=os.dup(_descriptor(where)))


def check_systemd(where: str) -> None:
    """Raises C{ValueError} if C{where} begins with C{systemd:} and names a socket not passed.

    The line says which were, where Twisted's own parser says C{KeyError: 'web'}.
    """
    if where.startswith("systemd:"):
        _descriptor(where)


def _descriptor(where: str) -> int:
    words = dict(word.partition("=")[::2] for word in where.split(":")[1:])
    fds = passed_sockets()
    numbers, names = fds.inheritedDescriptors(), fds.inheritedNamedDescriptors()
    try:
        if "name" in words:
            return names[words["name"]]
        return numbers[int(words["index"])]
    except (KeyError, IndexError, ValueError):
        pass
    if not numbers:
        raise ValueError(
            "systemd has passed no sockets: is this process started by a .service that has a "
            ".socket?"
        )
    called = ", ".join(f"name={name}" for name in names) or "none has a name"
    raise ValueError(
        f"systemd has passed no such socket; it has passed index=0 to {len(numbers) - 1} ({called})"
        if len(numbers) > 1
        else f"systemd has passed no such socket; it has passed index=0 ({called})"
    )


@implementer(IStreamServerEndpoint)
class AdoptedVsockEndpoint:
    """Listens on a socket that listens already: C{AF_VSOCK}, or the unix one of a VM.

    A unix socket's name is that of a VM's socket, C{_} and the port, and it stays when
    the proxy ends: who made it unlinks it.
    """

    def __init__(self, reactor: Any, skt: socket.socket, where: str) -> None:
        self._reactor = reactor
        self._socket = skt
        self._where = where

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen; fails with C{CannotListenAt}."""
        return execute(self._listen, protocolFactory)

    def _listen(self, factory: IProtocolFactory) -> IListeningPort:
        skt = self._socket
        port: VsockPort | HybridVsockPort
        if skt.family == AF_VSOCK:
            port = VsockPort(reclaim(skt), factory, False, self._reactor)
        elif skt.family == socket.AF_UNIX:
            name = os.fsdecode(skt.getsockname())
            path, separator, number = name.rpartition("_")
            if not separator or not number.isdecimal():
                raise CannotListenAt(name, "the name of a VM's socket, _ and a port is needed")
            found = os.lstat(name)
            made = SocketFile(name, skt, found.st_dev, found.st_ino)
            address = HybridVsockAddress(path, int(number))
            port = HybridVsockPort(made, address, factory, None, self._reactor)
            port.abandon()
        else:
            raise CannotListenAt(self._where, "neither a vsock nor a unix socket")
        port.startListening()
        return port
