"""What all connections of one frontend share, and nothing of what makes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from subproxy.core.exchange import IDispatcher
from subproxy.core.http.forwarded import Forwarding
from subproxy.core.http.request_rules import RequestRules
from subproxy.core.sites.site_rules import SiteRules
from subproxy.frontend.half_close import HalfClose
from subproxy.frontend.limits import HttpLimits
from subproxy.frontend.open_connections import OpenConnections
from subproxy.telemetry.exchange_record import ExchangeRecord, IExchangeLog


@implementer(IExchangeLog)
class NoLog:
    """Writes nothing down."""

    def exchangeEnded(self, record: ExchangeRecord) -> None:
        """Forget it."""


class FrontendStatus:
    """
    What changes while a frontend serves.

    @ivar date: the time of day for C{Date}, at most half a second old.
    @ivar draining: no connection stays open behind its answer.
    """

    __slots__ = ("date", "draining")

    def __init__(self, date: bytes = b"") -> None:
        self.date = date
        self.draining = False


@dataclass(slots=True, eq=False)
class FrontendContext:
    """
    What each connection of a frontend is given.

    @ivar dispatcher: who answers.
    @ivar limits: sizes and deadlines, to be asked for each time: a reload sets others. All else
        stays as it is.
    @ivar clock: what calls later.
    @ivar monotonic: the time of deadlines and measurements, in seconds.
    @ivar log: where finished exchanges are written down.
    @ivar forwarding: what is told of a client, and who is trusted to tell it.
    @ivar rules: what requests must be, in any version.
    @ivar half_close: whether clients may close their half and still get an answer.
    @ivar connections: what is open.
    @ivar status: what changes.
    @ivar web_sockets: whether any guest may take a WebSocket; asked for each connection of HTTP/2.
    @ivar floods: connections of HTTP/2 that were ended because of what came too often, by that.
    """

    dispatcher: IDispatcher
    limits: HttpLimits
    clock: IReactorTime
    monotonic: Callable[[], float]
    log: IExchangeLog
    forwarding: Forwarding
    rules: RequestRules
    half_close: HalfClose
    connections: OpenConnections
    status: FrontendStatus
    floods: Counter[str] = field(default_factory=Counter)
    web_sockets: Callable[[], bool] = lambda: True

    def body_limit(self, rules: SiteRules | None) -> int:
        """Bytes of a request body, by the rules of its site; 0: no limit."""
        if rules is None or rules.max_body is None:
            return self.limits.body
        return rules.max_body
