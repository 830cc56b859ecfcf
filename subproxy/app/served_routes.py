"""What the guests of this process serve, each route once, however many of them serve it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from subproxy.core.balancing.member import Member
from subproxy.core.routing.route import Route


class ServedRoutes:
    """
    See above.

    @param came: hears of a route that the first guest serves.
    @param left: hears of one that none does any more.
    """

    def __init__(self, came: Callable[[Route], None], left: Callable[[Route], None]) -> None:
        self._came = came
        self._left = left
        self._routes: dict[Member, set[Route]] = {}
        self._counts: dict[Route, int] = {}

    def __iter__(self) -> Iterator[Route]:
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)

    def served(self, member: Member, route: Route, served: bool) -> None:
        """C{member} has registered C{route}, or no longer has it."""
        routes = self._routes.setdefault(member, set())
        if served and route not in routes:
            routes.add(route)
            self._count(route, 1)
        elif not served and route in routes:
            routes.discard(route)
            self._count(route, -1)

    def member_left(self, member: Member) -> None:
        """C{member} has nothing any more."""
        for route in self._routes.pop(member, ()):
            self._count(route, -1)

    def _count(self, route: Route, change: int) -> None:
        count = self._counts[route] = self._counts.get(route, 0) + change
        if not count:
            del self._counts[route]
            self._left(route)
        elif count == 1 and change > 0:
            self._came(route)
