"""
Mutual TLS between hosts: who is at the other end, its certificate says, and who may be there.

The certificate of each host is signed by an authority that is there for nothing else, and its first
DNS name is the name of the host. Twisted's TLS (pyOpenSSL) does it: what passes here are requests
that another host has taken in, few connections, for long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from cryptography import x509
from OpenSSL.crypto import X509
from OpenSSL.crypto import Error as CryptoError
from OpenSSL.SSL import Connection, Context
from OpenSSL.SSL import Error as OpenSslError
from twisted.internet.interfaces import (
    IAddress,
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IOpenSSLContextFactory,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    KeyPair,
    TLSVersion,
    trustRootFromCertificates,
)
from twisted.logger import Logger
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from subproxy.core.printable import printable
from subproxy.files.file_stamp import Stamp, file_stamp
from subproxy.files.regular_file import open_regular

HANDSHAKE_TIMEOUT: Final = 10.0
"""Seconds that a handshake may take."""

MAX_HANDSHAKES: Final = 128
"""Handshakes with strangers that may be under way at once; each takes some 100 kB."""

_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"


class HostCertificateError(Exception):
    """A file cannot be used; the text says which and why, for a person."""


def host_name(certificate: x509.Certificate) -> str:
    """
    What a certificate calls a host: its first DNS name, in lower case.

    @raise HostCertificateError: it has none.
    """
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = found.value.get_values_for_type(x509.DNSName)
    except (x509.ExtensionNotFound, ValueError):
        names = []
    if not names:
        raise HostCertificateError("the certificate has no DNS name")
    return names[0].lower()


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
class HostCertificates:
    """
    The files of a host: its certificate with the key, and the authority that signs those of hosts.

    They are read again when they have changed; what cannot be used then leaves those before in
    force.

    @param certificate: the path of a PEM file: certificate, chain and key.
    @param authority: the path of a PEM file.
    @ivar name: what the certificate calls this host.
    @raise HostCertificateError: they cannot be used.
    """

    _log = Logger()

    def __init__(self, certificate: str, authority: str) -> None:
        self._paths = (certificate, authority)
        self._stamp = self._look()
        self._options, self.name = self._read()

    def getContext(self) -> Context:
        """See L{CertificateOptions}: for the next connection."""
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                options, name = self._read()
                if name != self.name:
                    raise HostCertificateError(f"it calls this host {printable(name)} now")
                self._options = options
                self._log.info("the certificate of this host was read again")
            except HostCertificateError as error:
                self._log.error("the certificate before stays in force: {error}", error=error)
        return self._options.getContext()

    def _look(self) -> list[Stamp | None]:
        found: list[Stamp | None] = []
        for path in self._paths:
            try:
                found.append(file_stamp(path))
            except OSError:
                found.append(None)
        return found

    def _read(self) -> tuple[CertificateOptions, str]:
        own, authority = map(_content, self._paths)
        try:
            # pyOpenSSL wants no objects of its own any more; Twisted's types say otherwise.
            chain: list[Any] = [*_certificates(own)]
            key = KeyPair.load(own, 1)
            name = host_name(chain[0])
            roots = [Certificate(X509.from_cryptography(each)) for each in _certificates(authority)]
            if not roots:
                raise HostCertificateError(f"{self._paths[1]}: there is no certificate in it")
            options = CertificateOptions(
                privateKey=key.original.to_cryptography_key(),
                certificate=chain[0],
                extraCertChain=chain[1:],
                trustRoot=trustRootFromCertificates(roots),
                raiseMinimumTo=TLSVersion.TLSv1_3,
            )
            options.getContext().check_privatekey()
        except HostCertificateError as error:
            raise HostCertificateError(f"{self._paths[0]}: {error}") from None
        except (OpenSslError, CryptoError, ValueError, TypeError, IndexError):
            raise HostCertificateError(
                f"{self._paths[0]}: a certificate and its key in PEM are needed"
            ) from None
        return options, name

    def client(self, factory: Factory, clock: Any, called: bytes = b"") -> TLSMemoryBIOFactory:
        """
        What stands before C{factory} on a connection to another host.

        @param called: what the other one is called when it is dialled (SNI); empty: nothing.
        """
        return _HostTransportFactory(_NamedServer(self, called), True, factory, clock)

    def server(self, factory: Factory, clock: Any) -> TLSMemoryBIOFactory:
        """The same on one from another host."""
        return _HostTransportFactory(self, False, factory, clock)


@implementer(IOpenSSLClientConnectionCreator)
class _NamedServer:
    """Lets a client say what it has dialled."""

    def __init__(self, certificates: HostCertificates, called: bytes) -> None:
        self._certificates = certificates
        self._called = called

    def clientConnectionForTLS(self, protocol: object) -> Connection:
        """See C{IOpenSSLClientConnectionCreator}."""
        connection = Connection(self._certificates.getContext(), None)
        if self._called:
            connection.set_tlsext_host_name(self._called)
        return connection


def _content(path: str) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read()
    except OSError as error:
        raise HostCertificateError(f"{path}: {error.strerror}") from None


def _certificates(pem: bytes) -> list[x509.Certificate]:
    """All certificates of a PEM file, in order."""
    found = []
    for part in pem.split(_BEGIN)[1:]:
        body = part.partition(_END)[0]
        found.append(x509.load_pem_x509_certificate(_BEGIN + body + _END + b"\n"))
    return found


@implementer(IHandshakeListener)
class HostGate(Protocol):
    """
    One connection until it is known who is at the other end; then it is what C{admit} makes of it.

    @param admit: is given the name of the host; what speaks with it, None for nobody.
    @param refused: hears why nobody does.
    @param settled: hears once that the handshake is over, well or badly.
    """

    transport: Any

    def __init__(
        self,
        clock: Any,
        admit: Callable[[str], Protocol | None],
        refused: Callable[[str], None],
        settled: Callable[[], None] = lambda: None,
    ) -> None:
        self.inner: Protocol | None = None
        self._settled: Callable[[], None] | None = settled
        self._clock = clock
        self._admit = admit
        self._refused: Callable[[str], None] | None = refused
        self._deadline: Any = None

    def connectionMade(self) -> None:
        """The handshake begins."""
        self._deadline = self._clock.callLater(HANDSHAKE_TIMEOUT, self._late)

    def handshakeCompleted(self) -> None:
        """The other end has shown a certificate of our authority."""
        self._deadline.cancel()
        self._settle()
        try:
            name = host_name(self.transport.getPeerCertificate().to_cryptography())
        except HostCertificateError as error:
            self._refuse(str(error))
            return
        inner = self._admit(name)
        if inner is None:
            self._refuse(f"its certificate is that of {printable(name)}")
            return
        self._refused = None
        self.inner = inner
        inner.makeConnection(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """The other end said something."""
        if self.inner is not None:
            self.inner.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is gone."""
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._settle()
        if self.inner is not None:
            self.inner.connectionLost(reason)
        elif self._refused is not None:
            refused, self._refused = self._refused, None
            refused(_why(reason))

    def _settle(self) -> None:
        settled, self._settled = self._settled, None
        if settled is not None:
            settled()

    def _late(self) -> None:
        self._refuse("no handshake in time")

    def _refuse(self, reason: str) -> None:
        refused, self._refused = self._refused, None
        if refused is not None:
            refused(reason)
        self.transport.abortConnection()


class HostGateFactory(Factory):
    """
    Makes a L{HostGate} for each connection; see there.

    Where L{MAX_HANDSHAKES} are under way, another one is closed: strangers can dial, too.

    @ivar handshakes: how many are.
    """

    noisy = False

    def __init__(
        self,
        clock: Any,
        admit: Callable[[str], Protocol | None],
        refused: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self.handshakes = 0
        self._admit = admit
        self._refused = refused

    def buildProtocol(self, addr: object) -> HostGate | None:
        """Another host has dialled, or was."""
        if self.handshakes >= MAX_HANDSHAKES:
            self._refused("too many handshakes at once")
            return None
        self.handshakes += 1
        return HostGate(self._clock, self._admit, self._refused, self._settled)

    def _settled(self) -> None:
        self.handshakes -= 1


def _why(reason: Failure) -> str:
    """What went wrong with a handshake, in a few words."""
    if reason.check(OpenSslError):
        parts = reason.value.args[0] if reason.value is not None and reason.value.args else []
        said = "; ".join(str(part[-1]) for part in parts if part)
        return f"TLS: {printable(said) or 'no handshake'}"
    return printable(reason.getErrorMessage())
