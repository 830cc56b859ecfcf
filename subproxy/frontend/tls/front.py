"""
What stands before TLS: a connection until its client has said for which host it comes.

Then the connection proper takes its place on the same transport, with the context of the
certificate that was chosen, and is given the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from subproxy.core.access.log_limit import LogLimit, not_logged
from subproxy.core.http.client_tls import ClientTls, HostRule
from subproxy.core.http.normalise import MAX_HOST, host_fault, normalise_host
from subproxy.core.printable import printable
from subproxy.frontend.close_manner import MANNERS, CloseManner
from subproxy.frontend.deadlines import NEVER
from subproxy.frontend.factory import Http1Factory
from subproxy.frontend.tls.certificate import CertificateError
from subproxy.frontend.tls.client_hello import ClientHello, NotTls
from subproxy.frontend.tls.context_cache import ContextCache
from subproxy.frontend.tls.interfaces import ICertificates
from subproxy.frontend.tls.offered_version import offered_version
from subproxy.frontend.tls.passthrough import PassthroughConnection
from subproxy.telemetry.close_reason import CloseReason

try:
    from subproxy.frontend.tls._client_hello import read_client_hello
except ImportError:
    from subproxy.frontend.tls.client_hello import read_client_hello

UNRECOGNIZED_NAME: Final = b"\x15\x03\x03\x00\x02\x02\x70"
"""The alert for a name that nobody has a certificate for (RFC 6066 section 3)."""

INTERNAL_ERROR: Final = b"\x15\x03\x03\x00\x02\x02\x50"

_TEXT: Final = b"This port speaks HTTPS: ask for https:// here.\n"

PLAIN_HTTP: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(_TEXT), _TEXT)
)
"""The answer to who speaks HTTP without TLS."""

HTTP_1_1: Final = b"http/1.1"

_MOST_NAME: Final = MAX_HOST + len(":65535")


class TlsFront(Protocol):
    """
    One connection until its ClientHello is whole.

    @ivar deadline: when its handshake has to be done (monotonic seconds).
    @ivar busy: no request is under way.
    @ivar close_reason: why it closed, or closes: the first reason; None before.
    """

    factory: TlsFactory
    transport: Any
    busy = False

    def __init__(self, factory: TlsFactory) -> None:
        self.factory = factory
        self.deadline = NEVER
        self.close_reason: CloseReason | None = None
        self._held = b""
        self._told: tuple[str | None, bool] | None = None

    def tell(self, host: str | None, secure: bool) -> None:
        """Who the client is, by the word of a proxy: see C{Http1Protocol.tell}."""
        self._told = (host, secure)

    def connectionMade(self) -> None:
        """A client connected."""
        factory = self.factory
        if not factory.connections.opened(self):
            self.close(CloseReason.TOO_MANY)
            return
        if ITCPTransport.providedBy(self.transport):
            # The last message of a handshake and the first answer go one after the other.
            self.transport.setTcpNoDelay(True)
        self.deadline = factory.handshake_deadline()

    def dataReceived(self, data: bytes) -> None:
        """Some of the ClientHello, and perhaps more."""
        if self.close_reason is not None:
            return
        held = self._held = self._held + data if self._held else data
        try:
            hello = read_client_hello(held)
        except NotTls as error:
            if error.http:
                self.transport.write(PLAIN_HTTP)
            self._refuse(str(error))
            return
        if hello is not None:
            self._held = b""
            self._give_way(hello, held)

    def _give_way(self, hello: ClientHello, held: bytes) -> None:
        """TLS begins."""
        factory, transport = self.factory, self.transport
        if hello.name is not None and factory.passes(hello.name):
            self._pass_through(hello.name, held)
            return
        address = b""
        if hello.name is None:
            # Asked for only here: the system has to be.
            address = getattr(transport.getHost(), "host", "").encode("ascii", "replace")
        certificate = factory.certificates.find(hello.name, address)
        if certificate is None:
            transport.write(UNRECOGNIZED_NAME)
            if hello.name is None:
                self._refuse("it names no host, and no certificate is the default")
            else:
                self._refuse(f"there is no certificate for {printable(hello.name)}")
            return
        rule = factory.rule
        # Who names no host may mean the address; for any other one the rule is looked at again.
        authorities = None if rule is None else rule(hello.name or _host_of(address))
        try:
            connection = factory.contexts.connection(certificate, factory, authorities)
        except CertificateError as error:
            transport.write(INTERNAL_ERROR)
            self._refuse(str(error))
            return
        connection.tls = ClientTls(
            certificate.names, hello.name, authorities, rule, factory.passthrough
        )
        if self._told is not None:
            connection.tell(*self._told)
        connection.deadline = self.deadline
        factory.connections.replaced(self, connection)
        transport.protocol = connection
        connection.makeConnection(transport)
        connection.dataReceived(held)

    def _pass_through(self, name: bytes, held: bytes) -> None:
        """A guest has the keys of C{name}: it gets all that the client says."""
        factory, transport = self.factory, self.transport
        connection = PassthroughConnection(factory.http.context, name, offered_version(held))
        if self._told is not None:
            connection.tell(*self._told)
        factory.passed()
        factory.connections.left(self)
        transport.protocol = connection
        connection.makeConnection(transport)  # type: ignore[no-untyped-call]
        connection.dataReceived(held)

    def deadline_passed(self, now: float) -> None:
        """The ClientHello came too slowly."""
        if self.close_reason is None:
            self._refuse("its handshake came too slowly")
        else:
            self.abort()

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
        self._held = b""
        if MANNERS[reason] is CloseManner.RESET:
            self.deadline = NEVER
            self.transport.abortConnection()
        else:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The client is gone, or was sent away. A probe that says nothing is not worth a line."""
        if self._held:
            self.factory.failed(self.transport, "the client left in its handshake")
        if self.close_reason is None:
            self.close_reason = CloseReason.CLIENT_CLOSED
        self.deadline = NEVER
        self._held = b""
        self.factory.connections.closed(self)

    def _refuse(self, reason: str) -> None:
        self.factory.failed(self.transport, reason)
        self.close(CloseReason.TLS_HANDSHAKE)


def _host_of(address: bytes) -> bytes:
    """An IP address as a host is spelt."""
    return b"[%b]" % address if b":" in address else address


@lru_cache(1024)
def _spelt(name: bytes) -> bytes | None:
    """C{name} as routing spells it; None: it is no host."""
    return None if host_fault(name) is not None else normalise_host(name)


class TlsFactory(Factory):
    """
    Stands before an L{Http1Factory} on listeners for TLS.

    @param http: the frontend.
    @param certificates: what is shown.
    @param contexts: what is made of them.
    @param protocols: what makes the protocols that are spoken over TLS, the best one first (ALPN).
    @param where: the endpoint as the operator wrote it, for the log.
    @param counts: of handshakes, by how they ended; several listeners may share it.
    @param rule: what hosts ask of the certificates of clients; None: no host asks.
    @param clients: counts those that were asked and let in, by what they have shown.
    @param passthrough: finds who gets the TLS of a host, spelt for routing, as it is.
    """

    noisy = False
    _log = Logger()

    def __init__(
        self,
        http: Http1Factory,
        certificates: ICertificates,
        contexts: ContextCache,
        protocols: Mapping[bytes, IProtocolFactory],
        where: str,
        counts: Counter[str],
        rule: HostRule | None = None,
        clients: Counter[str] | None = None,
        passthrough: Callable[[bytes], object] | None = None,
    ) -> None:
        self.http = http
        self.certificates = certificates
        self.contexts = contexts
        self.connections = http.connections
        self.clock: Any = http.context.clock
        self.rule = rule
        self.passthrough = passthrough
        self._protocols = protocols
        self._counts = counts
        self._clients: Counter[str] = Counter() if clients is None else clients
        self._where = where
        self._limit = LogLimit()

    def startFactory(self) -> None:
        """The frontend is listened for."""
        self.http.doStart()  # type: ignore[no-untyped-call]

    def stopFactory(self) -> None:
        """It is no more."""
        self.http.doStop()  # type: ignore[no-untyped-call]

    def buildProtocol(self, addr: IAddress | None) -> TlsFront:  # type: ignore[override]
        """The protocol for a new connection."""
        return TlsFront(self)

    def handshake_deadline(self) -> float:
        """When a handshake that begins now has to be done: as late as the head of a request."""
        context = self.http.context
        return context.monotonic() + context.limits.header_timeout

    def passes(self, name: bytes) -> bool:
        """Whether the TLS of C{name}, as a client has spelt it, is a guest's."""
        if self.passthrough is None or len(name) > _MOST_NAME:
            return False
        host = _spelt(name)
        return host is not None and self.passthrough(host) is not None

    def passed(self) -> None:
        """Count a handshake that is a guest's."""
        self._counts["passthrough"] += 1

    def established(
        self, alpn: bytes | None, resumed: bool, tls: ClientTls | None = None
    ) -> IProtocol | None:
        """See L{ITlsListener<subproxy.frontend.tls.interfaces.ITlsListener>}."""
        self._counts["resumed" if resumed else "full"] += 1
        if tls is not None and tls.authorities is not None:
            self._clients["verified" if tls.certificate is not None else "none"] += 1
        return self._protocols[alpn or HTTP_1_1].buildProtocol(None)  # type: ignore[arg-type]

    def failed(self, transport: Any, reason: str) -> None:
        """See L{ITlsListener<subproxy.frontend.tls.interfaces.ITlsListener>}."""
        self._counts["failed"] += 1
        held = self._limit.admit(self.http.context.monotonic())
        if held is not None:
            self._log.info(
                "HTTPS on {where}: no TLS with {peer}: {reason}{more}",
                where=self._where,
                peer=printable(str(getattr(transport.getPeer(), "host", "unix"))),
                reason=reason,
                more=not_logged(held),
            )
