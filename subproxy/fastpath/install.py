"""Whether the compiled path can be used, and if so, for what."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from subproxy.frontend.factory import Http1Factory
    from subproxy.subscription.factory import SubscriptionFactory
    from subproxy.telemetry.access_log import AccessLog
    from subproxy.telemetry.counters import Counters


def unavailable() -> str | None:
    """Why there is no compiled path here; None if there is one."""
    try:
        import subproxy.fastpath._connection  # noqa: F401
    except ImportError as error:
        return str(error)
    return None


def install(
    http: Http1Factory,
    subscriptions: SubscriptionFactory,
    log: AccessLog | None,
    counters: Counters | None,
) -> str | None:
    """
    Let the compiled path have what it can of C{http} and C{subscriptions}, which are new.

    @param log: the access log that C{http} writes.
    @param counters: what C{http} counts in.
    @return: why it has nothing; None if all is well.
    """
    reason = unavailable()
    if reason is not None:
        return reason
    from subproxy.fastpath._connection import FastPath
    from subproxy.fastpath.subscription_protocol import FastSubscriptionProtocol

    if log is not None and log.style != "combined":
        return f"the access log is in the format {log.style}"
    http.fastpath = FastPath(http, log, counters)
    subscriptions.protocol = FastSubscriptionProtocol
    return None
