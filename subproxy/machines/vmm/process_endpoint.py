"""A unix socket that counts only if it is the one of a certain process: C{SO_PEERCRED}, unix(7)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from zope.interface import implementer

from subproxy.machines.vmm.driver import VmmError

CREDENTIALS: Final = struct.Struct("3i")
"""C{struct ucred}: process, user, group."""


def listening_process(connected: socket.socket) -> int:
    """
    The process that listened, when it began to, at the socket that this one is connected to.

    0 if it is none that is seen from here.
    """
    said = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    pid: int = CREDENTIALS.unpack(said)[0]
    return pid


@implementer(IStreamClientEndpoint)
class ProcessEndpoint:
    """
    Connects to what a process of ours listens on.

    Its user may put a link there to the socket of another machine's VMM, or of any service of this
    host: what we say as root would be done there.

    @param path: the socket.
    @param pid: which process it has to be.
    @param timeout: seconds to connect.
    """

    def __init__(self, reactor: Any, path: Path, pid: Callable[[], int], timeout: float) -> None:
        self._endpoint = UNIXClientEndpoint(reactor, str(path), timeout=timeout)
        self._path = path
        self._pid = pid

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        As in C{IStreamClientEndpoint}; nothing is said to another process.

        Fails with L{VmmError}: that is who listens there.
        """
        connected: Deferred[IProtocol] = self._endpoint.connect(factory)
        return connected.addCallback(self._checked)

    def _checked(self, protocol: Any) -> IProtocol:
        found, wanted = listening_process(protocol.transport.getHandle()), self._pid()
        if found != wanted:
            protocol.transport.abortConnection()
            raise VmmError(f"{self._path} is the socket of process {found}, not of {wanted}")
        checked: IProtocol = protocol
        return checked
