"""What is known of an exchange that has ended: what the access log and the counters read."""

from __future__ import annotations

from dataclasses import dataclass

from zope.interface import Interface

from subproxy.core.exchange import Exchange
from subproxy.telemetry.close_reason import CloseReason


@dataclass(slots=True, eq=False)
class ExchangeRecord:
    """
    One exchange that has ended. Nobody changes it; to freeze it would double what it costs.

    @ivar exchange: the exchange.
    @ivar status: the status that was sent; 499 if the client left before there was one.
    @ivar sent: bytes of response body that were written, without framing.
    @ivar started: when the request began, in monotonic seconds; so are the next two.
    @ivar first_byte: when the response head was written; 0 if it never was.
    @ivar ended: when the last byte had left, or never would.
    @ivar close_reason: why the connection of the client closed, where it did before that.
    """

    exchange: Exchange
    status: int
    sent: int
    started: float
    first_byte: float
    ended: float
    close_reason: CloseReason | None = None


class IExchangeLog(Interface):
    """Where finished exchanges are written down."""

    def exchangeEnded(record: ExchangeRecord) -> None:
        """The last byte of the response has left, or never will."""
