"""The routes, arranged so that finding the first match of a URL looks at few of them.

Literal hosts are a dictionary, host patterns a tree of what they end with. Below each host,
literal paths are a dictionary, and the others a tree of what they begin with: the longest
beginning takes precedence, so the search goes from there and ends with the first match. Which
host patterns match a host is remembered for a while.

**What a request may cost.** Patterns are hostile, and so is the text. Every pattern has a cost,
the time that one match can take; the trees know the costliest way through them, and a route that
would make it too long is refused. So it does not matter how many guests have how many routes: no
URL costs more than C{HOST_COST} below its literal host and C{PATTERN_COST} for all host patterns
that can match it, together with the paths below these. Nothing is compiled for many patterns
together, so adding a route costs the same however many there are.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from operator import itemgetter
from typing import Final

from subproxy.core.balancing.member import Pool
from subproxy.core.routing.pattern import Kind, Pattern
from subproxy.core.routing.prefix_tree import PrefixTree
from subproxy.core.routing.route import Precedence

HOST_COST: Final = 2_500_000
"""Nanoseconds that the paths below a literal host may cost a request."""

PATTERN_COST: Final = 2_000_000
"""Nanoseconds that host patterns, and all paths below those that match, may cost a request."""

_BELOW: Final = 600
"""Nanoseconds to begin a search below a host pattern that matches."""

REMEMBERED: Final = 1024
"""Hosts of which the matching host patterns are remembered; then all are forgotten."""

REMEMBERED_PATTERNS: Final = 16
"""Host patterns that match a host which is remembered, at the most."""

_Entry = tuple[Precedence, bytes, Pattern | None, Pool]
"""What is in a tree of paths: how the path ends, and its pattern, if not everything matches."""


class RouteTable:
    """Finds the pool whose route takes precedence; see C{Route.precedence}."""

    __slots__ = ("_hosts", "_literal", "_matched", "_patterns")

    def __init__(self) -> None:
        self._hosts: dict[Pattern, _Paths] = {}
        self._literal: dict[bytes, _Paths] = {}
        self._patterns: PrefixTree[_Paths] = PrefixTree()
        """Host patterns by what they end with, read backwards."""
        self._matched: dict[bytes, list[_Paths]] = {}

    def add(self, pool: Pool) -> None:
        """Add C{pool}, whose route is not in the table."""
        host = pool.route.host
        paths = self._hosts.get(host)
        if paths is None:
            paths = self._hosts[host] = _Paths(host)
            if host.kind is Kind.LITERAL:
                self._literal[host.literal] = paths
            else:
                cost = host.cost + _BELOW + paths.cost
                self._patterns.add(paths.key, cost).append(paths)
                self._matched = {}
        before = paths.cost
        paths.add(pool)
        if host.kind is not Kind.LITERAL:
            self._patterns.change(paths.key, paths.cost - before)

    def discard(self, pool: Pool) -> None:
        """Remove C{pool}, which is in the table."""
        host = pool.route.host
        paths = self._hosts[host]
        before = paths.cost
        paths.discard(pool)
        if not paths.is_empty():
            if host.kind is not Kind.LITERAL:
                self._patterns.change(paths.key, paths.cost - before)
            return
        del self._hosts[host]
        if host.kind is Kind.LITERAL:
            del self._literal[host.literal]
        else:
            self._patterns.get(paths.key).remove(paths)
            self._patterns.change(paths.key, -(host.cost + _BELOW + before))
            self._matched = {}

    def excess(self, pool: Pool) -> str | None:
        """Return why C{pool}, which is in the table, makes a request too costly, None if not."""
        if pool.route.host.kind is Kind.LITERAL:
            cost, most, what = self._hosts[pool.route.host].cost, HOST_COST, "this host"
        else:
            cost, most, what = self._patterns.worst, PATTERN_COST, "host patterns that match alike"
        if cost <= most:
            return None
        return (
            f"to match one request against the patterns of {what} could take {cost / 1e6:.2f} ms, "
            f"and may take {most / 1e6:g}; literals, and literal beginnings such as /api/.*, cost "
            "nearly nothing, groups, alternatives and counts most"
        )

    def find(self, host: bytes, path: bytes) -> Pool | None:
        """Return the pool of the normalised C{host} and C{path}, or None."""
        paths = self._literal.get(host)
        if paths is not None:
            pool = paths.find(path)
            if pool is not None:
                return pool
        if not self._patterns:
            return None
        matched = self._matched.get(host)
        if matched is None:
            matched = self._match(host)
        best: Pool | None = None
        for paths in matched:
            pool = paths.find(path)
            if pool is not None and (best is None or pool.precedence < best.precedence):
                best = pool
        return best

    def _match(self, host: bytes) -> list[_Paths]:
        matched = [
            paths
            for alike in self._patterns.find(host[::-1])
            for paths in alike
            if paths.host.matches(host)
        ]
        if len(matched) <= REMEMBERED_PATTERNS:
            if len(self._matched) >= REMEMBERED:
                self._matched = {}
            self._matched[host] = matched
        return matched


class _Paths:
    """The pools below one host.

    C{key} is the place of a host pattern in the tree of the table.
    """

    __slots__ = ("_literal", "_others", "host", "key")

    def __init__(self, host: Pattern) -> None:
        self.host = host
        self.key = host.tail[::-1]
        self._literal: dict[bytes, Pool] = {}
        self._others: PrefixTree[_Entry] = PrefixTree()

    @property
    def cost(self) -> int:
        """Nanoseconds that a search here can take."""
        return self._others.worst

    def is_empty(self) -> bool:
        return not (self._literal or self._others)

    def add(self, pool: Pool) -> None:
        path = pool.route.path
        if path.kind is Kind.LITERAL:
            self._literal[path.literal] = pool
        else:
            pattern = None if path.kind is Kind.PREFIX else path
            alike = self._others.add(path.literal, path.cost)
            insort(alike, (pool.precedence, path.tail, pattern, pool))

    def discard(self, pool: Pool) -> None:
        path = pool.route.path
        if path.kind is Kind.LITERAL:
            del self._literal[path.literal]
        else:
            alike = self._others.get(path.literal)
            del alike[bisect_left(alike, pool.precedence, key=itemgetter(0))]
            self._others.change(path.literal, -path.cost)

    def find(self, path: bytes) -> Pool | None:
        pool = self._literal.get(path)
        if pool is not None:
            return pool
        for alike in reversed(self._others.find(path)):
            for _, tail, pattern, other in alike:
                if pattern is None or (path.endswith(tail) and pattern.matches(path)):
                    return other
        return None
