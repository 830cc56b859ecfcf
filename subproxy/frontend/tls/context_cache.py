"""Contexts of certificates, made when they are asked for; those that were used last are kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from subproxy.frontend.tls.certificate import Certificate
from subproxy.frontend.tls.interfaces import ITlsConnection, ITlsEngine, ITlsListener

MOST: Final = 1024
"""Contexts that are kept: each takes some ten to twenty kilobytes."""


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
        self._kept: OrderedDict[Certificate, tuple[float, Any]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def connection(self, certificate: Certificate, listener: ITlsListener) -> ITlsConnection:
        """
        A new connection that shows C{certificate}.

        @raise CertificateError: the library does not take it.
        """
        return self.engine.connect(self.context(certificate), listener)

    def context(self, certificate: Certificate) -> Any:
        """
        The context of C{certificate}.

        @raise CertificateError: the library does not take it.
        """
        kept = self._kept
        now = self._monotonic()
        known = kept.get(certificate)
        renew = self.engine.renew_contexts
        if known is None or (renew and now - known[0] > renew):
            known = now, self.engine.context(certificate, self._protocols)
            kept[certificate] = known
            if len(kept) > self._most:
                kept.popitem(last=False)
        kept.move_to_end(certificate)
        return known[1]
