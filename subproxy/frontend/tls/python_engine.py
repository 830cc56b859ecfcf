"""
TLS by Python's own C{ssl}: there wherever Python is, and the reference for what is compiled.

Its contexts read files alone, so a certificate goes into one through a file in memory.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from typing import Final

from subproxy.core.http.client_authorities import ClientAuthorities
from subproxy.frontend.tls.certificate import Certificate, CertificateError
from subproxy.frontend.tls.connection import TlsConnection
from subproxy.frontend.tls.interfaces import ITlsConnection, ITlsListener
from subproxy.frontend.tls.pem_blocks import REVOKED, load_blocks

CIPHERS: Final = "ECDHE+AESGCM+AES128:ECDHE+AESGCM:ECDHE+CHACHA20"
"""
Of TLS 1.2: forward secrecy and authenticated encryption, or nothing. 1.3 has no others, and Python
leaves their order to OpenSSL (see L{SUITES<subproxy.frontend.tls.context_values.SUITES>}).
"""

TICKETS: Final = 2
"""Tickets that a client of TLS 1.3 is given: one for each connection that it opens at once."""

RENEW: Final = 12 * 3600.0
"""Seconds for which tickets are good, and their keys are kept."""


def pem(certificate: Certificate) -> bytes:
    """The certificate, its chain and its key in PEM."""
    from base64 import encodebytes

    found = b""
    for label, der in [(b"PRIVATE KEY", certificate.key)] + [
        (b"CERTIFICATE", each) for each in certificate.chain
    ]:
        found += b"-----BEGIN %b-----\n%b-----END %b-----\n" % (label, encodebytes(der), label)
    return found


def make_context(
    certificate: Certificate,
    protocols: tuple[bytes, ...],
    authorities: ClientAuthorities | None = None,
) -> ssl.SSLContext:
    """
    A context of C{ssl}: TLS 1.2 and 1.3, tickets, no renegotiation, no compression, no early data.

    Whoever is among C{authorities} is trusted, also if it has signed itself nothing, or is signed
    by others.

    @raise CertificateError: the library does not take the certificate, or an authority.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.options |= getattr(ssl, "OP_PRIORITIZE_CHACHA", 1 << 21)
    context.num_tickets = TICKETS
    context.set_alpn_protocols([each.decode("ascii") for each in protocols])
    file = os.memfd_create("subproxy-certificate", os.MFD_CLOEXEC)
    try:
        os.write(file, pem(certificate))
        context.load_cert_chain(f"/proc/self/fd/{file}")
    except (ssl.SSLError, OSError) as error:
        raise CertificateError(f"the TLS library does not take it: {error}") from None
    finally:
        os.close(file)
    if authorities is not None:
        _ask_clients(context, authorities)
    return context


def _ask_clients(context: ssl.SSLContext, authorities: ClientAuthorities) -> None:
    try:
        context.load_verify_locations(cadata=b"".join(authorities.certificates))
        if authorities.revoked:
            load_blocks(context, REVOKED, authorities.revoked)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    except ssl.SSLError as error:
        raise CertificateError(f"the TLS library does not take an authority: {error}") from None
    context.verify_mode = ssl.CERT_OPTIONAL if authorities.optional else ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


class PythonEngine:
    """C{ssl}, see L{ITlsEngine<subproxy.frontend.tls.interfaces.ITlsEngine>}."""

    name = f"Python's ssl ({ssl.OPENSSL_VERSION})"
    renew_contexts = RENEW

    @property
    def lacks(self) -> tuple[str, ...]:
        """See L{ITlsEngine<subproxy.frontend.tls.interfaces.ITlsEngine>}."""
        found = [
            "ticket keys change every 12 hours, and sessions end with them",
            "each worker has its own",
        ]
        if ssl.OPENSSL_VERSION_INFO < (3, 5):
            found.append("no X25519MLKEM768")
        return tuple(found)

    def context(
        self,
        certificate: Certificate,
        protocols: tuple[bytes, ...],
        authorities: ClientAuthorities | None = None,
    ) -> ssl.SSLContext:
        """See L{ITlsEngine<subproxy.frontend.tls.interfaces.ITlsEngine>}."""
        return make_context(certificate, protocols, authorities)

    def share_tickets(self, keys: bytes) -> None:
        """See L{ITlsEngine<subproxy.frontend.tls.interfaces.ITlsEngine>}: C{ssl} takes none."""

    @property
    def connect(self) -> Callable[[ssl.SSLContext, ITlsListener], ITlsConnection]:
        """See L{ITlsEngine<subproxy.frontend.tls.interfaces.ITlsEngine>}."""
        return TlsConnection
