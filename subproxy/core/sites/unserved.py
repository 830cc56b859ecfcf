"""Hosts of sites that no virtual machine may claim: a typing error, or a guest that is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from subproxy.core.access.policy import Policy
from subproxy.core.sites.site import Site


def unserved(sites: Iterable[Site], policy: Policy) -> Iterator[tuple[int, str]]:
    """
    Yield the number of each such site, from 0, and the host.

    Not of sites that redirect: these need no guest. Without guests in the policy, anybody may claim
    anything, and there are none. One lookup for each label of a host, however many claims there
    are.
    """
    if policy.guests is None:
        return
    claims = {claim for guest in policy.guests for claim in guest.claims}
    literal = {claim.suffix for claim in claims if claim.literal}
    wild = {claim.suffix for claim in claims if not claim.literal}
    # What a wildcard of a site has something of: all that is above a claim.
    above = {each for suffix in literal | wild for each in _suffixes(suffix)}
    for index, site in enumerate(sites):
        if site.rules.get("redirect") is not None:
            continue
        seen = set()
        for claim in site.claims:
            host = claim.suffix
            if claim.host in seen:
                continue
            seen.add(claim.host)
            known = b"" in wild or any(each in wild for each in _suffixes(host))
            known = known or (host in literal if claim.literal else host in above or not host)
            if not known:
                yield index, claim.host


def _suffixes(host: bytes) -> Iterator[bytes]:
    """Each wildcard's suffix that covers C{host}; of a wildcard's own suffix, itself too."""
    _, dot, rest = host.partition(b".")
    while dot:
        yield dot + rest
        _, dot, rest = rest.partition(b".")
