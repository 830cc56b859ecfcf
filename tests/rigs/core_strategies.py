"""Strategies and makers that the tests of C{subproxy.core} share."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from subproxy.core.balancing.member import POPULATED, Member, Pool
from subproxy.core.routing.route import Route

#: The machine that runs this may be busy: time says nothing.
relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

hosts = st.sampled_from([b"a.example", b"b.example", b"x.a.example", b"10.0.0.1", b"[::1]"])
paths = st.lists(st.sampled_from([b"a", b"b", b"api", b"v1", b"x.y", b""]), max_size=4).map(
    lambda segments: b"/" + b"/".join(segments)
)
host_sources = st.sampled_from(
    [
        rb"a\.example",
        rb"A\.Example",
        rb"b\.example",
        rb".*",
        rb"[a-z]\.example",
        rb"(.*\.)?a\.example",
        rb".*\.example",
        rb"x.*",
        rb"10\.0\.0\.1",
        rb"\[::1\]",
    ]
)
path_sources = st.sampled_from(
    [
        rb"/.*",
        rb"/",
        rb"/a",
        rb"/a/.*",
        rb"/a/b",
        rb"/api/.*",
        rb"/api/v1/.*",
        rb"/api(/.*)?",
        rb"/[ab]",
        rb"/[ab]/.*",
        rb"/(a|b)/(a|b)",
        rb".*",
        rb"/.+",
        rb"/a.*",
        rb"/x\.y",
        rb"/a?.*b",
    ]
)
routes = st.builds(Route, host_sources, path_sources)


def make_member(identity: str = "vm", *, now: float = 0.0, **numbers: Any) -> Member:
    """Return a member whose numbers are set to C{numbers}."""
    member = Member(identity, b"app", b"instance", now=now)
    for name, value in numbers.items():
        setattr(member, name, value)
    return member


def make_pool(*members: Member, now: float = 0.0) -> Pool:
    """Return a pool of C{members}."""
    pool = Pool(Route(rb".*"), now=now)
    for member in members:
        pool.members.append(member)
        pool.vacant_since = POPULATED
        member.pools.append(pool)
    return pool
