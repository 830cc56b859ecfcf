"""The reactor: Twisted's epoll reactor with its stream transports on a ring.

Everything that is not a TCP or UNIX stream (processes, inotify, UDP, wakers,
other people's descriptors) stays where it was, on an epoll descriptor that
the ring polls.
"""

# Twisted's transports are untyped, or typed too narrowly to be subclassed.
# mypy: disable-error-code="no-untyped-call,no-any-return"

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet import error, interfaces
from twisted.internet.base import _topHandler
from twisted.internet.epollreactor import EPollReactor
from twisted.logger import Logger
from zope.interface import implementer

from subproxy.reactor import generic, tcp, unix
from subproxy.reactor._poll import PollHandle
from subproxy.reactor._ring import Ring
from subproxy.reactor.interfaces import IReactorReadiness, IReactorStreamSocket
from subproxy.reactor.out_of_memory import shortage


@implementer(IReactorStreamSocket, IReactorReadiness)
class IOUringReactor(EPollReactor):
    """A reactor on io_uring; see docs/explanation/reactor.md.

    The keyword arguments are those of C{Ring}, the sizes of its queues and
    buffers. No ring is made before the reactor first runs, so that a program
    may daemonise, or hand the reactor to another thread, until then.
    """

    _log = Logger()

    def __init__(self, **sizes: int) -> None:
        super().__init__()
        self.ring = Ring(self._poller.fileno(), self._poll_epoll, **sizes)

    # -- the loop

    def _poll_epoll(self) -> None:
        """The epoll descriptor is readable."""
        EPollReactor.doPoll(self, 0)

    def doPoll(self, timeout: float | None) -> None:
        """One turn; see ReactorBase.doIteration."""
        self.ring.wait(timeout)

    doIteration = doPoll

    def mainLoop(self) -> None:
        """Run until stopped: ReactorBase's, asking for no more than it must."""
        ring = self.ring
        ring.begin()
        try:
            while self._started:
                with shortage, _topHandler, shortage:
                    while self._started:
                        ring.run(self)
                        self.runUntilCurrent()
                        ring.wait(self.running and self.timeout())
        finally:
            ring.end()
        self._log.info("Main loop terminated.")

    # -- IReactorFDSet

    def getReaders(self) -> list[Any]:
        """See IReactorFDSet."""
        found = [handle.reader() for handle in self.ring.handles()]
        return super().getReaders() + [reader for reader in found if reader is not None]

    def getWriters(self) -> list[Any]:
        """See IReactorFDSet."""
        found = [handle.writer() for handle in self.ring.handles()]
        return super().getWriters() + [writer for writer in found if writer is not None]

    def removeAll(self) -> list[Any]:
        """See IReactorFDSet."""
        removed = super().removeAll()
        for handle in self.ring.handles():
            reader, writer = handle.reader(), handle.writer()
            if reader is not None:
                reader.stopReading()
            if writer is not None:
                writer.stopWriting()
            if reader is not None or writer is not None:
                removed.append(reader or writer)
        return removed

    def disconnectAll(self) -> None:
        """See ReactorBase."""
        super().disconnectAll()
        if not self.ring.looping:
            self.ring.close()

    # -- IReactorReadiness

    def watchReadable(self, fd: int, ready: Callable[[], object], name: str) -> PollHandle:
        """See IReactorReadiness."""
        return PollHandle(self.ring, fd, ready, name)

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
            return unix.fromConnectedSocket(fileDescriptor, factory, self)
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
    ) -> generic.RingStreamServer:
        """See IReactorStreamSocket."""
        return generic.RingStreamServer(skt, protocol, peer, host, server, sessionno, self)


def install() -> IOUringReactor:
    """Make this the process's reactor."""
    from twisted.internet.main import installReactor

    reactor = IOUringReactor()
    installReactor(reactor)
    return reactor
