"""
The state of a proxy as plain data, for the API and the command line.

It looks at the core's objects and changes nothing; what it returns can be written as JSON.
"""

from __future__ import annotations

from typing import Any

from subproxy.core.balancing.balancer import PowerOfTwo
from subproxy.core.balancing.member import (
    POPULATED,
    Member,
    MemberState,
    Pool,
    is_worker,
    member_name,
)
from subproxy.core.printable import printable
from subproxy.core.routing.registry import Registry
from subproxy.core.routing.router import Router
from subproxy.core.sites.site_rules import EACH_TIME, key_of

Data = dict[str, Any]

_SCORES = PowerOfTwo()


def text(value: bytes) -> str:
    """Bytes that a guest chose, as text that a terminal survives and that names one thing."""
    return printable(value, unambiguous=True)


def member_view(member: Member, now: float) -> Data:
    """One subscription."""
    outcomes = member.outcomes
    return {
        "id": member_name(member),
        "identity": printable(member.identity),
        "application": text(member.application),
        "worker": member.worker,
        "instance": text(member.instance),
        "state": MemberState(member.state).name.lower(),
        "latency": round(member.latency, 6),
        "in_flight": member.in_flight,
        "tunnels": 0 if member.channel is None else member.channel.tunnels,
        "weight": member.weight,
        "assigned": member.assigned is not None,
        "failures": 0 if outcomes is None else outcomes.row,
        "out_for": round(outcomes.until - now, 3) if outcomes and outcomes.until else None,
        "concurrency": member.concurrency,
        "score": round(_SCORES.score(member, now), 9),
        "ready_for": round(now - member.since, 3),
        "routes": [str(pool.route) for pool in member.pools],
    }


def pool_view(pool: Pool, now: float) -> Data:
    """One route and who serves it."""
    return {
        "host": pool.route.host.source.decode("latin-1"),
        "path": pool.route.path.source.decode("latin-1"),
        "passthrough": pool.route.passthrough,
        "vacant": pool.vacant_since != POPULATED,
        "machine": None if pool.owner is None else pool.owner.name,
        "waiting": pool.waiting,
        "subscribers": [member_name(member) for member in pool.members if not is_worker(member)],
    }


def routes_view(registry: Registry, now: float) -> Data:
    """All routes, in the order of their precedence."""
    pools = sorted(registry.pools(), key=lambda pool: pool.precedence)
    return {"routes": [pool_view(pool, now) for pool in pools]}


def subscribers_view(registry: Registry, now: float) -> Data:
    """All subscriptions that serve something."""
    members = sorted(registry.members(), key=member_name)
    return {
        "subscribers": [member_view(member, now) for member in members if not is_worker(member)]
    }


def _site_rules(router: Router, host: bytes, path: bytes) -> list[Data]:
    """The rules of sites for a host and a path, and the site that says each; not what is lifted."""
    found: dict[str, Data] = {}
    for site in [] if router.sites is None else router.sites.covering(host, path):
        for name, value in site.rules.items():
            said = {
                "rule": key_of(name),
                "site": str(site.claims[0]),
                "lifted": value is None,
                "each_request": value is not None and name in EACH_TIME,
            }
            found.setdefault(name, said)
    return [each for each in found.values() if not each.pop("lifted")]


def would_start(pool: Pool | None, host: bytes) -> str | None:
    """The machine that a request for C{pool} would start; None if it would start none."""
    if pool is None or pool.owner is None or pool.has_ready():
        return None
    return pool.owner.called(host)


def explain_view(router: Router, host: bytes, path: bytes, now: float) -> Data:
    """Which route wins for a URL, why, and who would be asked."""
    found = router.explain(host, path)
    return {
        "host": text(found.host),
        "path": text(found.path),
        "reason": found.reason,
        "route": pool_view(found.winner, now) if found.winner is not None else None,
        "would_start": would_start(found.winner, found.host),
        "site_rules": _site_rules(router, found.host, found.path),
        "candidates": [
            {"route": str(each.pool.route), "rule": each.rule} for each in found.candidates
        ],
        "same_host": [str(pool.route) for pool in found.same_host],
        "subscribers": [
            member_view(member, now) for member in found.winner.members if not is_worker(member)
        ]
        if found.winner is not None
        else [],
    }
