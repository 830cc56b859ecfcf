"""Who registered what.

A pool that lost its last member is kept, vacant and at its place in the order of precedence,
for C{linger} seconds: a guest that restarts must find its route, its clients must be held or told
503, and no less specific route may answer for it meanwhile. Then C{expire} forgets it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from subproxy.core.balancing.member import LINGER, POPULATED, Member, Pool
from subproxy.core.balancing.pool_owner import PoolOwner
from subproxy.core.routing.route import Route, RouteRefused
from subproxy.core.routing.route_table import RouteTable
from subproxy.wire.values import value_class

FORGOTTEN_AT_ONCE: Final = 256
"""Vacant pools that are forgotten in one call: 1 to 2 ms of CPU."""


@value_class
class RegistryLimits:
    """Limits of registration.

    member and identity count routes; program counts RE2 instructions of those patterns of an
    identity that are not simple, which bounds the memory that they take; total counts the routes of
    everybody, but not those that only other hosts serve. Routes that an identity left vacant count
    until they are forgotten, but make room for new ones. What one request may cost is bounded by
    the table; see L{RouteTable.excess}.
    """

    member: int = 256
    identity: int = 1024
    program: int = 2000
    total: int = 65536


USUAL_LIMITS: Final = RegistryLimits()


def _nobody(route: Route) -> PoolOwner | None:
    """Nobody is woken for C{route}."""
    return None


class _Holding:
    """The routes of one identity: how many of its members are in each pool, and their cost."""

    __slots__ = ("pools", "program")

    def __init__(self) -> None:
        self.pools: dict[Pool, int] = {}
        self.program = 0


class Registry:
    """Members, routes and pools, and the table that finds a pool.

    C{generation} grows whenever the table changes: when a pool appears or is forgotten, not when
    a member joins or leaves one; and whenever C{outdate} is called. C{passthrough} is the table of
    the routes over which TLS goes as it is.
    """

    __slots__ = (
        "_apart",
        "_declared",
        "_heirs",
        "_holdings",
        "_limits",
        "_members",
        "_pools",
        "_vacant",
        "generation",
        "linger",
        "owner_of",
        "passthrough",
        "table",
    )

    def __init__(self, *, linger: float = LINGER, limits: RegistryLimits = USUAL_LIMITS) -> None:
        self.generation = 0
        self.linger = linger
        self.table = RouteTable()
        self.passthrough = RouteTable()
        self._limits = limits
        self._pools: dict[Route, Pool] = {}
        self._members: dict[Member, None] = {}
        self._vacant: dict[Pool, None] = {}
        """Vacant pools, the longest vacant first."""
        self._heirs: dict[Pool, str] = {}
        """The identity that each vacant pool counts for: the last to leave it."""
        self._apart: set[Pool] = set()
        """Pools that nobody who is limited was ever in: they do not count for the total."""
        self._holdings: dict[str, _Holding] = {}
        self._declared: set[Pool] = set()
        self.owner_of: Callable[[Route], PoolOwner | None] = _nobody
        """Who is woken for a route; asked when its pool is made."""

    def declare(self, route: Route, now: float) -> Pool:
        """Make a pool of C{route} that is there without members, and counts for no quota."""
        pool = self._pools.get(route)
        if pool is None:
            pool = self._make(route, now)
            self._table(route).add(pool)
            self.generation += 1
        elif pool in self._vacant:
            self._disinherit(pool)
        self._declared.add(pool)
        return pool

    def undeclare(self, pool: Pool, now: float) -> None:
        """Let C{pool} be as any other: without members it is forgotten by and by."""
        self._declared.discard(pool)
        if not pool.members:
            pool.vacant_since = now
            self._bequeath(pool, "")

    def register(
        self,
        member: Member,
        route: Route,
        now: float,
        quota: int | None = None,
        *,
        limited: bool = True,
    ) -> Pool:
        """Make C{member} serve C{route}; return its pool. Again is no error and changes nothing.

        C{quota} is how many routes its identity may have, where a policy says so. One that is not
        C{limited} is another process or host, where quotas were looked at.

        Raises L{RouteRefused} with the code C{quota}.
        """
        pool = self._pools.get(route)
        if pool is not None and member in pool.members:
            return pool
        if limited:
            self._check(member, route, pool, quota)
        if pool is None:
            pool = Pool(route, now=now)
            pool.owner = self.owner_of(route)
            self._add(member, pool)
            self._pools[route] = pool
            self.generation += 1
            if not limited:
                self._apart.add(pool)
        elif pool in self._vacant:
            self._disinherit(pool)
        if limited:
            self._apart.discard(pool)
        pool.members.append(member)
        pool.vacant_since = POPULATED
        member.pools.append(pool)
        self._members[member] = None
        holding = self._holdings.setdefault(member.identity, _Holding())
        if pool not in holding.pools:
            holding.program += route.program
        holding.pools[pool] = holding.pools.get(pool, 0) + 1
        return pool

    def outdate(self) -> None:
        """Let all caches of answers of the table be dropped: what goes with these has changed."""
        self.generation += 1

    def check(self, member: Member, route: Route, quota: int | None = None) -> None:
        """Ask whether the quotas let C{member} serve C{route}, before anything is spent on it.

        What the table says about the cost of a request is asked by C{register} alone.
        Raises L{RouteRefused} with the code C{quota}.
        """
        pool = self._pools.get(route)
        if pool is None or member not in pool.members:
            self._check(member, route, pool, quota)

    def expect(self, identity: str, route: Route, now: float, *, limited: bool = True) -> None:
        """Make a vacant pool of C{route}, as if its last member, of C{identity}, had left just now.

        A proxy that takes over from another knows by this what to hold requests for. C{limited} is
        that of L{register}.
        """
        if route in self._pools:
            return
        pool = self._make(route, now)
        if not limited:
            self._apart.add(pool)
        self._table(route).add(pool)
        self.generation += 1
        self._bequeath(pool, identity)

    def owners(self) -> Iterator[tuple[str, Route]]:
        """Iterate over all routes, each with an identity that has it, or had it last."""
        for route, pool in self._pools.items():
            if pool in self._heirs:
                yield self._heirs[pool], route
            elif pool.members:
                yield pool.members[0].identity, route

    def unregister(self, member: Member, route: Route, now: float) -> Pool | None:
        """Take C{member} out of the pool of C{route}; return the pool, None if it wasn't there."""
        pool = self._pools.get(route)
        if pool is None or member not in pool.members:
            return None
        self._leave(member, pool, now)
        member.pools.remove(pool)
        if not member.pools:
            del self._members[member]
        return pool

    def remove(self, member: Member, now: float) -> list[Pool]:
        """Take C{member} out of all its pools at once; return them."""
        pools = member.pools[:]
        for pool in pools:
            self._leave(member, pool, now)
        member.pools.clear()
        self._members.pop(member, None)
        return pools

    def expire(self, now: float) -> list[Pool]:
        """Forget the pools that are vacant for longer than C{linger}; return them.

        No more than C{FORGOTTEN_AT_ONCE}, the longest vacant first: the rest is for the next call.
        A pool for which exchanges wait is kept until they are gone: admission lets no further
        ones wait by then.
        """
        forgotten: list[Pool] = []
        for pool in self._vacant:
            if now - pool.vacant_since < self.linger or len(forgotten) == FORGOTTEN_AT_ONCE:
                break
            if not pool.waiting:
                forgotten.append(pool)
        for pool in forgotten:
            self._forget(pool)
        return forgotten

    def next_expiry(self) -> float | None:
        """Return when C{expire} has something to do, None if no pool is vacant."""
        for pool in self._vacant:
            if not pool.waiting:
                return pool.vacant_since + self.linger
        return None

    def pool(self, route: Route) -> Pool | None:
        """Return the pool of exactly this route."""
        return self._pools.get(route)

    def pools(self) -> Iterator[Pool]:
        """Iterate over all pools, vacant ones too, in the order of their registration."""
        return iter(self._pools.values())

    def routes(self) -> Iterator[Route]:
        """Iterate over all routes in the order of their registration."""
        return iter(self._pools)

    def members(self) -> Iterator[Member]:
        """Iterate over all members that have a route."""
        return iter(self._members)

    def __len__(self) -> int:
        """Return the number of routes, vacant ones too."""
        return len(self._pools)

    def _check(self, member: Member, route: Route, pool: Pool | None, quota: int | None) -> None:
        limits = self._limits
        if quota is None:
            quota = limits.identity
        if len(member.pools) >= limits.member:
            raise RouteRefused("quota", f"a subscription may register {limits.member} routes")
        holding = self._holdings.get(member.identity)
        if holding is None:
            holding = _Holding()
        if pool not in holding.pools:
            if len(holding.pools) >= quota:
                self._make_room(member.identity, lambda _: True)
            if len(holding.pools) >= quota:
                raise RouteRefused("quota", f"a virtual machine may register {quota} routes")
            if holding.program + route.program > limits.program:
                self._make_room(member.identity, lambda vacant: vacant.program > 0)
            if holding.program + route.program > limits.program:
                raise RouteRefused(
                    "quota",
                    f"the patterns of a virtual machine may have {limits.program} RE2 "
                    "instructions altogether; literals, prefixes and patterns "
                    "without groups and counts seldom have any",
                )
        new = pool is None or pool in self._apart
        if new and len(self._pools) - len(self._apart) >= limits.total:
            raise RouteRefused("quota", f"the proxy holds {limits.total} routes")

    def _add(self, member: Member, pool: Pool) -> None:
        """Put a new C{pool} into the table, unless a request could cost too much then."""
        table = self._table(pool.route)
        table.add(pool)
        if table.excess(pool) is None:
            return
        self._make_room(member.identity, pool.route.shares_cost)
        reason = table.excess(pool)
        if reason is not None:
            table.discard(pool)
            raise RouteRefused("quota", reason)

    def _table(self, route: Route) -> RouteTable:
        return self.passthrough if route.passthrough else self.table

    def _make_room(self, identity: str, helps: Callable[[Route], bool]) -> None:
        """Forget what C{identity} left vacant: a restarted guest must not be locked out.

        Only routes that C{helps} accepts, and C{FORGOTTEN_AT_ONCE} at the most.
        """
        holding = self._holdings.get(identity)
        if holding is None:
            return
        vacant = (
            pool
            for pool in holding.pools
            if self._heirs.get(pool) == identity and not pool.waiting and helps(pool.route)
        )
        for pool in list(islice(vacant, FORGOTTEN_AT_ONCE)):
            self._forget(pool)

    def _leave(self, member: Member, pool: Pool, now: float) -> None:
        pool.members.remove(member)
        holding = self._holdings[member.identity]
        holding.pools[pool] -= 1
        if not pool.members:
            pool.vacant_since = now
            if pool not in self._declared:
                self._vacant[pool] = None
                self._heirs[pool] = member.identity
                return
        if not holding.pools[pool]:
            self._release(member.identity, pool)

    def _make(self, route: Route, now: float) -> Pool:
        pool = self._pools[route] = Pool(route, now=now)
        pool.owner = self.owner_of(route)
        return pool

    def _bequeath(self, pool: Pool, identity: str) -> None:
        """Let C{pool}, which nobody holds, be vacant, and count for C{identity}."""
        self._vacant[pool] = None
        self._heirs[pool] = identity
        holding = self._holdings.setdefault(identity, _Holding())
        holding.program += pool.route.program
        holding.pools[pool] = 0

    def _disinherit(self, pool: Pool) -> None:
        """End the vacancy of C{pool}."""
        del self._vacant[pool]
        self._release(self._heirs.pop(pool), pool)

    def _release(self, identity: str, pool: Pool) -> None:
        """No longer count C{pool} for C{identity}."""
        holding = self._holdings[identity]
        del holding.pools[pool]
        holding.program -= pool.route.program
        if not holding.pools:
            del self._holdings[identity]

    def _forget(self, pool: Pool) -> None:
        self._disinherit(pool)
        self._apart.discard(pool)
        del self._pools[pool.route]
        self._table(pool.route).discard(pool)
        self.generation += 1
