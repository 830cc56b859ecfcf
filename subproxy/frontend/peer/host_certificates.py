"""
The certificate of this host among others, and the authority that signs those of hosts, in files.

The certificate of each host is signed by an authority that is there for nothing else, and its first
DNS name is the name of the host.
"""

from __future__ import annotations

from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from OpenSSL.crypto import Error as CryptoError
from OpenSSL.SSL import Error as OpenSslError
from twisted.internet.protocol import Factory
from twisted.internet.ssl import KeyPair
from twisted.logger import Logger

from subproxy.core.printable import printable
from subproxy.files.file_stamp import Stamp, file_stamp
from subproxy.files.regular_file import open_regular
from subproxy.frontend.peer.host_name import HostCertificateError, host_name
from subproxy.frontend.peer.host_tls import HostIdentity, HostTlsEngine, TwistedHostTls

_UNUSABLE: Final = (
    *(OpenSslError, CryptoError, UnsupportedAlgorithm),
    *(ValueError, TypeError, IndexError),
)
"""What libraries raise of files that they do not take."""

_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"
_END: Final = b"-----END CERTIFICATE-----"


class HostCertificates:
    """
    See above.

    They are read again when they have changed; what cannot be used then leaves those before in
    force.

    @param certificate: the path of a PEM file: certificate, chain and key.
    @param authority: the path of a PEM file.
    @param engine: what does TLS.
    @ivar name: what the certificate calls this host.
    @raise HostCertificateError: they cannot be used.
    """

    _log = Logger()

    def __init__(
        self, certificate: str, authority: str, engine: HostTlsEngine | None = None
    ) -> None:
        self.engine = engine or TwistedHostTls()
        self._paths = (certificate, authority)
        self._stamp = self._look()
        self._context, self.name = self._read()

    def context(self) -> Any:
        """That of the engine, for the next connection."""
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                context, name = self._read()
                if name != self.name:
                    raise HostCertificateError(f"it calls this host {printable(name)} now")
                self._context = context
                self._log.info("the certificate of this host was read again")
            except HostCertificateError as error:
                self._log.error("the certificate before stays in force: {error}", error=error)
        return self._context

    def client(self, factory: Factory, clock: Any, called: bytes = b"") -> Any:
        """
        The factory of what stands before C{factory} on a connection to another host.

        @param called: what the other one is called when it is dialled (SNI); empty: nothing.
        """
        return self.engine.factory(self.context, factory, clock, called)

    def server(self, factory: Factory, clock: Any) -> Any:
        """The same on one from another host."""
        return self.engine.factory(self.context, factory, clock, None)

    def _look(self) -> list[Stamp | None]:
        found: list[Stamp | None] = []
        for path in self._paths:
            try:
                found.append(file_stamp(path))
            except OSError:
                found.append(None)
        return found

    def _read(self) -> tuple[Any, str]:
        own, authority = map(_content, self._paths)
        try:
            chain = _certificates(own)
            key: Any = KeyPair.load(own, 1)
            name = host_name(chain[0])
            roots = _certificates(authority)
            if not roots:
                raise HostCertificateError(f"{self._paths[1]}: there is no certificate in it")
            identity = HostIdentity(chain, key.original.to_cryptography_key(), roots)
            context = self.engine.context(identity)
        except HostCertificateError as error:
            raise HostCertificateError(f"{self._paths[0]}: {error}") from None
        except _UNUSABLE:
            raise HostCertificateError(
                f"{self._paths[0]}: a certificate and its key in PEM are needed"
            ) from None
        return context, name


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
