"""
For which names certificates are ordered: those that the operator has written, and a guest serves.

What a guest merely claims is never ordered: a name must stand in the policy as it is. Of a wildcard
of the policy the wildcard itself is ordered, where challenges of DNS can be met, and never what
guests register below it: they could make up as many names as they like.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from subproxy.core.access.claims import wildcard
from subproxy.core.access.policy import Policy
from subproxy.core.balancing.member import Pool
from subproxy.core.routing.pattern import Kind
from subproxy.core.sites.site_table import SiteTable


def wanted_names(
    policy: Policy, pools: Iterable[Pool], wildcards: bool, sites: SiteTable | None = None
) -> Iterator[str]:
    """
    Yield each name once: a host, or C{*.} and a host.

    @param policy: one without guests wants nothing.
    @param pools: what is served; vacant ones count for nothing, nor do those whose guests have
        certificates of their own.
    @param wildcards: such names can be had, too.
    @param sites: for which hosts none may be ordered.
    """
    hosts = {pool.route.host for pool in pools if pool.members and not pool.route.passthrough}
    served = {host.literal for host in hosts if host.kind is Kind.LITERAL}
    # All that is below something, at once: C{.*\\.wild\\.example}.
    below = served | {suffix for host in hosts if (suffix := wildcard(host)) is not None}
    seen = set()
    for guest in policy.guests or ():
        for claim in guest.claims:
            if claim.literal:
                name = claim.suffix if claim.suffix in served else b""
            elif wildcards and any(host.endswith(claim.suffix) for host in below):
                name = b"*" + claim.suffix
            else:
                continue
            if sites is not None and sites.rules_of(claim).acme is False:
                continue
            if is_public(name) and name not in seen:
                seen.add(name)
                yield name.decode("ascii")


def is_public(name: bytes) -> bool:
    """Whether an authority could vouch for it: it is a name of DNS with a dot, and no address."""
    host = name.removeprefix(b"*.")
    if b"." not in host or host[:1] == b"[" or not host.isascii():
        return False
    try:
        ip_address(host.decode("ascii"))
    except ValueError:
        return True
    return False
