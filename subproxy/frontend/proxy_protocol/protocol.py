"""
What stands before HTTP where a proxy tells who its client is: the PROXY protocol.

A connection is a L{ProxyProtocolFront} until its header is whole. Then the protocol that the HTTP
frontend would have made takes its place on the same transport, and is told who the client is:
nothing stands between the two any more, so that the compiled path, and sockets that are lent, are
as without.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IListeningPort
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from subproxy.core.access.log_limit import LogLimit, not_logged
from subproxy.core.http.forwarded import Trust
from subproxy.core.http.origin import UNIX
from subproxy.endpoints.server_endpoint import server_endpoint
from subproxy.frontend.close_manner import MANNERS, CloseManner
from subproxy.frontend.deadlines import NEVER
from subproxy.frontend.factory import Http1Factory
from subproxy.frontend.proxy_protocol.header import ProxyHeader, ProxyHeaderError, ProxyHeaderParser
from subproxy.telemetry.close_reason import CloseReason

PREFIX = "haproxy:"
"""What an endpoint begins with, as Twisted's own has it."""

DEFAULT_PEERS = ("127.0.0.0/8", "::1", "unix")


def is_proxied(where: str) -> bool:
    """Whether connections of the endpoint C{where} begin with a PROXY header."""
    return where.startswith(PREFIX)


@implementer(IHalfCloseableProtocol)
class ProxyProtocolFront(Protocol):
    """
    One connection of a proxy, until its header is whole.

    The HTTP frontend counts it among its connections, and its sweeper keeps its deadline.

    @ivar deadline: when the header has to be whole (monotonic seconds).
    @ivar busy: no request is under way.
    @ivar close_reason: why it closed, or closes: the first reason; None before.
    """

    factory: ProxyProtocolFactory
    transport: Any
    busy = False

    def __init__(self, factory: ProxyProtocolFactory, address: IAddress | None) -> None:
        self.factory = factory
        self.deadline = NEVER
        self.close_reason: CloseReason | None = None
        self._address = address
        self._parser: ProxyHeaderParser | None = ProxyHeaderParser()

    def connectionMade(self) -> None:
        """A proxy connected."""
        http = self.factory.http
        if not http.connections.opened(self):
            self.close(CloseReason.TOO_MANY)
            return
        self.deadline = http.context.monotonic() + http.context.limits.header_timeout

    def dataReceived(self, data: bytes) -> None:
        """Bytes of the header, and perhaps more."""
        parser = self._parser
        if parser is None:
            return
        try:
            header = parser.feed(data)
        except ProxyHeaderError as error:
            self._refuse(str(error))
            return
        if header is not None:
            self._parser = None
            self._give_way(header, parser.rest)

    def _give_way(self, header: ProxyHeader, rest: bytes) -> None:
        """HTTP begins."""
        transport = self.transport
        self.factory.http.connections.left(self)
        self.deadline = NEVER
        protocol = self.factory.build(self._address, header, transport.getPeer())
        transport.protocol = protocol
        protocol.makeConnection(transport)
        if rest:
            protocol.dataReceived(rest)

    def deadline_passed(self, now: float) -> None:
        """The header came too slowly."""
        self._refuse("the PROXY header came too slowly")

    def close_if_idle(self) -> None:
        """Nobody has asked anything."""
        self.close(CloseReason.DRAINING)

    def abort(self) -> None:
        """Close at once, with a reset."""
        self.close(CloseReason.SHUTDOWN)

    def close(self, reason: CloseReason) -> None:
        """Close, in the manner that L{MANNERS} has for C{reason}; read nothing more."""
        if self.close_reason is None:
            self.close_reason = reason
        self._parser = None
        self.deadline = NEVER
        if MANNERS[reason] is CloseManner.RESET:
            self.transport.abortConnection()
        else:
            self.transport.loseConnection()

    def readConnectionLost(self) -> None:
        """Who sends no more gets no answer: it has not asked."""
        self._complain_if_begun()
        self.close(CloseReason.CLIENT_DONE)

    def writeConnectionLost(self) -> None:
        """Nothing is written here."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The proxy is gone, or was sent away."""
        self._complain_if_begun()
        if self.close_reason is None:
            self.close_reason = CloseReason.CLIENT_CLOSED
        self._parser = None
        self.deadline = NEVER
        self.factory.http.connections.closed(self)

    def _complain_if_begun(self) -> None:
        """Tell of a client that leaves; a probe that says nothing is not worth a line."""
        if self._parser is not None and self._parser.began:
            self.factory.complain(self._address, "it left in the middle of its PROXY header")

    def _refuse(self, reason: str) -> None:
        self.factory.complain(self._address, reason)
        self.close(CloseReason.PROXY_HEADER)


class ProxyProtocolFactory(Factory):
    """
    Stands before an L{Http1Factory} on listeners where each connection begins with a PROXY header.

    @param http: the frontend.
    @param peers: who may connect; others could claim to be anybody.
    @param where: the endpoint as the operator wrote it, for the log.
    @param behind: what makes the protocol behind a header: C{http}, or what does TLS before that.
    """

    noisy = False
    _log = Logger()

    def __init__(
        self, http: Http1Factory, peers: Trust, where: str, behind: Factory | None = None
    ) -> None:
        self.http = http
        self.behind: Any = behind or http
        self.peers = peers
        self._where = where
        self._limit = LogLimit()

    def startFactory(self) -> None:
        """The frontend is listened for."""
        self.http.doStart()  # type: ignore[no-untyped-call]

    def stopFactory(self) -> None:
        """It is no more."""
        self.http.doStop()  # type: ignore[no-untyped-call]

    def begin_tls(self, contextFactory: Any) -> None:
        """Let TLS begin behind the header."""
        from twisted.protocols.tls import TLSMemoryBIOFactory

        self.behind = TLSMemoryBIOFactory(contextFactory, False, self.http)

    def buildProtocol(  # type: ignore[override]
        self, addr: IAddress | None
    ) -> ProxyProtocolFront | None:
        """The protocol for a new connection; None for a peer that is not listed."""
        # An address of some other kind proves nothing.
        known = isinstance(addr, UNIXAddress) or hasattr(addr, "host")
        if known and self.peers.trusts(_host(addr)):
            return ProxyProtocolFront(self, addr)
        self.complain(addr, "it is not among those that may speak PROXY (see --proxy-protocol)")
        return None

    def build(self, addr: IAddress | None, header: ProxyHeader, peer: IAddress) -> Any:
        """The protocol behind C{header}, which knows what that tells."""
        protocol = self.behind.buildProtocol(addr)
        told = _host(peer) if header.address is None else header.address
        secure = header.tls or self.behind is not self.http
        getattr(protocol, "wrappedProtocol", protocol).tell(
            None if told == UNIX else told.decode("ascii"), secure
        )
        return protocol

    def complain(self, addr: IAddress | None, reason: str) -> None:
        """Log that a connection is refused, ten times a second at most."""
        held = self._limit.admit(self.http.context.monotonic())
        if held is not None:
            self._log.warn(
                "HTTP on {where}: refused a connection of {peer}: {reason}{more}",
                where=self._where,
                peer=_host(addr).decode("ascii", "replace"),
                reason=reason,
                more=not_logged(held),
            )


class HeaderFirstReactor:
    """A reactor for an endpoint behind L{PREFIX}: a PROXY header comes before TLS, not within."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenSSL(
        self, port: int, factory: Any, contextFactory: Any, *more: Any, **options: Any
    ) -> IListeningPort:
        """As IReactorSSL has it, for a L{ProxyProtocolFactory}."""
        factory.begin_tls(contextFactory)
        listening: IListeningPort = self._reactor.listenTCP(port, factory, *more, **options)
        return listening


def proxied_endpoint(reactor: Any, where: str) -> Any:
    """
    The endpoint of C{where}, which L{is_proxied}, for a L{ProxyProtocolFactory}.

    @raise ValueError: there is no such endpoint.
    """
    inner = where.removeprefix(PREFIX)
    if is_proxied(inner):
        raise ValueError("one PROXY header is all that a connection begins with")
    return server_endpoint(HeaderFirstReactor(reactor), inner)


def _host(address: IAddress | None) -> bytes:
    host = getattr(address, "host", None)
    return UNIX if host is None else str(host).encode("ascii", "replace")
