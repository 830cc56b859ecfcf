"""What the parts of TLS need of each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from subproxy.core.http.client_authorities import ClientAuthorities
from subproxy.core.http.client_tls import ClientTls
from subproxy.frontend.open_connections import OpenConnection, OpenConnections

if TYPE_CHECKING:
    from subproxy.frontend.tls.certificate import Certificate


class LibraryUnavailable(Exception):
    """A TLS library can't be used; the text says why."""


class ICertificates(Protocol):
    """Certificates in force."""

    def find(self, name: bytes | None, address: bytes = b"") -> Certificate | None:
        """
        The certificate for a client; None if there is none for it.

        @param name: what it asks for (SNI); None if it does not say.
        @param address: the IP address that it has dialled.
        """


class ITlsListener(Protocol):
    """
    What a connection over TLS asks of its listener.

    @ivar connections: those that are open.
    @ivar clock: what calls later.
    """

    connections: OpenConnections
    clock: Any

    def established(self, alpn: bytes | None, resumed: bool, tls: ClientTls | None) -> Any:
        """
        A handshake is done.

        @param tls: what is known of the connection.
        @return: the protocol that speaks what was agreed upon.
        """

    def failed(self, transport: Any, reason: str) -> None:
        """A handshake was not."""


class ITlsConnection(OpenConnection, Protocol):
    """
    A connection from its first byte that is for the TLS library, as a Twisted protocol.

    @ivar deadline: when its handshake has to be done (monotonic seconds).
    @ivar tls: told what was agreed upon, and then to what speaks HTTP.
    """

    deadline: float
    tls: ClientTls | None

    def tell(self, host: str | None, secure: bool) -> None:
        """Who the client is, by the word of a proxy: see C{Http1Protocol.tell}."""

    def makeConnection(self, transport: Any) -> None:
        """It begins."""

    def dataReceived(self, data: bytes) -> None:
        """Bytes came from the client."""


class ITlsEngine(Protocol):
    """
    A TLS library.

    @ivar name: what it is called in the log and the metrics.
    @ivar lacks: what it can't do that another one could, for the log.
    @ivar renew_contexts: seconds after which a context is made anew, since its ticket keys do
        not rotate by themselves; 0 if they do.
    """

    @property
    def name(self) -> str:
        """See above."""

    @property
    def lacks(self) -> tuple[str, ...]:
        """See above."""

    @property
    def renew_contexts(self) -> float:
        """See above."""

    def context(
        self,
        certificate: Certificate,
        protocols: tuple[bytes, ...],
        authorities: ClientAuthorities | None = None,
    ) -> Any:
        """
        What connections with that certificate have in common. No session of one with other
        C{authorities} is resumed with it.

        @param protocols: what is spoken over TLS, the best one first (ALPN).
        @param authorities: who has to vouch for clients; None: these are not asked.
        @raise CertificateError: the library does not take the certificate.
        """

    def share_tickets(self, keys: bytes) -> None:
        """
        Resume sessions by these keys, which other processes have, too, and by no others.

        @param keys: see L{TicketKeyRing.keys<subproxy.frontend.tls.ticket_key_ring.TicketKeyRing>}.
        """

    @property
    def connect(self) -> Callable[[Any, ITlsListener], ITlsConnection]:
        """What makes a connection of a context."""
