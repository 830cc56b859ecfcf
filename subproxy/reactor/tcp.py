"""Compiled TCP: Twisted's transports with the stream half replaced.

What other stream sockets are built from is here too: C{ServerTransport} and
C{CompiledPort} know nothing of address families. See L{subproxy.reactor.unix}
and L{subproxy.reactor.generic}.
"""

# Twisted's transports are untyped, or typed too narrowly to be subclassed.
# mypy: disable-error-code="no-untyped-call,override,assignment,union-attr,attr-defined"

from __future__ import annotations

import os
import socket
from errno import ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM
from functools import cached_property
from typing import Any

from twisted.internet import address, interfaces, tcp
from twisted.internet.defer import Deferred
from twisted.internet.epollreactor import EPollReactor
from twisted.logger import Logger
from twisted.python import log

from subproxy.reactor._accept import AcceptedStream, Acceptor, host_address
from subproxy.reactor._relay import relay
from subproxy.reactor._stream import Stream
from subproxy.reactor.engine_reactor import EngineReactor

# Seconds that a port which ran out of descriptors accepts by readiness, where
# Twisted's recovery works, before it is compiled again.
EXHAUSTED_PAUSE = 1.0

_EXHAUSTED = (EMFILE, ENFILE, ENOBUFS, ENOMEM)


class RelayingStream(Stream):
    """A stream whose bytes can go to another one, unseen by Python."""

    def relay_to(self, target: Stream, length: int | None = None) -> Deferred[int]:
        """Move what arrives here to another stream of this reactor, unseen.

        It goes through a buffer of 256 KiB, held only while there are bytes in
        it, and never becomes Python objects; this stream is read no faster
        than the other takes. Until it is over nothing is to be written to
        C{target}, and nothing is delivered here.

        Returns a Deferred of the number of bytes moved: C{length}, after
        which this stream is paused, or fewer when it ended before; the end is
        then told to the protocol as ever. It fails when either connection is
        lost, and can be cancelled, after which this stream is paused.

        @raise ValueError: one of the two is not a plain stream of the engine:
            TLS, descriptor passing, another reactor's, or not connected.
        """
        return relay(self, target, -1 if length is None else length)


class TCPOptions(RelayingStream):
    """The options of ITCPTransport, by descriptor: no socket object is made."""

    def getTcpNoDelay(self) -> bool:
        """See ITCPTransport."""
        return bool(self._get_option(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    def setTcpNoDelay(self, enabled: bool) -> None:
        """See ITCPTransport."""
        try:
            self._set_option(socket.IPPROTO_TCP, socket.TCP_NODELAY, bool(enabled))
        except OSError as e:
            log.err(e, "got error when setting TCP_NODELAY on TCP socket")

    def getTcpKeepAlive(self) -> bool:
        """See ITCPTransport."""
        return bool(self._get_option(socket.SOL_SOCKET, socket.SO_KEEPALIVE))

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """See ITCPTransport."""
        self._set_option(socket.SOL_SOCKET, socket.SO_KEEPALIVE, bool(enabled))


class NoTCPOptions(TCPOptions):
    """For families that have no Nagle's algorithm: as twisted.internet.unix does."""

    def getTcpNoDelay(self) -> bool:
        """Return False: there is no such option here."""
        return False

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Do nothing: there is no such option here."""


class Connection(TCPOptions, tcp.Connection):
    """A connection that C{go_native} moves to the engine once it is connected."""


class BaseClient(Connection, tcp.BaseClient):
    """A connection that we make. Until it is connected it is on epoll."""

    _commonConnection = Connection

    connectionLost = tcp.BaseClient.connectionLost

    def _stopReadingAndWriting(self) -> None:
        if self.reactor is not None:  # there was no error before it was set
            super()._stopReadingAndWriting()

    def _collectSocketDetails(self) -> None:
        del self.socket
        self.__dict__.pop("fileno", None)


class Client(BaseClient, tcp.Client):
    """A TCP connection that we make."""

    def _connectDone(self) -> None:
        self.go_native()
        super()._connectDone()


class ServerTransport(AcceptedStream):
    """A connection that somebody made to us, of any family.

    What Twisted's own class computes for every connection is computed here
    when it is asked for.
    """

    @cached_property
    def client(self) -> tuple[Any, ...]:
        """The peer's name, as C{accept} gives it."""
        return (self.peer.host, self.peer.port)

    @cached_property
    def hostname(self) -> Any:
        """The first part of the peer's name."""
        return self.client[0]

    def _protocol_name(self) -> str:
        name: str = (self.former or type(self.protocol)).__name__
        return name

    @cached_property
    def logstr(self) -> str:
        """The prefix of what is logged on behalf of this connection."""
        prefix = self._protocol_name() if self.former else self._getLogPrefix(self.protocol)
        return f"{prefix},{self.sessionno},{self.hostname}"

    @cached_property
    def repstr(self) -> str:
        """What C{repr} gives."""
        port = getattr(self.server, "_realPortNumber", None)
        return f"<{self._protocol_name()} #{self.sessionno} on {port}>"


class Server(ServerTransport, TCPOptions, tcp.Server):
    """A TCP connection that somebody made to us."""

    def __init__(
        self,
        sock: socket.socket,
        protocol: interfaces.IProtocol,
        client: tuple[Any, ...],
        server: Any,
        sessionno: int,
        reactor: EngineReactor,
    ) -> None:
        sock.setblocking(False)
        self._addressType = address.IPv4Address if len(client) == 2 else address.IPv6Address
        self.client = client
        self.adopt(reactor, sock, protocol, None, server, sessionno)

    def getPeer(self) -> Any:
        """See ITCPTransport."""
        if self.peer is None:
            self.peer = self._addressType("TCP", *self.client)
        return self.peer

    def getHost(self) -> Any:
        """See ITCPTransport."""
        if self.host is None:
            found = host_address(self.fd) if self.fd >= 0 else None
            if found is None:
                found = self._addressType("TCP", *tcp._getsockname(self.socket))
            self.host = found
        return self.host


class Connector(tcp.Connector):
    """See IConnector."""

    def _makeTransport(self) -> Client:
        return Client(self.host, self.port, self.bindAddress, self, self.reactor)


class CompiledPort(tcp.Port):
    """A listening stream socket that is accepted from by the engine, of any family."""

    reactor: EngineReactor
    _logger = Logger()
    _acceptor: Acceptor | None = None
    _exhausted: Any = None

    def _compiled_transport(self) -> type[AcceptedStream] | None:
        """The class that the compiled way may make, or None."""
        return None

    def startReading(self) -> None:
        """Accept connections."""
        if self._acceptor is None:
            self._acceptor = Acceptor(
                self.reactor.engine, self, self.socket.fileno(), self._compiled_transport()
            )
        if self._exhausted is None:
            self._acceptor.start()

    def stopReading(self) -> None:
        """Accept no more for now."""
        if self._acceptor is not None:
            self._acceptor.stop()
        if self._exhausted is not None:
            self._exhausted.cancel()
            self._recovered()

    def retire(self) -> None:
        """Accept no more, without losing what the kernel has accepted for us already."""
        if self._acceptor is not None:
            self._acceptor.retire()
        if self._exhausted is not None:
            self._exhausted.cancel()
            self._recovered()

    def look(self) -> None:
        """
        Take one who waits though nobody was told; to be called now and then.

        Of those that accept from one socket the kernel wakes one for a connection. If that one
        takes its request back just then, since its process hands over, the connection stays in the
        queue, and the others are not woken until the next one comes.
        """
        acceptor = self._acceptor
        if acceptor is None or acceptor.reader() is None or self._exhausted is not None:
            return
        try:
            found, _ = self.socket.accept()
        except OSError:
            return  # nobody waits, or the kernel says what is wrong to who accepts
        self.descriptor_accepted(found.detach())

    def _closeSocket(self, orderly: bool) -> None:
        if self._acceptor is None:
            super()._closeSocket(orderly)
            return
        if self._shouldShutdown:
            try:
                self.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.socket.detach()
        self._acceptor.close()
        self._acceptor = None

    def descriptor_accepted(self, fd: int) -> None:
        """One connection, from its descriptor to its protocol; see Port.doRead."""
        skt = socket.socket(self.addressFamily, self.socketType, 0, fd)
        try:
            name = skt.getpeername()
        except OSError:
            skt.close()  # reset in the meantime
            return
        try:
            if len(name) == 4 and self.addressFamily == socket.AF_INET6:
                name = tcp._getrealname(name)
            peer = self._buildAddr(name)
            protocol = None if peer is None else self.factory.buildProtocol(peer)
        except BaseException:
            skt.close()
            raise
        if protocol is None:
            skt.close()
            return
        number = self.sessionno
        self.sessionno = number + 1
        transport = self._makeTransport(skt, protocol, name, peer, number)
        protocol.makeConnection(transport)

    def _makeTransport(
        self, skt: socket.socket, protocol: Any, name: Any, peer: Any, number: int
    ) -> Any:
        return self.transport(skt, protocol, name, self, number, self.reactor)

    def accept_failed(self, code: int) -> None:
        """An error of C{accept}.

        Without a free descriptor the kernel refuses at once, whether or not
        somebody is waiting: accepting again would spin. So for a while it is
        done by readiness, with the descriptor that Twisted keeps in reserve.
        """
        if code in _EXHAUSTED:
            if self._exhausted is None and self._acceptor is not None:
                self._acceptor.stop()
                self._exhausted = self.reactor.callLater(EXHAUSTED_PAUSE, self._resume)
                EPollReactor.addReader(self.reactor, self)
        elif code != ECONNABORTED:
            self._logger.info(
                "Could not accept new connection ({acceptError})", acceptError=os.strerror(code)
            )

    def _recovered(self) -> None:
        self._exhausted = None
        EPollReactor.removeReader(self.reactor, self)

    def _resume(self) -> None:
        self._recovered()
        self.startReading()


class Port(CompiledPort):
    """A listening TCP socket."""

    transport = Server

    def _compiled_transport(self) -> type[AcceptedStream] | None:
        # Only where nobody has put something of their own in the way.
        if (
            self.addressFamily == socket.AF_INET
            and type(self)._buildAddr is tcp.Port._buildAddr
            and isinstance(self.transport, type)
            and issubclass(self.transport, Server)
            and self.transport.__init__ is Server.__init__
            and type(self).descriptor_accepted is CompiledPort.descriptor_accepted
            and type(self).doRead is tcp.Port.doRead
        ):
            return self.transport
        return None
