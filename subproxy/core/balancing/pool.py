"""The members that registered the same route: the balancer chooses among them."""

from __future__ import annotations

from typing import Any, Final

from subproxy.core.balancing.member import READY, Member
from subproxy.core.routing.route import Precedence, Route

LINGER: Final = 10.0
"""Seconds a vacant pool is remembered."""

POPULATED: Final = -1.0
"""C{Pool.vacant_since} of a pool that has members."""


class Pool:
    """A route and its members; flat, because the compiled path reads it.

    order: place among all routes ever registered. precedence: its sort key in the table.
    members: in the order of their registration. vacant_since: when the last one left, or
    POPULATED. waiting: exchanges that wait for a member. cursor: where round robin stands.
    retries: whatever budget the shell keeps for it; never looked at here. Who remembers something
    of a pool keeps it by a weak reference: a pool holds compiled patterns.
    """

    __slots__ = (
        "__weakref__",
        "cursor",
        "members",
        "order",
        "precedence",
        "retries",
        "route",
        "vacant_since",
        "waiting",
    )

    def __init__(self, route: Route, order: int, *, now: float) -> None:
        self.route = route
        self.order = order
        self.precedence: Precedence = route.precedence(order)
        self.members: list[Member] = []
        self.vacant_since = now
        self.waiting = 0
        self.cursor = 0
        self.retries: Any = None

    def has_ready(self) -> bool:
        """Tell whether any member is READY, be it full or not."""
        return any(member.state == READY for member in self.members)

    def __repr__(self) -> str:
        return f"<Pool {self.route} members {len(self.members)} waiting {self.waiting}>"
