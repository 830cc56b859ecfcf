"""What guests serve, each route once, however many of them serve it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from subproxy.core.routing.route import Route

Server = TypeVar("Server")


class ServedRoutes(Generic[Server]):
    """
    See above. Who serves is whatever its owner calls a subscription of a guest.

    @param came: hears of a route that the first guest serves.
    @param left: hears of one that none does any more.
    """

    def __init__(self, came: Callable[[Route], None], left: Callable[[Route], None]) -> None:
        self._came = came
        self._left = left
        self._routes: dict[Server, set[Route]] = {}
        self._counts: dict[Route, int] = {}

    def __iter__(self) -> Iterator[Route]:
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)

    def has(self, route: Route) -> bool:
        """Whether a guest serves C{route}."""
        return route in self._counts

    def served(self, server: Server, route: Route, served: bool) -> None:
        """C{server} has registered C{route}, or no longer has it."""
        routes = self._routes.setdefault(server, set())
        if served and route not in routes:
            routes.add(route)
            self._count(route, 1)
        elif not served and route in routes:
            routes.discard(route)
            self._count(route, -1)

    def server_left(self, server: Server) -> None:
        """C{server} has nothing any more."""
        for route in self._routes.pop(server, ()):
            self._count(route, -1)

    def _count(self, route: Route, change: int) -> None:
        count = self._counts[route] = self._counts.get(route, 0) + change
        if not count:
            del self._counts[route]
            self._left(route)
        elif count == 1 and change > 0:
            self._came(route)
