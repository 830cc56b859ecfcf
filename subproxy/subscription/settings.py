"""Settings of the subscription side, with their defaults."""

from __future__ import annotations

from dataclasses import field

from subproxy.subscription.time_share import SHARE
from subproxy.wire.limits import Limits
from subproxy.wire.values import value_class

BULK = 65_537
"""
Bytes from which a body goes over a data connection, unless configured otherwise.

That is all that may not ride in a frame: for these a data connection costs less at any size
(benchmarks/performance-history.md).
"""

TUNNEL = 1_048_576
"""
Bytes of one half of a tunnel, in pieces that are not small, from which it is offered a data
connection: that costs as much as is saved with the first few megabytes.
"""


@value_class
class SubscriptionSettings:
    """
    Times are in seconds.

    @ivar limits: what the proxy takes on the wire, per frame and exchange.
    @ivar ping_interval: from one ping of a subscription to the next.
    @ivar ping_timeout: a subscription whose pong is later than this is ejected.
    @ivar timeout: one that stays silent for so long is closed.
    @ivar greeting_timeout: a connection must say what it is within this.
    @ivar closing_timeout: how long to wait for the peer's own end after C{bye}.
    @ivar events_a_turn: most messages of one connection before others get their turn.
    @ivar share: of one turn of the reactor, that of one identity.
    @ivar offences: how many broken responses end a subscription...
    @ivar offences_window: ... within so many seconds.
    @ivar bulk: bodies from so many bytes on go over data connections; None: there are none.
    @ivar tunnel: when so many bytes of one half of a tunnel have passed in frames, in pieces that
        are not small, it is offered a data connection; 0: never.
    @ivar claim_timeout: a token for a data connection must be claimed within this.
    @ivar data_idle: an idle data connection is closed after this.
    @ivar predecessor: for so long another process, from which this one has taken over, may issue
        tokens that are claimed here.
    @ivar process: which of the proxy's C{processes} this is, from 0.
    @ivar token_prefix: what tokens begin with, so that it can be told which process made them.
    """

    limits: Limits = field(default_factory=Limits)
    ping_interval: float = 3.0
    ping_timeout: float = 5.0
    timeout: float = 15.0
    greeting_timeout: float = 5.0
    closing_timeout: float = 2.0
    events_a_turn: int = 128
    share: float = SHARE
    offences: int = 10
    offences_window: float = 60.0
    bulk: int | None = BULK
    tunnel: int = TUNNEL
    claim_timeout: float = 2.0
    data_idle: float = 60.0
    predecessor: float = 0.0
    process: int = 0
    processes: int = 1
    token_prefix: bytes = b""
