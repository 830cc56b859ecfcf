"""The routes, arranged so that finding the first match of a URL looks at few of them.

Literal hosts are a dictionary, host patterns a `PatternSet`. Below each host, literal paths are
a dictionary, ``/prefix/.*`` paths a dictionary that is asked once for each length of prefix in
use, and the other patterns are tried in the order of precedence, or by a `PatternSet` where
they are many. Which host patterns match a host is remembered for a while. Adding and removing
a route costs no more than a sorted insertion.
"""

from __future__ import annotations

from bisect import insort
from operator import attrgetter, neg
from typing import Final

from subproxy.core.pattern import Kind, Pattern
from subproxy.core.patternset import PatternSet
from subproxy.core.pool import Pool

MANY: Final = 16
"""Path patterns below one host from which a set is faster than trying them in order."""


REMEMBERED: Final = 1024
"""Hosts of which the matching host patterns are remembered; then all are forgotten."""

REMEMBERED_MATCHES: Final = 65_536
"""Matches of all these hosts together: one host may match every pattern that there is."""


class RouteTable:
    """Finds the pool whose route takes precedence; see `Route.precedence`."""

    __slots__ = ("_hosts", "_literal", "_matched", "_matches", "_patterns")

    def __init__(self) -> None:
        self._hosts: dict[Pattern, _Paths] = {}
        self._literal: dict[bytes, _Paths] = {}
        self._patterns: PatternSet[_Paths] = PatternSet(ignore_case=True)
        self._matched: dict[bytes, list[_Paths]] = {}
        self._matches = 0

    def add(self, pool: Pool) -> None:
        """Add `pool`, whose route is not in the table."""
        host = pool.route.host
        paths = self._hosts.get(host)
        if paths is None:
            paths = self._hosts[host] = _Paths()
            if host.kind is Kind.LITERAL:
                self._literal[host.literal] = paths
            else:
                self._patterns.add(host, paths)
                self._matched = {}
        paths.add(pool)

    def discard(self, pool: Pool) -> None:
        """Remove `pool`, which is in the table."""
        host = pool.route.host
        paths = self._hosts[host]
        paths.discard(pool)
        if paths.is_empty():
            del self._hosts[host]
            if host.kind is Kind.LITERAL:
                del self._literal[host.literal]
            else:
                self._patterns.discard(host)
                self._matched = {}

    def find(self, host: bytes, path: bytes) -> Pool | None:
        """Return the pool of the normalised `host` and `path`, or None."""
        paths = self._literal.get(host)
        if paths is not None:
            pool = paths.find(path)
            if pool is not None:
                return pool
        if not self._patterns:
            return None
        matched = self._matched.get(host)
        if matched is None:
            matched = self._patterns.match(host)
            self._matches += len(matched)
            if len(self._matched) >= REMEMBERED or self._matches > REMEMBERED_MATCHES:
                self._matched, self._matches = {}, len(matched)
            self._matched[host] = matched
        best: Pool | None = None
        for paths in matched:
            pool = paths.find(path)
            if pool is not None and (best is None or pool.precedence < best.precedence):
                best = pool
        return best


class _Paths:
    """The pools below one host."""

    __slots__ = ("_counts", "_lengths", "_literal", "_patterns", "_prefixes", "_set")

    def __init__(self) -> None:
        self._literal: dict[bytes, Pool] = {}
        self._prefixes: dict[bytes, Pool] = {}
        self._counts: dict[int, int] = {}
        """How many prefixes have each length."""
        self._lengths: list[int] = []
        """Lengths of the prefixes in use, longest first."""
        self._patterns: list[Pool] = []
        """The others, by precedence."""
        self._set: PatternSet[Pool] | None = None

    def is_empty(self) -> bool:
        return not (self._literal or self._prefixes or self._patterns)

    def add(self, pool: Pool) -> None:
        path = pool.route.path
        if path.kind is Kind.LITERAL:
            self._literal[path.literal] = pool
        elif path.kind is Kind.PREFIX:
            self._prefixes[path.literal] = pool
            length = len(path.literal)
            self._counts[length] = self._counts.get(length, 0) + 1
            if self._counts[length] == 1:
                insort(self._lengths, length, key=neg)
        else:
            insort(self._patterns, pool, key=attrgetter("precedence"))
            if self._set is not None:
                self._set.add(path, pool)
            elif len(self._patterns) > MANY:
                self._set = PatternSet()
                for each in self._patterns:
                    self._set.add(each.route.path, each)

    def discard(self, pool: Pool) -> None:
        path = pool.route.path
        if path.kind is Kind.LITERAL:
            del self._literal[path.literal]
        elif path.kind is Kind.PREFIX:
            del self._prefixes[path.literal]
            length = len(path.literal)
            self._counts[length] -= 1
            if not self._counts[length]:
                del self._counts[length]
                self._lengths.remove(length)
        else:
            self._patterns.remove(pool)
            if self._set is not None:
                self._set.discard(path)
                if len(self._patterns) <= MANY // 2:
                    self._set = None

    def find(self, path: bytes) -> Pool | None:
        pool = self._literal.get(path)
        if pool is not None:
            return pool
        size = len(path)
        for length in self._lengths:
            if length <= size:
                pool = self._prefixes.get(path[:length])
                if pool is not None:
                    break
        patterns = self._patterns
        if not patterns or (pool is not None and pool.precedence < patterns[0].precedence):
            return pool
        if self._set is not None:
            for other in self._set.match(path):
                if pool is None or other.precedence < pool.precedence:
                    pool = other
            return pool
        for other in patterns:
            if pool is not None and pool.precedence < other.precedence:
                break
            if other.route.path.matches(path):
                return other
        return pool
