"""What has become of routes of hosts since workers were told last; of each, what is true now."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from typing import Final

from subproxy.core.routing.route import Route
from subproxy.workers.host_messages import HostRoutes

ROUTES_A_MESSAGE: Final = 25
"""Routes of a message at most: a worker deals with many messages in a turn."""


class RouteNews(Enum):
    """
    What a host has to do with a route.

    - C{SERVES}: guests of it serve it.
    - C{WAKES}: a machine would, which it starts for who asks.
    - C{WITHDRAWN}: nothing any more.
    """

    SERVES = auto()
    WAKES = auto()
    WITHDRAWN = auto()


class HostNews:
    """See above."""

    def __init__(self) -> None:
        self._news: dict[str, dict[Route, RouteNews]] = {}

    def __bool__(self) -> bool:
        return bool(self._news)

    def add(self, name: str, route: Route, kind: RouteNews) -> None:
        """It is C{kind} that host C{name} has to do with C{route} now."""
        self._news.setdefault(name, {})[route] = kind

    def take(self) -> Iterator[HostRoutes]:
        """All of it, in messages; nothing is left."""
        news, self._news = self._news, {}
        for name, routes in news.items():
            items = list(routes.items())
            for at in range(0, len(items), ROUTES_A_MESSAGE):
                said: dict[RouteNews, list[list[str]]] = {kind: [] for kind in RouteNews}
                for route, kind in items[at : at + ROUTES_A_MESSAGE]:
                    said[kind].append(route.words())
                yield HostRoutes(
                    name,
                    said[RouteNews.SERVES],
                    said[RouteNews.WAKES],
                    said[RouteNews.WITHDRAWN],
                )
