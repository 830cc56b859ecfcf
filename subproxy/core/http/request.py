"""A request, whatever HTTP version carried it: what a guest may see of it."""

from __future__ import annotations

from subproxy.core.http.client_tls import ClientTls
from subproxy.core.http.upgrade import Upgrade
from subproxy.wire.values import record_class

Header = tuple[bytes, bytes]
Headers = list[Header]


@record_class
class RequestHead:
    """
    A request, version-neutral, rewritten from parsed parts: what a guest may see.

    @ivar method: as sent, a token.
    @ivar target: as sent, but origin-form (an absolute-form target lost its authority).
    @ivar host: for routing: lower case, no port, no trailing dot.
    @ivar path: for routing: normalised, without query.
    @ivar headers: end-to-end fields only, in order, with X-Forwarded-* and the like set.
    @ivar client: the client's address, as text.
    @ivar scheme: C{b"http"} or C{b"https"}.
    @ivar version: HTTP version of the client, C{b"1.1"}.
    @ivar request_id: the id that the log, the client and the guest share.
    @ivar length: body length in bytes where it is known; 0 for no body; None for unknown.
    @ivar expect: the client waits for 100 (Continue) before it sends its body.
    @ivar upgrade: the protocol that it would rather speak, if it says so.
    @ivar trailers: the client has said (by TE) that it takes trailers.
    @ivar trace: the trace that it belongs to, where traces are followed.
    @ivar tls: what is known of its connection over TLS; None: it has none, or not of ours.
    """

    method: bytes
    target: bytes
    host: bytes
    path: bytes
    headers: Headers
    client: bytes = b""
    scheme: bytes = b"http"
    version: bytes = b"1.1"
    request_id: bytes = b""
    length: int | None = 0
    expect: bool = False
    upgrade: Upgrade | None = None
    trailers: bool = False
    tls: ClientTls | None = None
    trace: bytes = b""

    @property
    def passthrough(self) -> bool:
        """It stands for a connection whose TLS is passed through, until that is a tunnel."""
        return self.upgrade is not None and self.upgrade.passthrough
