"""TLS of the proxy as an operator asked for it: library, certificates, and what is told of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger

from subproxy.config.settings import Settings
from subproxy.core.routing.router import Router
from subproxy.fastpath.http1_factory import FastHttp1Factory
from subproxy.fastpath.http1_only_factory import http1_only
from subproxy.fastpath.http2_factory import HTTP_2, FastHttp2Factory
from subproxy.frontend.factory import Http1Factory
from subproxy.frontend.tls.certificate_reader import CertificateReader, NamedFileUnusable
from subproxy.frontend.tls.certificate_service import CertificateService
from subproxy.frontend.tls.context_cache import ContextCache
from subproxy.frontend.tls.front import HTTP_1_1, TlsFactory
from subproxy.frontend.tls.interfaces import ITlsEngine, LibraryUnavailable
from subproxy.frontend.tls.library import choose_library
from subproxy.process.startup import fail

OUTCOMES = ("full", "resumed", "failed", "passthrough")
"""How a handshake may end; C{passthrough}: it is a guest's."""

CLIENT_CERTIFICATES = ("verified", "none")
"""What clients may show who are asked for a certificate; another one ends the handshake."""


def spoken(http: Http1Factory) -> dict[bytes, IProtocolFactory]:
    """What is spoken over TLS, the best one first (ALPN): HTTP/2 where it is compiled, and on."""
    if isinstance(http, FastHttp1Factory) and http.speaks_http2:
        return {HTTP_2: FastHttp2Factory(http), HTTP_1_1: http}
    return {HTTP_1_1: http}


class TlsSetup:
    """
    What all listeners for TLS share.

    @ivar certificates: what is shown.
    @ivar handshakes: how many there were, by how they ended.
    @ivar orders: of certificates, by how they ended; None if none are ordered.
    @ivar clients: who was asked for a certificate and let in, by what they have shown.
    """

    def __init__(
        self,
        http: Http1Factory,
        certificates: CertificateService,
        engine: ITlsEngine,
        router: Router,
    ) -> None:
        monotonic = http.context.monotonic
        self.certificates = certificates
        self.handshakes: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))
        self.orders: Counter[str] | None = None
        self.clients: Counter[str] = Counter(dict.fromkeys(CLIENT_CERTIFICATES, 0))
        self._http = http
        self._contexts = ContextCache(engine, tuple(spoken(http)), monotonic)
        self._http1_contexts = ContextCache(engine, (HTTP_1_1,), monotonic)
        self._router = router

    def factory(self, where: str, http2: bool = True) -> TlsFactory:
        """
        What stands before HTTP on the listener that an operator wrote so.

        @param http2: HTTP/2 may be spoken there.
        """
        protocols, contexts = spoken(self._http), self._contexts
        if not http2 and len(protocols) > 1:
            protocols = {HTTP_1_1: http1_only(self._http)}
            contexts = self._http1_contexts
        return TlsFactory(
            self._http,
            self.certificates,
            contexts,
            protocols,
            where,
            self.handshakes,
            self._router.client_authorities,
            self.clients,
            self._router.passthrough,
        )

    @property
    def library(self) -> str:
        """What does the cryptography."""
        return self._contexts.engine.name

    def share_tickets(self, keys: bytes) -> None:
        """Other processes of the proxy resume sessions by these keys, too."""
        self._contexts.engine.share_tickets(keys)

    def view(self) -> list[dict[str, Any]]:
        """All certificates as plain data, in the order of their files."""
        service = self.certificates
        now = service.now()
        found = []
        for path, held in service.store.held.items():
            certificate = held.certificate
            found.append(
                {
                    "path": path,
                    "state": held.state(now).value,
                    "problem": held.problem,
                    "default": held.files.is_default,
                    "names": certificate.names.texts() if certificate else [],
                    "issuer": certificate.issuer if certificate else "",
                    "not_after": certificate.not_after if certificate else None,
                    "days_left": round(certificate.days_left(now), 2) if certificate else None,
                }
            )
        return found


def read_certificates(settings: Settings, more: Sequence[str] = ()) -> CertificateReader:
    """
    The certificates that are to be shown, as their files are now.

    @param more: see L{build_tls}.
    @raise SystemExit: a file that was asked for by name holds none.
    """
    try:
        import cryptography  # noqa: F401
    except ImportError:
        fail("--https wants the package cryptography: pip install 'subscription-proxy-vsock[tls]'")
    reader = CertificateReader([*settings.certificates, *more], time.time)
    reader.read()
    try:
        reader.check(settings.certificates)
    except NamedFileUnusable as error:
        fail(f"--certificates={error.path}: {error.why}")
    return reader


def build_tls(
    reactor: Any,
    settings: Settings,
    http: Http1Factory,
    router: Router,
    more: Sequence[str] = (),
    reader: CertificateReader | None = None,
) -> TlsSetup | None:
    """
    TLS, with its certificates read; None if no listener wants it.

    @param more: folders of certificates, behind those of the operator.
    @param reader: what L{read_certificates} has read already, in the process that this one is
        forked from; None: nothing was read.
    @param router: knows what hosts ask of the certificates of clients, and whose TLS is a guest's.

    @raise SystemExit: what was asked for can't be had.
    """
    if not settings.https:
        return None
    if reader is None:
        reader = read_certificates(settings, more)
    try:
        engine, why = choose_library(settings.tls_library)
    except LibraryUnavailable as error:
        fail(f"--tls-library={settings.tls_library}: {error}")
    log = Logger("subproxy")
    log.info(
        "TLS by {name}{lacks}{why}",
        name=engine.name,
        lacks="".join(f"; {each}" for each in engine.lacks),
        why=f" ({why})" if why else "",
    )
    certificates = CertificateService(reactor, reader)
    certificates.read_now()
    if not certificates.store.held:
        log.warn("there is no certificate yet: nobody is served over TLS")
    return TlsSetup(http, certificates, engine, router)
