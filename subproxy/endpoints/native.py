"""Native vsock: endpoints that listen on, and dial over, C{AF_VSOCK}."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, ECONNRESET, ENODEV, ETIMEDOUT
from typing import Any

from twisted.internet.base import BaseConnector
from twisted.internet.defer import Deferred, execute
from twisted.internet.error import (
    ConnectBindError,
    ConnectError,
    ConnectingCancelledError,
    ConnectionRefusedError,
    NoProtocol,
    TimeoutError,
    getConnectError,
)
from twisted.internet.interfaces import (
    IAddress,
    IConnector,
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import ClientFactory
from twisted.internet.tcp import BaseClient
from twisted.python.failure import Failure
from zope.interface import implementer

from subproxy.core.access.log_limit import LogLimit, not_logged

from . import vsocket
from .addresses import CID_ANY, LOCAL_CIDS, PORT_ANY, VsockAddress
from .errors import CannotListenAt
from .listening import ListeningSocketPort

__all__ = ["VsockClientEndpoint", "VsockPort", "VsockServerEndpoint"]

_WHY = {
    EACCES: "ports below 1024 need a privilege (CAP_NET_BIND_SERVICE)",
    EADDRINUSE: "another process listens there",
    EADDRNOTAVAIL: "this machine has no such CID",
    EAFNOSUPPORT: "this kernel has no vsock (module vhost_vsock on a host)",
    ENODEV: "this kernel has no vsock transport (module vhost_vsock on a host)",
}


@implementer(IStreamServerEndpoint)
class VsockServerEndpoint:
    """Listens on a vsock port, for every guest of this host.

    C{cid} is the local end, any unless told. C{bufferSize} in bytes is that of
    each connection (the kernel's default: 256 KiB). The CIDs 0, 1 and 2 are no
    guests but this machine: they are refused unless C{allowLocal}. C{inherited}
    gives the socket that another process listens on there and hands over.
    """

    def __init__(
        self,
        reactor: Any,
        port: int,
        cid: int = CID_ANY,
        backlog: int = 1024,
        bufferSize: int | None = None,
        allowLocal: bool = False,
    ) -> None:
        self._reactor = reactor
        self.address = VsockAddress(cid, port)
        self._backlog = backlog
        self._bufferSize = bufferSize
        self._allowLocal = allowLocal
        self.inherited: Callable[[], socket.socket | None] = lambda: None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address}>"

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen; fails with C{CannotListenAt}, whose text is one line."""
        return execute(self._listen, protocolFactory)

    def _listen(self, factory: IProtocolFactory) -> IListeningPort:
        cid, number = self.address.cid, self.address.port
        try:
            skt = self.inherited() or vsocket.listening(
                cid, number, self._backlog, self._bufferSize
            )
        except OSError as e:
            why = _WHY.get(e.errno or 0, (e.strerror or str(e)).lower())
            raise CannotListenAt(f"vsock port {number}", why) from e
        port = VsockPort(skt, factory, self._allowLocal, self._reactor)
        try:
            port.startListening()
        except BaseException:
            skt.close()
            raise
        return port


class VsockPort(ListeningSocketPort):
    """Takes connections of guests, and refuses those of this machine.

    An abort of one of them closes it: vsock knows no reset from here.
    """

    def __init__(
        self, skt: socket.socket, factory: IProtocolFactory, allowLocal: bool, reactor: Any
    ) -> None:
        address = VsockAddress(*skt.getsockname())
        super().__init__(skt, factory, address, self._admit, reactor)
        self._refused = frozenset() if allowLocal else LOCAL_CIDS
        self._refusals = LogLimit()

    def host_of(self, skt: socket.socket) -> IAddress:
        """Our end, with the CID that the guest dialled."""
        return VsockAddress(*skt.getsockname())

    def _admit(self, skt: socket.socket, raw: tuple[int, int]) -> IAddress | None:
        peer = VsockAddress(*raw)
        if peer.cid in self._refused:
            held = self._refusals.admit(self._seconds())
            if held is not None:
                self._log.warn(
                    "{host}: refused {peer}, which is no guest{more}",
                    host=self._host,
                    peer=peer,
                    more=not_logged(held),
                )
            return None
        return peer


@implementer(IStreamClientEndpoint)
class VsockClientEndpoint:
    """Dials C{port} of C{cid}: 2 is the host, 1 this machine itself.

    C{timeout} in seconds; the kernel gives up after 2 by itself.
    """

    def __init__(
        self,
        reactor: Any,
        cid: int,
        port: int,
        timeout: float = 30,
        bufferSize: int | None = None,
    ) -> None:
        self._reactor = reactor
        self.address = VsockAddress(cid, port)
        self._timeout = timeout
        self._bufferSize = bufferSize

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address}>"

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect; fails with a C{ConnectError} (refused, timed out, no such CID)."""
        factory = _DialFactory(protocolFactory)
        connector = VsockConnector(
            self.address, self._bufferSize, factory, self._timeout, self._reactor
        )

        def cancel(connecting: Deferred[IProtocol]) -> None:
            connecting.errback(ConnectingCancelledError(self.address))
            connector.stopConnecting()

        factory.connecting = Deferred(cancel)
        connector.connect()
        return factory.connecting


class _DialFactory(ClientFactory):
    """Joins a connector's callbacks to the one Deferred of one connection attempt."""

    noisy = False
    connecting: Deferred[IProtocol]

    def __init__(self, wrapped: IProtocolFactory) -> None:
        self._wrapped = wrapped
        self._built: IProtocol | None = None

    def doStart(self) -> None:
        self._wrapped.doStart()

    def doStop(self) -> None:
        self._wrapped.doStop()

    def buildProtocol(self, addr: Any) -> Any:
        """The caller's protocol itself, unwrapped."""
        self._built = self._wrapped.buildProtocol(addr)
        return self._built

    def connected(self) -> None:
        """Called by the transport when the protocol, if there is one, has its transport."""
        if self.connecting.called:
            return
        if self._built is None:
            self.connecting.errback(NoProtocol())
        else:
            self.connecting.callback(self._built)

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        if not self.connecting.called:
            self.connecting.errback(reason)


class VsockConnector(BaseConnector):
    """Starts a C{VsockClient}, with a time limit."""

    factory: _DialFactory  # type: ignore[assignment]

    def __init__(
        self,
        address: VsockAddress,
        bufferSize: int | None,
        factory: _DialFactory,
        timeout: float,
        reactor: Any,
    ) -> None:
        super().__init__(factory, timeout, reactor)
        self._address = address
        self._bufferSize = bufferSize

    def _makeTransport(self) -> VsockClient:  # type: ignore[override]
        return VsockClient(self._address, self._bufferSize, self, self.reactor)

    def getDestination(self) -> IAddress:
        """The address that is dialled."""
        return self._address


class VsockClient(BaseClient):
    """A native connection that we dialled."""

    addressFamily = vsocket.AF_VSOCK  # type: ignore[assignment]

    def __init__(
        self, peer: VsockAddress, bufferSize: int | None, connector: VsockConnector, reactor: Any
    ) -> None:
        self.connector = connector
        self.realAddress = self.addr = (peer.cid, peer.port)
        self._peer = peer
        self._host = VsockAddress(CID_ANY, PORT_ANY)
        try:
            skt = vsocket.opened(bufferSize)
        except OSError as e:
            self._finishInit(None, None, ConnectBindError(e.errno, e.strerror), reactor)  # type: ignore[no-untyped-call]
        else:
            self._finishInit(self.doConnect, skt, None, reactor)  # type: ignore[no-untyped-call]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} to {self._peer}>"

    def _connectDone(self) -> None:
        self.socket = vsocket.reclaim(self.socket)
        self.fileno = self.socket.fileno
        self._host = VsockAddress(*self.socket.getsockname())
        factory = self.connector.factory
        super()._connectDone()  # type: ignore[no-untyped-call]
        factory.connected()

    def failIfNotConnected(self, err: Any) -> None:
        """As the base does, with Twisted's own errors for what vsock calls otherwise."""
        if isinstance(err, ConnectError) and err.osError == ECONNRESET:
            err = ConnectionRefusedError(ECONNRESET, "nobody listens, or its backlog is full")
        elif isinstance(err, ConnectError) and err.osError == ETIMEDOUT:
            err = TimeoutError(ETIMEDOUT, "no answer")
        super().failIfNotConnected(err)  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure) -> None:
        """The end; of an attempt, with the error that the socket holds.

        A refused attempt raises no readiness for reading on AF_VSOCK, just a
        hang-up, which Twisted takes for the end of a connection.
        """
        if not self.connected and not self.disconnected and hasattr(self, "socket"):
            code = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                self.failIfNotConnected(getConnectError((code, os.strerror(code))))
                return
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def getPeer(self) -> IAddress:
        """The address that was dialled."""
        return self._peer

    def getHost(self) -> IAddress:
        """Our end of the connection; any CID, any port before there is one."""
        return self._host

    def getTcpNoDelay(self) -> bool:
        """False: vsock has no Nagle's algorithm to turn off."""
        return False

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing: the option does not exist here (errno 92)."""
