"""
From a host and a path to the rules of sites, by dictionaries alone.

A site covers what a claim of the policy with its host and path would: C{/api} is C{/api} and what
is below, C{*.example} what is below C{example}. Where several cover a request, a literal host is
before a wildcard, a longer wildcard before a shorter one, then a longer path before a shorter one;
what the first does not say, the next one says.

A request costs one lookup for each label of its host, and for each segment of its path as far as
sites have paths so deep: however many sites there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from subproxy.core.access.claims import Claim
from subproxy.core.http.client_authorities import ClientAuthorities
from subproxy.core.http.networks import NetworkIntersection
from subproxy.core.http.normalise import normalise_path
from subproxy.core.sites.site import Site
from subproxy.core.sites.site_access import NOBODY, PUBLIC, SiteAccess
from subproxy.core.sites.site_rules import SiteRules

MAX_CHAINS: Final = 16_384
"""Combinations of sites of which the rules are kept."""


class _HostSites:
    """
    The sites of one host or wildcard, by path.

    @ivar depth: slashes in the deepest of the paths.
    """

    __slots__ = ("depth", "paths")

    def __init__(self) -> None:
        self.paths: dict[bytes, Site] = {}
        self.depth = 0

    def covering(self, path: bytes) -> Iterator[Site]:
        """Those that cover C{path}, the longest first."""
        paths = self.paths
        for prefix in reversed(_prefixes(path, self.depth)):
            site = paths.get(prefix)
            if site is not None:
                yield site


class SiteTable:
    """
    All sites.

    @param sites: in the order of the file. Of two with the same host and path the first counts.
    @ivar sites: the same.
    @ivar longest_hold: the greatest C{hold} of them, seconds.
    """

    __slots__ = (
        "_any_path",
        "_asks_clients",
        "_below",
        "_chains",
        "_exact",
        "longest_hold",
        "sites",
    )

    def __init__(self, sites: Iterable[Site]) -> None:
        self.sites = tuple(sites)
        self._exact: dict[bytes, _HostSites] = {}
        self._below: dict[bytes, _HostSites] = {}
        self._chains: dict[tuple[int, ...], SiteRules] = {}
        self._any_path: dict[tuple[int, ...], SiteRules | None] = {}
        holds = [site.rules.get("hold") for site in self.sites]
        self.longest_hold = max([each for each in holds if isinstance(each, float)], default=0.0)
        self._asks_clients = any(site.rules.get("client_ca") for site in self.sites)
        for site in self.sites:
            for claim in site.claims:
                of = self._exact if claim.literal else self._below
                found = of.get(claim.suffix)
                if found is None:
                    found = of[claim.suffix] = _HostSites()
                found.paths.setdefault(claim.path, site)
                found.depth = max(found.depth, claim.path.count(b"/"))

    def find(self, host: bytes, path: bytes) -> SiteRules | None:
        """
        The rules for a host and a path, both normalised; None where no site covers them.

        An escaped slash is none for a route, and many an application takes it for one: so with one
        in its path a client has to be in the networks of either reading, and has to be let in by
        both.
        """
        rules = self._find(host, path)
        if b"%2F" not in path and b"%5C" not in path:
            return rules
        plain = normalise_path(path.replace(b"%2F", b"/").replace(b"%5C", b"/"))
        return _let_in_by_all(rules, [self._find(host, plain)])

    def find_host(self, host: bytes) -> SiteRules | None:
        """
        The rules for a host whatever the path, normalised; None where no site covers it.

        Those of its root. But who asks for no path in particular could have any: so a client has
        to be in the networks of each, and has to be let in by all. They are the same for all hosts
        that the same sites cover.
        """
        covering = tuple(self._hosts(host))
        key = tuple(map(id, covering))
        if key in self._any_path:
            return self._any_path[key]
        paths = {path for hosts in covering for path in hosts.paths if path}
        rules = _let_in_by_all(
            self._find(host, b"/"), (self._find(host, path) for path in sorted(paths))
        )
        if len(self._any_path) >= MAX_CHAINS:
            self._any_path.clear()
        self._any_path[key] = rules
        return rules

    def client_authorities(self, host: bytes) -> ClientAuthorities | None:
        """Who has to vouch for the clients of C{host}, normalised: the same for all its paths."""
        if not self._asks_clients:
            return None
        rules = self._find(host, b"/")
        return None if rules is None else rules.client_ca

    def _find(self, host: bytes, path: bytes) -> SiteRules | None:
        chain = self.covering(host, path)
        return self._together(chain) if chain else None

    def rules_of(self, claim: Claim) -> SiteRules:
        """The rules for all that C{claim} covers and no narrower site does."""
        return self._together(self.of_claim(claim))

    def _together(self, chain: list[Site]) -> SiteRules:
        key = tuple(map(id, chain))
        rules = self._chains.get(key)
        if rules is None:
            said: dict[str, object] = {}
            for site in reversed(chain):
                said.update(site.rules)
            access = _with_wider(said.get("access"), chain)
            if access is not None:
                said["access"] = access
            rules = SiteRules(**said)  # type: ignore[arg-type]
            if len(self._chains) >= MAX_CHAINS:
                self._chains.clear()
            self._chains[key] = rules
        return rules

    def covering(self, host: bytes, path: bytes) -> list[Site]:
        """All sites that cover a host and a path, both normalised; the first decides."""
        found: list[Site] = []
        for hosts in self._hosts(host):
            found += hosts.covering(path)
        return found

    def of_claim(self, claim: Claim) -> list[Site]:
        """All sites that cover everything that C{claim} does, its own first."""
        host = claim.suffix if claim.literal else b"*" + claim.suffix
        return self.covering(host, claim.path or b"/")

    def _hosts(self, host: bytes) -> Iterator[_HostSites]:
        exact = self._exact.get(host)
        if exact is not None:
            yield exact
        below = self._below
        if not below:
            return
        # No wildcard ends as an address in brackets does: above that there is everything alone.
        at = host.find(b".")
        while at >= 0:
            found = below.get(host[at:])
            if found is not None:
                yield found
            at = host.find(b".", at + 1)
        found = below.get(b"")
        if found is not None:
            yield found


def _with_wider(own: object, chain: Iterable[Site]) -> SiteAccess | None:
    """
    Who is let in, if not everybody; with the wider sites whose secrets come here too.

    @param own: what the narrowest site that says something of it says.
    @param chain: the narrowest first. Behind one for a whole host, there are wider hosts.
    """
    wider: list[SiteAccess] = []
    for site in chain:
        access = site.rules.get("access")
        if isinstance(access, SiteAccess) and access is not own:
            wider.append(access)
        if "access" in site.rules and not all(claim.path for claim in site.claims):
            break
    told = tuple(each for each in wider if each.users is not None or each.service is not None)
    if isinstance(own, SiteAccess):
        return replace(own, wider=told) if told else own
    if told:
        return SiteAccess(public=True, wider=told)
    return PUBLIC if any(each.links is not None for each in wider) else None


def _both(one: SiteAccess | None, other: SiteAccess) -> SiteAccess:
    """Who is let in by both."""
    if one is None or one.public or one == other:
        return other
    return NOBODY


def _prefixes(path: bytes, depth: int) -> list[bytes]:
    """What a site that covers C{path} may have as its path, the shortest first: at most so deep."""
    found = [b""]
    at = 0
    for _ in range(depth):
        at = path.find(b"/", at + 1)
        if at < 0:
            found.append(path)
            break
        found.append(path[:at])
    return found


def _let_in_by_all(rules: SiteRules | None, others: Iterable[SiteRules | None]) -> SiteRules | None:
    """C{rules}, for who must be let in by C{others} as well."""
    before = rules or SiteRules()
    access = before.access
    networks = {} if before.networks is None else {before.networks: None}
    for other in others:
        if other is None:
            continue
        if other.access is not None and not other.access.public:
            access = _both(access, other.access)
        if other.networks is not None:
            networks[other.networks] = None
    within = NetworkIntersection(networks) if len(networks) > 1 else next(iter(networks), None)
    if access is before.access and within is before.networks:
        return rules
    return replace(before, access=access, networks=within)
