"""From a host and a path to a pool: one dictionary hit for what was seen before.

The cache holds answers by the host and path *as the client sent them*, so that a hit costs no
normalisation either. It is bounded in entries and in the length of what it keeps, and it is two
dictionaries, a young and an old one: what is asked for moves to the young one, and when that is
full the old one is dropped whole. A client that sends a million URLs therefore costs each of
them one lookup in the table, never a scan for what to evict, and what others ask for survives
as long as they ask for it once in a while.

Compiled a second time: L{subproxy.fastpath._route_cache} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from subproxy.core.balancing.member import Pool
from subproxy.core.http.client_authorities import ClientAuthorities
from subproxy.core.http.normalise import normalise_host, normalise_path, path_fault
from subproxy.core.routing.registry import Registry
from subproxy.core.sites.site_rules import SiteRules
from subproxy.core.sites.site_table import SiteTable

if TYPE_CHECKING:
    from subproxy.core.routing.explain import Explanation

CACHE_SIZE: Final = 4096
"""Entries of each of the two halves of the cache."""

CACHED_BYTES: Final = 512
"""Bytes of host and path together, above which an answer is not kept."""


class RouteMatch(NamedTuple):
    """What a host and a path come to: the pool of their route, and the rules of their sites."""

    pool: Pool | None
    rules: SiteRules | None


NO_MATCH: Final = RouteMatch(None, None)


class Router:
    """
    Finds pools in a registry, and the rules of sites, and remembers both.

    @ivar sites: the sites; None where there are none.
    """

    __slots__ = ("_generation", "_old", "_size", "_young", "registry", "sites")

    def __init__(self, registry: Registry, *, cache_size: int = CACHE_SIZE) -> None:
        if cache_size < 1:
            raise ValueError("the cache needs room for one entry")
        self.registry = registry
        self._size = cache_size
        self._generation = registry.generation
        self.sites: SiteTable | None = None
        self._young: dict[tuple[bytes, bytes], RouteMatch] = {}
        self._old: dict[tuple[bytes, bytes], RouteMatch] = {}

    def set_sites(self, sites: SiteTable) -> None:
        """Go by C{sites} from now on, in the compiled path's cache too."""
        self.sites = sites if sites.sites else None
        self.registry.outdate()

    def client_authorities(self, host: bytes) -> ClientAuthorities | None:
        """Return who has to vouch for the clients of C{host}, which is spelt for routing."""
        return None if self.sites is None else self.sites.client_authorities(host)

    def lookup(self, host: bytes, path: bytes) -> Pool | None:
        """Return the pool of a request, or None if no route is its: see L{match}."""
        return self.match(host, path).pool

    def match(self, host: bytes, path: bytes) -> RouteMatch:
        """Return what is known of the host and the path of a request.

        C{host} is the authority as received (a port and the case don't matter), C{path} the path
        of the target as received, without query. A path with a fault (see
        L{subproxy.core.http.normalise.path_fault}) has no route.
        """
        if self._generation != self.registry.generation:
            self._generation = self.registry.generation
            self._young = {}
            self._old = {}
        key = (host, path)
        try:
            return self._young[key]
        except KeyError:
            pass
        try:
            found = self._old[key]
        except KeyError:
            found = self._find(host, path)
            if len(host) + len(path) > CACHED_BYTES:
                return found
        if len(self._young) >= self._size:
            self._old = self._young
            self._young = {}
        self._young[key] = found
        return found

    def passthrough(self, host: bytes) -> Pool | None:
        """Return who gets the TLS of C{host}, spelt for routing, as it is; None: nobody does."""
        return self.registry.passthrough.find(host, b"/")

    def match_passthrough(self, host: bytes) -> RouteMatch:
        """Return the same, with the rules of its sites."""
        rules = None if self.sites is None else self.sites.find_host(host)
        return RouteMatch(self.passthrough(host), rules)

    def explain(self, host: bytes, path: bytes) -> Explanation:
        """Return which routes would take a request, in order, and why the first wins.

        It looks at every route: for people, not for requests.
        """
        from subproxy.core.routing.explain import explain  # few ask for that

        return explain(self.registry.pools(), host, path)

    def _find(self, host: bytes, path: bytes) -> RouteMatch:
        if path_fault(path) is not None:
            return NO_MATCH
        host, path = normalise_host(host), normalise_path(path)
        rules = None if self.sites is None else self.sites.find(host, path)
        if self.passthrough(host) is not None:
            return RouteMatch(None, rules)
        return RouteMatch(self.registry.table.find(host, path), rules)
