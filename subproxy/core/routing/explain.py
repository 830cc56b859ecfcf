"""Why a URL goes where it goes: the answer of C{subproxy explain} and C{/api/explain}.

It is computed by trying every route, without the router's table, so that it is also what the
table is tested against.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from subproxy.core.balancing.member import Pool
from subproxy.core.http.a_label import advice
from subproxy.core.http.normalise import (
    host_fault,
    normalise_host,
    normalise_path,
    request_path_fault,
)
from subproxy.core.routing.route import decisive
from subproxy.wire.values import value_class

PASSED_THROUGH: Final = "a name whose TLS is passed through to a guest has no other routes"


@value_class
class Candidate:
    """A pool whose route matches, and why it stands where it stands.

    C{rule} tells why the pool before it (for the first: this one) takes precedence.
    """

    pool: Pool
    rule: str


@value_class
class Explanation:
    """The candidates for a URL in the order of precedence; the first one wins.

    host and path are normalised, as they were matched. reason says in a sentence what decided,
    also where nothing matches. same_host are the pools of which only the host matches.
    """

    host: bytes
    path: bytes
    winner: Pool | None
    candidates: tuple[Candidate, ...]
    same_host: tuple[Pool, ...]
    reason: str


def explain(pools: Iterable[Pool], host: bytes, path: bytes) -> Explanation:
    """Return the C{Explanation} of a host and a path, both as received.

    What the proxy answers with 400 has no route; an HTTP/1.0 request may have no host.
    """
    path = path.partition(b"?")[0]
    fault = (host_fault(host) if host else None) or request_path_fault(path)
    if not host.isascii():
        fault = f"{fault}; {advice(host)}"
    host = normalise_host(host)
    path = normalise_path(path)
    if fault is not None:
        return Explanation(host, path, None, (), (), f"no route, but status 400: {fault}")
    matching: list[Pool] = []
    same_host: list[Pool] = []
    for pool in pools:
        if pool.route.host.matches(host):
            (matching if pool.route.path.matches(path) else same_host).append(pool)
    matching.sort(key=lambda pool: (not pool.route.passthrough, pool.precedence))
    same_host.sort(key=lambda pool: pool.precedence)
    if not matching:
        reason = (
            "no route: the host has routes, but none of their paths matches"
            if same_host
            else "no route: no route's host matches"
        )
        return Explanation(host, path, None, (), tuple(same_host), reason)
    candidates = tuple(Candidate(pool, _rule(matching, at)) for at, pool in enumerate(matching))
    return Explanation(host, path, matching[0], candidates, tuple(same_host), candidates[0].rule)


def _rule(matching: list[Pool], at: int) -> str:
    if matching[at].route.passthrough or (at and matching[at - 1].route.passthrough):
        return PASSED_THROUGH
    if len(matching) == 1:
        return "the only route that matches"
    before, after = matching[max(at - 1, 0)], matching[max(at, 1)]
    return decisive(before.precedence, after.precedence).sentence
