"""Who gets the next exchange of a pool.

Each policy is a C{Balancer}: it looks at the numbers of the members and returns one of them, or
None if none can take an exchange now. It changes nothing but a pool's round-robin cursor; who
sends the exchange counts it in C{Member.in_flight}.

Drained and ejected members, and those whose granted concurrency is used up, are never chosen,
nor are those in C{excluded} (where this exchange has already failed).

Compiled a second time: L{subproxy.fastpath._route_cache} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Protocol

from subproxy.core.balancing.member import READY, Member, Pool, usable

SLOW_START: Final = 10.0
"""Seconds from becoming READY until a member counts with its whole weight."""

SLOW_START_SHARE: Final = 0.1
"""Share of its weight that a member begins with."""


class Random(Protocol):
    """The part of C{random.Random} that is used here."""

    def random(self) -> float:
        """Return a float from 0.0 to below 1.0."""
        ...


class Balancer(Protocol):
    """A policy of choice among the members of a pool."""

    def choose(
        self, pool: Pool, now: float, rng: Random, excluded: Collection[Member] = ()
    ) -> Member | None:
        """Return who gets the next exchange, or None if nobody can take it."""
        ...


class PowerOfTwo:
    """The better of two random members, by latency x (in flight + 1) / weight.

    Two random choices find a good member nearly as surely as a look at all of them, cost the
    same whatever the size of the pool, and don't herd: many proxies (or many turns on the same
    stale latency) don't all fall upon the momentarily best one.

    C{slow_start} is in seconds; 0 switches it off.
    """

    __slots__ = ("slow_start",)

    def __init__(self, slow_start: float = SLOW_START) -> None:
        if slow_start < 0.0:
            raise ValueError("slow start cannot be negative")
        self.slow_start = slow_start

    def choose(
        self, pool: Pool, now: float, rng: Random, excluded: Collection[Member] = ()
    ) -> Member | None:
        """Return the better of two random usable members."""
        members = pool.members
        count = len(members)
        if count == 1:
            member = members[0]
            return member if usable(member) and member not in excluded else None
        if count == 0:
            return None
        # Uniform over all pairs; the second is drawn from what the first has left.
        first = int(rng.random() * count)
        second = int(rng.random() * (count - 1))
        if second >= first:
            second += 1
        one = members[first]
        other = members[second]
        # `usable` and `score` are written out here: this runs once a request.
        if (
            excluded
            or one.state != READY
            or other.state != READY
            or one.in_flight >= one.concurrency > 0
            or other.in_flight >= other.concurrency > 0
        ):
            return self._choose_among_left(members, now, rng, excluded)
        if now - one.since < self.slow_start or now - other.since < self.slow_start:
            return other if self.score(other, now) < self.score(one, now) else one
        if (
            other.latency * (other.in_flight + 1) * one.weight
            < one.latency * (one.in_flight + 1) * other.weight
        ):
            return other
        return one

    def _choose_among_left(
        self, members: list[Member], now: float, rng: Random, excluded: Collection[Member]
    ) -> Member | None:
        """Return the better of two random ones of those that are not out: just as uniform."""
        left = [member for member in members if usable(member) and member not in excluded]
        if len(left) < 2:
            return left[0] if left else None
        first = int(rng.random() * len(left))
        second = int(rng.random() * (len(left) - 1))
        if second >= first:
            second += 1
        one = left[first]
        other = left[second]
        return other if self.score(other, now) < self.score(one, now) else one

    def score(self, member: Member, now: float) -> float:
        """Return the expected cost of one more exchange for C{member}: the lower the better."""
        weight = member.weight
        age = now - member.since
        if age < self.slow_start:
            weight *= max(SLOW_START_SHARE, age / self.slow_start)
        return member.latency * (member.in_flight + 1) / weight


class RoundRobin:
    """One after the other, whatever they do; for comparison, and for those who ask for it."""

    __slots__ = ()

    def choose(
        self, pool: Pool, now: float, rng: Random, excluded: Collection[Member] = ()
    ) -> Member | None:
        """Return the next usable member after the one chosen last."""
        members = pool.members
        count = len(members)
        for step in range(count):
            at = (pool.cursor + step) % count
            member = members[at]
            if usable(member) and member not in excluded:
                pool.cursor = at + 1
                return member
        return None


class LeastConnections:
    """The member with the fewest exchanges for its weight; ties fall at random."""

    __slots__ = ()

    def choose(
        self, pool: Pool, now: float, rng: Random, excluded: Collection[Member] = ()
    ) -> Member | None:
        """Return the usable member with the least in flight, by weight."""
        best: Member | None = None
        least = 0.0
        ties = 0
        for member in pool.members:
            if not usable(member) or member in excluded:
                continue
            load = (member.in_flight + 1) / member.weight
            if best is None or load < least:
                best, least, ties = member, load, 1
            elif load == least:
                ties += 1
                if rng.random() * ties < 1.0:
                    best = member
        return best


BALANCERS: Final[dict[str, type[PowerOfTwo | RoundRobin | LeastConnections]]] = {
    "p2c-ewma": PowerOfTwo,
    "round-robin": RoundRobin,
    "least-connections": LeastConnections,
}
"""The policies by the name of the option; the first is the default."""
