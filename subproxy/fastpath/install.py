"""Whether the compiled path can be used, and if so, for what."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from subproxy.fastpath.http1_factory import FastHttp1Factory
from subproxy.frontend.factory import Http1Factory
from subproxy.telemetry.access_log import AccessLog
from subproxy.telemetry.counters import Counters

if TYPE_CHECKING:
    from subproxy.frontend.peer.host_protocol import HostPeerProtocol
    from subproxy.frontend.peer.protocol import PeerProtocol
    from subproxy.subscription.factory import SubscriptionFactory


def unavailable() -> str | None:
    """Why there is no compiled path here; None if there is one."""
    try:
        import subproxy.fastpath._connection  # noqa: F401
    except ImportError as error:
        return str(error)
    return None


def install(
    http: FastHttp1Factory,
    subscriptions: SubscriptionFactory,
    log: AccessLog | None,
    counters: Counters | None,
    http2: bool = True,
) -> None:
    """
    Let the compiled path, which is there, have C{http} and C{subscriptions}, which are new.

    @param log: the access log that C{http} writes.
    @param counters: what C{http} counts in.
    @param http2: HTTP/2 is spoken.
    """
    from subproxy.fastpath.subscription_protocol import fast_subscription_protocol

    http.use_fastpath(log, counters).http2 = http2
    subscriptions.protocol = fast_subscription_protocol(log)


def worker_protocol(http: Http1Factory) -> Callable[..., PeerProtocol]:
    """What serves another worker: with the compiled path before it, if C{http} has that."""
    path = http.fastpath if isinstance(http, FastHttp1Factory) else None
    if path is None:
        from subproxy.frontend.peer.protocol import PeerProtocol

        return PeerProtocol
    from subproxy.fastpath.peer_protocol import FastPeerProtocol

    return partial(FastPeerProtocol, path)


def host_protocol(http: Http1Factory) -> Callable[..., HostPeerProtocol]:
    """What serves another host: likewise."""
    path = http.fastpath if isinstance(http, FastHttp1Factory) else None
    if path is None:
        from subproxy.frontend.peer.host_protocol import HostPeerProtocol

        return HostPeerProtocol
    from subproxy.fastpath.peer_protocol import FastHostPeerProtocol

    return partial(FastHostPeerProtocol, path)
