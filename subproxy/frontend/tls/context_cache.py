"""Contexts of certificates, made when they are asked for; those that were used last are kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from subproxy.core.http.client_authorities import ClientAuthorities
from subproxy.frontend.tls.certificate import Certificate
from subproxy.frontend.tls.interfaces import ITlsConnection, ITlsEngine, ITlsListener

MOST: Final = 1024
"""Contexts that are kept: each takes some ten to twenty kilobytes."""


Key = tuple[Certificate, ClientAuthorities | None]


class ContextCache:
    """
    The contexts of an engine.

    @param engine: the TLS library.
    @param protocols: what is spoken over TLS, the best one first (ALPN).
    @param monotonic: the time, in seconds.
    @param most: how many are kept.
    """

    def __init__(
        self,
        engine: ITlsEngine,
        protocols: tuple[bytes, ...],
        monotonic: Callable[[], float],
        most: int = MOST,
    ) -> None:
        self.engine = engine
        self._protocols = protocols
        self._monotonic = monotonic
        self._most = most
        self._kept: OrderedDict[Key, tuple[float, Any]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def connection(
        self,
        certificate: Certificate,
        listener: ITlsListener,
        authorities: ClientAuthorities | None = None,
    ) -> ITlsConnection:
        """
        A new connection that shows C{certificate}, to a client whom C{authorities} vouch for.

        @raise CertificateError: the library does not take one of them.
        """
        return self.engine.connect(self.context(certificate, authorities), listener)

    def context(
        self, certificate: Certificate, authorities: ClientAuthorities | None = None
    ) -> Any:
        """
        The context of C{certificate} and C{authorities}.

        @raise CertificateError: the library does not take one of them.
        """
        kept = self._kept
        now = self._monotonic()
        key = certificate, authorities
        known = kept.get(key)
        renew = self.engine.renew_contexts
        if known is None or (renew and now - known[0] > renew):
            known = now, self.engine.context(certificate, self._protocols, authorities)
            kept[key] = known
            if len(kept) > self._most:
                kept.popitem(last=False)
        kept.move_to_end(key)
        return known[1]
