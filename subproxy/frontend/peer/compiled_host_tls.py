"""
Mutual TLS between hosts by the system's libssl, compiled; and when it is done so.

Its twin is L{TwistedHostTls}, which does it where the system has no such library, or an operator
says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.internet.protocol import Factory

from subproxy.frontend.peer._host_context import HostContext
from subproxy.frontend.peer._host_transport import CompiledHostTransport
from subproxy.frontend.peer.host_tls import HostIdentity
from subproxy.frontend.tls.system_engine import SystemEngine


class CompiledHostTls:
    """
    The system's libssl, see L{HostTlsEngine<subproxy.frontend.peer.host_tls.HostTlsEngine>}.

    @raise LibraryUnavailable: there is none, or it can't be used.
    """

    def __init__(self) -> None:
        self.name = SystemEngine().name

    def context(self, identity: HostIdentity) -> HostContext:
        """See L{HostTlsEngine<subproxy.frontend.peer.host_tls.HostTlsEngine>}."""
        return HostContext(
            tuple(each.public_bytes(Encoding.DER) for each in identity.chain),
            identity.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
            tuple(each.public_bytes(Encoding.DER) for each in identity.roots),
        )

    def factory(
        self, context: Callable[[], HostContext], inner: Factory, clock: Any, called: bytes | None
    ) -> Factory:
        """See L{HostTlsEngine<subproxy.frontend.peer.host_tls.HostTlsEngine>}."""
        return _CompiledFactory(context, inner, clock, called)


class _CompiledFactory(Factory):
    noisy = False

    def __init__(
        self, context: Callable[[], HostContext], inner: Factory, clock: Any, called: bytes | None
    ) -> None:
        self._context = context
        self._inner = inner
        self._clock = clock
        self._called = called

    def buildProtocol(self, addr: Any) -> CompiledHostTransport | None:  # type: ignore[override]
        """One connection; None where there is nobody behind it."""
        inner: Any = self._inner.buildProtocol(addr)
        if inner is None:
            return None
        return CompiledHostTransport(self._context(), inner, self._clock, self._called)
