"""
How often, and how often at a time, one client may ask: rates and connections, counted.

A client is an IPv4 address, or the first 64 bits of an IPv6 one, which is what one customer has at
the least. The tables are bounded: of rates, those of the clients that were here last are kept, and
one that comes back after all of them begins anew.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from subproxy.core.http.networks import address_number
from subproxy.wire.values import value_class

MAX_CLIENTS: Final = 65_536
"""Clients and limits whose rates are known; about 200 bytes each."""

ClientKey = int | bytes


@value_class
class RateLimit:
    """
    So many requests of a client.

    @ivar scope: whose limit it is: it is counted apart from those of other scopes.
    @ivar rate: a second.
    @ivar burst: at once, from 1.
    """

    scope: str
    rate: float
    burst: int


@value_class
class ConnectionLimit:
    """
    So many requests of a client at a time.

    @ivar scope: as in L{RateLimit}.
    @ivar most: how many, from 1.
    """

    scope: str
    most: int


def client_key(address: bytes) -> ClientKey:
    """Under what C{address} is counted."""
    parsed = address_number(address)
    if parsed is None or parsed[0] == 4:
        return address
    return parsed[1] >> 64


class ClientLimits:
    """
    What clients have asked for lately, and what of it is under way.

    @param size: how many rates are known.
    """

    __slots__ = ("_due", "_open", "_size")

    def __init__(self, size: int = MAX_CLIENTS) -> None:
        self._size = size
        self._due: OrderedDict[tuple[str, ClientKey], float] = OrderedDict()
        """When each would have asked next, had it kept to its rate; who was here last is last."""
        self._open: dict[tuple[str, ClientKey], int] = {}

    @property
    def known(self) -> int:
        """How many rates are known."""
        return len(self._due)

    def take(self, limit: RateLimit, client: ClientKey, now: float) -> float:
        """
        Count a request, unless there are too many: then it is not counted.

        It is the generic cell rate algorithm: a bucket of tokens, as one number.

        @return: 0, or in how many seconds there is room for it.
        """
        key = (limit.scope, client)
        interval = 1.0 / limit.rate
        due = max(self._due.get(key, now), now)
        wait = due - now - (limit.burst - 1) * interval
        # A nanosecond is no reason: sums of intervals are not exact.
        allowed = wait <= 1e-9
        self._due[key] = due + interval if allowed else due
        self._due.move_to_end(key)
        if len(self._due) > self._size:
            self._due.popitem(last=False)
        return 0.0 if allowed else wait

    def begin(self, limit: ConnectionLimit, client: ClientKey) -> bool:
        """Count a request until L{end}; False, and nothing is counted, if there are too many."""
        key = (limit.scope, client)
        count = self._open.get(key, 0)
        if count >= limit.most:
            return False
        self._open[key] = count + 1
        return True

    def end(self, limit: ConnectionLimit, client: ClientKey) -> None:
        """One that was counted is over."""
        key = (limit.scope, client)
        count = self._open[key]
        if count > 1:
            self._open[key] = count - 1
        else:
            del self._open[key]

    @property
    def under_way(self) -> int:
        """How many requests are counted now."""
        return sum(self._open.values())
