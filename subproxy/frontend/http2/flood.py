"""
What a client may do often, but not without end: one token bucket for each kind of abuse.

Each kind costs the client a few bytes and us more. None of them is an error by itself, so none is
refused one by one; who runs out of tokens loses the connection (ENHANCE_YOUR_CALM).

CVE-2023-44487 (rapid reset), CVE-2025-8671 (MadeYouReset: resets that we are made to send),
CVE-2019-9511 to 9518 (PING, SETTINGS, PRIORITY, empty frames), and, of fields, CVE-2026-49975.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import Final, NamedTuple

from subproxy.core.access.token_bucket import TokenBucket
from subproxy.core.fast_enum import fast_enum
from subproxy.frontend.http2.frames import ErrorCode, Http2Error


@fast_enum
class Flood(Enum):
    """What can be too much; the values are labels of the metric."""

    RESET = "reset"
    """A stream that ends by RST_STREAM, the client's or ours, whatever made us send it."""
    SETTINGS = "settings"
    PING = "ping"
    PRIORITY = "priority"
    """PRIORITY and PRIORITY_UPDATE."""
    EMPTY = "empty"
    """Frames that say nothing: DATA without data, and kinds that nobody knows."""
    FIELDS = "fields"
    """Requests whose fields are too many or too large."""
    CONTINUATION = "continuation"
    """More of them behind one HEADERS than any client needs."""
    STALLED = "stalled"
    """Streams that were given up because the client opens no window for their answers."""


class Allowance(NamedTuple):
    """So many at once, and so many a second."""

    burst: int
    rate: int


ALLOWED: Final[dict[Flood, Allowance]] = {
    Flood.RESET: Allowance(1000, 33),
    Flood.SETTINGS: Allowance(100, 10),
    Flood.PING: Allowance(200, 20),
    Flood.PRIORITY: Allowance(1000, 100),
    Flood.EMPTY: Allowance(1000, 33),
    Flood.FIELDS: Allowance(100, 10),
    Flood.CONTINUATION: Allowance(0, 0),
    Flood.STALLED: Allowance(100, 10),
}
"""Those of resets are nghttp2's; a browser that leaves a page resets some tens of streams."""


class FloodGuard:
    """
    The buckets of one connection. A bucket is made when something of its kind happens first.

    @param floods: counts connections that were ended, by the label of what was too much.
    """

    __slots__ = ("_buckets", "_floods")

    def __init__(self, floods: Counter[str]) -> None:
        self._floods = floods
        self._buckets: dict[Flood, TokenBucket] = {}

    def happened(self, flood: Flood, now: float) -> None:
        """
        It happened once more.

        @raise Http2Error: once too often.
        """
        bucket = self._buckets.get(flood)
        if bucket is None:
            allowed = ALLOWED[flood]
            bucket = self._buckets[flood] = TokenBucket(allowed.rate, allowed.burst, now)
        if not bucket.take(now):
            self._floods[flood.value] += 1
            raise Http2Error(ErrorCode.ENHANCE_YOUR_CALM, f"too many of this kind: {flood.value}")
