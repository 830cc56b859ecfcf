"""Which engine does TLS between hosts, and why not a better one."""

from __future__ import annotations

from subproxy.frontend.peer.host_tls import HostTlsEngine, TwistedHostTls
from subproxy.frontend.tls.interfaces import LibraryUnavailable
from subproxy.frontend.tls.library import AUTO


def choose_host_tls(asked: str) -> tuple[HostTlsEngine, str]:
    """
    The engine for what an operator has asked for (C{--tls-library}).

    @return: it, and why it is not a better one; empty if there is none.
    @raise LibraryUnavailable: what was asked for by name can't be used.
    """
    if asked in ("wheel", "python"):
        # Twisted's is by pyOpenSSL, and so by the wheel's libssl.
        return TwistedHostTls(), ""
    try:
        from subproxy.frontend.peer.compiled_host_tls import CompiledHostTls

        return CompiledHostTls(), ""
    except ImportError as error:
        why = f"its layer is not compiled: {error}"
    except LibraryUnavailable as error:
        why = str(error)
    if asked != AUTO:
        raise LibraryUnavailable(why)
    return TwistedHostTls(), why
