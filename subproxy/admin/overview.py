"""
Everything that an operator watches, as plain data: what the page, its events and C{top} show.

Counts only grow; who wants a rate takes two looks and divides by the time between their C{at}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from heapq import nsmallest

from subproxy.admin.view import Data, member_view, pool_view
from subproxy.core.balancing.member import Member, MemberState, Pool, is_worker, member_name
from subproxy.core.printable import printable
from subproxy.core.routing.registry import Registry
from subproxy.telemetry.counters import Counters, RouteCounters

MOST_ROWS = 500
"""Routes, and subscribers, that are listed: a page of more is read by nobody, and costs a turn of
the reactor each second. Who is in trouble comes before who is well."""

_NONE = RouteCounters()


class Overview:
    """
    Looks at a proxy.

    @param numbers: gauges of the whole, by name.
    """

    def __init__(
        self,
        counters: Counters,
        registry: Registry,
        now: Callable[[], float],
        numbers: Mapping[str, Callable[[], float]],
    ) -> None:
        self._counters = counters
        self._registry = registry
        self._now = now
        self._numbers = numbers

    def look(self) -> Data:
        """
        The state of the proxy now.

        @return: C{at}, monotonic seconds; C{totals}; C{routes} and C{subscribers}, at most
            L{MOST_ROWS} of each, and how many there are; C{workers}, C{machines}, C{hosts} and
            C{cluster}, which others fill who know of them.
        """
        now = self._now()
        counted = self._counters.routes
        members = [each for each in self._registry.members() if not is_worker(each)]
        pools = list(self._registry.pools())
        shown = nsmallest(MOST_ROWS, pools, key=lambda pool: (_is_well(pool), pool.precedence))
        listed = nsmallest(
            MOST_ROWS,
            members,
            key=lambda member: (member.state == MemberState.READY, member_name(member)),
        )
        totals: Data = _counts(counted.values())
        totals.update((name, value()) for name, value in self._numbers.items())
        return {
            "at": now,
            "totals": totals,
            "routes": [
                {**pool_view(pool, now), **_counts([_of(counted, pool)])}
                for pool in sorted(shown, key=lambda pool: pool.precedence)
            ],
            "routes_in_all": len(pools),
            "subscribers": [_subscriber(member, now) for member in sorted(listed, key=member_name)],
            "subscribers_in_all": len(members),
            "workers": [],
            "machines": [],
            "hosts": [],
            "cluster": None,
        }


def _is_well(pool: Pool) -> bool:
    return not pool.waiting and pool.has_ready()


def _of(counted: Mapping[str, RouteCounters], pool: Pool) -> RouteCounters:
    return counted.get(printable(str(pool.route)), _NONE)


def _subscriber(member: Member, now: float) -> Data:
    found = member_view(member, now)
    found["routes"] = len(found["routes"])
    return found


def _counts(routes: Iterable[RouteCounters]) -> Data:
    """
    What has been counted of these routes.

    @return: C{requests}, C{errors} (answered with 5xx), C{answers} (that have begun) and
        C{first_byte}, the seconds that these took until they did, together.
    """
    found: Data = {"requests": 0, "errors": 0, "answers": 0, "first_byte": 0.0}
    for each in routes:
        found["requests"] += sum(each.statuses.values())
        found["errors"] += sum(n for status, n in each.statuses.items() if status >= 500)
        found["answers"] += sum(each.first_byte.counts)
        found["first_byte"] += each.first_byte.total
    return found
