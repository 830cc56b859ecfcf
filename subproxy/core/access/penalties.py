"""How each virtual machine behaves, and for how long it has to wait if it behaves badly.

Three things are counted, all by identity, so that neither a new connection nor many of them help:

- what is *useless*: messages that nobody needed, such as a registration that is refused, a pong
  that nobody asked for, a frame that means nothing. A few are no harm, and an honest guest has
  some. Of more than that no more is read than the proxy can spare the time for;
- *offences*: what ends a connection because no honest guest does it, such as bytes that are no
  frame. After some of them the next connections wait before they are heard: longer with each
  offence, but no longer than C{MOST}. Time makes up for it;
- *dials*: connections that are opened. An honest guest opens a few and keeps them; all that it may
  have open at once are never too many, whoever goes on at that rate is refused at the door.
"""

from __future__ import annotations

from typing import Final

from subproxy.core.access.token_bucket import TokenBucket

RATE: Final = 2000.0
"""Useless messages a second that are read of one virtual machine: under a hundredth of a core."""

SMALLEST: Final = 5e-6
"""Seconds that the smallest useless message takes: one that takes longer counts as several."""

MOST_COUNTED: Final = 200.0
"""As how many it counts at most: time also passes while others run, which is no fault of it."""

BURST: Final = 4000.0
"""Useless messages that it may send at once."""

RESUME: Final = 32.0
"""Of so many must there be room again before more is read: about 16 ms, then."""

FREE: Final = 3.0
"""Offences for which nobody waits."""

FIRST: Final = 0.1
"""Seconds to wait after the first offence beyond these; each further one doubles them."""

MOST: Final = 5.0
"""Seconds that a connection waits at most: less than a guest waits to be greeted."""

FORGIVEN: Final = 10.0
"""Seconds in which one offence is made up for."""

WORST: Final = 10.0
"""Offences that are remembered: those that lead to C{MOST}, so that no more is held against it."""

DIALS: Final = 64.0
"""Connections that a virtual machine may open at once, even if it may have fewer open."""

AGAIN: Final = 30.0
"""Seconds in which it may open that many once more."""


class PenaltyBox:
    """What is known of all virtual machines; of most of them nothing."""

    __slots__ = ("_buckets", "_dials", "_offences")

    def __init__(self) -> None:
        self._buckets: dict[str, TokenBucket] = {}
        self._offences: dict[str, tuple[float, float]] = {}
        """How many, as of when."""
        self._dials: dict[str, TokenBucket] = {}

    def count_useless(self, identity: str, now: float, weight: float = 1.0) -> float:
        """Count a useless message; return for how many seconds to read nothing of C{identity}.

        C{weight} is how much time it took, where that of the smallest one is 1.
        """
        bucket = self._buckets.get(identity)
        if bucket is None:
            bucket = self._buckets[identity] = TokenBucket(RATE, BURST, now)
        return 0.0 if bucket.spend(now, weight) > 0.0 else bucket.wait(now, RESUME)

    def record_offence(self, identity: str, now: float) -> float:
        """Count an offence; return for how many seconds the next connection has to wait."""
        count = min(self._count(identity, now) + 1.0, WORST)
        self._offences[identity] = (count, now)
        return _penalty(count)

    def penalty(self, identity: str, now: float) -> float:
        """Return for how many seconds from C{now} connections of C{identity} have to wait."""
        count, at = self._offences.get(identity, (0.0, 0.0))
        left = at + _penalty(count) - now
        # What rounding leaves is no time.
        return left if left > 1e-6 else 0.0

    def admit_dial(self, identity: str, connections: float, now: float) -> bool:
        """Count a connection that C{identity} opens; return whether it may.

        C{connections} is how many it may have open at a time.
        """
        burst = max(DIALS, connections)
        bucket = self._dials.get(identity)
        if bucket is None or bucket.burst != burst:
            bucket = self._dials[identity] = TokenBucket(burst / AGAIN, burst, now)
        return bucket.take(now)

    def refund_dial(self, identity: str) -> None:
        """A connection that was counted was one that we asked for: it does not count."""
        bucket = self._dials.get(identity)
        if bucket is not None:
            bucket.give()

    def expire(self, now: float) -> None:
        """Forget whom there is nothing to say of."""
        for buckets in (self._buckets, self._dials):
            for identity, bucket in list(buckets.items()):
                if not bucket.wait(now, bucket.burst):
                    del buckets[identity]
        for identity in list(self._offences):
            if not self._count(identity, now):
                del self._offences[identity]

    def __len__(self) -> int:
        """Return how many entries there are."""
        return len(self._buckets) + len(self._offences) + len(self._dials)

    def _count(self, identity: str, now: float) -> float:
        count, at = self._offences.get(identity, (0.0, now))
        return max(0.0, count - (now - at) / FORGIVEN)


def _penalty(count: float) -> float:
    if count <= FREE:
        return 0.0
    return float(min(MOST, FIRST * 2.0 ** (count - FREE - 1.0)))
