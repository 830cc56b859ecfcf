"""Whether the compiled path can be used, and if so, for what."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from subproxy.frontend.factory import Http1Factory
    from subproxy.subscription.factory import SubscriptionFactory


def unavailable() -> str | None:
    """Why there is no compiled path here; None if there is one."""
    try:
        import subproxy.fastpath._front  # noqa: F401
    except ImportError as error:
        return str(error)
    return None


def engage(http: Http1Factory, subscriptions: SubscriptionFactory) -> str | None:
    """
    Let the compiled path have what it can of C{http} and C{subscriptions}, which are new.

    @return: why it has nothing; None if all is well.
    """
    reason = unavailable()
    if reason is not None:
        return reason
    from subproxy.fastpath._front import FastPath

    try:
        fastpath = FastPath(http)
    except (TypeError, ValueError) as error:
        return str(error)
    http.fastpath = subscriptions.fastpath = fastpath
    return None
