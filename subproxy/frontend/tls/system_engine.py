"""
TLS by the system's libssl, without its headers: what is compiled, and when it may be used.

It takes 3.0 or newer, and only if L{its trial<subproxy.frontend.tls.trial_handshake>} passes.
"""

from __future__ import annotations

from collections.abc import Callable

from subproxy.core.http.client_authorities import ClientAuthorities
from subproxy.frontend.tls._connection import CompiledTlsConnection
from subproxy.frontend.tls._libssl import Context, load, share_ticket_keys
from subproxy.frontend.tls.certificate import Certificate, CertificateError
from subproxy.frontend.tls.context_values import POST_QUANTUM, alpn_list, session_scope
from subproxy.frontend.tls.interfaces import ITlsConnection, ITlsListener, LibraryUnavailable
from subproxy.frontend.tls.python_engine import CIPHERS, RENEW, TICKETS
from subproxy.frontend.tls.trial_handshake import try_library


class SystemEngine:
    """
    The system's libssl, see L{ITlsEngine<subproxy.frontend.tls.interfaces.ITlsEngine>}.

    @raise LibraryUnavailable: there is none, or it can't be used.
    """

    renew_contexts = 0.0

    def __init__(self) -> None:
        try:
            self._version, name = load(int(RENEW))
        except OSError as error:
            raise LibraryUnavailable(f"the system's libssl can't be used: {error}") from None
        self.name = f"the system's libssl ({name})"
        try_library(self)

    @property
    def lacks(self) -> tuple[str, ...]:
        """See L{ITlsEngine<subproxy.frontend.tls.interfaces.ITlsEngine>}."""
        return () if self._version >= POST_QUANTUM else ("no X25519MLKEM768",)

    def context(
        self,
        certificate: Certificate,
        protocols: tuple[bytes, ...],
        authorities: ClientAuthorities | None = None,
    ) -> Context:
        """See L{ITlsEngine<subproxy.frontend.tls.interfaces.ITlsEngine>}."""
        try:
            return Context(
                certificate.chain,
                certificate.key,
                alpn_list(protocols),
                CIPHERS.encode("ascii"),
                session_scope(certificate, authorities),
                TICKETS,
                int(RENEW),
                () if authorities is None else authorities.certificates,
                authorities is not None and authorities.optional,
                () if authorities is None else authorities.revoked,
            )
        except ValueError as error:
            raise CertificateError(f"the TLS library does not take it: {error}") from None

    def share_tickets(self, keys: bytes) -> None:
        """See L{ITlsEngine<subproxy.frontend.tls.interfaces.ITlsEngine>}."""
        share_ticket_keys(keys)

    @property
    def connect(self) -> Callable[[Context, ITlsListener], ITlsConnection]:
        """See L{ITlsEngine<subproxy.frontend.tls.interfaces.ITlsEngine>}."""
        return CompiledTlsConnection
