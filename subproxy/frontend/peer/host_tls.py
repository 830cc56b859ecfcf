"""
Mutual TLS between hosts: what an engine of it does, and how Twisted does it, by pyOpenSSL.

Both ends show a certificate, and verify that of the other by the authority of hosts. Only TLS 1.3
is spoken, and no session is resumed. Compiled a second time:
L{subproxy.frontend.peer._host_context} and L{subproxy.frontend.peer._host_transport} (see
L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from cryptography import x509
from OpenSSL.crypto import X509
from OpenSSL.SSL import Connection, Context
from twisted.internet.interfaces import (
    IAddress,
    IOpenSSLClientConnectionCreator,
    IOpenSSLContextFactory,
)
from twisted.internet.protocol import Factory
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    TLSVersion,
    trustRootFromCertificates,
)
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from zope.interface import implementer


@dataclass(frozen=True)
class HostIdentity:
    """
    What a host shows, and whom it believes.

    @ivar chain: its certificate, and those that vouch for it.
    @ivar key: its private key, as C{cryptography} has one.
    @ivar roots: who signs the certificates of hosts.
    """

    chain: list[x509.Certificate]
    key: Any = field(repr=False)
    roots: list[x509.Certificate]


class HostTlsEngine(Protocol):
    """
    What does TLS between hosts.

    @ivar name: for people.
    """

    @property
    def name(self) -> str:
        """See above."""

    def context(self, identity: HostIdentity) -> Any:
        """
        What connections of a host have in common.

        @raise ValueError: the library does not take it; C{OpenSSL.SSL.Error} likewise.
        """

    def factory(
        self, context: Callable[[], Any], inner: Factory, clock: Any, called: bytes | None
    ) -> Any:
        """
        The factory of what stands before C{inner}, whose protocols hear of the handshake (see
        C{IHandshakeListener}).

        @param context: gives that for the next connection.
        @param called: it dials, and says so whom (SNI); empty: nothing. None: it is dialled.
        """


class TwistedHostTls:
    """Twisted's, see L{HostTlsEngine}: the reference, and there wherever the extra C{tls} is."""

    name = "Twisted's TLS"

    def context(self, identity: HostIdentity) -> Context:
        """See L{HostTlsEngine}."""
        # pyOpenSSL wants no objects of its own any more; Twisted's types say otherwise.
        chain: list[Any] = [*identity.chain]
        roots = [Certificate(X509.from_cryptography(each)) for each in identity.roots]
        options = CertificateOptions(
            privateKey=identity.key,
            certificate=chain[0],
            extraCertChain=chain[1:],
            trustRoot=trustRootFromCertificates(roots),
            raiseMinimumTo=TLSVersion.TLSv1_3,
        )
        context = options.getContext()
        context.check_privatekey()
        return context

    def factory(
        self, context: Callable[[], Context], inner: Factory, clock: Any, called: bytes | None
    ) -> Any:
        """See L{HostTlsEngine}."""
        if called is None:
            return _HostTransportFactory(_Contexts(context), False, inner, clock)
        return _HostTransportFactory(_NamedServer(context, called), True, inner, clock)


class _HostTransport(BufferingTLSTransport):
    """A connection that closes as one of TCP does, though there is a producer."""

    def loseConnection(self) -> None:
        """Close it, when all that was written has left."""
        self.unregisterProducer()  # type: ignore[no-untyped-call]
        super().loseConnection()


class _HostTransportFactory(TLSMemoryBIOFactory):
    protocol = _HostTransport

    def buildProtocol(  # type: ignore[override]
        self, addr: IAddress | None
    ) -> _HostTransport | None:
        """None where there is none behind it: Twisted would wrap that, and never close it."""
        inner = self.wrappedFactory.buildProtocol(addr)
        return None if inner is None else self.protocol(self, inner)


@implementer(IOpenSSLContextFactory)
class _Contexts:
    """Gives a listener the context of the moment."""

    def __init__(self, context: Callable[[], Context]) -> None:
        self._context = context

    def getContext(self) -> Context:
        """See C{IOpenSSLContextFactory}."""
        return self._context()


@implementer(IOpenSSLClientConnectionCreator)
class _NamedServer:
    """Lets a client say what it has dialled."""

    def __init__(self, context: Callable[[], Context], called: bytes) -> None:
        self._context = context
        self._called = called

    def clientConnectionForTLS(self, protocol: object) -> Connection:
        """See C{IOpenSSLClientConnectionCreator}."""
        connection = Connection(self._context(), None)
        if self._called:
            connection.set_tlsext_host_name(self._called)
        return connection
